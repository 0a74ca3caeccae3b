// Features are standardised over the samples (one that never changes counts as zero) and targets centred, so that the
// penalty treats features alike and leaves the offset alone. With X [n,d] and Y [n,t] after that,
//
//   W = (X^T X + lambda I)^-1 X^T Y,   A = X^T X + lambda I = U^T U (Cholesky).
//
// lambda is n times the member of PENALTIES with the least leave-one-out error, which needs no second fit: with
// h_i = 1/n + x_i^T A^-1 x_i, the error of sample i when it is left out is (y_i - yhat_i) / (1 - h_i) (Hastie,
// Tibshirani, Friedman 2009, eq. 7.64). The standardisation is not repeated without the sample.
//
// All sums are in double and in one order; inner loops run along rows, which compilers turn into vectors without
// changing that order.
#include "infer/score/ridge.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64 }; // samples whose leverage is computed together

static const double PENALTIES[] = {1e-4, 1e-3, 1e-2, 1e-1, 1};

typedef struct {
    int64_t n;
    int d, t;
    const double *x, *y;   // standardised [n,d], centred [n,t]
    const double *gram;    // X^T X [d,d], upper half
    const double *product; // X^T Y [d,t]
    double *factor;        // U [d,d], upper half
    double *weights;       // [d,t]
    double *block, *guess; // [d,BLOCK], [t]
} problem;

// Upper Cholesky factor in place, from the upper half. The penalty keeps the matrix away from singular ones.
static bool cholesky(double *a, int d)
{
    for (int k = 0; k < d; k++) {
        double *pivot = a + (size_t)k * d;
        if (!(pivot[k] > 0))
            return false;
        const double root = sqrt(pivot[k]);
        for (int j = k; j < d; j++)
            pivot[j] /= root;
        for (int i = k + 1; i < d; i++) {
            double *row = a + (size_t)i * d;
            const double factor = pivot[i];
            for (int j = i; j < d; j++)
                row[j] -= factor * pivot[j];
        }
    }
    return true;
}

// b [d,t] becomes U^-T b.
static void solve_lower(const double *factor, int d, int t, double *b)
{
    for (int k = 0; k < d; k++) {
        const double *row = factor + (size_t)k * d;
        double *done = b + (size_t)k * t;
        for (int c = 0; c < t; c++)
            done[c] /= row[k];
        for (int j = k + 1; j < d; j++) {
            double *out = b + (size_t)j * t;
            for (int c = 0; c < t; c++)
                out[c] -= row[j] * done[c];
        }
    }
}

// b [d,t] becomes U^-1 b.
static void solve_upper(const double *factor, int d, int t, double *b)
{
    for (int k = d - 1; k >= 0; k--) {
        const double *row = factor + (size_t)k * d;
        double *out = b + (size_t)k * t;
        for (int j = k + 1; j < d; j++)
            for (int c = 0; c < t; c++)
                out[c] -= row[j] * b[(size_t)j * t + c];
        for (int c = 0; c < t; c++)
            out[c] /= row[k];
    }
}

// x^T A^-1 x = |U^-T x|^2 of `count` samples
static void leverages(const problem *p, int64_t first, int count, double *h)
{
    for (int k = 0; k < p->d; k++)
        for (int i = 0; i < count; i++)
            p->block[(size_t)k * count + i] = p->x[(first + i) * p->d + k];
    solve_lower(p->factor, p->d, count, p->block);
    memset(h, 0, (size_t)count * sizeof *h);
    for (int k = 0; k < p->d; k++)
        for (int i = 0; i < count; i++)
            h[i] += p->block[(size_t)k * count + i] * p->block[(size_t)k * count + i];
}

// Weights and leave-one-out error for one penalty; infinite where the matrix has no factor.
static double fit_one(problem *p, double penalty)
{
    const int d = p->d, t = p->t;
    memcpy(p->factor, p->gram, (size_t)d * (size_t)d * sizeof *p->factor);
    for (int i = 0; i < d; i++)
        p->factor[(size_t)i * d + i] += penalty * (double)p->n;
    if (!cholesky(p->factor, d))
        return INFINITY;
    memcpy(p->weights, p->product, (size_t)d * (size_t)t * sizeof *p->weights);
    solve_lower(p->factor, d, t, p->weights);
    solve_upper(p->factor, d, t, p->weights);
    double error = 0, h[BLOCK];
    for (int64_t first = 0; first < p->n; first += BLOCK) {
        const int count = p->n - first < BLOCK ? (int)(p->n - first) : BLOCK;
        leverages(p, first, count, h);
        for (int i = 0; i < count; i++) {
            const double *x = p->x + (first + i) * d, *y = p->y + (first + i) * t;
            double sum = 0;
            memset(p->guess, 0, (size_t)t * sizeof *p->guess);
            for (int k = 0; k < d; k++)
                for (int c = 0; c < t; c++)
                    p->guess[c] += x[k] * p->weights[(size_t)k * t + c];
            for (int c = 0; c < t; c++)
                sum += (y[c] - p->guess[c]) * (y[c] - p->guess[c]);
            const double rest = 1 - 1 / (double)p->n - h[i];
            error += sum / (rest * rest);
        }
    }
    return error / ((double)p->n * t);
}

static mcf_status fit(mcf_ridge *r, const float *x, const float *y, int64_t n, double *standard, double *centred,
                      problem *p, mcf_error *err)
{
    const int d = r->features, t = r->targets;
    for (int64_t i = 0; i < n; i++) {
        for (int k = 0; k < d; k++)
            r->mean[k] += x[i * d + k] / (double)n;
        for (int c = 0; c < t; c++)
            r->offset[c] += y[i * t + c] / (double)n;
    }
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < d; k++) {
            const double off = x[i * d + k] - r->mean[k];
            r->scale[k] += off * off / (double)n;
        }
    bool finite = true;
    for (int k = 0; k < d; k++) {
        finite &= isfinite(r->scale[k]) != 0;
        // Rounding of the mean alone is no change.
        r->scale[k] = r->scale[k] > 1e-12 * r->mean[k] * r->mean[k] ? 1 / sqrt(r->scale[k]) : 0;
    }
    for (int c = 0; c < t; c++)
        finite &= isfinite(r->offset[c]) != 0;
    if (!finite)
        return mcf_fail(err, MCF_ERR_NUMERIC, "ridge regression: features or targets are not finite");
    double *gram = (double *)p->gram, *product = (double *)p->product;
    for (int64_t i = 0; i < n; i++) {
        double *a = standard + i * d, *b = centred + i * t;
        for (int k = 0; k < d; k++)
            a[k] = (x[i * d + k] - r->mean[k]) * r->scale[k];
        for (int c = 0; c < t; c++)
            b[c] = y[i * t + c] - r->offset[c];
        for (int k = 0; k < d; k++) {
            for (int j = k; j < d; j++)
                gram[(size_t)k * d + j] += a[k] * a[j];
            for (int c = 0; c < t; c++)
                product[(size_t)k * t + c] += a[k] * b[c];
        }
    }
    r->error = INFINITY;
    for (size_t i = 0; i < sizeof PENALTIES / sizeof *PENALTIES; i++) {
        const double error = fit_one(p, PENALTIES[i]);
        if (error < r->error) {
            r->error = error;
            r->penalty = PENALTIES[i];
            memcpy(r->weights, p->weights, (size_t)d * (size_t)t * sizeof *r->weights);
        }
    }
    return isfinite(r->error) ? MCF_OK
                              : mcf_fail(err, MCF_ERR_NUMERIC, "ridge regression: no penalty gave a finite error");
}

mcf_status mcf_ridge_fit(mcf_ridge *r, const float *x, const float *y, int64_t n, int d, int t, mcf_error *err)
{
    *r = (mcf_ridge){.features = d, .targets = t};
    if (n < 3 || d < 1 || t < 1)
        return mcf_fail(err, MCF_ERR_USAGE, "ridge regression: %lld samples are too few", (long long)n);
    const size_t square = (size_t)d * (size_t)d, across = (size_t)d * (size_t)t;
    r->mean = calloc((size_t)d, sizeof *r->mean);
    r->scale = calloc((size_t)d, sizeof *r->scale);
    r->offset = calloc((size_t)t, sizeof *r->offset);
    r->weights = calloc(across, sizeof *r->weights);
    // Standardised x, centred y, gram, product, factor, weights, a block of samples, a guess.
    double *space =
        calloc((size_t)n * (size_t)(d + t) + 2 * square + 2 * across + (size_t)(d * BLOCK + t), sizeof *space);
    mcf_status status = MCF_OK;
    if (!r->mean || !r->scale || !r->offset || !r->weights || !space) {
        status = mcf_fail(err, MCF_ERR_NOMEM, "no memory for a ridge regression of %lld samples with %d features",
                          (long long)n, d);
    } else {
        double *x64 = space, *y64 = x64 + n * d, *gram = y64 + n * t, *product = gram + square;
        double *factor = product + across, *weights = factor + square;
        double *block = weights + across;
        problem p = {n, d, t, x64, y64, gram, product, factor, weights, block, block + (size_t)d * BLOCK};
        status = fit(r, x, y, n, x64, y64, &p, err);
    }
    free(space);
    if (status != MCF_OK)
        mcf_ridge_free(r);
    return status;
}

void mcf_ridge_predict(const mcf_ridge *r, const float *x, int64_t n, float *y)
{
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < r->targets; c++) {
            double sum = r->offset[c];
            for (int k = 0; k < r->features; k++)
                sum += (x[i * r->features + k] - r->mean[k]) * r->scale[k] * r->weights[(size_t)k * r->targets + c];
            y[i * r->targets + c] = (float)sum;
        }
}

void mcf_ridge_free(mcf_ridge *r)
{
    free(r->mean);
    free(r->scale);
    free(r->weights);
    free(r->offset);
    *r = (mcf_ridge){0};
}
