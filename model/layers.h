// Layers that networks share: their entries in a store and their nodes.
#ifndef MCF_MODEL_LAYERS_H
#define MCF_MODEL_LAYERS_H

#include "core/graph.h"
#include "core/store.h"

// Indices of store entries; -1 where there is none.
typedef struct {
    int weight, bias;
} mcf_affine;

// --- entries. `name` is the checkpoint name without ".weight" and ".bias".
// One tensor under prefix and name. product: read by products, so that it has a low-precision copy.
mcf_status mcf_entry_add(mcf_store *store, const char *prefix, const char *name, mcf_shape shape, mcf_role role,
                         bool product, int *entry, mcf_error *err);
// Weight [out, in] and bias [out]; a linear layer without bias has bias -1.
mcf_status mcf_linear_add(mcf_store *store, const char *name, int64_t out, int64_t in, bool bias, mcf_role role,
                          mcf_affine *affine, mcf_error *err);
// Weight and bias [dim] of a norm.
mcf_status mcf_norm_add(mcf_store *store, const char *name, int64_t dim, mcf_role role, mcf_affine *affine,
                        mcf_error *err);
// Running statistics [dim] of a BatchNorm.
mcf_status mcf_statistics_add(mcf_store *store, const char *name, int64_t dim, int *mean, int *var, mcf_error *err);

// --- nodes
// Linear layer: x in any float type, product in the graph's compute type.
mcf_value mcf_linear_layer(mcf_graph *graph, const mcf_store *store, mcf_affine affine, mcf_value x, mcf_dtype out);
// BatchNorm of x [R,C] by the batch, over `groups` equal groups of rows (0: 1) or over the whole job; affine {-1, -1}:
// without. mean and var: entries of the running statistics, which move.
mcf_value mcf_batch_norm_layer(mcf_graph *graph, const mcf_store *store, mcf_affine affine, int mean, int var,
                               int groups, bool sync, mcf_value x);

#endif
