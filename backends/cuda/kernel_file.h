// Included by every file of kernels, before the kernels themselves.
#ifndef MCF_BACKENDS_CUDA_KERNEL_FILE_H
#define MCF_BACKENDS_CUDA_KERNEL_FILE_H

#include <cuda_runtime.h>

#include <cuda_fp16.h>

#include "backends/cuda/kernel_table.h"
#include "backends/kernels/device.h"
#include "backends/kernels/functions.h"

#if !defined(MCF_CUDA_EMULATED)
#define MCF_CUDA_KERNEL(kernel) ((const void *)(kernel))
#endif

#endif
