// Retrieval: every image asks for the others of its person.
//
// Similarity is the cosine of the features. For a query with R relevant images, ranked by falling similarity,
// average precision is (1/R) sum over relevant ranks r of (relevant among the first r) / r; mAP is its mean over the
// queries that have R > 0 (Manning, Raghavan, Schuetze 2008, section 8.4).
#include "infer/score/retrieval.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    float similarity;
    int64_t index;
} hit;

static int by_similarity(const void *a, const void *b)
{
    const hit *x = a, *y = b;
    if (x->similarity != y->similarity)
        return x->similarity > y->similarity ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

// Rows of length 1, or 0 where they are 0.
static mcf_status to_unit_length(const float *features, int64_t n, int dim, float *unit, mcf_error *err)
{
    for (int64_t i = 0; i < n; i++) {
        double norm = 0;
        for (int d = 0; d < dim; d++)
            norm += (double)features[i * dim + d] * features[i * dim + d];
        if (!isfinite(norm))
            return mcf_fail(err, MCF_ERR_NUMERIC, "the features of image %lld are not finite", (long long)i);
        norm = norm > 0 ? 1 / sqrt(norm) : 0;
        for (int d = 0; d < dim; d++)
            unit[i * dim + d] = (float)(features[i * dim + d] * norm);
    }
    return MCF_OK;
}

mcf_status mcf_retrieve(const float *features, const int32_t *labels, int64_t n, int dim,
                        const volatile sig_atomic_t *stop, mcf_retrieval *result, mcf_error *err)
{
    *result = (mcf_retrieval){0};
    if (n == 0)
        return MCF_OK;
    float *unit = malloc((size_t)n * (size_t)dim * sizeof *unit);
    hit *hits = malloc((size_t)n * sizeof *hits);
    mcf_status status = MCF_OK;
    if (!unit || !hits) {
        status = mcf_fail(err, MCF_ERR_NOMEM, "no memory to compare %lld images", (long long)n);
        goto done;
    }
    status = to_unit_length(features, n, dim, unit, err);
    if (status != MCF_OK)
        goto done;
    double first = 0, precision_sum = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t count = 0, relevant = 0;
        if (stop && *stop) { // a query takes a hundredth of a second among 100,000 images
            status = mcf_fail(err, MCF_ERR_INTERRUPTED, "stopped after %lld of %lld queries; nothing was written",
                              (long long)i, (long long)n);
            goto done;
        }
        for (int64_t j = 0; j < n; j++) {
            if (j == i)
                continue;
            float s = 0;
            for (int d = 0; d < dim; d++)
                s += unit[i * dim + d] * unit[j * dim + d];
            hits[count++] = (hit){s, j};
            relevant += labels[j] == labels[i];
        }
        // A person counts once, at its first image.
        bool known = false;
        for (int64_t j = 0; j < i && !known; j++)
            known = labels[j] == labels[i];
        result->people += !known;
        if (relevant == 0)
            continue;
        qsort(hits, (size_t)count, sizeof *hits, by_similarity);
        double precision = 0;
        int64_t found = 0;
        for (int64_t r = 0; r < count && found < relevant; r++)
            if (labels[hits[r].index] == labels[i])
                precision += (double)++found / (double)(r + 1);
        precision_sum += precision / (double)relevant;
        first += labels[hits[0].index] == labels[i];
        result->queries++;
    }
    if (result->queries > 0) {
        result->rank1 = first / (double)result->queries;
        result->map = precision_sum / (double)result->queries;
    }
done:
    free(unit);
    free(hits);
    return status;
}
