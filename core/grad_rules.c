// One function an operation: what flows from the gradient of its outputs to its inputs. The formulas are in ops.def.
#include "core/grad_rules.h"

#include "core/grad_images.h"
#include "core/grad_parts.h"

// The gradient of the node's first output.
#define DY mcf_arrived(c, n->out[0])

// --- movement

RULE(copy)
{
    mcf_flow(c, n->in[COPY_IN_x], DY, false);
}

RULE(pad)
{
    const mcf_value x = n->in[PAD_IN_x];
    const int axis = n->attr.pad.axis;
    mcf_flow(c, x, mcf_slice(G, DY, axis, n->attr.pad.before, mcf_value_dim(G, x, axis)), false);
}

RULE(concat)
{
    const mcf_value a = n->in[CONCAT_IN_a], b = n->in[CONCAT_IN_b];
    int axis = n->attr.concat.axis;
    int64_t first = mcf_value_dim(G, a, axis);
    mcf_value dy = DY;
    if (mcf_wants_gradient(c, a))
        mcf_flow(c, a, mcf_slice(G, dy, axis, 0, first), false);
    if (mcf_wants_gradient(c, b))
        mcf_flow(c, b, mcf_slice(G, dy, axis, first, mcf_value_dim(G, b, axis)), false);
}

RULE(gather_rows)
{
    const mcf_value x = n->in[GATHER_ROWS_IN_x];
    mcf_attr attr = {.scatter_rows = {mcf_value_dim(G, x, 1)}};
    mcf_value in[] = {[SCATTER_ROWS_IN_x] = DY, [SCATTER_ROWS_IN_ids] = FORWARD(n->in[GATHER_ROWS_IN_ids])};
    mcf_flow(c, x, mcf_emit1(G, MCF_OP_scatter_rows, &attr, in, SCATTER_ROWS_INPUTS, TYPE(x)), true);
}

RULE(scatter_rows)
{
    mcf_flow(c, n->in[SCATTER_ROWS_IN_x], mcf_gather_rows(G, DY, FORWARD(n->in[SCATTER_ROWS_IN_ids])), true);
}

// --- elementwise

static void flow_scaled(mcf_backward_context *c, mcf_value input, mcf_value dy, double factor)
{
    if (!mcf_wants_gradient(c, input))
        return;
    if (factor == 1.0)
        mcf_flow(c, input, dy, false);
    else
        mcf_flow(c, input, mcf_scale(G, dy, factor, 0), true);
}

RULE(add)
{
    mcf_value dy = DY;
    flow_scaled(c, n->in[ADD_IN_a], dy, n->attr.add.alpha);
    flow_scaled(c, n->in[ADD_IN_b], dy, n->attr.add.beta);
}

RULE(mul)
{
    const mcf_value a = n->in[MUL_IN_a], b = n->in[MUL_IN_b], dy = DY;
    if (mcf_wants_gradient(c, a))
        mcf_flow(c, a, mcf_mul(G, dy, FORWARD(b)), true);
    if (mcf_wants_gradient(c, b))
        mcf_flow(c, b, mcf_mul(G, dy, FORWARD(a)), true);
}

RULE(scale)
{
    flow_scaled(c, n->in[SCALE_IN_x], DY, n->attr.scale.alpha);
}
// The sign of relu's output says as much as its input, and the output is kept anyway for the product that follows.
RULE(relu)
{
    mcf_value in[] = {[RELU_GRAD_IN_x] = FORWARD(n->out[RELU_OUT_y]), [RELU_GRAD_IN_dy] = DY};
    mcf_flow_one(c, n, RELU_IN_x, MCF_OP_relu_grad, in, RELU_GRAD_INPUTS);
}
RULE(gelu)
{
    mcf_value in[] = {[GELU_GRAD_IN_x] = FORWARD(n->in[GELU_IN_x]), [GELU_GRAD_IN_dy] = DY};
    mcf_flow_one(c, n, GELU_IN_x, MCF_OP_gelu_grad, in, GELU_GRAD_INPUTS);
}
RULE(sigmoid)
{
    mcf_value in[] = {[SIGMOID_GRAD_IN_y] = FORWARD(n->out[SIGMOID_OUT_y]), [SIGMOID_GRAD_IN_dy] = DY};
    mcf_flow_one(c, n, SIGMOID_IN_x, MCF_OP_sigmoid_grad, in, SIGMOID_GRAD_INPUTS);
}

// --- sums and products

RULE(reduce_sum)
{
    const mcf_value x = n->in[REDUCE_SUM_IN_x];
    mcf_value dy = mcf_cast(G, DY, TYPE(x));
    if (n->attr.reduce_sum.scale != 1.0)
        dy = mcf_scale(G, dy, n->attr.reduce_sum.scale, 0);
    mcf_flow(c, x, mcf_expand(G, dy, mcf_value_shape(G, x)), false);
}

RULE(matmul)
{
    bool ta = n->attr.matmul.trans_a, tb = n->attr.matmul.trans_b;
    mcf_value a = n->in[MATMUL_IN_a], b = n->in[MATMUL_IN_b], bias = mcf_input_or_none(n, MATMUL_IN_bias);
    mcf_value dy = DY;
    if (n->attr.matmul.activation == MCF_ACT_RELU) {
        mcf_value in[] = {[RELU_GRAD_IN_x] = FORWARD(n->out[MATMUL_OUT_out]), [RELU_GRAD_IN_dy] = dy};
        dy = mcf_emit1(G, MCF_OP_relu_grad, NULL, in, RELU_GRAD_INPUTS, TYPE(dy));
    } else if (n->attr.matmul.activation != MCF_ACT_NONE) {
        mcf_graph_fail(G, MCF_ERR_INTERNAL, "backward: a product with fused gelu has lost what its gradient needs");
        return;
    }
    const bool wants_a = mcf_wants_gradient(c, a), wants_b = mcf_wants_gradient(c, b);
    const mcf_value dp = wants_a || wants_b ? mcf_gradient_operand(c, dy, a, b) : dy;
    if (wants_a) {
        mcf_value fb = FORWARD(b);
        mcf_dtype type = mcf_weight_gradient_type(c, a);
        mcf_flow(c, a, ta ? mcf_matmul(G, fb, dp, tb, true, type) : mcf_matmul(G, dp, fb, false, !tb, type), true);
    }
    if (wants_b) {
        mcf_value fa = FORWARD(a);
        mcf_dtype type = mcf_weight_gradient_type(c, b);
        mcf_flow(c, b, tb ? mcf_matmul(G, dp, fa, true, ta, type) : mcf_matmul(G, fa, dp, !ta, false, type), true);
    }
    mcf_flow_bias(c, bias, dy);
}

// --- normalisation

// The gradient of a layer norm whose operands are the `in` of layer_norm_grad; `into` takes what flows to x.
static void flow_norm(mcf_backward_context *c, const mcf_graph_node *n, const mcf_value in[LAYER_NORM_GRAD_INPUTS],
                      mcf_value gamma, mcf_value beta, const mcf_value *into, int count)
{
    int node =
        mcf_emit(G, MCF_OP_layer_norm_grad, &n->attr, in, LAYER_NORM_GRAD_INPUTS, TYPE(in[LAYER_NORM_GRAD_IN_x]));
    if (node < 0)
        return;
    // Adding nodes moves G->nodes.
    mcf_value dx = G->nodes[node].out[LAYER_NORM_GRAD_OUT_dx], dgamma = G->nodes[node].out[LAYER_NORM_GRAD_OUT_dgamma];
    mcf_value dbeta = G->nodes[node].out[LAYER_NORM_GRAD_OUT_dbeta];
    // These get their gradients only where they are trained.
    mcf_flow(c, gamma, dgamma, true);
    mcf_flow(c, beta, dbeta, true);
    for (int i = 0; i < count; i++)
        mcf_flow(c, into[i], dx, false);
}

RULE(layer_norm)
{
    const mcf_value x = n->in[LAYER_NORM_IN_x], gamma = n->in[LAYER_NORM_IN_gamma];
    const mcf_value in[] = {
        [LAYER_NORM_GRAD_IN_x] = FORWARD(x),
        [LAYER_NORM_GRAD_IN_gamma] = gamma,
        [LAYER_NORM_GRAD_IN_mean] = FORWARD(n->out[LAYER_NORM_OUT_mean]),
        [LAYER_NORM_GRAD_IN_rstd] = FORWARD(n->out[LAYER_NORM_OUT_rstd]),
        [LAYER_NORM_GRAD_IN_dy] = DY,
        [LAYER_NORM_GRAD_IN_dsum] = MCF_NO_VALUE,
    };
    flow_norm(c, n, in, gamma, n->in[LAYER_NORM_IN_beta], &x, 1);
}

RULE(add_layer_norm)
{
    const mcf_value into[] = {n->in[ADD_LAYER_NORM_IN_x], n->in[ADD_LAYER_NORM_IN_r]};
    const mcf_value gamma = n->in[ADD_LAYER_NORM_IN_gamma], sum = n->out[ADD_LAYER_NORM_OUT_s];
    mcf_value dsum = mcf_arrived(c, sum), dy = mcf_arrived(c, n->out[ADD_LAYER_NORM_OUT_y]);
    if (dy < 0) { // only the sum is used
        for (int i = 0; i < 2; i++)
            mcf_flow(c, into[i], dsum, false);
        return;
    }
    const mcf_value in[] = {
        [LAYER_NORM_GRAD_IN_x] = FORWARD(sum),
        [LAYER_NORM_GRAD_IN_gamma] = gamma,
        [LAYER_NORM_GRAD_IN_mean] = FORWARD(n->out[ADD_LAYER_NORM_OUT_mean]),
        [LAYER_NORM_GRAD_IN_rstd] = FORWARD(n->out[ADD_LAYER_NORM_OUT_rstd]),
        [LAYER_NORM_GRAD_IN_dy] = dy,
        [LAYER_NORM_GRAD_IN_dsum] = dsum,
    };
    flow_norm(c, n, in, gamma, n->in[ADD_LAYER_NORM_IN_beta], into, 2);
}

// mean and var are functions of x: this is the whole gradient, through them too (Ioffe & Szegedy 2015, section 3).
RULE(batch_norm)
{
    mcf_value x = FORWARD(n->in[BATCH_NORM_IN_x]), mean = FORWARD(n->in[BATCH_NORM_IN_mean]),
              var = FORWARD(n->in[BATCH_NORM_IN_var]);
    mcf_value gamma = mcf_input_or_none(n, BATCH_NORM_IN_gamma), beta = mcf_input_or_none(n, BATCH_NORM_IN_beta);
    mcf_value dy = DY;
    const mcf_value summed[] = {[BATCH_NORM_SUMS_IN_x] = x,
                                [BATCH_NORM_SUMS_IN_mean] = mean,
                                [BATCH_NORM_SUMS_IN_var] = var,
                                [BATCH_NORM_SUMS_IN_dy] = dy};
    int sums =
        mcf_emit(G, MCF_OP_batch_norm_sums, &n->attr, summed, BATCH_NORM_SUMS_INPUTS, mcf_statistics_dtype(G, x));
    if (sums < 0)
        return;
    mcf_value mean_dy = G->nodes[sums].out[BATCH_NORM_SUMS_OUT_mean_dy];
    mcf_value mean_dy_xhat = G->nodes[sums].out[BATCH_NORM_SUMS_OUT_mean_dy_xhat];
    double rows = (double)mcf_value_dim(G, x, 1);
    mcf_dtype f = mcf_statistics_dtype(G, x);
    if (mcf_wants_gradient(c, gamma))
        mcf_flow(c, gamma, mcf_reshape(G, mcf_reduce_sum(G, mean_dy_xhat, 1u, rows, f), mcf_value_shape(G, gamma)),
                 true);
    if (mcf_wants_gradient(c, beta))
        mcf_flow(c, beta, mcf_reshape(G, mcf_reduce_sum(G, mean_dy, 1u, rows, f), mcf_value_shape(G, beta)), true);
    if (!mcf_wants_gradient(c, n->in[BATCH_NORM_IN_x]))
        return;
    if (n->sync) {
        mean_dy = mcf_all_reduce(G, mean_dy, MCF_REDUCE_MEAN);
        mean_dy_xhat = mcf_all_reduce(G, mean_dy_xhat, MCF_REDUCE_MEAN);
    }
    const mcf_value in[] = {[BATCH_NORM_GRAD_IN_x] = x,
                            [BATCH_NORM_GRAD_IN_mean] = mean,
                            [BATCH_NORM_GRAD_IN_var] = var,
                            [BATCH_NORM_GRAD_IN_dy] = dy,
                            [BATCH_NORM_GRAD_IN_mean_dy] = mean_dy,
                            [BATCH_NORM_GRAD_IN_mean_dy_xhat] = mean_dy_xhat,
                            [BATCH_NORM_GRAD_IN_gamma] = gamma};
    mcf_flow_one(c, n, BATCH_NORM_IN_x, MCF_OP_batch_norm_grad, in, BATCH_NORM_GRAD_INPUTS);
}

RULE(l2_normalize)
{
    mcf_value in[] = {[L2_NORMALIZE_GRAD_IN_x] = FORWARD(n->in[L2_NORMALIZE_IN_x]), [L2_NORMALIZE_GRAD_IN_dy] = DY};
    mcf_flow_one(c, n, L2_NORMALIZE_IN_x, MCF_OP_l2_normalize_grad, in, L2_NORMALIZE_GRAD_INPUTS);
}

// --- softmax and attention

RULE(softmax)
{
    mcf_value in[] = {[SOFTMAX_GRAD_IN_y] = FORWARD(n->out[SOFTMAX_OUT_y]), [SOFTMAX_GRAD_IN_dy] = DY};
    mcf_flow_one(c, n, SOFTMAX_IN_x, MCF_OP_softmax_grad, in, SOFTMAX_GRAD_INPUTS);
}

RULE(attention)
{
    const mcf_value in[] = {
        [ATTENTION_GRAD_IN_qkv] = FORWARD(n->in[ATTENTION_IN_qkv]),
        [ATTENTION_GRAD_IN_out] = FORWARD(n->out[ATTENTION_OUT_out]),
        [ATTENTION_GRAD_IN_lse] = FORWARD(n->out[ATTENTION_OUT_lse]),
        [ATTENTION_GRAD_IN_dout] = DY,
    };
    mcf_flow_one(c, n, ATTENTION_IN_qkv, MCF_OP_attention_grad, in, ATTENTION_GRAD_INPUTS);
}

// --- losses

RULE(token_mse)
{
    if (mcf_wants_gradient(c, n->in[TOKEN_MSE_IN_b])) {
        mcf_graph_fail(G, MCF_ERR_INTERNAL, "backward: the target of token_mse must be detached");
        return;
    }
    const mcf_value in[] = {
        [TOKEN_MSE_GRAD_IN_a] = FORWARD(n->in[TOKEN_MSE_IN_a]),
        [TOKEN_MSE_GRAD_IN_b] = FORWARD(n->in[TOKEN_MSE_IN_b]),
        [TOKEN_MSE_GRAD_IN_norm_a] = FORWARD(n->out[TOKEN_MSE_OUT_norm_a]),
        [TOKEN_MSE_GRAD_IN_norm_b] = FORWARD(n->out[TOKEN_MSE_OUT_norm_b]),
        [TOKEN_MSE_GRAD_IN_dloss] = DY,
    };
    mcf_flow_one(c, n, TOKEN_MSE_IN_a, MCF_OP_token_mse_grad, in, TOKEN_MSE_GRAD_INPUTS);
}

RULE(cross_entropy)
{
    const mcf_value in[] = {
        [CROSS_ENTROPY_GRAD_IN_logits] = FORWARD(n->in[CROSS_ENTROPY_IN_logits]),
        [CROSS_ENTROPY_GRAD_IN_labels] = FORWARD(n->in[CROSS_ENTROPY_IN_labels]),
        [CROSS_ENTROPY_GRAD_IN_lse] = FORWARD(n->out[CROSS_ENTROPY_OUT_lse]),
        [CROSS_ENTROPY_GRAD_IN_dloss] = DY,
    };
    mcf_flow_one(c, n, CROSS_ENTROPY_IN_logits, MCF_OP_cross_entropy_grad, in, CROSS_ENTROPY_GRAD_INPUTS);
}

// --- images

RULE(resize_nearest)
{
    const mcf_value x = n->in[RESIZE_NEAREST_IN_x], dy = DY;
    mcf_attr attr = {.resize = {mcf_value_dim(G, x, 1), mcf_value_dim(G, x, 2)}};
    mcf_flow(c, x, mcf_emit1(G, MCF_OP_resize_nearest_grad, &attr, &dy, 1, TYPE(x)), true);
}

// --- collectives: gradients of the sum of all members' losses; the store's gradients are averaged at the end.

RULE(all_reduce)
{
    mcf_value dy = DY;
    mcf_flow_one(c, n, ALL_REDUCE_IN_x, MCF_OP_all_reduce, &dy, 1);
}

RULE(all_gather)
{
    mcf_flow(c, n->in[ALL_GATHER_IN_x], mcf_reduce_scatter(G, DY), true);
}
RULE(reduce_scatter)
{
    mcf_flow(c, n->in[REDUCE_SCATTER_IN_x], mcf_all_gather(G, DY), true);
}

static const mcf_grad_rule rules[MCF_OP_COUNT] = {
    [MCF_OP_copy] = grad_copy,
    [MCF_OP_pad] = grad_pad,
    [MCF_OP_concat] = grad_concat,
    [MCF_OP_gather_rows] = grad_gather_rows,
    [MCF_OP_scatter_rows] = grad_scatter_rows,
    [MCF_OP_add] = grad_add,
    [MCF_OP_mul] = grad_mul,
    [MCF_OP_scale] = grad_scale,
    [MCF_OP_relu] = grad_relu,
    [MCF_OP_gelu] = grad_gelu,
    [MCF_OP_sigmoid] = grad_sigmoid,
    [MCF_OP_reduce_sum] = grad_reduce_sum,
    [MCF_OP_matmul] = grad_matmul,
    [MCF_OP_layer_norm] = grad_layer_norm,
    [MCF_OP_add_layer_norm] = grad_add_layer_norm,
    [MCF_OP_batch_norm] = grad_batch_norm,
    [MCF_OP_l2_normalize] = grad_l2_normalize,
    [MCF_OP_softmax] = grad_softmax,
    [MCF_OP_attention] = grad_attention,
    [MCF_OP_token_mse] = grad_token_mse,
    [MCF_OP_cross_entropy] = grad_cross_entropy,
    [MCF_OP_resize_nearest] = grad_resize_nearest,
    [MCF_OP_all_reduce] = grad_all_reduce,
    [MCF_OP_all_gather] = grad_all_gather,
    [MCF_OP_reduce_scatter] = grad_reduce_scatter,
};

mcf_grad_rule mcf_grad_rule_of(mcf_op op)
{
    return rules[op] ? rules[op] : mcf_grad_rule_of_images(op);
}
