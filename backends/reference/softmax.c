// Softmax over the last axis, and its gradient.
#include "backends/reference/reference.h"

#include <math.h>

// Writes softmax(x) to y where y is wanted; returns the log of the sum of exponentials.
double ref_softmax_row(const double *x, int64_t n, double *y)
{
    double largest = x[0], sum = 0;
    for (int64_t i = 1; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    for (int64_t i = 0; i < n; i++)
        sum += exp(x[i] - largest);
    double lse = largest + log(sum);
    for (int64_t i = 0; y && i < n; i++)
        y[i] = exp(x[i] - largest) / sum;
    return lse;
}

static int64_t last_size(const ref_call *call)
{
    return ref_in_dim(call, SOFTMAX_IN_x)[call->launch->in[SOFTMAX_IN_x].shape.rank - 1];
}

mcf_status ref_softmax(ref_call *call, mcf_error *err)
{
    const double *x = call->in[SOFTMAX_IN_x];
    double *y = call->out[SOFTMAX_OUT_y];
    int64_t n = last_size(call);
    for (int64_t i = 0, count = ref_in_count(call, SOFTMAX_IN_x); i < count; i += n)
        ref_softmax_row(x + i, n, y + i);
    return MCF_OK;
}

mcf_status ref_softmax_grad(ref_call *call, mcf_error *err)
{
    double *dx = call->out[SOFTMAX_GRAD_OUT_dx];
    int64_t n = last_size(call);
    for (int64_t i = 0, count = ref_in_count(call, SOFTMAX_GRAD_IN_y); i < count; i += n) {
        const double *y = call->in[SOFTMAX_GRAD_IN_y] + i, *dy = call->in[SOFTMAX_GRAD_IN_dy] + i;
        double along = 0;
        for (int64_t j = 0; j < n; j++)
            along += y[j] * dy[j];
        for (int64_t j = 0; j < n; j++)
            dx[i + j] = y[j] * (dy[j] - along);
    }
    return MCF_OK;
}
