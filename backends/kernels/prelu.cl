// prelu of x [R,C] with slope [C]: x where x > 0, else slope*x. Back: dx, and the terms x dy of dslope where x <= 0.
#include "device.h"

#if defined(MCF_PRELU)
KERNEL void prelu(GRID INPUT(T0, x), INPUT(f32, slope), TENSOR(TO, out), I64 count, I64 channels)
{
    const I64 i = GLOBAL_ID(0);
    AT(x);
    AT(slope);
    AT(out);
    if (i < count) {
        const float v = LOAD(T0, x, i);
        STORE(TO, out, i, v > 0 ? v : slope[i % channels] * v);
    }
}
#endif

#if defined(MCF_PRELU_GRAD)
KERNEL void prelu_grad(GRID INPUT(T0, x), INPUT(f32, slope), INPUT(T1, dy), TENSOR(TO, dx), TENSOR(f32, terms),
                       I64 count, I64 channels, int wanted)
{
    const I64 i = GLOBAL_ID(0);
    AT(x);
    AT(slope);
    AT(dy);
    AT(dx);
    AT(terms);
    if (i < count) {
        const float v = LOAD(T0, x, i), d = LOAD(T1, dy, i);
        STORE(TO, dx, i, v > 0 ? d : slope[i % channels] * d);
        if (wanted)
            terms[i] = v > 0 ? 0.0f : v * d;
    }
}
#endif
