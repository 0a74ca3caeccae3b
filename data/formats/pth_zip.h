// The zip container of PyTorch checkpoints, read part by part through libzip.
#ifndef MCF_DATA_FORMATS_PTH_ZIP_H
#define MCF_DATA_FORMATS_PTH_ZIP_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

// More members than any checkpoint has: one tensor is one member.
enum { MCF_PTH_ZIP_MEMBERS = 1 << 17 };

typedef struct mcf_pth_zip mcf_pth_zip;

// Reads the directory of a zip file in memory, once. `bytes` and `label` (its path, for messages) must outlive it.
// MCF_ERR_FORMAT: no zip file, too many members, or two of one name: which of them is meant cannot be known.
mcf_status mcf_pth_zip_open(mcf_pth_zip **zip, const uint8_t *bytes, size_t size, const char *label, mcf_error *err);
void mcf_pth_zip_close(mcf_pth_zip *zip); // NULL is fine

// Reads the part with this name inside the archive's own folder ("data.pkl", "data/17") and holds it to its CRC-32.
// size: the bytes it must have, -1: any number up to `limit`. *bytes is malloc'ed.
mcf_status mcf_pth_zip_read(mcf_pth_zip *zip, const char *name, int64_t size, size_t limit, char **bytes,
                            size_t *length, mcf_error *err);

#endif
