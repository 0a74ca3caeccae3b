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
    return dev_run_items(&call, dim[2], dim[1], dim[0] * 3, err);
}

static mcf_status resize(mcf_stream *stream, const mcf_launch *l, const char *kernel, const int64_t *small,
                         const int64_t *large, mcf_error *err)
{
    const int64_t *out = l->out[0].shape.dim;
    dev_kernel_key key = {"image.cl", kernel, l->in[0].dtype, NONE, NONE, l->out[0].dtype, "-DMCF_RESIZE_NEAREST", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, &l->in[0]);
    dev_operand(&call, &l->out[0]);
    dev_int64(&call, small[2]);
    dev_int64(&call, small[3]);
    dev_int64(&call, large[2]);
    dev_int64(&call, large[3]);
    return dev_run_items(&call, out[3], out[2], out[0] * out[1], err);
}

mcf_status dev_op_resize_nearest(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    return resize(stream, l, "resize_nearest", l->in[RESIZE_NEAREST_IN_x].shape.dim,
                  l->out[RESIZE_NEAREST_OUT_y].shape.dim, err);
}

mcf_status dev_op_resize_nearest_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    return resize(stream, l, "resize_nearest_grad", l->out[RESIZE_NEAREST_GRAD_OUT_dx].shape.dim,
                  l->in[RESIZE_NEAREST_GRAD_IN_dy].shape.dim, err);
}
