// Layer norm (Ba et al. 2016), forward and backward, with the residual addition before it, and L2 normalisation. Batch
// norm has its own file.
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu.h"

static float *statistics(const mcf_launch *l, int i)
{
    return mcf_cpu_has_output(l, i) ? (float *)mcf_cpu_address(&l->out[i]) : NULL;
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
    MCF_TRY(mcf_cpu_row_room(device, n, 4, &room, err));
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
    MCF_TRY(mcf_cpu_row_room(device, n, 6, &room, err));
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

// --- L2 normalisation along an axis

// x as [outer, n, inner] around the axis.
typedef struct {
    int64_t outer, n, inner;
} around;

static around split(const mcf_shape *shape, int axis)
{
    around s = {1, shape->dim[axis], 1};
    for (int i = 0; i < axis; i++)
        s.outer *= shape->dim[i];
    for (int i = axis + 1; i < shape->rank; i++)
        s.inner *= shape->dim[i];
    return s;
}

// dy NULL: y = x/|x|; else the gradient. Vectors along the axis lie side by side: up to a line of them is done at
// once; where the axis is the last, each vector is a line of its own.
static mcf_status l2(mcf_device *device, const mcf_launch *l, const mcf_operand *x, const mcf_operand *dy,
                     const mcf_operand *out, mcf_error *err)
{
    const mcf_cpu_kernels *k = device->kernels;
    const around s = split(&x->shape, l->attr.l2_normalize.axis);
    float eps = (float)l->attr.l2_normalize.eps, *room = NULL;
    if (s.outer * s.n * s.inner == 0)
        return MCF_OK;
    bool last = s.inner == 1;
    if (last)
        MCF_TRY(mcf_cpu_row_room(device, s.n, 3, &room, err));
    int64_t blocks = (s.inner + MCF_CPU_LINE - 1) / MCF_CPU_LINE;
    int64_t jobs = s.outer * blocks;
    int shares = mcf_cpu_team(device, s.outer * s.n * s.inner);
#pragma omp parallel for schedule(static) num_threads(shares)
    for (int share = 0; share < shares; share++) {
        int64_t begin, end;
        mcf_cpu_share(jobs, shares, share, &begin, &end);
        for (int64_t job = begin; job < end; job++) {
            if (last) {
                float *line = room + share * 3 * s.n, *to = line + 2 * s.n;
                const float *a = mcf_cpu_read(k, line, mcf_cpu_at(x, job * s.n), x->dtype, 1, s.n);
                float norm = sqrtf(k->dot(a, a, s.n)), inverse = 1.0f / (norm > eps ? norm : eps);
                if (norm != norm)
                    inverse = norm;
                if (!dy) {
                    k->scale(to, a, inverse, 0, s.n);
                } else {
                    const float *d = mcf_cpu_read(k, line + s.n, mcf_cpu_at(dy, job * s.n), dy->dtype, 1, s.n);
                    float along = norm <= eps ? 0 : k->dot(a, d, s.n) * inverse * inverse * inverse;
                    k->add(to, d, a, inverse, -along, s.n);
                }
                mcf_cpu_write(k, mcf_cpu_at(out, job * s.n), out->dtype, to, s.n);
                continue;
            }
            int64_t column = job % blocks * MCF_CPU_LINE, count = mcf_cpu_min(s.inner - column, MCF_CPU_LINE);
            int64_t first = job / blocks * s.n * s.inner + column;
            float lines[2][MCF_CPU_LINE], inverse[MCF_CPU_LINE] = {0}, along[MCF_CPU_LINE] = {0};
            for (int64_t i = 0; i < s.n; i++) {
                const float *a = mcf_cpu_read(k, lines[0], mcf_cpu_at(x, first + i * s.inner), x->dtype, 1, count);
                k->multiply_add(inverse, a, a, count);
                if (dy)
                    k->multiply_add(along, a,
                                    mcf_cpu_read(k, lines[1], mcf_cpu_at(dy, first + i * s.inner), dy->dtype, 1, count),
                                    count);
            }
            for (int64_t c = 0; c < count; c++) {
                float norm = sqrtf(inverse[c]);
                inverse[c] = norm != norm ? norm : 1.0f / (norm > eps ? norm : eps);
                along[c] = norm <= eps ? 0 : -along[c] * inverse[c] * inverse[c] * inverse[c];
            }
            for (int64_t i = 0; i < s.n; i++) {
                int64_t at = first + i * s.inner;
                const float *a = mcf_cpu_read(k, lines[0], mcf_cpu_at(x, at), x->dtype, 1, count);
                float result[MCF_CPU_LINE];
                if (!dy) {
                    k->mul(result, a, inverse, count);
                } else {
                    k->mul(result, mcf_cpu_read(k, lines[1], mcf_cpu_at(dy, at), dy->dtype, 1, count), inverse, count);
                    k->multiply_add(result, a, along, count);
                }
                mcf_cpu_write(k, mcf_cpu_at(out, at), out->dtype, result, count);
            }
        }
    }
    return MCF_OK;
}

mcf_status mcf_cpu_op_l2_normalize(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    return l2(device, l, &l->in[L2_NORMALIZE_IN_x], NULL, &l->out[L2_NORMALIZE_OUT_y], err);
}

mcf_status mcf_cpu_op_l2_normalize_grad(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    return l2(device, l, &l->in[L2_NORMALIZE_GRAD_IN_x], &l->in[L2_NORMALIZE_GRAD_IN_dy],
              &l->out[L2_NORMALIZE_GRAD_OUT_dx], err);
}
