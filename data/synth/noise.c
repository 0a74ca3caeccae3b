#include "data/synth/noise.h"

static float white(uint32_t x, uint32_t y, uint32_t layer)
{
    return (float)(int32_t)noise_hash(x + 977 * layer, y + 7919 * layer) * (1 / 2147483648.0f);
}

// Value noise of `cells` cells a side, repeating.
static float value(float x, float y, int cells_x, int cells_y, uint32_t layer)
{
    int ix = (int)x, iy = (int)y;
    float fx = x - (float)ix, fy = y - (float)iy;
    fx = fx * fx * (3 - 2 * fx), fy = fy * fy * (3 - 2 * fy);
    uint32_t x0 = (uint32_t)(ix % cells_x), x1 = (uint32_t)((ix + 1) % cells_x);
    uint32_t y0 = (uint32_t)(iy % cells_y), y1 = (uint32_t)((iy + 1) % cells_y);
    return mixf(mixf(white(x0, y0, layer), white(x1, y0, layer), fx),
                mixf(white(x0, y1, layer), white(x1, y1, layer), fx), fy);
}

static int8_t pack(float v)
{
    return (int8_t)floor_int(clampf(v, -1, 1) * 127 + 0.5f);
}

void mcf_noise_make(noise *n)
{
    for (int y = 0; y < NOISE_SIDE; y++)
        for (int x = 0; x < NOISE_SIDE; x++) {
            float sum = 0, gain = 0.62f;
            for (int octave = 0; octave < 5; octave++) {
                int cells = 8 << octave;
                float step = (float)cells / NOISE_SIDE;
                sum += gain * value((float)x * step, (float)y * step, cells, cells, (uint32_t)octave + 1);
                gain *= 0.55f;
            }
            int i = y * NOISE_SIDE + x;
            n->cloud[i] = pack(sum);
            n->fine[i] = pack(white((uint32_t)x, (uint32_t)y, 20));
            float s = 0.55f * value((float)x, (float)y * 4 / NOISE_SIDE, NOISE_SIDE, 4, 30) +
                      0.45f * value((float)x * 0.25f, (float)y * 4 / NOISE_SIDE, NOISE_SIDE / 4, 4, 31) +
                      0.25f * value((float)x, (float)y * 16 / NOISE_SIDE, NOISE_SIDE, 16, 32);
            n->strand[i] = pack(s * 1.1f);
        }
}
