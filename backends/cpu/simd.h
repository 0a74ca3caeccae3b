// Vectors of the width of the instruction set a file is compiled for, and the functions of one variable that
// kernels need. Kernel files include this and are compiled once per instruction set, so each formula is written
// once; only what C cannot say (fused multiply-add, maximum, rounding to bf16) differs below.
#ifndef MCF_BACKENDS_CPU_SIMD_H
#define MCF_BACKENDS_CPU_SIMD_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define VF_LANES 16
#elif defined(__AVX2__)
#define VF_LANES 8
#else
#define VF_LANES 4
#endif

typedef float vf __attribute__((vector_size(4 * VF_LANES)));
typedef int32_t vi __attribute__((vector_size(4 * VF_LANES)));
typedef uint32_t vu __attribute__((vector_size(4 * VF_LANES)));
typedef uint16_t vh __attribute__((vector_size(2 * VF_LANES)));
typedef float vf_unaligned __attribute__((vector_size(4 * VF_LANES), aligned(4), may_alias));
typedef uint16_t vh_unaligned __attribute__((vector_size(2 * VF_LANES), aligned(2), may_alias));

#define VF_INLINE static inline __attribute__((always_inline, unused))

VF_INLINE vf vf_load(const float *p)
{
    return *(const vf_unaligned *)p;
}

VF_INLINE void vf_store(float *p, vf x)
{
    *(vf_unaligned *)p = x;
}

// The first n < VF_LANES values; the rest are 0.
VF_INLINE vf vf_load_part(const float *p, int64_t n)
{
#if defined(__AVX512F__)
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
    vf x = {0};
    memcpy(&x, p, (size_t)n * sizeof(float));
    return x;
#endif
}

VF_INLINE void vf_store_part(float *p, vf x, int64_t n)
{
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), x);
#else
    memcpy(p, &x, (size_t)n * sizeof(float));
#endif
}

VF_INLINE vf vf_set(float x)
{
    return x - (vf){0};
}

VF_INLINE vf vf_select(vi mask, vf yes, vf no)
{
    return (vf)((mask & (vi)yes) | (~mask & (vi)no));
}

// a*b + c, rounded once where the processor can.
VF_INLINE vf vf_fma(vf a, vf b, vf c)
{
#if defined(__AVX512F__)
    return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
    return _mm256_fmadd_ps(a, b, c);
#else
    return a * b + c;
#endif
}

// The larger; b where either is NaN.
VF_INLINE vf vf_max(vf a, vf b)
{
#if defined(__AVX512F__)
    return _mm512_max_ps(a, b);
#elif defined(__AVX2__)
    return _mm256_max_ps(a, b);
#else
    return vf_select((vi)(a > b), a, b);
#endif
}

// The smaller; b where either is NaN.
VF_INLINE vf vf_min(vf a, vf b)
{
#if defined(__AVX512F__)
    return _mm512_min_ps(a, b);
#elif defined(__AVX2__)
    return _mm256_min_ps(a, b);
#else
    return vf_select((vi)(a < b), a, b);
#endif
}

VF_INLINE vf vf_abs(vf x)
{
    return (vf)((vi)x & 0x7fffffff);
}

VF_INLINE vf vf_sqrt(vf x)
{
#if defined(__AVX512F__)
    return _mm512_sqrt_ps(x);
#elif defined(__AVX2__)
    return _mm256_sqrt_ps(x);
#else
    for (int i = 0; i < VF_LANES; i++)
        x[i] = __builtin_sqrtf(x[i]);
    return x;
#endif
}

// Sum and maximum over the lanes, always in the same order.
VF_INLINE float vf_sum(vf x)
{
    float s[VF_LANES];
    memcpy(s, &x, sizeof s);
    for (int width = VF_LANES / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            s[i] += s[i + width];
    return s[0];
}

VF_INLINE float vf_largest(vf x)
{
    float m = x[0];
    for (int i = 1; i < VF_LANES; i++)
        m = x[i] > m || x[i] != x[i] ? x[i] : m;
    return m;
}

VF_INLINE vf vf_widen(vh x)
{
#if defined(__AVX512F__)
    return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)x), 16);
#elif defined(__AVX2__)
    return (vf)_mm256_slli_epi32(_mm256_cvtepu16_epi32((__m128i)x), 16);
#else
    return (vf)(__builtin_convertvector(x, vu) << 16);
#endif
}

// To bf16, to nearest even; a NaN stays one. The same bits on every instruction set (the AVX512_BF16 instruction
// flushes denormals, so it is not used here).
VF_INLINE vh vf_narrow(vf x)
{
    vu bits = (vu)x;
    vu rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    vu nan = (vu)(x != x);
    rounded = (nan & ((bits >> 16) | 0x40)) | (~nan & rounded);
#if defined(__AVX512F__)
    return (vh)_mm512_cvtepi32_epi16((__m512i)rounded);
#else
    return __builtin_convertvector(rounded, vh);
#endif
}

// exp(x) for x <= 88, 0 below -87.3, within 2 ulp; NaN stays NaN. Cody & Waite's reduction x = n ln 2 + r, then the
// polynomial of Cephes' expf on |r| <= ln(2)/2.
VF_INLINE vf vf_exp(vf x)
{
    vi tiny = (vi)(x < vf_set(-87.33f));
    vf clipped = vf_min(vf_set(88.0f), vf_max(vf_set(-87.33f), x));
    const vf magic = vf_set(12582912.0f); // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
    vf shifted = vf_fma(clipped, vf_set(1.44269504088896341f), magic);
    vf n = shifted - magic;
    vf r = vf_fma(n, vf_set(-0.693359375f), clipped);
    r = vf_fma(n, vf_set(2.12194440e-4f), r);
    vf p = vf_set(1.9875691500e-4f);
    p = vf_fma(p, r, vf_set(1.3981999507e-3f));
    p = vf_fma(p, r, vf_set(8.3334519073e-3f));
    p = vf_fma(p, r, vf_set(4.1665795894e-2f));
    p = vf_fma(p, r, vf_set(1.6666665459e-1f));
    p = vf_fma(p, r, vf_set(5.0000001201e-1f));
    p = vf_fma(p, r * r, r) + 1.0f;
    vf scale = (vf)(((vi)shifted + 127) << 23);
    return (vf)(~tiny & (vi)(p * scale));
}

// exp(-x^2/2), with the rounding error of the square put back so that the tail keeps its digits.
VF_INLINE vf vf_gaussian(vf x)
{
    vf square = x * x;
#if defined(__AVX512F__) || defined(__AVX2__)
    vf rest = vf_fma(x, x, -square);
    vf e = vf_exp(-0.5f * square);
    vf tail = e * (-0.5f * rest);
    return e + (vf)((vi)tail & (vi)(square < vf_set(180.0f))); // past it e is 0 and rest may be infinite
#else
    return vf_exp(-0.5f * square);
#endif
}

// The normal distribution's upper tail Q(a) = 1 - Phi(a) for a >= 0, where gaussian = exp(-a^2/2) is known:
// Q(a) = gaussian * t * P(t), t = 1/(1 + 0.27 a), P of degree 8 fitted for least relative error (2.4e-8 on
// [0, 13.5], past which Q is below the smallest float). Exact in the sense of the erf form, also in the tail.
VF_INLINE vf vf_normal_tail(vf a, vf gaussian)
{
    vf t = 1.0f / vf_fma(a, vf_set(0.27f), vf_set(1.0f));
    vf p = vf_set(0.02885552069400133f);
    p = vf_fma(p, t, vf_set(-0.12595390180421653f));
    p = vf_fma(p, t, vf_set(0.16864310198957705f));
    p = vf_fma(p, t, vf_set(-0.06784573377468348f));
    p = vf_fma(p, t, vf_set(0.1068371559692986f));
    p = vf_fma(p, t, vf_set(0.07249294616559246f));
    p = vf_fma(p, t, vf_set(0.10169064917328915f));
    p = vf_fma(p, t, vf_set(0.10756073426973237f));
    p = vf_fma(p, t, vf_set(0.10771953890139616f));
    return gaussian * (t * p);
}

// x Phi(x)
VF_INLINE vf vf_gelu(vf x)
{
    vf tail = vf_normal_tail(vf_abs(x), vf_gaussian(x));
    vf negative = x * tail;
    return vf_select((vi)(x < vf_set(0.0f)), negative, x - negative);
}

// Phi(x) + x phi(x)
VF_INLINE vf vf_gelu_slope(vf x)
{
    vf gaussian = vf_gaussian(x);
    vf tail = vf_normal_tail(vf_abs(x), gaussian);
    vf phi = vf_select((vi)(x < vf_set(0.0f)), tail, 1.0f - tail);
    vf bounded = vf_min(vf_set(14.0f), vf_max(vf_set(-14.0f), x)); // infinity * 0 is no number
    return vf_fma(bounded * 0.398942280401432678f, gaussian, phi);
}

// -- for results that are rounded to bf16: within 2^-12 of each value, in half the time

// 2^y for -124 <= y <= 124, within 4e-6; a minimax polynomial of the fraction.
VF_INLINE vf vf_exp2_low(vf y)
{
    const vf magic = vf_set(12582912.0f); // as in vf_exp
    vf shifted = y + magic, r = y - (shifted - magic);
    vf p = vf_set(0.00968571100383997f);
    p = vf_fma(p, r, vf_set(0.055922023952007294f));
    p = vf_fma(p, r, vf_set(0.2402186542749405f));
    p = vf_fma(p, r, vf_set(0.6931210160255432f));
    p = vf_fma(p, r, vf_set(1.0f));
    return (vf)((vi)p + ((vi)shifted << 23));
}

// Q(a) = 1 - Phi(a) for a >= 0: two to the power of a minimax polynomial of its logarithm, within 1.3e-4; 0 past 12.8,
// where Q is below 1e-37.
VF_INLINE vf vf_normal_tail_low(vf a)
{
    const vf end = vf_set(12.8f);
    vf b = vf_min(a, end), p = vf_set(3.012108251709833e-08f);
    p = vf_fma(p, b, vf_set(-1.8735867115537985e-06f));
    p = vf_fma(p, b, vf_set(5.0315327825956047e-05f));
    p = vf_fma(p, b, vf_set(-0.000771271763369441f));
    p = vf_fma(p, b, vf_set(0.007569687906652689f));
    p = vf_fma(p, b, vf_set(-0.05125053599476814f));
    p = vf_fma(p, b, vf_set(-0.46213245391845703f));
    p = vf_fma(p, b, vf_set(-1.1493936777114868f));
    p = vf_fma(p, b, vf_set(-1.0001519918441772f));
    return (vf)((vi)vf_exp2_low(p) & (vi)(a <= end));
}

VF_INLINE vf vf_gelu_low(vf x)
{
    vf a = vf_abs(x);
    return vf_fma(-a, vf_normal_tail_low(a), vf_max(x, vf_set(0.0f)));
}

VF_INLINE vf vf_gelu_slope_low(vf x)
{
    vf a = vf_abs(x), b = vf_min(vf_set(12.8f), a); // not a number stays: the second where one is
    vf low = vf_fma(b * -0.398942280401432678f, vf_exp2_low(b * b * -0.721347520444481704f), vf_normal_tail_low(a));
    return vf_select((vi)(x < vf_set(0.0f)), low, 1.0f - low);
}

#endif
