// The head's skin in its rest coordinates: complexion, eyes' surroundings, brows, lips, beard, age.
#include "data/synth/material.h"

// Share of a pixel on the inner side of an edge `d` cm away (positive: inside).
static float cover(float d, float pixel)
{
    return clampf(d / pixel + 0.5f, 0, 1);
}

static void paint_eyes(const builder *b, v3 at, float pixel, material *m)
{
    const person *p = b->who;
    int side = at.x > 0;
    float ax = absf(at.x), dx = ax - b->f->eye_x, dy = at.y - b->f->eye_y;
    if (absf(dx) > 2.9f || absf(dy) > 2.2f)
        return;
    lids l = mcf_face_lids(b->f, side, at.x), wide = mcf_face_lids_open(b->f, side, at.x);
    float t = l.along, c = clampf(t, 0, 1);
    float beyond = maxf(maxf(-t, t - 1), 0) * 2 * b->f->eye_half; // cm past a corner
    float above = at.y - l.high, below = l.low - at.y;
    // shadow round the eye, colour on the lid
    float socket = bump2(dx / 2.6f, (dy - 0.25f) / 1.7f);
    m->colour = mix3(m->colour, mul3(m->colour, v3_of(0.80f, 0.70f, 0.70f)), 0.65f * socket);
    float bag = bump2((dx + 0.3f) / 1.7f, (dy + 0.95f) / 0.6f) * (0.25f + 0.5f * p->age);
    m->colour = mix3(m->colour, mul3(m->colour, v3_of(0.84f, 0.74f, 0.78f)), bag);
    if (above > 0 && p->makeup > 0)
        m->colour =
            mix3(m->colour, p->shadow_colour, 0.65f * p->makeup * fall(above / 0.95f) * smooth(0.5f, 0, beyond));
    // the fold over the upper lid
    float fold = wide.high + p->crease * (0.35f + 0.65f * sqrtf(clampf(4 * c * (1 - c), 0, 1))) - at.y;
    float crease =
        bump1(fold / maxf(0.11f, 0.7f * pixel)) * smooth(0.5f, 0.1f, beyond) * smooth(0.02f, 0.3f, p->crease);
    m->dim *= 1 - 0.42f * crease * minf(1, 0.16f / maxf(pixel, 0.16f) + 0.4f);
    float under = bump1((wide.low - 0.36f - 0.1f * p->age - at.y) / 0.15f) * smooth(0.4f, 0, beyond);
    m->dim *= 1 - (0.08f + 0.16f * p->age + 0.12f * clampf(b->how->squint, 0, 1)) * under;
    // lashes: a dark edge, longer outside
    if (above > -0.1f) {
        float reach = (0.07f + 0.17f * p->lashes * (0.4f + 0.9f * c)) * (t > 1   ? smooth(0.4f, 0.05f, beyond)
                                                                         : t < 0 ? 0
                                                                                 : 1);
        float dark = (0.55f + 0.4f * p->lashes) * cover(reach - above, maxf(pixel, 0.05f)) * (reach > 0.02f);
        m->colour = mix3(m->colour, v3_of(0.012f, 0.008f, 0.007f), dark);
    }
    if (below > -0.1f && t > 0 && t < 1) {
        float dark = (0.18f + 0.4f * p->lashes) * cover(0.06f - below, maxf(pixel, 0.06f)) * (0.4f + 0.6f * c);
        m->colour = mix3(m->colour, v3_of(0.05f, 0.02f, 0.018f), dark);
    }
}

static void paint_brows(const builder *b, v3 at, material *m)
{
    int side = at.x > 0;
    brow w = mcf_face_brow(b->f, side, at.x);
    if (w.along < -0.12f || w.along > 1.1f || absf(at.y - w.y) > w.half + 0.5f)
        return;
    if (w.inside && absf(at.y - w.y) < w.half)
        m->label = side ? MCF_SYNTH_R_BROW : MCF_SYNTH_L_BROW;
    // hairs lean outwards
    float sx = absf(at.x) * 26 + (at.y - w.y) * mixf(-6, 26, clampf(w.along * 2, 0, 1)),
          sy = (at.y - w.y) * 9 + absf(at.x) * 7;
    float hair = noise_at(b->grain->strand, sx + 91 * (float)side, sy);
    float edge = (w.half - absf(at.y - w.y)) / maxf(w.half, 0.05f), density = b->who->brow_density;
    float amount = smooth(-0.35f, 0.55f, edge + 0.35f * hair) * (w.inside ? 1 : 0) * smooth(-0.02f, 0.1f, w.along);
    m->colour =
        mix3(m->colour, b->who->brow, clampf(amount * (0.62f + 0.25f * hair) * (0.55f + 0.6f * density), 0, 0.96f));
    m->gloss *= 1 - 0.6f * amount;
}

static void paint_mouth(const builder *b, v3 at, float pixel, material *m)
{
    const face *f = b->f;
    float ax = absf(at.x);
    if (ax > f->mouth_half + 0.7f || at.y > f->mouth_y + 2.2f || at.y < f->mouth_y - 2.6f)
        return;
    lips l = mcf_face_lips(f, at.x);
    float q = clampf(1 - l.across * l.across, 0, 1);
    bool upper = at.y >= l.upper_low, lower = at.y <= l.lower_top;
    float edge = upper ? l.upper_top - at.y : at.y - l.lower_low;
    if (l.inside && (upper || lower) && edge > 0)
        m->label = upper ? MCF_SYNTH_U_LIP : MCF_SYNTH_L_LIP;
    float soft = maxf(pixel, b->who->makeup > 0.5f ? 0.07f : 0.16f);
    float amount = l.inside ? cover(edge, soft) * smooth(0, 0.06f, q) : 0;
    if (amount > 0) {
        float lines = noise_at(b->grain->strand, at.x * 22, at.y * 4);
        v3 c = scale3(b->who->lip, 1 + 0.13f * lines - (upper ? 0.12f : 0));
        float t = upper ? (at.y - l.upper_low) : (l.lower_top - at.y);
        c = scale3(c, mixf(0.45f, 1, smooth(-0.02f, 0.28f, t)));
        m->colour = mix3(m->colour, c, amount);
        m->gloss = mixf(m->gloss, 0.10f + 0.22f * b->who->makeup, amount);
        m->sharp = mixf(m->sharp, 34, amount);
    }
    // corners, and the shade under the lower lip
    float corner = bump2((ax - f->mouth_half) / 0.5f, (at.y - f->mouth_y) / 0.4f);
    m->dim *= 1 - 0.55f * corner;
    m->dim *= 1 - 0.16f * bump2(at.x / 2.2f, (at.y - l.lower_low + 0.28f) / 0.5f);
}

// Hair in skin: beard, shaved heads. Returns whether it is a head of hair.
static void paint_short_hair(const builder *b, v3 at, material *m)
{
    const person *p = b->who;
    bool shaved = (p->style == HAIR_BUZZ || p->style == HAIR_BALD) && (at.y > -2 || at.z < 1), chin = at.y < -0.5f;
    bool bearded = p->beard != BEARD_NONE || (p->masculine > 0.5f && p->child < 0.5f);
    if (!shaved && !(bearded && chin))
        return;
    float angle = atan2_fast(at.x, at.z - 0.2f);
    float u = at.z > 3 ? at.x : angle * 7, grain = noise_at(b->grain->strand, u * 30, at.y * 14),
          dots = noise_at(b->grain->fine, u * 16, at.y * 16);
    if (shaved) {
        float over = at.y - hair_line(b, angle) + 0.2f * grain;
        float amount = smooth(-0.15f, 0.35f, over);
        if (p->style == HAIR_BUZZ) {
            m->colour = mix3(m->colour, p->hair, amount * clampf(0.72f + 0.3f * grain + 0.15f * dots, 0, 0.95f));
            m->gloss *= 1 - 0.8f * amount;
            if (over > 0)
                m->label = MCF_SYNTH_HAIR;
        } else {
            m->colour = mix3(m->colour, mix3(m->colour, p->hair, 0.4f), 0.25f * amount * (1 - p->recede));
        }
    }
    if (!bearded || !chin)
        return;
    const face *f = b->f;
    float ax = absf(at.x), low = p->lower, z = at.z;
    // upper lip, chin, jaw: each a soft region
    float lip = bump2(at.x / 3.4f, (at.y - f->mouth_y - 1.35f) / 1.25f) * (at.y < f->nose_under + 0.25f);
    float middle = bump2(at.x / 3.4f, (at.y - f->mouth_y + 3.1f * low) / 2.9f) +
                   0.5f * bump2((ax - 2.9f) / 1.1f, (at.y - f->mouth_y + 0.7f) / 2.4f);
    float line = mixf(-5.2f, -1.6f, smooth(3.6f, 6.6f, ax)) * low; // upper edge on the cheek
    float jaw = smooth(line + 0.5f, line - 1.4f, at.y) * smooth(0.3f, 2.2f, z + 0.3f) * smooth(1.9f, 3.6f, ax);
    float under = smooth(f->bottom + 2.6f, f->bottom + 1.2f, at.y) * smooth(1, 3.5f, z);
    float amount = 0;
    switch (p->beard) {
    case BEARD_STUBBLE:
        amount = 0.5f * minf(1, 1.6f * lip + 1.4f * middle + jaw + 0.8f * under);
        break;
    case BEARD_MOUSTACHE:
        amount = 2.1f * lip;
        break;
    case BEARD_GOATEE:
        amount = 2.0f * lip + 1.9f * middle;
        break;
    case BEARD_FULL:
        amount = 2.0f * lip + 2.0f * middle + 1.3f * jaw + 1.2f * under;
        break;
    default: // shaved: a bluish cast
        amount = minf(1, lip + middle + jaw + 0.6f * under);
        m->colour = mix3(m->colour, mul3(m->colour, v3_of(0.82f, 0.87f, 0.93f)), 0.5f * amount);
        return;
    }
    bool stubble = p->beard == BEARD_STUBBLE;
    float soft = amount + (stubble ? 0.2f * dots : 0.45f * grain);
    float a = stubble ? clampf(soft, 0, 1) * (0.45f + 0.35f * p->beard_density)
                      : smooth(0.42f, 0.95f, soft) * (0.8f + 0.18f * p->beard_density);
    v3 c = scale3(mix3(p->hair, p->brow, 0.4f), 1 + 0.35f * grain);
    m->colour = mix3(m->colour, c, clampf(a, 0, 0.97f));
    m->gloss *= 1 - 0.75f * a;
    if (!stubble)
        m->dim *= 1 - 0.12f * a * (0.5f - 0.5f * grain);
}

static void paint_skin(const builder *b, v3 at, material *m)
{
    const person *p = b->who;
    const face *f = b->f;
    float ax = absf(at.x), low = p->lower;
    float cloud = noise_at(b->grain->cloud, at.x * 5 + at.z * 4, at.y * 5 + 31);
    float pores = noise_at(b->grain->cloud, at.x * 19 + at.z * 13, at.y * 19);
    v3 c = scale3(p->skin, 1 + 0.05f * cloud + 0.045f * pores);
    // blood near the surface
    float red = p->blush * (0.75f * bump2((ax - 4.0f) / 2.9f, (at.y + 3.3f * low) / 2.4f) +
                            0.65f * bump2(at.x / 1.9f, (at.y - f->nose_tip) / 1.5f)) +
                0.25f * bump2(at.x / 2.2f, (at.y + 10.2f * low) / 1.8f) + 0.06f * cloud;
    c = mul3(c, mix3(v3_of(1, 1, 1), v3_of(1.03f, 0.80f, 0.79f), clampf(red, 0, 1)));
    c = mul3(c, mix3(v3_of(1, 1, 1), v3_of(1.03f, 1.01f, 0.93f), 0.7f * bump2(at.x / 6, (at.y - 5) / 3)));
    if (p->makeup > 0)
        c = mix3(c, mul3(c, v3_of(1.08f, 0.72f, 0.72f)),
                 0.5f * p->makeup * bump2((ax - 4.6f) / 2.2f, (at.y + 2.9f * low) / 1.5f));
    if (p->freckles > 0) {
        float spot = noise_at(b->grain->fine, at.x * 3.3f + 17, at.y * 3.3f + at.z);
        float zone = bump2(ax / 6.5f, (at.y + 2.3f) / 3.4f);
        c = mix3(c, mul3(c, v3_of(0.66f, 0.5f, 0.4f)), p->freckles * zone * smooth(0.45f, 0.8f, spot));
    }
    for (int i = 0; i < p->moles; i++) {
        float d = bump2((at.x - p->mole_x[i]) / 0.22f, (at.y - p->mole_y[i]) / 0.22f);
        c = mix3(c, mul3(p->skin, v3_of(0.2f, 0.13f, 0.1f)), minf(1, 2 * d) * (at.z > 2));
    }
    m->colour = c;
    // age draws lines: forehead, corners of the eyes, nose to mouth; expression deepens them
    const picture *v = b->how;
    float old = p->age, lines = 0;
    float across =
        bump2(at.x / 4.6f, (at.y - 5) / 2.6f) * (0.5f * old * old + 0.6f * clampf(v->brow_raise, 0, 1) * (0.3f + old));
    if (across > 0.01f)
        lines += across * bump1((at.y + 0.25f * cloud - 1.05f * (float)floor_int(at.y / 1.05f) - 0.5f) / 0.22f);
    float crow = bump2((ax - f->eye_x - 2.3f) / 1.2f, (at.y - f->eye_y) / 1.2f) *
                 (0.5f * old + 0.35f * clampf(v->smile, 0, 1) * old);
    if (crow > 0.01f) {
        float s = (at.y - f->eye_y) / maxf(ax - f->eye_x - 0.9f, 0.3f) * 3.2f;
        lines += crow * bump1((s - (float)floor_int(s) - 0.5f) / 0.3f);
    }
    // nasolabial: a curve from the wing of the nose past the corner of the mouth
    float t = clampf((f->nose_tip - 0.1f - at.y) / (f->nose_tip - f->mouth_y + 0.4f), 0, 1);
    float fold = 1.95f * p->nose_width + t * (1.35f + 0.45f * v->smile) - 0.25f * t * (1 - t);
    float depth = (0.16f + 0.5f * old + 0.4f * clampf(v->smile, 0, 1)) * smooth(0, 0.15f, t) * smooth(1.0f, 0.7f, t);
    lines += depth * bump1((ax - fold) / 0.3f);
    if (v->frown > 0.1f)
        lines += v->frown * bump2((ax - 0.55f) / 0.2f, (at.y - f->brow_y) / 1.1f);
    m->dim *= 1 - 0.34f * clampf(lines, 0, 1);
    // nostrils
    float hole = bump2((ax - 0.68f * p->nose_width) / 0.52f, (at.y - f->nose_under - 0.30f) / 0.30f);
    float crease = bump2((ax - 1.95f * p->nose_width) / 0.32f, (at.y - f->nose_tip + 0.35f) / 0.85f);
    m->dim *= (1 - 0.93f * smooth(0.1f, 0.5f, hole)) * (1 - 0.25f * crease);
    m->gloss = 0.038f *
               (1 + 0.5f * bump2(at.x / 2, (at.y - f->nose_tip) / 3) + 0.4f * bump2(at.x / 5, (at.y - 5) / 3)) *
               (1 + 0.5f * pores);
}

static uint8_t head_label(const builder *b, v3 at)
{
    if (at.z > 2 && absf(at.x) < mcf_face_nose_half(b->f, at.y))
        return MCF_SYNTH_NOSE;
    // under the jaw
    if (at.y < -6.5f * b->who->lower && at.z < mcf_face_axis(b->f, at.y) - 0.6f)
        return MCF_SYNTH_NECK;
    return MCF_SYNTH_SKIN;
}

material mcf_head_material(const builder *b, v3 at, float pixel)
{
    material m = {.sharp = 18, .scatter = 1, .dim = 1, .label = head_label(b, at)};
    paint_skin(b, at, &m);
    paint_short_hair(b, at, &m);
    if (at.z > 1) {
        paint_eyes(b, at, pixel, &m);
        paint_brows(b, at, &m);
        paint_mouth(b, at, pixel, &m);
    }
    if (b->who->style != HAIR_BUZZ && b->who->style != HAIR_BALD && (at.y > 1.5f || at.z < 2.5f)) {
        // the scalp at the roots
        float over = at.y - hair_line(b, atan2_fast(at.x, at.z - 0.2f));
        float root = smooth(-0.6f, 0.4f, over);
        m.colour = mix3(m.colour, scale3(b->who->hair, 0.7f), 0.8f * root);
        m.gloss *= 1 - root;
        m.dim *= 1 - 0.22f * smooth(-1.6f, 0, over);
    }
    return m;
}
