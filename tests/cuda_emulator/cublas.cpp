// Products as cuBLAS and cublasLt give them: float sums over float, half or bfloat16.
#include "emulator.h"

#include "include/cublasLt.h"

extern "C" {
#include "ops/types.h"
}

using namespace emulator;

struct cublasContext {
    cudaStream_t stream;
    int device;
    bool workspace;
};

struct emulator_lt {
    int device;
};
struct emulator_lt_desc {
    int32_t op_a, op_b;
    int32_t epilogue;
    const void *bias;
};
struct emulator_lt_layout {
    cudaDataType type;
    uint64_t rows, columns;
    int64_t ld;
};
struct emulator_lt_preference {
    uint64_t workspace;
    uint32_t schemes;
    uint32_t alignment[4];
};

namespace
{

float element(cudaDataType type, const void *data, long long i)
{
    if (type == CUDA_R_32F)
        return ((const float *)data)[i];
    const uint16_t bits = ((const uint16_t *)data)[i];
    return type == CUDA_R_16F ? mcf_f16_to_f32(bits) : mcf_bf16_to_f32(bits);
}

struct matrix {
    const void *data;
    cudaDataType type;
    bool transposed;
    long long ld, stride;
    int rows, columns; // of op(matrix)

    size_t size() const { return type == CUDA_R_32F ? 4 : 2; }
    // Element (i, j) of op(matrix) of a batch.
    float at(int batch, int i, int j) const
    {
        return element(type, data, batch * stride + (transposed ? j + i * ld : i + j * ld));
    }
    bool inside(int batches, int device) const
    {
        if (!rows || !columns || !batches)
            return true;
        const long long last =
            (batches - 1) * stride + (transposed ? columns - 1 + (rows - 1) * ld : rows - 1 + (columns - 1) * ld);
        const allocation *a = find(data);
        return a && reachable(device, *a) && within(data, (size_t)(last + 1) * size());
    }
};

void store(const matrix &c, int batch, int i, int j, float value)
{
    const long long place = batch * c.stride + i + j * c.ld;
    if (c.type == CUDA_R_32F)
        ((float *)c.data)[place] = value;
    else
        ((uint16_t *)c.data)[place] = c.type == CUDA_R_16F ? mcf_f32_to_f16(value) : mcf_f32_to_bf16(value);
}

// Sums are kept in double: cuBLAS adds in blocks, which is more exact than one float after the other, and a test is to
// fail for what our kernels do, not for an order of sums that no card has.
// bias: of each row, in the type of c; NULL: none.
void multiply(const matrix &a, const matrix &b, const matrix &c, int k, int batches, float alpha, float beta,
              const void *bias, bool relu)
{
    std::vector<float> left((size_t)c.rows * (size_t)k);
    std::vector<double> sum((size_t)c.rows);
    for (int batch = 0; batch < batches; batch++) {
        for (int p = 0; p < k; p++)
            for (int i = 0; i < c.rows; i++)
                left[(size_t)p * (size_t)c.rows + (size_t)i] = a.at(batch, i, p);
        for (int j = 0; j < c.columns; j++) {
            std::fill(sum.begin(), sum.end(), 0.0);
            for (int p = 0; p < k; p++) {
                const float right = b.at(batch, p, j), *column = &left[(size_t)p * (size_t)c.rows];
                for (int i = 0; i < c.rows; i++)
                    sum[(size_t)i] += (double)column[i] * right;
            }
            for (int i = 0; i < c.rows; i++) {
                float value = alpha * (float)sum[(size_t)i] + (beta != 0 ? beta * c.at(batch, i, j) : 0);
                if (bias)
                    value += element(c.type, bias, i);
                store(c, batch, i, j, relu && value < 0 ? 0 : value);
            }
        }
    }
}

} // namespace

extern "C" {

cublasStatus_t cublasCreate(cublasHandle_t *handle)
{
    *handle = new cublasContext{nullptr, current_device(), false};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle)
{
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream)
{
    handle->stream = stream;
    handle->workspace = false;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void *memory, size_t bytes)
{
    guard g(lock);
    handle->workspace = within(memory, bytes);
    return handle->workspace ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode)
{
    return mode == CUBLAS_DEFAULT_MATH || mode == CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION
               ? CUBLAS_STATUS_SUCCESS
               : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m,
                                          int n, int k, const void *alpha, const void *a, cudaDataType type_a, int lda,
                                          long long stride_a, const void *b, cudaDataType type_b, int ldb,
                                          long long stride_b, const void *beta, void *c, cudaDataType type_c, int ldc,
                                          long long stride_c, int batch, cublasComputeType_t compute,
                                          cublasGemmAlgo_t algorithm)
{
    guard g(lock);
    const matrix ma = {a, type_a, op_a == CUBLAS_OP_T, lda, stride_a, m, k},
                 mb = {b, type_b, op_b == CUBLAS_OP_T, ldb, stride_b, k, n},
                 mc = {c, type_c, false, ldc, stride_c, m, n};
    if (m < 0 || n < 0 || k < 0 || batch < 0 || lda < std::max(1, ma.transposed ? k : m) ||
        ldb < std::max(1, mb.transposed ? n : k) || ldc < std::max(1, m))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (type_a != type_b || (type_c != type_a && type_c != CUDA_R_32F) || compute != CUBLAS_COMPUTE_32F)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (!handle->stream || handle->stream->device != handle->device || handle->device != current_device())
        return CUBLAS_STATUS_NOT_INITIALIZED;
    if (handle->stream->capture && !handle->workspace)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (!ma.inside(batch, handle->device) || !mb.inside(batch, handle->device) || !mc.inside(batch, handle->device)) {
        fail_device(handle->device, cudaErrorIllegalAddress, "cublasGemmStridedBatchedEx: an operand out of bounds");
        return CUBLAS_STATUS_EXECUTION_FAILED;
    }
    const float alpha_value = *(const float *)alpha, beta_value = *(const float *)beta;
    cudaError_t error =
        enqueue(handle->stream,
                {[=] { multiply(ma, mb, mc, k, batch, alpha_value, beta_value, nullptr, false); }, nullptr, nullptr});
    return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k,
                            const void *alpha, const void *a, cudaDataType type_a, int lda, const void *b,
                            cudaDataType type_b, int ldb, const void *beta, void *c, cudaDataType type_c, int ldc,
                            cublasComputeType_t compute, cublasGemmAlgo_t algorithm)
{
    return cublasGemmStridedBatchedEx(handle, op_a, op_b, m, n, k, alpha, a, type_a, lda, 0, b, type_b, ldb, 0, beta, c,
                                      type_c, ldc, 0, 1, compute, algorithm);
}

// --- cublasLt

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
    *handle = new emulator_lt{current_device()};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle)
{
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *desc, cublasComputeType_t compute, cudaDataType scale)
{
    if (compute != CUBLAS_COMPUTE_32F || scale != CUDA_R_32F)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    *desc = new emulator_lt_desc{CUBLAS_OP_N, CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT, nullptr};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc)
{
    delete desc;
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t take(void *to, size_t size, const void *value, size_t bytes)
{
    if (bytes != size)
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(to, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute,
                                              const void *value, size_t bytes)
{
    switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
        return take(&desc->op_a, sizeof desc->op_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
        return take(&desc->op_b, sizeof desc->op_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
        return take(&desc->epilogue, sizeof desc->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        return take(&desc->bias, sizeof desc->bias, value, bytes);
    }
    return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType type, uint64_t rows,
                                          uint64_t columns, int64_t ld)
{
    *layout = new emulator_lt_layout{type, rows, columns, ld};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout)
{
    delete layout;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference)
{
    *preference = new emulator_lt_preference{0, ~0u, {256, 256, 256, 256}};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference)
{
    delete preference;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t p,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void *value,
                                                    size_t bytes)
{
    switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
        return take(&p->workspace, sizeof p->workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
        return take(&p->schemes, sizeof p->schemes, value, bytes);
    default:
        return take(&p->alignment[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], sizeof p->alignment[0],
                    value, bytes);
    }
}

static bool lt_shapes(const emulator_lt_desc *desc, const emulator_lt_layout *a, const emulator_lt_layout *b,
                      const emulator_lt_layout *d)
{
    const uint64_t m = desc->op_a == CUBLAS_OP_T ? a->columns : a->rows,
                   k = desc->op_a == CUBLAS_OP_T ? a->rows : a->columns;
    const uint64_t n = desc->op_b == CUBLAS_OP_T ? b->rows : b->columns,
                   l = desc->op_b == CUBLAS_OP_T ? b->columns : b->rows;
    return m == d->rows && n == d->columns && k == l && a->ld >= (int64_t)a->rows && b->ld >= (int64_t)b->rows &&
           d->ld >= (int64_t)d->rows && a->type == b->type && (d->type == a->type || d->type == CUDA_R_32F);
}

// What a way of doing it counts on is kept in it, and looked at when it is used.
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t *results, int *returned)
{
    *returned = 0;
    if (wanted < 1 || !lt_shapes(desc, a, b, d))
        return CUBLAS_STATUS_INVALID_VALUE;
    results[0] = {};
    results[0].workspaceSize = preference->workspace;
    for (int i = 0; i < 4; i++)
        results[0].algo.data[i] = preference->alignment[i];
    results[0].algo.data[4] = preference->workspace;
    results[0].algo.data[5] = (uint64_t)desc->epilogue;
    *returned = 1;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha, const void *a,
                              cublasLtMatrixLayout_t layout_a, const void *b, cublasLtMatrixLayout_t layout_b,
                              const void *beta, const void *c, cublasLtMatrixLayout_t layout_c, void *d,
                              cublasLtMatrixLayout_t layout_d, const cublasLtMatmulAlgo_t *algo, void *workspace,
                              size_t workspace_bytes, cudaStream_t stream)
{
    guard g(lock);
    const bool turned = desc->op_a == CUBLAS_OP_T, turned_b = desc->op_b == CUBLAS_OP_T;
    const int m = (int)layout_d->rows, n = (int)layout_d->columns,
              k = (int)(turned ? layout_a->rows : layout_a->columns);
    const matrix ma = {a, layout_a->type, turned, layout_a->ld, 0, m, k},
                 mb = {b, layout_b->type, turned_b, layout_b->ld, 0, k, n},
                 md = {d, layout_d->type, false, layout_d->ld, 0, m, n};
    const void *bias = desc->epilogue & CUBLASLT_EPILOGUE_BIAS ? desc->bias : nullptr;
    const bool relu = desc->epilogue & CUBLASLT_EPILOGUE_RELU, wants_bias = desc->epilogue & CUBLASLT_EPILOGUE_BIAS;
    const void *address[] = {a, b, c, d};
    if (!lt_shapes(desc, layout_a, layout_b, layout_d) || c != d || *(const float *)beta != 0 || wants_bias != !!bias ||
        algo->data[5] != (uint64_t)desc->epilogue || workspace_bytes < algo->data[4])
        return CUBLAS_STATUS_INVALID_VALUE;
    for (int i = 0; i < 4; i++)
        if ((uintptr_t)address[i] % algo->data[i])
            return CUBLAS_STATUS_INVALID_VALUE;
    if (stream->device != handle->device || handle->device != current_device())
        return CUBLAS_STATUS_NOT_INITIALIZED;
    // Preferences say nothing of the bias, and there are kernels that read it by 16 bytes.
    if ((uintptr_t)bias % 16) {
        fail_device(handle->device, cudaErrorMisalignedAddress, "cublasLtMatmul: a bias at no multiple of 16 bytes");
        return CUBLAS_STATUS_EXECUTION_FAILED;
    }
    if (!ma.inside(1, handle->device) || !mb.inside(1, handle->device) || !md.inside(1, handle->device) ||
        (bias && !within(bias, (size_t)m * md.size())) || (workspace_bytes && !within(workspace, workspace_bytes))) {
        fail_device(handle->device, cudaErrorIllegalAddress, "cublasLtMatmul: an operand out of bounds");
        return CUBLAS_STATUS_EXECUTION_FAILED;
    }
    const float alpha_value = *(const float *)alpha;
    cudaError_t error =
        enqueue(stream, {[=] { multiply(ma, mb, md, k, 1, alpha_value, 0, bias, relu); }, nullptr, nullptr});
    return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
}
