// Hair as shells over the skull: short hair follows it, long hair hangs from it. What is hair and what is not
// is cut out strand by strand in the shells' own coordinates.
#include "data/synth/parts.h"

// Piecewise linear.
static float along(const float (*table)[2], int count, float x)
{
    if (x <= table[0][0])
        return table[0][1];
    for (int i = 1; i < count; i++)
        if (x < table[i][0]) {
            float t = (x - table[i - 1][0]) / (table[i][0] - table[i - 1][0]);
            t = t * t * (3 - 2 * t);
            return mixf(table[i - 1][1], table[i][1], t);
        }
    return table[count - 1][1];
}

static bool hangs(const person *p)
{
    return p->style == HAIR_BOB || p->style == HAIR_LONG || (p->style == HAIR_CURLY && p->masculine < 0.55f);
}

bool mcf_hair_covers_ears(const person *p)
{
    return hangs(p) && !p->tucked;
}

static float line_at(const person *p, float angle)
{
    float a = absf(angle), top = p->hairline * p->upper,
          burn = p->masculine > 0.5f ? mixf(0.6f, -1.8f, p->hair_length) : 0.9f;
    const float table[][2] = {
        {0, top},      {0.4f, top - 0.2f}, {0.68f, top - 1.15f}, {0.88f, top - 2.3f},
        {1.02f, 2.2f}, {1.12f, burn},      {1.42f, burn - 0.2f}, {1.5f, 2.1f},
        {1.98f, 1.9f}, {2.12f, -1.2f},     {2.45f, -5.2f},       {SYNTH_PI, -6.3f},
    };
    float y = along(table, 12, a);
    // temples that recede
    y += p->recede * (2.6f * bump1((a - 0.55f) / 0.5f) + 0.9f * bump1(a / 0.6f));
    if (p->fringe && p->recede < 0.4f) {
        float low = p->style == HAIR_BOB || p->style == HAIR_LONG ? 2.75f : 4.2f;
        float edge = low + 0.7f * p->part * angle + 0.5f * angle * angle;
        y = minf(y, mixf(edge, y, smooth(0.75f, 1.0f, a)));
    }
    return y;
}

// Height of the crown's hair over the skull.
static float thickness(const person *p, float angle, float y, float line)
{
    float front = 0.5f + 0.5f * cos_fast(angle), top = smooth(2, 8.5f, y), t;
    switch (p->style) {
    case HAIR_SHORT:
        t = mixf(0.38f, 0.85f + 0.4f * front, top);
        break;
    case HAIR_CROP:
        t = mixf(0.5f, 1.25f, top);
        break;
    case HAIR_SWEPT:
        t = mixf(0.4f, 1.2f + 1.1f * front, top);
        break;
    case HAIR_CURLY:
        t = mixf(1.3f, 1.9f, top);
        break;
    case HAIR_AFRO:
        t = 3.1f + 0.6f * top;
        break;
    case HAIR_BUN:
        t = mixf(0.3f, 0.55f, top);
        break;
    default:
        t = mixf(0.75f, 1.0f, top);
        break;
    }
    t *= p->hair_volume;
    if (p->parted && p->style != HAIR_AFRO)
        t *= 1 + 0.3f * p->part * clampf(angle, -1, 1);
    float edge = p->style == HAIR_AFRO ? 0.55f : p->fringe && absf(angle) < 0.9f ? 0.55f : 0.22f;
    return t * mixf(edge, 1, smooth(0, 2.4f, y - line)) + 0.12f;
}

void mcf_hair_measure(builder *b)
{
    const person *p = b->who;
    for (int i = 0; i <= HAIR_LINE; i++)
        b->hair_line[i] = line_at(p, 2 * SYNTH_PI * (float)i / HAIR_LINE - SYNTH_PI);
    b->hangs = hangs(p);
    b->curls = p->style == HAIR_CURLY || p->style == HAIR_AFRO;
    if (p->style == HAIR_BOB) {
        b->hair_bottom = mixf(-6.5f, -11.5f, p->hair_length);
        b->hair_front = 1.04f;
    } else if (p->style == HAIR_LONG) {
        b->hair_bottom = mixf(-14, -27, p->hair_length);
        b->hair_front = 1.06f;
    } else {
        b->hair_bottom = mixf(-6, -19, p->hair_length);
        b->hair_front = 1.02f;
    }
    b->hair_front += p->tucked ? 0.95f : 0.09f * p->part;
}

// The section at height y of hair that hangs, before thickness.
static ring hanging_ring(const face *f, const person *p, float y)
{
    ring skull = mcf_face_ring_at(f, maxf(y, 0.5f));
    float t = clampf(0.5f - y, 0, 30);
    ring r = skull;
    r.y = y;
    r.z = mixf(skull.z, -0.9f, smooth(0, 5, t));
    // over the ears, unless behind them
    r.width = skull.width + (p->tucked ? 0 : 0.9f) * smooth(4, 1.5f, y) +
              p->hair_volume * (0.9f * smooth(0, 6, t) + 0.8f * smooth(5, 15, t)) -
              1.5f * smooth(8, 13, t) * (p->style == HAIR_BOB);
    r.front = mixf(skull.front, 6.3f, smooth(0, 6, t)) + 3.2f * smooth(11, 18, t);
    r.back = skull.back - 0.6f * smooth(0, 6, t) - 2.6f * smooth(9, 16, t);
    r.p = 2;
    return r;
}

// Where the part's strands run from: a coordinate across them.
static float across_strands(const person *p, float angle, v3 rest)
{
    float top = smooth(5, 10, rest.y);
    float wind = p->parted ? rest.z * 1.1f + 0.3f * rest.x : rest.x * 1.3f;
    return mixf(angle * 7.2f, wind, top);
}

// Most triangles are all hair or none: only the others ask for every sample.
static void sort_out(const builder *b, size_t from, int layer)
{
    bool hang = b->hangs;
    float margin = b->curls ? 0.6f : 0.46f;
    size_t kept = from;
    for (size_t i = from; i < b->m->triangle_count; i++) {
        triangle t = b->m->triangles[i];
        int all = 0, some = 0, edge = 0;
        for (int k = 0; k < 3; k++) {
            const vertex *w = &b->m->vertices[t.v[k]];
            v3 at = w->at;
            float over = at.y - hair_line(b, at.x), side = absf(at.x);
            bool tips = hang && at.y < b->hair_bottom + 2.6f, behind = hang && at.y < 4 && side > b->hair_front + 0.35f;
            bool rim = hang && at.y < 6 && absf(side - b->hair_front) < 0.4f;
            all += (over > margin || behind) && !tips && !rim;
            some += over > -margin || behind || rim;
            float facing = -dot3(w->n, w->p);
            edge += facing * facing < 0.12f * dot3(w->p, w->p) || tips || rim || (!behind && over < 0.7f);
        }
        // loose hairs of the outer shell show at the outline only
        if (!some || (layer > 0 && !edge))
            continue;
        t.holes = layer > 0 || all < 3;
        b->m->triangles[kept++] = t;
    }
    b->m->triangle_count = kept;
}

enum { SHELL_ROWS = 44, SHELL_COLUMNS = 69 };

// The section of a row of the shell; the first rows close round the crown.
static ring shell_ring(const builder *b, int row)
{
    const face *f = b->f;
    bool hang = b->hangs;
    float t = (float)row / (SHELL_ROWS - 1), low = hang ? b->hair_bottom - 1 : -7.2f;
    if (t < 0.4f)
        return mcf_face_ring(f, 6.5f * t / 0.4f * (0.45f + 0.55f * t / 0.4f));
    float top = mcf_face_ring(f, 6.5f).y, y = mixf(top, low, (t - 0.4f) / 0.6f);
    ring r = hang ? hanging_ring(f, b->who, y) : mcf_face_ring_at(f, maxf(y, f->bottom * 0.6f));
    r.y = y;
    if (!hang && y < 0) {
        r.back = minf(r.back, -8.2f + 0.1f * y);
        r.z = minf(r.z, 0.3f);
        r.width = maxf(r.width, 6.2f);
    }
    return r;
}

static void place_row(const builder *b, int row, vertex *inner, vertex *outer)
{
    const person *p = b->who;
    ring r = shell_ring(b, row);
    bool hang = b->hangs;
    float rough = b->curls ? 0.55f : 0.16f, weight = smooth(-19, -9, r.y);
    for (int j = 0; j < SHELL_COLUMNS; j++) {
        float angle = mixf(-SYNTH_PI, SYNTH_PI, (float)j / (SHELL_COLUMNS - 1));
        v3 q = mcf_face_skull(&r, angle), out = normal3(v3_of(q.x, maxf(r.y - 2.5f, 0) * 1.1f, q.z - r.z + 0.3f));
        float thick = thickness(p, angle, r.y, hair_line(b, angle));
        if (b->how->hat != HAT_NONE)
            thick = minf(thick, mixf(thick, 0.5f, smooth(0, 3, r.y)));
        float wave =
            hang ? p->hair_wave * 0.35f * sin_fast(r.y * 1.3f + 2 * sin_fast(angle * 3)) * smooth(2, -4, r.y) : 0;
        float lump = noise_at(b->grain->cloud, angle * 26 + (float)(p->number % 61) * 4, r.y * 9);
        thick += thick * rough * lump + wave;
        v3 at = {angle, r.y, across_strands(p, angle, q)};
        float light = hang ? mixf(1, 0.72f, smooth(2, -6, r.y)) : 1;
        for (int layer = 0; layer < 2; layer++) {
            vertex *v = layer ? &outer[j] : &inner[j];
            v->at = at;
            v->light = light;
            v->p = stand_blend(b->s, mad3(q, out, thick + (float)layer * (0.13f + 0.1f * thick)), weight);
        }
    }
}

static void add_shells(const builder *b)
{
    enum { ALL = SHELL_ROWS * SHELL_COLUMNS };
    bool both = b->hangs; // the inside is seen where it hangs
    int part[2] = {mcf_mesh_part(b->m, PART_HAIR, 0, both), mcf_mesh_part(b->m, PART_HAIR, 1, false)};
    size_t first = mcf_mesh_vertices(b->m, 2 * ALL);
    if (b->m->failed)
        return;
    vertex *v = b->m->vertices + first;
    for (int i = 0; i < SHELL_ROWS; i++)
        place_row(b, i, v + i * SHELL_COLUMNS, v + ALL + i * SHELL_COLUMNS);
    mcf_mesh_grid_normals(b->m, first, SHELL_ROWS, SHELL_COLUMNS, true);
    for (int i = 0; i < ALL; i++) {
        const vertex *up = i >= SHELL_COLUMNS ? &v[i - SHELL_COLUMNS] : &v[i];
        const vertex *down = i + SHELL_COLUMNS < ALL ? &v[i + SHELL_COLUMNS] : &v[i];
        v[i].along = normal3(sub3(up->p, down->p));
        // the outer shell is parallel
        v[i + ALL].along = v[i].along;
        v[i + ALL].n = v[i].n;
    }
    for (int layer = 1; layer >= 0; layer--) {
        size_t from = b->m->triangle_count;
        mcf_mesh_grid(b->m, part[layer], first + (size_t)(layer * ALL), SHELL_ROWS, SHELL_COLUMNS, layer == 0);
        if (b->m->failed)
            return;
        sort_out(b, from, layer);
    }
}

bool mcf_hair_keep(const builder *b, const part *part, v3 at)
{
    const person *p = b->who;
    if (part->side >= 8)
        return true;
    bool curls = b->curls;
    float fine = 0;
    if (part->side > 0) {
        fine = noise_near(b->grain->strand, at.z * 31 + 40, at.y * 3 + 55);
        if (fine <= (curls ? -0.05f : 0.12f))
            return false;
    }
    float over = at.y - hair_line(b, at.x);
    // well inside: no need to look closer
    if (over > (curls ? 0.85f : 0.7f) && (!b->hangs || at.y > b->hair_bottom + 2))
        return true;
    float strand = part->side ? fine : noise_at(b->grain->strand, at.z * 17, at.y * 5);
    if (curls && !part->side)
        strand = 0.6f * strand + 0.8f * noise_at(b->grain->cloud, at.x * 60, at.y * 12);
    over += 0.45f * strand;
    if (!b->hangs)
        return over > (part->side ? 0.2f : 0);
    bool there = over > 0;
    if (!there && at.y < 4.5f) {
        float sway = b->hair_front + 0.06f * strand +
                     0.09f * p->hair_wave * sin_fast(at.y * 0.9f + (at.x > 0 ? 1 : 0)) - 0.22f * smooth(-9, -16, at.y) +
                     0.05f * p->part * (at.x > 0 ? 1 : -1);
        there = absf(at.x) > sway;
    }
    if (!there || (part->side && over <= 0.2f))
        return false;
    if (at.y > b->hair_bottom + 2)
        return true;
    if (!part->side)
        fine = noise_at(b->grain->strand, at.z * 31 + 40, at.y * 3);
    return at.y > b->hair_bottom + 1.1f * strand + 0.6f * fine;
}

void mcf_hair_add(const builder *b)
{
    const person *p = b->who;
    if (p->style == HAIR_BALD || p->style == HAIR_BUZZ || b->how->hat == HAT_SCARF)
        return;
    add_shells(b);
    if (p->style == HAIR_BUN && b->how->hat == HAT_NONE) {
        m3 h = b->s->head;
        float size = 1.9f + 1.3f * p->hair_length;
        v3 axes[3] = {scale3(v3_of(h.x.x, h.y.x, h.z.x), size * 1.1f), scale3(v3_of(h.x.y, h.y.y, h.z.y), size * 0.9f),
                      scale3(v3_of(h.x.z, h.y.z, h.z.z), size)};
        v3 at = p->part < 0 ? v3_of(0, b->f->top + 0.6f, -2.5f) : v3_of(0, b->f->top - 3.5f, -9.5f);
        size_t from = b->m->vertex_count;
        mcf_mesh_ellipsoid(b->m, mcf_mesh_part(b->m, PART_HAIR, 8, false), stand_head(b->s, at), axes, 14, 24);
        if (b->m->failed)
            return;
        for (size_t i = from; i < b->m->vertex_count; i++) {
            vertex *v = &b->m->vertices[i];
            v3 u = v->at;
            v->along = normal3(cross3(v->n, rotate(&h, v3_of(0.4f, 1, 0.2f))));
            v->at = v3_of(u.x, u.y * 4, atan2_fast(u.x, u.z) + 6 * u.y);
        }
    }
}

static float hat_line(const picture *v, float angle)
{
    float c = cos_fast(angle);
    switch (v->hat) {
    case HAT_BEANIE:
        return 3.0f + 1.3f * c;
    case HAT_CAP:
        return 3.9f + 1.2f * c;
    case HAT_BRIM:
        return 4.2f + 0.9f * c;
    default:
        return -30;
    }
}

static void add_brim(const builder *b)
{
    bool cap = b->how->hat == HAT_CAP;
    enum { ROWS = 7, COLUMNS = 41 };
    int part = mcf_mesh_part(b->m, PART_VISOR, 0, true);
    size_t first = mcf_mesh_vertices(b->m, ROWS * COLUMNS);
    if (b->m->failed)
        return;
    float half = cap ? 1.05f : SYNTH_PI;
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) {
            float t = (float)i / (ROWS - 1), angle = half * (2 * (float)j / (COLUMNS - 1) - 1);
            ring r = mcf_face_ring_at(b->f, hat_line(b->how, angle) + 0.2f);
            v3 q = mcf_face_skull(&r, angle);
            v3 out = normal3(v3_of(q.x, 0, q.z - r.z));
            float edge = angle / half, reach = cap ? 6.3f * sqrtf(maxf(1 - edge * edge, 0)) : 5.2f;
            float droop = cap ? -0.1f * reach * t - 0.9f * edge * edge * t : 0.5f * sin_fast(2 * angle) * t - 0.5f * t;
            v3 pos = mad3(q, out, 0.95f + reach * t);
            if (cap)
                pos = add3(mad3(q, out, 0.95f), v3_of(0, 0, reach * t));
            pos.y += droop;
            vertex *v = &b->m->vertices[first + (size_t)(i * COLUMNS + j)];
            v->at = v3_of(angle, t, reach * (1 - t));
            v->p = stand_head(b->s, pos);
        }
    mcf_mesh_grid(b->m, part, first, ROWS, COLUMNS, true);
    mcf_mesh_grid_normals(b->m, first, ROWS, COLUMNS, false);
}

static void add_dome(const builder *b)
{
    enum { ROWS = 26, COLUMNS = 61 };
    int part = mcf_mesh_part(b->m, PART_HAT, 0, true);
    size_t first = mcf_mesh_vertices(b->m, ROWS * COLUMNS);
    if (b->m->failed)
        return;
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) {
            float angle = mixf(-SYNTH_PI, SYNTH_PI, (float)j / (COLUMNS - 1)), t = (float)i / (ROWS - 1);
            float line = hat_line(b->how, angle);
            ring r;
            if (t < 0.45f)
                r = mcf_face_ring(b->f, 5 * t / 0.45f * (0.5f + 0.5f * t / 0.45f));
            else
                r = mcf_face_ring_at(b->f, mixf(mcf_face_ring(b->f, 5).y, line, (t - 0.45f) / 0.55f));
            v3 q = mcf_face_skull(&r, angle), out = normal3(v3_of(q.x, maxf(r.y - 2.5f, 0) * 1.1f, q.z - r.z + 0.3f));
            float over = r.y - line, thick = 0.95f;
            if (b->how->hat == HAT_BEANIE)
                thick =
                    0.75f + 0.45f * smooth(2.9f, 2.6f, over) * smooth(-0.4f, 0.3f, over) + 0.5f * smooth(5, 9, over);
            else if (b->how->hat == HAT_BRIM)
                thick = 0.9f + 1.4f * smooth(3, 6.5f, over) - 0.6f * bump2(angle / 0.7f, (over - 6.2f) / 2);
            vertex *v = &b->m->vertices[first + (size_t)(i * COLUMNS + j)];
            v->at = v3_of(angle, r.y, over);
            v->p = stand_head(b->s, mad3(q, out, thick));
        }
    mcf_mesh_grid(b->m, part, first, ROWS, COLUMNS, true);
    mcf_mesh_grid_normals(b->m, first, ROWS, COLUMNS, true);
    mcf_mesh_grid_light(b->m, first, ROWS, COLUMNS, 2, 0.6f);
}

// A cloth round head, neck and chest that leaves the face free.
static void add_scarf(const builder *b)
{
    enum { ROWS = 56, COLUMNS = 81 };
    int part = mcf_mesh_part(b->m, PART_HAT, 1, true);
    size_t first = mcf_mesh_vertices(b->m, ROWS * COLUMNS);
    if (b->m->failed)
        return;
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) {
            float angle = mixf(-SYNTH_PI, SYNTH_PI, (float)j / (COLUMNS - 1)), t = (float)i / (ROWS - 1);
            ring r;
            if (t < 0.3f)
                r = mcf_face_ring(b->f, 6 * t / 0.3f * (0.5f + 0.5f * t / 0.3f));
            else {
                float y = mixf(mcf_face_ring(b->f, 6).y, -24, (t - 0.3f) / 0.7f);
                r = mcf_face_ring_at(b->f, maxf(y, -8));
                float neck = smooth(-7, -12, y), chest = smooth(-12, -20, y);
                r.y = y;
                r.back = minf(r.back, -8.8f) - 3 * chest;
                r.z = mixf(minf(r.z, 0.5f), -2, neck);
                r.width = mixf(maxf(r.width, 6.9f), 7.3f, neck) + 10 * chest;
                r.front = mixf(r.front, 5.4f, smooth(-8.5f, -13, y)) + 3.2f * chest;
                r.p = 2;
            }
            v3 q = mcf_face_skull(&r, angle), out = normal3(v3_of(q.x, maxf(r.y - 2.5f, 0) * 1.1f, q.z - r.z + 0.3f));
            float fold = 0.16f *
                         sin_fast(r.y * 1.7f + angle * 2.2f + 2 * noise_at(b->grain->cloud, angle * 20, r.y * 5)) *
                         smooth(0, -8, r.y);
            float dx = q.x / 6.35f, dy = (r.y + 2.6f * b->who->lower) / (9.5f * b->who->lower);
            float edge = q.z > 0 ? sqrtf(dx * dx + dy * dy) - 1 : 1;
            vertex *v = &b->m->vertices[first + (size_t)(i * COLUMNS + j)];
            v->at = v3_of(angle, r.y, edge * 6);
            v->p = stand_blend(b->s, mad3(q, out, 0.6f + fold), smooth(-17, -8, r.y));
        }
    mcf_mesh_grid(b->m, part, first, ROWS, COLUMNS, true);
    mcf_mesh_grid_normals(b->m, first, ROWS, COLUMNS, true);
    mcf_mesh_grid_light(b->m, first, ROWS, COLUMNS, 2, 0.8f);
    if (b->m->failed)
        return;
    size_t from = b->m->triangle_count - 2 * (ROWS - 1) * (COLUMNS - 1);
    for (size_t i = from; i < b->m->triangle_count; i++)
        b->m->triangles[i].holes = true;
}

bool mcf_hair_casts(const builder *b, const part *part, v3 at)
{
    return part->side >= 8 || at.y > hair_line(b, at.x) || (b->hangs && at.y < 4.5f && absf(at.x) > b->hair_front);
}

bool mcf_hat_keep(const builder *b, v3 at)
{
    (void)b;
    return at.z > 0;
}

void mcf_hat_add(const builder *b)
{
    if (b->how->hat == HAT_NONE)
        return;
    if (b->how->hat == HAT_SCARF) {
        add_scarf(b);
        return;
    }
    add_dome(b);
    if (b->how->hat != HAT_BEANIE)
        add_brim(b);
}
