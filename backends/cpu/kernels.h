// The table of inner loops, one for each instruction set, chosen when a device is opened. They work on lines of
// floats that lie in the nearest cache; what calls them brings bf16 lines to float and back. All may be called
// with n = 0; pointers need no alignment; results may overwrite operands of the same place.
#ifndef MCF_BACKENDS_CPU_KERNELS_H
#define MCF_BACKENDS_CPU_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

// Coefficients of one AdamW step over a range.
typedef struct {
    float grad_scale, beta1, beta2, eps;
    float step;        // lr * rate / correction1
    float correction2; // 1/sqrt(1 - beta2^t)
    float keep;        // 1 - lr * rate * decay
} mcf_cpu_adamw_step;

// Where a block of a product goes, and what becomes of it on the way: act(c + bias), or += that.
typedef struct {
    int64_t step; // from row to row, in elements
    bool bf16, accumulate;
    bool streamed;  // past the caches, where floats fill whole lines: what is read much later
    int activation; // MCF_ACT_*
} mcf_cpu_tile_result;

// Products of 32 x 32 blocks on a matrix unit (kernels_tiles.h). Panels are MCF_CPU_PANEL bytes for each 32 along k
// and each level (bf16 have one, floats three), 64-byte aligned, zeros past the operand's end.
enum { MCF_CPU_BLOCK = 32, MCF_CPU_PANEL = 2048, MCF_CPU_FLOAT_LEVELS = 3 };

// Rows [first, end) of a block of 32 that lie along k, `run` whole steps of each: packed as pack_a does.
typedef struct {
    uint16_t *to;
    const uint16_t *from;
    int64_t step, run, first, end;
} mcf_cpu_tile_copy;

typedef struct {
    // The calling thread's use of the unit lies between these.
    void (*begin)(void);
    void (*end)(void);
    // At most 32 rows of a, or columns of b, of k elements. `along`: they are contiguous along k and `step` elements
    // apart; else contiguous across it, and `step` is that from one k to the next.
    void (*pack_a)(uint16_t *to, const void *from, int64_t step, int64_t rows, int64_t k, bool floats, bool along);
    void (*pack_b)(uint16_t *to, const void *from, int64_t step, int64_t columns, int64_t k, bool floats, bool along);
    // c [32, 32], rows ldc apart, = (+= where `add`) a b over `steps` times 32 along k. Of bf16 operands it makes
    // the copy meanwhile, where there is one: the unit leaves time for it.
    void (*multiply)(float *c, int64_t ldc, const uint16_t *a, const uint16_t *b, int64_t steps, bool floats, bool add,
                     const mcf_cpu_tile_copy *copy);
    // Takes rows x columns (at most 32) of c, its rows 32 apart, to their place. bias is of the columns, or NULL.
    void (*finish)(const mcf_cpu_tile_result *result, void *to, const float *c, int64_t rows, int64_t columns,
                   const float *bias);
    // -- attention
    // As pack_a of contiguous rows, from floats rounded to bf16; k is a multiple of 32.
    void (*round_a)(uint16_t *to, const float *from, int64_t step, int64_t rows, int64_t k);
    // 32 rows of n (a multiple of 32) scores s and of dp: p = exp(scale s - lse), ds = p (dp - delta) scale, rounded
    // to bf16 and packed as for a; ds also as plain rows, n apart. lse and delta are of the columns.
    void (*softmax_slopes)(uint16_t *p, uint16_t *ds, uint16_t *ds_rows, const float *s, const float *dp,
                           const float *lse, const float *delta, float scale, int64_t n);
} mcf_cpu_tiles;

typedef struct {
    const char *name; // "amx", "avx512_bf16", "avx512", "avx2", "portable"
    int lanes;        // floats in a vector; widths given to gemm are multiples of it

    // -- element types
    void (*widen)(float *to, const uint16_t *from, int64_t n);  // bf16 -> float
    void (*narrow)(uint16_t *to, const float *from, int64_t n); // float -> bf16
    // Pairs of bf16, one from each line: the first in the low half.
    void (*zip)(uint32_t *to, const uint16_t *even, const uint16_t *odd, int64_t n);

    // -- elementwise
    void (*add)(float *out, const float *a, const float *b, float alpha, float beta, int64_t n);
    void (*mul)(float *out, const float *a, const float *b, int64_t n);
    void (*scale)(float *out, const float *x, float alpha, float beta, int64_t n);
    void (*relu)(float *out, const float *x, int64_t n);
    void (*relu_grad)(float *out, const float *x, const float *dy, int64_t n);
    void (*prelu)(float *out, const float *x, const float *slope, int64_t n); // x where x > 0, else slope x
    void (*maximum)(float *y, const float *x, int64_t n);                     // y = the larger; NaN is larger than all
    void (*gelu)(float *out, const float *x, int64_t n);
    void (*gelu_grad)(float *out, const float *x, const float *dy, int64_t n);
    // For results rounded to bf16: within 2^-12 of each value (slopes: of 1), in half the time.
    void (*gelu_low)(float *out, const float *x, int64_t n);
    void (*gelu_grad_low)(float *out, const float *x, const float *dy, int64_t n);
    void (*sigmoid)(float *out, const float *x, int64_t n);
    void (*sigmoid_grad)(float *out, const float *y, const float *dy, int64_t n);
    void (*axpy)(float *y, const float *x, float a, int64_t n);                // y += a x
    void (*multiply_add)(float *y, const float *a, const float *b, int64_t n); // y += a b

    // -- sums over a line, in one fixed order
    float (*sum)(const float *x, int64_t n);
    float (*dot)(const float *a, const float *b, int64_t n);
    float (*largest)(const float *x, int64_t n); // NaN if there is one
    // out = exp(scale*x - shift); returns their sum
    float (*exp_sum)(float *out, const float *x, float scale, float shift, int64_t n);

    // -- rows of a layer norm; mean and rstd of x over n
    void (*layer_norm)(float *y, const float *x, const float *gamma, const float *beta, float eps, float *mean,
                       float *rstd, int64_t n);
    // dx = rstd (g - mean(g) - xhat mean(g xhat)) + dsum, g = gamma dy; dgamma += dy xhat, dbeta += dy.
    // dsum, dgamma and dbeta may be NULL.
    void (*layer_norm_grad)(float *dx, const float *x, const float *gamma, float mean, float rstd, const float *dy,
                            const float *dsum, float *dgamma, float *dbeta, int64_t n);

    // -- rows of a batch norm: every operand has one value per channel
    void (*square_difference)(float *sum, const float *x, const float *mean, int64_t n); // sum += (x - mean)^2
    void (*normalize)(float *y, const float *x, const float *mean, const float *rstd, const float *gamma,
                      const float *beta, int64_t n); // gamma, beta may be NULL
    void (*normalize_sums)(float *sum_dy, float *sum_dy_xhat, const float *x, const float *mean, const float *rstd,
                           const float *dy, int64_t n);
    void (*normalize_grad)(float *dx, const float *x, const float *mean, const float *rstd, const float *dy,
                           const float *mean_dy, const float *mean_dy_xhat, const float *gamma, int64_t n);

    // -- attention
    // dscore = p (dp - delta) scale, in place of dp
    void (*softmax_slope)(float *dp, const float *p, float delta, float scale, int64_t n);
    // c [m, n] (=, or += where accumulate) a [m, k] b [k, n]; element (i, j) of a at a[i*a_row + j*a_column],
    // rows of b and c ldb and ldc apart, n a multiple of lanes.
    void (*gemm)(float *c, int64_t ldc, const float *a, int64_t a_row, int64_t a_column, const float *b, int64_t ldb,
                 int64_t m, int64_t n, int64_t k, bool accumulate);
    // The same over pairs of bf16 along k: element (i, l) of a is the pair of columns 2l and 2l+1, element (l, j) of b
    // that of rows 2l and 2l+1; k counts pairs. NULL where the processor has no such instruction.
    void (*gemm_pairs)(float *c, int64_t ldc, const uint32_t *a, int64_t a_row, int64_t a_column, const uint32_t *b,
                       int64_t ldb, int64_t m, int64_t n, int64_t k, bool accumulate);

    // -- products of few rows
    // c [m, n] = a [m, k] b^T + bias, b [n, k], bias [n] or NULL; rows lda, ldb and ldc apart. A row of c has the same
    // bits whatever m is and whatever the other rows hold.
    void (*dots)(float *c, int64_t ldc, const float *a, int64_t lda, const float *b, int64_t ldb, int64_t m, int64_t n,
                 int64_t k, const float *bias);

    // -- products on a matrix unit; NULL where the processor has none
    const mcf_cpu_tiles *tiles;

    // -- the feature loss: lines over channels
    // sum += (a inv_a - b inv_b)^2
    void (*hat_difference)(float *sum, const float *a, const float *b, const float *inv_a, const float *inv_b,
                           int64_t n);
    // sum += a inv_a (a inv_a - b inv_b)
    void (*hat_product)(float *sum, const float *a, const float *b, const float *inv_a, const float *inv_b, int64_t n);
    // da = (a inv_a - b inv_b - a inv_a along) inv_a factor
    void (*hat_grad)(float *da, const float *a, const float *b, const float *inv_a, const float *inv_b,
                     const float *along, float factor, int64_t n);

    // -- flat memory
    void (*adamw)(float *param, const float *grad, float *m, float *v, const mcf_cpu_adamw_step *c, int64_t n);
} mcf_cpu_kernels;

extern const mcf_cpu_kernels mcf_cpu_kernels_portable, mcf_cpu_kernels_avx2, mcf_cpu_kernels_avx512,
    mcf_cpu_kernels_avx512_bf16, mcf_cpu_kernels_amx;

// The best table this processor can run. MCF_CPU_ISA=portable|avx2|avx512|avx512_bf16|amx asks for another (for tests
// and for comparing machines); NULL where it names one that does not exist or cannot run here.
const mcf_cpu_kernels *mcf_cpu_choose_kernels(void);

#endif
