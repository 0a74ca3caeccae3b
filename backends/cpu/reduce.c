// Sums over axes, and the sum of squares.
#include <string.h>

#include "backends/cpu/cpu.h"

enum { COLUMNS = 256, CHUNK = 4096 };

// The axes of a sum, sorted into those that stay and those that go, joined where they are one run.
typedef struct {
    int rank;
    int64_t dim[MCF_MAX_RANK], stride[MCF_MAX_RANK], count;
} axes;

static void push(axes *a, int64_t size, int64_t stride)
{
    a->count *= size;
    if (size == 1)
        return;
    if (a->rank && a->stride[a->rank - 1] == stride * size)
        a->dim[a->rank - 1] *= size;
    else
        a->dim[a->rank++] = size;
    a->stride[a->rank - 1] = stride;
}

static int64_t at(const axes *a, int64_t index)
{
    int64_t offset = 0;
    for (int i = a->rank - 1; i >= 0; i--) {
        offset += index % a->dim[i] * a->stride[i];
        index /= a->dim[i];
    }
    return offset;
}

// Takes the innermost axis off.
static int64_t pop(axes *a, int64_t *stride)
{
    if (a->rank == 0) {
        *stride = 1;
        return 1;
    }
    a->rank--;
    *stride = a->stride[a->rank];
    a->count /= a->dim[a->rank];
    return a->dim[a->rank];
}

static void finish(const mcf_cpu_kernels *k, const mcf_launch *l, int64_t begin, float *sums, int64_t n)
{
    const mcf_operand *out = &l->out[REDUCE_SUM_OUT_out];
    float room[COLUMNS];
    void *to = mcf_cpu_at(out, begin);
    k->scale(sums, sums, (float)l->attr.reduce_sum.scale, 0, n);
    if (l->accumulate & 1)
        k->add(sums, sums, mcf_cpu_read(k, room, to, out->dtype, 1, n), 1, 1, n);
    mcf_cpu_write(k, to, out->dtype, sums, n);
}

// Lines lie along an axis that stays: whole lines are added. Each share adds its rows, then shares are added.
static mcf_status sum_lines(mcf_device *device, const mcf_launch *l, axes kept, const axes *gone, mcf_error *err)
{
    const mcf_operand *x = &l->in[REDUCE_SUM_IN_x];
    const mcf_cpu_kernels *k = device->kernels;
    int64_t stride, n = pop(&kept, &stride), blocks = (n + COLUMNS - 1) / COLUMNS, jobs = kept.count * blocks;
    int64_t shares = mcf_cpu_max(1, mcf_cpu_min(gone->count / 16, 2 * device->threads / mcf_cpu_max(jobs, 1)));
    void *memory;
    MCF_TRY(mcf_cpu_scratch(device, (size_t)(jobs * shares * COLUMNS) * sizeof(float), &memory, err));
    float *partial = memory;
    int team = mcf_cpu_team(device, kept.count * n * gone->count);
#pragma omp parallel for schedule(static) num_threads(team)
    for (int64_t job = 0; job < jobs * shares; job++) {
        int64_t begin, end, line = job / shares / blocks, column = job / shares % blocks * COLUMNS;
        int64_t count = mcf_cpu_min(n - column, COLUMNS), first = at(&kept, line) + column * stride;
        float room[COLUMNS], *sums = partial + job * COLUMNS;
        memset(sums, 0, COLUMNS * sizeof(float));
        mcf_cpu_share(gone->count, shares, job % shares, &begin, &end);
        for (int64_t i = begin; i < end; i++)
            k->add(sums, sums, mcf_cpu_read(k, room, mcf_cpu_at(x, first + at(gone, i)), x->dtype, stride, count), 1, 1,
                   count);
    }
    for (int64_t job = 0; job < jobs; job++) {
        float *sums = partial + job * shares * COLUMNS;
        int64_t column = job % blocks * COLUMNS, count = mcf_cpu_min(n - column, COLUMNS);
        for (int64_t share = 1; share < shares; share++)
            k->add(sums, sums, sums + share * COLUMNS, 1, 1, count);
        finish(k, l, job / blocks * n + column, sums, count);
    }
    return MCF_OK;
}

// Lines lie along an axis that goes: each line is summed. Pieces of a line and lines are added in doubles.
static mcf_status sum_within_lines(mcf_device *device, const mcf_launch *l, const axes *kept, axes gone, mcf_error *err)
{
    const mcf_operand *x = &l->in[REDUCE_SUM_IN_x];
    const mcf_cpu_kernels *k = device->kernels;
    int64_t stride, n = pop(&gone, &stride), pieces = (n + MCF_CPU_LINE - 1) / MCF_CPU_LINE,
                    parts = gone.count * pieces;
    int64_t shares = mcf_cpu_max(1, mcf_cpu_min(parts / 4, 2 * device->threads / mcf_cpu_max(kept->count, 1)));
    void *memory;
    MCF_TRY(mcf_cpu_scratch(device, (size_t)(kept->count * shares) * sizeof(double), &memory, err));
    double *partial = memory;
    int team = mcf_cpu_team(device, kept->count * n * gone.count);
#pragma omp parallel for schedule(static) num_threads(team)
    for (int64_t job = 0; job < kept->count * shares; job++) {
        int64_t begin, end, first = at(kept, job / shares);
        float room[MCF_CPU_LINE];
        double total = 0;
        mcf_cpu_share(parts, shares, job % shares, &begin, &end);
        for (int64_t i = begin; i < end; i++) {
            int64_t piece = i % pieces * MCF_CPU_LINE, count = mcf_cpu_min(n - piece, MCF_CPU_LINE);
            int64_t from = first + at(&gone, i / pieces) + piece * stride;
            total += k->sum(mcf_cpu_read(k, room, mcf_cpu_at(x, from), x->dtype, stride, count), count);
        }
        partial[job] = total;
    }
    for (int64_t i = 0; i < kept->count; i++) {
        double total = 0;
        for (int64_t share = 0; share < shares; share++)
            total += partial[i * shares + share];
        finish(k, l, i, &(float){(float)total}, 1);
    }
    return MCF_OK;
}

mcf_status mcf_cpu_op_reduce_sum(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[REDUCE_SUM_IN_x];
    axes kept = {.count = 1}, gone = {.count = 1};
    int last = -1; // the last axis with more than one element
    for (int i = 0; i < x->shape.rank; i++) {
        bool goes = l->attr.reduce_sum.axes >> i & 1;
        push(goes ? &gone : &kept, x->shape.dim[i], x->stride[i]);
        if (x->shape.dim[i] != 1)
            last = i;
    }
    if (kept.count == 0)
        return MCF_OK;
    if (gone.count == 0) {
        for (int64_t i = 0; i < kept.count; i++)
            finish(device->kernels, l, i, &(float){0}, 1);
        return MCF_OK;
    }
    if (last >= 0 && l->attr.reduce_sum.axes >> last & 1)
        return sum_within_lines(device, l, &kept, gone, err);
    return sum_lines(device, l, kept, &gone, err);
}

mcf_status mcf_cpu_op_sum_squares(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[SUM_SQUARES_IN_x];
    const mcf_cpu_kernels *k = device->kernels;
    int64_t total = mcf_shape_count(&x->shape), chunks = (total + CHUNK - 1) / CHUNK;
    void *memory;
    MCF_TRY(mcf_cpu_scratch(device, (size_t)chunks * sizeof(double) + 8, &memory, err));
    double *partial = memory, sum = 0;
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, total))
    for (int64_t i = 0; i < chunks; i++) {
        float room[CHUNK];
        int64_t count = mcf_cpu_min(total - i * CHUNK, CHUNK);
        const float *line = mcf_cpu_read(k, room, mcf_cpu_at(x, i * CHUNK), x->dtype, 1, count);
        partial[i] = k->dot(line, line, count);
    }
    for (int64_t i = 0; i < chunks; i++)
        sum += partial[i];
    *(float *)mcf_cpu_address(&l->out[SUM_SQUARES_OUT_out]) = (float)sum;
    return MCF_OK;
}
