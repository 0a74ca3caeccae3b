// Kernel calls as OpenCL makes them.
#include "backends/opencl/opencl.h"

#include <string.h>

const char *const dev_backend_name = "opencl";

dev_sizes dev_sizes_of(const mcf_stream *stream)
{
    const ocl_tuning *t = &stream->device->tuning;
    const ocl_physical *p = stream->device->physical;
    return (dev_sizes){.group = t->group,
                       .strip = t->strip,
                       .local = t->local,
                       .units = (int)p->units,
                       .group_max = (int)p->group_max,
                       .attention_products = t->attention == OCL_ATTENTION_PRODUCTS};
}

dev_operation dev_own(const mcf_stream *stream, const mcf_launch *launch)
{
    (void)stream;
    (void)launch;
    return NULL;
}

mcf_status dev_begin(dev_call *call, mcf_stream *stream, const dev_kernel_key *key, mcf_error *err)
{
    *call = (dev_call){.stream = stream, .name = key->kernel};
    return ocl_kernel_get(stream->device, key, (cl_kernel *)&call->kernel, err);
}

void dev_bytes(dev_call *call, const void *value, size_t bytes)
{
    cl_int code = clSetKernelArg(call->kernel, (cl_uint)call->next++, bytes, value);
    if (call->code == CL_SUCCESS)
        call->code = code;
}

void dev_operand(dev_call *call, const mcf_operand *operand)
{
    bool there = operand && operand->buffer;
    cl_mem memory = there ? operand->buffer->memory : call->stream->device->nothing;
    dev_bytes(call, &memory, sizeof memory);
    const int64_t begin = there ? (int64_t)(operand->offset / mcf_dtype_size(operand->dtype)) : 0;
    dev_bytes(call, &begin, sizeof begin);
}

mcf_status dev_run(dev_call *call, const size_t local[3], int64_t groups0, int64_t groups1, int64_t groups2,
                   mcf_error *err)
{
    if (groups0 < 1 || groups1 < 1 || groups2 < 1)
        return MCF_OK;
    size_t global[3] = {(size_t)groups0 * local[0], (size_t)groups1 * local[1], (size_t)groups2 * local[2]};
    cl_int code = call->code;
    if (code == CL_SUCCESS)
        code = clEnqueueNDRangeKernel(call->stream->queue, call->kernel, 3, NULL, global, local, 0, NULL, NULL);
    return code == CL_SUCCESS ? MCF_OK : ocl_fail(err, code, call->name);
}
