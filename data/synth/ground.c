// Backgrounds, out of focus: drawn at half size, where they are seen.
#include "data/synth/render.h"

typedef struct {
    const picture *how;
    const noise *grain;
    const float *chance; // numbers of this background, 0..1
    float blur;          // width of edges, pictures
} backdrop;

static float hashed(uint32_t seed, uint32_t i)
{
    return (float)(noise_hash(seed, i) >> 8) * (1 / 16777216.0f);
}

static float slab(float x, float from, float to, float soft)
{
    return smooth(from - soft, from + soft, x) * smooth(to + soft, to - soft, x);
}

static v3 room(const backdrop *g, float x, float y)
{
    const picture *v = g->how;
    uint32_t s = v->ground_seed;
    float e = g->blur, corner = g->chance[1] * 1.6f - 0.3f;
    v3 wall = mix3(v->ground_colour[0], v3_of(0.6f, 0.57f, 0.52f), 0.55f);
    v3 c = mix3(wall, scale3(wall, 0.7f), smooth(corner - e, corner + e, x));
    c = scale3(c, 1.12f - 0.3f * y);
    // a window or a picture on the wall, a door, shelves
    float wx = g->chance[2] * 1.2f - 0.3f, wy = g->chance[3] * 0.4f - 0.1f, ww = 0.2f + 0.25f * g->chance[4],
          wh = 0.25f + 0.3f * g->chance[5];
    float frame = slab(x, wx, wx + ww, e) * slab(y, wy, wy + wh, e),
          pane = slab(x, wx + 0.02f, wx + ww - 0.02f, e) * slab(y, wy + 0.02f, wy + wh - 0.02f, e);
    bool bright = g->chance[6] < 0.5f;
    c = mix3(c, bright ? v3_of(0.7f, 0.7f, 0.68f) : scale3(v->ground_colour[1], 0.4f), frame);
    c = mix3(c, bright ? v3_of(0.85f, 0.95f, 1.1f) : v->ground_colour[2], pane);
    if (g->chance[7] < 0.45f && x > g->chance[8] - e && x < g->chance[8] + 0.5f + e) {
        float left = g->chance[8], t = y * 5;
        float shelf = slab(x, left, left + 0.5f, e);
        int row = floor_int(t);
        float along = x * (14 + 6 * g->chance[20 + (uint32_t)(row & 7)]), book = along - (float)floor_int(along);
        v3 k = v->ground_colour[noise_hash(s + (uint32_t)row, (uint32_t)floor_int(along) & 255) % 5];
        k = scale3(k, 0.4f + 0.6f * hashed(s + (uint32_t)row, (uint32_t)floor_int(along) & 255));
        k = scale3(k, 1 - 0.5f * (1 - slab(book, 0.04f, 0.96f, 0.05f + e * 4)));
        k = mix3(k, v3_of(0.1f, 0.06f, 0.035f), 1 - slab(t - (float)row, 0.12f, 1, 0.03f + e * 2));
        c = mix3(c, k, shelf * (1 - minf(e * 6, 0.5f)));
    }
    float lamp_x = g->chance[9], lamp_y = 0.3f * g->chance[10],
          d = (x - lamp_x) * (x - lamp_x) + (y - lamp_y) * (y - lamp_y);
    if (g->chance[11] < 0.4f)
        c = add3(c, scale3(v3_of(0.9f, 0.7f, 0.42f), 0.6f * exp_fast(-d * 40) + 0.15f * exp_fast(-d * 6)));
    return c;
}

static v3 outdoor(const backdrop *g, float x, float y)
{
    const picture *v = g->how;
    float horizon = 0.35f + 0.45f * g->chance[1];
    v3 sky = mix3(v3_of(0.28f, 0.48f, 0.86f), v3_of(0.82f, 0.85f, 0.88f), g->chance[2]);
    v3 low = mix3(sky, v3_of(0.95f, 0.93f, 0.9f), 0.6f);
    float cloud = noise_at(g->grain->cloud, x * 60 + 100 * g->chance[3], y * 110);
    v3 c =
        mix3(mix3(sky, low, clampf(y / horizon, 0, 1)), v3_of(0.95f, 0.95f, 0.96f), 0.45f * smooth(0.05f, 0.5f, cloud));
    float hill =
        horizon - 0.12f * (0.5f + noise_at(g->grain->cloud, x * 30 + 190 * g->chance[4], 7)) - 0.3f * g->chance[5];
    bool town = g->chance[6] < 0.25f;
    float e = g->blur;
    if (town) {
        float at = x * 5 + 9 * g->chance[7];
        int block = floor_int(at);
        float top = horizon - 0.45f * g->chance[40 + (uint32_t)(block & 31)];
        v3 k = mix3(v3_of(0.35f, 0.33f, 0.31f), v->ground_colour[(uint32_t)block % 5], 0.35f);
        float wx = at * 5 - (float)floor_int(at * 5), wy = y * 24 - (float)floor_int(y * 24);
        float pane = slab(wx, 0.25f, 0.8f, 0.08f + e * 6) * slab(wy, 0.2f, 0.75f, 0.08f + e * 8);
        k = mix3(k, scale3(k, 0.4f), 0.8f * pane);
        c = mix3(c, scale3(k, 0.75f + 0.25f * g->chance[80 + (uint32_t)(block & 31)]), smooth(top - e, top + e, y));
    } else {
        float leaves = noise_at(g->grain->cloud, x * 110 + 60, y * 110),
              deep = noise_at(g->grain->cloud, x * 40, y * 40 + 90);
        v3 green = mix3(v3_of(0.035f, 0.07f, 0.015f), v3_of(0.2f, 0.28f, 0.06f),
                        clampf(0.45f + 0.6f * leaves + 0.4f * deep, 0, 1));
        green = mix3(green, mul3(green, v3_of(2.2f, 1.1f, 0.6f)), g->chance[8] * g->chance[9]);
        c = mix3(c, green, smooth(hill - e - 0.02f, hill + e + 0.02f, y + 0.03f * leaves));
    }
    v3 floor = mix3(v3_of(0.2f, 0.24f, 0.08f), v3_of(0.42f, 0.38f, 0.32f), g->chance[10]);
    floor = scale3(floor, 1 + 0.25f * noise_at(g->grain->cloud, x * 70, y * 160));
    return mix3(c, floor, smooth(horizon + 0.25f - e, horizon + 0.25f + e, y));
}

static v3 backdrop_at(const backdrop *g, float x, float y)
{
    const picture *v = g->how;
    const v3 *c = v->ground_colour;
    uint32_t s = v->ground_seed;
    float e = g->blur, cloud = noise_at(g->grain->cloud, x * 40 + (float)(s & 255), y * 40 + (float)(s >> 8 & 255));
    switch (v->ground) {
    case GROUND_STUDIO: {
        float cx = 0.3f + 0.4f * g->chance[1], cy = 0.25f + 0.4f * g->chance[2];
        float d = (x - cx) * (x - cx) + (y - cy) * (y - cy);
        v3 base = mix3(c[0], v3_of(0.35f, 0.35f, 0.36f), 0.5f);
        return scale3(base, (0.55f + 0.9f * exp_fast(-3.2f * d)) * (1 + 0.12f * cloud));
    }
    case GROUND_CLOUDS:
        return mix3(mix3(c[0], c[1], smooth(-0.5f, 0.5f, cloud)), c[2],
                    smooth(0, 0.6f, noise_at(g->grain->cloud, x * 26 + 70, y * 26)));
    case GROUND_BOKEH: {
        v3 k = scale3(mix3(c[0], c[1], y), 0.3f);
        for (uint32_t i = 0; i < 26; i++) {
            float bx = g->chance[3 * i + 10] * 1.2f - 0.1f, by = g->chance[3 * i + 11] * 1.2f - 0.1f,
                  r = 0.025f + 0.07f * g->chance[3 * i + 12];
            float d2 = (x - bx) * (x - bx) + (y - by) * (y - by);
            if (d2 > 1.5f * r * r)
                continue;
            float d = sqrtf(d2), disc = smooth(r + 0.006f, r - 0.006f, d) * (0.6f + 0.5f * d / r);
            k = add3(k, scale3(add3(c[2 + i % 3], v3_of(0.08f, 0.08f, 0.08f)), 0.55f * disc));
        }
        return k;
    }
    case GROUND_ROOM:
        return room(g, x, y);
    case GROUND_OUTDOOR:
        return outdoor(g, x, y);
    case GROUND_BLOCKS: {
        v3 k = c[0];
        for (uint32_t i = 0; i < 9; i++) {
            float bx = g->chance[4 * i + 50] * 1.3f - 0.4f, by = g->chance[4 * i + 51] * 1.3f - 0.4f;
            float w = 0.15f + 0.45f * g->chance[4 * i + 52], h = 0.15f + 0.6f * g->chance[4 * i + 53];
            if (x < bx - e || x > bx + w + e || y < by - e || y > by + h + e)
                continue;
            k = mix3(k, scale3(c[i % 5], 0.5f + 0.6f * g->chance[i + 200]),
                     0.9f * slab(x, bx, bx + w, e) * slab(y, by, by + h, e));
        }
        return scale3(k, 1 + 0.1f * cloud);
    }
    default: {
        float a = g->chance[1] * 3.14f, t = (x * cos_fast(a) + y * sin_fast(a)) * (4 + 10 * g->chance[2]);
        float f = t - (float)floor_int(t);
        return scale3(mix3(c[0], c[1], slab(f, 0.25f, 0.75f, 0.05f + 5 * e)), 1 + 0.1f * cloud);
    }
    }
}

static int half_side(const mcf_synth *r)
{
    return (r->size + 1) / 2 + 1;
}

void mcf_ground_clear(mcf_synth *r)
{
    memset(r->ground_known, 0, (size_t)half_side(r) * (size_t)half_side(r));
    for (uint32_t i = 0; i < GROUND_CHANCES; i++)
        r->ground_chance[i] = hashed(r->how.ground_seed, i);
}

static v3 place(mcf_synth *r, int x, int y)
{
    int at = y * half_side(r) + x;
    if (!r->ground_known[at]) {
        const backdrop g = {&r->how, r->grain, r->ground_chance, 0.006f + 0.035f * r->how.ground_blur};
        // walls are lit by the same lamps, roughly
        v3 light = add3(scale3(r->how.sky, 0.9f), scale3(r->how.key, 0.35f));
        r->spare[at] = mul3(backdrop_at(&g, 2 * (float)x / (float)r->size, 2 * (float)y / (float)r->size), light);
        r->ground_known[at] = 1;
    }
    return r->spare[at];
}

v3 mcf_ground_at(mcf_synth *r, int x, int y)
{
    float fx = 0.25f + 0.5f * (float)(x & 1), fy = 0.25f + 0.5f * (float)(y & 1);
    x /= 2, y /= 2;
    return mix3(mix3(place(r, x, y), place(r, x + 1, y), fx), mix3(place(r, x, y + 1), place(r, x + 1, y + 1), fx), fy);
}
