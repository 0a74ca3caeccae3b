// Which patches are seen.
#ifndef MCF_MODEL_MASKS_H
#define MCF_MODEL_MASKS_H

#include "core/inputs.h"

// n = floor(L * (1 - mask_ratio)), computed in double precision.
int64_t mcf_visible_count(int64_t patches, double mask_ratio);
// ids_shuffle [batch,patches] -> keep [batch,visible] (its first columns), mask [batch,patches-visible] (the
// rest), restore [batch,patches] (its inverse). Any output may be NULL. Rows that are no permutations are an error.
mcf_status mcf_mask_split(const int64_t *ids_shuffle, int64_t batch, int64_t patches, int64_t visible, int64_t *keep,
                          int64_t *mask, int64_t *restore, mcf_error *err);
// Inputs that follow from ids_shuffle [rows,L]: ids_keep i64 [rows,n]; with `restore` ids_restore [rows,L], with `mask`
// ids_mask [rows,L-n].
mcf_status mcf_mask_inputs(const int64_t *ids_shuffle, int64_t patches, int64_t visible, bool restore, bool mask,
                           mcf_inputs *to, mcf_error *err);

#endif
