// First values of parameters (method.md, "Weight initialisation"): the numbers of a tensor depend on the seed and its
// name only.
#ifndef MCF_MODEL_INIT_H
#define MCF_MODEL_INIT_H

#include "model/params.h"
#include "model/vit.h"

typedef struct {
    const mcf_store *store;
    const mcf_params *params;
    uint64_t seed;
} mcf_init;

void mcf_init_uniform(const mcf_init *init, int entry, double bound); // in -bound..bound
void mcf_init_normal(const mcf_init *init, int entry, double deviation);
void mcf_init_fill(const mcf_init *init, int entry, float value);
// Xavier-uniform; kernels count as matrices [out, in*h*w]. Bias zero.
void mcf_init_linear(const mcf_init *init, mcf_affine affine);
void mcf_init_norm(const mcf_init *init, mcf_affine affine); // 1 and 0
void mcf_init_blocks(const mcf_init *init, const mcf_blocks *stack);
void mcf_init_vit(const mcf_init *init, const mcf_vit *vit);
// One entry's values to another of its shape; from -1: nothing.
void mcf_init_copy(const mcf_init *init, int from, int to);

#endif
