// Work of a call, from its shapes: for `mcf bench` and for memory-bound estimates.
#include "ops/node.h"

// Elements that are really there: a broadcast dimension (stride 0) holds one.
static double stored_elements(const mcf_operand *operand)
{
    double count = 1;
    for (int i = 0; i < operand->shape.rank; i++)
        count *= operand->stride[i] == 0 && operand->shape.dim[i] > 1 ? 1 : (double)operand->shape.dim[i];
    return count;
}

// 4 B H N^2 d: two products of N x N x d, two FLOPs a term.
static double attention_flops(const mcf_shape *qkv)
{
    const int64_t *x = qkv->dim;
    return 4.0 * (double)x[0] * (double)x[3] * (double)x[1] * (double)x[1] * (double)x[4];
}

// Two FLOPs for each weight of an output and each of its pixels.
static double conv2d_flops(const mcf_shape *out, const mcf_shape *weight)
{
    return 2.0 * (double)mcf_shape_count(out) * (double)(weight->dim[1] * weight->dim[2] * weight->dim[3]);
}

static double flops(const mcf_launch *l)
{
    const mcf_op_info *info = mcf_op_describe(l->op);
    switch (l->op) {
    case MCF_OP_matmul: {
        const mcf_shape *a = &l->in[MATMUL_IN_a].shape;
        double k = (double)a->dim[a->rank - (l->attr.matmul.trans_a ? 2 : 1)];
        return 2 * k * (double)mcf_shape_count(&l->out[MATMUL_OUT_out].shape);
    }
    case MCF_OP_attention:
        return attention_flops(&l->in[ATTENTION_IN_qkv].shape);
    case MCF_OP_attention_grad:
        // dv, dp, dq, dk and the scores, which are computed again: five products where attention has two.
        return 2.5 * attention_flops(&l->in[ATTENTION_GRAD_IN_qkv].shape);
    case MCF_OP_conv2d:
        return conv2d_flops(&l->out[CONV2D_OUT_y].shape, &l->in[CONV2D_IN_weight].shape);
    case MCF_OP_conv2d_grad_x:
        return conv2d_flops(&l->in[CONV2D_GRAD_X_IN_dy].shape, &l->in[CONV2D_GRAD_X_IN_weight].shape);
    case MCF_OP_conv2d_grad_weight:
        return conv2d_flops(&l->in[CONV2D_GRAD_WEIGHT_IN_dy].shape, &l->out[CONV2D_GRAD_WEIGHT_OUT_dweight].shape);
    // 8 for a resized logit and 8 for its softmax, twice on the way back.
    case MCF_OP_pixel_cross_entropy:
        return 16.0 * (double)mcf_shape_count(&l->in[PIXEL_CROSS_ENTROPY_IN_labels].shape) *
               (double)l->in[PIXEL_CROSS_ENTROPY_IN_logits].shape.dim[3];
    case MCF_OP_pixel_cross_entropy_grad:
        return 32.0 * (double)mcf_shape_count(&l->in[PIXEL_CROSS_ENTROPY_GRAD_IN_labels].shape) *
               (double)l->in[PIXEL_CROSS_ENTROPY_GRAD_IN_logits].shape.dim[3];
    default:
        break;
    }
    double largest = 0;
    for (int i = 0; i < l->n_in; i++)
        if (largest < (double)mcf_shape_count(&l->in[i].shape))
            largest = (double)mcf_shape_count(&l->in[i].shape);
    for (int i = 0; i < l->n_out; i++)
        if (largest < (double)mcf_shape_count(&l->out[i].shape))
            largest = (double)mcf_shape_count(&l->out[i].shape);
    return info->flops_per_element * largest;
}

// An input that is absent and an output that is not wanted have no buffer. Before buffers are placed none has
// one, and then an absent input shows by its rank 0.
static bool counts(const mcf_operand *operand, bool placed)
{
    return placed ? operand->buffer != NULL : operand->shape.rank > 0;
}

mcf_cost mcf_op_cost(const mcf_launch *launch)
{
    mcf_cost cost = {.flops = flops(launch)};
    bool placed = launch->out[0].buffer != NULL;
    for (int i = 0; i < launch->n_in; i++)
        if (counts(&launch->in[i], placed))
            cost.bytes += stored_elements(&launch->in[i]) * (double)mcf_dtype_size(launch->in[i].dtype);
    for (int i = 0; i < launch->n_out; i++)
        if (counts(&launch->out[i], placed)) {
            double bytes =
                (double)mcf_shape_count(&launch->out[i].shape) * (double)mcf_dtype_size(launch->out[i].dtype);
            cost.bytes += launch->accumulate >> i & 1 ? 2 * bytes : bytes;
        }
    // What is changed in place besides the output is written as well.
    const uint32_t changed = mcf_op_describe(launch->op)->changed;
    for (int i = 1; i < launch->n_in; i++)
        if (changed >> i & 1)
            cost.bytes += stored_elements(&launch->in[i]) * (double)mcf_dtype_size(launch->in[i].dtype);
    return cost;
}
