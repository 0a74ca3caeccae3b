// pixel_cross_entropy and its gradient.
#include "backends/kernels/host.h"

static void sizes(dev_call *call, const mcf_operand *logits, const mcf_operand *labels)
{
    dev_int64(call, logits->shape.dim[1]);
    dev_int64(call, logits->shape.dim[2]);
    dev_int64(call, logits->shape.dim[3]);
    dev_int64(call, labels->shape.dim[1]);
    dev_int64(call, labels->shape.dim[2]);
}

mcf_status dev_op_pixel_cross_entropy(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[PIXEL_CROSS_ENTROPY_IN_logits], *labels = &l->in[PIXEL_CROSS_ENTROPY_IN_labels];
    const int64_t *dim = labels->shape.dim, count = mcf_shape_count(&labels->shape);
    const bool wanted = dev_wanted(l, PIXEL_CROSS_ENTROPY_OUT_lse);
    mcf_operand part;
    dev_call call;
    MCF_TRY(dev_scratch(stream, 0, (uint64_t)count, &part, err));
    dev_kernel_key key = {"pixel_loss.cl", "pixel_cross_entropy",       x->dtype, DEV_NONE, DEV_NONE,
                          DEV_NONE,        "-DMCF_PIXEL_CROSS_ENTROPY", 0};
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, x);
    dev_operand(&call, labels);
    dev_operand(&call, &part);
    dev_operand(&call, wanted ? &l->out[PIXEL_CROSS_ENTROPY_OUT_lse] : NULL);
    sizes(&call, x, labels);
    dev_int(&call, wanted);
    MCF_TRY(dev_run_items(&call, dim[2], dim[1], dim[0], err));
    return dev_sum(stream, &part, 1, count, 1, 1 / (double)count, &l->out[PIXEL_CROSS_ENTROPY_OUT_loss], false, err);
}

mcf_status dev_op_pixel_cross_entropy_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[PIXEL_CROSS_ENTROPY_GRAD_IN_logits];
    const mcf_operand *labels = &l->in[PIXEL_CROSS_ENTROPY_GRAD_IN_labels];
    const mcf_operand *dx = &l->out[PIXEL_CROSS_ENTROPY_GRAD_OUT_dlogits];
    const int64_t *dim = x->shape.dim;
    dev_kernel_key key = {"pixel_loss.cl", "pixel_cross_entropy_grad",       x->dtype, DEV_NONE, DEV_NONE,
                          dx->dtype,       "-DMCF_PIXEL_CROSS_ENTROPY_GRAD", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, x);
    dev_operand(&call, labels);
    dev_operand(&call, &l->in[PIXEL_CROSS_ENTROPY_GRAD_IN_lse]);
    dev_operand(&call, &l->in[PIXEL_CROSS_ENTROPY_GRAD_IN_dloss]);
    dev_operand(&call, dx);
    sizes(&call, x, labels);
    dev_float(&call, 1 / (double)mcf_shape_count(&labels->shape));
    return dev_run_items(&call, dim[2] * dim[3], dim[1], dim[0], err);
}
