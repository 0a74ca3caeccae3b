// Softmax over rows, cross-entropy of rows, and L2 normalisation along an axis.
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu.h"

static mcf_status row_room(mcf_device *device, int64_t columns, int lines, float **room, mcf_error *err)
{
    void *memory;
    MCF_TRY(mcf_cpu_scratch(device, (size_t)(columns * lines * device->threads) * sizeof(float), &memory, err));
    *room = memory;
    return MCF_OK;
}

mcf_status mcf_cpu_op_softmax(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[SOFTMAX_IN_x], *y = &l->out[SOFTMAX_OUT_y];
    const mcf_cpu_kernels *k = device->kernels;
    int64_t n = x->shape.dim[x->shape.rank - 1], rows = mcf_shape_count(&x->shape) / n;
    float *room;
    MCF_TRY(row_room(device, n, 2, &room, err));
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
    MCF_TRY(row_room(device, n, 3, &room, err));
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

static mcf_status check_labels(const int64_t *labels, int64_t rows, int64_t classes, mcf_error *err)
{
    for (int64_t i = 0; i < rows; i++)
        if (labels[i] < 0 || labels[i] >= classes)
            return mcf_fail(err, MCF_ERR_SHAPE, "cross_entropy: label %lld of row %lld is not in [0, %lld)",
                            (long long)labels[i], (long long)i, (long long)classes);
    return MCF_OK;
}

mcf_status mcf_cpu_op_cross_entropy(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[CROSS_ENTROPY_IN_logits];
    const int64_t *labels = (const int64_t *)mcf_cpu_address(&l->in[CROSS_ENTROPY_IN_labels]);
    const mcf_cpu_kernels *k = device->kernels;
    int64_t rows = x->shape.dim[0], n = x->shape.dim[1];
    float *loss = (float *)mcf_cpu_address(&l->out[CROSS_ENTROPY_OUT_loss]), *room;
    float *lse =
        mcf_cpu_has_output(l, CROSS_ENTROPY_OUT_lse) ? (float *)mcf_cpu_address(&l->out[CROSS_ENTROPY_OUT_lse]) : NULL;
    MCF_TRY(check_labels(labels, rows, n, err));
    MCF_TRY(row_room(device, n + rows, 2, &room, err));
    double total = 0;
    for (int64_t i = 0; i < rows; i++) {
        const float *a = mcf_cpu_read(k, room, mcf_cpu_at(x, i * n), x->dtype, 1, n);
        float most = k->largest(a, n);
        float log_sum = most + logf(k->exp_sum(room + n, a, 1, most, n));
        total += (double)log_sum - a[labels[i]];
        if (lse)
            lse[i] = log_sum;
    }
    *loss = (float)(total / (double)rows);
    return MCF_OK;
}

mcf_status mcf_cpu_op_cross_entropy_grad(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[CROSS_ENTROPY_GRAD_IN_logits], *dx = &l->out[CROSS_ENTROPY_GRAD_OUT_dlogits];
    const int64_t *labels = (const int64_t *)mcf_cpu_address(&l->in[CROSS_ENTROPY_GRAD_IN_labels]);
    const float *lse = (const float *)mcf_cpu_address(&l->in[CROSS_ENTROPY_GRAD_IN_lse]);
    const mcf_cpu_kernels *k = device->kernels;
    int64_t rows = x->shape.dim[0], n = x->shape.dim[1];
    float factor = *(const float *)mcf_cpu_address(&l->in[CROSS_ENTROPY_GRAD_IN_dloss]) / (float)rows, *room;
    MCF_TRY(check_labels(labels, rows, n, err));
    MCF_TRY(row_room(device, n, 2, &room, err));
    for (int64_t i = 0; i < rows; i++) {
        const float *a = mcf_cpu_read(k, room, mcf_cpu_at(x, i * n), x->dtype, 1, n);
        float *to = room + n;
        k->exp_sum(to, a, 1, lse[i], n);
        to[labels[i]] -= 1;
        k->scale(to, to, factor, 0, n);
        mcf_cpu_write(k, mcf_cpu_at(dx, i * n), dx->dtype, to, n);
    }
    return MCF_OK;
}

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
        MCF_TRY(row_room(device, s.n, 3, &room, err));
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
