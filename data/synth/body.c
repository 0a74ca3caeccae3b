// Neck, shoulders, collars.
#include "data/synth/parts.h"

typedef struct {
    float y, width, front, back, p;
} section;

enum { SECTIONS = 12 };

static const section mean[SECTIONS] = {
    {-3, 5.2f, 1.0f, -7.6f, 2.0f},       {-7, 5.35f, 2.6f, -7.9f, 2.0f},     {-10, 5.3f, 3.3f, -7.9f, 2.0f},
    {-12.5f, 5.5f, 3.4f, -8.3f, 2.0f},   {-14.3f, 6.5f, 3.6f, -9.0f, 2.05f}, {-15.6f, 8.9f, 4.2f, -9.9f, 2.15f},
    {-16.9f, 12.6f, 5.0f, -10.5f, 2.2f}, {-18.5f, 16.4f, 6.0f, -11, 2.25f},  {-21, 19.2f, 7.2f, -11.5f, 2.3f},
    {-26, 20.6f, 8.8f, -12, 2.3f},       {-36, 20.6f, 10, -12, 2.3f},        {-62, 20, 10, -12, 2.3f},
};

static section section_at(const person *p, float u)
{
    int i = (int)clampf(u, 0, SECTIONS - 1.0001f);
    float t = u - (float)i;
    t = t * t * (3 - 2 * t) * 0.5f + t * 0.5f;
    const section *a = &mean[i], *b = &mean[i + 1];
    section s = {mixf(a->y, b->y, t), mixf(a->width, b->width, t), mixf(a->front, b->front, t),
                 mixf(a->back, b->back, t), mixf(a->p, b->p, t)};
    float shoulder = smooth(-13, -19, s.y), small = 1 - 0.25f * p->child;
    s.y = s.y < -7 ? (s.y + 7) * mixf(1, 0.9f, p->masculine) - 7 : s.y;
    s.width *= mixf(p->neck * 0.88f, (0.86f + 0.2f * p->masculine) * small, shoulder);
    s.front *= mixf(0.9f + 0.1f * p->neck, small, shoulder);
    return s;
}

static v3 on_section(const section *s, float angle, float more)
{
    float z = s->front - 4 > s->back ? minf(-2.2f, s->front - 4) : 0.5f * (s->front + s->back);
    ring r = {s->y, s->width + more, s->front + more, s->back - more, z, s->p};
    return mcf_face_skull(&r, angle);
}

static float head_weight(float y)
{
    return smooth(-13.5f, -5.5f, y);
}

// cos without the period of the neck's back: where a collar lies
float mcf_cloth_edge(const person *p, const picture *v, float angle, float y)
{
    float a = absf(angle), edge;
    switch (v->cloth) {
    case CLOTH_V:
        edge = mixf(-20.0f, -14.2f, clampf(a / 0.85f, 0, 1)) + 1.0f * smooth(1, 2.6f, a);
        break;
    case CLOTH_SHIRT:
        edge = mixf(-16.6f, -13.6f, clampf(a / 0.4f, 0, 1));
        break;
    case CLOTH_SUIT:
        edge = -13.6f;
        break;
    case CLOTH_TURTLE:
        edge = -11.5f;
        break;
    case CLOTH_HOOD:
        edge = -14.6f - 0.8f * cos_fast(angle);
        break;
    default:
        edge = -14.6f - 1.0f * cos_fast(angle) - 0.9f * (1 - p->masculine) * maxf(cos_fast(angle), 0);
        break;
    }
    return edge - y;
}

static void add_collar(const builder *b, int kind, float top, float low, float dip, float flare, float gap)
{
    enum { ROWS = 6, COLUMNS = 49 };
    int part = mcf_mesh_part(b->m, PART_BODY, kind, true);
    size_t first = mcf_mesh_vertices(b->m, ROWS * COLUMNS);
    if (b->m->failed)
        return;
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) {
            float t = (float)i / (ROWS - 1), angle = mixf(-SYNTH_PI, SYNTH_PI, (float)j / (COLUMNS - 1));
            // an opening in front pulls the ends apart
            if (gap > 0)
                angle = angle < 0 ? minf(angle * (1 - gap / SYNTH_PI) - gap, 0) : angle * (1 - gap / SYNTH_PI) + gap;
            float y = mixf(top, low, t) - dip * cos_fast(angle) * (1 - 0.3f * t);
            float u = 0, end = SECTIONS - 1;
            for (int k = 0; k < 9; k++) {
                float middle = 0.5f * (u + end);
                if (section_at(b->who, middle).y > y)
                    u = middle;
                else
                    end = middle;
            }
            section s = section_at(b->who, u);
            vertex *v = &b->m->vertices[first + (size_t)(i * COLUMNS + j)];
            v3 p = on_section(&s, angle, 0.3f + flare * (t * (1 - 0.2f * t)) + 0.25f * sin_fast(SYNTH_PI * t));
            v->at = v3_of(angle, y, t);
            v->p = stand_blend(b->s, p, head_weight(y) * 0.7f);
        }
    mcf_mesh_grid(b->m, part, first, ROWS, COLUMNS, true);
    mcf_mesh_grid_normals(b->m, first, ROWS, COLUMNS, false);
    mcf_mesh_grid_light(b->m, first, ROWS, COLUMNS, 2, 0.6f);
}

void mcf_body_add(const builder *b)
{
    enum { ROWS = 41, COLUMNS = 57 };
    int part = mcf_mesh_part(b->m, PART_BODY, 0, false);
    size_t first = mcf_mesh_vertices(b->m, ROWS * COLUMNS);
    if (b->m->failed)
        return;
    for (int i = 0; i < ROWS; i++) {
        section s = section_at(b->who, (float)i * (SECTIONS - 1) / (ROWS - 1));
        for (int j = 0; j < COLUMNS; j++) {
            float angle = mixf(-SYNTH_PI, SYNTH_PI, (float)j / (COLUMNS - 1));
            vertex *v = &b->m->vertices[first + (size_t)(i * COLUMNS + j)];
            float cloth = smooth(0, 0.3f, mcf_cloth_edge(b->who, b->how, angle, s.y)) * 0.18f;
            v3 p = on_section(&s, angle, cloth);
            // the two long muscles of the neck, and the collar bones
            float front = cos_fast(angle);
            if (s.y > -15 && s.y < -5 && front > 0) {
                float lean = mixf(1.25f, 0.25f, smooth(-6, -14.5f, s.y));
                float rise = 0.45f * bump1((absf(angle) - lean) / 0.42f) * smooth(-4, -8, s.y);
                p.x += rise * sin_fast(angle), p.z += rise * front;
            }
            p.z += 0.45f * bump1((s.y + 16.4f + 0.6f * absf(angle)) / 0.9f) * smooth(0.1f, 0.4f, absf(angle)) *
                   smooth(1.4f, 1, absf(angle));
            v->at = v3_of(angle, s.y, p.x);
            v->p = stand_blend(b->s, p, head_weight(s.y));
            // the head keeps light from the neck
            v->light = mixf(1, 0.42f, smooth(-15.5f, -8, s.y) * smooth(-0.6f, 0.4f, front));
        }
    }
    mcf_mesh_grid(b->m, part, first, ROWS, COLUMNS, true);
    mcf_mesh_grid_normals(b->m, first, ROWS, COLUMNS, true);
    mcf_mesh_grid_light(b->m, first, ROWS, COLUMNS, 2, 0.5f);

    switch (b->how->cloth) {
    case CLOTH_SHIRT:
        add_collar(b, 1, -12.2f, -14.5f, 0.5f, 0.5f, 0.2f);
        break;
    case CLOTH_SUIT:
        add_collar(b, 1, -11.9f, -14.1f, 0.6f, 0.4f, 0.12f);
        break;
    case CLOTH_TURTLE:
        add_collar(b, 2, -10.2f, -13.9f, 0.5f, 0.7f, 0);
        break;
    case CLOTH_HOOD:
        add_collar(b, 2, -13.0f, -16.3f, 1.4f, 2.4f, 0.3f);
        break;
    default:
        break;
    }
}
