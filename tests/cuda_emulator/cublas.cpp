// Products as cuBLAS gives them: float sums over float, half or bfloat16.
#include "emulator.h"

#include "include/cublas_v2.h"

extern "C" {
#include "ops/types.h"
}

using namespace emulator;

struct cublasContext {
    cudaStream_t stream;
    int device;
};

namespace {

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
        const long long place = batch * stride + (transposed ? j + i * ld : i + j * ld);
        if (type == CUDA_R_32F)
            return ((const float *)data)[place];
        const uint16_t bits = ((const uint16_t *)data)[place];
        return type == CUDA_R_16F ? mcf_f16_to_f32(bits) : mcf_bf16_to_f32(bits);
    }
    bool inside(int batches, int device) const
    {
        if (!rows || !columns || !batches)
            return true;
        const long long last = (batches - 1) * stride + (transposed ? columns - 1 + (rows - 1) * ld
                                                                    : rows - 1 + (columns - 1) * ld);
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

void multiply(const matrix &a, const matrix &b, const matrix &c, int k, int batches, float alpha, float beta)
{
    std::vector<float> left((size_t)c.rows * (size_t)k), sum((size_t)c.rows);
    for (int batch = 0; batch < batches; batch++) {
        for (int p = 0; p < k; p++)
            for (int i = 0; i < c.rows; i++)
                left[(size_t)p * (size_t)c.rows + (size_t)i] = a.at(batch, i, p);
        for (int j = 0; j < c.columns; j++) {
            std::fill(sum.begin(), sum.end(), 0.0f);
            for (int p = 0; p < k; p++) {
                const float right = b.at(batch, p, j), *column = &left[(size_t)p * (size_t)c.rows];
                for (int i = 0; i < c.rows; i++)
                    sum[(size_t)i] += column[i] * right;
            }
            for (int i = 0; i < c.rows; i++)
                store(c, batch, i, j, alpha * sum[(size_t)i] + (beta != 0 ? beta * c.at(batch, i, j) : 0));
        }
    }
}

}

extern "C" {

cublasStatus_t cublasCreate(cublasHandle_t *handle)
{
    *handle = new cublasContext{nullptr, current_device()};
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
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void *memory, size_t bytes)
{
    guard g(lock);
    return within(memory, bytes) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
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
    if (!handle->stream || handle->stream->device != handle->device)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!ma.inside(batch, handle->device) || !mb.inside(batch, handle->device) || !mc.inside(batch, handle->device)) {
        fail_device(handle->device, cudaErrorIllegalAddress, "cublasGemmStridedBatchedEx: an operand out of bounds");
        return CUBLAS_STATUS_EXECUTION_FAILED;
    }
    const float alpha_value = *(const float *)alpha, beta_value = *(const float *)beta;
    cudaError_t error = enqueue(
        handle->stream, {[=] { multiply(ma, mb, mc, k, batch, alpha_value, beta_value); }, nullptr, nullptr});
    return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

}
