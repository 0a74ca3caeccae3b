// Builders of operations: a thin layer that chooses attributes and types.
#include "core/graph_internal.h"

mcf_value mcf_emit_with_statistics(mcf_graph *graph, mcf_op op, const mcf_attr *attr, const mcf_value *in, int n_in,
                                   mcf_dtype out_dtype, int first_statistic)
{
    int node = mcf_emit(graph, op, attr, in, n_in, out_dtype);
    if (node < 0)
        return MCF_NO_VALUE;
    for (int i = first_statistic; i < graph->nodes[node].n_out; i++)
        graph->values[graph->nodes[node].out[i]].requires_grad = false;
    return graph->nodes[node].out[0];
}

mcf_value mcf_fill(mcf_graph *graph, mcf_dtype dtype, mcf_shape shape, double value)
{
    // One element repeated: a constant costs no memory and no time.
    if (!mcf_graph_ok(graph))
        return MCF_NO_VALUE;
    mcf_attr attr = {.fill = {value}};
    mcf_value one = mcf_emit1(graph, MCF_OP_fill, &attr, NULL, 0, dtype);
    if (one < 0)
        return one;
    graph->values[one].shape = MCF_SHAPE(1);
    mcf_contiguous_strides(&graph->values[one].shape, graph->values[one].stride);
    return shape.rank ? mcf_expand(graph, one, shape) : mcf_reshape(graph, one, shape);
}

mcf_value mcf_axpby(mcf_graph *graph, double alpha, mcf_value a, double beta, mcf_value b)
{
    if (!mcf_graph_ok(graph) || a < 0 || b < 0)
        return MCF_NO_VALUE;
    mcf_attr attr = {.add = {alpha, beta}};
    mcf_value in[] = {[ADD_IN_a] = a, [ADD_IN_b] = mcf_expand(graph, b, graph->values[a].shape)};
    return mcf_emit1(graph, MCF_OP_add, &attr, in, ADD_INPUTS, graph->values[a].dtype);
}

mcf_value mcf_add(mcf_graph *graph, mcf_value a, mcf_value b)
{
    return mcf_axpby(graph, 1, a, 1, b);
}

mcf_value mcf_mul(mcf_graph *graph, mcf_value a, mcf_value b)
{
    if (!mcf_graph_ok(graph) || a < 0 || b < 0)
        return MCF_NO_VALUE;
    mcf_value in[] = {[MUL_IN_a] = a, [MUL_IN_b] = mcf_expand(graph, b, graph->values[a].shape)};
    return mcf_emit1(graph, MCF_OP_mul, NULL, in, MUL_INPUTS, graph->values[a].dtype);
}

mcf_value mcf_scale(mcf_graph *graph, mcf_value x, double alpha, double beta)
{
    mcf_attr attr = {.scale = {alpha, beta}};
    return mcf_emit1(graph, MCF_OP_scale, &attr, &x, 1, mcf_value_dtype(graph, x));
}

mcf_value mcf_relu(mcf_graph *graph, mcf_value x)
{
    return mcf_emit1(graph, MCF_OP_relu, NULL, &x, 1, mcf_value_dtype(graph, x));
}

mcf_value mcf_gelu(mcf_graph *graph, mcf_value x)
{
    return mcf_emit1(graph, MCF_OP_gelu, NULL, &x, 1, mcf_value_dtype(graph, x));
}

mcf_value mcf_sigmoid(mcf_graph *graph, mcf_value x)
{
    return mcf_emit1(graph, MCF_OP_sigmoid, NULL, &x, 1, mcf_value_dtype(graph, x));
}

mcf_value mcf_reduce_sum(mcf_graph *graph, mcf_value x, uint32_t axes, double scale, mcf_dtype out)
{
    mcf_attr attr = {.reduce_sum = {axes, scale}};
    return mcf_emit1(graph, MCF_OP_reduce_sum, &attr, &x, 1, out);
}

mcf_value mcf_mean(mcf_graph *graph, mcf_value x, uint32_t axes)
{
    if (!mcf_graph_ok(graph) || x < 0)
        return MCF_NO_VALUE;
    int64_t count = 1;
    for (int i = 0; i < graph->values[x].shape.rank; i++)
        if (axes >> i & 1u)
            count *= graph->values[x].shape.dim[i];
    return mcf_reduce_sum(graph, x, axes, 1.0 / (double)count, mcf_statistics_dtype(graph, x));
}

mcf_value mcf_concat(mcf_graph *graph, mcf_value a, mcf_value b, int axis)
{
    mcf_attr attr = {.concat = {axis}};
    mcf_value in[] = {[CONCAT_IN_a] = a, [CONCAT_IN_b] = b};
    return mcf_emit1(graph, MCF_OP_concat, &attr, in, CONCAT_INPUTS, mcf_value_dtype(graph, a));
}

mcf_value mcf_gather_rows(mcf_graph *graph, mcf_value x, mcf_value ids)
{
    mcf_value in[] = {[GATHER_ROWS_IN_x] = x, [GATHER_ROWS_IN_ids] = ids};
    return mcf_emit1(graph, MCF_OP_gather_rows, NULL, in, GATHER_ROWS_INPUTS, mcf_value_dtype(graph, x));
}

mcf_value mcf_matmul(mcf_graph *graph, mcf_value a, mcf_value b, bool trans_a, bool trans_b, mcf_dtype out)
{
    mcf_attr attr = {.matmul = {trans_a, trans_b, MCF_ACT_NONE}};
    mcf_value in[] = {[MATMUL_IN_a] = a, [MATMUL_IN_b] = b, [MATMUL_IN_bias] = MCF_NO_VALUE};
    return mcf_emit1(graph, MCF_OP_matmul, &attr, in, MATMUL_INPUTS, out);
}

mcf_value mcf_linear(mcf_graph *graph, mcf_value x, mcf_value weight, mcf_value bias, mcf_dtype out)
{
    if (!mcf_graph_ok(graph) || x < 0 || weight < 0)
        return MCF_NO_VALUE;
    mcf_shape shape = graph->values[x].shape;
    if (shape.rank < 1)
        return mcf_graph_fail(graph, MCF_ERR_SHAPE, "linear: the input has no axis");
    mcf_value rows =
        mcf_reshape(graph, x,
                    MCF_SHAPE(mcf_shape_count(&shape) / (shape.dim[shape.rank - 1] ? shape.dim[shape.rank - 1] : 1),
                              shape.dim[shape.rank - 1]));
    mcf_attr attr = {.matmul = {false, true, MCF_ACT_NONE}};
    mcf_value in[] = {[MATMUL_IN_a] = rows, [MATMUL_IN_b] = weight, [MATMUL_IN_bias] = bias};
    mcf_value y = mcf_emit1(graph, MCF_OP_matmul, &attr, in, MATMUL_INPUTS, out);
    shape.dim[shape.rank - 1] = mcf_value_dim(graph, y, 1);
    return mcf_reshape(graph, y, shape);
}

mcf_value mcf_as_rows(mcf_graph *graph, mcf_value x)
{
    if (!mcf_graph_ok(graph) || x < 0)
        return MCF_NO_VALUE;
    const mcf_shape *shape = &graph->values[x].shape;
    int64_t rows = 1;
    for (int i = 0; i + 1 < shape->rank; i++)
        rows *= shape->dim[i];
    return mcf_reshape(graph, x, MCF_SHAPE(rows, shape->dim[shape->rank - 1]));
}

mcf_value mcf_layer_norm(mcf_graph *graph, mcf_value x, mcf_value gamma, mcf_value beta, double eps, mcf_dtype out)
{
    mcf_attr attr = {.norm = {eps}};
    mcf_value in[] = {
        [LAYER_NORM_IN_x] = mcf_as_rows(graph, x), [LAYER_NORM_IN_gamma] = gamma, [LAYER_NORM_IN_beta] = beta};
    mcf_value y =
        mcf_emit_with_statistics(graph, MCF_OP_layer_norm, &attr, in, LAYER_NORM_INPUTS, out, LAYER_NORM_OUT_mean);
    return mcf_reshape(graph, y, mcf_value_shape(graph, x));
}

mcf_value mcf_add_layer_norm(mcf_graph *graph, mcf_value x, mcf_value r, mcf_value gamma, mcf_value beta, double eps,
                             mcf_dtype out, mcf_value *sum)
{
    *sum = MCF_NO_VALUE;
    mcf_attr attr = {.norm = {eps}};
    mcf_value in[] = {[ADD_LAYER_NORM_IN_x] = mcf_as_rows(graph, x),
                      [ADD_LAYER_NORM_IN_r] = mcf_as_rows(graph, r),
                      [ADD_LAYER_NORM_IN_gamma] = gamma,
                      [ADD_LAYER_NORM_IN_beta] = beta};
    int node = mcf_emit(graph, MCF_OP_add_layer_norm, &attr, in, ADD_LAYER_NORM_INPUTS, out);
    if (node < 0)
        return MCF_NO_VALUE;
    const mcf_value *outputs = graph->nodes[node].out;
    mcf_value s = outputs[ADD_LAYER_NORM_OUT_s], y = outputs[ADD_LAYER_NORM_OUT_y];
    graph->values[s].dtype = graph->values[x].dtype;
    graph->values[outputs[ADD_LAYER_NORM_OUT_mean]].requires_grad = false;
    graph->values[outputs[ADD_LAYER_NORM_OUT_rstd]].requires_grad = false;
    *sum = mcf_reshape(graph, s, mcf_value_shape(graph, x));
    return mcf_reshape(graph, y, mcf_value_shape(graph, x));
}

mcf_value mcf_l2_normalize(mcf_graph *graph, mcf_value x, int axis, double eps)
{
    mcf_attr attr = {.l2_normalize = {axis, eps}};
    return mcf_emit1(graph, MCF_OP_l2_normalize, &attr, &x, 1, mcf_value_dtype(graph, x));
}

mcf_value mcf_softmax(mcf_graph *graph, mcf_value x)
{
    return mcf_emit1(graph, MCF_OP_softmax, NULL, &x, 1, mcf_value_dtype(graph, x));
}

mcf_value mcf_attention(mcf_graph *graph, mcf_value qkv, double scale)
{
    mcf_attr attr = {.attention = {scale}};
    return mcf_emit_with_statistics(graph, MCF_OP_attention, &attr, &qkv, ATTENTION_INPUTS, mcf_value_dtype(graph, qkv),
                                    ATTENTION_OUT_lse);
}

mcf_value mcf_token_mse(mcf_graph *graph, mcf_value a, mcf_value b, double eps)
{
    mcf_attr attr = {.norm = {eps}};
    mcf_value in[] = {[TOKEN_MSE_IN_a] = a, [TOKEN_MSE_IN_b] = b};
    return mcf_emit_with_statistics(graph, MCF_OP_token_mse, &attr, in, TOKEN_MSE_INPUTS,
                                    mcf_statistics_dtype(graph, a), TOKEN_MSE_OUT_norm_a);
}

mcf_value mcf_cross_entropy(mcf_graph *graph, mcf_value logits, mcf_value labels)
{
    mcf_value in[] = {[CROSS_ENTROPY_IN_logits] = logits, [CROSS_ENTROPY_IN_labels] = labels};
    return mcf_emit_with_statistics(graph, MCF_OP_cross_entropy, NULL, in, CROSS_ENTROPY_INPUTS,
                                    mcf_statistics_dtype(graph, logits), CROSS_ENTROPY_OUT_lse);
}

mcf_value mcf_normalize_image(mcf_graph *graph, mcf_value image, mcf_value flip, const float mean[3],
                              const float std[3])
{
    mcf_attr attr = {.normalize_image = {{mean[0], mean[1], mean[2]}, {std[0], std[1], std[2]}}};
    mcf_value in[] = {[NORMALIZE_IMAGE_IN_image] = image, [NORMALIZE_IMAGE_IN_flip] = flip};
    return mcf_emit1(graph, MCF_OP_normalize_image, &attr, in, NORMALIZE_IMAGE_INPUTS, MCF_F32);
}

mcf_value mcf_resize_nearest(mcf_graph *graph, mcf_value x, int64_t height, int64_t width)
{
    mcf_attr attr = {.resize = {height, width}};
    return mcf_emit1(graph, MCF_OP_resize_nearest, &attr, &x, 1, mcf_value_dtype(graph, x));
}

// Alone, a collective has nothing to do and is left out.
mcf_value mcf_all_reduce(mcf_graph *graph, mcf_value x, mcf_reduce reduce)
{
    if (graph->world == 1)
        return x;
    mcf_attr attr = {.all_reduce = {reduce}};
    return mcf_emit1(graph, MCF_OP_all_reduce, &attr, &x, 1, mcf_value_dtype(graph, x));
}

mcf_value mcf_all_gather(mcf_graph *graph, mcf_value x)
{
    return graph->world == 1 ? x : mcf_emit1(graph, MCF_OP_all_gather, NULL, &x, 1, mcf_value_dtype(graph, x));
}

mcf_value mcf_reduce_scatter(mcf_graph *graph, mcf_value x)
{
    return graph->world == 1 ? x : mcf_emit1(graph, MCF_OP_reduce_scatter, NULL, &x, 1, mcf_value_dtype(graph, x));
}

// --- state

// The outputs of a node that changes the store in place are the store's own memory.
static void write_to(mcf_graph *graph, int node, mcf_value target)
{
    if (node < 0)
        return;
    graph->nodes[node].effect = true;
    mcf_graph_value *out = &graph->values[graph->nodes[node].out[0]];
    const mcf_graph_value *to = &graph->values[target];
    out->place = to->place;
    out->role = to->role;
    out->role_offset = to->role_offset + to->offset;
    out->requires_grad = false;
}

void mcf_ema(mcf_graph *graph, mcf_value target, mcf_value source, double momentum, double scale,
             mcf_value momentum_value)
{
    if (!mcf_graph_ok(graph) || target < 0 || source < 0)
        return;
    if (graph->values[graph->values[target].base].place != MCF_PLACE_MASTER) {
        mcf_graph_fail(graph, MCF_ERR_INTERNAL, "ema: the target is not in the store");
        return;
    }
    mcf_attr attr = {.ema = {momentum, scale}};
    mcf_value in[] = {
        [EMA_IN_target] = target, [EMA_IN_source] = mcf_detach(graph, source), [EMA_IN_momentum] = momentum_value};
    write_to(graph, mcf_emit(graph, MCF_OP_ema, &attr, in, EMA_INPUTS, MCF_F32), target);
}

void mcf_refresh_low_precision(mcf_graph *graph, const mcf_store *store, mcf_role role)
{
    if (!mcf_graph_ok(graph) || graph->compute == MCF_F32 || graph->compute == MCF_F64)
        return;
    if (!mcf_store_has_low(store, role))
        return;
    mcf_value master = mcf_role_slice(graph, store, role, 0, store->role_count[role]);
    int node = mcf_emit(graph, MCF_OP_copy, NULL, &master, 1, graph->compute);
    if (node < 0)
        return;
    graph->nodes[node].effect = true;
    mcf_graph_value *out = &graph->values[graph->nodes[node].out[0]];
    out->place = MCF_PLACE_LOW;
    out->role = role;
    out->role_offset = 0;
}
