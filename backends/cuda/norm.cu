// Layer norm with and without the residual sum before it, and back: the formulas of kernels/norm.cl, for an fp32 input
// of up to 1024 columns (a multiple of 4).
//
// A warp has a row, in registers: 4 columns a lane and step, so that each operand is read once, by 16 bytes (8 in 16
// bits), where the shared kernels read it three times. Back, a warp walks over rows and keeps the sums for dgamma and
// dbeta of its columns; the warps of a block are added in order through shared memory, the blocks by dev_sum.
#include "backends/cuda/vector.h"

namespace
{

enum { WARPS = 8, THREADS = 32 * WARPS };

// The column at which a lane's vector number v begins.
#define COLUMN(v) (((v)*32 + lane) * 4)

// y = norm(x + other), or of x alone. wanted: bit 0 y, bit 1 mean, bit 2 rstd.
template <bool ADD, typename R, typename Y, int N>
__global__ void __launch_bounds__(THREADS)
    norm_rows(const grid_shape grid_, const float *x, I64 x_at, const R *other, I64 other_at, const float *gamma,
              I64 gamma_at, const float *beta, I64 beta_at, float *total, I64 total_at, Y *y, I64 y_at, float *mean,
              I64 mean_at, float *rstd, I64 rstd_at, I64 rows, int width, float eps, int wanted)
{
    const int lane = (int)threadIdx.x % 32;
    const I64 row = GROUP_ID(0) * WARPS + threadIdx.x / 32;
    float value[N][4], sum = 0, squares = 0;
    if (row >= rows)
        return;
    x += x_at + row * width;
    other += other_at + row * width;
#pragma unroll
    for (int v = 0; v < N; v++) {
        value[v][0] = value[v][1] = value[v][2] = value[v][3] = 0;
        if (COLUMN(v) < width) {
            load_packed(value[v], x + COLUMN(v));
            if (ADD) {
                float r[4];
                load_packed(r, other + COLUMN(v));
#pragma unroll
                for (int i = 0; i < 4; i++)
                    value[v][i] += r[i];
                store_packed(total + total_at + row * width + COLUMN(v), value[v]);
            }
        }
        sum += (value[v][0] + value[v][1]) + (value[v][2] + value[v][3]);
    }
    const float m = warp_sum(sum) / (float)width;
#pragma unroll
    for (int v = 0; v < N; v++)
        if (COLUMN(v) < width) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                value[v][i] -= m;
                squares = fmaf(value[v][i], value[v][i], squares);
            }
        }
    const float s = 1.0f / sqrtf(warp_sum(squares) / (float)width + eps);
    if (wanted & 1) {
#pragma unroll
        for (int v = 0; v < N; v++)
            if (COLUMN(v) < width) {
                float g[4], b[4];
                load_packed(g, gamma + gamma_at + COLUMN(v));
                load_packed(b, beta + beta_at + COLUMN(v));
#pragma unroll
                for (int i = 0; i < 4; i++)
                    g[i] = fmaf(value[v][i] * s, g[i], b[i]);
                store_packed(y + y_at + row * width + COLUMN(v), g);
            }
    }
    if (lane == 0) {
        if (wanted & 2)
            mean[mean_at + row] = m;
        if (wanted & 4)
            rstd[rstd_at + row] = s;
    }
}

// dx, and sums of this block's rows into part [2, blocks, width]. has: dsum is there; sums: part is wanted. Long: a row
// stays in registers from its sums to dx.
template <typename D, int N>
__global__ void __launch_bounds__(THREADS)
    norm_rows_grad(const grid_shape grid_, const float *x, I64 x_at, const float *gamma, I64 gamma_at,
                   const float *mean, I64 mean_at, const float *rstd, I64 rstd_at, const D *dy, I64 dy_at,
                   const float *dsum, I64 dsum_at, float *dx, I64 dx_at, float *part, I64 part_at, I64 rows, int width,
                   int has, int sums)
{
    // Long, since a row's values stay in registers over both of its passes.
    SHARED_ALIGNED(float, room, WARPS * 128);
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    float of_gamma[N][4], of_beta[N][4];
#pragma unroll
    for (int v = 0; v < N; v++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            of_gamma[v][i] = of_beta[v][i] = 0;
    for (I64 row = GROUP_ID(0) * WARPS + warp; row < rows; row += GROUP_COUNT(0) * WARPS) {
        const float m = mean[mean_at + row], s = rstd[rstd_at + row];
        float hat[N][4], g[N][4], sum = 0, along = 0;
#pragma unroll
        for (int v = 0; v < N; v++) {
#pragma unroll
            for (int i = 0; i < 4; i++)
                hat[v][i] = g[v][i] = 0;
            if (COLUMN(v) < width) {
                float factor[4];
                load_packed(hat[v], x + x_at + row * width + COLUMN(v));
                load_packed(g[v], dy + dy_at + row * width + COLUMN(v));
                load_packed(factor, gamma + gamma_at + COLUMN(v));
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    hat[v][i] = (hat[v][i] - m) * s;
                    of_gamma[v][i] = fmaf(g[v][i], hat[v][i], of_gamma[v][i]);
                    of_beta[v][i] += g[v][i];
                    g[v][i] *= factor[i];
                    sum += g[v][i];
                    along = fmaf(g[v][i], hat[v][i], along);
                }
            }
        }
        const float mean_g = warp_sum(sum) / (float)width, mean_gx = warp_sum(along) / (float)width;
#pragma unroll
        for (int v = 0; v < N; v++)
            if (COLUMN(v) < width) {
                float d[4] = {0, 0, 0, 0};
                if (has)
                    load_packed(d, dsum + dsum_at + row * width + COLUMN(v));
#pragma unroll
                for (int i = 0; i < 4; i++)
                    d[i] += s * (g[v][i] - mean_g - hat[v][i] * mean_gx);
                store_packed(dx + dx_at + row * width + COLUMN(v), d);
            }
    }
    if (!sums)
        return;
    part += part_at + GROUP_ID(0) * width;
#pragma unroll
    for (int v = 0; v < N; v++)
#pragma unroll
        for (int which = 0; which < 2; which++) {
            __syncthreads();
            store_packed(room + warp * 128 + lane * 4, which ? of_beta[v] : of_gamma[v]);
            __syncthreads();
            const int c = v * 128 + (int)threadIdx.x;
            if (threadIdx.x < 128 && c < width) {
                float sum = 0;
#pragma unroll
                for (int w = 0; w < WARPS; w++)
                    sum += room[w * 128 + threadIdx.x];
                part[which * GROUP_COUNT(0) * width + c] = sum;
            }
        }
}

} // namespace

// A row of the table for each number of vectors a lane may have.
#define EACH_SIZE(name, r, y, ...)                                                                                     \
    {name "_2", {MCF_F32, r, y, -1}, MCF_CUDA_KERNEL((__VA_ARGS__, 2 >))},                                             \
        {name "_4", {MCF_F32, r, y, -1}, MCF_CUDA_KERNEL((__VA_ARGS__, 4 >))},                                         \
        {name "_6", {MCF_F32, r, y, -1}, MCF_CUDA_KERNEL((__VA_ARGS__, 6 >))},                                         \
    {                                                                                                                  \
        name "_8", {MCF_F32, r, y, -1}, MCF_CUDA_KERNEL((__VA_ARGS__, 8 >))                                            \
    }

extern "C" cuda_kernel_table cuda_kernels_norm_rows(void)
{
    static const cuda_kernel rows[] = {
        EACH_SIZE("norm_rows", -1, MCF_F32, norm_rows < false, float, float),
        EACH_SIZE("norm_rows", -1, MCF_F16, norm_rows < false, float, __half),
        EACH_SIZE("norm_rows", -1, MCF_BF16, norm_rows < false, float, __nv_bfloat16),
        EACH_SIZE("add_norm_rows", MCF_F32, MCF_F32, norm_rows < true, float, float),
        EACH_SIZE("add_norm_rows", MCF_F16, MCF_F16, norm_rows < true, __half, __half),
        EACH_SIZE("add_norm_rows", MCF_F16, MCF_F32, norm_rows < true, __half, float),
        EACH_SIZE("add_norm_rows", MCF_BF16, MCF_BF16, norm_rows < true, __nv_bfloat16, __nv_bfloat16),
        EACH_SIZE("add_norm_rows", MCF_BF16, MCF_F32, norm_rows < true, __nv_bfloat16, float),
        EACH_SIZE("norm_rows_grad", MCF_F32, -1, norm_rows_grad < float),
        EACH_SIZE("norm_rows_grad", MCF_F16, -1, norm_rows_grad < __half),
        EACH_SIZE("norm_rows_grad", MCF_BF16, -1, norm_rows_grad < __nv_bfloat16),
    };
    return {rows, (int)(sizeof rows / sizeof *rows)};
}
