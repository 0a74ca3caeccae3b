// Images as the decoder paints them.
#ifndef MCF_MODEL_RECONSTRUCT_H
#define MCF_MODEL_RECONSTRUCT_H

#include "model/pretrain_model.h"

// Reconstruction: inputs image (and flip), ids_keep, ids_restore, as of a step. Outputs, f32: out.pred
// [B,L,P*P*3]; pseudo [B,S,S,3], the pseudo image of all patches, in the scale of the normalised image also
// where the decoder was trained on normalised patches. Fails where the objective has no decoder.
typedef struct {
    int64_t batch;
    mcf_dtype compute;
    bool image_u8;
    int world; // devices of the job whose runtime it runs in; 0: 1
} mcf_reconstruct_graph_options;
mcf_status mcf_reconstruct_graph(const mcf_pretrain_model *model, const mcf_reconstruct_graph_options *options,
                                 mcf_graph **graph, mcf_error *err);
// Those inputs but the image, from permutations of the patches [rows,L].
mcf_status mcf_reconstruct_inputs(const mcf_pretrain_model *model, const int64_t *ids_shuffle, mcf_inputs *to,
                                  mcf_error *err);

#endif
