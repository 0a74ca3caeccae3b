// Collectives through the host: down, across (backends/host/group.c), up. Each member waits for its own queue first.
#include "backends/opencl/opencl.h"

#include <stdlib.h>

struct mcf_group {
    mcf_host_group *host;
    int count;
};

mcf_status ocl_group_create(mcf_device *const *devices, int count, double timeout_seconds, mcf_group **group,
                            mcf_error *err)
{
    mcf_group *g = malloc(sizeof *g);
    int *index = malloc((size_t)(count > 0 ? count : 1) * sizeof *index);
    if (!g || !index) {
        free(g);
        free(index);
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a group of %d devices", count);
    }
    for (int i = 0; i < count; i++)
        index[i] = devices[i]->index;
    g->count = count;
    mcf_status status = mcf_host_group_create(index, count, timeout_seconds, &g->host, err);
    free(index);
    if (status != MCF_OK)
        free(g);
    else
        *group = g;
    return status;
}

void ocl_group_destroy(mcf_group *group)
{
    if (group)
        mcf_host_group_destroy(group->host);
    free(group);
}

void ocl_group_abort(mcf_group *group, const char *reason)
{
    mcf_host_group_abort(group->host, reason);
}

// Host memory for what goes in and comes out.
typedef struct {
    void *from, *to;
} copies;

static mcf_status take(copies *c, uint64_t from_bytes, uint64_t to_bytes, mcf_error *err)
{
    c->from = malloc(from_bytes ? from_bytes : 1);
    c->to = malloc(to_bytes ? to_bytes : 1);
    if (c->from && c->to)
        return MCF_OK;
    free(c->from);
    free(c->to);
    return mcf_fail(err, MCF_ERR_NOMEM, "no host memory for a collective of %llu bytes",
                    (unsigned long long)(from_bytes + to_bytes));
}

static mcf_status fetch(mcf_stream *stream, void *to, mcf_buffer *from, uint64_t offset, uint64_t bytes, mcf_error *err)
{
    MCF_TRY(ocl_download(stream, to, from, offset, bytes, err));
    return ocl_stream_synchronize(stream, err);
}

// A member that cannot take part says so to the others.
static mcf_status settle(mcf_group *group, mcf_status status, mcf_error *err)
{
    if (status != MCF_OK)
        mcf_host_group_abort(group->host, err ? err->message : "a member failed");
    return status;
}

static mcf_status give(mcf_stream *stream, copies *c, mcf_status status, mcf_buffer *to, uint64_t offset,
                       uint64_t bytes, mcf_error *err)
{
    if (status == MCF_OK)
        status = ocl_upload(stream, to, offset, c->to, bytes, err);
    free(c->from);
    free(c->to);
    return status;
}

mcf_status ocl_all_reduce(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                          mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_reduce reduce,
                          mcf_error *err)
{
    const uint64_t bytes = count * mcf_dtype_size(dtype);
    copies c;
    MCF_TRY(settle(group, take(&c, bytes, bytes, err), err));
    mcf_status status = settle(group, fetch(stream, c.from, from, from_offset, bytes, err), err);
    if (status == MCF_OK)
        status = mcf_host_all_reduce(group->host, rank, c.to, c.from, count, dtype, reduce, err);
    return give(stream, &c, status, to, to_offset, bytes, err);
}

mcf_status ocl_all_gather(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                          mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_error *err)
{
    const uint64_t bytes = count * mcf_dtype_size(dtype), whole = bytes * (uint64_t)group->count;
    copies c;
    MCF_TRY(settle(group, take(&c, bytes, whole, err), err));
    mcf_status status = settle(group, fetch(stream, c.from, from, from_offset, bytes, err), err);
    if (status == MCF_OK)
        status = mcf_host_all_gather(group->host, rank, c.to, c.from, count, dtype, err);
    return give(stream, &c, status, to, to_offset, whole, err);
}

mcf_status ocl_reduce_scatter(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                              mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype,
                              mcf_reduce reduce, mcf_error *err)
{
    const uint64_t bytes = count * mcf_dtype_size(dtype), whole = bytes * (uint64_t)group->count;
    copies c;
    MCF_TRY(settle(group, take(&c, whole, bytes, err), err));
    mcf_status status = settle(group, fetch(stream, c.from, from, from_offset, whole, err), err);
    if (status == MCF_OK)
        status = mcf_host_reduce_scatter(group->host, rank, c.to, c.from, count, dtype, reduce, err);
    return give(stream, &c, status, to, to_offset, bytes, err);
}

mcf_status ocl_broadcast(mcf_group *group, int rank, int root, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                         mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_error *err)
{
    const uint64_t bytes = count * mcf_dtype_size(dtype);
    const bool sends = rank == root;
    copies c;
    MCF_TRY(settle(group, take(&c, sends ? bytes : 0, bytes, err), err));
    mcf_status status = MCF_OK;
    if (sends)
        status = settle(group, fetch(stream, c.from, from, from_offset, bytes, err), err);
    if (status == MCF_OK)
        status = mcf_host_broadcast(group->host, rank, root, c.to, sends ? c.from : NULL, count, dtype, err);
    return give(stream, &c, status, to, to_offset, bytes, err);
}

mcf_status ocl_barrier(mcf_group *group, int rank, mcf_stream *stream, mcf_error *err)
{
    MCF_TRY(settle(group, ocl_stream_synchronize(stream, err), err));
    return mcf_host_barrier(group->host, rank, err);
}
