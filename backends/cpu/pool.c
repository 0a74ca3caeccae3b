// Pools over images with channels innermost: lines are the channels of a pixel.
#include <omp.h>
#include <string.h>

#include "backends/cpu/cpu.h"

// Channels [begin, begin + n) of a pixel, as floats.
static const float *pixel(const mcf_cpu_kernels *k, float *room, const mcf_operand *x, int64_t b, int64_t row,
                          int64_t column, int64_t begin, int64_t n)
{
    const int64_t *dim = x->shape.dim;
    return mcf_cpu_read(k, room, mcf_cpu_at(x, ((b * dim[1] + row) * dim[2] + column) * dim[3] + begin), x->dtype, 1,
                        n);
}

// --- max_pool

typedef struct {
    int64_t top, bottom, left, right;
} window;

static window window_at(const mcf_launch *l, const int64_t *image, int64_t row, int64_t column)
{
    const int64_t kernel = l->attr.pool.kernel, stride = l->attr.pool.stride;
    return (window){row * stride, mcf_cpu_min(row * stride + kernel, image[1]), column * stride,
                    mcf_cpu_min(column * stride + kernel, image[2])};
}

// The largest of each channel and, where `at` is there, its place (row * width + column): the first of equal ones, NaN
// before all.
static void find_largest(const mcf_cpu_kernels *k, const mcf_operand *x, int64_t b, const window *w, int64_t begin,
                         int64_t n, float *best, int32_t *at)
{
    float room[MCF_CPU_LINE];
    for (int64_t row = w->top; row < w->bottom; row++)
        for (int64_t column = w->left; column < w->right; column++) {
            const float *line = pixel(k, room, x, b, row, column, begin, n);
            const int32_t place = (int32_t)((row - w->top) * (w->right - w->left) + column - w->left);
            if (place == 0) {
                memcpy(best, line, (size_t)n * sizeof *best);
                if (at)
                    memset(at, 0, (size_t)n * sizeof *at);
                continue;
            }
            if (at)
                for (int64_t c = 0; c < n; c++) {
                    const bool better = line[c] > best[c] || (line[c] != line[c] && best[c] == best[c]);
                    best[c] = better ? line[c] : best[c];
                    at[c] = better ? place : at[c];
                }
            else
                k->maximum(best, line, n);
        }
}

// A row of fp32 results: whole rows of the image first, then its columns. `room` has a row of the image.
static void max_row(const mcf_cpu_kernels *k, const mcf_launch *l, int64_t b, int64_t row, float *room)
{
    const mcf_operand *x = &l->in[MAX_POOL_IN_x], *y = &l->out[MAX_POOL_OUT_y];
    const int64_t *image = x->shape.dim, *out = y->shape.dim, channels = image[3], line = image[2] * channels;
    float *to = (float *)mcf_cpu_at(y, (b * out[1] + row) * out[2] * channels);
    window w = window_at(l, image, row, 0);
    const float *from = (const float *)mcf_cpu_at(x, (b * image[1] + w.top) * line);
    memcpy(room, from, (size_t)line * sizeof *room);
    for (int64_t r = w.top + 1; r < w.bottom; r++)
        k->maximum(room, from + (r - w.top) * line, line);
    for (int64_t column = 0; column < out[2]; column++, to += channels) {
        w = window_at(l, image, row, column);
        memcpy(to, room + w.left * channels, (size_t)channels * sizeof *to);
        for (int64_t c = w.left + 1; c < w.right; c++)
            k->maximum(to, room + c * channels, channels);
    }
}

mcf_status mcf_cpu_op_max_pool(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[MAX_POOL_IN_x], *y = &l->out[MAX_POOL_OUT_y];
    const mcf_cpu_kernels *k = device->kernels;
    const int64_t *out = y->shape.dim, channels = out[3];
    if (x->dtype == MCF_F32 && y->dtype == MCF_F32) {
        const int64_t line = x->shape.dim[2] * channels;
        float *room;
        MCF_TRY(mcf_cpu_row_room(device, line, 1, &room, err));
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, mcf_shape_count(&x->shape)))
        for (int64_t job = 0; job < out[0] * out[1]; job++)
            max_row(k, l, job / out[1], job % out[1], room + omp_get_thread_num() * line);
        return MCF_OK;
    }
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, mcf_shape_count(&x->shape)))
    for (int64_t job = 0; job < out[0] * out[1] * out[2]; job++) {
        const int64_t b = job / out[2] / out[1];
        const window w = window_at(l, x->shape.dim, job / out[2] % out[1], job % out[2]);
        for (int64_t begin = 0; begin < channels; begin += MCF_CPU_LINE) {
            float best[MCF_CPU_LINE];
            const int64_t n = mcf_cpu_min(channels - begin, MCF_CPU_LINE);
            find_largest(k, x, b, &w, begin, n, best, NULL);
            mcf_cpu_write(k, mcf_cpu_at(y, job * channels + begin), y->dtype, best, n);
        }
    }
    return MCF_OK;
}

// A row of dx gathers from the windows that reach it, so that rows are independent of one another.
static void pool_row(const mcf_cpu_kernels *k, const mcf_launch *l, int64_t b, int64_t row, float *sums)
{
    const mcf_operand *x = &l->in[MAX_POOL_GRAD_IN_x], *dy = &l->in[MAX_POOL_GRAD_IN_dy];
    const int64_t *image = x->shape.dim, *out = dy->shape.dim, channels = image[3];
    const int64_t kernel = l->attr.pool.kernel, stride = l->attr.pool.stride;
    const int64_t first = row < kernel ? 0 : (row - kernel) / stride + 1;
    memset(sums, 0, (size_t)(image[2] * channels) * sizeof *sums);
    for (int64_t oy = first; oy < out[1] && oy * stride <= row; oy++)
        for (int64_t ox = 0; ox < out[2]; ox++) {
            const window w = window_at(l, image, oy, ox);
            const int64_t width = w.right - w.left;
            for (int64_t begin = 0; begin < channels; begin += MCF_CPU_LINE) {
                float best[MCF_CPU_LINE], room[MCF_CPU_LINE];
                int32_t at[MCF_CPU_LINE];
                const int64_t n = mcf_cpu_min(channels - begin, MCF_CPU_LINE);
                find_largest(k, x, b, &w, begin, n, best, at);
                const float *line = pixel(k, room, dy, b, oy, ox, begin, n);
                for (int64_t column = 0; column < width; column++) {
                    float *to = sums + (w.left + column) * channels + begin;
                    const int32_t place = (int32_t)((row - w.top) * width + column);
                    for (int64_t c = 0; c < n; c++)
                        to[c] += at[c] == place ? line[c] : 0;
                }
            }
        }
}

// Calls `make` for each row of an image-shaped result with room for it in floats.
typedef void (*row_function)(const mcf_cpu_kernels *k, const mcf_launch *l, int64_t b, int64_t row, float *sums);

static mcf_status each_row(mcf_device *device, const mcf_launch *l, const mcf_operand *out, row_function make,
                           mcf_error *err)
{
    const int64_t *dim = out->shape.dim, line = dim[2] * dim[3], rows = dim[0] * dim[1];
    void *memory;
    MCF_TRY(mcf_cpu_scratch(device, (size_t)(device->threads * line) * sizeof(float), &memory, err));
    const int team = mcf_cpu_team(device, rows * line);
#pragma omp parallel num_threads(team)
    {
        float *sums = (float *)memory + omp_get_thread_num() * line;
#pragma omp for schedule(static)
        for (int64_t job = 0; job < rows; job++) {
            make(device->kernels, l, job / dim[1], job % dim[1], sums);
            mcf_cpu_write(device->kernels, mcf_cpu_at(out, job * line), out->dtype, sums, line);
        }
    }
    return MCF_OK;
}

mcf_status mcf_cpu_op_max_pool_grad(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    return each_row(device, l, &l->out[MAX_POOL_GRAD_OUT_dx], pool_row, err);
}

// --- adaptive_avg_pool

static window bin_at(const int64_t *image, const int64_t *bins, int64_t row, int64_t column)
{
    return (window){row * image[1] / bins[1], ((row + 1) * image[1] + bins[1] - 1) / bins[1],
                    column * image[2] / bins[2], ((column + 1) * image[2] + bins[2] - 1) / bins[2]};
}

static float share_of(const window *w)
{
    return 1.0f / (float)((w->bottom - w->top) * (w->right - w->left));
}

static void average_row(const mcf_cpu_kernels *k, const mcf_launch *l, int64_t b, int64_t row, float *sums)
{
    const mcf_operand *x = &l->in[ADAPTIVE_AVG_POOL_IN_x];
    const int64_t *bins = l->out[ADAPTIVE_AVG_POOL_OUT_y].shape.dim, channels = bins[3];
    memset(sums, 0, (size_t)(bins[2] * channels) * sizeof *sums);
    for (int64_t column = 0; column < bins[2]; column++) {
        const window w = bin_at(x->shape.dim, bins, row, column);
        float *to = sums + column * channels;
        for (int64_t begin = 0; begin < channels; begin += MCF_CPU_LINE) {
            float room[MCF_CPU_LINE];
            const int64_t n = mcf_cpu_min(channels - begin, MCF_CPU_LINE);
            for (int64_t i = w.top; i < w.bottom; i++)
                for (int64_t j = w.left; j < w.right; j++)
                    k->axpy(to + begin, pixel(k, room, x, b, i, j, begin, n), 1, n);
        }
        k->scale(to, to, share_of(&w), 0, channels);
    }
}

mcf_status mcf_cpu_op_adaptive_avg_pool(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    return each_row(device, l, &l->out[ADAPTIVE_AVG_POOL_OUT_y], average_row, err);
}

static void spread_row(const mcf_cpu_kernels *k, const mcf_launch *l, int64_t b, int64_t row, float *sums)
{
    const mcf_operand *dy = &l->in[ADAPTIVE_AVG_POOL_GRAD_IN_dy];
    const int64_t *bins = dy->shape.dim, *image = l->out[ADAPTIVE_AVG_POOL_GRAD_OUT_dx].shape.dim, channels = bins[3];
    memset(sums, 0, (size_t)(image[2] * channels) * sizeof *sums);
    for (int64_t i = 0; i < bins[1]; i++)
        for (int64_t j = 0; j < bins[2]; j++) {
            const window w = bin_at(image, bins, i, j);
            if (row < w.top || row >= w.bottom)
                break;
            for (int64_t begin = 0; begin < channels; begin += MCF_CPU_LINE) {
                float room[MCF_CPU_LINE];
                const int64_t n = mcf_cpu_min(channels - begin, MCF_CPU_LINE);
                const float *line = pixel(k, room, dy, b, i, j, begin, n);
                for (int64_t column = w.left; column < w.right; column++)
                    k->axpy(sums + column * channels + begin, line, share_of(&w), n);
            }
        }
}

mcf_status mcf_cpu_op_adaptive_avg_pool_grad(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    return each_row(device, l, &l->out[ADAPTIVE_AVG_POOL_GRAD_OUT_dx], spread_row, err);
}
