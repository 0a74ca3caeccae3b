#include "infer/look.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "model/inspect.h"

enum { COMPONENTS = 3, POWER_STEPS = 60 };

void mcf_look_free(mcf_look *look)
{
    free(look->attention);
    free(look->cls_share);
    free(look->features);
    *look = (mcf_look){0};
}

void mcf_look_attention(const float *qkv, int tokens, int heads, int width, float *shares)
{
    const size_t row = (size_t)3 * (size_t)heads * (size_t)width;
    for (int h = 0; h < heads; h++) {
        const float *q = qkv + (size_t)h * width;
        float *out = shares + (size_t)h * tokens;
        double greatest = -INFINITY, sum = 0;
        for (int t = 0; t < tokens; t++) {
            const float *k = qkv + t * row + (size_t)(heads + h) * width;
            double dot = 0;
            for (int d = 0; d < width; d++)
                dot += (double)q[d] * k[d];
            out[t] = (float)(dot / sqrt(width));
            greatest = fmax(greatest, out[t]);
        }
        for (int t = 0; t < tokens; t++)
            sum += exp(out[t] - greatest);
        for (int t = 0; t < tokens; t++)
            out[t] = (float)(exp(out[t] - greatest) / sum);
    }
}

// --- principal components

// Gram-Schmidt on `count` vectors of length dim; a vector without direction becomes zero.
static void orthonormal(double *v, int count, int dim)
{
    for (int i = 0; i < count; i++) {
        double *a = v + (size_t)i * dim;
        for (int j = 0; j < i; j++) {
            const double *b = v + (size_t)j * dim;
            double dot = 0;
            for (int d = 0; d < dim; d++)
                dot += a[d] * b[d];
            for (int d = 0; d < dim; d++)
                a[d] -= dot * b[d];
        }
        double norm = 0;
        for (int d = 0; d < dim; d++)
            norm += a[d] * a[d];
        norm = norm > 1e-30 ? 1 / sqrt(norm) : 0;
        for (int d = 0; d < dim; d++)
            a[d] *= norm;
    }
}

static double centre(float *x, int64_t rows, int dim)
{
    double variance = 0;
    for (int d = 0; d < dim; d++) {
        double mean = 0;
        for (int64_t r = 0; r < rows; r++)
            mean += x[r * dim + d];
        mean /= (double)rows;
        for (int64_t r = 0; r < rows; r++) {
            x[r * dim + d] -= (float)mean;
            variance += (double)x[r * dim + d] * x[r * dim + d];
        }
    }
    return variance;
}

static void project(const float *x, int64_t rows, int dim, int count, const double *axes, double *scores)
{
    for (int64_t r = 0; r < rows; r++)
        for (int c = 0; c < count; c++) {
            double dot = 0;
            for (int d = 0; d < dim; d++)
                dot += x[r * dim + d] * axes[(size_t)c * dim + d];
            scores[r * count + c] = dot;
        }
}

mcf_status mcf_look_components(float *x, int64_t rows, int dim, int count, double *axes, double *scores,
                               double *explained, mcf_error *err)
{
    const double variance = centre(x, rows, dim);
    if (!isfinite(variance))
        return mcf_fail(err, MCF_ERR_NUMERIC, "the tokens are not finite");
    double *next = malloc((size_t)count * (size_t)dim * sizeof *next);
    if (!next)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for principal components");
    mcf_rng rng = mcf_rng_make(0, MCF_RNG_INIT, 0, 0);
    for (int i = 0; i < count * dim; i++)
        axes[i] = mcf_rng_double(&rng) - 0.5;
    orthonormal(axes, count, dim);
    // Orthogonal iteration with X^T X, which is never formed.
    for (int step = 0; step < POWER_STEPS; step++) {
        project(x, rows, dim, count, axes, scores);
        memset(next, 0, (size_t)count * (size_t)dim * sizeof *next);
        for (int64_t r = 0; r < rows; r++)
            for (int c = 0; c < count; c++)
                for (int d = 0; d < dim; d++)
                    next[(size_t)c * dim + d] += scores[r * count + c] * x[r * dim + d];
        memcpy(axes, next, (size_t)count * (size_t)dim * sizeof *next);
        orthonormal(axes, count, dim);
    }
    free(next);
    for (int c = 0; c < count; c++) {
        double *a = axes + (size_t)c * dim, greatest = 0;
        for (int d = 0; d < dim; d++)
            greatest = fabs(a[d]) > fabs(greatest) ? a[d] : greatest;
        for (int d = 0; greatest < 0 && d < dim; d++)
            a[d] = -a[d];
    }
    project(x, rows, dim, count, axes, scores);
    for (int c = 0; c < count; c++) {
        double sum = 0;
        for (int64_t r = 0; r < rows; r++)
            sum += scores[r * count + c] * scores[r * count + c];
        explained[c] = variance > 0 ? sum / variance : 0;
    }
    return MCF_OK;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Each component from its 2nd to its 98th percentile fills 0..255.
static mcf_status colour(const double *scores, int64_t rows, uint8_t *rgb, mcf_error *err)
{
    double *values = malloc((size_t)rows * sizeof *values);
    if (!values)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for principal components");
    for (int c = 0; c < COMPONENTS; c++) {
        for (int64_t r = 0; r < rows; r++)
            values[r] = scores[r * COMPONENTS + c];
        qsort(values, (size_t)rows, sizeof *values, by_value);
        const double low = values[rows / 50], high = values[rows - 1 - rows / 50];
        for (int64_t r = 0; r < rows; r++) {
            const double share = high > low ? (scores[r * COMPONENTS + c] - low) / (high - low) : 0.5;
            rgb[r * COMPONENTS + c] = (uint8_t)(255 * fmax(0, fmin(1, share)) + 0.5);
        }
    }
    free(values);
    return MCF_OK;
}

// --- the network

typedef struct {
    mcf_inference *network;
    const float *images;
    int count;
    float *qkv, *tokens;
} run_task;

static mcf_status run(int rank, void *context, mcf_error *err)
{
    run_task *t = context;
    mcf_inference *n = t->network;
    if (rank != 0)
        return MCF_OK;
    const int64_t side = n->config.model.image_size, tokens = 1 + n->model->patches, dim = n->model->online.stack.dim;
    mcf_graph *graph;
    mcf_program *program;
    MCF_TRY(mcf_inspect_graph(n->model, t->count, n->device.compute, &graph, err));
    MCF_TRY(mcf_program_create(n->device.runtime, graph, &program, err));
    mcf_status status =
        mcf_program_write(program, "image", t->images, (size_t)(t->count * 3 * side * side) * sizeof *t->images, err);
    if (status == MCF_OK)
        status = mcf_program_run(program, false, false, err);
    if (status == MCF_OK)
        status = mcf_program_read(program, "qkv", t->qkv, t->count * tokens * 3 * dim, err);
    if (status == MCF_OK)
        status = mcf_program_read(program, "tokens", t->tokens, t->count * tokens * dim, err);
    mcf_program_destroy(program);
    return status;
}

static mcf_status digest(const run_task *t, mcf_look *look, mcf_error *err)
{
    const int patches = look->grid * look->grid, tokens = patches + 1, dim = t->network->model->online.stack.dim;
    const int64_t rows = (int64_t)look->images * patches;
    float *shares = malloc((size_t)look->heads * (size_t)tokens * sizeof *shares);
    float *x = malloc((size_t)rows * (size_t)dim * sizeof *x);
    double *axes = malloc((size_t)COMPONENTS * (size_t)dim * sizeof *axes);
    double *scores = malloc((size_t)rows * COMPONENTS * sizeof *scores);
    mcf_status status = shares && x && axes && scores ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory to look");
    for (int i = 0; i < look->images && status == MCF_OK; i++) {
        mcf_look_attention(t->qkv + (size_t)i * tokens * 3 * dim, tokens, look->heads, dim / look->heads, shares);
        for (int h = 0; h < look->heads; h++) {
            const size_t at = (size_t)i * look->heads + h;
            look->cls_share[at] = shares[(size_t)h * tokens];
            memcpy(look->attention + at * patches, shares + (size_t)h * tokens + 1, (size_t)patches * sizeof *shares);
        }
        memcpy(x + (size_t)i * patches * dim, t->tokens + ((size_t)i * tokens + 1) * dim,
               (size_t)patches * (size_t)dim * sizeof *x);
    }
    if (status == MCF_OK)
        status = mcf_look_components(x, rows, dim, COMPONENTS, axes, scores, look->explained, err);
    if (status == MCF_OK)
        status = colour(scores, rows, look->features, err);
    free(shares);
    free(x);
    free(axes);
    free(scores);
    return status;
}

mcf_status mcf_look_run(mcf_inference *network, const uint8_t *images, int count, mcf_look *look, mcf_error *err)
{
    const mcf_pretrain_model *model = network->model;
    const size_t side = (size_t)network->config.model.image_size, pixels = side * side;
    const size_t n = (size_t)count, patches = (size_t)model->patches, dim = (size_t)model->online.stack.dim;
    *look = (mcf_look){
        .images = count, .grid = (int)side / network->config.model.patch_size, .heads = model->online.stack.heads};
    if (dim < COMPONENTS || patches < 2)
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "a network of %zu features on %zu patches is too small to look at",
                        dim, patches);
    float mean[3], std[3];
    mcf_normalisation(&network->config.model, mean, std);
    float *input = malloc(n * 3 * pixels * sizeof *input);
    run_task task = {network, input, count, malloc(n * (patches + 1) * 3 * dim * sizeof(float)),
                     malloc(n * (patches + 1) * dim * sizeof(float))};
    look->attention = malloc(n * (size_t)look->heads * patches * sizeof *look->attention);
    look->cls_share = malloc(n * (size_t)look->heads * sizeof *look->cls_share);
    look->features = malloc(n * patches * 3);
    mcf_status status = MCF_OK;
    if (!input || !task.qkv || !task.tokens || !look->attention || !look->cls_share || !look->features)
        status = mcf_fail(err, MCF_ERR_NOMEM, "no memory to look");
    for (size_t i = 0; i < n && status == MCF_OK; i++)
        for (size_t p = 0; p < pixels; p++)
            for (size_t c = 0; c < 3; c++)
                input[(i * 3 + c) * pixels + p] = (images[(i * pixels + p) * 3 + c] / 255.0f - mean[c]) / std[c];
    if (status == MCF_OK)
        status = mcf_job_run(network->device.job, run, &task, err);
    if (status == MCF_OK)
        status = digest(&task, look, err);
    free(input);
    free(task.qkv);
    free(task.tokens);
    if (status != MCF_OK)
        mcf_look_free(look);
    return status;
}
