// Safetensors files: an 8-byte little-endian header length, a JSON header, the tensors' bytes.
// Format: https://huggingface.co/docs/safetensors. Every number of a file is checked before it is used.
#ifndef MCF_DATA_FORMATS_SAFETENSORS_H
#define MCF_DATA_FORMATS_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "ops/types.h"

enum {
    MCF_SAFETENSORS_MAX_HEADER = 100 * 1000 * 1000, // bytes, as the format's own library
    MCF_SAFETENSORS_MAX_VALUES = 2 * 1000 * 1000    // JSON values: bounds what a hostile header costs in memory
};

typedef struct {
    const char *name;
    const char *stored; // the format's name: "F32", "BF16", "BOOL", ...
    bool native;        // dtype is set; else only mcf_safetensors_read_f32 or the raw bytes serve
    mcf_dtype dtype;
    mcf_shape shape;
    uint64_t count;  // elements
    uint64_t size;   // bytes
    uint64_t offset; // of the first byte, in the file
} mcf_safetensors_entry;

// An open file. Entries and strings belong to it and live until it is closed.
// After opening, reads may come from several threads at once.
typedef struct mcf_safetensors mcf_safetensors;

mcf_status mcf_safetensors_open(mcf_safetensors **file, const char *path, mcf_error *err);
// The same over bytes in memory, which must outlive the reader; `label` stands for the path in messages.
mcf_status mcf_safetensors_open_memory(mcf_safetensors **file, const void *bytes, size_t size, const char *label,
                                       mcf_error *err);
void mcf_safetensors_close(mcf_safetensors *file); // NULL is fine

const char *mcf_safetensors_path(const mcf_safetensors *file);
size_t mcf_safetensors_count(const mcf_safetensors *file);
const mcf_safetensors_entry *mcf_safetensors_at(const mcf_safetensors *file, size_t index); // in file order
const mcf_safetensors_entry *mcf_safetensors_find(const mcf_safetensors *file,
                                                  const char *name); // NULL: none
// A value of __metadata__, or NULL.
const char *mcf_safetensors_metadata(const mcf_safetensors *file, const char *key);

// entry->size raw bytes.
mcf_status mcf_safetensors_read(const mcf_safetensors *file, const mcf_safetensors_entry *entry, void *bytes,
                                mcf_error *err);
// entry->count floats, converted from any stored type but the 8-bit floats.
mcf_status mcf_safetensors_read_f32(const mcf_safetensors *file, const mcf_safetensors_entry *entry, float *values,
                                    mcf_error *err);
// Finds `name`, which must have this dtype and shape, and reads it; the message says what was expected.
mcf_status mcf_safetensors_read_exact(const mcf_safetensors *file, const char *name, mcf_dtype dtype,
                                      const mcf_shape *shape, void *bytes, mcf_error *err);

// Writing: declare everything, begin, write the bytes in the declared order (in pieces of any size), finish.
// The file appears under its name only at the end.
typedef struct mcf_safetensors_writer mcf_safetensors_writer;
mcf_status mcf_safetensors_writer_open(mcf_safetensors_writer **writer, const char *path, mcf_error *err);
mcf_status mcf_safetensors_writer_metadata(mcf_safetensors_writer *writer, const char *key, const char *value,
                                           mcf_error *err);
mcf_status mcf_safetensors_writer_declare(mcf_safetensors_writer *writer, const char *name, mcf_dtype dtype,
                                          const mcf_shape *shape, mcf_error *err);
mcf_status mcf_safetensors_writer_begin(mcf_safetensors_writer *writer, mcf_error *err);
mcf_status mcf_safetensors_writer_write(mcf_safetensors_writer *writer, const void *bytes, size_t size, mcf_error *err);
// Frees the writer in every case; hash (NULL allowed): xxHash64 of the file, size (NULL allowed): its bytes.
mcf_status mcf_safetensors_writer_finish(mcf_safetensors_writer *writer, uint64_t *hash, uint64_t *size,
                                         mcf_error *err);
void mcf_safetensors_writer_abort(mcf_safetensors_writer *writer); // removes what was written; NULL is fine

// A tensor in the caller's memory, row-major.
typedef struct {
    const char *name;
    mcf_dtype dtype;
    mcf_shape shape;
    void *data;
} mcf_named_tensor;

// Writes a whole file. `metadata`: pairs key, value, key, value, NULL; NULL for none. hash and size as above.
mcf_status mcf_safetensors_save(const char *path, const mcf_named_tensor *tensors, size_t count,
                                const char *const *metadata, uint64_t *hash, uint64_t *size, mcf_error *err);

#endif
