// Skull and face, eyeballs, the inside of the mouth, ears.
#include "data/synth/parts.h"

// Places along the rings: close where the face is, wide on the skull. row: 0..HEAD_ROWS - 1
static float row_place(float row)
{
    static const uint8_t cells[FACE_RINGS - 1] = {2, 2, 2, 3, 4, 4, 7, 8, 8, 8, 9, 9, 9, 8, 7, 6, 5, 3, 2};
    for (int i = 0; i < FACE_RINGS - 1; i++) {
        if (row < cells[i])
            return (float)i + row / (float)cells[i];
        row -= cells[i];
    }
    return FACE_RINGS - 1;
}

static float column_angle(float share)
{
    float s = 2 * share - 1;
    return SYNTH_PI * s * (0.42f + 0.58f * s * s);
}

static void shape_head(const face *f, head_cache *c)
{
    for (int i = 0; i < c->rows; i++) {
        ring r = mcf_face_ring(f, row_place((float)(i * (HEAD_ROWS - 1)) / (float)(c->rows - 1)));
        for (int j = 0; j < c->columns; j++) {
            v3 p = mcf_face_skull(&r, column_angle((float)j / (float)(c->columns - 1)));
            c->rest[i * c->columns + j] = p;
            c->shaped[i * c->columns + j] = mcf_face_shape(f, p);
        }
    }
    c->valid = true;
}

static void mark_holes(mesh *m, size_t from, const face *f)
{
    for (size_t i = from; i < m->triangle_count; i++) {
        triangle *t = &m->triangles[i];
        for (int k = 0; k < 3; k++) {
            v3 p = m->vertices[t->v[k]].at;
            if (p.z < 1)
                continue;
            float ax = absf(p.x);
            bool eye = absf(ax - f->eye_x) < f->eye_half + 0.2f && absf(p.y - f->eye_y) < 1.15f;
            bool mouth = ax < f->mouth_half + 0.2f && absf(p.y - f->mouth_y) < f->gap + 0.4f;
            t->holes |= eye || mouth;
        }
    }
}

// What lies under hair for certain need not be drawn.
static void drop_covered(const builder *b, size_t from)
{
    mesh *m = b->m;
    if (b->who->style == HAIR_BALD || b->who->style == HAIR_BUZZ || b->how->hat == HAT_SCARF)
        return;
    size_t kept = from;
    for (size_t i = from; i < m->triangle_count; i++) {
        const triangle *t = &m->triangles[i];
        int under = 0;
        for (int k = 0; k < 3; k++) {
            v3 at = m->vertices[t->v[k]].at;
            under += at.y > 1 && at.y - hair_line(b, atan2_fast(at.x, at.z)) > 1.9f;
        }
        if (under < 3)
            m->triangles[kept++] = *t;
    }
    m->triangle_count = kept;
}

void mcf_head_add(const builder *b, head_cache *c)
{
    if (!c->valid)
        shape_head(b->f, c);
    mesh *m = b->m;
    int part = mcf_mesh_part(m, PART_HEAD, 0, false);
    int rows = c->rows, columns = c->columns,
        cell = HEAD_ROWS * 2 / rows; // twice the size of a cell, in those of the finest
    size_t count = (size_t)(rows * columns), first = mcf_mesh_vertices(m, count), triangles = m->triangle_count;
    if (m->failed)
        return;
    for (size_t i = 0; i < count; i++) {
        vertex *v = &m->vertices[first + i];
        v->at = c->rest[i];
        v->p = stand_head(b->s, mcf_face_express(b->f, c->rest[i], c->shaped[i]));
    }
    mcf_mesh_grid(m, part, first, rows, columns, true);
    if (m->failed)
        return;
    drop_covered(b, triangles);
    mark_holes(m, triangles, b->f);
    mcf_mesh_grid_normals(m, first, rows, columns, true);
    mcf_mesh_grid_light(m, first, rows, columns, 6 / cell, 0.75f);
    mcf_mesh_grid_light(m, first, rows, columns, 16 / cell, 0.8f);
}

v3 mcf_eye_centre(const face *f, int side)
{
    return v3_of(side ? f->eye_x : -f->eye_x, f->eye_y, f->eye_z);
}

v3 mcf_eye_direction(const face *f, int side)
{
    // eyes meet a metre away
    float gx = clampf(f->how->gaze_x, -0.55f, 0.55f) + (side ? -0.03f : 0.03f),
          gy = clampf(f->how->gaze_y, -0.4f, 0.4f);
    return v3_of(sin_fast(gx) * cos_fast(gy), sin_fast(gy), cos_fast(gx) * cos_fast(gy));
}

void mcf_eyes_add(const builder *b)
{
    enum { RINGS = 9, SPOKES = 21 };
    for (int side = 0; side < 2; side++) {
        int part = mcf_mesh_part(b->m, PART_EYE, side, true);
        size_t first = mcf_mesh_vertices(b->m, RINGS * SPOKES);
        if (b->m->failed)
            return;
        v3 centre = mcf_eye_centre(b->f, side);
        for (int i = 0; i < RINGS; i++)
            for (int j = 0; j < SPOKES; j++) {
                float a = 1.62f * (float)i / (RINGS - 1), c = 2 * SYNTH_PI * (float)j / (SPOKES - 1);
                v3 u = {sin_fast(a) * cos_fast(c), sin_fast(a) * sin_fast(c), cos_fast(a)};
                vertex *v = &b->m->vertices[first + (size_t)(i * SPOKES + j)];
                v->at = u;
                v->p = stand_head(b->s, mad3(centre, u, b->f->eye_radius));
                v->n = rotate(&b->s->head, u);
            }
        mcf_mesh_grid(b->m, part, first, RINGS, SPOKES, false);
    }
}

// z of the lips' surface over x, a little behind.
static float behind_lips(const face *f, float x)
{
    ring r = mcf_face_ring_at(f, f->mouth_y);
    return mcf_face_skull_front(&r, x) + 0.35f;
}

static void add_patch(const builder *b, int part, int rows, int columns,
                      float (*place)(const face *, float, float, v3 *))
{
    size_t first = mcf_mesh_vertices(b->m, (size_t)(rows * columns));
    if (b->m->failed)
        return;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            vertex *v = &b->m->vertices[first + (size_t)(i * columns + j)];
            v3 p;
            float extra = place(b->f, 2 * (float)j / (float)(columns - 1) - 1, (float)i / (float)(rows - 1), &p);
            v->at = v3_of(p.x, (float)i / (float)(rows - 1), extra);
            v->p = stand_head(b->s, p);
        }
    mcf_mesh_grid(b->m, part, first, rows, columns, false);
    mcf_mesh_grid_normals(b->m, first, rows, columns, false);
}

static float place_bowl(const face *f, float s, float t, v3 *p)
{
    float y = 2 * t - 1, r = clampf(1 - s * s - y * y * 0.8f, 0, 1), open = f->how->open;
    p->x = s * (f->mouth_half + 0.45f);
    p->y = f->mouth_y - 0.5f * open - y * (1.3f + 0.6f * open);
    p->z = behind_lips(f, p->x) - 1.1f - 0.7f * (y * y + s * s * y * y) - 3 * sqrtf(r);
    return r;
}

static float place_upper(const face *f, float s, float t, v3 *p)
{
    p->x = s * 2.45f;
    p->y = f->mouth_y + 0.45f - 1.02f * t - 0.1f * t * (1 - s * s);
    p->z = behind_lips(f, 0) - 0.42f - 0.24f * p->x * p->x - 0.05f * t;
    return 0;
}

static float place_lower(const face *f, float s, float t, v3 *p)
{
    float open = f->how->open;
    p->x = s * 2.25f;
    p->y = f->mouth_y - 1.55f + 1.05f * t - open * 0.93f;
    p->z = behind_lips(f, 0) - 0.8f - 0.26f * p->x * p->x - 0.75f * open;
    return 1;
}

void mcf_mouth_add(const builder *b)
{
    add_patch(b, mcf_mesh_part(b->m, PART_MOUTH, 0, true), 10, 14, place_bowl);
    add_patch(b, mcf_mesh_part(b->m, PART_TEETH, 0, true), 4, 22, place_upper);
    add_patch(b, mcf_mesh_part(b->m, PART_TEETH, 1, true), 4, 22, place_lower);
    float open = b->how->open;
    v3 c = {0, b->f->mouth_y - 1.15f - 0.85f * open, behind_lips(b->f, 0) - 2.7f - 0.5f * open};
    v3 axes[3] = {scale3(v3_of(b->s->head.x.x, b->s->head.y.x, b->s->head.z.x), 1.65f),
                  scale3(v3_of(b->s->head.x.y, b->s->head.y.y, b->s->head.z.y), 0.6f),
                  scale3(v3_of(b->s->head.x.z, b->s->head.y.z, b->s->head.z.z), 1.7f)};
    mcf_mesh_ellipsoid(b->m, mcf_mesh_part(b->m, PART_TONGUE, 0, false), stand_head(b->s, c), axes, 8, 12);
}

// Height of the ear over its plane; r: 0 middle .. 1 rim, u, v: place (back, up).
static float ear_height(float r, float u, float v)
{
    float h = 0.55f * bump1((r - 0.88f) / 0.26f) * smooth(-1.0f, -0.35f, v + 0.25f * u); // helix
    h += 0.34f * bump1((r - 0.52f) / 0.26f) * smooth(-0.55f, 0, u);                      // antihelix
    h -= 0.75f * bump2((u + 0.2f) / 0.5f, (v + 0.15f) / 0.5f);                           // concha
    h += 0.5f * bump2((u + 0.72f) / 0.28f, (v + 0.12f) / 0.3f);                          // tragus
    h += 0.28f * bump2(u / 0.75f, (v + 0.85f) / 0.4f);                                   // lobe
    return h;
}

void mcf_ears_add(const builder *b)
{
    enum { RINGS = 11, SPOKES = 33 };
    const person *p = b->who;
    ring at = mcf_face_ring_at(b->f, -1.1f * p->lower);
    for (int side = 0; side < 2; side++) {
        int part = mcf_mesh_part(b->m, PART_EAR, side, true);
        size_t first = mcf_mesh_vertices(b->m, RINGS * SPOKES);
        if (b->m->failed)
            return;
        float sign = side ? 1 : -1, out = p->ear_out * (mcf_hair_covers_ears(p) ? 0.3f : 1);
        // back: along the ear's width; up: along its length; off: away from the head
        v3 back = {sign * sin_fast(out), 0.12f, -cos_fast(out)}, up = {sign * 0.1f, 1, -0.16f};
        back = normal3(back);
        up = normal3(mad3(up, back, -dot3(up, back)));
        v3 off = scale3(cross3(back, up), -sign);
        if (off.x * sign < 0)
            off = scale3(off, -1);
        float size = p->ear_size;
        v3 centre = {sign * (at.width - 0.12f), -1.1f * p->lower, at.z - 1.9f};
        centre = mad3(centre, back, 0.75f);
        for (int i = 0; i < RINGS; i++)
            for (int j = 0; j < SPOKES; j++) {
                float r = (float)i / (RINGS - 1), a = 2 * SYNTH_PI * (float)j / (SPOKES - 1);
                float u = r * sin_fast(a), w = r * cos_fast(a);
                float wide = 1.62f * (1 - 0.28f * smooth(0, -1, w) + 0.1f * w), h = ear_height(r, u, w) + 0.25f;
                vertex *v = &b->m->vertices[first + (size_t)(i * SPOKES + j)];
                v3 q = mad3(mad3(mad3(centre, back, u * wide * size), up, w * 3.15f * size), off,
                            (h - 0.5f * r * r * r * r) * size);
                v->at = v3_of(u, w, h);
                v->p = stand_head(b->s, q);
                v->light = clampf(0.62f + 0.55f * h, 0.25f, 1);
            }
        mcf_mesh_grid(b->m, part, first, RINGS, SPOKES, true);
        mcf_mesh_grid_normals(b->m, first, RINGS, SPOKES, true);
        // the grid of one ear turns the other way
        v3 outward = rotate(&b->s->head, off), sum = {0, 0, 0};
        for (int i = 0; i < RINGS * SPOKES && !b->m->failed; i++)
            sum = add3(sum, b->m->vertices[first + (size_t)i].n);
        if (dot3(sum, outward) < 0)
            for (int i = 0; i < RINGS * SPOKES && !b->m->failed; i++)
                b->m->vertices[first + (size_t)i].n = scale3(b->m->vertices[first + (size_t)i].n, -1);
    }
}
