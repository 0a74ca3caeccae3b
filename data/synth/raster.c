#include "data/synth/raster.h"

// Four samples together, whatever the processor.
typedef float f4 __attribute__((vector_size(16)));
typedef int32_t i4 __attribute__((vector_size(16)));

static inline bool any(i4 mask)
{
#ifdef __SSE__
    return __builtin_ia32_movmskps((f4)mask) != 0;
#endif
    int64_t half[2];
    memcpy(half, &mask, sizeof half);
    return (half[0] | half[1]) != 0;
}

void raster_clear(samples *s)
{
    size_t count = (size_t)s->side * (size_t)s->stride;
    memset(s->iz, 0, count * sizeof *s->iz);
    memset(s->id, 0, count * sizeof *s->id);
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

static void draw(samples *s, const samples *behind, const mesh *m, uint32_t index, keep_function keep, const void *context)
{
    const triangle *t = &m->triangles[index];
    uint32_t at_b = t->v[1], at_c = t->v[2];
    v3 a = m->screen[t->v[0]], b = m->screen[at_b], c = m->screen[at_c];
    if (a.z <= 0 || b.z <= 0 || c.z <= 0)
        return;
    // Corners of a front face go anticlockwise, y downwards: its area is negative here.
    float area = (b.x - a.x) * (c.y - a.y) - (c.x - a.x) * (b.y - a.y);
    if (area > 0) {
        if (!m->parts[t->part].two_sided)
            return;
        v3 swap = b;
        b = c, c = swap;
        at_b = t->v[2], at_c = t->v[1];
        area = -area;
    }
    if (area > -1e-9f)
        return;
    float left = minf(a.x, minf(b.x, c.x)), right = maxf(a.x, maxf(b.x, c.x));
    float top = minf(a.y, minf(b.y, c.y)), bottom = maxf(a.y, maxf(b.y, c.y));
    float side = (float)s->side;
    if (right < 0 || bottom < 0 || left > side || top > side)
        return;
    int x0 = (int)maxf(left + 0.5f, 0), x1 = (int)minf(right + 0.5f, side);
    int y0 = (int)maxf(top + 0.5f, 0), y1 = (int)minf(bottom + 0.5f, side);
    if (x0 >= x1 || y0 >= y1)
        return;
    float k = 1 / area;
    // weight of a corner: edge function of the other two, / area
    float ax = -(c.y - b.y) * k, ay = (c.x - b.x) * k;
    float bx = -(a.y - c.y) * k, by = (a.x - c.x) * k;
    float px = (float)x0 + 0.5f, py = (float)y0 + 0.5f;
    float wa_row = (px - b.x) * ax + (py - b.y) * ay;
    float wb_row = (px - c.x) * bx + (py - c.y) * by;
    const f4 lanes = {0, 1, 2, 3};
    // the third weight and the depth follow from the first two
    float iz_a = a.z - c.z, iz_b = b.z - c.z;
    bool wide = x1 - x0 > 8;
    float cx = -ax - bx, limit_a = wide ? -1 / ax : 0, limit_b = wide ? -1 / bx : 0, limit_c = wide ? -1 / cx : 0;
    for (int y = y0; y < y1; y++, wa_row += ay, wb_row += by) {
        int from = x0, to = x1;
        if (wide) {
            // where each weight turns positive or negative along the row
            float low = 0, high = (float)(x1 - x0);
            clip(wa_row, ax, limit_a, &low, &high);
            clip(wb_row, bx, limit_b, &low, &high);
            clip(1 - wa_row - wb_row, cx, limit_c, &low, &high);
            if (low > high)
                continue;
            from = x0 + (int)low;
            to = x0 + (int)minf(high + 1, (float)(x1 - x0));
        }
        size_t at = (size_t)y * (size_t)s->stride + (size_t)from;
        f4 start = lanes + (float)(from - x0), wa = wa_row + start * ax, wb = wb_row + start * bx;
        for (int x = from; x < to; x += 4, at += 4, wa += 4 * ax, wb += 4 * bx) {
            f4 wc = 1 - wa - wb, iz = c.z + wa * iz_a + wb * iz_b, before, limit;
            i4 in = (wa >= 0) & (wb >= 0) & (wc >= 0);
            if (!any(in))
                continue;
            memcpy(&before, s->iz + at, sizeof before);
            in &= iz > before;
            if (behind) {
                memcpy(&limit, behind->iz + at, sizeof limit);
                in &= iz > limit;
            }
            if (keep && t->holes)
                for (int k = 0; k < 4; k++)
                    if (in[k]) {
                        float ia = wa[k] * a.z, ib = wb[k] * b.z, ic = wc[k] * c.z, n = 1 / (ia + ib + ic);
                        v3 w = {ia * n, ib * n, ic * n};
                        in[k] = -(int)keep(context, &m->parts[t->part], raster_mix(w, m->vertices[t->v[0]].at, m->vertices[at_b].at, m->vertices[at_c].at));
                    }
            if (!any(in))
                continue;
            i4 id, own = {(int)index + 1, (int)index + 1, (int)index + 1, (int)index + 1}, bits = (i4)iz;
            memcpy(&id, s->id + at, sizeof id);
            bits = (bits & in) | ((i4)before & ~in);
            id = (own & in) | (id & ~in);
            memcpy(s->iz + at, &bits, sizeof bits);
            memcpy(s->id + at, &id, sizeof id);
        }
    }
}

void raster_draw(samples *s, const mesh *m, keep_function keep, const void *context)
{
    for (size_t i = 0; i < m->triangle_count; i++)
        if (m->parts[m->triangles[i].part].kind != PART_LENS)
            draw(s, NULL, m, (uint32_t)i, keep, context);
}

void raster_layer(samples *s, const samples *behind, const mesh *m, part_kind kind)
{
    for (size_t i = 0; i < m->triangle_count; i++)
        if (m->parts[m->triangles[i].part].kind == kind)
            draw(s, behind, m, (uint32_t)i, NULL, NULL);
}

void shadow_draw(shadow_map *s, mesh *m, v3 towards, v3 centre, float radius, keep_function keep, const void *context)
{
    s->z = normal3(towards);
    s->x = normal3(cross3(absf(s->z.y) < 0.95f ? v3_of(0, 1, 0) : v3_of(1, 0, 0), s->z));
    s->y = cross3(s->z, s->x);
    s->centre = centre;
    s->scale = 0.5f * SHADOW_SIDE / radius;
    raster_clear(&s->map);
    mesh_project_light(m, s->x, s->y, s->z, centre, s->scale, SHADOW_SIDE);
    if (m->failed)
        return;
    for (size_t i = 0; i < m->triangle_count; i++)
        if (m->triangles[i].shadow)
            draw(&s->map, NULL, m, (uint32_t)i, keep, context);
}

float shadow_at(const shadow_map *s, v3 p, v3 n, float soft)
{
    v3 d = sub3(mad3(p, n, 0.18f), s->centre);
    float x = dot3(d, s->x) * s->scale + 0.5f * SHADOW_SIDE - 0.5f, y = dot3(d, s->y) * -s->scale + 0.5f * SHADOW_SIDE - 0.5f;
    float z = 1000 + dot3(d, s->z), step = maxf(soft * s->scale, 0.7f);
    static const float place[4][2] = {{-0.8f, -0.4f}, {0.4f, -0.8f}, {0.8f, 0.4f}, {-0.4f, 0.8f}};
    if (x < step || y < step || x >= SHADOW_SIDE - 2 - step || y >= SHADOW_SIDE - 2 - step)
        return 1;
    f4 sum = {0, 0, 0, 0};
    for (int k = 0; k < 4; k++) {
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
    return clampf(1 - 0.25f * (sum[0] + sum[1] + sum[2] + sum[3]), 0, 1);
}
