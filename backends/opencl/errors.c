// Names of OpenCL's error codes.
#include "backends/opencl/opencl.h"

const char *ocl_error_name(cl_int code)
{
    static const struct {
        cl_int code;
        const char *name;
    } names[] = {
        {CL_DEVICE_NOT_FOUND, "no device"},
        {CL_DEVICE_NOT_AVAILABLE, "the device is not available"},
        {CL_COMPILER_NOT_AVAILABLE, "the device has no compiler"},
        {CL_MEM_OBJECT_ALLOCATION_FAILURE, "out of device memory"},
        {CL_OUT_OF_RESOURCES, "out of device resources"},
        {CL_OUT_OF_HOST_MEMORY, "out of host memory"},
        {CL_MEM_COPY_OVERLAP, "copy within overlapping memory"},
        {CL_BUILD_PROGRAM_FAILURE, "the kernels do not compile"},
        {CL_INVALID_VALUE, "invalid value"},
        {CL_INVALID_BUFFER_SIZE, "invalid buffer size"},
        {CL_INVALID_BINARY, "the binary is not for this device"},
        {CL_INVALID_KERNEL_NAME, "no kernel of this name"},
        {CL_INVALID_KERNEL_ARGS, "missing kernel arguments"},
        {CL_INVALID_ARG_INDEX, "too many kernel arguments"},
        {CL_INVALID_ARG_SIZE, "kernel argument of another size"},
        {CL_INVALID_WORK_GROUP_SIZE, "invalid work-group size"},
        {CL_INVALID_WORK_ITEM_SIZE, "invalid work-item size"},
        {CL_INVALID_COMMAND_QUEUE, "invalid queue"},
        {CL_INVALID_CONTEXT, "invalid context"},
        {CL_INVALID_EVENT_WAIT_LIST, "invalid event"},
        {CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, "work before it failed"},
        {-1001, "no OpenCL platform"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].code == code)
            return names[i].name;
    return "error";
}

mcf_status ocl_fail(mcf_error *err, cl_int code, const char *what)
{
    bool memory = code == CL_MEM_OBJECT_ALLOCATION_FAILURE || code == CL_OUT_OF_HOST_MEMORY;
    return mcf_fail(err, memory ? MCF_ERR_NOMEM : MCF_ERR_DEVICE, "opencl: %s: %s (%d)", what, ocl_error_name(code),
                    (int)code);
}
