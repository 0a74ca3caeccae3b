// Element types, shapes and tensor descriptors: what every floor speaks.
#ifndef MCF_OPS_TYPES_H
#define MCF_OPS_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef enum {
    MCF_F32 = 0,
    MCF_F64, // cpu-reference only, for finite differences
    MCF_F16,
    MCF_BF16,
    MCF_I64,
    MCF_I32,
    MCF_U8,
    MCF_DTYPE_COUNT
} mcf_dtype;

enum { MCF_MAX_RANK = 6 };

size_t mcf_dtype_size(mcf_dtype dtype);      // bytes of one element
const char *mcf_dtype_name(mcf_dtype dtype); // "f32", "bf16", ...
bool mcf_dtype_is_float(mcf_dtype dtype);

// Row-major sizes; rank 0 is a scalar of one element. A size may be 0.
typedef struct {
    int rank;
    int64_t dim[MCF_MAX_RANK];
} mcf_shape;

mcf_shape mcf_shape_make(int rank, const int64_t *dims);
#define MCF_SHAPE(...)                                                                                                 \
    mcf_shape_make((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})
int64_t mcf_shape_count(const mcf_shape *shape); // elements
bool mcf_shape_equal(const mcf_shape *a, const mcf_shape *b);
// Like mcf_shape_count, but fails with MCF_ERR_SHAPE on a negative size or on overflow: for foreign numbers.
mcf_status mcf_shape_count_checked(const mcf_shape *shape, int64_t *count, mcf_error *err);
// Writes "[6, 3, 32, 32]"; returns buffer.
char *mcf_shape_print(const mcf_shape *shape, char *buffer, size_t size);

// bf16 and f16 are carried as uint16_t; rounding is to nearest even, NaN stays NaN.
float mcf_bf16_to_f32(uint16_t x);
uint16_t mcf_f32_to_bf16(float x);
float mcf_f16_to_f32(uint16_t x);
uint16_t mcf_f32_to_f16(float x);

#endif
