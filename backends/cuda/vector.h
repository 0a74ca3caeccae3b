// Four elements at a time, whatever their type; and sums over a warp. For kernels that are written for CUDA alone.
#ifndef MCF_BACKENDS_CUDA_VECTOR_H
#define MCF_BACKENDS_CUDA_VECTOR_H

#include "backends/cuda/kernel_file.h"

#include <cuda_bf16.h>

__device__ __forceinline__ float to_float(float x)
{
    return x;
}
__device__ __forceinline__ float to_float(__half x)
{
    return __half2float(x);
}
__device__ __forceinline__ float to_float(__nv_bfloat16 x)
{
    return __bfloat162float(x);
}
__device__ __forceinline__ void round_to(float &to, float x)
{
    to = x;
}
__device__ __forceinline__ void round_to(__half &to, float x)
{
    to = __float2half_rn(x);
}
__device__ __forceinline__ void round_to(__nv_bfloat16 &to, float x)
{
    to = __float2bfloat16_rn(x);
}

// What a load of 16 (or 8) bytes brings.
template <int bytes> struct raw;
template <> struct raw<16> {
    typedef uint4 type;
};
template <> struct raw<8> {
    typedef uint2 type;
};

// N elements as they lie in memory: the address is a multiple of their size together.
template <typename T, int N> union packed {
    typename raw<N * sizeof(T)>::type bits;
    T value[N];
    __device__ __forceinline__ packed() {}
};

template <typename T, int N> __device__ __forceinline__ void load_packed(float (&to)[N], const T *from)
{
    packed<T, N> p;
    p.bits = *(const typename raw<N * sizeof(T)>::type *)from;
#pragma unroll
    for (int i = 0; i < N; i++)
        to[i] = to_float(p.value[i]);
}

template <typename T, int N> __device__ __forceinline__ void store_packed(T *to, const float (&from)[N])
{
    packed<T, N> p;
#pragma unroll
    for (int i = 0; i < N; i++)
        round_to(p.value[i], from[i]);
    *(typename raw<N * sizeof(T)>::type *)to = p.bits;
}

// Every lane gets the sum; always in the same order.
__device__ __forceinline__ float warp_sum(float x)
{
#pragma unroll
    for (int other = 16; other > 0; other /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, other);
    return x;
}

#endif
