// exp and erf without branches or tables, so that a compiler can run them on vectors of items; places between pixels.
#ifndef MCF_BACKENDS_KERNELS_FUNCTIONS_H
#define MCF_BACKENDS_KERNELS_FUNCTIONS_H

// 2^n p(r) with x = n ln 2 + r, |r| <= ln 2 / 2, and p the Taylor polynomial of degree 7, whose remainder is
// below r^8/8! < 6e-9. ln 2 is taken in two parts, so that r is exact. Below -87.3 the result is 0, above 88.7 it is
// infinite; NaN stays NaN.
FUNCTION float exp_value(float x)
{
    const float y = x < -87.3f ? -87.3f : x > 88.7f ? 88.7f : x;
    // Adding 1.5 * 2^23 rounds to an integer, which then lies in the low bits.
    const float shifted = FMA(y, 1.44269504f, 12582912.0f), n = shifted - 12582912.0f;
    const int exponent = (int)(FLOAT_BITS(shifted) - 0x4b400000u), lower = exponent >> 1;
    float r = FMA(n, -0.693145752f, y);
    r = FMA(n, -1.42860677e-6f, r);
    float p = FMA(r, 1.98412698e-4f, 1.38888889e-3f);
    p = FMA(p, r, 8.33333333e-3f);
    p = FMA(p, r, 4.16666667e-2f);
    p = FMA(p, r, 1.66666667e-1f);
    p = FMA(p, r, 0.5f);
    p = FMA(p, r, 1.0f);
    p = FMA(p, r, 1.0f);
    // The exponent in two halves, since 2^128 is no float.
    p = p * BITS_FLOAT((U32)(lower + 127) << 23) * BITS_FLOAT((U32)(exponent - lower + 127) << 23);
    return x < -87.3f ? 0.0f : x > 88.7f ? BITS_FLOAT(0x7f800000u) : p;
}

// x P(x^2) / Q(x^2), a least-squares fit of our own on [0, 3.8325] with error 1.2e-8 before rounding, 3.2e-7 with
// it. Beyond, 1 - erf(x) is below 6e-8.
FUNCTION float erf_value(float x)
{
    const float y = x < -3.8325f ? -3.8325f : x > 3.8325f ? 3.8325f : x, t = y * y;
    float p = FMA(2.10500077e-6f, t, 2.87699554e-4f);
    p = FMA(p, t, 3.73733523e-3f);
    p = FMA(p, t, 5.26740289e-2f);
    p = FMA(p, t, 1.892993e-1f);
    p = FMA(p, t, 1.12837906f);
    float q = FMA(3.88044169e-5f, t, 1.16206199e-3f);
    q = FMA(q, t, 1.49100707e-2f);
    q = FMA(q, t, 1.13717138e-1f);
    q = FMA(q, t, 5.01094254e-1f);
    q = FMA(q, t, 1.0f);
    return y * p / q;
}

// x Phi(x)
FUNCTION float gelu_value(float x)
{
    return 0.5f * x * (1.0f + erf_value(x * 0.707106781f));
}

// Phi(x) + x phi(x)
FUNCTION float gelu_slope(float x)
{
    return 0.5f * (1.0f + erf_value(x * 0.707106781f)) + x * 0.398942280f * exp_value(-0.5f * x * x);
}

// Where pixel i of `to` lies among `from` pixels, corners not aligned: max((i + 1/2) from/to - 1/2, 0), between `at` and
// `next` (the same one at the far edge), of which `next` weighs `weight`. In integers, so that only the weight is rounded.
typedef struct {
    I64 at, next;
    float weight;
} between;
FUNCTION between between_pixels(I64 i, I64 from, I64 to)
{
    const I64 place = (2 * i + 1) * from - to, held = place < 0 ? 0 : place;
    between b;
    b.at = held / (2 * to);
    b.next = b.at + 1 < from ? b.at + 1 : b.at;
    b.weight = (float)(held - b.at * 2 * to) / (float)(2 * to);
    return b;
}
// What pixel i of the smaller image weighs there; 0 where it is no neighbour.
FUNCTION float weight_in(between b, I64 i)
{
    return (b.at == i ? 1.0f - b.weight : 0.0f) + (b.next == i ? b.weight : 0.0f);
}
// The pixels of `to` that may have i for a neighbour: [FIRST, END).
#define BETWEEN_FIRST(i, from, to)                                                                                     \
    (((2 * (i)-1) * (to) / (from)-1) / 2 - 1 > 0 ? ((2 * (i)-1) * (to) / (from)-1) / 2 - 1 : 0)
#define BETWEEN_END(i, from, to)                                                                                       \
    ((2 * (i) + 3) * (to) / (from) / 2 + 2 < (to) ? (2 * (i) + 3) * (to) / (from) / 2 + 2 : (to))

// What a product does to a finished element: the values of mcf_activation.
#define ACTIVATE(x, activation) ((activation) == 1 ? ((x) <= 0 ? 0.0f : (x)) : (activation) == 2 ? gelu_value(x) : (x))

#endif
