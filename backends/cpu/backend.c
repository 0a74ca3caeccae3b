// The cpu backend's table: devices, buffers, streams, events and the group. Work is done at once by the calling
// thread and its team, so streams and events are names.
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "backends/cpu/guard.h"
#include "backends/cpu/launch.h"
#include "backends/cpu/onednn.h"
#include "backends/host/group.h"
#include "backends/host/memory.h"

static int cores(void)
{
    int n = omp_get_num_procs();
    return n > 0 ? n : 1;
}

static mcf_status probe(mcf_error *err)
{
    if (!mcf_cpu_choose_kernels())
        return mcf_fail(err, MCF_ERR_USAGE,
                        "MCF_CPU_ISA=%s: no such instruction set here; use portable, avx2, avx512 or "
                        "avx512_bf16",
                        getenv("MCF_CPU_ISA"));
    return MCF_OK;
}

// Any index is a device: a share of the machine's threads. This many are worth having.
static int device_count(void)
{
    return cores();
}

static mcf_status check_index(int index, mcf_error *err)
{
    if (index < 0)
        return mcf_fail(err, MCF_ERR_USAGE, "cpu has no device %d", index);
    return MCF_OK;
}

static void processor_name(char *name, size_t size)
{
    char line[256];
    snprintf(name, size, "processor");
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon)
            continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(name, size, "%s", colon + 1 + (colon[1] == ' '));
        break;
    }
    if (file)
        fclose(file);
}

static mcf_status device_info(int index, mcf_device_info *info, mcf_error *err)
{
    MCF_TRY(check_index(index, err));
    MCF_TRY(probe(err));
    memset(info, 0, sizeof *info);
    processor_name(info->name, sizeof info->name);
    snprintf(info->detail, sizeof info->detail, "%s kernels, oneDNN %s%s", mcf_cpu_choose_kernels()->name,
             mcf_cpu_onednn_version(), mcf_cpu_onednn_has_bf16() ? " with bf16" : "");
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    info->memory_total = (uint64_t)sysconf(_SC_PHYS_PAGES) * page;
    info->memory_free = (uint64_t)sysconf(_SC_AVPHYS_PAGES) * page;
    info->alignment = 64;
    info->compute_units = cores();
    info->dtypes = 1u << MCF_F32 | 1u << MCF_BF16 | 1u << MCF_F16;
    info->emulated_bf16 = !mcf_cpu_onednn_has_bf16();
    info->emulated_fp16 = true;
    return MCF_OK;
}

static void device_close(mcf_device *device)
{
    if (!device)
        return;
    mcf_cpu_onednn_destroy(device->onednn);
    mcf_cpu_release(device->scratch, device->scratch_bytes);
    free(device);
}

static mcf_status create_onednn(void *device, mcf_error *err)
{
    return mcf_cpu_onednn_create(&((mcf_device *)device)->onednn, err);
}

static mcf_status device_open(int index, const mcf_device_options *options, mcf_device **device, mcf_error *err)
{
    MCF_TRY(check_index(index, err));
    MCF_TRY(probe(err));
    struct rlimit stack;
    const int team = options && options->threads > 0 ? options->threads : cores();
    const bool known = getrlimit(RLIMIT_STACK, &stack) == 0 && stack.rlim_cur != RLIM_INFINITY;
    MCF_TRY(mcf_cpu_check_room(MCF_CPU_ROOM + (size_t)team * (known ? (size_t)stack.rlim_cur : 8 << 20), err));
    mcf_device *d = calloc(1, sizeof *d);
    if (!d)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a device");
    int opened = options && options->opened > 0 ? options->opened : 1;
    d->index = index;
    d->threads = options && options->threads > 0 ? options->threads : cores() / opened;
    if (d->threads < 1)
        d->threads = 1;
    d->kernels = mcf_cpu_choose_kernels();
    mcf_status status = mcf_cpu_guarded(create_onednn, d, err);
    if (status != MCF_OK) {
        device_close(d);
        return status;
    }
    *device = d;
    return MCF_OK;
}

// --- memory

static mcf_status buffer_create(mcf_device *device, uint64_t bytes, mcf_buffer **buffer, mcf_error *err)
{
    mcf_buffer *b = malloc(sizeof *b);
    void *data = b ? mcf_cpu_allocate(bytes) : NULL;
    if (!data) {
        free(b);
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a buffer of %llu bytes", (unsigned long long)bytes);
    }
    *b = (mcf_buffer){device, bytes, data};
    *buffer = b;
    return MCF_OK;
}

static void buffer_destroy(mcf_buffer *buffer)
{
    if (!buffer)
        return;
    mcf_cpu_release(buffer->data, buffer->bytes);
    free(buffer);
}

static void *buffer_host(mcf_buffer *buffer)
{
    return buffer->data;
}

static mcf_status upload(mcf_stream *stream, mcf_buffer *to, uint64_t offset, const void *from, uint64_t bytes,
                         mcf_error *err)
{
    MCF_TRY(mcf_cpu_check_range(to, offset, bytes, "upload", err));
    if (bytes)
        memcpy(to->data + offset, from, bytes);
    return MCF_OK;
}

static mcf_status download(mcf_stream *stream, void *to, mcf_buffer *from, uint64_t offset, uint64_t bytes,
                           mcf_error *err)
{
    MCF_TRY(mcf_cpu_check_range(from, offset, bytes, "download", err));
    if (bytes)
        memcpy(to, from->data + offset, bytes);
    return MCF_OK;
}

static mcf_status copy(mcf_stream *stream, mcf_buffer *to, uint64_t to_offset, mcf_buffer *from, uint64_t from_offset,
                       uint64_t bytes, mcf_error *err)
{
    MCF_TRY(mcf_cpu_check_range(to, to_offset, bytes, "copy: destination", err));
    MCF_TRY(mcf_cpu_check_range(from, from_offset, bytes, "copy: source", err));
    memmove(to->data + to_offset, from->data + from_offset, bytes);
    return MCF_OK;
}

static mcf_status zero(mcf_stream *stream, mcf_buffer *buffer, uint64_t offset, uint64_t bytes, mcf_error *err)
{
    MCF_TRY(mcf_cpu_check_range(buffer, offset, bytes, "zero", err));
    memset(buffer->data + offset, 0, bytes);
    return MCF_OK;
}

// --- the group

struct mcf_group {
    mcf_host_group *host;
};

static mcf_status group_create(mcf_device *const *devices, int count, double timeout_seconds, mcf_group **group,
                               mcf_error *err)
{
    mcf_group *g = malloc(sizeof *g);
    int *index = calloc((size_t)(count > 0 ? count : 1), sizeof *index);
    mcf_status status = MCF_OK;
    if (!g || !index)
        status = mcf_fail(err, MCF_ERR_NOMEM, "no memory for a group of %d devices", count);
    for (int i = 0; i < count && status == MCF_OK; i++)
        index[i] = devices[i]->index;
    if (status == MCF_OK)
        status = mcf_host_group_create(index, count, timeout_seconds, &g->host, err);
    free(index);
    if (status == MCF_OK)
        *group = g;
    else
        free(g);
    return status;
}

static void group_destroy(mcf_group *group)
{
    if (group)
        mcf_host_group_destroy(group->host);
    free(group);
}

static void group_abort(mcf_group *group, const char *reason)
{
    mcf_host_group_abort(group->host, reason);
}

static mcf_status all_reduce(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                             mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_reduce reduce,
                             mcf_error *err)
{
    uint64_t bytes = count * mcf_dtype_size(dtype);
    MCF_TRY(mcf_cpu_check_range(to, to_offset, bytes, "all_reduce: output", err));
    MCF_TRY(mcf_cpu_check_range(from, from_offset, bytes, "all_reduce: input", err));
    return mcf_host_all_reduce(group->host, rank, to->data + to_offset, from->data + from_offset, count, dtype, reduce,
                               err);
}

static mcf_status all_gather(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                             mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_error *err)
{
    uint64_t bytes = count * mcf_dtype_size(dtype), members = (uint64_t)mcf_host_group_size(group->host);
    MCF_TRY(mcf_cpu_check_range(to, to_offset, bytes * members, "all_gather: output", err));
    MCF_TRY(mcf_cpu_check_range(from, from_offset, bytes, "all_gather: input", err));
    return mcf_host_all_gather(group->host, rank, to->data + to_offset, from->data + from_offset, count, dtype, err);
}

static mcf_status reduce_scatter(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                                 mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype,
                                 mcf_reduce reduce, mcf_error *err)
{
    uint64_t bytes = count * mcf_dtype_size(dtype), members = (uint64_t)mcf_host_group_size(group->host);
    MCF_TRY(mcf_cpu_check_range(to, to_offset, bytes, "reduce_scatter: output", err));
    MCF_TRY(mcf_cpu_check_range(from, from_offset, bytes * members, "reduce_scatter: input", err));
    return mcf_host_reduce_scatter(group->host, rank, to->data + to_offset, from->data + from_offset, count, dtype,
                                   reduce, err);
}

static mcf_status broadcast(mcf_group *group, int rank, int root, mcf_stream *stream, mcf_buffer *to,
                            uint64_t to_offset, mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype,
                            mcf_error *err)
{
    uint64_t bytes = count * mcf_dtype_size(dtype);
    MCF_TRY(mcf_cpu_check_range(to, to_offset, bytes, "broadcast: output", err));
    MCF_TRY(mcf_cpu_check_range(from, from_offset, rank == root ? bytes : 0, "broadcast: input", err));
    return mcf_host_broadcast(group->host, rank, root, to->data + to_offset, from->data + from_offset, count, dtype,
                              err);
}

static mcf_status barrier(mcf_group *group, int rank, mcf_stream *stream, mcf_error *err)
{
    return mcf_host_barrier(group->host, rank, err);
}

static const mcf_backend backend = {
    .abi = MCF_BACKEND_ABI,
    .size = sizeof(mcf_backend),
    .name = "cpu",
    .about = "all cores: oneDNN products, vectorised kernels",
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
    .supports = mcf_cpu_supports,
    .launch = mcf_cpu_launch,
    .group_create = group_create,
    .group_destroy = group_destroy,
    .group_abort = group_abort,
    .all_reduce = all_reduce,
    .all_gather = all_gather,
    .reduce_scatter = reduce_scatter,
    .broadcast = broadcast,
    .barrier = barrier,
};

__attribute__((visibility("default"))) const mcf_backend *mcf_backend_entry(void);

const mcf_backend *mcf_backend_entry(void)
{
    return &backend;
}
