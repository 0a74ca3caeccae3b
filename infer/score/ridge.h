// Ridge regression: y ~ b + W^T x by least squares with a penalty on W, in closed form. For linear probes of features.
#ifndef MCF_INFER_SCORE_RIDGE_H
#define MCF_INFER_SCORE_RIDGE_H

#include <stdint.h>

#include "base/error.h"

typedef struct {
    int features, targets;
    double *mean, *scale; // [features] of the samples fitted on; x counts as (x - mean) * scale
    double *weights;      // [features, targets]
    double *offset;       // [targets]: means of the targets
    double penalty;       // lambda / samples, the one of the grid with the least error
    double error;         // its leave-one-out mean squared error over samples and targets
} mcf_ridge;

// x [samples, features], y [samples, targets], at least 3 samples. Memory: 2 * features^2 doubles and the standardised
// x. Errors: MCF_ERR_USAGE (too few samples), MCF_ERR_NUMERIC (values that are not finite), MCF_ERR_NOMEM.
mcf_status mcf_ridge_fit(mcf_ridge *ridge, const float *x, const float *y, int64_t samples, int features, int targets,
                         mcf_error *err);
// y [samples, targets] of x [samples, features].
void mcf_ridge_predict(const mcf_ridge *ridge, const float *x, int64_t samples, float *y);
void mcf_ridge_free(mcf_ridge *ridge); // zeros are fine

#endif
