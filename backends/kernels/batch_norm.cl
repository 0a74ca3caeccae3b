// Batch norm (Ioffe & Szegedy 2015) over R of [G,R,C], in the parts that a group of devices shares:
//   batch_variance   mean over R of (x - mean)^2
//   batch_norm       (x - mean)/sqrt(var + eps) gamma + beta
//   batch_norm_sums  mean over R of dy, mean over R of dy xhat
//   batch_norm_grad  gamma rstd (dy - mean_dy - xhat mean_dy_xhat)
// Statistics are [G,1,C] and come from their two passes: the mean first, then the centred squares.
#include "device.h"

#if defined(MCF_BATCH_VARIANCE)
KERNEL void batch_variance(GRID INPUT(T0, x), INPUT(f32, mean), TENSOR(f32, out), I64 rows, I64 columns)
{
    const I64 first = GLOBAL_ID(0) * STRIP, g = GLOBAL_ID(1);
    const int live = (int)(columns - first < STRIP ? columns - first : STRIP);
    float sum[STRIP], centre[STRIP];
    AT(x);
    AT(mean);
    AT(out);
    if (live <= 0)
        return;
    x += g * rows * columns + first;
    for (int l = 0; l < live; l++) {
        sum[l] = 0;
        centre[l] = mean[g * columns + first + l];
    }
    for (I64 r = 0; r < rows; r++)
        for (int l = 0; l < live; l++) {
            const float d = LOAD(T0, x, r * columns + l) - centre[l];
            sum[l] += d * d;
        }
    for (int l = 0; l < live; l++)
        out[g * columns + first + l] = sum[l] / (float)rows;
}
#endif

#if defined(MCF_BATCH_NORM)
// Item (column, row of G * R). affine: gamma and beta are there.
KERNEL void batch_norm(GRID INPUT(T0, x), INPUT(f32, mean), INPUT(f32, variance), INPUT(f32, gamma), INPUT(f32, beta),
                       TENSOR(TO, y), I64 rows, I64 columns, float eps, int affine)
{
    const I64 c = GLOBAL_ID(0), row = GLOBAL_ID(1), s = row / rows * columns + c;
    AT(x);
    AT(mean);
    AT(variance);
    AT(gamma);
    AT(beta);
    AT(y);
    if (c < columns) {
        float value = (LOAD(T0, x, row * columns + c) - mean[s]) / SQRT(variance[s] + eps);
        if (affine)
            value = value * gamma[c] + beta[c];
        STORE(TO, y, row * columns + c, value);
    }
}
#endif

#if defined(MCF_BATCH_NORM_SUMS)
// wanted: whether the second sum is.
KERNEL void batch_norm_sums(GRID INPUT(T0, x), INPUT(f32, mean), INPUT(f32, variance), INPUT(T1, dy), TENSOR(f32, out),
                            TENSOR(f32, out_xhat), I64 rows, I64 columns, float eps, int wanted)
{
    const I64 first = GLOBAL_ID(0) * STRIP, g = GLOBAL_ID(1);
    const int live = (int)(columns - first < STRIP ? columns - first : STRIP);
    float sum[STRIP], sum_xhat[STRIP], centre[STRIP];
    AT(x);
    AT(mean);
    AT(variance);
    AT(dy);
    AT(out);
    AT(out_xhat);
    if (live <= 0)
        return;
    x += g * rows * columns + first;
    dy += g * rows * columns + first;
    const I64 s = g * columns + first;
    for (int l = 0; l < live; l++) {
        sum[l] = sum_xhat[l] = 0;
        centre[l] = mean[s + l];
    }
    for (I64 r = 0; r < rows; r++)
        for (int l = 0; l < live; l++) {
            const float d = LOAD(T1, dy, r * columns + l);
            sum[l] += d;
            sum_xhat[l] += d * (LOAD(T0, x, r * columns + l) - centre[l]);
        }
    for (int l = 0; l < live; l++) {
        out[s + l] = sum[l] / (float)rows;
        if (wanted)
            out_xhat[s + l] = sum_xhat[l] / SQRT(variance[s + l] + eps) / (float)rows;
    }
}
#endif

#if defined(MCF_BATCH_NORM_GRAD)
KERNEL void batch_norm_grad(GRID INPUT(T0, x), INPUT(f32, mean), INPUT(f32, variance), INPUT(T1, dy),
                            INPUT(f32, mean_dy), INPUT(f32, mean_dy_xhat), INPUT(f32, gamma), TENSOR(TO, dx), I64 rows,
                            I64 columns, float eps, int affine)
{
    const I64 c = GLOBAL_ID(0), row = GLOBAL_ID(1), s = row / rows * columns + c;
    AT(x);
    AT(mean);
    AT(variance);
    AT(dy);
    AT(mean_dy);
    AT(mean_dy_xhat);
    AT(gamma);
    AT(dx);
    if (c < columns) {
        const float rstd = 1.0f / SQRT(variance[s] + eps);
        const float xhat = (LOAD(T0, x, row * columns + c) - mean[s]) * rstd;
        float value = rstd * (LOAD(T1, dy, row * columns + c) - mean_dy[s] - xhat * mean_dy_xhat[s]);
        if (affine)
            value *= gamma[c];
        STORE(TO, dx, row * columns + c, value);
    }
}
#endif
