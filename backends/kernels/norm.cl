// Layer norm (Ba et al. 2016) over the lines of [R,C]:
//   mean = sum x / C, rstd = 1/sqrt(sum (x - mean)^2 / C + eps), y = (x - mean) rstd gamma + beta
// and back, with xhat = (x - mean) rstd and g = dy gamma:
//   dx = rstd (g - mean(g) - xhat mean(g xhat)) + dsum, dgamma = sum over R of dy xhat, dbeta = sum over R of dy
// L2 normalisation of lines of n elements: y = x / max(|x|, eps); dx = (dy - y <y,dy>)/|x|, dy/eps where
// |x| <= eps.
#include "device.h"

#if defined(MCF_LAYER_NORM)
// A group for a line. wanted: bit 0 mean, bit 1 rstd.
KERNEL void layer_norm(GRID INPUT(T0, x), INPUT(f32, gamma), INPUT(f32, beta), TENSOR(TO, y), TENSOR(f32, mean),
                       TENSOR(f32, rstd), I64 width, float eps, int wanted)
{
    VECTOR_SUMS
    GROUP_ROOM(room);
    const I64 r = GROUP_ID(0);
    float sum = 0, squares = 0;
    AT(x);
    AT(gamma);
    AT(beta);
    AT(y);
    AT(mean);
    AT(rstd);
    x += r * width;
    y += r * width;
    EACH(c, width)
    sum += LOAD(T0, x, c);
    const float m = GROUP_SUM(sum, room) / (float)width;
    EACH(c, width)
    {
        const float centred = LOAD(T0, x, c) - m;
        squares += centred * centred;
    }
    const float s = 1.0f / SQRT(GROUP_SUM(squares, room) / (float)width + eps);
    EACH(c, width)
    STORE(TO, y, c, (LOAD(T0, x, c) - m) * s * gamma[c] + beta[c]);
    if (FIRST_ITEM) {
        if (wanted & 1)
            mean[r] = m;
        if (wanted & 2)
            rstd[r] = s;
    }
}

// dx of a line. has: bit 0, dsum is there.
KERNEL void layer_norm_grad(GRID INPUT(T0, x), INPUT(f32, gamma), INPUT(f32, mean), INPUT(f32, rstd), INPUT(T1, dy),
                            INPUT(T2, dsum), TENSOR(TO, dx), I64 width, int has)
{
    VECTOR_SUMS
    GROUP_ROOM(room);
    const I64 r = GROUP_ID(0);
    float sum = 0, along = 0;
    AT(x);
    AT(gamma);
    AT(mean);
    AT(rstd);
    AT(dy);
    AT(dsum);
    AT(dx);
    x += r * width;
    dy += r * width;
    dx += r * width;
    const float m = mean[r], s = rstd[r];
    EACH(c, width)
    {
        const float g = LOAD(T1, dy, c) * gamma[c];
        sum += g;
        along += g * (LOAD(T0, x, c) - m) * s;
    }
    const float mean_g = GROUP_SUM(sum, room) / (float)width;
    const float mean_gx = GROUP_SUM(along, room) / (float)width;
    if (has) {
        dsum += r * width;
        EACH(c, width)
        {
            const float xhat = (LOAD(T0, x, c) - m) * s;
            const float d = s * (LOAD(T1, dy, c) * gamma[c] - mean_g - xhat * mean_gx);
            STORE(TO, dx, c, d + LOAD(T2, dsum, c));
        }
    } else {
        EACH(c, width)
        {
            const float xhat = (LOAD(T0, x, c) - m) * s;
            STORE(TO, dx, c, s * (LOAD(T1, dy, c) * gamma[c] - mean_g - xhat * mean_gx));
        }
    }
}

// Item (strip of columns, chunk of rows): sums into dgamma and dbeta [chunks, C], fp32.
KERNEL void layer_norm_columns(GRID INPUT(T0, x), INPUT(f32, mean), INPUT(f32, rstd), INPUT(T1, dy),
                               TENSOR(f32, dgamma), TENSOR(f32, dbeta), I64 rows, I64 columns, I64 length)
{
    const I64 first = GLOBAL_ID(0) * STRIP, chunk = GLOBAL_ID(1), begin = chunk * length;
    const I64 end = begin + length < rows ? begin + length : rows;
    const int live = (int)(columns - first < STRIP ? columns - first : STRIP);
    float gamma[STRIP], beta[STRIP];
    AT(x);
    AT(mean);
    AT(rstd);
    AT(dy);
    AT(dgamma);
    AT(dbeta);
    if (live <= 0)
        return;
    for (int l = 0; l < STRIP; l++)
        gamma[l] = beta[l] = 0;
    x += first;
    dy += first;
    for (I64 r = begin; r < end; r++) {
        const float m = mean[r], s = rstd[r];
        if (live == STRIP) {
            for (int l = 0; l < STRIP; l++) {
                const float d = LOAD(T1, dy, r * columns + l);
                gamma[l] += d * (LOAD(T0, x, r * columns + l) - m) * s;
                beta[l] += d;
            }
        } else {
            for (int l = 0; l < live; l++) {
                const float d = LOAD(T1, dy, r * columns + l);
                gamma[l] += d * (LOAD(T0, x, r * columns + l) - m) * s;
                beta[l] += d;
            }
        }
    }
    for (int l = 0; l < live; l++) {
        dgamma[chunk * columns + first + l] = gamma[l];
        dbeta[chunk * columns + first + l] = beta[l];
    }
}
#endif

#if defined(MCF_ADD_LAYER_NORM)
// s = x + r, rounded to its type, is what is normalised. wanted: bit 0 y, bit 1 mean, bit 2 rstd.
KERNEL void add_layer_norm(GRID INPUT(T0, x), INPUT(T1, other), INPUT(f32, gamma), INPUT(f32, beta), TENSOR(TO, total),
                           TENSOR(T2, y), TENSOR(f32, mean), TENSOR(f32, rstd), I64 width, float eps, int wanted)
{
    VECTOR_SUMS
    GROUP_ROOM(room);
    const I64 r = GROUP_ID(0);
    float sum = 0, squares = 0;
    AT(x);
    AT(other);
    AT(gamma);
    AT(beta);
    AT(total);
    AT(y);
    AT(mean);
    AT(rstd);
    x += r * width;
    other += r * width;
    total += r * width;
    EACH(c, width)
    {
        const float value = LOAD(T0, x, c) + LOAD(T1, other, c);
        STORE(TO, total, c, value);
        sum += value;
    }
    const float m = GROUP_SUM(sum, room) / (float)width;
    EACH(c, width)
    {
        const float centred = LOAD(T0, x, c) + LOAD(T1, other, c) - m;
        squares += centred * centred;
    }
    const float s = 1.0f / SQRT(GROUP_SUM(squares, room) / (float)width + eps);
    if (wanted & 1) {
        y += r * width;
        EACH(c, width)
        STORE(T2, y, c, (LOAD(T0, x, c) + LOAD(T1, other, c) - m) * s * gamma[c] + beta[c]);
    }
    if (FIRST_ITEM) {
        if (wanted & 2)
            mean[r] = m;
        if (wanted & 4)
            rstd[r] = s;
    }
}
#endif

#if defined(MCF_L2_NORMALIZE)
// Lines whose elements lie one behind the other: a group for a line.
KERNEL void l2_normalize_lines(GRID INPUT(T0, x), TENSOR(TO, y), I64 n, float eps)
{
    VECTOR_SUMS
    GROUP_ROOM(room);
    float squares = 0;
    AT(x);
    AT(y);
    x += GROUP_ID(0) * n;
    y += GROUP_ID(0) * n;
    EACH(i, n)
    {
        const float v = LOAD(T0, x, i);
        squares += v * v;
    }
    const float norm = FMAX(SQRT(GROUP_SUM(squares, room)), eps);
    EACH(i, n)
    STORE(TO, y, i, LOAD(T0, x, i) / norm);
}

// Lines whose elements are `step` apart: an item for a strip of neighbouring lines.
KERNEL void l2_normalize_columns(GRID INPUT(T0, x), TENSOR(TO, y), I64 n, I64 step, float eps)
{
    const I64 first = GLOBAL_ID(0) * STRIP, o = GLOBAL_ID(1);
    const int live = (int)(step - first < STRIP ? step - first : STRIP);
    float norm[STRIP];
    AT(x);
    AT(y);
    if (live <= 0)
        return;
    for (int l = 0; l < STRIP; l++)
        norm[l] = 0;
    x += o * n * step + first;
    y += o * n * step + first;
    for (I64 i = 0; i < n; i++)
        for (int l = 0; l < live; l++) {
            const float v = LOAD(T0, x, i * step + l);
            norm[l] += v * v;
        }
    for (int l = 0; l < live; l++)
        norm[l] = FMAX(SQRT(norm[l]), eps);
    for (I64 i = 0; i < n; i++)
        for (int l = 0; l < live; l++)
            STORE(TO, y, i * step + l, LOAD(T0, x, i * step + l) / norm[l]);
}
#endif

#if defined(MCF_L2_NORMALIZE_GRAD)
KERNEL void l2_normalize_grad_lines(GRID INPUT(T0, x), INPUT(T1, dy), TENSOR(TO, dx), I64 n, float eps)
{
    VECTOR_SUMS
    GROUP_ROOM(room);
    float squares = 0, product = 0;
    AT(x);
    AT(dy);
    AT(dx);
    x += GROUP_ID(0) * n;
    dy += GROUP_ID(0) * n;
    dx += GROUP_ID(0) * n;
    EACH(i, n)
    {
        const float v = LOAD(T0, x, i);
        squares += v * v;
        product += v * LOAD(T1, dy, i);
    }
    const float norm = SQRT(GROUP_SUM(squares, room)), dot = GROUP_SUM(product, room);
    if (norm <= eps) {
        EACH(i, n)
        STORE(TO, dx, i, LOAD(T1, dy, i) / eps);
        return;
    }
    const float along = dot / norm;
    EACH(i, n)
    STORE(TO, dx, i, (LOAD(T1, dy, i) - LOAD(T0, x, i) / norm * along) / norm);
}

KERNEL void l2_normalize_grad_columns(GRID INPUT(T0, x), INPUT(T1, dy), TENSOR(TO, dx), I64 n, I64 step, float eps)
{
    const I64 first = GLOBAL_ID(0) * STRIP, o = GLOBAL_ID(1);
    const int live = (int)(step - first < STRIP ? step - first : STRIP);
    float norm[STRIP], along[STRIP];
    AT(x);
    AT(dy);
    AT(dx);
    if (live <= 0)
        return;
    for (int l = 0; l < STRIP; l++)
        norm[l] = along[l] = 0;
    x += o * n * step + first;
    dy += o * n * step + first;
    dx += o * n * step + first;
    for (I64 i = 0; i < n; i++)
        for (int l = 0; l < live; l++) {
            const float v = LOAD(T0, x, i * step + l);
            norm[l] += v * v;
            along[l] += v * LOAD(T1, dy, i * step + l);
        }
    for (int l = 0; l < live; l++) {
        norm[l] = SQRT(norm[l]);
        along[l] = norm[l] <= eps ? 0 : along[l] / norm[l];
    }
    for (I64 i = 0; i < n; i++)
        for (int l = 0; l < live; l++) {
            const float d = LOAD(T1, dy, i * step + l);
            const float value =
                norm[l] <= eps ? d / eps : (d - LOAD(T0, x, i * step + l) / norm[l] * along[l]) / norm[l];
            STORE(TO, dx, i * step + l, value);
        }
}
#endif
