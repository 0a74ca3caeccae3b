// What a trained encoder does with a few pictures: where its class token looks, and what its patch tokens tell apart.
#ifndef MCF_INFER_LOOK_H
#define MCF_INFER_LOOK_H

#include "infer/network.h"

typedef struct {
    int images, grid, heads; // grid: patches a side
    float *attention;        // [images, heads, grid*grid]: shares of the class token's attention in the last block
    float *cls_share;        // [images, heads]: what it keeps for itself; with the shares above the sum is 1
    uint8_t *features;       // [images, grid, grid, 3]: the first three principal components as red, green, blue
    double explained[3];     // their shares of the variance
} mcf_look;

// images: [count,S,S,3] RGB bytes of the network's size. The caller frees with mcf_look_free.
mcf_status mcf_look_run(mcf_inference *network, const uint8_t *images, int count, mcf_look *look, mcf_error *err);
void mcf_look_free(mcf_look *look); // zeros are fine

// --- the parts

// softmax over keys of q_cls k^T / sqrt(d) of one image: qkv [tokens, 3*heads*width] -> shares [heads, tokens].
void mcf_look_attention(const float *qkv, int tokens, int heads, int width, float *shares);

// Principal components of x [rows, dim]: the first `count` (at most 3) as axes [count, dim], unit and orthogonal, the
// greatest entry of each positive; x projected on them into scores [rows, count]; explained [count], the shares of the
// variance. x is centred in place. Deterministic.
mcf_status mcf_look_components(float *x, int64_t rows, int dim, int count, double *axes, double *scores,
                               double *explained, mcf_error *err);

#endif
