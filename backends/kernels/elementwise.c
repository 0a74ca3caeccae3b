// add, mul, scale, relu, gelu, sigmoid and the gradients of the last three.
#include "backends/kernels/host.h"

#include <string.h>

// `flat` and `strided` are the kernels for contiguous operands and others; strided NULL: all are contiguous.
static mcf_status pointwise(mcf_stream *stream, const mcf_launch *l, const char *flat, const char *strided,
                            double alpha, double beta, mcf_error *err)
{
    const mcf_operand *out = &l->out[ELEMENTWISE_OUT];
    const bool two = mcf_op_describe(l->op)->inputs == 2;
    const int64_t count = mcf_shape_count(&out->shape);
    if (!count)
        return MCF_OK;
    dev_layout s = {.rank = out->shape.rank};
    size_t bytes = sizeof(int64_t) * (size_t)s.rank;
    memcpy(s.dim, out->shape.dim, bytes);
    memcpy(s.a, l->in[ELEMENTWISE_IN_a].stride, bytes);
    memcpy(s.b, l->in[two ? ELEMENTWISE_IN_b : ELEMENTWISE_IN_a].stride, bytes);
    memcpy(s.out, out->stride, bytes);
    dev_layout_join(&s);
    const bool plain = !strided || (s.rank == 1 && s.a[0] == 1 && s.b[0] == 1);
    dev_kernel_key key = {"elementwise.cl",
                          plain ? flat : strided,
                          l->in[ELEMENTWISE_IN_a].dtype,
                          two ? (int)l->in[ELEMENTWISE_IN_b].dtype : DEV_NONE,
                          DEV_NONE,
                          out->dtype,
                          "",
                          0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, &l->in[ELEMENTWISE_IN_a]);
    if (two)
        dev_operand(&call, &l->in[ELEMENTWISE_IN_b]);
    dev_operand(&call, out);
    if (plain)
        dev_int64(&call, count);
    else
        dev_bytes(&call, &s, sizeof s);
    dev_float(&call, alpha);
    dev_float(&call, beta);
    return plain ? dev_run_items(&call, count, 1, 1, err)
                 : dev_run_items(&call, s.dim[s.rank - 1], dev_layout_rows(&s), 1, err);
}

mcf_status dev_op_add(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    return pointwise(stream, l, "add_flat", "add_strided", l->attr.add.alpha, l->attr.add.beta, err);
}

mcf_status dev_op_mul(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    return pointwise(stream, l, "mul_flat", "mul_strided", 0, 0, err);
}

mcf_status dev_op_scale(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    return pointwise(stream, l, "scale_flat", "scale_strided", l->attr.scale.alpha, l->attr.scale.beta, err);
}

mcf_status dev_op_relu(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    return pointwise(stream, l, "relu", NULL, 0, 0, err);
}

mcf_status dev_op_relu_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    return pointwise(stream, l, "relu_grad", NULL, 0, 0, err);
}

mcf_status dev_op_gelu(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    return pointwise(stream, l, "gelu", NULL, 0, 0, err);
}

mcf_status dev_op_gelu_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    return pointwise(stream, l, "gelu_grad", NULL, 0, 0, err);
}

mcf_status dev_op_sigmoid(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    return pointwise(stream, l, "sigmoid", NULL, 0, 0, err);
}

mcf_status dev_op_sigmoid_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    return pointwise(stream, l, "sigmoid_grad", NULL, 0, 0, err);
}
