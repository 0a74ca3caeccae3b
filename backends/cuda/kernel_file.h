// Included by every file of kernels, before the kernels themselves.
#ifndef MCF_BACKENDS_CUDA_KERNEL_FILE_H
#define MCF_BACKENDS_CUDA_KERNEL_FILE_H

#include <cuda_runtime.h>

#include <cuda_fp16.h>

#include "backends/cuda/kernel_table.h"
#include "backends/kernels/device.h"
#include "backends/kernels/functions.h"

// Shared memory that begins at a multiple of 32 bytes, as tiles of products must.
#if !defined(MCF_CUDA_EMULATED)
#define MCF_CUDA_KERNEL(kernel) ((const void *)(kernel))
#define SHARED_ALIGNED(type, name, count) __shared__ __align__(32) type name[count]
// Whether this code is for a card of that generation (70, 75, 80, ...) or later, or of
// that and the next four numbers; a condition with its brackets.
#if defined(__CUDA_ARCH__)
#define COMPILED_FOR(generation) constexpr(__CUDA_ARCH__ >= (generation)*10)
#define COMPILED_FOR_ONLY(generation)                                                                                  \
    constexpr(__CUDA_ARCH__ >= (generation)*10 && __CUDA_ARCH__ < (generation)*10 + 50)
#else
#define COMPILED_FOR(generation) constexpr(true)
#define COMPILED_FOR_ONLY(generation) constexpr(true)
#endif
#else
#define COMPILED_FOR(generation) (emulator_code() >= (generation))
#define COMPILED_FOR_ONLY(generation) (emulator_code() >= (generation) && emulator_code() < (generation) + 5)
#define SHARED_ALIGNED(type, name, count) MCF_SHARED_ALIGNED(type, name, count)
#endif

#endif
