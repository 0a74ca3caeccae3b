#include "data/synth/mesh.h"

#include <stdlib.h>

void mcf_mesh_clear(mesh *m)
{
    m->vertex_count = m->triangle_count = 0;
    m->part_count = 0;
    m->failed = false;
}

void mcf_mesh_free(mesh *m)
{
    free(m->vertices);
    free(m->triangles);
    free(m->screen);
    *m = (mesh){0};
}

int mcf_mesh_part(mesh *m, part_kind kind, int side, bool two_sided)
{
    if (m->part_count == MESH_MAX_PARTS)
        return -1;
    m->parts[m->part_count] = (part){kind, side, two_sided};
    return m->part_count++;
}

size_t mcf_mesh_vertices(mesh *m, size_t count)
{
    if (m->vertex_count + count > m->vertex_capacity) {
        size_t capacity = 2 * m->vertex_capacity + count + 4096;
        vertex *v = realloc(m->vertices, capacity * sizeof *v);
        if (!v) {
            m->failed = true;
            return 0;
        }
        m->vertices = v;
        m->vertex_capacity = capacity;
    }
    size_t first = m->vertex_count;
    memset(m->vertices + first, 0, count * sizeof *m->vertices);
    for (size_t i = 0; i < count; i++)
        m->vertices[first + i].light = 1;
    m->vertex_count += count;
    return first;
}

static triangle *more_triangles(mesh *m, size_t count)
{
    if (m->triangle_count + count > m->triangle_capacity) {
        size_t capacity = 2 * m->triangle_capacity + count + 4096;
        triangle *t = realloc(m->triangles, capacity * sizeof *t);
        if (!t) {
            m->failed = true;
            return NULL;
        }
        m->triangles = t;
        m->triangle_capacity = capacity;
    }
    triangle *t = m->triangles + m->triangle_count;
    m->triangle_count += count;
    return t;
}

void mcf_mesh_grid(mesh *m, int part, size_t first, int rows, int columns, bool casts)
{
    if (part < 0 || m->failed)
        return;
    triangle *t = more_triangles(m, 2 * (size_t)(rows - 1) * (size_t)(columns - 1));
    if (!t)
        return;
    for (int i = 0; i + 1 < rows; i++)
        for (int j = 0; j + 1 < columns; j++) {
            uint32_t a = (uint32_t)first + (uint32_t)(i * columns + j), b = a + 1, c = a + (uint32_t)columns, d = c + 1;
            *t++ = (triangle){{a, c, b}, (uint8_t)part, false, casts};
            *t++ = (triangle){{b, c, d}, (uint8_t)part, false, casts};
        }
}

void mcf_mesh_grid_normals(mesh *m, size_t first, int rows, int columns, bool wrap)
{
    if (m->failed)
        return;
    vertex *v = m->vertices + first;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            int up = i > 0 ? i - 1 : 0, down = i + 1 < rows ? i + 1 : i;
            int left = j > 0 ? j - 1 : wrap ? columns - 2 : 0;
            int right = j + 1 < columns ? j + 1 : wrap ? 1 : j;
            v3 a = sub3(v[i * columns + right].p, v[i * columns + left].p);
            v3 b = sub3(v[down * columns + j].p, v[up * columns + j].p);
            v[i * columns + j].n = normal3(cross3(b, a));
        }
    // Rows that shrink to a point have no direction of their own.
    for (int end = 0; end < 2; end++) {
        int row = end ? rows - 1 : 0, next = end ? rows - 2 : 1;
        v3 a = sub3(v[row * columns + columns / 2].p, v[row * columns].p);
        if (dot3(a, a) > 0.02f)
            continue;
        v3 sum = {0, 0, 0};
        for (int j = 0; j < columns; j++)
            sum = add3(sum, v[next * columns + j].n);
        sum = normal3(sum);
        for (int j = 0; j < columns; j++)
            v[row * columns + j].n = sum;
    }
}

void mcf_mesh_grid_light(mesh *m, size_t first, int rows, int columns, int reach, float strength)
{
    if (m->failed)
        return;
    vertex *v = m->vertices + first;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            vertex *o = &v[i * columns + j];
            if (dot3(o->n, o->p) > 0)
                continue;
            int up = i > reach ? i - reach : 0, down = i + reach < rows ? i + reach : rows - 1;
            int left = j > reach ? j - reach : 0, right = j + reach < columns ? j + reach : columns - 1;
            const vertex *near[4] = {&v[up * columns + j], &v[down * columns + j], &v[i * columns + left],
                                     &v[i * columns + right]};
            float sum = 0;
            for (int k = 0; k < 4; k++) {
                v3 d = sub3(near[k]->p, o->p);
                float h = dot3(d, o->n), q = dot3(d, d);
                if (h > 0)
                    sum += h / sqrtf(q);
            }
            o->light *= clampf(1 - strength * 0.25f * sum, 0, 1);
        }
}

void mcf_mesh_tube(mesh *m, int part, const v3 *points, int count, float radius, const float *radii, int sides,
                   bool closed)
{
    if (part < 0 || count < 2)
        return;
    int rows = closed ? count + 1 : count, columns = sides + 1;
    size_t first = mcf_mesh_vertices(m, (size_t)(rows * columns));
    if (m->failed)
        return;
    v3 side = {0, 0, 0};
    for (int i = 0; i < rows; i++) {
        int k = i % count, before = closed ? (k + count - 1) % count : k > 0 ? k - 1 : 0;
        int after = closed ? (k + 1) % count : k + 1 < count ? k + 1 : k;
        v3 t = normal3(sub3(points[after], points[before]));
        if (i == 0)
            side = absf(t.y) < 0.8f ? v3_of(0, 1, 0) : v3_of(1, 0, 0);
        side = normal3(mad3(side, t, -dot3(side, t)));
        v3 other = cross3(side, t);
        float r = radii ? radii[k] : radius;
        for (int j = 0; j < columns; j++) {
            float a = 2 * SYNTH_PI * (float)(j % sides) / (float)sides;
            vertex *v = &m->vertices[first + (size_t)(i * columns + j)];
            v->n = add3(scale3(side, cos_fast(a)), scale3(other, sin_fast(a)));
            v->p = mad3(points[k], v->n, r);
            v->at = v3_of((float)i / (float)(rows - 1), (float)j / (float)sides, r);
        }
    }
    mcf_mesh_grid(m, part, first, rows, columns, true);
}

void mcf_mesh_ellipsoid(mesh *m, int part, v3 centre, const v3 axes[3], int rows, int columns)
{
    if (part < 0)
        return;
    size_t first = mcf_mesh_vertices(m, (size_t)((rows + 1) * (columns + 1)));
    if (m->failed)
        return;
    float l0 = dot3(axes[0], axes[0]), l1 = dot3(axes[1], axes[1]), l2 = dot3(axes[2], axes[2]);
    for (int i = 0; i <= rows; i++)
        for (int j = 0; j <= columns; j++) {
            float b = SYNTH_PI * (float)i / (float)rows, a = 2 * SYNTH_PI * (float)(j % columns) / (float)columns;
            v3 u = {sin_fast(b) * sin_fast(a), cos_fast(b), sin_fast(b) * cos_fast(a)};
            vertex *v = &m->vertices[first + (size_t)(i * (columns + 1) + j)];
            v->p = mad3(mad3(mad3(centre, axes[0], u.x), axes[1], u.y), axes[2], u.z);
            v->n = normal3(mad3(mad3(scale3(axes[0], u.x / l0), axes[1], u.y / l1), axes[2], u.z / l2));
            v->at = u;
        }
    mcf_mesh_grid(m, part, first, rows + 1, columns + 1, true);
}

static bool screen_room(mesh *m)
{
    if (m->vertex_count > m->screen_capacity) {
        v3 *screen = realloc(m->screen, m->vertex_capacity * sizeof *screen);
        if (!screen) {
            m->failed = true;
            return false;
        }
        m->screen = screen;
        m->screen_capacity = m->vertex_capacity;
    }
    return !m->failed;
}

void mcf_mesh_project(mesh *m, const stand *s)
{
    if (!screen_room(m))
        return;
    for (size_t i = 0; i < m->vertex_count; i++) {
        v3 p = m->vertices[i].p;
        float z = -p.z, iz = z > 4 ? 1 / z : 0;
        m->screen[i] = v3_of(s->cx + s->focal * p.x * iz, s->cy - s->focal * p.y * iz, iz);
    }
}

void mcf_mesh_project_light(mesh *m, v3 x, v3 y, v3 z, v3 centre, float scale, float side)
{
    if (!screen_room(m))
        return;
    for (size_t i = 0; i < m->vertex_count; i++) {
        v3 d = sub3(m->vertices[i].p, centre);
        m->screen[i] = v3_of(0.5f * side + scale * dot3(d, x), 0.5f * side - scale * dot3(d, y), 1000 + dot3(d, z));
    }
}
