// A product of few rows with a matrix whose rows lie along the sum, as a linear layer's weights do: c = a b^T. Every
// element of c is a sum in one order that depends on k alone, so a row's result has the same bits whatever rows stand
// beside it. Blocks of DOTS_ROWS x DOTS_COLUMNS sums share what they load.
#include <stdint.h>

#include "backends/cpu/simd.h"

// 16 sums and 8 operands in 32 registers, 8 and 6 in 16.
enum { DOTS_COLUMNS = 4 };
#if defined(__AVX512F__)
enum { DOTS_ROWS = 4 };
#else
enum { DOTS_ROWS = 2 };
#endif

VF_INLINE void dots_step(vf sum[DOTS_ROWS][DOTS_COLUMNS], const vf *a, const vf *b, const int rows, const int columns)
{
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < columns; j++)
            sum[i][j] = vf_fma(a[i], b[j], sum[i][j]);
}

VF_INLINE void dots_block(float *c, int64_t ldc, const float *a, int64_t lda, const float *b, int64_t ldb, int64_t k,
                          const float *bias, const int rows, const int columns)
{
    vf sum[DOTS_ROWS][DOTS_COLUMNS] = {{{0}}}, x[DOTS_ROWS], y[DOTS_COLUMNS];
    int64_t l = 0;
    for (; l + VF_LANES <= k; l += VF_LANES) {
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++)
            x[i] = vf_load(a + i * lda + l);
#pragma GCC unroll 8
        for (int j = 0; j < columns; j++)
            y[j] = vf_load(b + j * ldb + l);
        dots_step(sum, x, y, rows, columns);
    }
    if (l < k) {
#pragma GCC unroll 8
        for (int i = 0; i < rows; i++)
            x[i] = vf_load_part(a + i * lda + l, k - l);
#pragma GCC unroll 8
        for (int j = 0; j < columns; j++)
            y[j] = vf_load_part(b + j * ldb + l, k - l);
        dots_step(sum, x, y, rows, columns);
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < columns; j++)
            c[i * ldc + j] = vf_sum(sum[i][j]) + (bias ? bias[j] : 0);
}

VF_INLINE void dots_columns(float *c, int64_t ldc, const float *a, int64_t lda, const float *b, int64_t ldb, int64_t m,
                            int64_t k, const float *bias, const int columns)
{
    int64_t i = 0;
    for (; i + DOTS_ROWS <= m; i += DOTS_ROWS)
        dots_block(c + i * ldc, ldc, a + i * lda, lda, b, ldb, k, bias, DOTS_ROWS, columns);
    for (; i < m; i++)
        dots_block(c + i * ldc, ldc, a + i * lda, lda, b, ldb, k, bias, 1, columns);
}

static void dots(float *c, int64_t ldc, const float *a, int64_t lda, const float *b, int64_t ldb, int64_t m, int64_t n,
                 int64_t k, const float *bias)
{
    int64_t j = 0;
    for (; j + DOTS_COLUMNS <= n; j += DOTS_COLUMNS)
        dots_columns(c + j, ldc, a, lda, b + j * ldb, ldb, m, k, bias ? bias + j : NULL, DOTS_COLUMNS);
    for (; j < n; j++)
        dots_columns(c + j, ldc, a, lda, b + j * ldb, ldb, m, k, bias ? bias + j : NULL, 1);
}
