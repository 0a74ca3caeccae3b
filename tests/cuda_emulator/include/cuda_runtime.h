// The kernel side of the emulator: what makes CUDA C compile as C++. A kernel is an ordinary function; the threads
// of a block run one after the other until they meet a barrier (threads.cpp).
#ifndef MCF_EMULATOR_CUDA_RUNTIME_H
#define MCF_EMULATOR_CUDA_RUNTIME_H

#include "cuda_runtime_api.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>
#include <utility>
#include <vector>

#define __CUDACC__ 1
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)

// Vectors: a kernel that loads or stores one at an address that is no multiple of its size faults, as on a card. The
// compiler believes in alignas, so the address passes by something that it cannot look into.
void emulator_misaligned(const void *address, size_t bytes);
inline void emulator_check_vector(const void *address, size_t bytes)
{
    asm("" : "+r"(address));
    if ((uintptr_t)address % bytes)
        emulator_misaligned(address, bytes);
}
#define EMULATOR_VECTOR(name, type, bytes, count)                                                                      \
    struct alignas(bytes) name {                                                                                       \
        EMULATOR_PARTS_##count(type);                                                                                  \
        name() = default;                                                                                              \
        template <typename... A> name(type first, A... rest) : name(emulator_parts{}, first, rest...) {}               \
        name(const name &other) { *this = other; }                                                                     \
        name &operator=(const name &other)                                                                             \
        {                                                                                                              \
            emulator_check_vector(this, bytes);                                                                        \
            emulator_check_vector(&other, bytes);                                                                      \
            memcpy((void *)this, (const void *)&other, bytes);                                                         \
            return *this;                                                                                              \
        }                                                                                                              \
                                                                                                                       \
      private:                                                                                                         \
        struct emulator_parts {                                                                                        \
        };                                                                                                             \
        template <typename... A> name(emulator_parts, A... parts)                                                      \
        {                                                                                                              \
            const type list[] = {(type)parts...};                                                                      \
            static_assert(sizeof list == bytes, "a vector of all its elements");                                       \
            memcpy((void *)this, list, bytes);                                                                         \
        }                                                                                                              \
    }
#define EMULATOR_PARTS_2(type) type x, y
#define EMULATOR_PARTS_4(type) type x, y, z, w
EMULATOR_VECTOR(float2, float, 8, 2);
EMULATOR_VECTOR(float4, float, 16, 4);
EMULATOR_VECTOR(uint2, unsigned, 8, 2);
EMULATOR_VECTOR(uint4, unsigned, 16, 4);
inline float4 make_float4(float x, float y, float z, float w)
{
    return {x, y, z, w};
}
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w)
{
    return {x, y, z, w};
}
inline uint2 make_uint2(unsigned x, unsigned y)
{
    return {x, y};
}

struct emulator_index {
    unsigned x, y, z;
};
// Of the thread that runs. Only one runs at a time in the whole process.
extern emulator_index threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

// Waits for all threads of the block. One that ends or waits elsewhere meanwhile is an error.
void __syncthreads();
// Waits for all threads of the warp, whatever the mask says.
void __syncwarp(unsigned mask = 0xffffffffu);

// Shared memory of the running block: the same for all threads that ask with one key, NaN at first, with guards.
// Begins at a multiple of 32 bytes where aligned, else never at one.
void *emulator_shared(const void *key, size_t bytes, bool aligned);
void *emulator_dynamic_shared();
#define MCF_SHARED_ARRAY(type, name, count)                                                                            \
    static char name##_key;                                                                                            \
    type *const name = (type *)emulator_shared(&name##_key, sizeof(type) * (size_t)(count), false)
#define MCF_SHARED_ALIGNED(type, name, count)                                                                          \
    static char name##_key;                                                                                            \
    type *const name = (type *)emulator_shared(&name##_key, sizeof(type) * (size_t)(count), true)
#define MCF_DYNAMIC_SHARED(type, name) type *const name = (type *)emulator_dynamic_shared()

// Ends the kernel with a fault.
void __trap();
// What the kernels count as compiled for: ten times the compute capability.
int emulator_code();

uint64_t emulator_exchange(uint64_t value, unsigned lane);
unsigned emulator_lane();
template <typename T> T emulator_shuffle(T value, unsigned from)
{
    uint64_t bits = 0;
    static_assert(sizeof(T) <= sizeof bits, "shuffles move up to 8 bytes");
    memcpy(&bits, &value, sizeof value);
    bits = emulator_exchange(bits, from);
    memcpy(&value, &bits, sizeof value);
    return value;
}
template <typename T> T __shfl_sync(unsigned, T value, int from)
{
    return emulator_shuffle(value, (unsigned)from & 31);
}
template <typename T> T __shfl_xor_sync(unsigned, T value, int other)
{
    return emulator_shuffle(value, emulator_lane() ^ (unsigned)other);
}
template <typename T> T __shfl_down_sync(unsigned, T value, unsigned by)
{
    unsigned lane = emulator_lane();
    return emulator_shuffle(value, lane + by < 32 ? lane + by : lane);
}
template <typename T> T atomicAdd(T *place, T value)
{
    T old = *place;
    *place = old + value;
    return old;
}

inline unsigned __float_as_uint(float x)
{
    unsigned bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
inline float __uint_as_float(unsigned bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// --- registering kernels: takes their arguments apart, for launches come with pointers to them

struct emulator_kernel {
    const char *name;
    std::vector<size_t> sizes; // of the arguments
    std::function<std::function<void()>(void **)> bind;
};
void emulator_add(const void *function, emulator_kernel kernel);

template <typename... A, size_t... I>
std::function<void()> emulator_bind(void (*kernel)(A...), void **arguments, std::index_sequence<I...>)
{
    std::tuple<A...> values(*(A *)arguments[I]...);
    return [kernel, values] { std::apply(kernel, values); };
}
template <typename... A> const void *emulator_register(const char *name, void (*kernel)(A...))
{
    emulator_add((const void *)kernel, {name, {sizeof(A)...}, [kernel](void **arguments) {
                                            return emulator_bind(kernel, arguments, std::index_sequence_for<A...>());
                                        }});
    return (const void *)kernel;
}
#define MCF_CUDA_KERNEL(kernel) emulator_register(#kernel, kernel)

#endif
