// The common part of OpenCL C and CUDA C that the kernels are written in: everything that the two spell
// differently is behind a macro of this file.
//
// The host compiles a kernel file once for every combination of element types in use, with
//   -DT0= -DT1= -DT2=  types of inputs, -DTO= of the output: f32, bf16, f16, i64, i32, u8, f64
//   -DGROUP=           items of a work-group that share a line; 1 on processors, where an item is a thread
//   -DSTRIP=           neighbouring columns that one item sums; 1 on GPUs, a few vectors on processors
// Arithmetic is fp32 whatever the storage; bf16 and f16 are converted at loads and stores, which needs no
// extension. Sums have a fixed order: per item in order of the index, then a tree over the group.
#ifndef MCF_BACKENDS_KERNELS_DEVICE_H
#define MCF_BACKENDS_KERNELS_DEVICE_H

#ifndef GROUP
#define GROUP 1
#endif
#ifndef STRIP
#define STRIP 1
#endif

#if defined(__OPENCL_VERSION__)
// --- OpenCL C 1.2; sub-groups are an extension of it, or part of later versions
#if defined(MCF_SUBGROUPS) && defined(cl_intel_subgroups)
#pragma OPENCL EXTENSION cl_intel_subgroups : enable
#elif defined(MCF_SUBGROUPS) && defined(cl_khr_subgroups)
#pragma OPENCL EXTENSION cl_khr_subgroups : enable
#endif
typedef long I64;
typedef ulong U64;
typedef uint U32;
typedef ushort U16;
typedef uchar U8;
#define KERNEL __kernel
#define GRID
#define FUNCTION static
#define GLOBAL __global
#define LOCAL __local
#define LOCAL_ARRAY(type, name, count) __local type name[count]
#define BARRIER barrier(CLK_LOCAL_MEM_FENCE)
#define LOCAL_ID(d) ((I64)get_local_id(d))
#define GROUP_ID(d) ((I64)get_group_id(d))
#define GROUP_COUNT(d) ((I64)get_num_groups(d))
#define GLOBAL_ID(d) ((I64)get_global_id(d))
#define EXP(x) exp(x)
#define LOG(x) log(x)
#define SQRT(x) sqrt(x)
#define FMA(a, b, c) fma(a, b, c)
#define FMAX(a, b) fmax(a, b)
#define FLOAT_BITS(x) as_uint(x)
#define BITS_FLOAT(x) as_float(x)
#define LOAD_HALF(p, i) vload_half((size_t)(i), (const GLOBAL half *)(p))
#define STORE_HALF(p, i, v) vstore_half_rte(v, (size_t)(i), (GLOBAL half *)(p))
#elif defined(__CUDACC__)
// --- CUDA C, or the emulator of tests/cuda_emulator; whoever includes this has cuda_fp16.h
typedef long long I64;
typedef unsigned long long U64;
typedef unsigned int U32;
typedef unsigned short U16;
typedef unsigned char U8;
// A grid's second and third dimension are limited to 65535 on cards: groups lie along the first alone, and a kernel's
// first argument says how many there are in dimension 0 and 1.
typedef struct {
    U32 count[3];
} grid_shape;
#define KERNEL static __global__
#define GRID const grid_shape grid_,
#define FUNCTION static __device__
#define GLOBAL
#define LOCAL
#if defined(MCF_CUDA_EMULATED)
#define LOCAL_ARRAY(type, name, count) MCF_SHARED_ARRAY(type, name, count)
#else
#define LOCAL_ARRAY(type, name, count) __shared__ type name[count]
#endif
#define BARRIER __syncthreads()
#define LOCAL_ID(d) ((I64)((d) == 0 ? threadIdx.x : (d) == 1 ? threadIdx.y : threadIdx.z))
#define GROUP_ID(d)                                                                                                    \
    ((I64)((d) == 0   ? blockIdx.x % grid_.count[0]                                                                    \
           : (d) == 1 ? blockIdx.x / grid_.count[0] % grid_.count[1]                                                   \
                      : blockIdx.x / grid_.count[0] / grid_.count[1]))
#define GROUP_COUNT(d) ((I64)grid_.count[d])
#define GLOBAL_ID(d) (GROUP_ID(d) * (I64)((d) == 0 ? blockDim.x : (d) == 1 ? blockDim.y : blockDim.z) + LOCAL_ID(d))
#define EXP(x) expf(x)
#define LOG(x) logf(x)
#define SQRT(x) sqrtf(x)
#define FMA(a, b, c) fmaf(a, b, c)
#define FMAX(a, b) fmaxf(a, b)
#define FLOAT_BITS(x) __float_as_uint(x)
#define BITS_FLOAT(x) __uint_as_float(x)
#define LOAD_HALF(p, i) __half2float(__ushort_as_half((p)[i]))
#define STORE_HALF(p, i, v) ((p)[i] = __half_as_ushort(__float2half_rn(v)))
#else
// --- elsewhere whoever includes the kernels defines all of the above first
#endif

// Sums may be split over vector lanes where the compiler is told so: on processors, where an item has a line
// to itself. The split is fixed when the kernel is compiled.
#if GROUP == 1 && defined(__clang__) && defined(__OPENCL_VERSION__) && defined(MCF_VECTOR_SUMS)
#define VECTOR_SUMS _Pragma("clang fp reassociate(on)")
#else
#define VECTOR_SUMS
#endif

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

// --- element types. LOAD(T, p, i) is element i as VALUE(T): float for the float types, else the type itself.
#define TYPE(T) JOIN(TYPE_, T)
#define VALUE(T) JOIN(VALUE_, T)
#define LOAD(T, p, i) JOIN(LOAD_, T)(p, i)
#define STORE(T, p, i, v) JOIN(STORE_, T)(p, i, v)

#define TYPE_f32 float
#define TYPE_bf16 U16
#define TYPE_f16 U16
#define TYPE_i64 I64
#define TYPE_i32 int
#define TYPE_u8 U8
#define TYPE_f64 U64 // moved, not computed in
#define VALUE_f32 float
#define VALUE_bf16 float
#define VALUE_f16 float
#define VALUE_i64 I64
#define VALUE_i32 int
#define VALUE_u8 U8
#define VALUE_f64 U64
#define LOAD_f32(p, i) ((p)[i])
#define LOAD_bf16(p, i) BITS_FLOAT((U32)(p)[i] << 16)
#define LOAD_f16(p, i) LOAD_HALF(p, i)
#define LOAD_i64(p, i) ((p)[i])
#define LOAD_i32(p, i) ((p)[i])
#define LOAD_u8(p, i) ((p)[i])
#define LOAD_f64(p, i) ((p)[i])
#define STORE_f32(p, i, v) ((p)[i] = (v))
#define STORE_bf16(p, i, v) ((p)[i] = float_to_bf16(v))
#define STORE_f16(p, i, v) STORE_HALF(p, i, v)
#define STORE_i64(p, i, v) ((p)[i] = (v))
#define STORE_i32(p, i, v) ((p)[i] = (v))
#define STORE_u8(p, i, v) ((p)[i] = (v))
#define STORE_f64(p, i, v) ((p)[i] = (v))

// To nearest even; NaN stays NaN.
FUNCTION U16 float_to_bf16(float x)
{
    U32 bits = FLOAT_BITS(x);
    U32 rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    return (U16)((bits & 0x7fffffffu) > 0x7f800000u ? (bits >> 16 | 0x40u) : rounded);
}

#define NOT_A_NUMBER BITS_FLOAT(0x7fc00000u)

// A tensor argument: its memory and the element at which it begins. AT(x) moves the pointer there.
#define TENSOR(T, name) GLOBAL TYPE(T) * name, I64 name##_at
#define INPUT(T, name) GLOBAL const TYPE(T) * name, I64 name##_at
#define AT(name) name += name##_at

// --- sums and maxima over the items of a group. Every item gets the result. A tree in local memory; where the device has
// sub-groups (MCF_SUBGROUPS: OpenCL only), each of them reduces without barriers and their few results are then combined
// in order.
#if GROUP > 1 && defined(MCF_SUBGROUPS)
#define GROUP_ROOM(name) LOCAL_ARRAY(float, name, GROUP)
FUNCTION float group_sum(float x, LOCAL float *room)
{
    const float own = sub_group_reduce_add(x);
    float sum = 0;
    BARRIER;
    if (get_sub_group_local_id() == 0)
        room[get_sub_group_id()] = own;
    BARRIER;
    for (U32 i = 0; i < get_num_sub_groups(); i++)
        sum += room[i];
    return sum;
}
FUNCTION float group_max(float x, LOCAL float *room)
{
    const float own = sub_group_reduce_max(x);
    BARRIER;
    if (get_sub_group_local_id() == 0)
        room[get_sub_group_id()] = own;
    BARRIER;
    float most = room[0];
    for (U32 i = 1; i < get_num_sub_groups(); i++)
        most = FMAX(most, room[i]);
    return most;
}
#elif GROUP > 1
#define GROUP_ROOM(name) LOCAL_ARRAY(float, name, GROUP)
FUNCTION float group_sum(float x, LOCAL float *room)
{
    const int me = (int)LOCAL_ID(0);
    BARRIER;
    room[me] = x;
    BARRIER;
    for (int half_size = GROUP / 2; half_size > 0; half_size /= 2) {
        if (me < half_size)
            room[me] += room[me + half_size];
        BARRIER;
    }
    return room[0];
}
FUNCTION float group_max(float x, LOCAL float *room)
{
    const int me = (int)LOCAL_ID(0);
    BARRIER;
    room[me] = x;
    BARRIER;
    for (int half_size = GROUP / 2; half_size > 0; half_size /= 2) {
        if (me < half_size)
            room[me] = FMAX(room[me], room[me + half_size]);
        BARRIER;
    }
    return room[0];
}
#endif
#if GROUP > 1
#define GROUP_SUM(x, room) group_sum(x, room)
#define GROUP_MAX(x, room) group_max(x, room)
#define FIRST_ITEM (LOCAL_ID(0) == 0)
#else
#define GROUP_ROOM(name)
#define GROUP_SUM(x, room) (x)
#define GROUP_MAX(x, room) (x)
#define FIRST_ITEM 1
#endif

// The items of a group share the indices 0..n-1.
#if GROUP > 1
#define EACH(i, n) for (I64 i = LOCAL_ID(0); i < (n); i += GROUP)
#else
#define EACH(i, n) for (I64 i = 0; i < (n); i++)
#endif

// Dimensions with the steps of up to two inputs and the output, in elements; the last dimension is the
// innermost. The host has joined dimensions that lie one behind the other.
typedef struct {
    I64 rank;
    I64 dim[6], a[6], b[6], out[6];
} layout;

// Elements to skip for row `row` of a layout: an index over all dimensions but the last, under steps `step`.
#define ROW_PLACE(place, shape, step, row)                                                                             \
    do {                                                                                                               \
        I64 rest_ = (row);                                                                                             \
        place = 0;                                                                                                     \
        for (int axis_ = (int)(shape).rank - 2; axis_ >= 0; axis_--) {                                                 \
            const I64 n_ = (shape).dim[axis_];                                                                         \
            place += rest_ % n_ * (shape).step[axis_];                                                                 \
            rest_ /= n_;                                                                                               \
        }                                                                                                              \
    } while (0)

#endif
