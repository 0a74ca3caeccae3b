// Tiles of noise, made once, looked up with interpolation: skin, hair, walls. Values -1..1.
#ifndef MCF_DATA_SYNTH_NOISE_H
#define MCF_DATA_SYNTH_NOISE_H

#include "data/synth/math.h"

enum { NOISE_SIDE = 256 };

typedef struct {
    int8_t cloud[NOISE_SIDE * NOISE_SIDE];  // fractal, smooth
    int8_t fine[NOISE_SIDE * NOISE_SIDE];   // grains of one texel
    int8_t strand[NOISE_SIDE * NOISE_SIDE]; // fine along x, long along y
} noise;

void mcf_noise_make(noise *n);

static inline uint32_t noise_hash(uint32_t x, uint32_t y)
{
    uint32_t h = x * 0x9e3779b1u ^ y * 0x85ebca77u;
    h ^= h >> 15;
    h *= 0x2c1b3c6du;
    h ^= h >> 12;
    h *= 0x297a2d39u;
    return h ^ h >> 15;
}

// x, y in texels; the tile repeats.
static inline float noise_at(const int8_t *tile, float x, float y)
{
    int ix = floor_int(x), iy = floor_int(y);
    float fx = x - (float)ix, fy = y - (float)iy;
    int x0 = ix & (NOISE_SIDE - 1), x1 = (ix + 1) & (NOISE_SIDE - 1);
    const int8_t *a = tile + (iy & (NOISE_SIDE - 1)) * NOISE_SIDE,
                 *b = tile + ((iy + 1) & (NOISE_SIDE - 1)) * NOISE_SIDE;
    float top = (float)a[x0] + (float)(a[x1] - a[x0]) * fx, low = (float)b[x0] + (float)(b[x1] - b[x0]) * fx;
    return (top + (low - top) * fy) * (1 / 127.0f);
}

// Without interpolation.
static inline float noise_near(const int8_t *tile, float x, float y)
{
    return (float)tile[(floor_int(y) & (NOISE_SIDE - 1)) * NOISE_SIDE + (floor_int(x) & (NOISE_SIDE - 1))] *
           (1 / 127.0f);
}

#endif
