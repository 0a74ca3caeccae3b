#include "data/synth/raster.h"

// Four samples together, whatever the processor.
typedef float f4 __attribute__((vector_size(16)));
typedef int32_t i4 __attribute__((vector_size(16)));

// Whether all four, or any, have their highest bit.
static inline bool all_signs(i4 mask)
{
#ifdef __SSE__
    return __builtin_ia32_movmskps((f4)mask) == 15;
#else
    return (mask[0] & mask[1] & mask[2] & mask[3]) < 0;
#endif
}

static inline bool any_sign(i4 mask)
{
#ifdef __SSE__
    return __builtin_ia32_movmskps((f4)mask) != 0;
#else
    return (mask[0] | mask[1] | mask[2] | mask[3]) < 0;
#endif
}

void mcf_raster_clear(samples *s)
{
    size_t count = (size_t)s->side * (size_t)s->stride;
    memset(s->iz, 0, count * sizeof *s->iz);
    memset(s->id, 0, count * sizeof *s->id);
}

// What is being drawn, and the corners in the order that makes its area negative.
typedef struct {
    samples *to;
    const samples *behind; // NULL: anything
    const mesh *m;
    const triangle *t;
    uint32_t index, corner[3];
    v3 a, b, c;         // places of the corners
    keep_function keep; // NULL: without holes
    const void *context;
} drawing;

// Which of four samples a part with holes covers. wa, wb, wc: weights of the corners.
static i4 ask(const drawing *d, i4 in, f4 wa, f4 wb, f4 wc)
{
    v3 a = d->m->vertices[d->corner[0]].at, b = d->m->vertices[d->corner[1]].at, c = d->m->vertices[d->corner[2]].at;
    const part *p = &d->m->parts[d->t->part];
    f4 ia = wa * d->a.z, ib = wb * d->b.z, ic = wc * d->c.z, n = 1 / (ia + ib + ic);
    f4 x = (ia * a.x + ib * b.x + ic * c.x) * n, y = (ia * a.y + ib * b.y + ic * c.y) * n,
       z = (ia * a.z + ib * b.z + ic * c.z) * n;
    float at[3][4];
    int32_t mask[4];
    memcpy(at[0], &x, sizeof x);
    memcpy(at[1], &y, sizeof y);
    memcpy(at[2], &z, sizeof z);
    memcpy(mask, &in, sizeof in);
    for (int k = 0; k < 4; k++)
        if (mask[k])
            mask[k] = -(int32_t)d->keep(d->context, p, v3_of(at[0][k], at[1][k], at[2][k]));
    memcpy(&in, mask, sizeof in);
    return in;
}

// Four samples from `at` on, of which at least one is inside.
static inline void put(const drawing *d, size_t at, i4 in, f4 iz, f4 wa, f4 wb, f4 wc)
{
    f4 before;
    memcpy(&before, d->to->iz + at, sizeof before);
    in &= iz > before;
    if (d->behind) {
        f4 limit;
        memcpy(&limit, d->behind->iz + at, sizeof limit);
        in &= iz > limit;
    }
    if (!any_sign(in))
        return;
    if (d->keep)
        in &= ask(d, in, wa, wb, wc);
    int32_t own = (int32_t)d->index + 1;
    i4 id, bits = ((i4)iz & in) | ((i4)before & ~in);
    memcpy(&id, d->to->id + at, sizeof id);
    id = (own & in) | (id & ~in);
    memcpy(d->to->iz + at, &bits, sizeof bits);
    memcpy(d->to->id + at, &id, sizeof id);
}

// Narrows a row to where start + x * step >= 0; zero: where it is 0, -1 / step.
static inline void clip(float start, float step, float zero, float *low, float *high)
{
    if (step > 1e-12f)
        *low = maxf(*low, start * zero - 0.01f);
    else if (step < -1e-12f)
        *high = minf(*high, start * zero + 0.01f);
    else if (start < 0)
        *high = -1;
}

// Long, since the set-up of a triangle is a dozen numbers that both loops read.
static void draw(samples *s, const samples *behind, const mesh *m, uint32_t index, keep_function keep,
                 const void *context)
{
    const triangle *t = &m->triangles[index];
    drawing d = {s,
                 behind,
                 m,
                 t,
                 index,
                 {t->v[0], t->v[1], t->v[2]},
                 m->screen[t->v[0]],
                 m->screen[t->v[1]],
                 m->screen[t->v[2]],
                 t->holes ? keep : NULL,
                 context};
    v3 a = d.a, b = d.b, c = d.c;
    if (a.z <= 0 || b.z <= 0 || c.z <= 0)
        return;
    // Corners of a front face go anticlockwise, y downwards: its area is negative here.
    float area = (b.x - a.x) * (c.y - a.y) - (c.x - a.x) * (b.y - a.y);
    if (area > 0) {
        if (!m->parts[t->part].two_sided)
            return;
        d.b = c, d.c = b, b = d.b, c = d.c;
        d.corner[1] = t->v[2], d.corner[2] = t->v[1];
        area = -area;
    }
    if (area > -1e-9f)
        return;
    float left = minf(a.x, minf(b.x, c.x)), right = maxf(a.x, maxf(b.x, c.x));
    float top = minf(a.y, minf(b.y, c.y)), bottom = maxf(a.y, maxf(b.y, c.y)), side = (float)s->side;
    if (right < 0 || bottom < 0 || left > side || top > side)
        return;
    int x0 = (int)maxf(left + 0.5f, 0), x1 = (int)minf(right + 0.5f, side);
    int y0 = (int)maxf(top + 0.5f, 0), y1 = (int)minf(bottom + 0.5f, side);
    if (x0 >= x1 || y0 >= y1)
        return;
    // The weight of a corner is the edge function of the other two over the area; a hair too large, so that
    // neighbours leave no gap. The third weight and the nearness follow from the first two.
    float k = 1 / area, px = (float)x0 + 0.5f, py = (float)y0 + 0.5f;
    float ax = -(c.y - b.y) * k, ay = (c.x - b.x) * k, bx = -(a.y - c.y) * k, by = (a.x - c.x) * k;
    float wa_row = (px - b.x) * ax + (py - b.y) * ay + 1e-6f, wb_row = (px - c.x) * bx + (py - c.y) * by + 1e-6f;
    float iz_a = a.z - c.z, iz_b = b.z - c.z;
    const f4 lanes = {0, 1, 2, 3};
    if (x1 - x0 <= 8) { // columns of four
        float iz_y = ay * iz_a + by * iz_b;
        for (int x = x0; x < x1; x += 4) {
            f4 start = lanes + (float)(x - x0), wa = wa_row + start * ax, wb = wb_row + start * bx,
               iz = c.z + wa * iz_a + wb * iz_b;
            size_t at = (size_t)y0 * (size_t)s->stride + (size_t)x;
            for (int y = y0; y < y1; y++, at += (size_t)s->stride, wa += ay, wb += by, iz += iz_y) {
                f4 wc = 1.000003f - wa - wb;
                i4 out = (i4)wa | (i4)wb | (i4)wc;
                if (!all_signs(out))
                    put(&d, at, ~(out >> 31), iz, wa, wb, wc);
            }
        }
        return;
    }
    float cx = -ax - bx, limit_a = -1 / ax, limit_b = -1 / bx, limit_c = -1 / cx;
    for (int y = y0; y < y1; y++, wa_row += ay, wb_row += by) {
        // where each weight turns positive or negative along the row
        float low = 0, high = (float)(x1 - x0);
        clip(wa_row, ax, limit_a, &low, &high);
        clip(wb_row, bx, limit_b, &low, &high);
        clip(1.000003f - wa_row - wb_row, cx, limit_c, &low, &high);
        if (low > high)
            continue;
        int from = x0 + (int)low, to = x0 + (int)minf(high + 1, (float)(x1 - x0));
        size_t at = (size_t)y * (size_t)s->stride + (size_t)from;
        f4 start = lanes + (float)(from - x0), wa = wa_row + start * ax, wb = wb_row + start * bx;
        for (int x = from; x < to; x += 4, at += 4, wa += 4 * ax, wb += 4 * bx) {
            f4 wc = 1.000003f - wa - wb;
            i4 out = (i4)wa | (i4)wb | (i4)wc;
            if (!all_signs(out))
                put(&d, at, ~(out >> 31), c.z + wa * iz_a + wb * iz_b, wa, wb, wc);
        }
    }
}

void mcf_raster_draw(samples *s, const mesh *m, keep_function keep, const void *context)
{
    for (size_t i = 0; i < m->triangle_count; i++)
        if (m->parts[m->triangles[i].part].kind != PART_LENS)
            draw(s, NULL, m, (uint32_t)i, keep, context);
}

void mcf_raster_layer(samples *s, const samples *behind, const mesh *m, part_kind kind)
{
    for (size_t i = 0; i < m->triangle_count; i++)
        if (m->parts[m->triangles[i].part].kind == kind)
            draw(s, behind, m, (uint32_t)i, NULL, NULL);
}

void mcf_shadow_draw(shadow_map *s, mesh *m, v3 towards, v3 centre, float radius, keep_function keep,
                     const void *context)
{
    s->z = normal3(towards);
    s->x = normal3(cross3(absf(s->z.y) < 0.95f ? v3_of(0, 1, 0) : v3_of(1, 0, 0), s->z));
    s->y = cross3(s->z, s->x);
    s->centre = centre;
    s->scale = 0.5f * SHADOW_SIDE / radius;
    mcf_raster_clear(&s->map);
    mcf_mesh_project_light(m, s->x, s->y, s->z, centre, s->scale, SHADOW_SIDE);
    if (m->failed)
        return;
    for (size_t i = 0; i < m->triangle_count; i++)
        if (m->triangles[i].shadow)
            draw(&s->map, NULL, m, (uint32_t)i, keep, context);
}

float mcf_shadow_at(const shadow_map *s, v3 p, v3 n, float soft)
{
    v3 d = sub3(mad3(p, n, 0.18f), s->centre);
    float x = dot3(d, s->x) * s->scale + 0.5f * SHADOW_SIDE - 0.5f,
          y = dot3(d, s->y) * -s->scale + 0.5f * SHADOW_SIDE - 0.5f;
    float z = 1000 + dot3(d, s->z), step = maxf(soft * s->scale, 0.7f);
    static const float place[3][2] = {{-0.8f, 0.4f}, {0.7f, 0.5f}, {0.1f, -0.9f}};
    if (x < step || y < step || x >= SHADOW_SIDE - 2 - step || y >= SHADOW_SIDE - 2 - step)
        return 1;
    f4 sum = {0, 0, 0, 0};
    for (int k = 0; k < 3; k++) {
        float sx = x + step * place[k][0], sy = y + step * place[k][1];
        int ix = (int)sx, iy = (int)sy;
        float fx = sx - (float)ix, fy = sy - (float)iy;
        const float *at = &s->map.iz[iy * s->map.stride + ix], *below = at + s->map.stride;
        f4 gap = {at[0], at[1], below[0], below[1]};
        f4 share = {(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy};
        // 0 where it is lit, 1 from 0.4 cm behind what is nearest to the light
        gap = (gap - z) * 4 - 0.6f;
        gap = (f4)((i4)gap & (gap > 0));
        i4 deep = gap > 1;
        gap = (f4)(((i4)gap & ~deep) | ((i4)(f4){1, 1, 1, 1} & deep));
        sum += gap * share;
    }
    return clampf(1 - (1 / 3.0f) * (sum[0] + sum[1] + sum[2] + sum[3]), 0, 1);
}
