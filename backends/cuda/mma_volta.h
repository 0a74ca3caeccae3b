// Volta's products of tiles in registers: mma.sync.m8n8k4 of fp16 with fp32 sums, whose layout the PTX ISA gives, so what
// depends on rows or columns needs no shared memory. A warp makes four products of 8 x 8 over 4 at a time, one by each
// group of eight lanes {4q .. 4q+3, 16+4q .. 16+4q+3}. Here they are the quarters of a tile of 16 x 16: group q has
// rows 8 (q % 2) and columns 8 (q / 2). Cards from sm_75 on have other instructions and take this one slowly.
//
// Of a group's product a lane holds (l: lane % 4, h: whether it is one of the upper 16 lanes):
//   left   A [8, 4]   row l + 4h, its 4 elements; turned (A' lies row by row): column l, rows 4h .. 4h+3
//   right  B [4, 8]   turned (B' lies row by row): column l + 4h, its 4 elements; else row l, columns 4h .. 4h+3
//   sums   C [8, 8]   element i: row l % 2 + (i & 2) + 4h, column (i & 4) + (l & 2) + i % 2
#ifndef MCF_BACKENDS_CUDA_MMA_VOLTA_H
#define MCF_BACKENDS_CUDA_MMA_VOLTA_H

#include "backends/cuda/vector.h"

#include <mma.h>

// C += A B, of two elements a word. Volatile, for all lanes take part: it may not move to where some have left.
#if defined(MCF_CUDA_EMULATED)
template <bool TURNED_A, bool TURNED_B>
__device__ __forceinline__ void mma_884(float (&c)[8], unsigned a0, unsigned a1, unsigned b0, unsigned b1)
{
    const unsigned a[2] = {a0, a1}, b[2] = {b0, b1};
    emulator_mma_884(TURNED_A, TURNED_B, c, a, b);
}
#else
#define MMA_884(layouts)                                                                                               \
    asm volatile("mma.sync.aligned.m8n8k4." layouts ".f32.f16.f16.f32 {%0,%1,%2,%3,%4,%5,%6,%7}, {%8,%9}, {%10,%11}, " \
                 "{%0,%1,%2,%3,%4,%5,%6,%7};"                                                                          \
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]), "+f"(c[4]), "+f"(c[5]), "+f"(c[6]), "+f"(c[7])      \
                 : "r"(a0), "r"(a1), "r"(b0), "r"(b1))
template <bool TURNED_A, bool TURNED_B>
__device__ __forceinline__ void mma_884(float (&c)[8], unsigned a0, unsigned a1, unsigned b0, unsigned b1)
{
    static_assert(!TURNED_A || !TURNED_B, "nobody needs both");
    if constexpr (TURNED_A)
        MMA_884("col.row");
    else if constexpr (TURNED_B)
        MMA_884("row.col");
    else
        MMA_884("row.row");
}
#undef MMA_884
#endif

// 2^x in one instruction; below 2^-126 it is 0, as to fp16 it is from 2^-25 on.
__device__ __forceinline__ float power2(float x)
{
#if defined(MCF_CUDA_EMULATED)
    return x < -126 ? 0.0f : exp2f(x);
#else
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#endif
}

// Two numbers in a word, the first in its low half.
__device__ __forceinline__ unsigned pack_half(float low, float high)
{
    return (unsigned)__half_as_ushort(__float2half_rn(low)) | (unsigned)__half_as_ushort(__float2half_rn(high)) << 16;
}

// Where a lane is in a tile of 16 x 16.
struct mma_lane {
    int l, across, down, upper; // lane % 4; the group's columns and rows, 8 or not; the lane's upper half
    __device__ __forceinline__ mma_lane(int lane)
        : l(lane & 3), across(lane >> 3 & 1), down(lane >> 2 & 1), upper(lane >> 4)
    {
    }
    __device__ __forceinline__ int left_row() const { return down * 8 + upper * 4 + l; }
    __device__ __forceinline__ int right_row() const { return across * 8 + upper * 4 + l; }
    // Of sums: elements without and with bit 1 of i; the first of the columns (i & 4) + i % 2.
    __device__ __forceinline__ int sum_row() const { return down * 8 + upper * 4 + (l & 1); }
    __device__ __forceinline__ int sum_column() const { return across * 8 + (l & 2); }
};

// A group's 8 x 8 sums, rounded, with a row for each lane: word j has columns 2j and 2j + 1 of row left_row. Lanes that
// differ in bit 1 have two rows between them and give one another the half of a row that they lack.
__device__ __forceinline__ void rows_of_sums(unsigned (&to)[4], const float (&c)[8], int l)
{
    const unsigned first0 = pack_half(c[0], c[1]), first4 = pack_half(c[4], c[5]), second0 = pack_half(c[2], c[3]),
                   second4 = pack_half(c[6], c[7]);
    const bool has_second = l & 2;
    const unsigned own0 = has_second ? second0 : first0, own4 = has_second ? second4 : first4;
    const unsigned got0 = __shfl_xor_sync(0xffffffffu, has_second ? first0 : second0, 2),
                   got4 = __shfl_xor_sync(0xffffffffu, has_second ? first4 : second4, 2);
    to[0] = has_second ? got0 : own0;
    to[1] = has_second ? own0 : got0;
    to[2] = has_second ? got4 : own4;
    to[3] = has_second ? own4 : got4;
}

#endif
