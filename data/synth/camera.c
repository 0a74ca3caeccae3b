// From light to bytes: focus, motion, coarse sensors, exposure, grain.
#include "data/synth/render.h"

enum { CURVE = 2048 };

// One pass of a symmetric kernel along a line of `count` places `step` apart.
static void blur_line(const v3 *from, v3 *to, int count, int step, const float *kernel, int reach)
{
    for (int i = 0; i < count; i++) {
        v3 sum = scale3(from[i * step], kernel[0]);
        for (int k = 1; k <= reach; k++) {
            int a = i - k >= 0 ? i - k : 0, b = i + k < count ? i + k : count - 1;
            sum = mad3(sum, add3(from[a * step], from[b * step]), kernel[k]);
        }
        to[i * step] = sum;
    }
}

static void blur(mcf_synth *r, float sigma)
{
    float kernel[16], sum = 0;
    int reach = (int)clampf(2.5f * sigma + 0.999f, 1, 15);
    for (int k = 0; k <= reach; k++) {
        kernel[k] = exp_fast(-0.5f * (float)(k * k) / (sigma * sigma));
        sum += k ? 2 * kernel[k] : kernel[k];
    }
    for (int k = 0; k <= reach; k++)
        kernel[k] /= sum;
    for (int y = 0; y < r->size; y++)
        blur_line(r->linear + y * r->size, r->spare + y * r->size, r->size, 1, kernel, reach);
    for (int x = 0; x < r->size; x++)
        blur_line(r->spare + x, r->linear + x, r->size, r->size, kernel, reach);
}

static v3 sample(const v3 *from, int size, float x, float y)
{
    x = clampf(x, 0, (float)size - 1.001f), y = clampf(y, 0, (float)size - 1.001f);
    int ix = (int)x, iy = (int)y;
    float fx = x - (float)ix, fy = y - (float)iy;
    const v3 *a = from + iy * size + ix;
    return mix3(mix3(a[0], a[1], fx), mix3(a[size], a[size + 1], fx), fy);
}

static void move(mcf_synth *r, float length, float angle)
{
    float dx = cos_fast(angle) * length, dy = sin_fast(angle) * length;
    for (int y = 0; y < r->size; y++)
        for (int x = 0; x < r->size; x++) {
            v3 sum = {0, 0, 0};
            for (int k = 0; k < 5; k++) {
                float t = 0.25f * (float)k - 0.5f;
                sum = add3(sum, sample(r->linear, r->size, (float)x + t * dx, (float)y + t * dy));
            }
            r->spare[y * r->size + x] = scale3(sum, 0.2f);
        }
    v3 *swap = r->linear;
    r->linear = r->spare;
    r->spare = swap;
}

// As enlarged from a picture `factor` times smaller.
static void coarsen(mcf_synth *r, float factor)
{
    blur(r, 0.4f * factor);
    int small = (int)((float)r->size / factor);
    for (int y = 0; y < small; y++)
        for (int x = 0; x < small; x++)
            r->spare[y * small + x] =
                sample(r->linear, r->size, ((float)x + 0.5f) * factor - 0.5f, ((float)y + 0.5f) * factor - 0.5f);
    for (int y = 0; y < r->size; y++)
        for (int x = 0; x < r->size; x++)
            r->linear[y * r->size + x] =
                sample(r->spare, small, ((float)x + 0.5f) / factor - 0.5f, ((float)y + 0.5f) / factor - 0.5f);
}

// Display value of linear light: a shoulder, the sRGB curve, contrast about the middle.
static float curve(float x, float contrast)
{
    x = x < 0.6f ? x : 0.6f + 0.55f * (1 - exp_fast(-(x - 0.6f) / 0.55f));
    x = minf(x, 1);
    float s = x <= 0.0031308f ? 12.92f * x : 1.055f * pow_fast(x, 1 / 2.4f) - 0.055f;
    return clampf(0.46f + (s - 0.46f) * contrast, 0, 1);
}

void mcf_camera_develop(mcf_synth *r)
{
    const picture *v = &r->how;
    float scale = (float)r->size / 256;
    if (v->low_resolution > 1 && r->size >= 64)
        coarsen(r, v->low_resolution);
    if (v->blur * scale > 0.3f)
        blur(r, v->blur * scale);
    if (v->motion > 0)
        move(r, v->motion * scale, v->motion_angle);

    float table[CURVE];
    for (int i = 0; i < CURVE; i++) {
        float root = (float)i / (CURVE - 1) * 1.5f; // the square root of light up to 2.25
        table[i] = 255 * curve(root * root, v->contrast);
    }
    float middle = 0.5f * (float)r->size, vignette = 0.35f * v->vignette / (middle * middle), own = 1 - v->saturation;
    v3 white = scale3(v->white, v->exposure);
    for (int y = 0; y < r->size; y++) {
        const v3 *from = r->linear + (size_t)y * (size_t)r->size;
        uint8_t *to = r->pixels + 3 * (size_t)y * (size_t)r->size;
        float dy = (float)y - middle;
        for (int x = 0; x < r->size; x++, to += 3) {
            v3 c = from[x];
            float dx = (float)x - middle, k = 1 - vignette * (dx * dx + dy * dy);
            float grey = own * (0.2126f * c.x + 0.7152f * c.y + 0.0722f * c.z);
            const float rgb[3] = {(grey + c.x * v->saturation) * k * white.x,
                                  (grey + c.y * v->saturation) * k * white.y,
                                  (grey + c.z * v->saturation) * k * white.z};
            uint32_t h = noise_hash((uint32_t)(y * r->size + x), v->noise_seed);
            // sums of a few uniform numbers: near enough to a bell
            float common = (float)((int)(h & 15) + (int)(h >> 4 & 15) + (int)(h >> 8 & 15) - 22) * 0.13f;
            for (int i = 0; i < 3; i++) {
                int at = (int)(sqrtf(clampf(rgb[i], 0, 2.25f)) * ((CURVE - 1) / 1.5f));
                float single = (float)((int)(h >> (12 + 6 * i) & 63) - 31) * 0.028f;
                to[i] = (uint8_t)(clampf(table[at] + v->noise * (common + single), 0, 255) + 0.5f);
            }
        }
    }
}
