// max_pool, adaptive_avg_pool and their gradients.
#include "backends/kernels/host.h"

// The struct `pool` of pool.cl.
typedef struct {
    int64_t height, width, channels, out_height, out_width, kernel, stride;
} pool;

static pool shape_of(const mcf_operand *image, const mcf_operand *pooled)
{
    const int64_t *large = image->shape.dim, *small = pooled->shape.dim;
    return (pool){
        .height = large[1], .width = large[2], .channels = large[3], .out_height = small[1], .out_width = small[2]};
}

// Item (x C + c, y, b) of `out` from one or two inputs.
static mcf_status run(mcf_stream *stream, const char *kernel, const char *define, const mcf_operand *a,
                      const mcf_operand *b, const mcf_operand *out, const pool *k, mcf_error *err)
{
    const int64_t *dim = out->shape.dim;
    dev_kernel_key key = {"pool.cl", kernel, a->dtype, b ? (int)b->dtype : DEV_NONE, DEV_NONE, out->dtype, define, 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, a);
    if (b)
        dev_operand(&call, b);
    dev_operand(&call, out);
    dev_bytes(&call, k, sizeof *k);
    return dev_run_items(&call, dim[2] * dim[3], dim[1], dim[0], err);
}

mcf_status dev_op_max_pool(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[MAX_POOL_IN_x], *y = &l->out[MAX_POOL_OUT_y];
    pool k = shape_of(x, y);
    k.kernel = l->attr.pool.kernel;
    k.stride = l->attr.pool.stride;
    return run(stream, "max_pool", "-DMCF_MAX_POOL", x, NULL, y, &k, err);
}

mcf_status dev_op_max_pool_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[MAX_POOL_GRAD_IN_x], *dy = &l->in[MAX_POOL_GRAD_IN_dy];
    pool k = shape_of(x, dy);
    k.kernel = l->attr.pool.kernel;
    k.stride = l->attr.pool.stride;
    return run(stream, "max_pool_grad", "-DMCF_MAX_POOL_GRAD", x, dy, &l->out[MAX_POOL_GRAD_OUT_dx], &k, err);
}

mcf_status dev_op_adaptive_avg_pool(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[ADAPTIVE_AVG_POOL_IN_x], *y = &l->out[ADAPTIVE_AVG_POOL_OUT_y];
    const pool k = shape_of(x, y);
    return run(stream, "adaptive_avg_pool", "-DMCF_ADAPTIVE_AVG_POOL", x, NULL, y, &k, err);
}

mcf_status dev_op_adaptive_avg_pool_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *dy = &l->in[ADAPTIVE_AVG_POOL_GRAD_IN_dy], *dx = &l->out[ADAPTIVE_AVG_POOL_GRAD_OUT_dx];
    const pool k = shape_of(dx, dy);
    return run(stream, "adaptive_avg_pool_grad", "-DMCF_ADAPTIVE_AVG_POOL", dy, NULL, dx, &k, err);
}
