// A checkpoint of others, PyTorch's or safetensors, as a list of tensors.
#ifndef MCF_MODEL_IMPORT_LISTED_H
#define MCF_MODEL_IMPORT_LISTED_H

#include "data/formats/pth.h"
#include "data/formats/safetensors.h"

typedef struct {
    mcf_pth *pth;
    mcf_safetensors *tensors;
    const char *path;
    uint64_t size; // bytes
} mcf_listed;

// As mcf_pth_entry; strings belong to the file.
typedef struct {
    const char *group, *name, *object, *unread;
    mcf_shape shape;
    int64_t count; // elements
} mcf_listed_item;

// What the file is, is told by its first bytes. Errors: as mcf_pth_open and mcf_safetensors_open.
mcf_status mcf_listed_open(mcf_listed *file, const char *path, mcf_error *err);
void mcf_listed_close(mcf_listed *file); // zeros are fine
size_t mcf_listed_count(const mcf_listed *file);
mcf_listed_item mcf_listed_at(const mcf_listed *file, size_t index);
// All elements in fp32, row-major: mcf_listed_item.count of them.
mcf_status mcf_listed_read(mcf_listed *file, size_t index, float *values, mcf_error *err);

#endif
