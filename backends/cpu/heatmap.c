// Points as centroids of heatmaps, the discs that heatmaps are compared with, and their gradients. A line is a pixel's
// N maps.
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu.h"

static const float least_mass = 1e-6f;

// --- heatmap_points

// Row `row` of image b: the sums over columns of s, s*column and s*row, added to sums[3][N].
static void add_row(const mcf_cpu_kernels *k, const mcf_operand *x, int64_t b, int64_t row, int64_t n, float *s,
                    float *sums)
{
    const int64_t width = x->shape.dim[2], line = (b * x->shape.dim[1] + row) * width;
    float *room = s + n, *mass = s + 2 * n;
    memset(mass, 0, (size_t)n * sizeof *mass);
    for (int64_t column = 0; column < width; column++) {
        k->sigmoid(s, mcf_cpu_read(k, room, mcf_cpu_at(x, (line + column) * n), x->dtype, 1, n), n);
        k->axpy(mass, s, 1, n);
        k->axpy(sums + n, s, (float)column, n);
    }
    k->axpy(sums, mass, 1, n);
    k->axpy(sums + 2 * n, mass, (float)row, n);
}

mcf_status mcf_cpu_op_heatmap_points(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[HEATMAP_POINTS_IN_logits];
    const mcf_cpu_kernels *k = device->kernels;
    const int64_t batch = x->shape.dim[0], height = x->shape.dim[1], width = x->shape.dim[2], n = x->shape.dim[3];
    float *points = (float *)mcf_cpu_address(&l->out[HEATMAP_POINTS_OUT_points]);
    float *mass = mcf_cpu_has_output(l, HEATMAP_POINTS_OUT_mass)
                      ? (float *)mcf_cpu_address(&l->out[HEATMAP_POINTS_OUT_mass])
                      : NULL;
    void *memory;
    // For each row its three sums, and the room to make them.
    MCF_TRY(mcf_cpu_scratch(device, (size_t)(batch * height * 6 * n) * sizeof(float), &memory, err));
    float *rows = memory;
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, mcf_shape_count(&x->shape)))
    for (int64_t job = 0; job < batch * height; job++) {
        float *sums = rows + job * 6 * n;
        memset(sums, 0, (size_t)(3 * n) * sizeof *sums);
        add_row(k, x, job / height, job % height, n, sums + 3 * n, sums);
    }
    for (int64_t b = 0; b < batch; b++) {
        float *sums = rows + b * height * 6 * n;
        for (int64_t row = 1; row < height; row++)
            k->axpy(sums, sums + row * 6 * n, 1, 3 * n);
        for (int64_t i = 0; i < n; i++) {
            const float held = sums[i] < least_mass ? least_mass : sums[i];
            points[(b * n + i) * 2] = (sums[n + i] / held + 0.5f) / (float)width;
            points[(b * n + i) * 2 + 1] = (sums[2 * n + i] / held + 0.5f) / (float)height;
            if (mass)
                mass[b * n + i] = sums[i];
        }
    }
    return MCF_OK;
}

// Of image b: ds/d(logit) = px (column - cx) + py (row - cy); the four lines behind one another.
static void slopes_of(const mcf_launch *l, int64_t b, int64_t height, int64_t width, int64_t n, float *slopes)
{
    const float *points = (const float *)mcf_cpu_address(&l->in[HEATMAP_POINTS_GRAD_IN_points]) + b * n * 2;
    const float *mass = (const float *)mcf_cpu_address(&l->in[HEATMAP_POINTS_GRAD_IN_mass]) + b * n;
    const float *dpoints = (const float *)mcf_cpu_address(&l->in[HEATMAP_POINTS_GRAD_IN_dpoints]) + b * n * 2;
    for (int64_t i = 0; i < n; i++)
        for (int axis = 0; axis < 2; axis++) {
            const float size = (float)(axis ? height : width);
            const float held = mass[i] < least_mass ? least_mass : mass[i];
            slopes[(2 * axis) * n + i] = dpoints[2 * i + axis] / (size * held);
            // Where the mass is held the quotient's second part vanishes.
            slopes[(2 * axis + 1) * n + i] = mass[i] > least_mass ? points[2 * i + axis] * size - 0.5f : 0;
        }
}

mcf_status mcf_cpu_op_heatmap_points_grad(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[HEATMAP_POINTS_GRAD_IN_logits], *dx = &l->out[HEATMAP_POINTS_GRAD_OUT_dlogits];
    const mcf_cpu_kernels *k = device->kernels;
    const int64_t batch = x->shape.dim[0], height = x->shape.dim[1], width = x->shape.dim[2], n = x->shape.dim[3];
    void *memory;
    MCF_TRY(mcf_cpu_scratch(device, (size_t)(batch * height * 7 * n) * sizeof(float), &memory, err));
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, mcf_shape_count(&x->shape)))
    for (int64_t job = 0; job < batch * height; job++) {
        float *slopes = (float *)memory + job * 7 * n, *room = slopes + 4 * n, *s = room + n, *ds = s + n;
        const float row = (float)(job % height);
        slopes_of(l, job / height, height, width, n, slopes);
        for (int64_t column = 0; column < width; column++) {
            const int64_t at = (job * width + column) * n;
            k->sigmoid(s, mcf_cpu_read(k, room, mcf_cpu_at(x, at), x->dtype, 1, n), n);
            for (int64_t i = 0; i < n; i++)
                ds[i] = slopes[i] * ((float)column - slopes[n + i]) + slopes[2 * n + i] * (row - slopes[3 * n + i]);
            k->sigmoid_grad(room, s, ds, n);
            mcf_cpu_write(k, mcf_cpu_at(dx, at), dx->dtype, room, n);
        }
    }
    return MCF_OK;
}

// --- point_distance: a few hundred points

mcf_status mcf_cpu_op_point_distance(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const float *a = (const float *)mcf_cpu_address(&l->in[POINT_DISTANCE_IN_a]);
    const float *b = (const float *)mcf_cpu_address(&l->in[POINT_DISTANCE_IN_b]);
    const int64_t count = mcf_shape_count(&l->in[POINT_DISTANCE_IN_a].shape) / 2;
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += hypotf(a[2 * i] - b[2 * i], a[2 * i + 1] - b[2 * i + 1]);
    *(float *)mcf_cpu_address(&l->out[POINT_DISTANCE_OUT_distance]) = (float)(sum / (double)count);
    return MCF_OK;
}

mcf_status mcf_cpu_op_point_distance_grad(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const float *a = (const float *)mcf_cpu_address(&l->in[POINT_DISTANCE_GRAD_IN_a]);
    const float *b = (const float *)mcf_cpu_address(&l->in[POINT_DISTANCE_GRAD_IN_b]);
    const float dloss = *(const float *)mcf_cpu_address(&l->in[POINT_DISTANCE_GRAD_IN_dloss]);
    float *da = (float *)mcf_cpu_address(&l->out[POINT_DISTANCE_GRAD_OUT_da]);
    const int64_t count = mcf_shape_count(&l->in[POINT_DISTANCE_GRAD_IN_a].shape) / 2;
    for (int64_t i = 0; i < count; i++) {
        const float x = a[2 * i] - b[2 * i], y = a[2 * i + 1] - b[2 * i + 1], distance = hypotf(x, y);
        const float factor = distance == 0 ? 0 : dloss / ((float)count * distance); // NaN stays
        da[2 * i] = factor * x;
        da[2 * i + 1] = factor * y;
    }
    return MCF_OK;
}

// --- heatmap_bce: everything against 0 first, then what the discs change

// A disc's centre in pixels and the rows that it touches.
typedef struct {
    float x, y;
    int64_t top, bottom;
} disc;

static disc disc_of(const float *point, int64_t size, float radius)
{
    disc d = {.x = (float)size * point[0] - 0.5f, .y = (float)size * point[1] - 0.5f};
    // In float first: points far outside, and what is not a number, touch nothing.
    const float top = fmaxf(ceilf(d.y - radius), 0), bottom = fminf(floorf(d.y + radius) + 1, (float)size);
    if (top < bottom) {
        d.top = (int64_t)top;
        d.bottom = (int64_t)bottom;
    }
    return d;
}

// The target at a pixel: 0 outside of the disc.
static float target_at(const disc *d, int64_t row, int64_t column, float radius)
{
    const float x = (float)column - d->x, y = (float)row - d->y, square = x * x + y * y;
    return square <= radius * radius ? expf(-8 * square / (radius * radius)) : 0;
}

// The columns of a row that a disc may touch.
static void columns_of(const disc *d, int64_t size, float radius, int64_t *left, int64_t *right)
{
    const float first = fmaxf(ceilf(d->x - radius), 0), last = fminf(floorf(d->x + radius) + 1, (float)size);
    *left = first < last ? (int64_t)first : 0;
    *right = first < last ? (int64_t)last : 0;
}

// Sum of max(x, 0) + log(1 + exp(-|x|)) over a line. A product of MCF_CPU_LINE factors of at most 2 is far from
// overflow, and takes one logarithm.
static double against_zero(const mcf_cpu_kernels *k, const float *x, int64_t n)
{
    float minus[MCF_CPU_LINE];
    double sum = 0, product = 1;
    for (int64_t i = 0; i < n; i++) {
        sum += x[i] > 0 ? x[i] : 0;
        minus[i] = -fabsf(x[i]);
    }
    k->exp_sum(minus, minus, 1, 0, n);
    for (int64_t i = 0; i < n; i++)
        product *= 1 + (double)minus[i];
    return sum + log(product);
}

mcf_status mcf_cpu_op_heatmap_bce(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[HEATMAP_BCE_IN_logits];
    const float *points = (const float *)mcf_cpu_address(&l->in[HEATMAP_BCE_IN_points]);
    const float radius = (float)l->attr.heatmap.radius;
    const int64_t batch = x->shape.dim[0], size = x->shape.dim[1], n = x->shape.dim[3];
    const int64_t total = mcf_shape_count(&x->shape), lines = (total + MCF_CPU_LINE - 1) / MCF_CPU_LINE;
    void *memory;
    MCF_TRY(mcf_cpu_scratch(device, (size_t)(lines + batch * n) * sizeof(double), &memory, err));
    double *sums = memory, sum = 0;
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, total))
    for (int64_t job = 0; job < lines; job++) {
        float room[MCF_CPU_LINE];
        const int64_t count = mcf_cpu_min(total - job * MCF_CPU_LINE, MCF_CPU_LINE);
        sums[job] = against_zero(
            device->kernels, mcf_cpu_read(device->kernels, room, mcf_cpu_at(x, job * MCF_CPU_LINE), x->dtype, 1, count),
            count);
    }
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, total))
    for (int64_t job = 0; job < batch * n; job++) {
        const disc d = disc_of(points + 2 * job, size, radius);
        int64_t left, right;
        double part = 0;
        columns_of(&d, size, radius, &left, &right);
        for (int64_t row = d.top; row < d.bottom; row++)
            for (int64_t column = left; column < right; column++)
                part -=
                    target_at(&d, row, column, radius) *
                    mcf_cpu_read_one(mcf_cpu_at(x, ((job / n * size + row) * size + column) * n + job % n), x->dtype);
        sums[lines + job] = part;
    }
    for (int64_t i = 0; i < lines + batch * n; i++)
        sum += sums[i];
    *(float *)mcf_cpu_address(&l->out[HEATMAP_BCE_OUT_loss]) = (float)(sum / (double)total);
    return MCF_OK;
}

mcf_status mcf_cpu_op_heatmap_bce_grad(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[HEATMAP_BCE_GRAD_IN_logits], *dx = &l->out[HEATMAP_BCE_GRAD_OUT_dlogits];
    const mcf_cpu_kernels *k = device->kernels;
    const float *points = (const float *)mcf_cpu_address(&l->in[HEATMAP_BCE_GRAD_IN_points]);
    const float radius = (float)l->attr.heatmap.radius;
    const int64_t batch = x->shape.dim[0], size = x->shape.dim[1], n = x->shape.dim[3];
    const int64_t total = mcf_shape_count(&x->shape), lines = (total + MCF_CPU_LINE - 1) / MCF_CPU_LINE;
    const float factor = *(const float *)mcf_cpu_address(&l->in[HEATMAP_BCE_GRAD_IN_dloss]) / (float)total;
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, total))
    for (int64_t job = 0; job < lines; job++) {
        float room[MCF_CPU_LINE];
        const int64_t at = job * MCF_CPU_LINE, count = mcf_cpu_min(total - at, MCF_CPU_LINE);
        k->sigmoid(room, mcf_cpu_read(k, room, mcf_cpu_at(x, at), x->dtype, 1, count), count);
        k->scale(room, room, factor, 0, count);
        mcf_cpu_write(k, mcf_cpu_at(dx, at), dx->dtype, room, count);
    }
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, total))
    for (int64_t job = 0; job < batch * n; job++) {
        const disc d = disc_of(points + 2 * job, size, radius);
        int64_t left, right;
        columns_of(&d, size, radius, &left, &right);
        for (int64_t row = d.top; row < d.bottom; row++)
            for (int64_t column = left; column < right; column++) {
                const int64_t at = ((job / n * size + row) * size + column) * n + job % n;
                const float logit = mcf_cpu_read_one(mcf_cpu_at(x, at), x->dtype);
                const float value = factor * (1 / (1 + expf(-logit)) - target_at(&d, row, column, radius));
                mcf_cpu_copy_line(k, mcf_cpu_at(dx, at), dx->dtype, 1, &value, MCF_F32, 1, 1);
            }
    }
    return MCF_OK;
}
