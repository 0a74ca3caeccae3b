// PyTorch checkpoint files (.pth, .pt): the zip container of torch 1.6 and later, and the older stream of pickles.
// Nothing in the file is executed (data/formats/pickle.h); every number is checked before it is used.
#ifndef MCF_DATA_FORMATS_PTH_H
#define MCF_DATA_FORMATS_PTH_H

#include <stdbool.h>
#include <stdint.h>

#include "data/formats/pickle.h"
#include "ops/types.h"

typedef struct mcf_pth mcf_pth;

// A tensor, or what stands where one could. Strings belong to the file and live until it is closed.
typedef struct {
    const char *group;  // "state_dict" where the tensor lies in a dict under that key; "" at the top
    const char *name;   // its own key
    const char *object; // not NULL: no tensor but an object of this class or function; nothing below is set
    // not NULL: a tensor, but of a kind that is not read, in words ("a sparse tensor"); nothing below is set
    const char *unread;
    const char *stored; // torch's name of the element type: "float32", "bfloat16", ...
    mcf_dtype dtype;    // where `native`
    bool native;        // dtype says what is stored; else only mcf_pth_read_f32 serves (int16, bool, ...)
    mcf_shape shape;
    int64_t count;                // elements
    int64_t stride[MCF_MAX_RANK]; // elements of the storage
    int64_t offset;               // elements
    bool negative;                // a view whose values are those of the storage with the other sign
    int storage, type;            // of the reader's own tables
} mcf_pth_entry;

mcf_status mcf_pth_open(mcf_pth **file, const char *path, mcf_error *err);
// The same over bytes in memory, which must outlive the reader; `label` stands for the path in messages.
mcf_status mcf_pth_open_memory(mcf_pth **file, const void *bytes, size_t size, const char *label, mcf_error *err);
void mcf_pth_close(mcf_pth *file); // NULL is fine

// Whether the first bytes are those of a zip file or of a pickle.
bool mcf_pth_is(const void *bytes, size_t size);

size_t mcf_pth_count(const mcf_pth *file);
const mcf_pth_entry *mcf_pth_at(const mcf_pth *file, size_t index);

// entry->count elements, row-major, converted to fp32. The caller has compared the shape with what it wants: the
// memory for `values` is the caller's decision.
mcf_status mcf_pth_read_f32(mcf_pth *file, const mcf_pth_entry *entry, float *values, mcf_error *err);

#endif
