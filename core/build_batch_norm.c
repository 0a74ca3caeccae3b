// BatchNorm (Ioffe & Szegedy 2015), composed of statistics, collectives and one normalising operation.
#include "core/graph_internal.h"

static void move_running(mcf_graph *graph, mcf_value running, mcf_value statistic, double momentum, double scale)
{
    if (running < 0)
        return;
    mcf_value first = mcf_slice(graph, statistic, 0, 0, 1);
    first = mcf_reshape(graph, first, mcf_value_shape(graph, running));
    mcf_ema(graph, running, first, 1.0 - momentum, scale, MCF_NO_VALUE);
}

static void set_inputs(mcf_value in[BATCH_NORM_INPUTS], mcf_value x, mcf_value mean, mcf_value var,
                       const mcf_batch_norm_options *o)
{
    in[BATCH_NORM_IN_x] = x;
    in[BATCH_NORM_IN_mean] = mean;
    in[BATCH_NORM_IN_var] = var;
    in[BATCH_NORM_IN_gamma] = o->gamma;
    in[BATCH_NORM_IN_beta] = o->beta;
}

mcf_value mcf_batch_norm(mcf_graph *graph, mcf_value x, const mcf_batch_norm_options *o)
{
    if (!mcf_graph_ok(graph) || x < 0)
        return MCF_NO_VALUE;
    int64_t rows = mcf_value_dim(graph, x, 0), channels = mcf_value_dim(graph, x, 1);
    if (graph->values[x].shape.rank != 2 || o->groups < 1 || rows % o->groups)
        return mcf_graph_fail(graph, MCF_ERR_SHAPE, "batch_norm: %lld rows do not make %d groups", (long long)rows,
                              o->groups);
    int64_t group_rows = rows / o->groups;
    mcf_value grouped = mcf_reshape(graph, x, MCF_SHAPE(o->groups, group_rows, channels));
    mcf_value fixed = mcf_detach(graph, grouped);
    bool sync = o->sync && graph->world > 1;
    if (sync && o->groups > 1)
        return mcf_graph_fail(graph, MCF_ERR_USAGE, "batch_norm: groups and synchronised statistics exclude another");
    const int64_t values = sync ? group_rows * graph->world : group_rows;
    if (values == 1)
        return mcf_graph_fail(graph, MCF_ERR_USAGE,
                              "batch_norm: one value per channel has no variance; take a larger batch or synchronise "
                              "the statistics over devices");

    mcf_value mean = mcf_mean(graph, fixed, 1u << 1);
    if (sync)
        mean = mcf_all_reduce(graph, mean, MCF_REDUCE_MEAN);
    mcf_value spread[] = {[BATCH_VARIANCE_IN_x] = fixed, [BATCH_VARIANCE_IN_mean] = mean};
    mcf_value var =
        mcf_emit1(graph, MCF_OP_batch_variance, NULL, spread, BATCH_VARIANCE_INPUTS, mcf_statistics_dtype(graph, x));
    if (sync)
        var = mcf_all_reduce(graph, var, MCF_REDUCE_MEAN);

    mcf_attr attr = {.norm = {o->eps}};
    mcf_value in[BATCH_NORM_INPUTS];
    set_inputs(in, grouped, mean, var, o);
    int node = mcf_emit(graph, MCF_OP_batch_norm, &attr, in, BATCH_NORM_INPUTS, mcf_value_dtype(graph, x));
    if (node < 0)
        return MCF_NO_VALUE;
    graph->nodes[node].sync = sync;
    move_running(graph, o->running_mean, mean, o->momentum, 1.0);
    // Unbiased, as PyTorch keeps it.
    move_running(graph, o->running_var, var, o->momentum, (double)values / (double)(values - 1));
    return mcf_reshape(graph, graph->nodes[node].out[BATCH_NORM_OUT_y], MCF_SHAPE(rows, channels));
}

mcf_value mcf_batch_norm_frozen(mcf_graph *graph, mcf_value x, const mcf_batch_norm_options *o)
{
    if (!mcf_graph_ok(graph) || x < 0)
        return MCF_NO_VALUE;
    int64_t rows = mcf_value_dim(graph, x, 0), channels = mcf_value_dim(graph, x, 1);
    mcf_value one_group = mcf_reshape(graph, mcf_detach(graph, x), MCF_SHAPE(1, rows, channels));
    mcf_value mean = mcf_reshape(graph, o->running_mean, MCF_SHAPE(1, 1, channels));
    mcf_value var = mcf_reshape(graph, o->running_var, MCF_SHAPE(1, 1, channels));
    mcf_attr attr = {.norm = {o->eps}};
    mcf_value in[BATCH_NORM_INPUTS];
    set_inputs(in, one_group, mean, var, o);
    mcf_value y = mcf_emit1(graph, MCF_OP_batch_norm, &attr, in, BATCH_NORM_INPUTS, mcf_value_dtype(graph, x));
    return mcf_detach(graph, mcf_reshape(graph, y, MCF_SHAPE(rows, channels)));
}
