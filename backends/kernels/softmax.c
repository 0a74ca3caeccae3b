// Softmax over the last axis, and its gradient.
#include "backends/kernels/host.h"

#define NONE DEV_NONE

// dy NULL: y from x; else dx from x = y.
static mcf_status softmax(mcf_stream *stream, const mcf_operand *x, const mcf_operand *dy, const mcf_operand *out,
                          const char *kernel, const char *define, mcf_error *err)
{
    const int64_t n = x->shape.dim[x->shape.rank - 1];
    dev_kernel_key key = {"softmax.cl", kernel, x->dtype, dy ? (int)dy->dtype : NONE, NONE, out->dtype, define, 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, x);
    if (dy)
        dev_operand(&call, dy);
    dev_operand(&call, out);
    dev_int64(&call, n);
    return dev_run_lines(&call, mcf_shape_count(&x->shape) / n, err);
}

mcf_status dev_op_softmax(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    return softmax(stream, &l->in[SOFTMAX_IN_x], NULL, &l->out[SOFTMAX_OUT_y], "softmax", "-DMCF_SOFTMAX", err);
}

mcf_status dev_op_softmax_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    return softmax(stream, &l->in[SOFTMAX_GRAD_IN_y], &l->in[SOFTMAX_GRAD_IN_dy], &l->out[SOFTMAX_GRAD_OUT_dx],
                   "softmax_grad", "-DMCF_SOFTMAX_GRAD", err);
}
