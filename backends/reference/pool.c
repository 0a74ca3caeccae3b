// max_pool, adaptive_avg_pool, prelu and their gradients.
#include "backends/reference/reference.h"

#include <math.h>

// --- max_pool

// The element of x [B,H,W,C] that window (oy, ox) of image b and channel c shows: the first of the largest, NaN before all.
static int64_t largest(const ref_call *call, int64_t b, int64_t oy, int64_t ox, int64_t c)
{
    const int64_t *dim = ref_in_dim(call, MAX_POOL_IN_x);
    const int64_t kernel = call->launch->attr.pool.kernel, stride = call->launch->attr.pool.stride;
    int64_t best = -1;
    for (int64_t y = oy * stride; y < oy * stride + kernel && y < dim[1]; y++)
        for (int64_t x = ox * stride; x < ox * stride + kernel && x < dim[2]; x++) {
            int64_t at = ((b * dim[1] + y) * dim[2] + x) * dim[3] + c;
            double value = call->in[MAX_POOL_IN_x][at];
            if (best < 0 || value > call->in[MAX_POOL_IN_x][best] ||
                (isnan(value) && !isnan(call->in[MAX_POOL_IN_x][best])))
                best = at;
        }
    return best;
}

// `out`: the shape of the pooled images.
static void each_window(ref_call *call, const int64_t *out, void (*visit)(ref_call *, int64_t place, int64_t window))
{
    for (int64_t b = 0; b < out[0]; b++)
        for (int64_t y = 0; y < out[1]; y++)
            for (int64_t x = 0; x < out[2]; x++)
                for (int64_t c = 0; c < out[3]; c++)
                    visit(call, largest(call, b, y, x, c), ((b * out[1] + y) * out[2] + x) * out[3] + c);
}

static void take_largest(ref_call *call, int64_t place, int64_t window)
{
    call->out[MAX_POOL_OUT_y][window] = call->in[MAX_POOL_IN_x][place];
}

static void give_largest(ref_call *call, int64_t place, int64_t window)
{
    call->out[MAX_POOL_GRAD_OUT_dx][place] += call->in[MAX_POOL_GRAD_IN_dy][window];
}

mcf_status ref_max_pool(ref_call *call, mcf_error *err)
{
    each_window(call, ref_out_dim(call, MAX_POOL_OUT_y), take_largest);
    return MCF_OK;
}

mcf_status ref_max_pool_grad(ref_call *call, mcf_error *err)
{
    each_window(call, ref_in_dim(call, MAX_POOL_GRAD_IN_dy), give_largest);
    return MCF_OK;
}

// --- adaptive_avg_pool

// Bin i of `bins` over `size` places.
static void bin(int64_t i, int64_t size, int64_t bins, int64_t *begin, int64_t *end)
{
    *begin = i * size / bins;
    *end = ((i + 1) * size + bins - 1) / bins;
}

mcf_status ref_adaptive_avg_pool(ref_call *call, mcf_error *err)
{
    const int64_t *in = ref_in_dim(call, ADAPTIVE_AVG_POOL_IN_x), *out = ref_out_dim(call, ADAPTIVE_AVG_POOL_OUT_y);
    for (int64_t i = 0, count = mcf_shape_count(&call->launch->out[ADAPTIVE_AVG_POOL_OUT_y].shape); i < count; i++) {
        int64_t c = i % out[3], ox = i / out[3] % out[2], oy = i / out[3] / out[2] % out[1];
        int64_t b = i / out[3] / out[2] / out[1], top, bottom, left, right;
        bin(oy, in[1], out[1], &top, &bottom);
        bin(ox, in[2], out[2], &left, &right);
        double sum = 0;
        for (int64_t y = top; y < bottom; y++)
            for (int64_t x = left; x < right; x++)
                sum += call->in[ADAPTIVE_AVG_POOL_IN_x][((b * in[1] + y) * in[2] + x) * in[3] + c];
        call->out[ADAPTIVE_AVG_POOL_OUT_y][i] = sum / (double)((bottom - top) * (right - left));
    }
    return MCF_OK;
}

mcf_status ref_adaptive_avg_pool_grad(ref_call *call, mcf_error *err)
{
    const int64_t *dy = ref_in_dim(call, ADAPTIVE_AVG_POOL_GRAD_IN_dy),
                  *dx = ref_out_dim(call, ADAPTIVE_AVG_POOL_GRAD_OUT_dx);
    for (int64_t i = 0, count = ref_in_count(call, ADAPTIVE_AVG_POOL_GRAD_IN_dy); i < count; i++) {
        int64_t c = i % dy[3], ox = i / dy[3] % dy[2], oy = i / dy[3] / dy[2] % dy[1];
        int64_t b = i / dy[3] / dy[2] / dy[1], top, bottom, left, right;
        bin(oy, dx[1], dy[1], &top, &bottom);
        bin(ox, dx[2], dy[2], &left, &right);
        for (int64_t y = top; y < bottom; y++)
            for (int64_t x = left; x < right; x++)
                call->out[ADAPTIVE_AVG_POOL_GRAD_OUT_dx][((b * dx[1] + y) * dx[2] + x) * dx[3] + c] +=
                    call->in[ADAPTIVE_AVG_POOL_GRAD_IN_dy][i] / (double)((bottom - top) * (right - left));
    }
    return MCF_OK;
}

// --- prelu: x [R,C], slope [C]

mcf_status ref_prelu(ref_call *call, mcf_error *err)
{
    const int64_t channels = ref_in_dim(call, PRELU_IN_x)[1];
    for (int64_t i = 0, count = ref_in_count(call, PRELU_IN_x); i < count; i++) {
        double x = call->in[PRELU_IN_x][i];
        call->out[PRELU_OUT_y][i] = x > 0 ? x : call->in[PRELU_IN_slope][i % channels] * x;
    }
    return MCF_OK;
}

mcf_status ref_prelu_grad(ref_call *call, mcf_error *err)
{
    const int64_t channels = ref_in_dim(call, PRELU_GRAD_IN_x)[1];
    for (int64_t i = 0, count = ref_in_count(call, PRELU_GRAD_IN_x); i < count; i++) {
        double x = call->in[PRELU_GRAD_IN_x][i], dy = call->in[PRELU_GRAD_IN_dy][i];
        call->out[PRELU_GRAD_OUT_dx][i] = x > 0 ? dy : call->in[PRELU_GRAD_IN_slope][i % channels] * dy;
        call->out[PRELU_GRAD_OUT_dslope][i % channels] += x > 0 ? 0 : x * dy;
    }
    return MCF_OK;
}
