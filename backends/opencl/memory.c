// Buffers and copies between them and the host.
#include "backends/opencl/opencl.h"
#include "ops/rules.h"

#include <stdlib.h>
#include <string.h>

// What would take less is said by whoever asked (core/runtime.c).
static double mib(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

static mcf_status no_memory(const mcf_device *device, uint64_t bytes, cl_int code, mcf_error *err)
{
    const ocl_physical *p = device->physical;
    return mcf_fail(err, MCF_ERR_NOMEM, "opencl device %d (%s): asked for %.1f MiB, %.1f of %.1f MiB are free (%s)",
                    device->index, p->name, mib(bytes), mib(ocl_memory_free(p)), mib(p->memory), ocl_error_name(code));
}

// Drivers may wait with the memory until it is used: zeros settle it here.
static mcf_status fill_zero(mcf_buffer *b, uint64_t bytes, mcf_error *err)
{
    const cl_uint zero = 0;
    cl_int code = clEnqueueFillBuffer(b->device->queue, b->memory, &zero, sizeof zero, 0, bytes, 0, NULL, NULL);
    if (code == CL_SUCCESS)
        code = clFinish(b->device->queue);
    return code == CL_SUCCESS ? MCF_OK : no_memory(b->device, bytes, code, err);
}

static mcf_status create(mcf_device *device, uint64_t bytes, bool zeros, mcf_buffer **buffer, mcf_error *err)
{
    const ocl_physical *p = device->physical;
    uint64_t rounded = bytes < 64 ? 64 : bytes <= UINT64_MAX - 64 ? (bytes + 63) / 64 * 64 : bytes;
    if (p->allocation_max && rounded > p->allocation_max)
        return mcf_fail(err, MCF_ERR_NOMEM,
                        "opencl device %d (%s): asked for one piece of %.1f MiB, the device gives at most %.1f MiB in "
                        "one (%.1f of %.1f MiB are free)",
                        device->index, p->name, mib(bytes), mib(p->allocation_max), mib(ocl_memory_free(p)),
                        mib(p->memory));
    if (p->memory && rounded > ocl_memory_free(p))
        return no_memory(device, bytes, CL_MEM_OBJECT_ALLOCATION_FAILURE, err);
    mcf_buffer *b = calloc(1, sizeof *b);
    if (!b)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a buffer's handle");
    cl_int code;
    b->device = device;
    b->bytes = bytes;
    b->memory = clCreateBuffer(device->context, CL_MEM_READ_WRITE, rounded, NULL, &code);
    mcf_status status = code != CL_SUCCESS ? no_memory(device, bytes, code, err)
                        : zeros            ? fill_zero(b, rounded, err)
                                           : MCF_OK;
    if (status != MCF_OK) {
        if (code == CL_SUCCESS)
            clReleaseMemObject(b->memory);
        free(b);
        return status;
    }
    __atomic_fetch_add(&device->physical->allocated, rounded, __ATOMIC_RELAXED);
    *buffer = b;
    return MCF_OK;
}

mcf_status ocl_buffer_create(mcf_device *device, uint64_t bytes, mcf_buffer **buffer, mcf_error *err)
{
    return create(device, bytes, true, buffer, err);
}

void ocl_buffer_destroy(mcf_buffer *buffer)
{
    if (!buffer)
        return;
    uint64_t rounded = buffer->bytes < 64 ? 64 : (buffer->bytes + 63) / 64 * 64;
    clReleaseMemObject(buffer->memory);
    __atomic_fetch_sub(&buffer->device->physical->allocated, rounded, __ATOMIC_RELAXED);
    free(buffer);
}

void *ocl_buffer_host(mcf_buffer *buffer)
{
    (void)buffer;
    return NULL;
}

static void CL_CALLBACK free_staged(cl_event event, cl_int status, void *data)
{
    (void)event;
    (void)status;
    free(data);
}

// Takes the data at once: a copy waits for its turn, so that the queue is not drained. Large ones are waited for.
mcf_status ocl_upload(mcf_stream *stream, mcf_buffer *to, uint64_t offset, const void *from, uint64_t bytes,
                      mcf_error *err)
{
    enum { STAGED_MAX = 32 << 20 };
    MCF_TRY(mcf_check_range(to->bytes, offset, bytes, "upload", err));
    if (!bytes)
        return MCF_OK;
    void *staged = bytes <= STAGED_MAX ? malloc(bytes) : NULL;
    if (!staged) {
        OCL_TRY(clEnqueueWriteBuffer(stream->queue, to->memory, CL_TRUE, offset, bytes, from, 0, NULL, NULL), "upload",
                err);
        return MCF_OK;
    }
    memcpy(staged, from, bytes);
    cl_event event = NULL;
    cl_int code = clEnqueueWriteBuffer(stream->queue, to->memory, CL_FALSE, offset, bytes, staged, 0, NULL, &event);
    if (code != CL_SUCCESS) {
        free(staged);
        return ocl_fail(err, code, "upload");
    }
    if (clSetEventCallback(event, CL_COMPLETE, free_staged, staged) != CL_SUCCESS) {
        clWaitForEvents(1, &event);
        free(staged);
    }
    clReleaseEvent(event);
    return MCF_OK;
}

mcf_status ocl_download(mcf_stream *stream, void *to, mcf_buffer *from, uint64_t offset, uint64_t bytes, mcf_error *err)
{
    MCF_TRY(mcf_check_range(from->bytes, offset, bytes, "download", err));
    if (!bytes)
        return MCF_OK;
    OCL_TRY(clEnqueueReadBuffer(stream->queue, from->memory, CL_FALSE, offset, bytes, to, 0, NULL, NULL), "download",
            err);
    return MCF_OK;
}

// Within a buffer, overlapping copies are not OpenCL's: those go through scratch.
mcf_status dev_copy(mcf_stream *stream, mcf_buffer *to, uint64_t to_offset, mcf_buffer *from, uint64_t from_offset,
                    uint64_t bytes, mcf_error *err)
{
    MCF_TRY(mcf_check_range(to->bytes, to_offset, bytes, "copy: destination", err));
    MCF_TRY(mcf_check_range(from->bytes, from_offset, bytes, "copy: source", err));
    if (!bytes || (to == from && to_offset == from_offset))
        return MCF_OK;
    uint64_t distance = to_offset > from_offset ? to_offset - from_offset : from_offset - to_offset;
    if (to == from && distance < bytes) {
        mcf_operand middle = {0};
        MCF_TRY(dev_scratch(stream, 0, (bytes + 3) / 4, &middle, err));
        MCF_TRY(dev_copy(stream, middle.buffer, 0, from, from_offset, bytes, err));
        return dev_copy(stream, to, to_offset, middle.buffer, 0, bytes, err);
    }
    OCL_TRY(clEnqueueCopyBuffer(stream->queue, from->memory, to->memory, from_offset, to_offset, bytes, 0, NULL, NULL),
            "copy", err);
    return MCF_OK;
}

// Patterns of 4 bytes need places that are multiples of 4; the rest goes byte by byte.
mcf_status dev_zero(mcf_stream *stream, mcf_buffer *buffer, uint64_t offset, uint64_t bytes, mcf_error *err)
{
    MCF_TRY(mcf_check_range(buffer->bytes, offset, bytes, "zero", err));
    if (!bytes)
        return MCF_OK;
    const cl_uint zero = 0;
    size_t pattern = offset % 4 || bytes % 4 ? 1 : 4;
    OCL_TRY(clEnqueueFillBuffer(stream->queue, buffer->memory, &zero, pattern, offset, bytes, 0, NULL, NULL), "zero",
            err);
    return MCF_OK;
}

// Not filled, so that a checker sees who reads what nobody wrote. A larger one replaces it.
mcf_status dev_scratch(mcf_stream *stream, int slot, uint64_t floats, mcf_operand *operand, mcf_error *err)
{
    mcf_buffer **buffer = &stream->scratch[slot].buffer;
    uint64_t bytes = floats * sizeof(float);
    if (!*buffer || (*buffer)->bytes < bytes) {
        uint64_t room = bytes < 1 << 16 ? 1 << 16 : bytes + bytes / 4;
        if (stream->device->physical->allocation_max && room > stream->device->physical->allocation_max)
            room = bytes;
        if (*buffer)
            OCL_TRY(clFinish(stream->queue), "synchronize", err);
        ocl_buffer_destroy(*buffer);
        *buffer = NULL;
        mcf_status status = create(stream->device, room, false, buffer, err);
        if (status != MCF_OK)
            return mcf_add_context(err, status, "work memory of an operation; lower batch.per_device");
    }
    *operand = (mcf_operand){.buffer = *buffer, .dtype = MCF_F32, .shape = MCF_SHAPE((int64_t)floats), .stride = {1}};
    return MCF_OK;
}

uint64_t dev_buffer_bytes(const mcf_buffer *buffer)
{
    return buffer->bytes;
}
