// bfloat16 as the real header names it, as far as the kernels use it.
#ifndef MCF_EMULATOR_CUDA_BF16_H
#define MCF_EMULATOR_CUDA_BF16_H

extern "C" {
#include "ops/types.h"
}

struct __nv_bfloat16 {
    unsigned short bits;
};
inline float __bfloat162float(__nv_bfloat16 x)
{
    return mcf_bf16_to_f32(x.bits);
}
inline __nv_bfloat16 __float2bfloat16_rn(float x)
{
    return {mcf_f32_to_bf16(x)};
}

#endif
