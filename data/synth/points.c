// Landmarks: places of the rest plane carried through shape, expression and camera.
#include "data/synth/render.h"

const int mcf_point_counts[MCF_POINT_SETS] = {5, 19, 68, 98, 106};

enum { OUTLINE = 33 };

typedef struct {
    mcf_synth *r;
    v3 outline[OUTLINE]; // camera space
} finder;

static v3 on_head(const finder *f, float x, float y)
{
    return stand_head(&f->r->s, mcf_face_point(&f->r->f, x, y));
}

static void to_screen(const stand *s, v3 p, float *x, float *y)
{
    float iz = 1 / maxf(-p.z, 1);
    *x = s->cx + s->focal * p.x * iz;
    *y = s->cy - s->focal * p.y * iz;
}

static v3 on_skull(const finder *f, const ring *r, float angle)
{
    v3 rest = mcf_face_skull(r, angle);
    return stand_head(&f->r->s, mcf_face_express(&f->r->f, rest, mcf_face_shape(&f->r->f, rest)));
}

// The jaw from ear to ear in equal steps; where the cheek hides it, the cheek's own edge.
static void find_outline(finder *f)
{
    enum { STEPS = 96, HALF = OUTLINE / 2 };
    const face *g = &f->r->f;
    float top = g->eye_y - 0.35f, length[STEPS + 1], y[STEPS + 1];
    float low = mcf_face_place(g, top);
    length[0] = 0;
    ring before = mcf_face_ring(g, low);
    y[0] = before.y;
    for (int i = 1; i <= STEPS; i++) {
        ring r = mcf_face_ring(g, mixf(low, FACE_RINGS - 1, (float)i / STEPS));
        float dx = r.width - before.width, dy = r.y - before.y;
        length[i] = length[i - 1] + sqrtf(dx * dx + dy * dy);
        y[i] = r.y;
        before = r;
    }
    v3 axis = {f->r->s.head.x.x, f->r->s.head.y.x, f->r->s.head.z.x}; // the head's x in camera space
    for (int k = 0; k <= HALF; k++) {
        float want = length[STEPS] * (float)k / HALF;
        int i = 0;
        while (i + 1 < STEPS && length[i + 1] < want)
            i++;
        float t = clampf((want - length[i]) / maxf(length[i + 1] - length[i], 1e-4f), 0, 1);
        ring r = mcf_face_ring_at(g, mixf(y[i], y[i + 1], t));
        for (int side = 0; side < 2; side++) {
            float sign = side ? 1 : -1, best = -1e9f;
            v3 place = {0, 0, 0};
            for (int c = 0; c <= 12; c++) {
                float angle = sign * (1.40f - 0.1f * (float)c), sx, sy;
                v3 p = on_skull(f, &r, angle);
                to_screen(&f->r->s, p, &sx, &sy);
                float out = sign * (sx * axis.x - sy * axis.y);
                if (out > best + 1e-3f) {
                    best = out;
                    place = p;
                }
            }
            f->outline[side ? OUTLINE - 1 - k : k] = place;
        }
    }
    // the point of the chin
    ring chin = mcf_face_ring(g, FACE_RINGS - 1.6f);
    f->outline[HALF] = on_skull(f, &chin, 0);
}

static v3 brow_place(const finder *f, int side, float along, float edge)
{
    const person *p = &f->r->who;
    float x = (side ? 1 : -1) * mixf(p->brow_inner, p->brow_outer, along);
    brow b = mcf_face_brow(&f->r->f, side, x);
    return on_head(f, x, b.y + edge * b.half);
}

static v3 lid_place(const finder *f, int side, float along, int upper)
{
    const face *g = &f->r->f;
    float x = (side ? 1 : -1) * (g->eye_x + g->eye_half * (2 * along - 1));
    lids l = mcf_face_lids(g, side, x);
    return on_head(f, x, upper ? l.high : l.low);
}

static v3 pupil_place(const finder *f, int side)
{
    const face *g = &f->r->f;
    return stand_head(&f->r->s, mad3(mcf_eye_centre(g, side), mcf_eye_direction(g, side), g->eye_radius));
}

static v3 lip_place(const finder *f, float across, int edge)
{
    const face *g = &f->r->f;
    float x = across * g->mouth_half;
    lips l = mcf_face_lips(g, x);
    const float y[4] = {l.upper_top, l.upper_low, l.lower_top, l.lower_low};
    return on_head(f, x, y[edge]);
}

// Twenty points of the lips, the same order in three of the sets.
static void find_lips(const finder *f, v3 *to)
{
    static const float upper[7] = {-1, -0.62f, -0.22f, 0, 0.22f, 0.62f, 1},
                       lower[5] = {0.66f, 0.34f, 0, -0.34f, -0.66f};
    static const float inner[8] = {-0.9f, -0.45f, 0, 0.45f, 0.9f, 0.45f, 0, -0.45f};
    for (int i = 0; i < 7; i++)
        to[i] = lip_place(f, upper[i], 0);
    for (int i = 0; i < 5; i++)
        to[7 + i] = lip_place(f, lower[i], 3);
    for (int i = 0; i < 8; i++)
        to[12 + i] = lip_place(f, inner[i], i < 5 ? 1 : 2);
}

// Nine points of a brow in the order of WFLW and LaPa.
static void find_brow(const finder *f, int side, v3 *to)
{
    static const float along[9] = {0.98f, 0.75f, 0.5f, 0.25f, 0.03f, 0.03f, 0.25f, 0.5f, 0.75f};
    static const int right[9] = {4, 3, 2, 1, 0, 8, 7, 6, 5};
    for (int i = 0; i < 9; i++) {
        int k = side ? right[i] : i;
        to[i] = brow_place(f, side, along[k], k < 5 ? 0.95f : -0.95f);
    }
}

// Eight points of the lids: left eye from its outer corner over the top, right eye from its inner corner.
static void find_lids(const finder *f, int side, v3 *to)
{
    for (int i = 0; i < 8; i++) {
        float t = i <= 4 ? 0.25f * (float)i : 2 - 0.25f * (float)i;
        to[i] = lid_place(f, side, side ? t : 1 - t, i <= 4);
    }
}

static void find_nose(const finder *f, v3 bridge[4], v3 base[5])
{
    const face *g = &f->r->f;
    float n = f->r->who.nose_width;
    for (int i = 0; i < 4; i++)
        bridge[i] = on_head(f, 0, mixf(g->nose_root - 0.1f, g->nose_tip, (float)i / 3));
    static const float x[5] = {-1.55f, -0.8f, 0, 0.8f, 1.55f};
    for (int i = 0; i < 5; i++)
        base[i] = on_head(f, x[i] * n, absf(x[i]) > 1 ? g->nose_tip - 0.85f : g->nose_under + 0.08f);
}

// Long: the five markups, which share what is found first.
static void find_all(finder *f, v3 set[MCF_POINT_SETS][MCF_SYNTH_MAX_POINTS])
{
    v3 mouth[20], brows[2][9], eyes[2][8], bridge[4], base[5], pupils[2];
    const face *g = &f->r->f;
    float n = f->r->who.nose_width;
    find_outline(f);
    find_lips(f, mouth);
    find_nose(f, bridge, base);
    for (int side = 0; side < 2; side++) {
        find_brow(f, side, brows[side]);
        find_lids(f, side, eyes[side]);
        pupils[side] = pupil_place(f, side);
    }
    v3 *p = set[MCF_POINTS_5];
    p[0] = pupils[0], p[1] = pupils[1], p[2] = bridge[3], p[3] = mouth[0], p[4] = mouth[6];

    p = set[MCF_POINTS_19];
    for (int side = 0; side < 2; side++) {
        float left = side ? 0.02f : 0.98f; // left end in the picture
        p[3 * side] = brow_place(f, side, left, 0);
        p[3 * side + 1] = brow_place(f, side, 0.5f, 0);
        p[3 * side + 2] = brow_place(f, side, 1 - left, 0);
        p[6 + 3 * side] = eyes[side][0];
        p[7 + 3 * side] = pupils[side];
        p[8 + 3 * side] = eyes[side][4];
    }
    p[12] = on_head(f, -1.9f * n, g->nose_tip - 0.3f), p[13] = bridge[3],
    p[14] = on_head(f, 1.9f * n, g->nose_tip - 0.3f);
    p[15] = mouth[0], p[17] = mouth[6], p[18] = f->outline[16];
    p[16] = scale3(add3(mouth[14], mouth[18]), 0.5f); // between the lips

    p = set[MCF_POINTS_68];
    for (int i = 0; i < 17; i++)
        p[i] = f->outline[2 * i];
    for (int i = 0; i < 5; i++) {
        static const float along[5] = {0.98f, 0.75f, 0.5f, 0.25f, 0.03f};
        p[17 + i] = brow_place(f, 0, along[i], 0.5f);
        p[22 + i] = brow_place(f, 1, along[4 - i], 0.5f);
        p[31 + i] = base[i];
    }
    for (int i = 0; i < 4; i++)
        p[27 + i] = bridge[i];
    for (int side = 0; side < 2; side++) {
        static const float along[6] = {0, 0.33f, 0.67f, 1, 0.67f, 0.33f};
        for (int i = 0; i < 6; i++)
            p[36 + 6 * side + i] = lid_place(f, side, side ? along[i] : 1 - along[i], i <= 3);
    }
    memcpy(p + 48, mouth, sizeof mouth);

    p = set[MCF_POINTS_98];
    memcpy(p, f->outline, sizeof f->outline);
    memcpy(p + 33, brows, sizeof brows);
    memcpy(p + 51, bridge, sizeof bridge);
    memcpy(p + 55, base, sizeof base);
    memcpy(p + 60, eyes, sizeof eyes);
    memcpy(p + 76, mouth, sizeof mouth);
    memcpy(p + 96, pupils, sizeof pupils);

    p = set[MCF_POINTS_106];
    memcpy(p, f->outline, sizeof f->outline);
    memcpy(p + 33, brows, sizeof brows);
    memcpy(p + 51, bridge, sizeof bridge);
    for (int side = 0; side < 2; side++) {
        float sign = side ? 1 : -1;
        const v3 wing[5] = {on_head(f, sign * 0.68f, g->eye_y - 0.35f), on_head(f, sign * 1.1f, 0.45f * g->nose_tip),
                            on_head(f, sign * 1.95f * n, g->nose_tip), on_head(f, sign * 1.7f * n, g->nose_tip - 0.8f),
                            on_head(f, sign * 0.8f * n, g->nose_under + 0.08f)};
        for (int i = 0; i < 5; i++)
            p[side ? 65 - i : 55 + i] = wing[i];
        memcpy(p + 66 + 9 * side, eyes[side], sizeof eyes[side]);
        p[74 + 9 * side] = scale3(add3(lid_place(f, side, 0.5f, 1), lid_place(f, side, 0.5f, 0)), 0.5f);
        p[104 + side] = pupils[side];
    }
    p[60] = base[2];
    memcpy(p + 84, mouth, sizeof mouth);
}

// Seen: nothing nearer at any of the samples around it; a little depth is allowed for facets and thin skin.
static bool seen(const mcf_synth *r, v3 p, float sx, float sy)
{
    int x = floor_int(sx), y = floor_int(sy), side = r->front.side;
    if (sx < 0 || sy < 0 || x >= side || y >= side)
        return false;
    float near = 1 / maxf(-p.z - 0.45f, 1);
    bool seen = false;
    for (int dy = -2; dy <= 2; dy++)
        for (int dx = -2; dx <= 2; dx++) {
            int a = x + dx, b = y + dy;
            if (a >= 0 && b >= 0 && a < side && b < side)
                seen |= r->front.iz[b * r->front.stride + a] <= near;
        }
    bool dark = r->how.glasses == GLASSES_SUN && r->how.tint > 0.6f;
    if (seen && dark && r->glass.id[y * r->glass.stride + x] && r->glass.iz[y * r->glass.stride + x] > near)
        return false;
    return seen;
}

void mcf_points_find(mcf_synth *r, mcf_synth_face *out)
{
    finder f = {.r = r};
    v3 set[MCF_POINT_SETS][MCF_SYNTH_MAX_POINTS];
    find_all(&f, set);
    out->box[0] = out->box[1] = 1e9f;
    out->box[2] = out->box[3] = -1e9f;
    for (int s = 0; s < MCF_POINT_SETS; s++)
        for (int i = 0; i < mcf_point_counts[s]; i++) {
            float x, y;
            to_screen(&r->s, set[s][i], &x, &y);
            mcf_synth_point *p = &out->points[s][i];
            *p = (mcf_synth_point){x / SAMPLES, y / SAMPLES, seen(r, set[s][i], x, y)};
            out->box[0] = minf(out->box[0], p->x), out->box[1] = minf(out->box[1], p->y);
            out->box[2] = maxf(out->box[2], p->x), out->box[3] = maxf(out->box[3], p->y);
        }
}
