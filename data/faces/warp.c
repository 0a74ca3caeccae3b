#include "data/faces/warp.h"

#include <math.h>

mcf_face_affine mcf_face_affine_then(const mcf_face_affine *f, const mcf_face_affine *t)
{
    const double *a = f->m, *b = t->m;
    return (mcf_face_affine){{b[0] * a[0] + b[1] * a[3], b[0] * a[1] + b[1] * a[4], b[0] * a[2] + b[1] * a[5] + b[2],
                              b[3] * a[0] + b[4] * a[3], b[3] * a[1] + b[4] * a[4], b[3] * a[2] + b[4] * a[5] + b[5]}};
}

mcf_status mcf_face_affine_invert(const mcf_face_affine *a, mcf_face_affine *inverse, mcf_error *err)
{
    const double *m = a->m, det = m[0] * m[4] - m[1] * m[3];
    for (int i = 0; i < 6; i++)
        if (!isfinite(m[i]))
            return mcf_fail(err, MCF_ERR_FORMAT, "the transform of the crop is not finite");
    if (!(fabs(det) > 0) || !isfinite(1 / det))
        return mcf_fail(err, MCF_ERR_FORMAT, "the transform of the crop has no inverse");
    const double r0 = m[4] / det, r1 = -m[1] / det, r3 = -m[3] / det, r4 = m[0] / det;
    *inverse = (mcf_face_affine){{r0, r1, -(r0 * m[2] + r1 * m[5]), r3, r4, -(r3 * m[2] + r4 * m[5])}};
    return MCF_OK;
}

mcf_face_affine mcf_crop_random(int size, double scale, double angle, const double shift[2])
{
    const double c = scale * cos(angle), s = scale * sin(angle), centre = (size - 1) / 2.0;
    return (mcf_face_affine){
        {c, -s, centre - c * centre + s * centre + shift[0], s, c, centre - s * centre - c * centre + shift[1]}};
}

mcf_status mcf_crop_from_box(const double box[4], int size, double scale, mcf_face_affine *out, mcf_error *err)
{
    const double width = box[2] - box[0], height = box[3] - box[1], none[2] = {0, 0};
    if (!(width > 0 && height > 0 && isfinite(width) && isfinite(height)) || !isfinite(box[0]) || !isfinite(box[1]))
        return mcf_fail(err, MCF_ERR_FORMAT, "the box (%g, %g, %g, %g) has no area", box[0], box[1], box[2], box[3]);
    const mcf_face_affine to_crop = {
        {size / width, 0, -box[0] * size / width - 0.5, 0, size / height, -box[1] * size / height - 0.5}};
    const mcf_face_affine scaled = mcf_crop_random(size, scale, 0, none);
    *out = mcf_face_affine_then(&to_crop, &scaled);
    return MCF_OK;
}

void mcf_crop_template(int size, double scale, double target[5][2])
{
    static const double lapa[5][2] = {{196, 226}, {316, 226}, {256, 286}, {220, 360.4}, {292, 360.4}}; // of 512
    const double centre = (size - 1) / 2.0;
    for (int p = 0; p < 5; p++)
        for (int axis = 0; axis < 2; axis++)
            target[p][axis] = (lapa[p][axis] * (size - 1) / 512 - centre) * scale + centre;
}

mcf_status mcf_crop_from_points(const double points[5][2], int size, double scale, mcf_face_affine *out, mcf_error *err)
{
    double target[5][2], from[2] = {0, 0}, to[2] = {0, 0}, spread = 0, a = 0, b = 0;
    mcf_crop_template(size, scale, target);
    for (int p = 0; p < 5; p++)
        for (int axis = 0; axis < 2; axis++) {
            if (!isfinite(points[p][axis]))
                return mcf_fail(err, MCF_ERR_FORMAT, "one of the five points is not finite");
            from[axis] += points[p][axis] / 5;
            to[axis] += target[p][axis] / 5;
        }
    for (int p = 0; p < 5; p++) {
        const double sx = points[p][0] - from[0], sy = points[p][1] - from[1];
        const double dx = target[p][0] - to[0], dy = target[p][1] - to[1];
        spread += sx * sx + sy * sy;
        a += sx * dx + sy * dy;
        b += sx * dy - sy * dx;
    }
    if (!(spread > 1e-8))
        return mcf_fail(err, MCF_ERR_FORMAT, "the five points coincide");
    a /= spread;
    b /= spread;
    if (!(a * a + b * b > 0))
        return mcf_fail(err, MCF_ERR_FORMAT, "the five points lie so that no similarity fits them");
    *out = (mcf_face_affine){{a, -b, to[0] - a * from[0] + b * from[1], b, a, to[1] - b * from[0] - a * from[1]}};
    return MCF_OK;
}

double mcf_tanh_warp(double u, double factor)
{
    const double beyond = fabs(u) - 1 + factor;
    return factor <= 0 || beyond <= 0 ? u : copysign(1 - factor + factor * tanh(beyond / factor), u);
}

double mcf_tanh_unwarp(double v, double factor)
{
    const double beyond = fabs(v) - 1 + factor;
    return factor <= 0 || beyond <= 0 ? v : copysign(1 - factor + factor * atanh(fmin(beyond / factor, 0.999)), v);
}

mcf_status mcf_face_map_make(const mcf_face_affine *crop, double factor, int width, int height, mcf_face_map *map,
                             mcf_error *err)
{
    *map = (mcf_face_map){.crop = *crop, .factor = factor, .width = width, .height = height};
    return mcf_face_affine_invert(crop, &map->inverse, err);
}

static double pixels(double u, int n)
{
    return (u + 1) * n / 2;
}

void mcf_face_map_forward(const mcf_face_map *map, double x, double y, double out[2])
{
    mcf_face_affine_apply(&map->crop, x, y, out);
    if (map->factor <= 0)
        return;
    out[0] = pixels(mcf_tanh_warp(2 * out[0] / map->width - 1, map->factor), map->width);
    out[1] = pixels(mcf_tanh_warp(2 * out[1] / map->height - 1, map->factor), map->height);
}

void mcf_face_map_back(const mcf_face_map *map, double x, double y, double out[2])
{
    if (map->factor > 0) {
        x = pixels(mcf_tanh_unwarp(2 * x / map->width - 1, map->factor), map->width);
        y = pixels(mcf_tanh_unwarp(2 * y / map->height - 1, map->factor), map->height);
    }
    mcf_face_affine_apply(&map->inverse, x, y, out);
}

void mcf_face_map_table(double factor, int n, double shift, double *table)
{
    for (int i = 0; i < n; i++)
        table[i] = factor > 0 ? pixels(mcf_tanh_unwarp(2 * (i + shift) / n - 1, factor), n) : i + shift;
}
