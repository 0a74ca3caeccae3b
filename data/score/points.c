#include "data/score/points.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    int points;
    const char *name;
    mcf_norm norm;
} norms[] = {
    {0, "diagonal", {.kind = MCF_NORM_DIAGONAL}},
    {0, "box", {.kind = MCF_NORM_BOX}},
    {19, "inter-ocular", {.left_count = 1, .right_count = 1, .left = {6}, .right = {11}}},
    {19, "inter-pupil", {.left_count = 1, .right_count = 1, .left = {7}, .right = {10}}},
    {68, "inter-ocular", {.left_count = 1, .right_count = 1, .left = {36}, .right = {45}}},
    {68,
     "inter-pupil",
     {.left_count = 6, .right_count = 6, .left = {36, 37, 38, 39, 40, 41}, .right = {42, 43, 44, 45, 46, 47}}},
    {98, "inter-ocular", {.left_count = 1, .right_count = 1, .left = {60}, .right = {72}}},
    {98, "inter-pupil", {.left_count = 1, .right_count = 1, .left = {96}, .right = {97}}},
};

const mcf_norm *mcf_norm_find(int points, const char *name)
{
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++)
        if ((!norms[i].points || norms[i].points == points) && strcmp(norms[i].name, name) == 0)
            return &norms[i].norm;
    return NULL;
}

static void mean_of(const double *face, const int *which, int count, double out[2])
{
    out[0] = out[1] = 0;
    for (int i = 0; i < count; i++)
        for (int axis = 0; axis < 2; axis++)
            out[axis] += face[2 * which[i] + axis] / count;
}

static mcf_status size_of(const double *truth, const double *box, const mcf_norm *norm, int64_t face, double *size,
                          mcf_error *err)
{
    if (norm->kind == MCF_NORM_POINTS) {
        double left[2], right[2];
        mean_of(truth, norm->left, norm->left_count, left);
        mean_of(truth, norm->right, norm->right_count, right);
        *size = hypot(left[0] - right[0], left[1] - right[1]);
        return *size > 0 ? MCF_OK
                         : mcf_fail(err, MCF_ERR_FORMAT, "face %lld has coincident eye corners", (long long)face);
    }
    const double width = box[2] - box[0], height = box[3] - box[1];
    if (!(width > 0 && height > 0 && isfinite(width) && isfinite(height)))
        return mcf_fail(err, MCF_ERR_FORMAT, "face %lld has a box without area", (long long)face);
    *size = norm->kind == MCF_NORM_BOX ? sqrt(width * height) : sqrt(width * width + height * height);
    return MCF_OK;
}

// In NumPy's order (eight running sums, halves above 128), as the published scores are: errors that lie on the threshold
// then fall on the same side of it.
static double sum_of(const double *x, int n)
{
    if (n > 128) {
        const int half = n / 2 - n / 2 % 8;
        return sum_of(x, half) + sum_of(x + half, n - half);
    }
    double r[8] = {0}, sum = 0;
    int i = 0;
    if (n >= 8) {
        for (; i + 8 <= n; i += 8)
            for (int k = 0; k < 8; k++)
                r[k] += x[i + k];
        sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    }
    for (; i < n; i++)
        sum += x[i];
    return sum;
}

// distance [points]: room.
static mcf_status error_of(const double *p, const double *t, const double *box, int64_t face, int points,
                           const mcf_norm *norm, double *distance, double *error, mcf_error *err)
{
    double size = 1;
    for (int i = 0; i < 2 * points; i++) {
        if (!isfinite(p[i]))
            return mcf_fail(err, MCF_ERR_FORMAT, "face %lld has a prediction that is not finite", (long long)face);
        if (!isfinite(t[i]))
            return mcf_fail(err, MCF_ERR_FORMAT, "face %lld has a point that is not finite", (long long)face);
    }
    MCF_TRY(size_of(t, box, norm, face, &size, err));
    for (int i = 0; i < points; i++) {
        const double dx = p[2 * i] - t[2 * i], dy = p[2 * i + 1] - t[2 * i + 1];
        distance[i] = sqrt(dx * dx + dy * dy) / size;
    }
    *error = sum_of(distance, points) / points;
    return MCF_OK;
}

mcf_status mcf_point_errors(const double *pred, const double *truth, const double *box, int64_t faces, int points,
                            const mcf_norm *norm, double *errors, mcf_error *err)
{
    double *distance = malloc((size_t)points * sizeof *distance);
    mcf_status status = distance ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for %d distances", points);
    for (int64_t f = 0; status == MCF_OK && f < faces; f++)
        status = error_of(pred + f * points * 2, truth + f * points * 2, box ? box + 4 * f : NULL, f, points, norm,
                          distance, errors + f, err);
    free(distance);
    return status;
}

// Simpson's rule over n >= 2 values `step` apart.
static double simpson(const double *y, int64_t n, double step)
{
    double sum = y[0] + y[n - 1];
    for (int64_t i = 1; i + 1 < n; i++)
        sum += y[i] * (i % 2 ? 4 : 2);
    return sum * step / 3;
}

// scipy.integrate.simps(even="avg"): with an even number of values the mean of "Simpson on all but the last interval,
// trapezoid there" and "trapezoid on the first, Simpson on the rest".
static double simpson_average(const double *y, int64_t n, double step)
{
    if (n % 2)
        return simpson(y, n, step);
    if (n == 2)
        return (y[0] + y[1]) / 2 * step;
    const double first = simpson(y, n - 1, step) + (y[n - 2] + y[n - 1]) / 2 * step;
    const double last = simpson(y + 1, n - 1, step) + (y[0] + y[1]) / 2 * step;
    return (first + last) / 2;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

mcf_status mcf_point_score_make(const double *errors, int64_t faces, double threshold, mcf_point_score *score,
                                mcf_error *err)
{
    const double step = 0.0001;
    *score = (mcf_point_score){0};
    if (faces < 1)
        return mcf_fail(err, MCF_ERR_USAGE, "there are no faces to score");
    if (threshold > 1e4)
        return mcf_fail(err, MCF_ERR_USAGE, "the threshold %g is above 10000", threshold);
    for (int64_t f = 0; f < faces; f++)
        score->nme += errors[f] / (double)faces;
    if (!(threshold > 0))
        return MCF_OK;
    // numpy.arange(0, stop, step) has ceil(stop / step) values i step, computed in double.
    const int64_t grid = (int64_t)ceil((threshold + step) / step);
    double *sorted = malloc((size_t)faces * sizeof *sorted), *curve = calloc((size_t)grid, sizeof *curve);
    if (!sorted || !curve) {
        free(sorted);
        free(curve);
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the curve of %lld errors", (long long)faces);
    }
    memcpy(sorted, errors, (size_t)faces * sizeof *sorted);
    qsort(sorted, (size_t)faces, sizeof *sorted, compare);
    int64_t below = 0, above = 0;
    for (int64_t i = 0; i < grid; i++) {
        while (below < faces && sorted[below] <= (double)i * step)
            below++;
        curve[i] = (double)below / (double)faces;
    }
    score->grid = grid;
    score->auc_farl = simpson_average(curve, grid, step) / threshold;
    score->fr_farl = 1 - curve[grid - 1];
    for (int64_t f = 0; f < faces; f++) {
        score->auc_exact += fmax(0, 1 - errors[f] / threshold) / (double)faces;
        above += errors[f] > threshold;
    }
    score->fr_exact = (double)above / (double)faces;
    free(sorted);
    free(curve);
    return MCF_OK;
}
