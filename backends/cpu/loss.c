// token_mse and cross_entropy, with their gradients. token_mse: both operands L2-normalised along tokens, then the mean
// squared difference, in two passes over each without storing the normalised ones.
#include <math.h>

#include "backends/cpu/cpu.h"

enum { COLUMNS = 128 };

// Lines are `COLUMNS` channels of one image; a job walks them over the tokens.
typedef struct {
    int64_t image, tokens, channels, column, n;
} block;

static int64_t block_count(const int64_t *dim)
{
    return dim[0] * ((dim[2] + COLUMNS - 1) / COLUMNS);
}

static block block_at(const int64_t *dim, int64_t job)
{
    int64_t blocks = (dim[2] + COLUMNS - 1) / COLUMNS;
    block b = {job / blocks, dim[1], dim[2], job % blocks * COLUMNS, 0};
    b.n = mcf_cpu_min(dim[2] - b.column, COLUMNS);
    return b;
}

static const float *token(const mcf_cpu_kernels *k, const block *b, float *room, const mcf_operand *x, int64_t t)
{
    return mcf_cpu_read(k, room, mcf_cpu_at(x, (b->image * b->tokens + t) * b->channels + b->column), x->dtype, 1,
                        b->n);
}

mcf_status mcf_cpu_op_token_mse(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *a = &l->in[TOKEN_MSE_IN_a], *b = &l->in[TOKEN_MSE_IN_b];
    const mcf_cpu_kernels *k = device->kernels;
    const int64_t *dim = a->shape.dim;
    int64_t jobs = block_count(dim), total = mcf_shape_count(&a->shape);
    float eps = (float)l->attr.norm.eps;
    void *memory;
    MCF_TRY(mcf_cpu_scratch(device, (size_t)jobs * sizeof(double), &memory, err));
    double *partial = memory, sum = 0;
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, total))
    for (int64_t job = 0; job < jobs; job++) {
        block at = block_at(dim, job);
        float room[2][COLUMNS], norm[2][COLUMNS] = {{0}}, squares[COLUMNS] = {0};
        for (int64_t t = 0; t < at.tokens; t++)
            for (int i = 0; i < 2; i++) {
                const float *line = token(k, &at, room[i], &l->in[i], t);
                k->multiply_add(norm[i], line, line, at.n);
            }
        for (int i = 0; i < 2; i++) {
            float *to = mcf_cpu_has_output(l, 1 + i)
                            ? (float *)mcf_cpu_address(&l->out[1 + i]) + at.image * at.channels + at.column
                            : NULL;
            for (int64_t c = 0; c < at.n; c++) {
                float length = sqrtf(norm[i][c]);
                length = length < eps ? eps : length; // NaN stays
                norm[i][c] = 1.0f / length;
                if (to)
                    to[c] = length;
            }
        }
        for (int64_t t = 0; t < at.tokens; t++)
            k->hat_difference(squares, token(k, &at, room[0], a, t), token(k, &at, room[1], b, t), norm[0], norm[1],
                              at.n);
        partial[job] = k->sum(squares, at.n);
    }
    for (int64_t job = 0; job < jobs; job++)
        sum += partial[job];
    *(float *)mcf_cpu_address(&l->out[TOKEN_MSE_OUT_loss]) = (float)(sum / (double)total);
    return MCF_OK;
}

// d(a/|a|) is the part of the difference across a; where the norm was held at eps the whole of it.
mcf_status mcf_cpu_op_token_mse_grad(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *a = &l->in[TOKEN_MSE_GRAD_IN_a], *b = &l->in[TOKEN_MSE_GRAD_IN_b],
                      *da = &l->out[TOKEN_MSE_GRAD_OUT_da];
    const mcf_cpu_kernels *k = device->kernels;
    const int64_t *dim = a->shape.dim;
    int64_t total = mcf_shape_count(&a->shape), jobs = block_count(dim);
    float factor = *(const float *)mcf_cpu_address(&l->in[TOKEN_MSE_GRAD_IN_dloss]) * 2.0f / (float)total;
    float eps = (float)l->attr.norm.eps;
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, total))
    for (int64_t job = 0; job < jobs; job++) {
        block at = block_at(dim, job);
        float room[2][COLUMNS], inverse[2][COLUMNS], along[COLUMNS] = {0}, result[COLUMNS];
        for (int i = 0; i < 2; i++) {
            const float *norm = (const float *)mcf_cpu_address(&l->in[2 + i]) + at.image * at.channels + at.column;
            for (int64_t c = 0; c < at.n; c++)
                inverse[i][c] = 1.0f / norm[c];
        }
        for (int64_t t = 0; t < at.tokens; t++)
            k->hat_product(along, token(k, &at, room[0], a, t), token(k, &at, room[1], b, t), inverse[0], inverse[1],
                           at.n);
        const float *norm =
            (const float *)mcf_cpu_address(&l->in[TOKEN_MSE_GRAD_IN_norm_a]) + at.image * at.channels + at.column;
        for (int64_t c = 0; c < at.n; c++)
            if (norm[c] <= eps)
                along[c] = 0;
        for (int64_t t = 0; t < at.tokens; t++) {
            k->hat_grad(result, token(k, &at, room[0], a, t), token(k, &at, room[1], b, t), inverse[0], inverse[1],
                        along, factor, at.n);
            mcf_cpu_write(k, mcf_cpu_at(da, (at.image * at.tokens + t) * at.channels + at.column), da->dtype, result,
                          at.n);
        }
    }
    return MCF_OK;
}

// --- cross-entropy of rows

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
    MCF_TRY(mcf_cpu_row_room(device, n + rows, 2, &room, err));
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
    MCF_TRY(mcf_cpu_row_room(device, n, 2, &room, err));
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
