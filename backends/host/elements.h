// One element of host memory as a double, whatever its type. Slow and exact: for oracles and sums.
#ifndef MCF_BACKENDS_HOST_ELEMENTS_H
#define MCF_BACKENDS_HOST_ELEMENTS_H

#include "ops/types.h"

#include <math.h>
#include <string.h>

static inline double mcf_load_element(const void *data, mcf_dtype dtype, int64_t i)
{
    switch (dtype) {
    case MCF_F32:
        return ((const float *)data)[i];
    case MCF_F64:
        return ((const double *)data)[i];
    case MCF_F16:
        return mcf_f16_to_f32(((const uint16_t *)data)[i]);
    case MCF_BF16:
        return mcf_bf16_to_f32(((const uint16_t *)data)[i]);
    case MCF_I64:
        return (double)((const int64_t *)data)[i];
    case MCF_I32:
        return ((const int32_t *)data)[i];
    default:
        return ((const uint8_t *)data)[i];
    }
}

// double to float, to odd: a second rounding to 16 bits then gives what one rounding would.
static inline float mcf_round_to_odd(double x)
{
    float f = (float)x;
    if ((double)f == x || isnan(x))
        return f;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if (fabs((double)f) > fabs(x))
        bits--;
    bits |= 1;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline void mcf_store_element(void *data, mcf_dtype dtype, int64_t i, double x)
{
    switch (dtype) {
    case MCF_F32:
        ((float *)data)[i] = (float)x;
        break;
    case MCF_F64:
        ((double *)data)[i] = x;
        break;
    case MCF_F16:
        ((uint16_t *)data)[i] = mcf_f32_to_f16(mcf_round_to_odd(x));
        break;
    case MCF_BF16:
        ((uint16_t *)data)[i] = mcf_f32_to_bf16(mcf_round_to_odd(x));
        break;
    case MCF_I64:
        ((int64_t *)data)[i] = (int64_t)x;
        break;
    case MCF_I32:
        ((int32_t *)data)[i] = (int32_t)x;
        break;
    default:
        ((uint8_t *)data)[i] = (uint8_t)x;
        break;
    }
}

#endif
