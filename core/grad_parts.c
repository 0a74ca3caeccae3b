#include "core/grad_parts.h"

void mcf_flow_one(mcf_backward_context *c, const mcf_graph_node *n, int input, mcf_op op, const mcf_value *in, int n_in)
{
    mcf_flow(c, n->in[input], mcf_emit1(G, op, &n->attr, in, n_in, TYPE(n->in[input])), true);
}

mcf_value mcf_input_or_none(const mcf_graph_node *n, int input)
{
    return input < n->n_in ? n->in[input] : MCF_NO_VALUE;
}

mcf_dtype mcf_weight_gradient_type(mcf_backward_context *c, mcf_value v)
{
    return TYPE(v) == MCF_F64 ? MCF_F64 : mcf_value_is_stored(G, v) ? MCF_F32 : TYPE(v);
}

// Matrix units take no mixed types, and dy is rounded once more, as autocast in other programs does.
mcf_value mcf_gradient_operand(mcf_backward_context *c, mcf_value dy, mcf_value a, mcf_value b)
{
    const bool small = TYPE(a) == TYPE(b) && (TYPE(a) == MCF_BF16 || TYPE(a) == MCF_F16);
    return small ? mcf_cast(G, dy, TYPE(a)) : dy;
}

void mcf_flow_bias(mcf_backward_context *c, mcf_value bias, mcf_value dy)
{
    if (!mcf_wants_gradient(c, bias))
        return;
    int rank = mcf_value_shape(G, dy).rank;
    mcf_value sum = mcf_reduce_sum(G, dy, (1u << (rank - 1)) - 1u, 1.0, mcf_statistics_dtype(G, dy));
    mcf_flow(c, bias, mcf_reshape(G, sum, mcf_value_shape(G, bias)), true);
}
