// What changes in place between steps:
//   ema    target = m target + (1 - m) scale source, m an argument or the first element of a tensor
//   adamw  Adam with decoupled weight decay (Loshchilov & Hutter 2019): with g = grad * grad_scale, shortened to the
//          norm `clip`, and nothing at all where the gradients' sum of squares is not finite,
//          param *= 1 - lr decay; m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
//          param -= lr (m / correction1) / (sqrt(v / correction2) + eps)
#include "device.h"

#if defined(MCF_EMA)
KERNEL void ema(GRID TENSOR(T0, target), INPUT(T1, source), INPUT(f32, momentum), I64 n, float m, float scale, int has)
{
    const I64 i = GLOBAL_ID(0);
    AT(target);
    AT(source);
    AT(momentum);
    if (i < n) {
        const float keep = has ? momentum[0] : m;
        STORE(T0, target, i, keep * LOAD(T0, target, i) + (1.0f - keep) * scale * LOAD(T1, source, i));
    }
}
#endif

#if defined(MCF_ADAMW)
// A group takes CHUNK elements and, one after the other, the ranges that reach into them.
KERNEL void adamw(GRID TENSOR(f32, param), INPUT(f32, grad), TENSOR(f32, m), TENSOR(f32, v), INPUT(i64, ranges),
                  INPUT(f32, rates), INPUT(f32, scalars), I64 n, I64 chunk, I64 count)
{
    const I64 low = GROUP_ID(0) * chunk, high = low + chunk < n ? low + chunk : n;
    AT(param);
    AT(grad);
    AT(m);
    AT(v);
    AT(ranges);
    AT(rates);
    AT(scalars);
    // In the order of enum mcf_adamw_scalar.
    const float lr = scalars[0], beta1 = scalars[1], beta2 = scalars[2], eps = scalars[3];
    const float correction1 = scalars[4], correction2 = scalars[5], clip = scalars[7], norm2 = scalars[8];
    const float norm = SQRT(norm2) * scalars[6];
    const float grad_scale = clip > 0 && norm > clip ? scalars[6] * (clip / norm) : scalars[6];
    if (!(norm2 <= 3.402823466e38f)) // not finite
        return;
    for (I64 s = 0; s < count; s++) {
        const I64 begin = ranges[2 * s] > low ? ranges[2 * s] : low;
        const I64 end = ranges[2 * s + 1] < high ? ranges[2 * s + 1] : high;
        if (begin >= end)
            continue;
        const float rate = lr * rates[2 * s], keep = 1.0f - rate * rates[2 * s + 1];
        GLOBAL float *p_ = param + begin, *m_ = m + begin, *v_ = v + begin;
        GLOBAL const float *g_ = grad + begin;
        EACH(i, end - begin)
        {
            const float g = g_[i] * grad_scale;
            const float first = beta1 * m_[i] + (1.0f - beta1) * g;
            const float second = beta2 * v_[i] + (1.0f - beta2) * g * g;
            m_[i] = first;
            v_[i] = second;
            p_[i] = p_[i] * keep - rate * (first / correction1) / (SQRT(second / correction2) + eps);
        }
    }
}
#endif
