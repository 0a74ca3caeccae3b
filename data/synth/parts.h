// The parts of a picture, each added to one mesh in camera space.
#ifndef MCF_DATA_SYNTH_PARTS_H
#define MCF_DATA_SYNTH_PARTS_H

#include "data/synth/mesh.h"
#include "data/synth/noise.h"

enum { HEAD_ROWS = 107, HEAD_COLUMNS = 105, HAIR_LINE = 128 };

// The head of a person before expression: the same in all their pictures, so kept.
typedef struct {
    bool valid;
    int rows, columns; // at most those below: a smaller picture needs fewer
    v3 rest[HEAD_ROWS * HEAD_COLUMNS], shaped[HEAD_ROWS * HEAD_COLUMNS];
} head_cache;

typedef struct {
    mesh *m;
    const stand *s;
    const face *f;
    const person *who;
    const picture *how;
    const noise *grain;
    float hair_line[HAIR_LINE + 1]; // height where hair begins, by angle from -pi to pi
    bool hangs, curls;              // long hair; curly hair
    float hair_bottom, hair_front;  // y of the tips, angle from which hair hangs
} builder;

void mcf_head_add(const builder *b, head_cache *cache);
void mcf_eyes_add(const builder *b);
void mcf_mouth_add(const builder *b);
void mcf_ears_add(const builder *b);
void mcf_body_add(const builder *b);
void mcf_hair_add(const builder *b);
void mcf_hat_add(const builder *b);
void mcf_glasses_add(const builder *b);
void mcf_jewellery_add(const builder *b);
void mcf_occluder_add(const builder *b);

// Centre of an eyeball in head space, and the direction it looks.
v3 mcf_eye_centre(const face *f, int side);
v3 mcf_eye_direction(const face *f, int side);

// Fills the builder's numbers of hair; hair_line reads.
void mcf_hair_measure(builder *b);

static inline float hair_line(const builder *b, float angle)
{
    float t = clampf((angle + SYNTH_PI) * (HAIR_LINE / (2 * SYNTH_PI)), 0, HAIR_LINE - 0.001f);
    int i = (int)t;
    return mixf(b->hair_line[i], b->hair_line[i + 1], t - (float)i);
}

// Long hair that is not tucked behind the ears.
bool mcf_hair_covers_ears(const person *p);
// Whether hair or hat is there; at: as the part has it.
bool mcf_hair_keep(const builder *b, const part *p, v3 at);
// The same without single hairs: for shadows.
bool mcf_hair_casts(const builder *b, const part *p, v3 at);
bool mcf_hat_keep(const builder *b, v3 at);
// Whether the body is covered at an angle and height, and how far from the edge, cm (positive: cloth).
float mcf_cloth_edge(const person *p, const picture *v, float angle, float y);

#endif
