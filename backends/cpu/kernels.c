// Lines of floats: the loops of kernels.h. Compiled once per instruction set, MCF_CPU_ISA being its name; loops
// that the compiler turns into vectors by itself are left plain. Multiplications and additions may be fused here
// (-ffp-contract=fast).
#include "backends/cpu/kernels.h"

#include <math.h>
#include <stddef.h>

#include "backends/cpu/kernels_dots.h"
#include "backends/cpu/simd.h"

#define GEMM_NAME(part) gemm_##part
#define GEMM_ELEMENT float
#define GEMM_ADD(sum, x, line) vf_fma(vf_set(x), line, sum)
#include "backends/cpu/kernels_gemm.h"

#if defined(__AVX512BF16__)
#define GEMM_NAME(part) gemm_pairs_##part
#define GEMM_ELEMENT uint32_t
#define GEMM_ADD(sum, x, line) _mm512_dpbf16_ps(sum, (__m512bh)_mm512_set1_epi32((int)(x)), (__m512bh)(line))
#include "backends/cpu/kernels_gemm.h"
#endif

#if defined(__AMX_BF16__)
#include "backends/cpu/kernels_tiles.h"
#endif

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define QUOTE_(a) #a
#define QUOTE(a) QUOTE_(a)

static void widen(float *to, const uint16_t *from, int64_t n)
{
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        vf_store(to + i, vf_widen(*(const vh_unaligned *)(from + i)));
    for (; i < n; i++) {
        uint32_t bits = (uint32_t)from[i] << 16;
        memcpy(to + i, &bits, sizeof bits);
    }
}

static void narrow(uint16_t *to, const float *from, int64_t n)
{
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        *(vh_unaligned *)(to + i) = vf_narrow(vf_load(from + i));
    if (i < n) {
        vh rest = vf_narrow(vf_load_part(from + i, n - i));
        memcpy(to + i, &rest, (size_t)(n - i) * sizeof *to);
    }
}

static void zip(uint32_t *to, const uint16_t *even, const uint16_t *odd, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = even[i] | (uint32_t)odd[i] << 16;
}

static void add(float *out, const float *a, const float *b, float alpha, float beta, int64_t n)
{
    if (alpha == 1 && beta == 1)
        for (int64_t i = 0; i < n; i++)
            out[i] = a[i] + b[i];
    else
        for (int64_t i = 0; i < n; i++)
            out[i] = alpha * a[i] + beta * b[i];
}

static void mul(float *out, const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = a[i] * b[i];
}

static void scale(float *out, const float *x, float alpha, float beta, int64_t n)
{
    if (beta == 0)
        for (int64_t i = 0; i < n; i++)
            out[i] = alpha * x[i];
    else
        for (int64_t i = 0; i < n; i++)
            out[i] = alpha * x[i] + beta;
}

static void relu(float *out, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = x[i] <= 0 ? 0 : x[i]; // NaN stays
}

static void relu_grad(float *out, const float *x, const float *dy, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = x[i] > 0 ? dy[i] : 0;
}

#define GELU(name)                                                                                                     \
    static void name(float *out, const float *x, int64_t n)                                                            \
    {                                                                                                                  \
        int64_t i = 0;                                                                                                 \
        for (; i + VF_LANES <= n; i += VF_LANES)                                                                       \
            vf_store(out + i, vf_##name(vf_load(x + i)));                                                              \
        if (i < n)                                                                                                     \
            vf_store_part(out + i, vf_##name(vf_load_part(x + i, n - i)), n - i);                                      \
    }
#define GELU_GRAD(name, slope)                                                                                         \
    static void name(float *out, const float *x, const float *dy, int64_t n)                                           \
    {                                                                                                                  \
        int64_t i = 0;                                                                                                 \
        for (; i + VF_LANES <= n; i += VF_LANES)                                                                       \
            vf_store(out + i, vf_load(dy + i) * slope(vf_load(x + i)));                                                \
        if (i < n)                                                                                                     \
            vf_store_part(out + i, vf_load_part(dy + i, n - i) * slope(vf_load_part(x + i, n - i)), n - i);            \
    }
GELU(gelu)
GELU(gelu_low)
GELU_GRAD(gelu_grad, vf_gelu_slope)
GELU_GRAD(gelu_grad_low, vf_gelu_slope_low)

static void sigmoid(float *out, const float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES)
        vf_store(out + i, 1.0f / (1.0f + vf_exp(-vf_load(x + i))));
    if (i < n)
        vf_store_part(out + i, 1.0f / (1.0f + vf_exp(-vf_load_part(x + i, n - i))), n - i);
}

static void sigmoid_grad(float *out, const float *y, const float *dy, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = dy[i] * (y[i] * (1 - y[i]));
}

static void prelu(float *out, const float *x, const float *slope, int64_t n)
{
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) {
        const vf v = vf_load(x + i);
        vf_store(out + i, vf_select((vi)(v > 0.0f), v, v * vf_load(slope + i)));
    }
    if (i < n) {
        const vf v = vf_load_part(x + i, n - i);
        vf_store_part(out + i, vf_select((vi)(v > 0.0f), v, v * vf_load_part(slope + i, n - i)), n - i);
    }
}

static void maximum(float *y, const float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) {
        const vf v = vf_load(x + i), best = vf_load(y + i);
        vf_store(y + i, vf_select((vi)((v > best) | (v != v)), v, best));
    }
    if (i < n) {
        const vf v = vf_load_part(x + i, n - i), best = vf_load_part(y + i, n - i);
        vf_store_part(y + i, vf_select((vi)((v > best) | (v != v)), v, best), n - i);
    }
}

static void axpy(float *y, const float *x, float a, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

static void multiply_add(float *y, const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += a[i] * b[i];
}

// Four sums in flight hide the latency of an addition.
static float sum(const float *x, int64_t n)
{
    vf s[4] = {{0}};
    int64_t i = 0;
    for (; i + 4 * VF_LANES <= n; i += 4 * VF_LANES)
        for (int j = 0; j < 4; j++)
            s[j] += vf_load(x + i + j * VF_LANES);
    for (; i + VF_LANES <= n; i += VF_LANES)
        s[0] += vf_load(x + i);
    if (i < n)
        s[1] += vf_load_part(x + i, n - i);
    return vf_sum((s[0] + s[1]) + (s[2] + s[3]));
}

static float dot(const float *a, const float *b, int64_t n)
{
    vf s[4] = {{0}};
    int64_t i = 0;
    for (; i + 4 * VF_LANES <= n; i += 4 * VF_LANES)
        for (int j = 0; j < 4; j++)
            s[j] = vf_fma(vf_load(a + i + j * VF_LANES), vf_load(b + i + j * VF_LANES), s[j]);
    for (; i + VF_LANES <= n; i += VF_LANES)
        s[0] = vf_fma(vf_load(a + i), vf_load(b + i), s[0]);
    if (i < n)
        s[1] = vf_fma(vf_load_part(a + i, n - i), vf_load_part(b + i, n - i), s[1]);
    return vf_sum((s[0] + s[1]) + (s[2] + s[3]));
}

static float largest(const float *x, int64_t n)
{
    vf m = vf_set(-INFINITY), not_number = vf_set(0);
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) {
        vf v = vf_load(x + i);
        m = vf_max(v, m);
        not_number = (vf)((vi)not_number | (vi)(v != v));
    }
    float result = vf_largest(m);
    for (int lane = 0; lane < VF_LANES; lane++)
        if (((vi)not_number)[lane])
            return NAN;
    for (; i < n; i++)
        result = x[i] > result || x[i] != x[i] ? x[i] : result;
    return result;
}

static float exp_sum(float *out, const float *x, float factor, float shift, int64_t n)
{
    vf s = {0}, f = vf_set(factor), minus = vf_set(-shift);
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) {
        vf e = vf_exp(vf_fma(vf_load(x + i), f, minus));
        vf_store(out + i, e);
        s += e;
    }
    float total = vf_sum(s);
    if (i < n) {
        vf e = vf_exp(vf_fma(vf_load_part(x + i, n - i), f, minus));
        vf_store_part(out + i, e, n - i);
        for (int64_t j = 0; j < n - i; j++)
            total += e[j];
    }
    return total;
}

static void layer_norm(float *y, const float *x, const float *gamma, const float *beta, float eps, float *mean,
                       float *rstd, int64_t n)
{
    float m = n ? sum(x, n) / (float)n : 0;
    vf center = vf_set(m), s[2] = {{0}};
    int64_t i = 0;
    for (; i + 2 * VF_LANES <= n; i += 2 * VF_LANES)
        for (int j = 0; j < 2; j++) {
            vf d = vf_load(x + i + j * VF_LANES) - center;
            s[j] = vf_fma(d, d, s[j]);
        }
    float squares = vf_sum(s[0] + s[1]);
    for (; i < n; i++)
        squares += (x[i] - m) * (x[i] - m);
    float r = 1.0f / sqrtf((n ? squares / (float)n : 0) + eps);
    for (i = 0; i < n; i++)
        y[i] = (x[i] - m) * r * gamma[i] + beta[i];
    *mean = m;
    *rstd = r;
}

static void layer_norm_grad(float *dx, const float *x, const float *gamma, float mean, float rstd, const float *dy,
                            const float *dsum, float *dgamma, float *dbeta, int64_t n)
{
    vf m = vf_set(mean), r = vf_set(rstd), g_sum = {0}, gx_sum = {0};
    int64_t i = 0;
    for (; i + VF_LANES <= n; i += VF_LANES) {
        vf d = vf_load(dy + i), xhat = (vf_load(x + i) - m) * r, g = d * vf_load(gamma + i);
        g_sum += g;
        gx_sum = vf_fma(g, xhat, gx_sum);
        if (dgamma)
            vf_store(dgamma + i, vf_fma(d, xhat, vf_load(dgamma + i)));
        if (dbeta)
            vf_store(dbeta + i, vf_load(dbeta + i) + d);
    }
    float mean_g = vf_sum(g_sum), mean_gx = vf_sum(gx_sum);
    for (; i < n; i++) {
        float xhat = (x[i] - mean) * rstd, g = dy[i] * gamma[i];
        mean_g += g;
        mean_gx += g * xhat;
        if (dgamma)
            dgamma[i] += dy[i] * xhat;
        if (dbeta)
            dbeta[i] += dy[i];
    }
    mean_g /= (float)n;
    mean_gx /= (float)n;
    if (dsum)
        for (i = 0; i < n; i++)
            dx[i] = rstd * (dy[i] * gamma[i] - mean_g - (x[i] - mean) * rstd * mean_gx) + dsum[i];
    else
        for (i = 0; i < n; i++)
            dx[i] = rstd * (dy[i] * gamma[i] - mean_g - (x[i] - mean) * rstd * mean_gx);
}

static void square_difference(float *total, const float *x, const float *mean, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        total[i] += (x[i] - mean[i]) * (x[i] - mean[i]);
}

static void normalize(float *y, const float *x, const float *mean, const float *rstd, const float *gamma,
                      const float *beta, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (x[i] - mean[i]) * rstd[i];
    if (gamma)
        mul(y, y, gamma, n);
    if (beta)
        add(y, y, beta, 1, 1, n);
}

static void normalize_sums(float *sum_dy, float *sum_dy_xhat, const float *x, const float *mean, const float *rstd,
                           const float *dy, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        sum_dy[i] += dy[i];
        sum_dy_xhat[i] += dy[i] * ((x[i] - mean[i]) * rstd[i]);
    }
}

static void normalize_grad(float *dx, const float *x, const float *mean, const float *rstd, const float *dy,
                           const float *mean_dy, const float *mean_dy_xhat, const float *gamma, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        dx[i] = rstd[i] * (dy[i] - mean_dy[i] - (x[i] - mean[i]) * rstd[i] * mean_dy_xhat[i]);
    if (gamma)
        mul(dx, dx, gamma, n);
}

static void softmax_slope(float *dp, const float *p, float delta, float factor, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        dp[i] = p[i] * (dp[i] - delta) * factor;
}

static void hat_difference(float *total, const float *a, const float *b, const float *inv_a, const float *inv_b,
                           int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float d = a[i] * inv_a[i] - b[i] * inv_b[i];
        total[i] += d * d;
    }
}

static void hat_product(float *total, const float *a, const float *b, const float *inv_a, const float *inv_b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float hat = a[i] * inv_a[i];
        total[i] += hat * (hat - b[i] * inv_b[i]);
    }
}

static void hat_grad(float *da, const float *a, const float *b, const float *inv_a, const float *inv_b,
                     const float *along, float factor, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float hat = a[i] * inv_a[i];
        da[i] = (hat - b[i] * inv_b[i] - hat * along[i]) * inv_a[i] * factor;
    }
}

// Loshchilov & Hutter 2019, algorithm 2.
static void adamw(float *restrict param, const float *restrict grad, float *restrict m, float *restrict v,
                  const mcf_cpu_adamw_step *c, int64_t n)
{
    const mcf_cpu_adamw_step k = *c;
    vf scaling = vf_set(k.grad_scale), b1 = vf_set(k.beta1), b2 = vf_set(k.beta2), r1 = vf_set(1 - k.beta1),
       r2 = vf_set(1 - k.beta2), c2 = vf_set(k.correction2), eps = vf_set(k.eps), keep = vf_set(k.keep),
       step = vf_set(k.step);
    for (int64_t i = 0; i < n; i += VF_LANES) {
        int64_t left = n - i;
        bool whole = left >= VF_LANES;
        vf g = (whole ? vf_load(grad + i) : vf_load_part(grad + i, left)) * scaling;
        vf mean = whole ? vf_load(m + i) : vf_load_part(m + i, left);
        vf square = whole ? vf_load(v + i) : vf_load_part(v + i, left);
        vf p = whole ? vf_load(param + i) : vf_load_part(param + i, left);
        mean = vf_fma(b1, mean, r1 * g);
        square = vf_fma(b2, square, r2 * (g * g));
        p = p * keep - step * mean / vf_fma(vf_sqrt(square), c2, eps);
        if (whole) {
            vf_store(m + i, mean);
            vf_store(v + i, square);
            vf_store(param + i, p);
        } else {
            vf_store_part(m + i, mean, left);
            vf_store_part(v + i, square, left);
            vf_store_part(param + i, p, left);
        }
    }
}

const mcf_cpu_kernels PASTE(mcf_cpu_kernels_, MCF_CPU_ISA) = {
    .name = QUOTE(MCF_CPU_ISA),
    .lanes = VF_LANES,
    .widen = widen,
    .narrow = narrow,
    .zip = zip,
    .add = add,
    .mul = mul,
    .scale = scale,
    .relu = relu,
    .relu_grad = relu_grad,
    .prelu = prelu,
    .maximum = maximum,
    .gelu = gelu,
    .gelu_grad = gelu_grad,
    .gelu_low = gelu_low,
    .gelu_grad_low = gelu_grad_low,
    .sigmoid = sigmoid,
    .sigmoid_grad = sigmoid_grad,
    .axpy = axpy,
    .multiply_add = multiply_add,
    .sum = sum,
    .dot = dot,
    .largest = largest,
    .exp_sum = exp_sum,
    .layer_norm = layer_norm,
    .layer_norm_grad = layer_norm_grad,
    .square_difference = square_difference,
    .normalize = normalize,
    .normalize_sums = normalize_sums,
    .normalize_grad = normalize_grad,
    .softmax_slope = softmax_slope,
    .dots = dots,
    .gemm = gemm_all,
#if defined(__AVX512BF16__)
    .gemm_pairs = gemm_pairs_all,
#endif
#if defined(__AMX_BF16__)
    .tiles = &tiles,
#endif
    .hat_difference = hat_difference,
    .hat_product = hat_product,
    .hat_grad = hat_grad,
    .adamw = adamw,
};
