// resize_bilinear and its gradient.
#include "backends/kernels/host.h"

static mcf_status resize(mcf_stream *stream, const char *kernel, const mcf_operand *in, const mcf_operand *out,
                         const mcf_operand *small, const mcf_operand *large, mcf_error *err)
{
    const int64_t *dim = out->shape.dim;
    dev_kernel_key key = {"bilinear.cl", kernel, in->dtype, DEV_NONE, DEV_NONE, out->dtype, "", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, in);
    dev_operand(&call, out);
    dev_int64(&call, small->shape.dim[1]);
    dev_int64(&call, small->shape.dim[2]);
    dev_int64(&call, large->shape.dim[1]);
    dev_int64(&call, large->shape.dim[2]);
    dev_int64(&call, dim[3]);
    return dev_run_items(&call, dim[2] * dim[3], dim[1], dim[0], err);
}

mcf_status dev_op_resize_bilinear(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[RESIZE_BILINEAR_IN_x], *y = &l->out[RESIZE_BILINEAR_OUT_y];
    return resize(stream, "resize_bilinear", x, y, x, y, err);
}

mcf_status dev_op_resize_bilinear_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *dy = &l->in[RESIZE_BILINEAR_GRAD_IN_dy], *dx = &l->out[RESIZE_BILINEAR_GRAD_OUT_dx];
    return resize(stream, "resize_bilinear_grad", dy, dx, dx, dy, err);
}
