// prelu and its gradient. Several rows make a line, with the slopes repeated, since the detector's have ten channels.
#include <string.h>

#include "backends/cpu/cpu.h"

enum { ROWS = 1024 }; // of a share whose slope gradients are summed before the others'

// Rows that go into a line at once; a row longer than a line is cut.
static int64_t rows_of_line(int64_t channels)
{
    return channels < MCF_CPU_LINE ? MCF_CPU_LINE / channels : 1;
}

static void repeat(float *to, const float *slope, int64_t channels, int64_t rows)
{
    for (int64_t i = 0; i < rows; i++)
        memcpy(to + i * channels, slope, (size_t)channels * sizeof *to);
}

mcf_status mcf_cpu_op_prelu(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[PRELU_IN_x], *y = &l->out[PRELU_OUT_y];
    const float *slope = (const float *)mcf_cpu_address(&l->in[PRELU_IN_slope]);
    const int64_t channels = x->shape.dim[1], total = mcf_shape_count(&x->shape);
    const int64_t piece = channels < MCF_CPU_LINE ? rows_of_line(channels) * channels : MCF_CPU_LINE;
    float slopes[MCF_CPU_LINE];
    if (channels < MCF_CPU_LINE)
        repeat(slopes, slope, channels, rows_of_line(channels));
    const int64_t span = channels < MCF_CPU_LINE ? total : channels; // pieces do not cross from one to the next
    const int64_t pieces = (span + piece - 1) / piece;
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, total))
    for (int64_t job = 0; job < (span ? total / span * pieces : 0); job++) {
        float room[2][MCF_CPU_LINE];
        const int64_t begin = job % pieces * piece, at = job / pieces * span + begin;
        const int64_t n = mcf_cpu_min(span - begin, piece);
        const float *from = mcf_cpu_read(device->kernels, room[0], mcf_cpu_at(x, at), x->dtype, 1, n);
        const float *s = channels < MCF_CPU_LINE ? slopes : slope + begin;
        float *to = mcf_cpu_place(room[1], mcf_cpu_at(y, at), y->dtype);
        device->kernels->prelu(to, from, s, n);
        mcf_cpu_write(device->kernels, mcf_cpu_at(y, at), y->dtype, to, n);
    }
    return MCF_OK;
}

// Rows [begin, end): dx, and the sums of x dy where x <= 0.
static void grad_rows(const mcf_cpu_kernels *k, const mcf_launch *l, int64_t begin, int64_t end, float *sums)
{
    const mcf_operand *x = &l->in[PRELU_GRAD_IN_x], *dy = &l->in[PRELU_GRAD_IN_dy], *dx = &l->out[PRELU_GRAD_OUT_dx];
    const float *slope = (const float *)mcf_cpu_address(&l->in[PRELU_GRAD_IN_slope]);
    const int64_t channels = x->shape.dim[1];
    memset(sums, 0, (size_t)channels * sizeof *sums);
    for (int64_t row = begin; row < end; row++)
        for (int64_t c = 0; c < channels; c += MCF_CPU_LINE) {
            float room[3][MCF_CPU_LINE];
            const int64_t at = row * channels + c, n = mcf_cpu_min(channels - c, MCF_CPU_LINE);
            const float *from = mcf_cpu_read(k, room[0], mcf_cpu_at(x, at), x->dtype, 1, n);
            const float *flow = mcf_cpu_read(k, room[1], mcf_cpu_at(dy, at), dy->dtype, 1, n);
            for (int64_t i = 0; i < n; i++) {
                const bool passes = from[i] > 0;
                room[2][i] = passes ? flow[i] : slope[c + i] * flow[i];
                sums[c + i] += passes ? 0 : from[i] * flow[i];
            }
            mcf_cpu_write(k, mcf_cpu_at(dx, at), dx->dtype, room[2], n);
        }
}

mcf_status mcf_cpu_op_prelu_grad(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const int64_t rows = l->in[PRELU_GRAD_IN_x].shape.dim[0], channels = l->in[PRELU_GRAD_IN_x].shape.dim[1];
    const int64_t shares = (rows + ROWS - 1) / ROWS;
    void *memory;
    MCF_TRY(mcf_cpu_scratch(device, (size_t)(mcf_cpu_max(shares, 1) * channels) * sizeof(float), &memory, err));
    float *sums = memory;
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, rows *channels))
    for (int64_t i = 0; i < shares; i++)
        grad_rows(device->kernels, l, i * ROWS, mcf_cpu_min(rows, (i + 1) * ROWS), sums + i * channels);
    if (!mcf_cpu_has_output(l, PRELU_GRAD_OUT_dslope))
        return MCF_OK;
    float *to = (float *)mcf_cpu_address(&l->out[PRELU_GRAD_OUT_dslope]);
    if (!(l->accumulate >> PRELU_GRAD_OUT_dslope & 1u))
        memset(to, 0, (size_t)channels * sizeof *to);
    for (int64_t i = 1; i < shares; i++)
        device->kernels->axpy(sums, sums + i * channels, 1, channels);
    if (shares)
        device->kernels->axpy(to, sums, 1, channels);
    return MCF_OK;
}
