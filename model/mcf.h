// The objective of mask contrastive faces; MAE's pixel loss and every mix of the terms.
#ifndef MCF_MODEL_MCF_H
#define MCF_MODEL_MCF_H

#include "model/pretrain_model.h"

// The graph's inputs: image (and flip), ids_keep i64 [B,n]; with the decoder ids_restore [B,L]; with pixel ids_mask
// [B,L-n]; with contrastive ids_keep_target [B,n] and labels [B] (own class: the image's place in the job). Outputs
// where asked for: out.pred [B,L,P*P*3], out.q and out.k [B,out] (normalised).
extern const mcf_pretrain_method mcf_method_mcf;

// All of these inputs but the image, from permutations of the patches [rows,L]; the first row is the `first`th image of
// the job. ids_shuffle_target may be NULL without the contrastive term.
mcf_status mcf_mcf_inputs(const mcf_pretrain_model *model, const int64_t *ids_shuffle,
                          const int64_t *ids_shuffle_target, int64_t first, mcf_inputs *to, mcf_error *err);

#endif
