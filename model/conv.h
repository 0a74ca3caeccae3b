// Convolutions with BatchNorm and ReLU over maps in NHWC, as MMSegmentation's ConvModule has them.
#ifndef MCF_MODEL_CONV_H
#define MCF_MODEL_CONV_H

#include "core/graph.h"
#include "model/layers.h"

// BatchNorm with affine; indices of store entries.
typedef struct {
    mcf_affine affine;
    int mean, var; // running statistics
} mcf_norm_2d;

// Convolution without bias, BatchNorm, ReLU.
typedef struct {
    int weight; // [out, in, k, k]
    mcf_norm_2d norm;
} mcf_conv_layer;

// How a network runs: by the statistics of the batch (training) or by the running ones.
typedef struct {
    const mcf_store *store;
    bool training;
    bool sync; // training: statistics over all devices of the job
} mcf_conv_mode;

// Running statistics are in STATS; those of a network in TARGET in TARGET_STATS.
mcf_status mcf_norm_2d_add(mcf_store *store, const char *name, int64_t dim, mcf_role role, mcf_norm_2d *norm,
                           mcf_error *err);
// Entries NAME.conv.weight [out,in,kernel,kernel], NAME.bn.*.
mcf_status mcf_conv_layer_add(mcf_store *store, const char *name, int64_t out, int64_t in, int64_t kernel,
                              mcf_role role, mcf_conv_layer *layer, mcf_error *err);
// Weight [in,out,2,2] and bias [out] under `name`.
mcf_status mcf_conv_transpose_add(mcf_store *store, const char *name, int64_t in, int64_t out, mcf_role role,
                                  mcf_affine *affine, mcf_error *err);

// x [B,H,W,C] in any float type; results are in the graph's compute type. A batch with one value a channel has no
// variance: in training it is refused.
mcf_value mcf_norm_2d_forward(mcf_graph *graph, const mcf_conv_mode *mode, const mcf_norm_2d *norm, mcf_value x);
mcf_value mcf_conv_layer_forward(mcf_graph *graph, const mcf_conv_mode *mode, const mcf_conv_layer *layer, mcf_value x);
// Doubles both sides.
mcf_value mcf_conv_transpose_forward(mcf_graph *graph, const mcf_store *store, mcf_affine affine, mcf_value x);

#endif
