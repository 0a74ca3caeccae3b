// add, mul, scale, relu, gelu, sigmoid and the gradients of the last three.
#include "backends/reference/reference.h"

#include <math.h>

mcf_status ref_add(ref_call *call, mcf_error *err)
{
    const double *a = call->in[ADD_IN_a], *b = call->in[ADD_IN_b];
    double *out = call->out[ADD_OUT_out];
    double alpha = call->launch->attr.add.alpha, beta = call->launch->attr.add.beta;
    for (int64_t i = 0, count = ref_in_count(call, ADD_IN_a); i < count; i++)
        out[i] = alpha * a[i] + beta * b[i];
    return MCF_OK;
}

mcf_status ref_mul(ref_call *call, mcf_error *err)
{
    const double *a = call->in[MUL_IN_a], *b = call->in[MUL_IN_b];
    double *out = call->out[MUL_OUT_out];
    for (int64_t i = 0, count = ref_in_count(call, MUL_IN_a); i < count; i++)
        out[i] = a[i] * b[i];
    return MCF_OK;
}

mcf_status ref_scale(ref_call *call, mcf_error *err)
{
    const double *x = call->in[SCALE_IN_x];
    double *out = call->out[SCALE_OUT_out];
    double alpha = call->launch->attr.scale.alpha, beta = call->launch->attr.scale.beta;
    for (int64_t i = 0, count = ref_in_count(call, SCALE_IN_x); i < count; i++)
        out[i] = alpha * x[i] + beta;
    return MCF_OK;
}

// NaN stays NaN, so that a broken network shows.
mcf_status ref_relu(ref_call *call, mcf_error *err)
{
    const double *x = call->in[RELU_IN_x];
    double *y = call->out[RELU_OUT_y];
    for (int64_t i = 0, count = ref_in_count(call, RELU_IN_x); i < count; i++)
        y[i] = x[i] <= 0 ? 0 : x[i];
    return MCF_OK;
}

mcf_status ref_relu_grad(ref_call *call, mcf_error *err)
{
    const double *x = call->in[RELU_GRAD_IN_x], *dy = call->in[RELU_GRAD_IN_dy];
    double *dx = call->out[RELU_GRAD_OUT_dx];
    for (int64_t i = 0, count = ref_in_count(call, RELU_GRAD_IN_x); i < count; i++)
        dx[i] = x[i] > 0 ? dy[i] : 0;
    return MCF_OK;
}

double ref_gelu_value(double x)
{
    return 0.5 * x * (1 + erf(x * M_SQRT1_2));
}

mcf_status ref_gelu(ref_call *call, mcf_error *err)
{
    const double *x = call->in[GELU_IN_x];
    double *y = call->out[GELU_OUT_y];
    for (int64_t i = 0, count = ref_in_count(call, GELU_IN_x); i < count; i++)
        y[i] = ref_gelu_value(x[i]);
    return MCF_OK;
}

mcf_status ref_gelu_grad(ref_call *call, mcf_error *err)
{
    const double *dy = call->in[GELU_GRAD_IN_dy];
    double *dx = call->out[GELU_GRAD_OUT_dx];
    for (int64_t i = 0, count = ref_in_count(call, GELU_GRAD_IN_x); i < count; i++) {
        double x = call->in[GELU_GRAD_IN_x][i];
        double cumulative = 0.5 * (1 + erf(x * M_SQRT1_2));
        double density = exp(-0.5 * x * x) / sqrt(2 * M_PI);
        dx[i] = dy[i] * (cumulative + x * density);
    }
    return MCF_OK;
}

mcf_status ref_sigmoid(ref_call *call, mcf_error *err)
{
    const double *x = call->in[SIGMOID_IN_x];
    double *y = call->out[SIGMOID_OUT_y];
    for (int64_t i = 0, count = ref_in_count(call, SIGMOID_IN_x); i < count; i++)
        y[i] = 1 / (1 + exp(-x[i]));
    return MCF_OK;
}

mcf_status ref_sigmoid_grad(ref_call *call, mcf_error *err)
{
    const double *dy = call->in[SIGMOID_GRAD_IN_dy], *y = call->in[SIGMOID_GRAD_IN_y];
    double *dx = call->out[SIGMOID_GRAD_OUT_dx];
    for (int64_t i = 0, count = ref_in_count(call, SIGMOID_GRAD_IN_y); i < count; i++)
        dx[i] = dy[i] * y[i] * (1 - y[i]);
    return MCF_OK;
}
