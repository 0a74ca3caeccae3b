// Cards that the driver lists.
#include "backends/cuda/cuda.h"

#include <stdio.h>
#include <stdlib.h>

mcf_status cuda_fail(mcf_error *err, cudaError_t code, const char *what)
{
    mcf_status status = code == cudaErrorMemoryAllocation ? MCF_ERR_NOMEM : MCF_ERR_DEVICE;
    mcf_fail(err, status, "%s: %s (%s)", what, cudaGetErrorString(code), cudaGetErrorName(code));
    cudaGetLastError();
    return status;
}

mcf_status cuda_probe(mcf_error *err)
{
    int count = 0;
    cudaError_t code = cudaGetDeviceCount(&count);
    cudaGetLastError();
    if (code == cudaErrorInsufficientDriver)
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "no driver for CUDA %d.%d: install NVIDIA's, or a newer one",
                        CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    if (code != cudaSuccess || !count)
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "no CUDA device: %s", cudaGetErrorString(code));
    return MCF_OK;
}

int cuda_device_count(void)
{
    int count = 0;
    return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

static mcf_status check_index(int index, mcf_error *err)
{
    if (index < 0 || index >= cuda_device_count())
        return mcf_fail(err, MCF_ERR_USAGE, "cuda has no device %d; `mcf devices` lists %d", index,
                        cuda_device_count());
    return MCF_OK;
}

mcf_status cuda_device_info(int index, mcf_device_info *info, mcf_error *err)
{
    struct cudaDeviceProp p;
    int driver = 0;
    size_t available = 0, total = 0;
    MCF_TRY(check_index(index, err));
    CUDA_TRY(cudaGetDeviceProperties(&p, index), "properties", err);
    cudaDriverGetVersion(&driver);
    // The device stays the thread's own: going back to the one before would open a context on that, and whoever uses a
    // device says so first.
    if (cudaSetDevice(index) == cudaSuccess)
        cudaMemGetInfo(&available, &total);
    cudaGetLastError();
    *info = (mcf_device_info){
        .memory_total = p.totalGlobalMem,
        .memory_free = available,
        .alignment = 256,
        .compute_units = p.multiProcessorCount,
        .dtypes = 1u << MCF_F32 | 1u << MCF_BF16 | 1u << MCF_F16,
        .emulated_bf16 = p.major < 8,
    };
    snprintf(info->name, sizeof info->name, "%.127s", p.name);
#if defined(MCF_CUDA_EMULATED)
    snprintf(info->detail, sizeof info->detail, "emulator of the tests, no card");
#else
    snprintf(info->detail, sizeof info->detail, "GPU, sm_%d%d, driver for CUDA %d.%d, built with %d.%d", p.major,
             p.minor, driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
#endif
    return MCF_OK;
}

size_t cuda_workspace_bytes(const mcf_device *device)
{
    return device->properties.major >= 9 ? 32 << 20 : 8 << 20;
}

mcf_status cuda_use(const mcf_device *device, mcf_error *err)
{
    CUDA_TRY(cudaSetDevice(device->index), "choosing the device", err);
    return MCF_OK;
}

mcf_status cuda_device_open(int index, const mcf_device_options *options, mcf_device **device, mcf_error *err)
{
    MCF_TRY(check_index(index, err));
    mcf_device *d = calloc(1, sizeof *d);
    if (!d)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a device");
    d->index = index;
    cudaError_t code = cudaGetDeviceProperties(&d->properties, index);
    mcf_status status = code == cudaSuccess ? cuda_use(d, err) : cuda_fail(err, code, "properties");
    if (status == MCF_OK)
        status = cuda_prepare_kernels(d, err);
    if (status != MCF_OK) {
        free(d);
        return status;
    }
    *device = d;
    return MCF_OK;
}

void cuda_device_close(mcf_device *device)
{
    free(device);
}
