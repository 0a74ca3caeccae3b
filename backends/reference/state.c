// ema and adamw: what changes in place between steps.
#include "backends/reference/reference.h"

#include <math.h>

mcf_status ref_ema(ref_call *call, mcf_error *err)
{
    double momentum = call->in[2] ? call->in[2][0] : call->launch->attr.ema.momentum;
    double scale = call->launch->attr.ema.scale;
    for (int64_t i = 0, count = ref_in_count(call, 0); i < count; i++)
        call->out[0][i] = momentum * call->in[0][i] + (1 - momentum) * scale * call->in[1][i];
    return MCF_OK;
}

// As PyTorch's AdamW: decay first, then the moments, then the step.
mcf_status ref_adamw(ref_call *call, mcf_error *err)
{
    const mcf_launch *l = call->launch;
    int64_t count = ref_in_count(call, 0), ranges = ref_in_dim(call, 4)[0];
    const double *scalar = call->in[6];
    double *param = call->out[0], *m = call->in[2], *v = call->in[3];
    double beta1 = scalar[MCF_ADAMW_BETA1], beta2 = scalar[MCF_ADAMW_BETA2];
    for (int64_t i = 0; i < count; i++)
        param[i] = call->in[0][i];
    if (!isfinite(scalar[MCF_ADAMW_NORM2]))
        return MCF_OK;
    double scale = scalar[MCF_ADAMW_GRAD_SCALE], norm = sqrt(scalar[MCF_ADAMW_NORM2]) * scale;
    if (scalar[MCF_ADAMW_CLIP] > 0 && norm > scalar[MCF_ADAMW_CLIP])
        scale *= scalar[MCF_ADAMW_CLIP] / norm;
    for (int64_t s = 0; s < ranges; s++) {
        double first = call->in[4][2 * s], last = call->in[4][2 * s + 1];
        double lr = scalar[MCF_ADAMW_LR] * call->in[5][2 * s], decay = call->in[5][2 * s + 1];
        if (first < 0 || last < first || last > (double)count)
            return mcf_fail(err, MCF_ERR_SHAPE, "range %lld is [%.0f, %.0f) of %lld elements", (long long)s, first,
                            last, (long long)count);
        for (int64_t i = (int64_t)first; i < (int64_t)last; i++) {
            double grad = call->in[1][i] * scale;
            param[i] *= 1 - lr * decay;
            m[i] = beta1 * m[i] + (1 - beta1) * grad;
            v[i] = beta2 * v[i] + (1 - beta2) * grad * grad;
            double corrected_m = m[i] / scalar[MCF_ADAMW_CORRECTION1];
            double corrected_v = v[i] / scalar[MCF_ADAMW_CORRECTION2];
            param[i] -= lr * corrected_m / (sqrt(corrected_v) + scalar[MCF_ADAMW_EPS]);
        }
    }
    // The moments are inputs that change as well.
    ref_write(&l->in[2], m, false);
    ref_write(&l->in[3], v, false);
    return MCF_OK;
}
