// Kernel calls: arguments in order, and sizes of work-groups.
#include "backends/opencl/opencl.h"

#include <string.h>

mcf_status ocl_begin(ocl_call *call, mcf_stream *stream, const ocl_kernel_key *key, mcf_error *err)
{
    *call = (ocl_call){.stream = stream, .name = key->kernel};
    return ocl_kernel_get(stream->device, key, &call->kernel, err);
}

void ocl_bytes(ocl_call *call, const void *value, size_t bytes)
{
    cl_int code = clSetKernelArg(call->kernel, call->next++, bytes, value);
    if (call->status == CL_SUCCESS)
        call->status = code;
}

void ocl_int64(ocl_call *call, int64_t value)
{
    cl_long v = value;
    ocl_bytes(call, &v, sizeof v);
}

void ocl_int(ocl_call *call, int value)
{
    cl_int v = value;
    ocl_bytes(call, &v, sizeof v);
}

void ocl_float(ocl_call *call, double value)
{
    cl_float v = (cl_float)value;
    ocl_bytes(call, &v, sizeof v);
}

void ocl_operand(ocl_call *call, const mcf_operand *operand)
{
    bool there = operand && operand->buffer;
    cl_mem memory = there ? operand->buffer->memory : call->stream->device->nothing;
    ocl_bytes(call, &memory, sizeof memory);
    ocl_int64(call, there ? (int64_t)(operand->offset / mcf_dtype_size(operand->dtype)) : 0);
}

mcf_status ocl_run(ocl_call *call, const size_t local[3], int64_t groups0, int64_t groups1, int64_t groups2,
                   mcf_error *err)
{
    if (groups0 < 1 || groups1 < 1 || groups2 < 1)
        return MCF_OK;
    size_t global[3] = {(size_t)groups0 * local[0], (size_t)groups1 * local[1], (size_t)groups2 * local[2]};
    cl_int code = call->status;
    if (code == CL_SUCCESS)
        code = clEnqueueNDRangeKernel(call->stream->queue, call->kernel, 3, NULL, global, local, 0, NULL, NULL);
    return code == CL_SUCCESS ? MCF_OK : ocl_fail(err, code, call->name);
}

// Few sizes, for some drivers compile a kernel for each.
mcf_status ocl_run_items(ocl_call *call, int64_t items, int64_t rows, int64_t planes, mcf_error *err)
{
    size_t most = (size_t)call->stream->device->tuning.local;
    size_t local[3] = {items <= 16 && most >= 16 ? 16 : items <= 64 && most >= 64 ? 64 : most, 1, 1};
    return ocl_run(call, local, (items + (int64_t)local[0] - 1) / (int64_t)local[0], rows, planes, err);
}

mcf_status ocl_run_lines(ocl_call *call, int64_t lines, mcf_error *err)
{
    size_t local[3] = {(size_t)call->stream->device->tuning.group, 1, 1};
    return ocl_run(call, local, lines, 1, 1, err);
}

int64_t ocl_strips(const mcf_device *device, int64_t columns)
{
    return (columns + device->tuning.strip - 1) / device->tuning.strip;
}

mcf_status ocl_run_strips(ocl_call *call, int64_t columns, int64_t rows, int64_t planes, mcf_error *err)
{
    const mcf_device *device = call->stream->device;
    int64_t strips = ocl_strips(device, columns);
    size_t local[3] = {device->tuning.group > 1 ? 64 : 1, 1, 1};
    if (local[0] > (size_t)device->tuning.local)
        local[0] = (size_t)device->tuning.local;
    return ocl_run(call, local, (strips + (int64_t)local[0] - 1) / (int64_t)local[0], rows, planes, err);
}

int64_t ocl_chunks(const mcf_device *device, int64_t lines, int64_t terms)
{
    // Enough items for every unit: a few threads on processors, some hundred per unit elsewhere.
    int64_t wanted = (int64_t)device->physical->units * (device->tuning.group > 1 ? 512 : 4);
    int64_t chunks = lines > 0 ? (wanted + lines - 1) / lines : 1;
    int64_t most = terms / 64;
    chunks = chunks > most ? most : chunks;
    return chunks < 1 ? 1 : chunks > 256 ? 256 : chunks;
}

// --- layouts

void ocl_layout_join(ocl_layout *s)
{
    int kept = 0;
    for (int i = 0; i < s->rank; i++) {
        if (s->dim[i] == 1)
            continue;
        int last = kept - 1;
        int64_t n = s->dim[i];
        if (kept && s->a[last] == n * s->a[i] && s->b[last] == n * s->b[i] && s->out[last] == n * s->out[i]) {
            s->dim[last] *= n;
            s->a[last] = s->a[i];
            s->b[last] = s->b[i];
            s->out[last] = s->out[i];
            continue;
        }
        s->dim[kept] = n;
        s->a[kept] = s->a[i];
        s->b[kept] = s->b[i];
        s->out[kept++] = s->out[i];
    }
    if (!kept) {
        s->dim[0] = 1;
        s->a[0] = s->b[0] = s->out[0] = 1;
        kept = 1;
    }
    for (int i = kept; i < 6; i++)
        s->dim[i] = s->a[i] = s->b[i] = s->out[i] = 0;
    s->rank = kept;
}

int64_t ocl_layout_rows(const ocl_layout *s)
{
    int64_t rows = 1;
    for (int i = 0; i + 1 < s->rank; i++)
        rows *= s->dim[i];
    return rows;
}
