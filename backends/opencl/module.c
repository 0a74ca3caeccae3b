// The module's entry.
#include "backends/opencl/opencl.h"

static mcf_status probe(mcf_error *err)
{
    return ocl_find_devices(err);
}

__attribute__((visibility("default"))) const mcf_backend *mcf_backend_entry(void)
{
    static const mcf_backend backend = {
        .abi = MCF_BACKEND_ABI,
        .size = sizeof(mcf_backend),
        .name = "opencl",
        .about = "OpenCL 1.2 devices of any vendor",
        .probe = probe,
        .device_count = ocl_device_count,
        .device_info = ocl_device_info,
        .device_open = ocl_device_open,
        .device_close = ocl_device_close,
        .buffer_create = ocl_buffer_create,
        .buffer_destroy = ocl_buffer_destroy,
        .buffer_host = ocl_buffer_host,
        .upload = ocl_upload,
        .download = ocl_download,
        .copy = dev_copy,
        .zero = dev_zero,
        .host_create = mcf_host_memory_create,
        .host_destroy = mcf_host_memory_destroy,
        .stream_create = ocl_stream_create,
        .stream_destroy = ocl_stream_destroy,
        .stream_synchronize = ocl_stream_synchronize,
        .event_create = ocl_event_create,
        .event_destroy = ocl_event_destroy,
        .event_record = ocl_event_record,
        .event_wait = ocl_event_wait,
        .event_query = ocl_event_query,
        .supports = dev_supports,
        .launch = dev_launch,
        .group_create = ocl_group_create,
        .group_destroy = ocl_group_destroy,
        .group_abort = ocl_group_abort,
        .all_reduce = ocl_all_reduce,
        .all_gather = ocl_all_gather,
        .reduce_scatter = ocl_reduce_scatter,
        .broadcast = ocl_broadcast,
        .barrier = ocl_barrier,
        .tune = ocl_tune,
    };
    return &backend;
}
