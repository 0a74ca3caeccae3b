// The z-buffer: which triangle is seen at each of 2 x 2 samples of a pixel, and what the light sees.
#ifndef MCF_DATA_SYNTH_RASTER_H
#define MCF_DATA_SYNTH_RASTER_H

#include "data/synth/mesh.h"

enum { SHADOW_SIDE = 192 };

typedef struct {
    int side;     // samples a side
    int stride;   // from a row to the next: four more, so that four can be looked at together
    float *iz;    // nearness; 0: nothing
    uint32_t *id; // triangle + 1; 0: nothing
} samples;

// Whether a place of a part with holes is there.
typedef bool (*keep_function)(const void *context, const part *p, v3 at);

void mcf_raster_clear(samples *s);
// All triangles but those of lenses, which are looked through.
void mcf_raster_draw(samples *s, const mesh *m, keep_function keep, const void *context);
// The triangles of one kind on their own target: where nearer than `behind`.
void mcf_raster_layer(samples *s, const samples *behind, const mesh *m, part_kind kind);

// Perspective-correct weights of a triangle's corners at a sample place.
static inline v3 raster_weights(const mesh *m, const triangle *t, float x, float y)
{
    v3 a = m->screen[t->v[0]], b = m->screen[t->v[1]], c = m->screen[t->v[2]];
    float wa = (b.x - x) * (c.y - y) - (c.x - x) * (b.y - y);
    float wb = (c.x - x) * (a.y - y) - (a.x - x) * (c.y - y);
    float wc = (a.x - x) * (b.y - y) - (b.x - x) * (a.y - y);
    wa *= a.z, wb *= b.z, wc *= c.z;
    float sum = wa + wb + wc;
    if (absf(sum) < 1e-12f)
        return (v3){1, 0, 0};
    sum = 1 / sum;
    return (v3){wa * sum, wb * sum, wc * sum};
}

static inline v3 raster_mix(v3 w, v3 a, v3 b, v3 c)
{
    return (v3){w.x * a.x + w.y * b.x + w.z * c.x, w.x * a.y + w.y * b.y + w.z * c.y,
                w.x * a.z + w.y * b.z + w.z * c.z};
}

// What a lamp at infinity sees of a ball round `centre`.
typedef struct {
    v3 x, y, z; // z: towards the light
    v3 centre;
    float scale;
    samples map; // SHADOW_SIDE a side
} shadow_map;

// Leaves m->screen as the lamp sees it.
void mcf_shadow_draw(shadow_map *s, mesh *m, v3 towards, v3 centre, float radius, keep_function keep,
                     const void *context);
// Share of light at a place, 0..1; soft: half width of the edge in cm.
float mcf_shadow_at(const shadow_map *s, v3 p, v3 n, float soft);

#endif
