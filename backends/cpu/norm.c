// Layer norm (Ba et al. 2016), forward and backward, with the residual addition before it.
#include <string.h>

#include "backends/cpu/cpu.h"

static float *statistics(const mcf_launch *l, int i)
{
    return mcf_cpu_has_output(l, i) ? (float *)mcf_cpu_address(&l->out[i]) : NULL;
}

// Lines of a whole row: `lines` of them for each thread.
static mcf_status row_room(mcf_device *device, int64_t columns, int lines, float **room, mcf_error *err)
{
    void *memory;
    MCF_TRY(mcf_cpu_scratch(device, (size_t)(columns * lines * device->threads) * sizeof(float), &memory, err));
    *room = memory;
    return MCF_OK;
}

// Places of the operands of layer_norm and add_layer_norm; r and sum are -1 where nothing is added.
typedef struct {
    int x, r, gamma, beta, sum, y, mean, rstd;
} places;

// y = norm(x), or sum = x + r and y = norm(sum).
static mcf_status forward(mcf_device *device, const mcf_launch *l, const places *at, mcf_error *err)
{
    const mcf_operand *x = &l->in[at->x], *y = &l->out[at->y];
    const mcf_operand *r = at->r < 0 ? NULL : &l->in[at->r], *sum_out = at->sum < 0 ? NULL : &l->out[at->sum];
    const float *gamma = (const float *)mcf_cpu_address(&l->in[at->gamma]);
    const float *beta = (const float *)mcf_cpu_address(&l->in[at->beta]);
    const mcf_cpu_kernels *k = device->kernels;
    int64_t rows = x->shape.dim[0], n = x->shape.dim[1];
    float *mean = statistics(l, at->mean), *rstd = statistics(l, at->rstd), *room, eps = (float)l->attr.norm.eps;
    bool want_y = mcf_cpu_has_output(l, at->y);
    MCF_TRY(row_room(device, n, 4, &room, err));
    int shares = mcf_cpu_team(device, rows * n);
#pragma omp parallel for schedule(static) num_threads(shares)
    for (int share = 0; share < shares; share++) {
        float *line = room + share * 4 * n;
        int64_t begin, end;
        mcf_cpu_share(rows, shares, share, &begin, &end);
        for (int64_t i = begin; i < end; i++) {
            const float *a = mcf_cpu_read(k, line, mcf_cpu_at(x, i * n), x->dtype, 1, n);
            if (sum_out) {
                float *s = mcf_cpu_place(line + n, mcf_cpu_at(sum_out, i * n), sum_out->dtype);
                k->add(s, a, mcf_cpu_read(k, line + 2 * n, mcf_cpu_at(r, i * n), r->dtype, 1, n), 1, 1, n);
                mcf_cpu_write(k, mcf_cpu_at(sum_out, i * n), sum_out->dtype, s, n);
                a = s;
            }
            float m, d, *to = line + 3 * n;
            if (want_y)
                to = mcf_cpu_place(to, mcf_cpu_at(y, i * n), y->dtype);
            k->layer_norm(to, a, gamma, beta, eps, &m, &d, n);
            if (want_y)
                mcf_cpu_write(k, mcf_cpu_at(y, i * n), y->dtype, to, n);
            if (mean)
                mean[i] = m;
            if (rstd)
                rstd[i] = d;
        }
    }
    return MCF_OK;
}

mcf_status mcf_cpu_op_layer_norm(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    static const places at = {.x = LAYER_NORM_IN_x,
                              .r = -1,
                              .gamma = LAYER_NORM_IN_gamma,
                              .beta = LAYER_NORM_IN_beta,
                              .sum = -1,
                              .y = LAYER_NORM_OUT_y,
                              .mean = LAYER_NORM_OUT_mean,
                              .rstd = LAYER_NORM_OUT_rstd};
    return forward(device, l, &at, err);
}

mcf_status mcf_cpu_op_add_layer_norm(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    static const places at = {.x = ADD_LAYER_NORM_IN_x,
                              .r = ADD_LAYER_NORM_IN_r,
                              .gamma = ADD_LAYER_NORM_IN_gamma,
                              .beta = ADD_LAYER_NORM_IN_beta,
                              .sum = ADD_LAYER_NORM_OUT_s,
                              .y = ADD_LAYER_NORM_OUT_y,
                              .mean = ADD_LAYER_NORM_OUT_mean,
                              .rstd = ADD_LAYER_NORM_OUT_rstd};
    return forward(device, l, &at, err);
}

// A parameter's gradient: the threads' parts in order, set or added.
static void gather_parts(const mcf_cpu_kernels *k, const mcf_launch *l, int i, const float *parts, int shares,
                         int64_t step, int64_t n)
{
    if (!mcf_cpu_has_output(l, i))
        return;
    float *to = (float *)mcf_cpu_address(&l->out[i]);
    if (!(l->accumulate >> i & 1))
        memset(to, 0, (size_t)n * sizeof(float));
    for (int share = 0; share < shares; share++)
        k->add(to, to, parts + share * step, 1, 1, n);
}

mcf_status mcf_cpu_op_layer_norm_grad(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[LAYER_NORM_GRAD_IN_x], *dy = &l->in[LAYER_NORM_GRAD_IN_dy],
                      *dx = &l->out[LAYER_NORM_GRAD_OUT_dx];
    const mcf_operand *dsum = mcf_cpu_has_input(l, LAYER_NORM_GRAD_IN_dsum) ? &l->in[LAYER_NORM_GRAD_IN_dsum] : NULL;
    const float *gamma = (const float *)mcf_cpu_address(&l->in[LAYER_NORM_GRAD_IN_gamma]),
                *mean = (const float *)mcf_cpu_address(&l->in[LAYER_NORM_GRAD_IN_mean]);
    const float *rstd = (const float *)mcf_cpu_address(&l->in[LAYER_NORM_GRAD_IN_rstd]);
    const mcf_cpu_kernels *k = device->kernels;
    int64_t rows = x->shape.dim[0], n = x->shape.dim[1];
    bool want_gamma = mcf_cpu_has_output(l, LAYER_NORM_GRAD_OUT_dgamma);
    bool want_beta = mcf_cpu_has_output(l, LAYER_NORM_GRAD_OUT_dbeta);
    float *room;
    MCF_TRY(row_room(device, n, 6, &room, err));
    int shares = mcf_cpu_team(device, rows * n);
#pragma omp parallel for schedule(static) num_threads(shares)
    for (int share = 0; share < shares; share++) {
        float *line = room + share * 6 * n, *dgamma = line + 4 * n, *dbeta = line + 5 * n;
        int64_t begin, end;
        memset(dgamma, 0, (size_t)(2 * n) * sizeof(float));
        mcf_cpu_share(rows, shares, share, &begin, &end);
        for (int64_t i = begin; i < end; i++) {
            const float *a = mcf_cpu_read(k, line, mcf_cpu_at(x, i * n), x->dtype, 1, n);
            const float *d = mcf_cpu_read(k, line + n, mcf_cpu_at(dy, i * n), dy->dtype, 1, n);
            const float *s = dsum ? mcf_cpu_read(k, line + 2 * n, mcf_cpu_at(dsum, i * n), dsum->dtype, 1, n) : NULL;
            float *to = mcf_cpu_place(line + 3 * n, mcf_cpu_at(dx, i * n), dx->dtype);
            k->layer_norm_grad(to, a, gamma, mean[i], rstd[i], d, s, want_gamma ? dgamma : NULL,
                               want_beta ? dbeta : NULL, n);
            mcf_cpu_write(k, mcf_cpu_at(dx, i * n), dx->dtype, to, n);
        }
    }
    gather_parts(k, l, LAYER_NORM_GRAD_OUT_dgamma, room + 4 * n, shares, 6 * n, n);
    gather_parts(k, l, LAYER_NORM_GRAD_OUT_dbeta, room + 5 * n, shares, 6 * n, n);
    return MCF_OK;
}
