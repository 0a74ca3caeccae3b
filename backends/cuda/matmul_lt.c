// Products with a bias or ReLU by cublasLt. How it does a shape is asked once and kept with the stream.
#include "backends/cuda/cuda.h"

#include <stdlib.h>
#include <string.h>

enum { PLANS_MAX = 256, BIAS_ALIGNMENT = 16 }; // past that many plans the oldest goes

struct cuda_lt_plan {
    cuda_lt_product product;
    uint32_t alignment[3]; // of a, b, c that it counts on
    bool usable;
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t a, b, c;
    cublasLtMatmulAlgo_t algorithm;
};

static void destroy_plan(cuda_lt_plan *plan)
{
    if (plan->desc)
        cublasLtMatmulDescDestroy(plan->desc);
    if (plan->a)
        cublasLtMatrixLayoutDestroy(plan->a);
    if (plan->b)
        cublasLtMatrixLayoutDestroy(plan->b);
    if (plan->c)
        cublasLtMatrixLayoutDestroy(plan->c);
}

void cuda_lt_forget(mcf_stream *s)
{
    for (int i = 0; i < s->plan_count; i++)
        destroy_plan(&s->plans[i]);
    free(s->plans);
    s->plans = NULL;
    s->plan_count = s->plan_next = 0;
}

static uint32_t alignment_of(const void *address)
{
    const uintptr_t a = (uintptr_t)address | 256;
    return (uint32_t)(a & (~a + 1));
}

static bool ok(cublasStatus_t status)
{
    return status == CUBLAS_STATUS_SUCCESS;
}

// Row-major c = a b is column-major c' = b' a': b comes first, and the bias has an element for each row of c'.
static bool describe(cuda_lt_plan *plan)
{
    const cuda_lt_product *p = &plan->product;
    const cublasOperation_t op_a = p->turn_b ? CUBLAS_OP_T : CUBLAS_OP_N, op_b = p->turn_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasLtEpilogue_t epilogue = p->bias   ? p->relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS
                                        : p->relu ? CUBLASLT_EPILOGUE_RELU
                                                  : CUBLASLT_EPILOGUE_DEFAULT;
    const uint64_t n = (uint64_t)p->n, m = (uint64_t)p->m, k = (uint64_t)p->k;
    return ok(cublasLtMatmulDescCreate(&plan->desc, CUBLAS_COMPUTE_32F, CUDA_R_32F)) &&
           ok(cublasLtMatmulDescSetAttribute(plan->desc, CUBLASLT_MATMUL_DESC_TRANSA, &op_a, sizeof op_a)) &&
           ok(cublasLtMatmulDescSetAttribute(plan->desc, CUBLASLT_MATMUL_DESC_TRANSB, &op_b, sizeof op_b)) &&
           ok(cublasLtMatmulDescSetAttribute(plan->desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue)) &&
           ok(cublasLtMatrixLayoutCreate(&plan->a, cuda_type(p->type), p->turn_b ? k : n, p->turn_b ? n : k,
                                         p->ld_b)) &&
           ok(cublasLtMatrixLayoutCreate(&plan->b, cuda_type(p->type), p->turn_a ? m : k, p->turn_a ? k : m,
                                         p->ld_a)) &&
           ok(cublasLtMatrixLayoutCreate(&plan->c, cuda_type(p->type_c), n, m, p->ld_c));
}

// Partial sums are added in fp32 in a fixed order, through the workspace, or not made.
static bool choose(mcf_stream *s, cuda_lt_plan *plan)
{
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t found;
    const uint64_t workspace = s->workspace->bytes;
    const uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, *align = plan->alignment;
    int count = 0;
    if (!ok(cublasLtMatmulPreferenceCreate(&preference)))
        return false;
    const bool asked = ok(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                               &workspace, sizeof workspace)) &&
                       ok(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                                               &schemes, sizeof schemes)) &&
                       ok(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
                                                               &align[1], sizeof *align)) &&
                       ok(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                                                               &align[0], sizeof *align)) &&
                       ok(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
                                                               &align[2], sizeof *align)) &&
                       ok(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
                                                               &align[2], sizeof *align)) &&
                       ok(cublasLtMatmulAlgoGetHeuristic(s->lt, plan->desc, plan->a, plan->b, plan->c, plan->c,
                                                         preference, 1, &found, &count));
    cublasLtMatmulPreferenceDestroy(preference);
    if (!asked || count < 1 || found.state != CUBLAS_STATUS_SUCCESS || found.workspaceSize > workspace)
        return false;
    plan->algorithm = found.algo;
    return true;
}

static mcf_status find_plan(mcf_stream *s, const cuda_lt_product *product, const uint32_t alignment[3],
                            cuda_lt_plan **out, mcf_error *err)
{
    for (int i = 0; i < s->plan_count; i++)
        if (!memcmp(&s->plans[i].product, product, sizeof *product) &&
            !memcmp(s->plans[i].alignment, alignment, sizeof s->plans[i].alignment)) {
            *out = &s->plans[i];
            return MCF_OK;
        }
    if (!s->plans && !(s->plans = calloc(PLANS_MAX, sizeof *s->plans)))
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for products");
    cuda_lt_plan *plan = &s->plans[s->plan_next++ % PLANS_MAX];
    if (s->plan_count < PLANS_MAX)
        s->plan_count++;
    else
        destroy_plan(plan);
    memset(plan, 0, sizeof *plan);
    memcpy(&plan->product, product, sizeof *product);
    memcpy(plan->alignment, alignment, sizeof plan->alignment);
    plan->usable = describe(plan) && choose(s, plan);
    *out = plan;
    return MCF_OK;
}

// cublasLt wants the bias in the result's type. What is said of alignment is said of the matrices alone, and some of its
// kernels read the bias by 16 bytes.
static mcf_status convert_bias(mcf_stream *s, const mcf_operand *bias, int64_t n, mcf_dtype type, mcf_operand *to,
                               mcf_error *err)
{
    *to = *bias;
    if (bias->dtype == type && (uintptr_t)cuda_address(bias, 0) % BIAS_ALIGNMENT == 0)
        return MCF_OK;
    MCF_TRY(dev_scratch(s, 2, (uint64_t)n, to, err));
    to->dtype = type;
    dev_kernel_key key = {"movement.cl", "copy_flat", bias->dtype, DEV_NONE, DEV_NONE, type, "", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, s, &key, err));
    dev_operand(&call, bias);
    dev_operand(&call, to);
    dev_int64(&call, n);
    dev_int(&call, 0);
    return dev_run_items(&call, n, 1, 1, err);
}

mcf_status cuda_lt_multiply(mcf_stream *s, const cuda_lt_product *product, const mcf_operand *a, const mcf_operand *b,
                            const mcf_operand *c, const mcf_operand *bias, double factor, bool *done, mcf_error *err)
{
    void *at_a = cuda_address(a, 0), *at_b = cuda_address(b, 0), *at_c = cuda_address(c, 0);
    const uint32_t alignment[3] = {alignment_of(at_a), alignment_of(at_b), alignment_of(at_c)};
    const float alpha = (float)factor, beta = 0;
    cuda_lt_plan *plan = NULL;
    *done = false;
    MCF_TRY(cuda_use(s->device, err));
    MCF_TRY(find_plan(s, product, alignment, &plan, err));
    if (!plan->usable)
        return MCF_OK;
    if (bias) {
        mcf_operand typed;
        MCF_TRY(convert_bias(s, bias, product->n, product->type_c, &typed, err));
        const void *address = cuda_address(&typed, 0);
        if (!ok(cublasLtMatmulDescSetAttribute(plan->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &address,
                                               sizeof address)))
            return mcf_fail(err, MCF_ERR_DEVICE, "cublasLt refuses a bias");
    }
    cublasStatus_t status =
        cublasLtMatmul(s->lt, plan->desc, &alpha, at_b, plan->a, at_a, plan->b, &beta, at_c, plan->c, at_c, plan->c,
                       &plan->algorithm, s->workspace->memory, s->workspace->bytes, s->stream);
    if (status != CUBLAS_STATUS_SUCCESS)
        return mcf_fail(err, MCF_ERR_DEVICE, "cublasLt refuses a product of %d x %d x %d (status %d)", product->m,
                        product->n, product->k, (int)status);
    *done = true;
    return MCF_OK;
}
