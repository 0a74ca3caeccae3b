// Buffers, and copies between them and the host.
#include "backends/cuda/cuda.h"

#include <stdlib.h>

static double mib(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

static mcf_status no_memory(const mcf_device *device, uint64_t bytes, cudaError_t code, mcf_error *err)
{
    size_t available = 0, total = 0;
    cudaMemGetInfo(&available, &total);
    cudaGetLastError();
    return mcf_fail(err, MCF_ERR_NOMEM,
                    "cuda device %d (%.100s): asked for %.1f MiB, %.1f of %.1f MiB are free (%s); lower "
                    "batch.per_device, or set model.recompute: blocks",
                    device->index, device->properties.name, mib(bytes), mib(available), mib(total),
                    cudaGetErrorName(code));
}

static mcf_status fill_zero(void *memory, size_t bytes, mcf_error *err)
{
    cudaStream_t stream;
    CUDA_TRY(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream", err);
    cudaError_t code = cudaMemsetAsync(memory, 0, bytes, stream);
    if (code == cudaSuccess)
        code = cudaStreamSynchronize(stream);
    cudaStreamDestroy(stream);
    return code == cudaSuccess ? MCF_OK : cuda_fail(err, code, "zeros in a new buffer");
}

static mcf_status create(mcf_device *device, uint64_t bytes, bool zeros, mcf_buffer **buffer, mcf_error *err)
{
    MCF_TRY(cuda_use(device, err));
    mcf_buffer *b = calloc(1, sizeof *b);
    if (!b)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a buffer's handle");
    b->device = device;
    b->bytes = bytes;
    cudaError_t code = cudaMalloc(&b->memory, bytes ? bytes : 1);
    mcf_status status = code == cudaErrorMemoryAllocation ? no_memory(device, bytes, code, err)
                        : code != cudaSuccess             ? cuda_fail(err, code, "memory")
                        : zeros && bytes                  ? fill_zero(b->memory, bytes, err)
                                                          : MCF_OK;
    if (status != MCF_OK) {
        if (code == cudaSuccess)
            cudaFree(b->memory);
        free(b);
        return status;
    }
    *buffer = b;
    return MCF_OK;
}

mcf_status cuda_buffer_create(mcf_device *device, uint64_t bytes, mcf_buffer **buffer, mcf_error *err)
{
    return create(device, bytes, true, buffer, err);
}

void cuda_buffer_destroy(mcf_buffer *buffer)
{
    if (!buffer)
        return;
    if (!cuda_lost(buffer->device)) { // freeing waits for the device
        cudaSetDevice(buffer->device->index);
        cudaFree(buffer->memory);
    }
    free(buffer);
}

void *cuda_buffer_host(mcf_buffer *buffer)
{
    (void)buffer;
    return NULL;
}

// Page-locked: the driver copies into it beside the caller.
mcf_status cuda_host_create(mcf_device *device, uint64_t bytes, void **memory, mcf_error *err)
{
    MCF_TRY(cuda_use(device, err));
    CUDA_TRY(cudaHostAlloc(memory, bytes ? bytes : 1, cudaHostAllocDefault), "pinned memory", err);
    return MCF_OK;
}

void cuda_host_destroy(mcf_device *device, void *memory)
{
    cudaSetDevice(device->index);
    if (!cuda_lost(device)) // as above
        cudaFreeHost(memory);
}

uint64_t dev_buffer_bytes(const mcf_buffer *buffer)
{
    return buffer->bytes;
}

static char *at(const mcf_buffer *buffer, uint64_t offset)
{
    return (char *)buffer->memory + offset;
}

mcf_status cuda_download(mcf_stream *s, void *to, mcf_buffer *from, uint64_t offset, uint64_t bytes, mcf_error *err)
{
    MCF_TRY(dev_check_range(from, offset, bytes, "download", err));
    MCF_TRY(cuda_use(s->device, err));
    struct cudaPointerAttributes of = {0};
    // The driver holds the caller up where memory is not pinned; that wait would have no end where a card hangs.
    if (bytes && (cudaPointerGetAttributes(&of, to) != cudaSuccess || of.type == cudaMemoryTypeUnregistered)) {
        cudaGetLastError();
        MCF_TRY(cuda_wait(s->device, s->stream, NULL, "enqueued work", err));
    }
    if (bytes)
        CUDA_TRY(cudaMemcpyAsync(to, at(from, offset), bytes, cudaMemcpyDeviceToHost, s->stream), "download", err);
    return MCF_OK;
}

// Copies that overlap are not the runtime's: those go through scratch.
mcf_status dev_copy(mcf_stream *s, mcf_buffer *to, uint64_t to_offset, mcf_buffer *from, uint64_t from_offset,
                    uint64_t bytes, mcf_error *err)
{
    MCF_TRY(dev_check_range(to, to_offset, bytes, "copy: destination", err));
    MCF_TRY(dev_check_range(from, from_offset, bytes, "copy: source", err));
    if (!bytes || (to == from && to_offset == from_offset))
        return MCF_OK;
    uint64_t distance = to_offset > from_offset ? to_offset - from_offset : from_offset - to_offset;
    if (to == from && distance < bytes) {
        mcf_operand middle = {0};
        MCF_TRY(dev_scratch(s, 0, (bytes + 3) / 4, &middle, err));
        MCF_TRY(dev_copy(s, middle.buffer, 0, from, from_offset, bytes, err));
        return dev_copy(s, to, to_offset, middle.buffer, 0, bytes, err);
    }
    MCF_TRY(cuda_use(s->device, err));
    cudaError_t code =
        to->device->index == from->device->index
            ? cudaMemcpyAsync(at(to, to_offset), at(from, from_offset), bytes, cudaMemcpyDeviceToDevice, s->stream)
            : cudaMemcpyPeerAsync(at(to, to_offset), to->device->index, at(from, from_offset), from->device->index,
                                  bytes, s->stream);
    return code == cudaSuccess ? MCF_OK : cuda_fail(err, code, "copy");
}

mcf_status dev_zero(mcf_stream *s, mcf_buffer *buffer, uint64_t offset, uint64_t bytes, mcf_error *err)
{
    MCF_TRY(dev_check_range(buffer, offset, bytes, "zero", err));
    MCF_TRY(cuda_use(s->device, err));
    if (bytes)
        CUDA_TRY(cudaMemsetAsync(at(buffer, offset), 0, bytes, s->stream), "zero", err);
    return MCF_OK;
}

// Not filled, so that a checker sees who reads what nobody wrote. A larger one replaces it.
mcf_status dev_scratch(mcf_stream *s, int slot, uint64_t floats, mcf_operand *operand, mcf_error *err)
{
    mcf_buffer **buffer = &s->scratch[slot];
    uint64_t bytes = floats * sizeof(float);
    if (!*buffer || (*buffer)->bytes < bytes) {
        if (s->capturing)
            return mcf_fail(err, MCF_ERR_INTERNAL, "work memory of an operation grows while work is captured");
        s->scratch_generation++;
        if (*buffer)
            MCF_TRY(cuda_stream_synchronize(s, err));
        cuda_buffer_destroy(*buffer);
        *buffer = NULL;
        mcf_status status = create(s->device, bytes < 1 << 16 ? 1 << 16 : bytes + bytes / 4, false, buffer, err);
        if (status != MCF_OK)
            return mcf_add_context(err, status, "work memory of an operation");
    }
    *operand = (mcf_operand){.buffer = *buffer, .dtype = MCF_F32, .shape = MCF_SHAPE((int64_t)floats), .stride = {1}};
    return MCF_OK;
}
