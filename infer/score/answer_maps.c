// Heatmaps, pooling, resizes and the position table.
#include <math.h>
#include <stdlib.h>

#include "infer/score/answer_internal.h"
#include "model/position.h"

// Where an output of a bilinear resize (align_corners false, no antialiasing) lies: between `low` and `high`.
typedef struct {
    int64_t low, high;
    double part; // of high
} place;

static place place_of(int64_t i, int64_t from, int64_t to)
{
    double at = ((double)i + 0.5) * (double)from / (double)to - 0.5;
    at = at < 0 ? 0 : at;
    place p = {.low = (int64_t)at};
    p.low = p.low > from - 1 ? from - 1 : p.low;
    p.high = p.low + 1 < from ? p.low + 1 : from - 1;
    p.part = at - (double)p.low;
    return p;
}

static double resized(const double *map, int64_t w, place y, place x)
{
    const double *a = map + y.low * w, *b = map + y.high * w;
    return (1 - y.part) * ((1 - x.part) * a[x.low] + x.part * a[x.high]) +
           y.part * ((1 - x.part) * b[x.low] + x.part * b[x.high]);
}

// The heatmap of a point, normalised to [0, 1], over size x size: exp(-8 r^2 / R^2) within R, else 0.
static double spot(const double point[2], int64_t size, double radius, int64_t y, int64_t x)
{
    const double dx = (double)x - ((double)size * point[0] - 0.5), dy = (double)y - ((double)size * point[1] - 0.5);
    const double r2 = dx * dx + dy * dy;
    return r2 <= radius * radius ? exp(-8 * r2 / (radius * radius)) : 0;
}

static mcf_status heatmap_settings(mcf_question *q, int *size, double *radius, mcf_error *err)
{
    MCF_TRY(mcf_question_integer(q, "heatmap_size", 1, 65536, size, err));
    return mcf_question_number(q, "heatmap_radius", 1e-6, 1e6, radius, err);
}

mcf_status mcf_answer_target(mcf_question *q, mcf_error *err)
{
    int size;
    double radius;
    const double *points;
    mcf_shape s;
    MCF_TRY(heatmap_settings(q, &size, &radius, err));
    MCF_TRY(mcf_question_points(q, "points", 3, 2, &points, &s, err));
    double *target = mcf_question_give(q, "target", MCF_SHAPE(s.dim[0], s.dim[1], size, size), err);
    if (!target)
        return err->status;
    for (int64_t p = 0; p < s.dim[0] * s.dim[1]; p++)
        for (int64_t i = 0; i < (int64_t)size * size; i++)
            *target++ = spot(points + 2 * p, size, radius, i / size, i % size);
    return MCF_OK;
}

static void decode(const double *map, int64_t h, int64_t w, double out[2])
{
    double mass = 0, x = 0, y = 0;
    for (int64_t i = 0; i < h * w; i++) {
        const double p = map[i] >= 0 ? 1 / (1 + exp(-map[i])) : exp(map[i]) / (1 + exp(map[i]));
        mass += p;
        x += p * (double)(i % w);
        y += p * (double)(i / w);
    }
    mass = fmax(mass, 1e-6);
    out[0] = (x / mass + 0.5) / (double)w;
    out[1] = (y / mass + 0.5) / (double)h;
}

// Mean binary cross-entropy of a map, resized to size x size, against the point's spot.
static double heatmap_loss(const double *map, int64_t h, int64_t w, const double point[2], int64_t size, double radius)
{
    double sum = 0;
    for (int64_t i = 0; i < size * size; i++) {
        const double l = resized(map, w, place_of(i / size, h, size), place_of(i % size, w, size));
        sum += fmax(l, 0) - l * spot(point, size, radius, i / size, i % size) + log1p(exp(-fabs(l)));
    }
    return sum / (double)(size * size);
}

mcf_status mcf_answer_decode(mcf_question *q, mcf_error *err)
{
    int size;
    double radius;
    const double *logits, *points;
    mcf_shape s, l;
    MCF_TRY(heatmap_settings(q, &size, &radius, err));
    MCF_TRY(mcf_question_points(q, "points", 3, 2, &points, &s, err));
    MCF_TRY(mcf_question_tensor(q, "logits", 4, &logits, &l, err));
    const int64_t maps = s.dim[0] * s.dim[1], h = l.dim[2], w = l.dim[3];
    if (l.dim[0] != s.dim[0] || l.dim[1] != s.dim[1])
        return mcf_fail(err, MCF_ERR_FORMAT, "logits and points differ in their first two dimensions");
    for (int64_t i = 0; i < maps * h * w; i++)
        if (!isfinite(logits[i]))
            return mcf_fail(err, MCF_ERR_FORMAT, "tensor logits holds what is not finite (value %lld)", (long long)i);
    double *decoded = mcf_question_give(q, "decoded", s, err);
    double *coordinate = decoded ? mcf_question_give(q, "loss.coordinate", MCF_SHAPE(1), err) : NULL;
    double *heatmap = coordinate ? mcf_question_give(q, "loss.heatmap", MCF_SHAPE(1), err) : NULL;
    if (!heatmap)
        return err->status;
    for (int64_t p = 0; p < maps; p++) {
        const double *map = logits + p * h * w, *point = points + 2 * p;
        decode(map, h, w, decoded + 2 * p);
        *coordinate += hypot(decoded[2 * p] - point[0], decoded[2 * p + 1] - point[1]) / (double)maps;
        *heatmap += heatmap_loss(map, h, w, point, size, radius) / (double)maps;
    }
    return MCF_OK;
}

mcf_status mcf_answer_resize(mcf_question *q, mcf_error *err)
{
    double size[2];
    const double *x;
    mcf_shape s;
    MCF_TRY(mcf_question_pair(q, "size", 1, 65536, size, err));
    MCF_TRY(mcf_question_tensor(q, "x", 4, &x, &s, err));
    const int64_t h = (int64_t)size[0], w = (int64_t)size[1];
    double *y = mcf_question_give(q, "y", MCF_SHAPE(s.dim[0], s.dim[1], h, w), err);
    if (!y)
        return err->status;
    for (int64_t map = 0; map < s.dim[0] * s.dim[1]; map++)
        for (int64_t i = 0; i < h * w; i++)
            y[map * h * w + i] = resized(x + map * s.dim[2] * s.dim[3], s.dim[3], place_of(i / w, s.dim[2], h),
                                         place_of(i % w, s.dim[3], w));
    return MCF_OK;
}

mcf_status mcf_answer_pool(mcf_question *q, mcf_error *err)
{
    double bins[2];
    const double *x;
    mcf_shape s;
    MCF_TRY(mcf_question_pair(q, "bins", 1, 65536, bins, err));
    MCF_TRY(mcf_question_tensor(q, "x", 4, &x, &s, err));
    const int64_t h = s.dim[2], w = s.dim[3], rows = (int64_t)bins[0], columns = (int64_t)bins[1];
    double *y = mcf_question_give(q, "y", MCF_SHAPE(s.dim[0], s.dim[1], rows, columns), err);
    if (!y)
        return err->status;
    // Bin i covers floor(i n / bins) to ceil((i + 1) n / bins): neighbours may overlap.
    for (int64_t map = 0; map < s.dim[0] * s.dim[1]; map++)
        for (int64_t i = 0; i < rows * columns; i++) {
            const int64_t r = i / columns, c = i % columns;
            const int64_t top = r * h / rows, bottom = ((r + 1) * h + rows - 1) / rows;
            const int64_t left = c * w / columns, right = ((c + 1) * w + columns - 1) / columns;
            double sum = 0;
            for (int64_t v = top; v < bottom; v++)
                for (int64_t u = left; u < right; u++)
                    sum += x[(map * h + v) * w + u];
            y[map * rows * columns + i] = sum / (double)((bottom - top) * (right - left));
        }
    return MCF_OK;
}

mcf_status mcf_answer_table(mcf_question *q, mcf_error *err)
{
    double grid[2];
    const double *from;
    mcf_shape s;
    MCF_TRY(mcf_question_pair(q, "grid", 1, 4096, grid, err));
    MCF_TRY(mcf_question_tensor(q, "pos_embed", 3, &from, &s, err));
    const int64_t rows = (int64_t)grid[0], columns = (int64_t)grid[1], dim = s.dim[2];
    const int64_t side = llround(sqrt((double)(s.dim[1] - 1)));
    if (s.dim[0] != 1 || side < 1 || side * side != s.dim[1] - 1)
        return mcf_fail(err, MCF_ERR_FORMAT, "tensor pos_embed is not [1, 1 + g * g, D]");
    double *to = mcf_question_give(q, "pos_embed", MCF_SHAPE(1, 1 + rows * columns, dim), err);
    if (!to)
        return err->status;
    const int64_t inputs = s.dim[1] * dim, outputs = (1 + rows * columns) * dim;
    float *a = malloc((size_t)(inputs + outputs) * sizeof *a);
    if (!a)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the position table");
    for (int64_t i = 0; i < inputs; i++)
        a[i] = (float)from[i];
    mcf_position_resize(a, side, side, a + inputs, rows, columns, dim);
    for (int64_t i = 0; i < outputs; i++)
        to[i] = a[inputs + i];
    free(a);
    return MCF_OK;
}
