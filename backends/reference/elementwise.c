// add, mul, scale, relu, gelu, sigmoid and the gradients of the last three.
#include "backends/reference/reference.h"

#include <math.h>

mcf_status ref_add(ref_call *call, mcf_error *err)
{
    double alpha = call->launch->attr.add.alpha, beta = call->launch->attr.add.beta;
    for (int64_t i = 0, count = ref_in_count(call, 0); i < count; i++)
        call->out[0][i] = alpha * call->in[0][i] + beta * call->in[1][i];
    return MCF_OK;
}

mcf_status ref_mul(ref_call *call, mcf_error *err)
{
    for (int64_t i = 0, count = ref_in_count(call, 0); i < count; i++)
        call->out[0][i] = call->in[0][i] * call->in[1][i];
    return MCF_OK;
}

mcf_status ref_scale(ref_call *call, mcf_error *err)
{
    double alpha = call->launch->attr.scale.alpha, beta = call->launch->attr.scale.beta;
    for (int64_t i = 0, count = ref_in_count(call, 0); i < count; i++)
        call->out[0][i] = alpha * call->in[0][i] + beta;
    return MCF_OK;
}

// NaN stays NaN, so that a broken network shows.
mcf_status ref_relu(ref_call *call, mcf_error *err)
{
    for (int64_t i = 0, count = ref_in_count(call, 0); i < count; i++)
        call->out[0][i] = call->in[0][i] <= 0 ? 0 : call->in[0][i];
    return MCF_OK;
}

mcf_status ref_relu_grad(ref_call *call, mcf_error *err)
{
    for (int64_t i = 0, count = ref_in_count(call, 0); i < count; i++)
        call->out[0][i] = call->in[0][i] > 0 ? call->in[1][i] : 0;
    return MCF_OK;
}

double ref_gelu_value(double x)
{
    return 0.5 * x * (1 + erf(x * M_SQRT1_2));
}

mcf_status ref_gelu(ref_call *call, mcf_error *err)
{
    for (int64_t i = 0, count = ref_in_count(call, 0); i < count; i++)
        call->out[0][i] = ref_gelu_value(call->in[0][i]);
    return MCF_OK;
}

mcf_status ref_gelu_grad(ref_call *call, mcf_error *err)
{
    for (int64_t i = 0, count = ref_in_count(call, 0); i < count; i++) {
        double x = call->in[0][i];
        double cumulative = 0.5 * (1 + erf(x * M_SQRT1_2));
        double density = exp(-0.5 * x * x) / sqrt(2 * M_PI);
        call->out[0][i] = call->in[1][i] * (cumulative + x * density);
    }
    return MCF_OK;
}

mcf_status ref_sigmoid(ref_call *call, mcf_error *err)
{
    for (int64_t i = 0, count = ref_in_count(call, 0); i < count; i++)
        call->out[0][i] = 1 / (1 + exp(-call->in[0][i]));
    return MCF_OK;
}

mcf_status ref_sigmoid_grad(ref_call *call, mcf_error *err)
{
    for (int64_t i = 0, count = ref_in_count(call, 0); i < count; i++)
        call->out[0][i] = call->in[1][i] * call->in[0][i] * (1 - call->in[0][i]);
    return MCF_OK;
}
