// One function an operation: what flows from the gradient of its outputs to its inputs. The formulas are in ops.def.
#include "core/graph_internal.h"

#define G mcf_backward_graph(c)
#define RULE(name) static void grad_##name(mcf_backward_context *c, const mcf_graph_node *n)
#define FORWARD(value) mcf_forward(c, value)
#define TYPE(value) mcf_value_dtype(G, value)

// The gradient of the node's first output.
#define DY mcf_arrived(c, n->out[0])

// One operation whose first output flows into the node's first input.
static void flow_one(mcf_backward_context *c, const mcf_graph_node *n, mcf_op op, const mcf_value *in, int n_in)
{
    mcf_flow(c, n->in[0], mcf_emit1(G, op, &n->attr, in, n_in, TYPE(n->in[0])), true);
}

// --- movement

RULE(copy)
{
    mcf_flow(c, n->in[0], DY, false);
}

RULE(pad)
{
    int axis = n->attr.pad.axis;
    mcf_flow(c, n->in[0], mcf_slice(G, DY, axis, n->attr.pad.before, mcf_value_dim(G, n->in[0], axis)), false);
}

RULE(concat)
{
    int axis = n->attr.concat.axis;
    int64_t first = mcf_value_dim(G, n->in[0], axis);
    mcf_value dy = DY;
    if (mcf_wants_gradient(c, n->in[0]))
        mcf_flow(c, n->in[0], mcf_slice(G, dy, axis, 0, first), false);
    if (mcf_wants_gradient(c, n->in[1]))
        mcf_flow(c, n->in[1], mcf_slice(G, dy, axis, first, mcf_value_dim(G, n->in[1], axis)), false);
}

RULE(gather_rows)
{
    mcf_attr attr = {.scatter_rows = {mcf_value_dim(G, n->in[0], 1)}};
    mcf_flow(c, n->in[0],
             mcf_emit1(G, MCF_OP_scatter_rows, &attr, (mcf_value[]){DY, FORWARD(n->in[1])}, 2, TYPE(n->in[0])), true);
}

RULE(scatter_rows)
{
    mcf_flow(c, n->in[0], mcf_gather_rows(G, DY, FORWARD(n->in[1])), true);
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
    flow_scaled(c, n->in[0], dy, n->attr.add.alpha);
    flow_scaled(c, n->in[1], dy, n->attr.add.beta);
}

RULE(mul)
{
    mcf_value dy = DY;
    for (int i = 0; i < 2; i++)
        if (mcf_wants_gradient(c, n->in[i]))
            mcf_flow(c, n->in[i], mcf_mul(G, dy, FORWARD(n->in[1 - i])), true);
}

RULE(scale)
{
    flow_scaled(c, n->in[0], DY, n->attr.scale.alpha);
}
// The sign of relu's output says as much as its input, and the output is kept anyway for the product that follows.
RULE(relu)
{
    flow_one(c, n, MCF_OP_relu_grad, (mcf_value[]){FORWARD(n->out[0]), DY}, 2);
}
RULE(gelu)
{
    flow_one(c, n, MCF_OP_gelu_grad, (mcf_value[]){FORWARD(n->in[0]), DY}, 2);
}
RULE(sigmoid)
{
    flow_one(c, n, MCF_OP_sigmoid_grad, (mcf_value[]){FORWARD(n->out[0]), DY}, 2);
}

// --- sums and products

RULE(reduce_sum)
{
    mcf_value dy = mcf_cast(G, DY, TYPE(n->in[0]));
    if (n->attr.reduce_sum.scale != 1.0)
        dy = mcf_scale(G, dy, n->attr.reduce_sum.scale, 0);
    mcf_flow(c, n->in[0], mcf_expand(G, dy, mcf_value_shape(G, n->in[0])), false);
}

// Gradients of stored weights leave the product in fp32, straight into the store.
static mcf_dtype weight_gradient_type(mcf_backward_context *c, mcf_value v)
{
    return TYPE(v) == MCF_F64 ? MCF_F64 : mcf_value_is_stored(G, v) ? MCF_F32 : TYPE(v);
}

// dy as the products of a gradient read it: in the type of what the forward product read, where that was 16 bits. Matrix
// units take no mixed types, and dy is rounded once more, as autocast in other programs does.
static mcf_value gradient_operand(mcf_backward_context *c, mcf_value dy, mcf_value a, mcf_value b)
{
    const bool small = TYPE(a) == TYPE(b) && (TYPE(a) == MCF_BF16 || TYPE(a) == MCF_F16);
    return small ? mcf_cast(G, dy, TYPE(a)) : dy;
}

RULE(matmul)
{
    bool ta = n->attr.matmul.trans_a, tb = n->attr.matmul.trans_b;
    mcf_value a = n->in[0], b = n->in[1], bias = n->n_in > 2 ? n->in[2] : MCF_NO_VALUE;
    mcf_value dy = DY;
    if (n->attr.matmul.activation == MCF_ACT_RELU) {
        mcf_value in[2] = {FORWARD(n->out[0]), dy};
        dy = mcf_emit1(G, MCF_OP_relu_grad, NULL, in, 2, TYPE(dy));
    } else if (n->attr.matmul.activation != MCF_ACT_NONE) {
        mcf_graph_fail(G, MCF_ERR_INTERNAL, "backward: a product with fused gelu has lost what its gradient needs");
        return;
    }
    const bool wants_a = mcf_wants_gradient(c, a), wants_b = mcf_wants_gradient(c, b);
    const mcf_value dp = wants_a || wants_b ? gradient_operand(c, dy, a, b) : dy;
    if (wants_a) {
        mcf_value fb = FORWARD(b);
        mcf_dtype type = weight_gradient_type(c, a);
        mcf_flow(c, a, ta ? mcf_matmul(G, fb, dp, tb, true, type) : mcf_matmul(G, dp, fb, false, !tb, type), true);
    }
    if (wants_b) {
        mcf_value fa = FORWARD(a);
        mcf_dtype type = weight_gradient_type(c, b);
        mcf_flow(c, b, tb ? mcf_matmul(G, dp, fa, true, ta, type) : mcf_matmul(G, fa, dp, !ta, false, type), true);
    }
    if (mcf_wants_gradient(c, bias)) {
        int rank = mcf_value_shape(G, dy).rank;
        mcf_value sum = mcf_reduce_sum(G, dy, (1u << (rank - 1)) - 1u, 1.0, mcf_statistics_dtype(G, dy));
        mcf_flow(c, bias, mcf_reshape(G, sum, mcf_value_shape(G, bias)), true);
    }
}

// --- normalisation

// gamma and beta get their gradients only where they are trained.
static void flow_norm(mcf_backward_context *c, const mcf_graph_node *n, mcf_value x, mcf_value gamma, mcf_value beta,
                      mcf_value mean, mcf_value rstd, mcf_value dy, mcf_value dsum, mcf_value also)
{
    mcf_value in[6] = {x, gamma, mean, rstd, dy, dsum};
    int node = mcf_emit(G, MCF_OP_layer_norm_grad, &n->attr, in, 6, TYPE(x));
    if (node < 0)
        return;
    mcf_value dx = G->nodes[node].out[0], dgamma = G->nodes[node].out[1], dbeta = G->nodes[node].out[2];
    mcf_flow(c, gamma, dgamma, true);
    mcf_flow(c, beta, dbeta, true);
    mcf_flow(c, n->in[0], dx, false);
    mcf_flow(c, also, dx, false);
}

RULE(layer_norm)
{
    flow_norm(c, n, FORWARD(n->in[0]), n->in[1], n->in[2], FORWARD(n->out[1]), FORWARD(n->out[2]), DY, MCF_NO_VALUE,
              MCF_NO_VALUE);
}

RULE(add_layer_norm)
{
    mcf_value dsum = mcf_arrived(c, n->out[0]), dy = mcf_arrived(c, n->out[1]);
    if (dy < 0) { // only the sum is used
        mcf_flow(c, n->in[0], dsum, false);
        mcf_flow(c, n->in[1], dsum, false);
        return;
    }
    flow_norm(c, n, FORWARD(n->out[0]), n->in[2], n->in[3], FORWARD(n->out[2]), FORWARD(n->out[3]), dy, dsum, n->in[1]);
}

// mean and var are functions of x: this is the whole gradient, through them too (Ioffe & Szegedy 2015, section 3).
RULE(batch_norm)
{
    mcf_value x = FORWARD(n->in[0]), mean = FORWARD(n->in[1]), var = FORWARD(n->in[2]);
    mcf_value gamma = n->n_in > 3 ? n->in[3] : MCF_NO_VALUE, beta = n->n_in > 4 ? n->in[4] : MCF_NO_VALUE;
    mcf_value dy = DY;
    int sums =
        mcf_emit(G, MCF_OP_batch_norm_sums, &n->attr, (mcf_value[]){x, mean, var, dy}, 4, mcf_statistics_dtype(G, x));
    if (sums < 0)
        return;
    mcf_value mean_dy = G->nodes[sums].out[0], mean_dy_xhat = G->nodes[sums].out[1];
    double rows = (double)mcf_value_dim(G, x, 1);
    mcf_dtype f = mcf_statistics_dtype(G, x);
    if (mcf_wants_gradient(c, gamma))
        mcf_flow(c, gamma, mcf_reshape(G, mcf_reduce_sum(G, mean_dy_xhat, 1u, rows, f), mcf_value_shape(G, gamma)),
                 true);
    if (mcf_wants_gradient(c, beta))
        mcf_flow(c, beta, mcf_reshape(G, mcf_reduce_sum(G, mean_dy, 1u, rows, f), mcf_value_shape(G, beta)), true);
    if (!mcf_wants_gradient(c, n->in[0]))
        return;
    if (n->sync) {
        mean_dy = mcf_all_reduce(G, mean_dy, MCF_REDUCE_MEAN);
        mean_dy_xhat = mcf_all_reduce(G, mean_dy_xhat, MCF_REDUCE_MEAN);
    }
    mcf_value in[7] = {x, mean, var, dy, mean_dy, mean_dy_xhat, gamma};
    flow_one(c, n, MCF_OP_batch_norm_grad, in, 7);
}

RULE(l2_normalize)
{
    flow_one(c, n, MCF_OP_l2_normalize_grad, (mcf_value[]){FORWARD(n->in[0]), DY}, 2);
}

// --- softmax and attention

RULE(softmax)
{
    flow_one(c, n, MCF_OP_softmax_grad, (mcf_value[]){FORWARD(n->out[0]), DY}, 2);
}

RULE(attention)
{
    mcf_value in[4] = {FORWARD(n->in[0]), FORWARD(n->out[0]), FORWARD(n->out[1]), DY};
    flow_one(c, n, MCF_OP_attention_grad, in, 4);
}

// --- losses

RULE(token_mse)
{
    if (mcf_wants_gradient(c, n->in[1])) {
        mcf_graph_fail(G, MCF_ERR_INTERNAL, "backward: the target of token_mse must be detached");
        return;
    }
    mcf_value in[5] = {FORWARD(n->in[0]), FORWARD(n->in[1]), FORWARD(n->out[1]), FORWARD(n->out[2]), DY};
    flow_one(c, n, MCF_OP_token_mse_grad, in, 5);
}

RULE(cross_entropy)
{
    mcf_value in[4] = {FORWARD(n->in[0]), FORWARD(n->in[1]), FORWARD(n->out[1]), DY};
    flow_one(c, n, MCF_OP_cross_entropy_grad, in, 4);
}

// --- images

RULE(resize_nearest)
{
    mcf_attr attr = {.resize = {mcf_value_dim(G, n->in[0], 2), mcf_value_dim(G, n->in[0], 3)}};
    mcf_value dy = DY;
    mcf_flow(c, n->in[0], mcf_emit1(G, MCF_OP_resize_nearest_grad, &attr, &dy, 1, TYPE(n->in[0])), true);
}

// --- collectives: gradients of the sum of all members' losses; the store's gradients are averaged at the end.

RULE(all_reduce)
{
    mcf_value dy = DY;
    flow_one(c, n, MCF_OP_all_reduce, &dy, 1);
}

RULE(all_gather)
{
    mcf_flow(c, n->in[0], mcf_reduce_scatter(G, DY), true);
}
RULE(reduce_scatter)
{
    mcf_flow(c, n->in[0], mcf_all_gather(G, DY), true);
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
    return rules[op];
}
