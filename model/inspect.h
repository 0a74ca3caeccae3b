// The inside of an encoder, to look at.
#ifndef MCF_MODEL_INSPECT_H
#define MCF_MODEL_INSPECT_H

#include "model/pretrain_model.h"

// The online encoder over all patches of images of the model's size, no gradient. Input: image f32 [B,3,S,S], already
// normalised. Outputs, f32: qkv [B,1+L,3*D] of the last block, its thirds queries, keys and values, each by head;
// tokens [B,1+L,D] after the final norm, cls first.
mcf_status mcf_inspect_graph(const mcf_pretrain_model *model, int64_t batch, mcf_dtype compute, mcf_graph **graph,
                             mcf_error *err);

#endif
