// Devices, buffers, streams and events of cpu-reference. Work is done at once: streams and events are names.
#include "backends/reference/reference.h"
#include "ops/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALIGNMENT = 64 };

static mcf_status probe(mcf_error *err)
{
    return MCF_OK;
}

// Any index is a device; this many are worth having.
static int device_count(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? (int)cores : 1;
}

static mcf_status check_index(int index, mcf_error *err)
{
    if (index < 0)
        return mcf_fail(err, MCF_ERR_USAGE, "cpu-reference has no device %d", index);
    return MCF_OK;
}

static mcf_status device_info(int index, mcf_device_info *info, mcf_error *err)
{
    MCF_TRY(check_index(index, err));
    memset(info, 0, sizeof *info);
    snprintf(info->name, sizeof info->name, "plain C");
    snprintf(info->detail, sizeof info->detail, "one thread, sums in double");
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    info->memory_total = (uint64_t)sysconf(_SC_PHYS_PAGES) * page;
    info->memory_free = (uint64_t)sysconf(_SC_AVPHYS_PAGES) * page;
    info->alignment = ALIGNMENT;
    info->compute_units = 1;
    info->dtypes = (1u << MCF_DTYPE_COUNT) - 1;
    return MCF_OK;
}

static mcf_status device_open(int index, const mcf_device_options *options, mcf_device **device, mcf_error *err)
{
    MCF_TRY(check_index(index, err));
    *device = malloc(sizeof **device);
    if (!*device)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a device");
    (*device)->index = index;
    return MCF_OK;
}

static void device_close(mcf_device *device)
{
    free(device);
}

// --- memory

static mcf_status buffer_create(mcf_device *device, uint64_t bytes, mcf_buffer **buffer, mcf_error *err)
{
    mcf_buffer *b = malloc(sizeof *b);
    uint64_t rounded = bytes <= UINT64_MAX - ALIGNMENT ? (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : 0;
    void *data = b && (rounded || !bytes) && rounded <= PTRDIFF_MAX
                     ? aligned_alloc(ALIGNMENT, rounded ? rounded : ALIGNMENT)
                     : NULL;
    if (!data) {
        free(b);
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a buffer of %llu bytes", (unsigned long long)bytes);
    }
    memset(data, 0, rounded);
    *b = (mcf_buffer){data, bytes};
    *buffer = b;
    return MCF_OK;
}

static void buffer_destroy(mcf_buffer *buffer)
{
    if (buffer)
        free(buffer->data);
    free(buffer);
}

static void *buffer_host(mcf_buffer *buffer)
{
    return buffer->data;
}

static mcf_status upload(mcf_stream *stream, mcf_buffer *to, uint64_t offset, const void *from, uint64_t bytes,
                         mcf_error *err)
{
    MCF_TRY(ref_check_range(to, offset, bytes, "upload", err));
    if (bytes)
        memcpy((char *)to->data + offset, from, bytes);
    return MCF_OK;
}

static mcf_status download(mcf_stream *stream, void *to, mcf_buffer *from, uint64_t offset, uint64_t bytes,
                           mcf_error *err)
{
    MCF_TRY(ref_check_range(from, offset, bytes, "download", err));
    if (bytes)
        memcpy(to, (char *)from->data + offset, bytes);
    return MCF_OK;
}

static mcf_status copy(mcf_stream *stream, mcf_buffer *to, uint64_t to_offset, mcf_buffer *from, uint64_t from_offset,
                       uint64_t bytes, mcf_error *err)
{
    MCF_TRY(ref_check_range(to, to_offset, bytes, "copy: destination", err));
    MCF_TRY(ref_check_range(from, from_offset, bytes, "copy: source", err));
    memmove((char *)to->data + to_offset, (char *)from->data + from_offset, bytes);
    return MCF_OK;
}

static mcf_status zero(mcf_stream *stream, mcf_buffer *buffer, uint64_t offset, uint64_t bytes, mcf_error *err)
{
    MCF_TRY(ref_check_range(buffer, offset, bytes, "zero", err));
    memset((char *)buffer->data + offset, 0, bytes);
    return MCF_OK;
}

const mcf_backend *mcf_backend_reference(void)
{
    static const mcf_backend backend = {
        .abi = MCF_BACKEND_ABI,
        .size = sizeof(mcf_backend),
        .name = "cpu-reference",
        .about = "plain loops with sums in double: what the others are judged by",
        .probe = probe,
        .device_count = device_count,
        .device_info = device_info,
        .device_open = device_open,
        .device_close = device_close,
        .buffer_create = buffer_create,
        .buffer_destroy = buffer_destroy,
        .buffer_host = buffer_host,
        .upload = upload,
        .download = download,
        .copy = copy,
        .zero = zero,
        .host_create = mcf_host_memory_create,
        .host_destroy = mcf_host_memory_destroy,
        .stream_create = mcf_host_stream_create,
        .stream_destroy = mcf_host_stream_destroy,
        .stream_synchronize = mcf_host_stream_synchronize,
        .event_create = mcf_host_event_create,
        .event_destroy = mcf_host_event_destroy,
        .event_record = mcf_host_event_record,
        .event_wait = mcf_host_event_wait,
        .event_query = mcf_host_event_query,
        .supports = ref_supports,
        .launch = ref_launch,
        .group_create = ref_group_create,
        .group_destroy = ref_group_destroy,
        .group_abort = ref_group_abort,
        .all_reduce = ref_group_all_reduce,
        .all_gather = ref_group_all_gather,
        .reduce_scatter = ref_group_reduce_scatter,
        .broadcast = ref_group_broadcast,
        .barrier = ref_group_barrier,
    };
    return &backend;
}
