#include "model/conv.h"

#include <stdio.h>

enum { NAME = 256 };

mcf_status mcf_norm_2d_add(mcf_store *store, const char *name, int64_t dim, mcf_role role, mcf_norm_2d *norm,
                           mcf_error *err)
{
    // The averaged network's statistics are averages too.
    const mcf_role statistics = role == MCF_ROLE_TARGET ? MCF_ROLE_TARGET_STATS : MCF_ROLE_STATS;
    MCF_TRY(mcf_norm_add(store, name, dim, role, &norm->affine, err));
    MCF_TRY(mcf_entry_add(store, name, ".running_mean", MCF_SHAPE(dim), statistics, false, &norm->mean, err));
    return mcf_entry_add(store, name, ".running_var", MCF_SHAPE(dim), statistics, false, &norm->var, err);
}

mcf_status mcf_conv_layer_add(mcf_store *store, const char *name, int64_t out, int64_t in, int64_t kernel,
                              mcf_role role, mcf_conv_layer *layer, mcf_error *err)
{
    char full[NAME];
    MCF_TRY(mcf_entry_add(store, name, ".conv.weight", MCF_SHAPE(out, in, kernel, kernel), role, true, &layer->weight,
                          err));
    snprintf(full, sizeof full, "%s.bn", name);
    return mcf_norm_2d_add(store, full, out, role, &layer->norm, err);
}

mcf_status mcf_conv_transpose_add(mcf_store *store, const char *name, int64_t in, int64_t out, mcf_role role,
                                  mcf_affine *affine, mcf_error *err)
{
    MCF_TRY(mcf_entry_add(store, name, ".weight", MCF_SHAPE(in, out, 2, 2), role, true, &affine->weight, err));
    return mcf_entry_add(store, name, ".bias", MCF_SHAPE(out), role, false, &affine->bias, err);
}

mcf_value mcf_norm_2d_forward(mcf_graph *graph, const mcf_conv_mode *mode, const mcf_norm_2d *norm, mcf_value x)
{
    const mcf_shape shape = mcf_value_shape(graph, x);
    const int64_t rows = shape.dim[0] * shape.dim[1] * shape.dim[2];
    if (mode->training && rows * (mode->sync ? mcf_graph_world(graph) : 1) == 1)
        return mcf_graph_fail(
            graph, MCF_ERR_USAGE,
            "%s: one value a channel has no variance for a BatchNorm; raise batch.per_device above 1%s",
            mode->store->entries[norm->affine.weight].name,
            mode->sync ? "" : ", or train on several devices with model.sync_batchnorm");
    const mcf_batch_norm_options options = {
        .gamma = mcf_param(graph, mode->store, norm->affine.weight),
        .beta = mcf_param(graph, mode->store, norm->affine.bias),
        .running_mean = mcf_param(graph, mode->store, norm->mean),
        .running_var = mcf_param(graph, mode->store, norm->var),
        .eps = 1e-5,
        .momentum = 0.1,
        .groups = 1,
        .sync = mode->sync,
    };
    x = mcf_reshape(graph, x, MCF_SHAPE(rows, shape.dim[3]));
    x = mode->training ? mcf_batch_norm(graph, x, &options) : mcf_batch_norm_frozen(graph, x, &options);
    return mcf_reshape(graph, x, shape);
}

mcf_value mcf_conv_layer_forward(mcf_graph *graph, const mcf_conv_mode *mode, const mcf_conv_layer *layer, mcf_value x)
{
    const mcf_dtype compute = mcf_graph_compute(graph);
    const mcf_shape kernel = mode->store->entries[layer->weight].shape;
    if (kernel.dim[2] == 1) {
        x = mcf_linear_layer(graph, mode->store, (mcf_affine){layer->weight, -1}, x, compute);
    } else {
        mcf_value weight = mcf_weight(graph, mode->store, layer->weight);
        const mcf_conv_options options = {.pad = kernel.dim[2] / 2, .out = compute};
        x = mcf_conv2d(graph, mcf_cast(graph, x, compute), weight, MCF_NO_VALUE, &options);
    }
    return mcf_relu(graph, mcf_norm_2d_forward(graph, mode, &layer->norm, x));
}

mcf_value mcf_conv_transpose_forward(mcf_graph *graph, const mcf_store *store, mcf_affine affine, mcf_value x)
{
    const mcf_dtype compute = mcf_graph_compute(graph);
    return mcf_conv_transpose2x2(graph, mcf_cast(graph, x, compute), mcf_weight(graph, store, affine.weight),
                                 mcf_param(graph, store, affine.bias), compute);
}
