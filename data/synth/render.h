// The renderer's own memory, shared by the files that draw a picture.
#ifndef MCF_DATA_SYNTH_RENDER_H
#define MCF_DATA_SYNTH_RENDER_H

#include "data/synth/shade.h"

enum {
    SAMPLES = 2, // a side of a pixel
    GROUND_CHANCES = 224
};

struct mcf_synth {
    int size;
    mcf_synth_framing framing;
    person who;
    picture how;
    face f;
    stand s;
    mesh m;
    samples front, glass;
    shadow_map shadow;
    noise *grain;
    head_cache *head;
    uint64_t seed;                       // whose head is kept
    v3 *linear, *spare;                  // [size, size]
    float ground_chance[GROUND_CHANCES]; // numbers of the background
    uint8_t *ground_known;               // of the background's places, drawn at half size into spare
    uint8_t *pixels, *celeba, *lapa;
};

static inline builder synth_builder(mcf_synth *r)
{
    builder b = {.m = &r->m, .s = &r->s, .f = &r->f, .who = &r->who, .how = &r->how, .grain = r->grain};
    mcf_hair_measure(&b);
    return b;
}

// Forgets the last background; its colour at a pixel.
void mcf_ground_clear(mcf_synth *r);
v3 mcf_ground_at(mcf_synth *r, int x, int y);
// r->linear to r->pixels: blur, exposure, noise.
void mcf_camera_develop(mcf_synth *r);
// Points, their visibility, the box.
void mcf_points_find(mcf_synth *r, mcf_synth_face *out);

#endif
