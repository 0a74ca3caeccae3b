// Batch norm (Ioffe & Szegedy 2015) over groups of rows, in parts, so that statistics can be exchanged between them.
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu.h"

enum { COLUMNS = 256 };

// A block of columns of one group, and what is known of them.
typedef struct {
    const mcf_cpu_kernels *k;
    const mcf_launch *l;
    int64_t first, rows, channels, n; // element of x, rows below it, their distance, columns
    const float *mean;
    float rstd[COLUMNS];
    int64_t statistic; // element of a [G,1,C]
    int64_t channel;
} block;

static const float *parameter(const block *b, int i)
{
    return mcf_cpu_has_input(b->l, i) ? (const float *)mcf_cpu_address(&b->l->in[i]) + b->channel : NULL;
}

static const float *statistic(const block *b, int i)
{
    return (const float *)mcf_cpu_address(&b->l->in[i]) + b->statistic;
}

static const float *row(const block *b, int input, float *room, int64_t r)
{
    const mcf_operand *x = &b->l->in[input];
    return mcf_cpu_read(b->k, room, mcf_cpu_at(x, b->first + r * b->channels), x->dtype, 1, b->n);
}

// Calls work for all blocks; `variance` is the input that holds it, or -1.
static mcf_status each_block(mcf_device *device, const mcf_launch *l, int variance, void (*work)(const block *))
{
    const int64_t *x = l->in[BATCH_NORM_IN_x].shape.dim;
    int64_t blocks = (x[2] + COLUMNS - 1) / COLUMNS;
    float eps = (float)l->attr.norm.eps;
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, x[0] * x[1] * x[2]))
    for (int64_t job = 0; job < x[0] * blocks; job++) {
        int64_t group = job / blocks, column = job % blocks * COLUMNS;
        block b = {device->kernels,
                   l,
                   group * x[1] * x[2] + column,
                   x[1],
                   x[2],
                   mcf_cpu_min(x[2] - column, COLUMNS),
                   NULL,
                   {0},
                   group * x[2] + column,
                   column};
        b.mean = statistic(&b, 1);
        for (int64_t i = 0; variance >= 0 && i < b.n; i++)
            b.rstd[i] = 1.0f / sqrtf(statistic(&b, variance)[i] + eps);
        work(&b);
    }
    return MCF_OK;
}

static void put_row(const block *b, int64_t r, float *room, const float *line)
{
    const mcf_operand *out = &b->l->out[BATCH_NORM_OUT_y];
    mcf_cpu_write(b->k, mcf_cpu_at(out, b->first + r * b->channels), out->dtype, line, b->n);
}

static void variance_block(const block *b)
{
    float room[COLUMNS], sum[COLUMNS] = {0};
    for (int64_t r = 0; r < b->rows; r++)
        b->k->square_difference(sum, row(b, 0, room, r), b->mean, b->n);
    b->k->scale((float *)mcf_cpu_address(&b->l->out[BATCH_VARIANCE_OUT_var]) + b->statistic, sum, 1.0f / (float)b->rows,
                0, b->n);
}

mcf_status mcf_cpu_op_batch_variance(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    return each_block(device, l, -1, variance_block);
}

static void normalize_block(const block *b)
{
    float room[COLUMNS], result[COLUMNS];
    for (int64_t r = 0; r < b->rows; r++) {
        b->k->normalize(result, row(b, 0, room, r), b->mean, b->rstd, parameter(b, 3), parameter(b, 4), b->n);
        put_row(b, r, room, result);
    }
}

mcf_status mcf_cpu_op_batch_norm(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    return each_block(device, l, 2, normalize_block);
}

static void sums_block(const block *b)
{
    float room[2][COLUMNS], sum[2][COLUMNS] = {{0}};
    for (int64_t r = 0; r < b->rows; r++)
        b->k->normalize_sums(sum[0], sum[1], row(b, 0, room[0], r), b->mean, b->rstd, row(b, 3, room[1], r), b->n);
    for (int i = 0; i < 2; i++)
        if (mcf_cpu_has_output(b->l, i))
            b->k->scale((float *)mcf_cpu_address(&b->l->out[i]) + b->statistic, sum[i], 1.0f / (float)b->rows, 0, b->n);
}

mcf_status mcf_cpu_op_batch_norm_sums(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    return each_block(device, l, 2, sums_block);
}

static void grad_block(const block *b)
{
    float room[2][COLUMNS], result[COLUMNS];
    for (int64_t r = 0; r < b->rows; r++) {
        b->k->normalize_grad(result, row(b, 0, room[0], r), b->mean, b->rstd, row(b, 3, room[1], r), statistic(b, 4),
                             statistic(b, 5), parameter(b, 6), b->n);
        put_row(b, r, room[0], result);
    }
}

mcf_status mcf_cpu_op_batch_norm_grad(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    return each_block(device, l, 2, grad_block);
}
