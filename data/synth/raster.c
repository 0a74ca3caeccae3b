#include "data/synth/raster.h"

void raster_clear(samples *s)
{
    size_t count = (size_t)s->side * (size_t)s->side;
    memset(s->iz, 0, count * sizeof *s->iz);
    memset(s->id, 0, count * sizeof *s->id);
}

static void draw(samples *s, const samples *behind, const mesh *m, uint32_t index, keep_function keep, const void *context)
{
    const triangle *t = &m->triangles[index];
    const vertex *a = &m->vertices[t->v[0]], *b = &m->vertices[t->v[1]], *c = &m->vertices[t->v[2]];
    if (a->iz <= 0 || b->iz <= 0 || c->iz <= 0)
        return;
    // Corners of a front face go anticlockwise, y downwards: its area is negative here.
    float area = (b->sx - a->sx) * (c->sy - a->sy) - (c->sx - a->sx) * (b->sy - a->sy);
    if (area > 0) {
        if (!m->parts[t->part].two_sided)
            return;
        const vertex *swap = b;
        b = c;
        c = swap;
        area = -area;
    }
    if (area > -1e-9f)
        return;
    float left = minf(a->sx, minf(b->sx, c->sx)), right = maxf(a->sx, maxf(b->sx, c->sx));
    float top = minf(a->sy, minf(b->sy, c->sy)), bottom = maxf(a->sy, maxf(b->sy, c->sy));
    float side = (float)s->side;
    if (right < 0 || bottom < 0 || left > side || top > side)
        return;
    int x0 = (int)maxf(left + 0.5f, 0), x1 = (int)minf(right + 0.5f, side);
    int y0 = (int)maxf(top + 0.5f, 0), y1 = (int)minf(bottom + 0.5f, side);
    if (x0 >= x1 || y0 >= y1)
        return;
    float k = 1 / area;
    // weight of a corner: edge function of the other two, / area
    float ax = -(c->sy - b->sy) * k, ay = (c->sx - b->sx) * k;
    float bx = -(a->sy - c->sy) * k, by = (a->sx - c->sx) * k;
    float px = (float)x0 + 0.5f, py = (float)y0 + 0.5f;
    float wa_row = (px - b->sx) * ax + (py - b->sy) * ay;
    float wb_row = (px - c->sx) * bx + (py - c->sy) * by;
    float cx = -ax - bx, cy = -ay - by, wc_row = 1 - wa_row - wb_row;
    float iz_row = wa_row * a->iz + wb_row * b->iz + wc_row * c->iz;
    float iz_x = ax * a->iz + bx * b->iz + cx * c->iz, iz_y = ay * a->iz + by * b->iz + cy * c->iz;
    for (int y = y0; y < y1; y++) {
        float wa = wa_row, wb = wb_row, wc = wc_row, iz = iz_row;
        size_t at = (size_t)y * (size_t)s->side + (size_t)x0;
        for (int x = x0; x < x1; x++, at++) {
            if (wa >= 0 && wb >= 0 && wc >= 0 && iz > s->iz[at] && (!behind || iz > behind->iz[at])) {
                bool there = true;
                if (keep && t->holes) {
                    float ia = wa * a->iz, ib = wb * b->iz, ic = wc * c->iz, n = 1 / (ia + ib + ic);
                    v3 w = {ia * n, ib * n, ic * n};
                    there = keep(context, &m->parts[t->part], raster_mix(w, a->at, b->at, c->at));
                }
                if (there) {
                    s->iz[at] = iz;
                    s->id[at] = index + 1;
                }
            }
            wa += ax, wb += bx, wc += cx, iz += iz_x;
        }
        wa_row += ay, wb_row += by, wc_row += cy, iz_row += iz_y;
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

void shadow_draw(shadow_map *s, const mesh *m, v3 towards, v3 centre, float radius, keep_function keep, const void *context)
{
    s->z = normal3(towards);
    s->x = normal3(cross3(absf(s->z.y) < 0.95f ? v3_of(0, 1, 0) : v3_of(1, 0, 0), s->z));
    s->y = cross3(s->z, s->x);
    s->centre = centre;
    s->scale = 0.5f * SHADOW_SIDE / radius;
    for (int i = 0; i < SHADOW_SIDE * SHADOW_SIDE; i++)
        s->depth[i] = -1e9f;
    for (size_t i = 0; i < m->triangle_count; i++) {
        const triangle *t = &m->triangles[i];
        if (!t->shadow)
            continue;
        const vertex *v[3];
        float x[3], y[3], z[3];
        for (int k = 0; k < 3; k++) {
            v[k] = &m->vertices[t->v[k]];
            v3 d = sub3(v[k]->p, centre);
            x[k] = dot3(d, s->x) * s->scale + 0.5f * SHADOW_SIDE;
            y[k] = dot3(d, s->y) * s->scale + 0.5f * SHADOW_SIDE;
            z[k] = dot3(d, s->z);
        }
        float area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0]);
        if (absf(area) < 1e-9f)
            continue;
        int x0 = (int)maxf(minf(x[0], minf(x[1], x[2])) + 0.5f, 0), x1 = (int)minf(maxf(x[0], maxf(x[1], x[2])) + 0.5f, SHADOW_SIDE);
        int y0 = (int)maxf(minf(y[0], minf(y[1], y[2])) + 0.5f, 0), y1 = (int)minf(maxf(y[0], maxf(y[1], y[2])) + 0.5f, SHADOW_SIDE);
        float n = 1 / area;
        for (int py = y0; py < y1; py++)
            for (int px = x0; px < x1; px++) {
                float fx = (float)px + 0.5f, fy = (float)py + 0.5f;
                float wa = ((x[1] - fx) * (y[2] - fy) - (x[2] - fx) * (y[1] - fy)) * n;
                float wb = ((x[2] - fx) * (y[0] - fy) - (x[0] - fx) * (y[2] - fy)) * n;
                float wc = 1 - wa - wb;
                if (wa < 0 || wb < 0 || wc < 0)
                    continue;
                float depth = wa * z[0] + wb * z[1] + wc * z[2];
                float *to = &s->depth[py * SHADOW_SIDE + px];
                if (depth > *to && (!t->holes || keep(context, &m->parts[t->part], raster_mix(v3_of(wa, wb, wc), v[0]->at, v[1]->at, v[2]->at))))
                    *to = depth;
            }
    }
}

float shadow_at(const shadow_map *s, v3 p, v3 n, float soft)
{
    v3 d = sub3(mad3(p, n, 0.18f), s->centre);
    float x = dot3(d, s->x) * s->scale + 0.5f * SHADOW_SIDE - 0.5f, y = dot3(d, s->y) * s->scale + 0.5f * SHADOW_SIDE - 0.5f;
    float z = dot3(d, s->z), step = maxf(soft * s->scale, 0.7f), sum = 0;
    static const float place[5][2] = {{0, 0}, {-0.8f, -0.4f}, {0.4f, -0.8f}, {0.8f, 0.4f}, {-0.4f, 0.8f}};
    for (int k = 0; k < 5; k++) {
        float sx = x + step * place[k][0], sy = y + step * place[k][1];
        if (sx < 0 || sy < 0 || sx >= SHADOW_SIDE - 1 || sy >= SHADOW_SIDE - 1) {
            sum += 1;
            continue;
        }
        int ix = (int)sx, iy = (int)sy;
        float fx = sx - (float)ix, fy = sy - (float)iy;
        const float *at = &s->depth[iy * SHADOW_SIDE + ix];
        const float gap[4] = {at[0] - z, at[1] - z, at[SHADOW_SIDE] - z, at[SHADOW_SIDE + 1] - z};
        float lit[4];
        for (int i = 0; i < 4; i++)
            lit[i] = 1 - clampf(gap[i] * 4 - 0.6f, 0, 1);
        sum += mixf(mixf(lit[0], lit[1], fx), mixf(lit[2], lit[3], fx), fy);
    }
    return clampf(sum * 0.2f, 0, 1);
}
