// Products: by cuBLAS where it can take the operands, by cublasLt where a bias or ReLU comes with them, else by the
// kernel with tiles. GELU follows in a kernel, in place, for cublasLt's is the tanh form. Sums are fp32, tensor cores do
// 16-bit types; the workspace is the stream's own, so that the same product gives the same bits and can be captured.
//
// cuBLAS counts column by column: the row-major c = a b is its c' = b' a', where each matrix as it lies in memory is
// already the transposed one.
#include "backends/cuda/cuda.h"

#include <limits.h>

enum { FEW = 4096 }; // elements of a product, for which another pass costs nothing

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static mcf_status multiply_tile(mcf_stream *stream, const dev_product *p, mcf_error *err)
{
    const mcf_operand *a = p->a.operand, *b = p->b.operand, *c = p->c.operand;
    dev_kernel_key key = {"matmul.cl", "product_tile", a->dtype, b->dtype, DEV_NONE, c->dtype, "", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, a);
    dev_operand(&call, b);
    dev_operand(&call, p->bias);
    dev_operand(&call, c);
    dev_bytes(&call, &p->a.steps, sizeof p->a.steps);
    dev_bytes(&call, &p->b.steps, sizeof p->b.steps);
    dev_bytes(&call, &p->c.steps, sizeof p->c.steps);
    dev_int64(&call, p->m);
    dev_int64(&call, p->n);
    dev_int64(&call, p->k);
    dev_int64(&call, p->batch1 > 1 ? p->batch1 : 1);
    dev_float(&call, p->alpha);
    dev_int(&call, p->bias != NULL);
    dev_int(&call, p->activation);
    dev_int(&call, p->add);
    return dev_run(&call, (const size_t[]){16, 16, 1}, ceil_div(p->n, 64), ceil_div(p->m, 64), p->batch0 * p->batch1,
                   err);
}

// A matrix for cuBLAS.
typedef struct {
    cublasOperation_t op;
    int ld;
    long long stride;
    const mcf_operand *operand;
} shape;

// Rows or columns that lie one behind the other; false where neither do.
static bool leading(const dev_steps *s, int64_t rows, int64_t columns, shape *out)
{
    int64_t ld;
    if (s->column == 1 && s->row >= columns)
        out->op = CUBLAS_OP_N, ld = s->row;
    else if (s->row == 1 && s->column >= rows)
        out->op = CUBLAS_OP_T, ld = s->column;
    else if (s->column == 1 && rows == 1)
        out->op = CUBLAS_OP_N, ld = columns;
    else
        return false;
    out->ld = (int)ld;
    return ld > 0 && ld <= INT_MAX;
}

// All batches that one stride reaches, in as few calls as that takes.
static mcf_status gemm(mcf_stream *s, const dev_product *p, shape a, shape b, shape c, const dev_steps *sc, bool add,
                       mcf_error *err)
{
    const float alpha = (float)p->alpha, beta = add ? 1.0f : 0.0f;
    const dev_steps *steps[3] = {&p->a.steps, &p->b.steps, sc};
    const bool second = p->batch1 > 1;
    bool even = true;
    for (int i = 0; i < 3; i++)
        even = even && (!second || steps[i]->batch0 == steps[i]->batch1 * p->batch1);
    const int64_t calls = p->batch0 > 1 && second && !even ? p->batch0 : 1;
    const int64_t batch = calls > 1 ? p->batch1 : p->batch0 * p->batch1;
    MCF_TRY(cuda_use(s->device, err));
    for (int64_t i = 0; i < calls; i++) {
        // The plain call for one product: whether a batch of one is cut along k the same way is nowhere written.
        cublasStatus_t status =
            batch == 1
                ? cublasGemmEx(s->cublas, b.op, a.op, (int)p->n, (int)p->m, (int)p->k, &alpha,
                               cuda_address(b.operand, i * steps[1]->batch0), cuda_type(b.operand->dtype), b.ld,
                               cuda_address(a.operand, i * steps[0]->batch0), cuda_type(a.operand->dtype), a.ld, &beta,
                               cuda_address(c.operand, i * steps[2]->batch0), cuda_type(c.operand->dtype), c.ld,
                               CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT)
                : cublasGemmStridedBatchedEx(s->cublas, b.op, a.op, (int)p->n, (int)p->m, (int)p->k, &alpha,
                                             cuda_address(b.operand, i * steps[1]->batch0), cuda_type(b.operand->dtype),
                                             b.ld, second ? steps[1]->batch1 : steps[1]->batch0,
                                             cuda_address(a.operand, i * steps[0]->batch0), cuda_type(a.operand->dtype),
                                             a.ld, second ? steps[0]->batch1 : steps[0]->batch0, &beta,
                                             cuda_address(c.operand, i * steps[2]->batch0), cuda_type(c.operand->dtype),
                                             c.ld, second ? steps[2]->batch1 : steps[2]->batch0, (int)batch,
                                             CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
        if (status != CUBLAS_STATUS_SUCCESS)
            return mcf_fail(err, MCF_ERR_DEVICE, "cuBLAS refuses a product of %lld x %lld x %lld (status %d)",
                            (long long)p->m, (long long)p->n, (long long)p->k, (int)status);
    }
    return MCF_OK;
}

// Bias, activation and conversion of [m, n]; may be in place.
static mcf_status epilogue(mcf_stream *stream, const dev_product *p, const mcf_operand *from, int64_t from_row,
                           const mcf_operand *bias, mcf_error *err)
{
    dev_kernel_key key = {"matmul.cl", "epilogue", from->dtype, DEV_NONE, DEV_NONE, p->c.operand->dtype, "", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, from);
    dev_operand(&call, bias);
    dev_operand(&call, p->c.operand);
    dev_int64(&call, p->n);
    dev_int64(&call, from_row);
    dev_bytes(&call, &p->c.steps, sizeof p->c.steps);
    dev_int(&call, bias != NULL);
    dev_int(&call, p->activation);
    dev_int(&call, p->add);
    return dev_run_items(&call, p->n, p->m, 1, err);
}

static mcf_status gelu_in_place(mcf_stream *s, const dev_product *p, mcf_error *err)
{
    mcf_launch l = {.op = MCF_OP_gelu, .n_in = 1, .n_out = 1};
    l.in[GELU_IN_x] = *p->c.operand;
    l.in[GELU_IN_x].shape = MCF_SHAPE(p->m * p->n);
    l.out[GELU_OUT_y] = l.in[GELU_IN_x];
    if (p->c.steps.row == p->n && cuda_gelu_fits(&l))
        return cuda_gelu(s, &l, err);
    return epilogue(s, p, p->c.operand, p->c.steps.row, NULL, err);
}

// c = act(a b + bias) for c of the products' type or fp32.
static mcf_status gemm_with_bias(mcf_stream *s, const dev_product *p, shape a, shape b, shape c, mcf_error *err)
{
    const cuda_lt_product product = {
        .m = (int)p->m,
        .n = (int)p->n,
        .k = (int)p->k,
        .turn_a = a.op == CUBLAS_OP_T,
        .turn_b = b.op == CUBLAS_OP_T,
        .ld_a = a.ld,
        .ld_b = b.ld,
        .ld_c = c.ld,
        .type = p->a.operand->dtype,
        .type_c = p->c.operand->dtype,
        .bias = p->bias != NULL,
        .relu = p->activation == MCF_ACT_RELU,
    };
    bool done = false;
    MCF_TRY(cuda_lt_multiply(s, &product, p->a.operand, p->b.operand, p->c.operand, p->bias, p->alpha, &done, err));
    if (!done) {
        MCF_TRY(gemm(s, p, a, b, c, &p->c.steps, false, err));
        return epilogue(s, p, p->c.operand, p->c.steps.row, p->bias, err);
    }
    return p->activation == MCF_ACT_GELU ? gelu_in_place(s, p, err) : MCF_OK;
}

mcf_status dev_multiply(mcf_stream *s, const dev_product *p, mcf_error *err)
{
    const mcf_operand *c = p->c.operand;
    const mcf_dtype type = p->a.operand->dtype;
    const int64_t batches = p->batch0 * p->batch1;
    shape a = {.operand = p->a.operand}, b = {.operand = p->b.operand}, to = {.operand = c};
    if (p->m < 1 || p->n < 1 || batches < 1)
        return MCF_OK;
    const bool tensor_type = cuda_product_type_fits(s->device->properties.major, type);
    if (p->k < 1 || type != b.operand->dtype || !tensor_type || p->m > INT_MAX || p->n > INT_MAX || p->k > INT_MAX ||
        batches > INT_MAX || !leading(&p->a.steps, p->m, p->k, &a) || !leading(&p->b.steps, p->k, p->n, &b))
        return multiply_tile(s, p, err);
    const bool plain = !p->bias && !p->activation, same_type = c->dtype == MCF_F32 || c->dtype == type;
    if (same_type && leading(&p->c.steps, p->m, p->n, &to) && to.op == CUBLAS_OP_N) {
        if (plain)
            return gemm(s, p, a, b, to, &p->c.steps, p->add, err);
        // In place GELU takes what has been rounded before: too much with bf16's 8 bits. So is a bias that cublasLt
        // wants in bf16, where a sum of few elements is close to nothing.
        const bool rounds = c->dtype == MCF_BF16 && (p->activation == MCF_ACT_GELU || p->m * p->n < FEW);
        if (batches == 1 && !p->add && !rounds)
            return gemm_with_bias(s, p, a, b, to, err);
    }
    if (batches > 1)
        return multiply_tile(s, p, err);
    mcf_operand sums;
    const dev_steps steps = {p->n, 1, 0, 0};
    MCF_TRY(dev_scratch(s, 1, (uint64_t)(p->m * p->n), &sums, err));
    to = (shape){CUBLAS_OP_N, (int)p->n, 0, &sums};
    MCF_TRY(gemm(s, p, a, b, to, &steps, false, err));
    return epilogue(s, p, &sums, p->n, p->bias, err);
}
