#include "ops/types.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
    bool is_float;
} dtypes[MCF_DTYPE_COUNT] = {
    [MCF_F32] = {"f32", 4, true},   [MCF_F64] = {"f64", 8, true},  [MCF_F16] = {"f16", 2, true},
    [MCF_BF16] = {"bf16", 2, true}, [MCF_I64] = {"i64", 8, false}, [MCF_I32] = {"i32", 4, false},
    [MCF_U8] = {"u8", 1, false},
};

size_t mcf_dtype_size(mcf_dtype dtype)
{
    return dtypes[dtype].size;
}
const char *mcf_dtype_name(mcf_dtype dtype)
{
    return dtypes[dtype].name;
}
bool mcf_dtype_is_float(mcf_dtype dtype)
{
    return dtypes[dtype].is_float;
}

mcf_shape mcf_shape_make(int rank, const int64_t *dims)
{
    mcf_shape shape = {.rank = rank};
    for (int i = 0; i < rank && i < MCF_MAX_RANK; i++)
        shape.dim[i] = dims[i];
    return shape;
}

int64_t mcf_shape_count(const mcf_shape *shape)
{
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++)
        count *= shape->dim[i];
    return count;
}

bool mcf_shape_equal(const mcf_shape *a, const mcf_shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

mcf_status mcf_shape_count_checked(const mcf_shape *shape, int64_t *count, mcf_error *err)
{
    int64_t product = 1;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] < 0)
            return mcf_fail(err, MCF_ERR_SHAPE, "negative size %lld", (long long)shape->dim[i]);
        if (__builtin_mul_overflow(product, shape->dim[i], &product))
            return mcf_fail(err, MCF_ERR_SHAPE, "sizes overflow 64 bits");
    }
    *count = product;
    return MCF_OK;
}

char *mcf_shape_print(const mcf_shape *shape, char *buffer, size_t size)
{
    size_t used = 0;
    buffer[0] = '\0';
    for (int i = 0; i < shape->rank && used < size; i++)
        used += (size_t)snprintf(buffer + used, size - used, "%s%lld", i ? ", " : "[", (long long)shape->dim[i]);
    if (used < size)
        snprintf(buffer + used, size - used, shape->rank ? "]" : "[]");
    return buffer;
}

float mcf_bf16_to_f32(uint16_t x)
{
    uint32_t bits = (uint32_t)x << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

uint16_t mcf_f32_to_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((bits >> 16) | 0x40u);
    bits += 0x7fffu + ((bits >> 16) & 1u);
    return (uint16_t)(bits >> 16);
}

float mcf_f16_to_f32(uint16_t x)
{
    uint32_t sign = (uint32_t)(x & 0x8000u) << 16;
    uint32_t exponent = (x >> 10) & 0x1fu;
    uint32_t mantissa = x & 0x3ffu;
    uint32_t bits;
    if (exponent == 31) {
        bits = sign | 0x7f800000u | (mantissa << 13);
    } else if (exponent) {
        bits = sign | ((exponent + 112) << 23) | (mantissa << 13);
    } else {
        // Subnormal: the value is mantissa * 2^-24, exact in float.
        float f = (float)mantissa * 0x1p-24f;
        memcpy(&bits, &f, sizeof bits);
        bits |= sign;
    }
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

uint16_t mcf_f32_to_f16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint16_t sign = (uint16_t)((bits >> 16) & 0x8000u);
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) // rounds past 65504
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude < 0x38800000u) {
        // Below 2^-14: adding 0.5 puts the rounding place at 2^-24.
        float f;
        memcpy(&f, &magnitude, sizeof f);
        f += 0.5f;
        memcpy(&bits, &f, sizeof bits);
        return (uint16_t)(sign | (uint16_t)(bits - 0x3f000000u));
    }
    magnitude += 0xfffu + ((magnitude >> 13) & 1u);
    return (uint16_t)(sign | (uint16_t)((magnitude - 0x38000000u) >> 13));
}
