// normalize_image, resize_nearest and its gradient.
#include "backends/kernels/host.h"

#define NONE DEV_NONE

mcf_status dev_op_normalize_image(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const int64_t *dim = l->in[NORMALIZE_IMAGE_IN_image].shape.dim;
    dev_kernel_key key = {
        "image.cl", "normalize_image", NONE, NONE, NONE, l->out[NORMALIZE_IMAGE_OUT_out].dtype, "-DMCF_NORMALIZE_IMAGE",
        0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, &l->in[NORMALIZE_IMAGE_IN_image]);
    dev_operand(&call, &l->in[NORMALIZE_IMAGE_IN_flip]);
    dev_operand(&call, &l->out[NORMALIZE_IMAGE_OUT_out]);
    dev_bytes(&call, &l->attr.normalize_image, 6 * sizeof(float));
    dev_int64(&call, dim[1]);
    dev_int64(&call, dim[2]);
    return dev_run_items(&call, 3 * dim[2], dim[1], dim[0], err);
}

static mcf_status resize(mcf_stream *stream, const char *kernel, const mcf_operand *in, const mcf_operand *out,
                         const mcf_operand *small, const mcf_operand *large, mcf_error *err)
{
    const int64_t *dim = out->shape.dim;
    dev_kernel_key key = {"image.cl", kernel, in->dtype, NONE, NONE, out->dtype, "-DMCF_RESIZE_NEAREST", 0};
    dev_call call;
    if (!dim[3])
        return MCF_OK;
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

mcf_status dev_op_resize_nearest(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[RESIZE_NEAREST_IN_x], *y = &l->out[RESIZE_NEAREST_OUT_y];
    return resize(stream, "resize_nearest", x, y, x, y, err);
}

mcf_status dev_op_resize_nearest_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *dy = &l->in[RESIZE_NEAREST_GRAD_IN_dy], *dx = &l->out[RESIZE_NEAREST_GRAD_OUT_dx];
    return resize(stream, "resize_nearest_grad", dy, dx, dx, dy, err);
}
