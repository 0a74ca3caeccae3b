// The module's entry.
#include "backends/cuda/cuda.h"

__attribute__((visibility("default"))) const mcf_backend *mcf_backend_entry(void)
{
    static const mcf_backend backend = {
        .abi = MCF_BACKEND_ABI,
        .size = sizeof(mcf_backend),
        .name = "cuda",
        .about = "NVIDIA cards",
        .probe = cuda_probe,
        .device_count = cuda_device_count,
        .device_info = cuda_device_info,
        .device_open = cuda_device_open,
        .device_close = cuda_device_close,
        .buffer_create = cuda_buffer_create,
        .buffer_destroy = cuda_buffer_destroy,
        .buffer_host = cuda_buffer_host,
        .upload = cuda_upload,
        .download = cuda_download,
        .copy = dev_copy,
        .zero = dev_zero,
        .stream_create = cuda_stream_create,
        .stream_destroy = cuda_stream_destroy,
        .stream_synchronize = cuda_stream_synchronize,
        .event_create = cuda_event_create,
        .event_destroy = cuda_event_destroy,
        .event_record = cuda_event_record,
        .event_wait = cuda_event_wait,
        .supports = cuda_supports,
        .launch = dev_launch,
        .group_create = cuda_group_create,
        .group_destroy = cuda_group_destroy,
        .group_abort = cuda_group_abort,
        .all_reduce = cuda_all_reduce,
        .all_gather = cuda_all_gather,
        .reduce_scatter = cuda_reduce_scatter,
        .broadcast = cuda_broadcast,
        .barrier = cuda_barrier,
        .segment_create = cuda_segment_create,
        .segment_destroy = cuda_segment_destroy,
        .segment_begin = cuda_segment_begin,
        .segment_end = cuda_segment_end,
        .group_describe = cuda_group_describe,
    };
    return &backend;
}
