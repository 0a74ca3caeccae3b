// State in flat memory: the moving average and AdamW, each one pass.
#include <math.h>

#include "backends/cpu/cpu.h"

mcf_status mcf_cpu_op_ema(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *target = &l->out[EMA_OUT_out], *source = &l->in[EMA_IN_source];
    const mcf_cpu_kernels *k = device->kernels;
    double m =
        mcf_cpu_has_input(l, 2) ? *(const float *)mcf_cpu_address(&l->in[EMA_IN_momentum]) : l->attr.ema.momentum;
    float keep = (float)m, take = (float)((1 - m) * l->attr.ema.scale);
    int64_t total = mcf_shape_count(&target->shape), pieces = (total + MCF_CPU_LINE - 1) / MCF_CPU_LINE;
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, total))
    for (int64_t i = 0; i < pieces; i++) {
        float room[2][MCF_CPU_LINE];
        int64_t at = i * MCF_CPU_LINE, n = mcf_cpu_min(total - at, MCF_CPU_LINE);
        void *place = mcf_cpu_at(target, at);
        const float *t = mcf_cpu_read(k, room[0], place, target->dtype, 1, n);
        const float *s = mcf_cpu_read(k, room[1], mcf_cpu_at(source, at), source->dtype, 1, n);
        float *to = mcf_cpu_place(room[0], place, target->dtype);
        k->add(to, t, s, keep, take, n);
        mcf_cpu_write(k, place, target->dtype, to, n);
    }
    return MCF_OK;
}

mcf_status mcf_cpu_op_adamw(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    enum { PIECE = 16384 };
    float *param = (float *)mcf_cpu_address(&l->in[ADAMW_IN_param]), *m = (float *)mcf_cpu_address(&l->in[ADAMW_IN_m]);
    float *v = (float *)mcf_cpu_address(&l->in[ADAMW_IN_v]);
    const float *grad = (const float *)mcf_cpu_address(&l->in[ADAMW_IN_grad]);
    const int64_t *ranges = (const int64_t *)mcf_cpu_address(&l->in[ADAMW_IN_ranges]);
    const float *rates = (const float *)mcf_cpu_address(&l->in[ADAMW_IN_rates]);
    const float *scalars = (const float *)mcf_cpu_address(&l->in[ADAMW_IN_scalars]);
    int64_t count = l->in[ADAMW_IN_ranges].shape.dim[0], total = mcf_shape_count(&l->in[ADAMW_IN_param].shape);
    if (!isfinite(scalars[MCF_ADAMW_NORM2]))
        return MCF_OK;
    float scale = scalars[MCF_ADAMW_GRAD_SCALE], norm = sqrtf(scalars[MCF_ADAMW_NORM2]) * scale;
    if (scalars[MCF_ADAMW_CLIP] > 0 && norm > scalars[MCF_ADAMW_CLIP])
        scale *= scalars[MCF_ADAMW_CLIP] / norm;
    for (int64_t i = 0; i < count; i++)
        if (ranges[2 * i] < 0 || ranges[2 * i] > ranges[2 * i + 1] || ranges[2 * i + 1] > total)
            return mcf_fail(err, MCF_ERR_SHAPE, "adamw: range %lld [%lld, %lld) does not lie in %lld elements",
                            (long long)i, (long long)ranges[2 * i], (long long)ranges[2 * i + 1], (long long)total);
    // The whole table is dealt to the threads at once: many ranges are small.
    int shares = mcf_cpu_team(device, total);
#pragma omp parallel for schedule(static) num_threads(shares)
    for (int share = 0; share < shares; share++) {
        int64_t from, to;
        mcf_cpu_share((total + PIECE - 1) / PIECE, shares, share, &from, &to);
        from *= PIECE;
        to = mcf_cpu_min(to * PIECE, total);
        for (int64_t i = 0; i < count; i++) {
            int64_t begin = mcf_cpu_max(ranges[2 * i], from), end = mcf_cpu_min(ranges[2 * i + 1], to);
            if (begin >= end)
                continue;
            float lr = scalars[MCF_ADAMW_LR] * rates[2 * i];
            mcf_cpu_adamw_step c = {
                .grad_scale = scale,
                .beta1 = scalars[MCF_ADAMW_BETA1],
                .beta2 = scalars[MCF_ADAMW_BETA2],
                .eps = scalars[MCF_ADAMW_EPS],
                .step = lr / scalars[MCF_ADAMW_CORRECTION1],
                .correction2 = 1.0f / sqrtf(scalars[MCF_ADAMW_CORRECTION2]),
                .keep = 1.0f - lr * rates[2 * i + 1],
            };
            device->kernels->adamw(param + begin, grad + begin, m + begin, v + begin, &c, end - begin);
        }
    }
    return MCF_OK;
}
