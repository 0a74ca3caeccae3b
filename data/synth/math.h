// Vectors, curves and functions of one number. All from plain arithmetic, no libm: the same picture has the
// same bytes on every machine a build runs on, whatever instructions its C library picks.
#ifndef MCF_DATA_SYNTH_MATH_H
#define MCF_DATA_SYNTH_MATH_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define SYNTH_PI 3.14159265358979f

typedef struct {
    float x, y, z;
} v3;

// Rows of a rotation.
typedef struct {
    v3 x, y, z;
} m3;

static inline v3 v3_of(float x, float y, float z)
{
    return (v3){x, y, z};
}

static inline v3 add3(v3 a, v3 b)
{
    return (v3){a.x + b.x, a.y + b.y, a.z + b.z};
}

static inline v3 sub3(v3 a, v3 b)
{
    return (v3){a.x - b.x, a.y - b.y, a.z - b.z};
}

static inline v3 scale3(v3 a, float s)
{
    return (v3){a.x * s, a.y * s, a.z * s};
}

static inline v3 mul3(v3 a, v3 b)
{
    return (v3){a.x * b.x, a.y * b.y, a.z * b.z};
}

static inline v3 mad3(v3 a, v3 b, float s)
{
    return (v3){a.x + b.x * s, a.y + b.y * s, a.z + b.z * s};
}

static inline v3 mix3(v3 a, v3 b, float t)
{
    return (v3){a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t, a.z + (b.z - a.z) * t};
}

static inline float dot3(v3 a, v3 b)
{
    return a.x * b.x + a.y * b.y + a.z * b.z;
}

static inline v3 cross3(v3 a, v3 b)
{
    return (v3){a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

static inline float length3(v3 a)
{
    return sqrtf(dot3(a, a));
}

static inline v3 normal3(v3 a)
{
    float n = dot3(a, a);
    return n > 1e-20f ? scale3(a, 1 / sqrtf(n)) : (v3){0, 0, 1};
}

static inline v3 rotate(const m3 *m, v3 p)
{
    return (v3){dot3(m->x, p), dot3(m->y, p), dot3(m->z, p)};
}

static inline v3 unrotate(const m3 *m, v3 p)
{
    return add3(add3(scale3(m->x, p.x), scale3(m->y, p.y)), scale3(m->z, p.z));
}

static inline float clampf(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}

static inline float maxf(float a, float b)
{
    return a > b ? a : b;
}

static inline float minf(float a, float b)
{
    return a < b ? a : b;
}

static inline float absf(float a)
{
    return a < 0 ? -a : a;
}

static inline float mixf(float a, float b, float t)
{
    return a + (b - a) * t;
}

static inline int floor_int(float x)
{
    int i = (int)x;
    return i - (x < (float)i);
}

// 0 at a, 1 at b, smooth; a > b falls.
static inline float smooth(float a, float b, float x)
{
    float t = clampf((x - a) / (b - a), 0, 1);
    return t * t * (3 - 2 * t);
}

// (1 - r^2)^3 inside the unit circle, 0 outside: a bump with two continuous derivatives.
static inline float bump2(float x, float y)
{
    float r = maxf(1 - x * x - y * y, 0);
    return r * r * r;
}

static inline float bump1(float x)
{
    float r = maxf(1 - x * x, 0);
    return r * r * r;
}

// 1 at 0 falling to 0 at 1 and beyond.
static inline float fall(float t)
{
    float r = 1 - t * t;
    return t <= 0 ? 1 : t >= 1 ? 0 : r * r;
}

// 2^x to a relative 3e-6
static inline float exp2_fast(float x)
{
    x = clampf(x, -120, 120);
    int i = floor_int(x);
    float f = (x - (float)i) * 0.693147181f;
    float p = 1 + f * (1 + f * (0.5f + f * (0.166666667f + f * (0.0416666667f + f * (0.00833333f + f * 0.0013889f)))));
    uint32_t bits = (uint32_t)(i + 127) << 23;
    float scale;
    memcpy(&scale, &bits, 4);
    return p * scale;
}

static inline float exp_fast(float x)
{
    return exp2_fast(x * 1.44269504f);
}

// log2 of x > 0: series of artanh on the mantissa
static inline float log2_fast(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    int e = (int)(bits >> 23) - 127;
    bits = (bits & 0x7fffff) | 0x3f800000;
    float m;
    memcpy(&m, &bits, 4);
    float s = (m - 1.41421356f) / (m + 1.41421356f), q = s * s;
    return (float)e + 0.5f + s * (2.88539008f + q * (0.961796694f + q * (0.577078016f + q * 0.41219858f)));
}

static inline float pow_fast(float x, float y)
{
    return x > 1e-12f ? exp2_fast(y * log2_fast(x)) : 0;
}

static inline float sin_fast(float x)
{
    float k = x * (0.5f / SYNTH_PI);
    float r = x - 2 * SYNTH_PI * (float)floor_int(k + 0.5f); // -pi..pi
    if (r > SYNTH_PI / 2)
        r = SYNTH_PI - r;
    else if (r < -SYNTH_PI / 2)
        r = -SYNTH_PI - r;
    float q = r * r;
    return r * (1 + q * (-0.166666667f + q * (0.00833333333f + q * (-0.000198412698f + q * 2.75573192e-6f))));
}

static inline float cos_fast(float x)
{
    return sin_fast(x + SYNTH_PI / 2);
}

// atan2 to 1e-4, enough for coordinates of textures
static inline float atan2_fast(float y, float x)
{
    float ax = absf(x), ay = absf(y), big = maxf(ax, ay), small = minf(ax, ay);
    if (big == 0)
        return 0;
    float t = small / big, q = t * t;
    float a = t * (0.99997726f +
                   q * (-0.33262347f + q * (0.19354346f + q * (-0.11643287f + q * (0.05265332f - q * 0.0117212f)))));
    if (ay > ax)
        a = SYNTH_PI / 2 - a;
    if (x < 0)
        a = SYNTH_PI - a;
    return y < 0 ? -a : a;
}

// Yaw about y (positive: towards +x), then pitch about x (positive: up), then roll about z (positive:
// clockwise as seen in the picture).
static inline m3 rotation(float yaw, float pitch, float roll)
{
    float cy = cos_fast(yaw), sy = sin_fast(yaw), cp = cos_fast(pitch), sp = sin_fast(pitch);
    float cr = cos_fast(-roll), sr = sin_fast(-roll);
    // R = Rz(roll) Ry(yaw) Rx(-pitch): the head nods about its own axis
    m3 m;
    m.x = v3_of(cr * cy, cr * sy * -sp - sr * cp, cr * sy * cp - sr * sp);
    m.y = v3_of(sr * cy, sr * sy * -sp + cr * cp, sr * sy * cp + cr * sp);
    m.z = v3_of(-sy, cy * -sp, cy * cp);
    return m;
}

#endif
