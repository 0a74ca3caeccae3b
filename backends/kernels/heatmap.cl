// Heatmaps [B,h,w,N] and points [B,N,2].
//   heatmap_points  centroid of s = sigmoid(logits) with the mass held at 1e-6, as ((cx + 1/2)/w, (cy + 1/2)/h)
//   point_distance  |a - b| of each point; back: dloss/count (a - b)/|a - b|, 0 where they coincide
//   heatmap_bce     max(l, 0) - l t + log(1 + exp(-|l|)), t = exp(-8 r^2/R^2) for r <= R around size*point - 1/2, else 0;
//                   back: sigmoid(l) - t
// Sums of parts go to scratch and are summed by reduce.cl.
#include "device.h"
#include "functions.h"

#define LEAST_MASS 1e-6f
#define SIGMOID(x) (1.0f / (1.0f + exp_value(-(x))))

#if defined(MCF_HEATMAP_POINTS)
// Item (n, y, b): the row's sums of s and s*x; part [B,h,2,N].
KERNEL void heatmap_rows(GRID INPUT(T0, logits), TENSOR(f32, part), I64 height, I64 width, I64 points)
{
    const I64 n = GLOBAL_ID(0), row = GLOBAL_ID(2) * height + GLOBAL_ID(1);
    float mass = 0, sum = 0;
    AT(logits);
    AT(part);
    if (n >= points)
        return;
    logits += row * width * points + n;
    for (I64 x = 0; x < width; x++) {
        const float s = SIGMOID(LOAD(T0, logits, x * points));
        mass += s;
        sum += s * (float)x;
    }
    part[2 * row * points + n] = mass;
    part[(2 * row + 1) * points + n] = sum;
}

// Item (n, b).
KERNEL void heatmap_centroids(GRID INPUT(f32, part), TENSOR(f32, out), TENSOR(f32, mass), I64 height, I64 width,
                              I64 points, int wanted)
{
    const I64 n = GLOBAL_ID(0), b = GLOBAL_ID(1);
    float sum = 0, x = 0, y = 0;
    AT(part);
    AT(out);
    AT(mass);
    if (n >= points)
        return;
    for (I64 row = 0; row < height; row++) {
        const float s = part[2 * (b * height + row) * points + n];
        sum += s;
        y += s * (float)row;
        x += part[(2 * (b * height + row) + 1) * points + n];
    }
    const float held = sum < LEAST_MASS ? LEAST_MASS : sum;
    out[(b * points + n) * 2] = (x / held + 0.5f) / (float)width;
    out[(b * points + n) * 2 + 1] = (y / held + 0.5f) / (float)height;
    if (wanted)
        mass[b * points + n] = sum;
}
#endif

#if defined(MCF_HEATMAP_POINTS_GRAD)
// Item (x N + n, y, b).
KERNEL void heatmap_points_grad(GRID INPUT(T0, logits), INPUT(f32, at), INPUT(f32, mass), INPUT(f32, dpoints),
                                TENSOR(TO, out), I64 height, I64 width, I64 points)
{
    const I64 n = GLOBAL_ID(0) % points, x = GLOBAL_ID(0) / points, y = GLOBAL_ID(1), b = GLOBAL_ID(2);
    AT(logits);
    AT(at);
    AT(mass);
    AT(dpoints);
    AT(out);
    if (x >= width)
        return;
    const I64 p = b * points + n, i = ((b * height + y) * width + x) * points + n;
    const float m = mass[p], s = SIGMOID(LOAD(T0, logits, i));
    const float cx = m > LEAST_MASS ? at[2 * p] * (float)width - 0.5f : 0.0f;
    const float cy = m > LEAST_MASS ? at[2 * p + 1] * (float)height - 0.5f : 0.0f;
    const float ds =
        dpoints[2 * p] / (float)width * ((float)x - cx) + dpoints[2 * p + 1] / (float)height * ((float)y - cy);
    STORE(TO, out, i, ds / (m < LEAST_MASS ? LEAST_MASS : m) * s * (1.0f - s));
}
#endif

#if defined(MCF_POINT_DISTANCE)
// Item: a point. Distances of small differences do not underflow: they are of order 1e-8 at the least.
KERNEL void point_distance(GRID INPUT(f32, a), INPUT(f32, b), TENSOR(f32, part), I64 count)
{
    const I64 i = GLOBAL_ID(0);
    AT(a);
    AT(b);
    AT(part);
    if (i < count) {
        const float x = a[2 * i] - b[2 * i], y = a[2 * i + 1] - b[2 * i + 1];
        part[i] = SQRT(x * x + y * y);
    }
}

KERNEL void point_distance_grad(GRID INPUT(f32, a), INPUT(f32, b), INPUT(f32, dloss), TENSOR(f32, da), I64 count)
{
    const I64 i = GLOBAL_ID(0);
    AT(a);
    AT(b);
    AT(dloss);
    AT(da);
    if (i < count) {
        const float x = a[2 * i] - b[2 * i], y = a[2 * i + 1] - b[2 * i + 1], d = SQRT(x * x + y * y);
        const float factor = d == 0 ? 0.0f : dloss[0] / ((float)count * d);
        da[2 * i] = factor * x;
        da[2 * i + 1] = factor * y;
    }
}
#endif

#if defined(MCF_HEATMAP_BCE) || defined(MCF_HEATMAP_BCE_GRAD)
FUNCTION float target_at(float px, float py, I64 size, I64 x, I64 y, float radius)
{
    const float dx = (float)x - ((float)size * px - 0.5f), dy = (float)y - ((float)size * py - 0.5f);
    const float square = dx * dx + dy * dy;
    return square <= radius * radius ? exp_value(-8.0f * square / (radius * radius)) : 0.0f;
}
#endif

#if defined(MCF_HEATMAP_BCE)
// Item (n, y, b): the row's sum; part [B,S,N].
KERNEL void heatmap_bce(GRID INPUT(T0, logits), INPUT(f32, at), TENSOR(f32, part), I64 size, I64 points, float radius)
{
    const I64 n = GLOBAL_ID(0), y = GLOBAL_ID(1), b = GLOBAL_ID(2), row = b * size + y;
    float sum = 0;
    AT(logits);
    AT(at);
    AT(part);
    if (n >= points)
        return;
    const float px = at[(b * points + n) * 2], py = at[(b * points + n) * 2 + 1];
    for (I64 x = 0; x < size; x++) {
        const float l = LOAD(T0, logits, (row * size + x) * points + n);
        const float t = target_at(px, py, size, x, y, radius);
        sum += (l > 0 ? l : 0.0f) - l * t + LOG(1.0f + exp_value(l > 0 ? -l : l));
    }
    part[row * points + n] = sum;
}
#endif

#if defined(MCF_HEATMAP_BCE_GRAD)
// Item (x N + n, y, b).
KERNEL void heatmap_bce_grad(GRID INPUT(T0, logits), INPUT(f32, at), INPUT(f32, dloss), TENSOR(TO, out), I64 size,
                             I64 points, float radius, float factor)
{
    const I64 n = GLOBAL_ID(0) % points, x = GLOBAL_ID(0) / points, y = GLOBAL_ID(1), b = GLOBAL_ID(2);
    AT(logits);
    AT(at);
    AT(dloss);
    AT(out);
    if (x >= size)
        return;
    const I64 i = ((b * size + y) * size + x) * points + n, p = b * points + n;
    const float t = target_at(at[2 * p], at[2 * p + 1], size, x, y, radius);
    STORE(TO, out, i, factor * dloss[0] * (SIGMOID(LOAD(T0, logits, i)) - t));
}
#endif
