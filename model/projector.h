// Heads and predictor of MCF's contrastive branch: Linear, BatchNorm, ReLU, Linear and, in the heads of encoders, a
// BatchNorm without affine.
#ifndef MCF_MODEL_PROJECTOR_H
#define MCF_MODEL_PROJECTOR_H

#include "model/init.h"
#include "model/options.h"

typedef struct {
    mcf_affine linear1, norm1, linear2;
    int mean1, var1; // running statistics of the first BatchNorm
    int mean2, var2; // of the last; -1: there is none
} mcf_projector;

// in -> hidden -> out, no biases in the products. out_norm: a last BatchNorm without affine follows.
mcf_status mcf_projector_add(mcf_store *store, const char *prefix, int64_t in, int64_t hidden, int64_t out,
                             bool out_norm, mcf_role role, mcf_projector *projector, mcf_error *err);
void mcf_projector_init(const mcf_init *init, const mcf_projector *projector);
// x [B,in] -> f32 [B,out]. Between the products everything is f32: over a small batch BatchNorm magnifies
// rounding.
mcf_value mcf_projector_forward(mcf_graph *graph, const mcf_store *store, const mcf_model_options *options,
                                const mcf_projector *projector, mcf_value x);

#endif
