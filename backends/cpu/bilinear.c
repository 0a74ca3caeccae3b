// resize_bilinear and its gradient: rows first, then columns; lines are the channels of a pixel.
#include "backends/cpu/bilinear.h"

#include <omp.h>
#include <string.h>

#include "backends/cpu/cpu.h"

mcf_status mcf_cpu_op_resize_bilinear(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[RESIZE_BILINEAR_IN_x], *y = &l->out[RESIZE_BILINEAR_OUT_y];
    const mcf_cpu_kernels *k = device->kernels;
    const int64_t *from = x->shape.dim, *to = y->shape.dim, channels = from[3], line = from[2] * channels;
    void *memory;
    MCF_TRY(mcf_cpu_scratch(device, (size_t)(device->threads * 3 * line) * sizeof(float), &memory, err));
    const int team = mcf_cpu_team(device, mcf_shape_count(&y->shape));
#pragma omp parallel num_threads(team)
    {
        float *blend = (float *)memory + omp_get_thread_num() * 3 * line, room[MCF_CPU_LINE];
#pragma omp for schedule(static)
        for (int64_t job = 0; job < to[0] * to[1]; job++) {
            const mcf_cpu_between v = mcf_cpu_bilinear(job % to[1], from[1], to[1]);
            const float *rows[2];
            for (int i = 0; i < 2; i++)
                rows[i] = mcf_cpu_read(k, blend + (i + 1) * line,
                                       mcf_cpu_at(x, (job / to[1] * from[1] + v.at[i]) * line), x->dtype, 1, line);
            k->add(blend, rows[0], rows[1], v.weight[0], v.weight[1], line);
            for (int64_t column = 0; column < to[2]; column++) {
                const mcf_cpu_between h = mcf_cpu_bilinear(column, from[2], to[2]);
                for (int64_t c = 0; c < channels; c += MCF_CPU_LINE) {
                    const int64_t n = mcf_cpu_min(channels - c, MCF_CPU_LINE);
                    void *place = mcf_cpu_at(y, (job * to[2] + column) * channels + c);
                    float *result = mcf_cpu_place(room, place, y->dtype);
                    k->add(result, blend + h.at[0] * channels + c, blend + h.at[1] * channels + c, h.weight[0],
                           h.weight[1], n);
                    mcf_cpu_write(k, place, y->dtype, result, n);
                }
            }
        }
    }
    return MCF_OK;
}

// A row of dx gathers the rows of dy that it is a neighbour of.
mcf_status mcf_cpu_op_resize_bilinear_grad(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *dy = &l->in[RESIZE_BILINEAR_GRAD_IN_dy], *dx = &l->out[RESIZE_BILINEAR_GRAD_OUT_dx];
    const mcf_cpu_kernels *k = device->kernels;
    const int64_t *large = dy->shape.dim, *small = dx->shape.dim, channels = small[3];
    const int64_t wide = large[2] * channels, narrow = small[2] * channels, each = 2 * wide + narrow;
    void *memory;
    MCF_TRY(mcf_cpu_scratch(device, (size_t)(device->threads * each) * sizeof(float), &memory, err));
    const int team = mcf_cpu_team(device, mcf_shape_count(&dy->shape));
#pragma omp parallel num_threads(team)
    {
        float *sum = (float *)memory + omp_get_thread_num() * each, *room = sum + wide, *row = room + wide;
#pragma omp for schedule(static)
        for (int64_t job = 0; job < small[0] * small[1]; job++) {
            memset(sum, 0, (size_t)wide * sizeof *sum);
            memset(row, 0, (size_t)narrow * sizeof *row);
            for (int64_t y = 0; y < large[1]; y++) {
                const mcf_cpu_between v = mcf_cpu_bilinear(y, small[1], large[1]);
                const float weight = mcf_cpu_weight_in(&v, job % small[1]);
                if (weight != 0)
                    k->axpy(sum,
                            mcf_cpu_read(k, room, mcf_cpu_at(dy, (job / small[1] * large[1] + y) * wide), dy->dtype, 1,
                                         wide),
                            weight, wide);
            }
            for (int64_t x = 0; x < large[2]; x++) {
                const mcf_cpu_between h = mcf_cpu_bilinear(x, small[2], large[2]);
                for (int i = 0; i < 2; i++)
                    k->axpy(row + h.at[i] * channels, sum + x * channels, h.weight[i], channels);
            }
            mcf_cpu_write(k, mcf_cpu_at(dx, job * narrow), dx->dtype, row, narrow);
        }
    }
    return MCF_OK;
}
