// ema and adamw: what changes in place between steps.
#include "backends/reference/reference.h"

#include <math.h>

mcf_status ref_ema(ref_call *call, mcf_error *err)
{
    const double *target = call->in[EMA_IN_target], *source = call->in[EMA_IN_source];
    double *out = call->out[EMA_OUT_out];
    double momentum = call->in[EMA_IN_momentum] ? call->in[EMA_IN_momentum][0] : call->launch->attr.ema.momentum;
    double scale = call->launch->attr.ema.scale;
    for (int64_t i = 0, count = ref_in_count(call, EMA_IN_target); i < count; i++)
        out[i] = momentum * target[i] + (1 - momentum) * scale * source[i];
    return MCF_OK;
}

// As PyTorch's AdamW: decay first, then the moments, then the step.
mcf_status ref_adamw(ref_call *call, mcf_error *err)
{
    const double *before = call->in[ADAMW_IN_param], *grad = call->in[ADAMW_IN_grad],
                 *range = call->in[ADAMW_IN_ranges];
    const double *scalar = call->in[ADAMW_IN_scalars], *rates = call->in[ADAMW_IN_rates];
    double *param = call->out[ADAMW_OUT_out], *m = call->in[ADAMW_IN_m], *v = call->in[ADAMW_IN_v];
    const mcf_launch *l = call->launch;
    int64_t count = ref_in_count(call, ADAMW_IN_param), ranges = ref_in_dim(call, ADAMW_IN_ranges)[0];
    double beta1 = scalar[MCF_ADAMW_BETA1], beta2 = scalar[MCF_ADAMW_BETA2];
    for (int64_t i = 0; i < count; i++)
        param[i] = before[i];
    if (!isfinite(scalar[MCF_ADAMW_NORM2]))
        return MCF_OK;
    double scale = scalar[MCF_ADAMW_GRAD_SCALE], norm = sqrt(scalar[MCF_ADAMW_NORM2]) * scale;
    if (scalar[MCF_ADAMW_CLIP] > 0 && norm > scalar[MCF_ADAMW_CLIP])
        scale *= scalar[MCF_ADAMW_CLIP] / norm;
    for (int64_t s = 0; s < ranges; s++) {
        double first = range[2 * s], last = range[2 * s + 1];
        double lr = scalar[MCF_ADAMW_LR] * rates[2 * s], decay = rates[2 * s + 1];
        if (first < 0 || last < first || last > (double)count)
            return mcf_fail(err, MCF_ERR_SHAPE, "range %lld is [%.0f, %.0f) of %lld elements", (long long)s, first,
                            last, (long long)count);
        for (int64_t i = (int64_t)first; i < (int64_t)last; i++) {
            const double g = grad[i] * scale;
            param[i] *= 1 - lr * decay;
            m[i] = beta1 * m[i] + (1 - beta1) * g;
            v[i] = beta2 * v[i] + (1 - beta2) * g * g;
            double corrected_m = m[i] / scalar[MCF_ADAMW_CORRECTION1];
            double corrected_v = v[i] / scalar[MCF_ADAMW_CORRECTION2];
            param[i] -= lr * corrected_m / (sqrt(corrected_v) + scalar[MCF_ADAMW_EPS]);
        }
    }
    // The moments are inputs that change as well.
    ref_write(&l->in[ADAMW_IN_m], m, false);
    ref_write(&l->in[ADAMW_IN_v], v, false);
    return MCF_OK;
}
