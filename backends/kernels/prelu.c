// prelu and its gradient.
#include "backends/kernels/host.h"

mcf_status dev_op_prelu(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[PRELU_IN_x], *y = &l->out[PRELU_OUT_y];
    const int64_t count = mcf_shape_count(&x->shape);
    dev_kernel_key key = {"prelu.cl", "prelu", x->dtype, DEV_NONE, DEV_NONE, y->dtype, "-DMCF_PRELU", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, x);
    dev_operand(&call, &l->in[PRELU_IN_slope]);
    dev_operand(&call, y);
    dev_int64(&call, count);
    dev_int64(&call, x->shape.dim[1]);
    return dev_run_items(&call, count, 1, 1, err);
}

mcf_status dev_op_prelu_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[PRELU_GRAD_IN_x], *dy = &l->in[PRELU_GRAD_IN_dy], *dx = &l->out[PRELU_GRAD_OUT_dx];
    const mcf_operand *dslope = &l->out[PRELU_GRAD_OUT_dslope];
    const int64_t count = mcf_shape_count(&x->shape), rows = x->shape.dim[0], channels = x->shape.dim[1];
    const bool wanted = dev_wanted(l, PRELU_GRAD_OUT_dslope), add = l->accumulate >> PRELU_GRAD_OUT_dslope & 1u;
    mcf_operand terms = {0};
    if (wanted && rows)
        MCF_TRY(dev_scratch(stream, 0, (uint64_t)count, &terms, err));
    dev_kernel_key key = {"prelu.cl", "prelu_grad", x->dtype, dy->dtype, DEV_NONE, dx->dtype, "-DMCF_PRELU_GRAD", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, x);
    dev_operand(&call, &l->in[PRELU_GRAD_IN_slope]);
    dev_operand(&call, dy);
    dev_operand(&call, dx);
    dev_operand(&call, wanted ? &terms : NULL);
    dev_int64(&call, count);
    dev_int64(&call, channels);
    dev_int(&call, wanted);
    MCF_TRY(dev_run_items(&call, count, 1, 1, err));
    if (wanted && rows)
        return dev_sum(stream, &terms, 1, rows, channels, 1, dslope, add, err);
    return wanted && !add ? dev_zero(stream, dslope->buffer, dslope->offset, (uint64_t)channels * sizeof(float), err)
                          : MCF_OK;
}
