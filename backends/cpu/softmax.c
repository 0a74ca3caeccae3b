// Softmax over rows.
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu.h"

mcf_status mcf_cpu_op_softmax(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[SOFTMAX_IN_x], *y = &l->out[SOFTMAX_OUT_y];
    const mcf_cpu_kernels *k = device->kernels;
    int64_t n = x->shape.dim[x->shape.rank - 1], rows = mcf_shape_count(&x->shape) / n;
    float *room;
    MCF_TRY(mcf_cpu_row_room(device, n, 2, &room, err));
    int shares = mcf_cpu_team(device, rows * n);
#pragma omp parallel for schedule(static) num_threads(shares)
    for (int share = 0; share < shares; share++) {
        float *line = room + share * 2 * n;
        int64_t begin, end;
        mcf_cpu_share(rows, shares, share, &begin, &end);
        for (int64_t i = begin; i < end; i++) {
            const float *a = mcf_cpu_read(k, line, mcf_cpu_at(x, i * n), x->dtype, 1, n);
            float *to = mcf_cpu_place(line + n, mcf_cpu_at(y, i * n), y->dtype);
            float sum = k->exp_sum(to, a, 1, k->largest(a, n), n);
            k->scale(to, to, 1.0f / sum, 0, n);
            mcf_cpu_write(k, mcf_cpu_at(y, i * n), y->dtype, to, n);
        }
    }
    return MCF_OK;
}

mcf_status mcf_cpu_op_softmax_grad(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *y = &l->in[SOFTMAX_GRAD_IN_y], *dy = &l->in[SOFTMAX_GRAD_IN_dy],
                      *dx = &l->out[SOFTMAX_GRAD_OUT_dx];
    const mcf_cpu_kernels *k = device->kernels;
    int64_t n = y->shape.dim[y->shape.rank - 1], rows = mcf_shape_count(&y->shape) / n;
    float *room;
    MCF_TRY(mcf_cpu_row_room(device, n, 3, &room, err));
    int shares = mcf_cpu_team(device, rows * n);
#pragma omp parallel for schedule(static) num_threads(shares)
    for (int share = 0; share < shares; share++) {
        float *line = room + share * 3 * n, *result = line + 2 * n;
        int64_t begin, end;
        mcf_cpu_share(rows, shares, share, &begin, &end);
        for (int64_t i = begin; i < end; i++) {
            const float *p = mcf_cpu_read(k, line, mcf_cpu_at(y, i * n), y->dtype, 1, n);
            const float *d = mcf_cpu_read(k, line + n, mcf_cpu_at(dy, i * n), dy->dtype, 1, n);
            float along = k->dot(p, d, n);
            memcpy(result, d, (size_t)n * sizeof(float));
            k->softmax_slope(result, p, along, 1, n);
            mcf_cpu_write(k, mcf_cpu_at(dx, i * n), dx->dtype, result, n);
        }
    }
    return MCF_OK;
}
