#include "model/layers.h"

#include <stdio.h>

enum { NAME = 256 };

mcf_status mcf_entry_add(mcf_store *store, const char *prefix, const char *name, mcf_shape shape, mcf_role role,
                         bool product, int *entry, mcf_error *err)
{
    char full[NAME];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    if (product && role == MCF_ROLE_FROZEN)
        role = MCF_ROLE_FROZEN_WEIGHTS;
    // The target's weights change before every use: converting each where it is used takes no memory between.
    *entry = mcf_store_add(store, full, shape, role, product && role != MCF_ROLE_TARGET);
    if (*entry < 0)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for parameter %s, or its name is taken", full);
    return MCF_OK;
}

mcf_status mcf_linear_add(mcf_store *store, const char *name, int64_t out, int64_t in, bool bias, mcf_role role,
                          mcf_affine *affine, mcf_error *err)
{
    affine->bias = -1;
    MCF_TRY(mcf_entry_add(store, name, ".weight", MCF_SHAPE(out, in), role, true, &affine->weight, err));
    if (bias)
        MCF_TRY(mcf_entry_add(store, name, ".bias", MCF_SHAPE(out), role, false, &affine->bias, err));
    return MCF_OK;
}

mcf_status mcf_norm_add(mcf_store *store, const char *name, int64_t dim, mcf_role role, mcf_affine *affine,
                        mcf_error *err)
{
    MCF_TRY(mcf_entry_add(store, name, ".weight", MCF_SHAPE(dim), role, false, &affine->weight, err));
    return mcf_entry_add(store, name, ".bias", MCF_SHAPE(dim), role, false, &affine->bias, err);
}

mcf_status mcf_statistics_add(mcf_store *store, const char *name, int64_t dim, int *mean, int *var, mcf_error *err)
{
    MCF_TRY(mcf_entry_add(store, name, ".running_mean", MCF_SHAPE(dim), MCF_ROLE_STATS, false, mean, err));
    return mcf_entry_add(store, name, ".running_var", MCF_SHAPE(dim), MCF_ROLE_STATS, false, var, err);
}

mcf_value mcf_linear_layer(mcf_graph *graph, const mcf_store *store, mcf_affine affine, mcf_value x, mcf_dtype out)
{
    const mcf_entry *entry = &store->entries[affine.weight];
    mcf_value weight = mcf_weight(graph, store, affine.weight);
    if (entry->shape.rank > 2) // a patch projection, stored as a convolution's kernel
        weight = mcf_reshape(graph, weight, MCF_SHAPE(entry->shape.dim[0], entry->count / entry->shape.dim[0]));
    mcf_value bias = affine.bias < 0 ? MCF_NO_VALUE : mcf_param(graph, store, affine.bias);
    return mcf_linear(graph, mcf_cast(graph, x, mcf_graph_compute(graph)), weight, bias, out);
}

mcf_value mcf_batch_norm_layer(mcf_graph *graph, const mcf_store *store, mcf_affine affine, int mean, int var,
                               int groups, bool sync, mcf_value x)
{
    mcf_batch_norm_options options = {
        .gamma = affine.weight < 0 ? MCF_NO_VALUE : mcf_param(graph, store, affine.weight),
        .beta = affine.bias < 0 ? MCF_NO_VALUE : mcf_param(graph, store, affine.bias),
        .running_mean = mcf_param(graph, store, mean),
        .running_var = mcf_param(graph, store, var),
        .eps = 1e-5,
        .momentum = 0.1,
        .groups = groups > 0 ? groups : 1,
        .sync = sync,
    };
    return mcf_batch_norm(graph, x, &options);
}
