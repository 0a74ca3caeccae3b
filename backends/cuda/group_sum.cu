// Sums over the members of a group: out[i] = from[0][i] + from[1][i] + ..., divided, rounded once. 32 and 64 bit are summed in
// double: a card does that as fast as the elements come. Unrolled, so that the addresses stay where arguments are.
#include "backends/cuda/kernel_file.h"

#define GROUP_SUM_KERNEL(T, type, real, load, store)                                                                   \
    static __global__ void group_sum_##T(cuda_members m, type *out, I64 n, int count, int divide)                      \
    {                                                                                                                  \
        const I64 i = (I64)blockIdx.x * CUDA_SUM_BLOCK + threadIdx.x;                                                  \
        if (i < n) {                                                                                                   \
            real sum = 0;                                                                                              \
            _Pragma("unroll") for (int r = 0; r < CUDA_MEMBERS; r++) if (r < count) sum +=                             \
                load((const type *)m.from[r], i);                                                                      \
            if (divide > 1)                                                                                            \
                sum /= divide;                                                                                         \
            store(out, i, sum);                                                                                        \
        }                                                                                                              \
    }
#define LOAD_PLAIN(p, i) ((p)[i])
#define STORE_PLAIN(p, i, v) ((p)[i] = (v))
#define STORE_FLOAT(p, i, v) ((p)[i] = (float)(v))
GROUP_SUM_KERNEL(f32, float, double, LOAD_PLAIN, STORE_FLOAT)
GROUP_SUM_KERNEL(f64, double, double, LOAD_PLAIN, STORE_PLAIN)
GROUP_SUM_KERNEL(f16, U16, float, LOAD_f16, STORE_f16)
GROUP_SUM_KERNEL(bf16, U16, float, LOAD_bf16, STORE_bf16)

// Four loads of a thread are on their way before the first is stored: a link answers after about a microsecond.
template <typename T> static __global__ void group_gather(cuda_parts parts)
{
    enum { AT_ONCE = 4 };
    const cuda_part p = parts.part[blockIdx.y];
    const T *from = (const T *)p.from;
    T *to = (T *)p.to;
    const I64 n = p.bytes / (I64)sizeof(T), step = (I64)gridDim.x * CUDA_SUM_BLOCK;
    for (I64 i = (I64)blockIdx.x * CUDA_SUM_BLOCK + threadIdx.x; i < n; i += AT_ONCE * step) {
        T value[AT_ONCE] = {};
#pragma unroll
        for (int k = 0; k < AT_ONCE; k++)
            if (i + k * step < n)
                value[k] = from[i + k * step];
#pragma unroll
        for (int k = 0; k < AT_ONCE; k++)
            if (i + k * step < n)
                to[i + k * step] = value[k];
    }
}

const void *cuda_group_gather(int size)
{
    static const void *const kernels[] = {MCF_CUDA_KERNEL(group_gather<uint4>), MCF_CUDA_KERNEL(group_gather<U32>),
                                          MCF_CUDA_KERNEL(group_gather<U16>)};
    return kernels[size == 16 ? 0 : size == 4 ? 1 : 2];
}

const void *cuda_group_sum(mcf_dtype dtype)
{
    static const void *const kernels[] = {MCF_CUDA_KERNEL(group_sum_f32), MCF_CUDA_KERNEL(group_sum_f64),
                                          MCF_CUDA_KERNEL(group_sum_f16), MCF_CUDA_KERNEL(group_sum_bf16)};
    return dtype == MCF_F32 ? kernels[0] : dtype == MCF_F64 ? kernels[1] : dtype == MCF_F16 ? kernels[2] : kernels[3];
}
