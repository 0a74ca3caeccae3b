// What all parts but the skin of the head look like, and the light on everything.
#include "data/synth/material.h"

// --- eyes, mouth

static material eye_material(const builder *b, int side, v3 at, float pixel)
{
    const person *p = b->who;
    material m = {
        .gloss = 0.5f, .sharp = 180, .scatter = 0.25f, .dim = 1, .label = side ? MCF_SYNTH_R_EYE : MCF_SYNTH_L_EYE};
    v3 g = mcf_eye_direction(b->f, side);
    float R = b->f->eye_radius, edge = pixel / R;
    float d = length3(sub3(at, g)); // chord from the pupil
    float iris = 0.62f / R, pupil = iris * mixf(0.36f, 0.5f, clampf(1 - b->how->exposure * 0.6f, 0, 1));
    v3 c = v3_of(0.54f, 0.51f, 0.49f);
    float inner = side ? -at.x : at.x;
    c = mix3(c, v3_of(0.5f, 0.3f, 0.27f), 0.8f * smooth(0.55f, 0.85f, inner) + 0.25f * smooth(0.5f, 0.9f, -inner));
    if (d < iris + edge) {
        float a = atan2_fast(at.y - g.y, at.x - g.x), r = d / iris;
        float rays = noise_at(b->grain->strand, a * 40, r * 6);
        v3 i = mix3(p->iris2, p->iris, smooth(0.45f, 0.75f, r + 0.2f * rays));
        i = scale3(i, 1.35f * (1 + 0.4f * rays) * (1 - 0.75f * smooth(0.8f, 1, r)));
        // light gathers opposite to where it enters
        i = scale3(i, 1 + 0.5f * smooth(0, -0.25f, at.y - g.y));
        i = mix3(i, v3_of(0.004f, 0.004f, 0.004f), clampf((pupil - d) / edge + 0.5f, 0, 1));
        c = mix3(c, i, clampf((iris - d) / edge + 0.5f, 0, 1));
    }
    // shade of the lids
    v3 q = mad3(mcf_eye_centre(b->f, side), at, R);
    lids l = mcf_face_lids(b->f, side, q.x);
    m.dim *= mixf(0.28f, 1, smooth(-0.02f, 0.42f, l.high - q.y)) * mixf(0.7f, 1, smooth(-0.05f, 0.15f, q.y - l.low));
    m.dim *= mixf(0.55f, 1, smooth(0, 0.16f, l.along) * smooth(1, 0.84f, l.along));
    m.colour = c;
    return m;
}

static material mouth_material(const builder *b, const part *part, v3 at)
{
    material m = {.gloss = 0.02f, .sharp = 20, .scatter = 0.5f, .dim = 1, .label = MCF_SYNTH_MOUTH};
    float open = clampf(b->how->open / 1.6f, 0, 1);
    if (part->kind == PART_TEETH) {
        m.colour = mix3(v3_of(0.60f, 0.56f, 0.48f), v3_of(0.5f, 0.42f, 0.3f), b->who->age * 0.8f);
        // gaps: broad teeth in the middle
        float x = absf(at.x) * (part->side ? 1.75f : 1.22f), s = x - (float)floor_int(x);
        float seam = part->side ? minf(s, 1 - s) : at.x == 0 ? 0 : minf(s, 1 - s);
        m.dim *= mixf(0.62f, 1, smooth(0, 0.12f, seam));
        float gum = part->side ? at.y - 0.75f : 0.18f - at.y;
        m.colour = mix3(m.colour, v3_of(0.45f, 0.14f, 0.13f), smooth(-0.05f, 0.06f, gum));
        m.dim *= mixf(1, 0.3f, smooth(0.9f, 2.4f, absf(at.x)));
        m.dim *= part->side ? 0.55f : mixf(0.65f, 0.95f, smooth(0, 0.6f, at.y));
        m.gloss = 0.12f, m.sharp = 60;
    } else if (part->kind == PART_TONGUE) {
        m.colour = scale3(v3_of(0.48f, 0.16f, 0.15f), 1 - 0.3f * bump1(at.x / 0.25f));
        m.dim = 0.35f + 0.2f * open;
        m.gloss = 0.06f;
    } else {
        m.colour = v3_of(0.2f, 0.045f, 0.04f);
        m.dim = mixf(0.28f, 0.08f, at.z);
    }
    return m;
}

static material ear_material(const builder *b, int side, v3 at)
{
    material m = {
        .gloss = 0.03f, .sharp = 18, .scatter = 1.2f, .dim = 1, .label = side ? MCF_SYNTH_R_EAR : MCF_SYNTH_L_EAR};
    float cloud = noise_at(b->grain->cloud, at.x * 30, at.y * 30);
    m.colour = mul3(scale3(b->who->skin, 0.96f + 0.05f * cloud), v3_of(1.02f, 0.86f, 0.84f));
    m.dim = mixf(0.45f, 1, smooth(-0.45f, 0.25f, at.z));
    return m;
}

// --- clothes

static v3 woven(const builder *b, v3 at, v3 one, v3 two, int pattern)
{
    float grain = noise_at(b->grain->fine, at.z * 11, at.y * 11), cloud = noise_at(b->grain->cloud, at.z * 4, at.y * 4);
    float k = 0;
    switch (pattern) {
    case 1:
        k = smooth(0.42f, 0.5f, absf(at.y * 0.45f - (float)floor_int(at.y * 0.45f) - 0.5f));
        break;
    case 2: {
        float s = at.z * 0.35f, t = at.y * 0.35f;
        k = 0.5f * (absf(s - (float)floor_int(s) - 0.5f) < 0.2f) + 0.5f * (absf(t - (float)floor_int(t) - 0.5f) < 0.2f);
        break;
    }
    case 3:
        k = smooth(0.15f, 0.25f, noise_at(b->grain->cloud, at.z * 7 + 50, at.y * 7));
        break;
    default:
        break;
    }
    return scale3(mix3(one, two, k), 1 + 0.09f * grain + 0.1f * cloud);
}

// Long: one garment after another, each adding to the same material.
static material body_material(const builder *b, int which, v3 at, float pixel)
{
    const picture *v = b->how;
    const person *p = b->who;
    material m = {.gloss = 0.012f, .sharp = 9, .scatter = 0, .dim = 1, .label = MCF_SYNTH_CLOTH};
    float cloud = noise_at(b->grain->cloud, at.x * 30, at.y * 5);
    if (which) {
        v3 one =
            which == 1 ? (v->cloth == CLOTH_SUIT ? v->shirt_colour : scale3(v->cloth_colour, 0.96f)) : v->cloth_colour;
        m.colour = woven(b, at, one, one, 0);
        if (v->cloth == CLOTH_TURTLE)
            m.dim *= 0.85f + 0.15f * sin_fast(at.x * 60);
        m.dim *= mixf(0.75f, 1, smooth(0, 0.2f, at.z));
        return m;
    }
    float edge = mcf_cloth_edge(p, v, at.x, at.y);
    if (edge <= 0) {
        m = (material){.colour = scale3(p->skin, 0.95f + 0.05f * cloud),
                       .gloss = 0.03f,
                       .sharp = 16,
                       .scatter = 1,
                       .dim = 1,
                       .label = MCF_SYNTH_NECK};
        m.dim *= mixf(0.72f, 1, smooth(0, -0.9f, edge));
        if (p->beard == BEARD_FULL || p->beard == BEARD_STUBBLE) {
            float a =
                smooth(-10.5f, -8, at.y) * smooth(1.5f, 0.9f, absf(at.x)) * (p->beard == BEARD_FULL ? 0.5f : 0.25f);
            m.colour = mix3(m.colour, p->hair, a);
        }
        return m;
    }
    v3 at2 = v3_of(at.x, at.y, at.z);
    float ax = absf(at.z);
    m.colour = woven(b, at2, v->cloth_colour, v->cloth_colour2, v->cloth == CLOTH_SUIT ? 0 : v->cloth_pattern);
    if (v->cloth == CLOTH_SUIT && cos_fast(at.x) > 0) {
        float opening = 5.4f - (-14.5f - at.y) * 0.42f; // V of the jacket
        if (ax < opening) {
            m.colour = woven(b, at2, v->shirt_colour, v->shirt_colour, 0);
            m.dim *= mixf(0.6f, 1, smooth(0, 0.6f, opening - ax));
            if (v->tie) {
                float half = at.y > -16.2f ? 1.1f - 0.12f * (-14.5f - at.y) : 0.85f + 0.12f * (-16.2f - at.y);
                if (ax < half) {
                    float stripe = at.y * 0.8f + at.z * 0.8f;
                    m.colour = woven(b, at2, v->cloth_colour2, v->hat_colour2, 0);
                    if (v->cloth_pattern & 1)
                        m.colour = mix3(m.colour, v->hat_colour2,
                                        smooth(0.25f, 0.3f, absf(stripe - (float)floor_int(stripe) - 0.5f)));
                    m.dim *= mixf(0.55f, 1, smooth(0, 0.3f, half - ax)) * (at.y > -16.2f ? 0.85f : 1);
                    m.gloss = 0.05f;
                }
            }
        } else {
            float lapel = opening + 3.6f - 0.35f * absf(at.y + 20);
            m.dim *= 1 - 0.3f * bump1((ax - lapel) / maxf(0.25f, pixel)) * (at.y > -27);
            m.dim *= mixf(0.75f, 1, smooth(0, 0.35f, ax - opening));
        }
    }
    if (v->cloth == CLOTH_SHIRT && cos_fast(at.x) > 0) {
        m.dim *= 1 - 0.25f * bump1((at.z - 1.1f) / maxf(0.18f, pixel));
        float button = at.y * 0.2f;
        m.dim *= 1 - 0.4f * (bump2((at.z) / 0.45f, (button - (float)floor_int(button) - 0.5f) * 5 / 0.45f) > 0.2f);
    }
    float rib = v->cloth == CLOTH_ROUND || v->cloth == CLOTH_V ? smooth(0.9f, 0.8f, edge) : 0;
    m.dim *= 1 - 0.14f * rib - 0.2f * bump1((edge - 0.9f) / maxf(0.2f, pixel));
    // folds
    float folds = noise_at(b->grain->cloud, at.z * 2.2f + at.y * 0.8f, at.y * 1.1f - at.z * 0.6f);
    m.dim *= 1 + 0.16f * folds;
    return m;
}

static material hair_material(const builder *b, const part *part, v3 at, const surface *s)
{
    const person *p = b->who;
    material m = {.gloss = 0, .sharp = 1, .scatter = 0.2f, .dim = 1, .label = MCF_SYNTH_HAIR};
    bool curls = p->style == HAIR_CURLY || p->style == HAIR_AFRO;
    float wave = p->hair_wave * 0.5f * sin_fast(at.y * 1.1f + 1.5f * sin_fast(at.z * 0.6f));
    float strand = noise_at(b->grain->strand, (at.z + wave) * 13, at.y * 4),
          broad = noise_at(b->grain->strand, (at.z + wave) * 3.2f + 70, at.y * 2.2f);
    float curl = curls ? noise_at(b->grain->cloud, at.x * 85, at.y * 13) : 0;
    float tone = 0.36f * strand + 0.38f * broad + 0.8f * curl;
    m.colour = mix3(scale3(p->hair, 0.55f + 0.12f * (float)(part->side == 1)), p->hair2, smooth(-0.55f, 0.85f, tone));
    if (p->grey > 0.2f)
        m.colour = mix3(m.colour, v3_of(0.42f, 0.41f, 0.4f), 0.35f * p->grey * smooth(0.1f, 0.6f, strand));
    m.dim *= clampf(1 + 0.42f * tone, 0.35f, 1.5f);
    if (part->side < 8) {
        float line = hair_line(b, at.x);
        m.dim *= mixf(0.72f, 1, smooth(-0.4f, 1.6f, at.y - line));
        // the parting
        if (p->parted && !curls && at.y > 7) {
            float d = absf(s->at.x - 0.75f * (p->part > 0 ? 1 : -1));
            m.dim *= 1 - 0.3f * bump1(d / 0.18f);
        }
    }
    return m;
}

static material hat_material(const builder *b, const part *part, v3 at)
{
    const picture *v = b->how;
    material m = {.gloss = 0.012f, .sharp = 8, .dim = 1, .label = MCF_SYNTH_HAT};
    float grain = noise_at(b->grain->fine, at.x * 70, at.y * 10),
          cloud = noise_at(b->grain->cloud, at.x * 30, at.y * 5);
    m.colour = scale3(v->hat_colour, 1 + 0.1f * grain + 0.08f * cloud);
    if (part->kind == PART_VISOR) {
        m.colour =
            scale3(v->hat == HAT_CAP && v->hat_pattern == 1 ? v->hat_colour2 : v->hat_colour, 0.95f + 0.08f * grain);
        if (v->hat == HAT_CAP)
            m.dim *= 1 - 0.2f * bump1((at.y - 0.85f) / 0.07f);
        return m;
    }
    switch (v->hat) {
    case HAT_BEANIE: // knitted: ribs, a band
        m.dim *= 0.86f + 0.14f * sin_fast(at.x * 46) + 0.06f * sin_fast(at.y * 14);
        m.dim *= mixf(1, 0.7f, bump1((at.z - 2.75f) / 0.3f));
        if (v->hat_pattern == 1 && absf(at.z - 4.6f) < 0.7f)
            m.colour = scale3(v->hat_colour2, 1 + 0.1f * grain);
        break;
    case HAT_CAP: {
        float seam = at.x * 3 / SYNTH_PI;
        m.dim *= 1 - 0.25f * bump1((absf(seam - (float)floor_int(seam + 0.5f))) / 0.025f);
        if (v->hat_pattern == 2 && absf(at.x) < 0.28f && absf(at.z - 2.2f) < 1.1f)
            m.colour = v->hat_colour2;
        break;
    }
    case HAT_BRIM:
        if (at.z < 1.5f)
            m.colour = scale3(v->hat_colour2, 0.6f);
        break;
    default:
        m.dim *= mixf(0.6f, 1, smooth(0, 0.9f, at.z));
        if (v->hat_pattern == 1)
            m.colour =
                mix3(m.colour, v->hat_colour2, smooth(0.1f, 0.2f, noise_at(b->grain->cloud, at.x * 60, at.y * 9)));
        break;
    }
    return m;
}

static material thing_material(const builder *b, const part *part, v3 at)
{
    const picture *v = b->how;
    const person *p = b->who;
    material m = {.colour = p->frame, .gloss = 0.35f, .sharp = 60, .dim = 1, .label = MCF_SYNTH_EYE_G};
    switch (part->kind) {
    case PART_FRAME:
        break;
    case PART_EARRING:
    case PART_NECKLACE:
        m.label = part->kind == PART_EARRING ? MCF_SYNTH_EAR_R : MCF_SYNTH_NECK_L;
        m.colour = part->kind == PART_NECKLACE && p->beads ? v->hat_colour2 : scale3(p->metal, 0.5f);
        m.gloss = 0.9f;
        m.sharp = 40;
        break;
    case PART_HAND: {
        float cloud = noise_at(b->grain->cloud, at.x * 40, at.y * 60);
        m = (material){.colour = mul3(scale3(p->skin, 0.97f + 0.06f * cloud), v3_of(1.02f, 0.92f, 0.9f)),
                       .gloss = 0.03f,
                       .sharp = 16,
                       .scatter = 1,
                       .dim = 1};
        m.dim *= 1 - 0.18f * (bump1((at.x - 0.45f) / 0.04f) + bump1((at.x - 0.72f) / 0.03f));
        break;
    }
    default:
        m.label = MCF_SYNTH_BACKGROUND;
        m.colour = v->occluder_colour;
        m.gloss = 0.15f;
        if (part->side == OCCLUDER_MICROPHONE && at.z * at.z < 1.01f && length3(at) > 0.9f) {
            float g = sin_fast(at.y * 40) * sin_fast(at.x * 40);
            m.colour = v3_of(0.1f, 0.1f, 0.105f);
            m.dim = 0.7f + 0.4f * g;
        } else if (part->side == OCCLUDER_PHONE) {
            m.colour = v3_of(0.02f, 0.02f, 0.022f);
            m.gloss = 0.3f;
            if (bump2((at.x + 0.62f) / 0.22f, (at.y - 0.82f) / 0.11f) > 0.3f)
                m.colour = v3_of(0.12f, 0.12f, 0.14f);
        }
        break;
    }
    return m;
}

static material material_of(const builder *b, const surface *s)
{
    const part *p = s->part;
    switch (p->kind) {
    case PART_HEAD:
        return mcf_head_material(b, s->at, s->pixel);
    case PART_EYE:
        return eye_material(b, p->side, s->at, s->pixel);
    case PART_MOUTH:
    case PART_TEETH:
    case PART_TONGUE:
        return mouth_material(b, p, s->at);
    case PART_EAR:
        return ear_material(b, p->side, s->at);
    case PART_BODY:
        return body_material(b, p->side, s->at, s->pixel);
    case PART_HAIR:
        return hair_material(b, p, s->at, s);
    case PART_HAT:
    case PART_VISOR:
        return hat_material(b, p, s->at);
    default:
        return thing_material(b, p, s->at);
    }
}

// --- light

static float power(float x, float e)
{
    return x > 0 ? pow_fast(x, e) : 0;
}

// With h halfway between the directions f to the lamp and e to the eye, for any unit a:
// (a . h)^2 = (a . f + a . e)^2 / (2 + 2 f . e), (e . h)^2 = (1 + f . e) / 2.

// Kajiya and Kay 1989: a hair reflects in a cone round itself. t: its direction, te: t . e
static v3 hair_light(const surface *s, v3 t, float te, v3 to_eye, v3 light, v3 colour, v3 from, float gloss)
{
    float tl = dot3(t, from), facing = dot3(s->n, from),
          diffuse = sqrtf(maxf(1 - tl * tl, 0)) * clampf(0.35f + 0.75f * facing, 0, 1);
    float fe = dot3(from, to_eye), cone = 1 - (tl + te) * (tl + te) / (2.001f + 2 * fe);
    float shine = cone > 0.86f && facing > -0.3f ? power(cone, 34) * minf(0.3f + facing, 1) * gloss : 0;
    v3 tint = add3(scale3(colour, 1.6f), v3_of(0.035f, 0.035f, 0.035f));
    return mul3(light, add3(scale3(colour, diffuse), scale3(tint, 0.55f * shine)));
}

// ne: normal . e
static v3 lamp(const material *m, const surface *s, float ne, v3 to_eye, v3 light, v3 from, float lit, float gloss)
{
    float d = dot3(s->n, from), k = m->scatter;
    if (d < -0.3f || lit <= 0)
        return v3_of(0, 0, 0);
    // red travels further under skin
    float red = 0.30f * k, blue = 0.10f * k, even = clampf((d + blue) / (1 + blue), 0, 1) * lit;
    v3 diffuse = {clampf((d + red) / (1 + red), 0, 1) * mixf(lit, sqrtf(lit), 0.5f * minf(k, 1)), even, even};
    v3 c = mul3(mul3(m->colour, diffuse), light);
    gloss *= m->gloss;
    if (d <= 0 || gloss <= 0)
        return c;
    float fe = dot3(from, to_eye), nh2 = (d + ne) * (d + ne) / (2.001f + 2 * fe);
    if (nh2 * m->sharp < m->sharp - 12) // nothing to be seen
        return c;
    float grazing = 1 - sqrtf(maxf(0.5f + 0.5f * fe, 0));
    float spec = gloss * (1 + 6 * grazing * grazing * grazing) * power(nh2, 0.5f * m->sharp) * (m->sharp * 0.12f + 1) *
                 lit * minf(d * 3, 1);
    return mad3(c, light, spec);
}

shaded mcf_shade(const builder *b, const shadow_map *shadow, const surface *given)
{
    surface s = *given;
    const picture *v = b->how;
    v3 to_eye = normal3(scale3(s.p, -1));
    if (s.part->two_sided && dot3(s.n, to_eye) < 0)
        s.n = scale3(s.n, -1);
    material m = material_of(b, &s);
    float ne = clampf(dot3(s.n, to_eye), 0, 1);
    float lit = dot3(s.n, v->key_direction) > -0.35f ? mcf_shadow_at(shadow, s.p, s.n, v->shadow_soft) : 0;
    bool inside = s.part->kind == PART_MOUTH || s.part->kind == PART_TEETH || s.part->kind == PART_TONGUE ||
                  s.part->kind == PART_EYE;
    if (inside)
        lit = 0.35f + 0.65f * lit;
    float open = s.light;
    v3 around = mix3(v->floor, v->sky, 0.5f + 0.5f * s.n.y), c;
    // skin sends back some of what falls on skin: creases turn red, not black
    v3 dark = {mixf(open, sqrtf(maxf(open, 0)), 0.5f * minf(m.scatter, 1)), open, open};
    c = mul3(mul3(m.colour, around), dark);
    if (s.part->kind == PART_HAIR) {
        float strand = noise_at(b->grain->strand, s.at.z * 13, s.at.y * 2);
        v3 t = normal3(mad3(s.along, s.n, 0.14f + 0.22f * strand));
        float te = dot3(t, to_eye);
        c = scale3(c, 0.8f);
        if (lit > 0)
            c = add3(c, scale3(hair_light(&s, t, te, to_eye, v->key, m.colour, v->key_direction, v->gloss), lit));
        c = add3(c, scale3(hair_light(&s, t, te, to_eye, v->fill, m.colour, v->fill_direction, v->gloss), open));
        if (v->rim.y > 0)
            c = add3(c, hair_light(&s, t, te, to_eye, v->rim, m.colour, v->rim_direction, v->gloss));
    } else {
        c = add3(c, lamp(&m, &s, ne, to_eye, v->key, v->key_direction, lit, v->gloss));
        c = add3(c, lamp(&m, &s, ne, to_eye, v->fill, v->fill_direction, open, 0));
        if (v->rim.y > 0)
            c = add3(c, lamp(&m, &s, ne, to_eye, v->rim, v->rim_direction, open, v->gloss));
        // bright surroundings in what is smooth
        float grazing = 1 - ne;
        c = mad3(c, around, m.gloss * 0.35f * grazing * grazing * open);
    }
    if (s.part->kind == PART_EYE) {
        // a window, whatever the lamps
        v3 g = mcf_eye_direction(b->f, s.part->side);
        v3 w = sub3(s.at, normal3(add3(g, v3_of(v->key_direction.x > 0 ? 0.16f : -0.16f, 0.2f, 0))));
        float spot = bump2(w.x / 0.13f, w.y / 0.13f);
        c = add3(c, scale3(add3(v->key, v->sky), 1.1f * spot));
    }
    return (shaded){scale3(c, maxf(m.dim, 0)), m.label};
}

v3 mcf_shade_lens(const builder *b, const surface *s, v3 behind)
{
    const picture *v = b->how;
    v3 to_eye = normal3(scale3(s->p, -1)), n = dot3(s->n, to_eye) < 0 ? scale3(s->n, -1) : s->n;
    v3 r = mad3(scale3(to_eye, -1), n, 2 * dot3(n, to_eye));
    float window = smooth(0.25f, 0.4f, r.y) * smooth(0.9f, 0.7f, r.y) * (absf(r.x - 0.2f) < 0.3f ? 1.0f : 0.0f);
    float grazing = 1 - clampf(dot3(n, to_eye), 0, 1), mirror = 0.03f + 0.5f * grazing * grazing * grazing;
    float strong = v->glasses == GLASSES_SUN ? 0.11f : 0.05f;
    v3 c = mix3(behind, v->lens_colour,
                v->tint * (v->glasses == GLASSES_SUN ? mixf(1, 0.8f, clampf(0.5f - 0.5f * s->at.y, 0, 1)) : 1));
    c = mad3(c, add3(v->sky, scale3(v->key, 0.6f)), mirror * clampf(0.4f + 0.6f * r.y, 0, 1) + strong * window);
    return c;
}
