// A small matrix product for attention, where the matrices of one head fit the nearest caches and are used at once:
// tiles of c in registers, elements of a broadcast, rows of b as vectors. Large products go to oneDNN.
//
// A template: included once with floats, and once more with pairs of bf16 where the processor multiplies them. The
// includer defines GEMM_NAME(part), GEMM_ELEMENT (of a and b) and GEMM_ADD(sum, element of a, vector of b's row).
#include <stdbool.h>

#include "backends/cpu/simd.h"

#ifndef GEMM_ROWS
// 24 sums in 32 registers, 12 in 16.
#define GEMM_ROWS 6
#if defined(__AVX512F__)
#define GEMM_VECTORS 4
#else
#define GEMM_VECTORS 2
#endif
#endif

VF_INLINE void GEMM_NAME(tile)(float *c, int64_t ldc, const GEMM_ELEMENT *a, int64_t a_row, int64_t a_column,
                               const GEMM_ELEMENT *b, int64_t ldb, int64_t k, bool accumulate, const int rows,
                               const int vectors)
{
    vf sum[GEMM_ROWS][GEMM_VECTORS];
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++)
            sum[i][j] = accumulate ? vf_load(c + i * ldc + j * VF_LANES) : (vf){0};
    for (int64_t l = 0; l < k; l++) {
        vf line[GEMM_VECTORS];
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++)
            line[j] = vf_load((const float *)(b + l * ldb + j * VF_LANES));
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++) {
            GEMM_ELEMENT x = a[i * a_row + l * a_column];
#pragma GCC unroll 8
            for (int j = 0; j < vectors; j++)
                sum[i][j] = GEMM_ADD(sum[i][j], x, line[j]);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < vectors; j++)
            vf_store(c + i * ldc + j * VF_LANES, sum[i][j]);
}

// All rows of c for `vectors` columns of vectors.
VF_INLINE void GEMM_NAME(columns)(float *c, int64_t ldc, const GEMM_ELEMENT *a, int64_t a_row, int64_t a_column,
                                  const GEMM_ELEMENT *b, int64_t ldb, int64_t m, int64_t k, bool accumulate,
                                  const int vectors)
{
    int64_t i = 0;
    for (; i + GEMM_ROWS <= m; i += GEMM_ROWS)
        GEMM_NAME(tile)(c + i * ldc, ldc, a + i * a_row, a_row, a_column, b, ldb, k, accumulate, GEMM_ROWS, vectors);
    for (; i + 2 <= m; i += 2)
        GEMM_NAME(tile)(c + i * ldc, ldc, a + i * a_row, a_row, a_column, b, ldb, k, accumulate, 2, vectors);
    if (i < m)
        GEMM_NAME(tile)(c + i * ldc, ldc, a + i * a_row, a_row, a_column, b, ldb, k, accumulate, 1, vectors);
}

static void GEMM_NAME(all)(float *c, int64_t ldc, const GEMM_ELEMENT *a, int64_t a_row, int64_t a_column,
                           const GEMM_ELEMENT *b, int64_t ldb, int64_t m, int64_t n, int64_t k, bool accumulate)
{
    int64_t j = 0;
    for (; j + GEMM_VECTORS * VF_LANES <= n; j += GEMM_VECTORS * VF_LANES)
        GEMM_NAME(columns)(c + j, ldc, a, a_row, a_column, b + j, ldb, m, k, accumulate, GEMM_VECTORS);
#if GEMM_VECTORS == 4
    for (; j + 2 * VF_LANES <= n; j += 2 * VF_LANES)
        GEMM_NAME(columns)(c + j, ldc, a, a_row, a_column, b + j, ldb, m, k, accumulate, 2);
#endif
    for (; j < n; j += VF_LANES)
        GEMM_NAME(columns)(c + j, ldc, a, a_row, a_column, b + j, ldb, m, k, accumulate, 1);
}

#undef GEMM_NAME
#undef GEMM_ELEMENT
#undef GEMM_ADD
