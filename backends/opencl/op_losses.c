// token_mse, cross_entropy, images, ema and adamw.
#include "backends/opencl/opencl.h"

#define NONE OCL_NONE

mcf_status ocl_op_token_mse(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *a = &l->in[0];
    const int64_t *dim = a->shape.dim;
    const int64_t strips = ocl_strips(stream->device, dim[2]);
    mcf_operand part;
    MCF_TRY(ocl_scratch(stream, 0, (uint64_t)(dim[0] * strips), &part, err));
    ocl_kernel_key key = {"losses.cl", "token_mse", a->dtype, l->in[1].dtype, NONE, NONE, "-DMCF_TOKEN_MSE", 0};
    ocl_call call;
    MCF_TRY(ocl_begin(&call, stream, &key, err));
    ocl_operand(&call, a);
    ocl_operand(&call, &l->in[1]);
    ocl_operand(&call, &part);
    ocl_operand(&call, ocl_wanted(l, 1) ? &l->out[1] : NULL);
    ocl_operand(&call, ocl_wanted(l, 2) ? &l->out[2] : NULL);
    ocl_int64(&call, dim[1]);
    ocl_int64(&call, dim[2]);
    ocl_int64(&call, strips);
    ocl_float(&call, l->attr.token_mse.eps);
    ocl_int(&call, ocl_wanted(l, 1) | ocl_wanted(l, 2) << 1);
    MCF_TRY(ocl_run_strips(&call, dim[2], dim[0], 1, err));
    return ocl_sum(stream, &part, 1, dim[0] * strips, 1, 1 / (double)mcf_shape_count(&a->shape), &l->out[0], false,
                   err);
}

mcf_status ocl_op_token_mse_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *a = &l->in[0];
    ocl_kernel_key key = {"losses.cl", "token_mse_grad", a->dtype, l->in[1].dtype, NONE, l->out[0].dtype,
                          "-DMCF_TOKEN_MSE_GRAD", 0};
    ocl_call call;
    MCF_TRY(ocl_begin(&call, stream, &key, err));
    for (int i = 0; i < 5; i++)
        ocl_operand(&call, &l->in[i]);
    ocl_operand(&call, &l->out[0]);
    ocl_int64(&call, a->shape.dim[1]);
    ocl_int64(&call, a->shape.dim[2]);
    ocl_float(&call, 2 / (double)mcf_shape_count(&a->shape));
    ocl_float(&call, l->attr.token_mse.eps * (1 + 1e-6));
    return ocl_run_strips(&call, a->shape.dim[2], a->shape.dim[0], 1, err);
}

mcf_status ocl_op_cross_entropy(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[0];
    const int64_t rows = x->shape.dim[0];
    mcf_operand part;
    MCF_TRY(ocl_scratch(stream, 0, (uint64_t)rows, &part, err));
    ocl_kernel_key key = {"losses.cl", "cross_entropy", x->dtype, NONE, NONE, NONE, "-DMCF_CROSS_ENTROPY", 0};
    ocl_call call;
    MCF_TRY(ocl_begin(&call, stream, &key, err));
    ocl_operand(&call, x);
    ocl_operand(&call, &l->in[1]);
    ocl_operand(&call, &part);
    ocl_operand(&call, ocl_wanted(l, 1) ? &l->out[1] : NULL);
    ocl_int64(&call, x->shape.dim[1]);
    ocl_int(&call, ocl_wanted(l, 1));
    MCF_TRY(ocl_run_lines(&call, rows, err));
    return ocl_sum(stream, &part, 1, rows, 1, 1 / (double)rows, &l->out[0], false, err);
}

mcf_status ocl_op_cross_entropy_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[0];
    ocl_kernel_key key = {"losses.cl", "cross_entropy_grad", x->dtype, NONE, NONE, l->out[0].dtype,
                          "-DMCF_CROSS_ENTROPY_GRAD", 0};
    ocl_call call;
    MCF_TRY(ocl_begin(&call, stream, &key, err));
    for (int i = 0; i < 4; i++)
        ocl_operand(&call, &l->in[i]);
    ocl_operand(&call, &l->out[0]);
    ocl_int64(&call, x->shape.dim[0]);
    ocl_int64(&call, x->shape.dim[1]);
    return ocl_run_items(&call, x->shape.dim[1], x->shape.dim[0], 1, err);
}

// --- images

mcf_status ocl_op_normalize_image(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const int64_t *dim = l->in[0].shape.dim;
    ocl_kernel_key key = {"images.cl", "normalize_image", NONE, NONE, NONE, l->out[0].dtype, "-DMCF_NORMALIZE_IMAGE",
                          0};
    ocl_call call;
    MCF_TRY(ocl_begin(&call, stream, &key, err));
    ocl_operand(&call, &l->in[0]);
    ocl_operand(&call, &l->in[1]);
    ocl_operand(&call, &l->out[0]);
    ocl_bytes(&call, &l->attr.normalize_image, 6 * sizeof(float));
    ocl_int64(&call, dim[1]);
    ocl_int64(&call, dim[2]);
    return ocl_run_items(&call, dim[2], dim[1], dim[0] * 3, err);
}

static mcf_status resize(mcf_stream *stream, const mcf_launch *l, const char *kernel, const int64_t *small,
                         const int64_t *large, mcf_error *err)
{
    const int64_t *out = l->out[0].shape.dim;
    ocl_kernel_key key = {"images.cl", kernel, l->in[0].dtype, NONE, NONE, l->out[0].dtype, "-DMCF_RESIZE_NEAREST", 0};
    ocl_call call;
    MCF_TRY(ocl_begin(&call, stream, &key, err));
    ocl_operand(&call, &l->in[0]);
    ocl_operand(&call, &l->out[0]);
    ocl_int64(&call, small[2]);
    ocl_int64(&call, small[3]);
    ocl_int64(&call, large[2]);
    ocl_int64(&call, large[3]);
    return ocl_run_items(&call, out[3], out[2], out[0] * out[1], err);
}

mcf_status ocl_op_resize_nearest(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    return resize(stream, l, "resize_nearest", l->in[0].shape.dim, l->out[0].shape.dim, err);
}

mcf_status ocl_op_resize_nearest_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    return resize(stream, l, "resize_nearest_grad", l->out[0].shape.dim, l->in[0].shape.dim, err);
}

// --- state

mcf_status ocl_op_ema(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *target = &l->in[0];
    ocl_kernel_key key = {"state.cl", "ema", target->dtype, l->in[1].dtype, NONE, NONE, "-DMCF_EMA", 0};
    ocl_call call;
    MCF_TRY(ocl_begin(&call, stream, &key, err));
    for (int i = 0; i < 3; i++)
        ocl_operand(&call, ocl_present(l, i) ? &l->in[i] : NULL);
    ocl_int64(&call, mcf_shape_count(&target->shape));
    ocl_float(&call, l->attr.ema.momentum);
    ocl_float(&call, l->attr.ema.scale);
    ocl_int(&call, ocl_present(l, 2));
    return ocl_run_items(&call, mcf_shape_count(&target->shape), 1, 1, err);
}

mcf_status ocl_op_adamw(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const int64_t n = mcf_shape_count(&l->in[0].shape), chunk = stream->device->tuning.group > 1 ? 4096 : 16384;
    ocl_kernel_key key = {"state.cl", "adamw", NONE, NONE, NONE, NONE, "-DMCF_ADAMW", 0};
    ocl_call call;
    MCF_TRY(ocl_begin(&call, stream, &key, err));
    for (int i = 0; i < 7; i++)
        ocl_operand(&call, &l->in[i]);
    ocl_int64(&call, n);
    ocl_int64(&call, chunk);
    ocl_int64(&call, l->in[4].shape.dim[0]);
    return ocl_run_lines(&call, (n + chunk - 1) / chunk, err);
}
