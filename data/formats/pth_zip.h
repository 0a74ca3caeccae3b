// The zip container of PyTorch checkpoints, read part by part.
#ifndef MCF_DATA_PTH_ZIP_H
#define MCF_DATA_PTH_ZIP_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct {
    const uint8_t *bytes; // the whole file
    size_t size;
    const char *label; // its path, for messages
} mcf_pth_zip;

// Reads the part with this name inside the archive's own folder ("data.pkl", "data/17"). size: the bytes it must have,
// -1: any number up to `limit`. *bytes is malloc'ed.
mcf_status mcf_pth_zip_read(const mcf_pth_zip *file, const char *name, int64_t size, size_t limit, char **bytes,
                            size_t *length, mcf_error *err);

#endif
