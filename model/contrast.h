// The contrastive loss of MCF and MoCo-v3.
#ifndef MCF_MODEL_CONTRAST_H
#define MCF_MODEL_CONTRAST_H

#include "core/inputs.h"

// L_con of method.md: q, k [B,out] normalised, k of this device; labels i64 [B] say which row of the gathered k is
// the own one. f32 [1].
mcf_value mcf_contrastive_loss(mcf_graph *graph, mcf_value q, mcf_value k, mcf_value labels, double temperature);
// The input labels of the images here; the first of them is the `first`th of the job.
mcf_status mcf_contrastive_labels(int64_t first, mcf_inputs *to, mcf_error *err);

#endif
