// Conversions between half and float, as the real header names them.
#ifndef MCF_EMULATOR_CUDA_FP16_H
#define MCF_EMULATOR_CUDA_FP16_H

extern "C" {
#include "ops/types.h"
}

struct __half {
    unsigned short bits;
};
inline __half __ushort_as_half(unsigned short bits)
{
    return {bits};
}
inline unsigned short __half_as_ushort(__half x)
{
    return x.bits;
}
inline float __half2float(__half x)
{
    return mcf_f16_to_f32(x.bits);
}
inline __half __float2half_rn(float x)
{
    return {mcf_f32_to_f16(x)};
}

#endif
