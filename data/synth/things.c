// Glasses, jewellery, and what gets in the way.
#include "data/synth/parts.h"

// Outline of a lens: between an ellipse and a rectangle.
static void lens_edge(const person *p, float t, float *x, float *y)
{
    float c = cos_fast(t), s = sin_fast(t), e = mixf(1, 0.42f, p->lens_square);
    float ax = pow_fast(absf(c), e), ay = pow_fast(absf(s), e);
    *x = (c < 0 ? -ax : ax) * p->lens_width;
    *y = (s < 0 ? -ay : ay) * p->lens_height;
    // narrower below
    *x *= 1 + 0.08f * *y / p->lens_height;
}

// Place of the lenses' plane at x.
static v3 lens_place(const face *f, int side, float x, float y)
{
    float sign = side ? 1 : -1, cx = f->eye_x + 0.12f, ax = cx + x;
    float z = f->eye_z + f->eye_radius + 1.35f - 0.035f * ax * ax + 0.05f * y;
    return v3_of(sign * ax, f->eye_y - 0.25f + y, z);
}

void mcf_glasses_add(const builder *b)
{
    enum { POINTS = 32, RINGS = 5 };
    const person *p = b->who;
    const face *f = b->f;
    if (b->how->glasses == GLASSES_NONE)
        return;
    int frame = mcf_mesh_part(b->m, PART_FRAME, 0, true);
    float thick = p->frame_thick * (b->how->glasses == GLASSES_SUN ? 1.2f : 1);
    for (int side = 0; side < 2; side++) {
        v3 loop[POINTS];
        for (int i = 0; i < POINTS; i++) {
            float x, y;
            lens_edge(p, 2 * SYNTH_PI * (float)i / POINTS, &x, &y);
            loop[i] = stand_head(b->s, lens_place(f, side, x, y));
        }
        mcf_mesh_tube(b->m, frame, loop, POINTS, 0.5f * thick, NULL, 6, true);

        int lens = mcf_mesh_part(b->m, PART_LENS, side, true);
        size_t first = mcf_mesh_vertices(b->m, RINGS * (POINTS + 1));
        if (b->m->failed)
            return;
        for (int i = 0; i < RINGS; i++)
            for (int j = 0; j <= POINTS; j++) {
                float x, y, r = (float)i / (RINGS - 1);
                lens_edge(p, 2 * SYNTH_PI * (float)(j % POINTS) / POINTS, &x, &y);
                vertex *v = &b->m->vertices[first + (size_t)(i * (POINTS + 1) + j)];
                v->at = v3_of(x * r / p->lens_width, y * r / p->lens_height, 0);
                v3 q = lens_place(f, side, x * r, y * r);
                q.z += 0.18f * (1 - r * r);
                v->p = stand_head(b->s, q);
                v->n = rotate(&b->s->head,
                              normal3(v3_of((side ? 1 : -1) * (0.1f + 0.12f * x * r * 0.4f), 0.1f * y * r, 1)));
            }
        mcf_mesh_grid(b->m, lens, first, RINGS, POINTS + 1, false);
        if (b->how->glasses == GLASSES_SUN && b->how->tint > 0.85f && !b->m->failed) {
            size_t from = b->m->triangle_count - 2 * (RINGS - 1) * POINTS;
            for (size_t i = from; i < b->m->triangle_count; i++)
                b->m->triangles[i].shadow = true;
        }

        // the arm to the ear
        ring temple = mcf_face_ring_at(f, 0.3f);
        v3 hinge = lens_place(f, side, p->lens_width * 1.02f, p->lens_height * 0.45f);
        v3 mid = v3_of((side ? 1 : -1) * (temple.width + 0.25f), 0.8f, 1.5f), end = v3_of(mid.x * 1.01f, 0.6f, -1.6f);
        v3 arm[4] = {hinge, v3_of(mixf(hinge.x, mid.x, 0.75f), mixf(hinge.y, mid.y, 0.3f), hinge.z - 1.4f), mid, end};
        for (int i = 0; i < 4; i++)
            arm[i] = stand_head(b->s, arm[i]);
        mcf_mesh_tube(b->m, frame, arm, 4, 0.45f * thick + 0.04f, NULL, 5, false);
    }
    v3 bridge[7];
    v3 from = lens_place(f, 0, -p->lens_width * 0.97f, p->lens_height * 0.25f),
       to = lens_place(f, 1, -p->lens_width * 0.97f, p->lens_height * 0.25f);
    for (int i = 0; i < 7; i++) {
        float t = (float)i / 6;
        v3 q = mix3(from, to, t);
        q.y += 0.28f * sin_fast(SYNTH_PI * t);
        q.z += 0.35f * sin_fast(SYNTH_PI * t);
        bridge[i] = stand_head(b->s, q);
    }
    mcf_mesh_tube(b->m, frame, bridge, 7, 0.5f * thick, NULL, 6, false);
}

static void ball(const builder *b, int part, v3 centre, float r, int rows)
{
    v3 axes[3] = {{r, 0, 0}, {0, r, 0}, {0, 0, r}};
    mcf_mesh_ellipsoid(b->m, part, centre, axes, rows, 2 * rows);
}

void mcf_jewellery_add(const builder *b)
{
    const person *p = b->who;
    if (b->how->earrings) {
        int part = mcf_mesh_part(b->m, PART_EARRING, 0, true);
        ring at = mcf_face_ring_at(b->f, -1.1f * p->lower);
        for (int side = 0; side < 2; side++) {
            float sign = side ? 1 : -1;
            v3 lobe = {sign * (at.width + 0.42f + 0.3f * p->ear_out), -1.1f * p->lower - 2.75f * p->ear_size,
                       at.z - 1.2f};
            lobe = stand_head(b->s, lobe);
            if (p->earrings == 1) {
                ball(b, part, lobe, 0.42f, 6);
            } else if (p->earrings == 2) {
                ball(b, part, lobe, 0.24f, 5);
                v3 wire[2] = {lobe, add3(lobe, v3_of(0, -1.3f, 0))};
                mcf_mesh_tube(b->m, part, wire, 2, 0.07f, NULL, 5, false);
                v3 axes[3] = {{0.42f, 0, 0}, {0, 0.85f, 0}, {0, 0, 0.42f}};
                mcf_mesh_ellipsoid(b->m, part, add3(lobe, v3_of(0, -2.0f, 0)), axes, 8, 12);
            } else {
                v3 hoop[20];
                for (int i = 0; i < 20; i++) {
                    float a = 2 * SYNTH_PI * (float)i / 20;
                    hoop[i] = add3(lobe, rotate(&b->s->head, v3_of(0.35f * sign * cos_fast(a),
                                                                   -1.35f + 1.35f * sin_fast(a), 1.3f * cos_fast(a))));
                }
                mcf_mesh_tube(b->m, part, hoop, 20, 0.12f, NULL, 5, true);
            }
        }
    }
    if (b->how->necklace) {
        enum { LINKS = 40 };
        int part = mcf_mesh_part(b->m, PART_NECKLACE, 0, true);
        v3 chain[LINKS];
        for (int i = 0; i < LINKS; i++) {
            float a = 2 * SYNTH_PI * (float)i / LINKS - SYNTH_PI, front = 0.5f + 0.5f * cos_fast(a);
            float r = 6.1f * p->neck * 0.92f + 1.5f * front;
            v3 q = {r * sin_fast(a), -13.1f - 3.4f * front * front, -2.3f + r * cos_fast(a) * 1.02f};
            chain[i] = stand_blend(b->s, q, 0.05f);
        }
        if (p->beads)
            for (int i = 4; i < LINKS - 4; i++)
                ball(b, part, chain[i], 0.42f, 4);
        else
            mcf_mesh_tube(b->m, part, chain, LINKS, 0.12f, NULL, 5, true);
        if (!p->beads)
            ball(b, part, add3(chain[LINKS / 2], v3_of(0, -0.6f, 0.1f)), 0.55f, 6);
    }
}

// Fingers and palm before the cheek or mouth.
static void add_hand(const builder *b, v3 at, float angle)
{
    int part = mcf_mesh_part(b->m, PART_HAND, 0, true);
    float c = cos_fast(angle), s = sin_fast(angle);
    v3 up = {s, c, 0.05f}, right = {c, -s, 0};
    v3 front = {0, 0, 1};
    static const float spread[4] = {-2.6f, -0.9f, 0.8f, 2.4f}, length[4] = {6.2f, 7.2f, 6.8f, 5.2f};
    for (int k = 0; k < 4; k++) {
        v3 line[7];
        float radii[7];
        for (int i = 0; i < 7; i++) {
            float t = (float)i / 6;
            line[i] =
                mad3(mad3(mad3(at, right, spread[k] * (1 + 0.12f * t)), up, t * length[k]), front, 0.2f - 1.1f * t * t);
            radii[i] = (0.88f - 0.2f * t) * (i == 6 ? 0.55f : 1) * (k == 3 ? 0.88f : 1);
        }
        mcf_mesh_tube(b->m, part, line, 7, 0, radii, 10, false);
        ball(b, part, line[6], radii[6] * 1.02f, 5);
    }
    v3 thumb[5];
    float radii[5];
    for (int i = 0; i < 5; i++) {
        float t = (float)i / 4;
        thumb[i] = mad3(mad3(mad3(at, right, -3.2f - 2.2f * t), up, -3.5f + 4.2f * t), front, 0.5f);
        radii[i] = 1.05f - 0.25f * t;
    }
    mcf_mesh_tube(b->m, part, thumb, 5, 0, radii, 10, false);
    ball(b, part, thumb[4], 0.82f, 5);
    v3 axes[3] = {scale3(right, 4.1f), scale3(up, 5), scale3(front, 1.5f)};
    mcf_mesh_ellipsoid(b->m, part, mad3(at, up, -3.4f), axes, 12, 18);
    v3 wrist[3] = {mad3(at, up, -7), mad3(at, up, -14), mad3(at, up, -30)};
    mcf_mesh_tube(b->m, part, wrist, 3, 3.0f, NULL, 14, false);
}

void mcf_occluder_add(const builder *b)
{
    const picture *v = b->how;
    if (v->occluder == OCCLUDER_NONE)
        return;
    // In front of the face as it stands: a little nearer to the camera than the nose.
    v3 nose = stand_head(b->s, mcf_face_point(b->f, 0, b->f->nose_tip));
    v3 mouth = stand_head(b->s, mcf_face_point(b->f, 0, b->f->mouth_y));
    v3 at = add3(mouth, v3_of(v->occluder_x * 5, -3 + 1.5f * v->occluder_y, 2.6f));
    int part = v->occluder == OCCLUDER_HAND ? -1 : mcf_mesh_part(b->m, PART_OBJECT, (int)v->occluder, true);
    switch (v->occluder) {
    case OCCLUDER_HAND:
        at =
            v3_of(mouth.x + v->occluder_x * 5.5f, mouth.y - 3.5f + 4 * v->occluder_y, maxf(nose.z + 1.2f, mouth.z + 2));
        add_hand(b, at, 0.45f * v->occluder_angle - 0.25f * v->occluder_x);
        break;
    case OCCLUDER_MICROPHONE: {
        v3 head = add3(mouth, v3_of(v->occluder_x * 3, -2.6f - 2 * v->occluder_y, 4.5f));
        ball(b, part, head, 2.4f, 12);
        v3 stick[2] = {add3(head, v3_of(v->occluder_x, -2, 0)), add3(head, v3_of(v->occluder_x * 6, -32, 3))};
        mcf_mesh_tube(b->m, part, stick, 2, 1.25f, NULL, 14, false);
        break;
    }
    case OCCLUDER_BAR: {
        float a = 0.5f * v->occluder_angle + (v->occluder_y > 0.6f ? 1.57f : 0);
        v3 centre = add3(nose, v3_of(v->occluder_x * 7, (v->occluder_y - 0.5f) * 10, 9));
        v3 line[2] = {add3(centre, v3_of(-60 * cos_fast(a), -60 * sin_fast(a), 0)),
                      add3(centre, v3_of(60 * cos_fast(a), 60 * sin_fast(a), 0))};
        mcf_mesh_tube(b->m, part, line, 2, 1.1f + 0.8f * v->occluder_y, NULL, 16, false);
        break;
    }
    case OCCLUDER_CUP: {
        v3 low = add3(mouth, v3_of(v->occluder_x * 2, -9, 6)), line[4];
        float radii[4] = {3.0f, 3.3f, 3.7f, 4.0f};
        for (int i = 0; i < 4; i++)
            line[i] = add3(low, v3_of(0, 2.7f * (float)i, -0.5f * (float)i));
        mcf_mesh_tube(b->m, part, line, 4, 0, radii, 24, false);
        break;
    }
    default: { // a telephone held up
        enum { N = 2 };
        float a = 0.35f * v->occluder_angle;
        v3 right = {cos_fast(a), sin_fast(a), 0}, up = {-sin_fast(a), cos_fast(a), 0};
        v3 centre = add3(nose, v3_of(v->occluder_x * 7, -3 + 6 * (v->occluder_y - 0.6f), 6));
        size_t first = mcf_mesh_vertices(b->m, N * N);
        if (b->m->failed)
            return;
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                vertex *w = &b->m->vertices[first + (size_t)(i * N + j)];
                w->p = mad3(mad3(centre, right, 3.7f * (2 * (float)j - 1)), up, 7.4f * (1 - 2 * (float)i));
                w->at = v3_of(2 * (float)j - 1, 1 - 2 * (float)i, 0);
                w->n = v3_of(0, 0, 1);
            }
        mcf_mesh_grid(b->m, part, first, N, N, true);
        break;
    }
    }
}
