// Collectives: bounds checks in front of backends/host/group.c.
#include "backends/reference/reference.h"

#include <stdlib.h>

mcf_status ref_group_create(mcf_device *const *devices, int count, double timeout_seconds, mcf_group **group,
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
    mcf_status status = mcf_host_group_create(index, count, timeout_seconds, &g->host, err);
    free(index);
    if (status != MCF_OK) {
        free(g);
        return status;
    }
    *group = g;
    return MCF_OK;
}

void ref_group_destroy(mcf_group *group)
{
    if (group)
        mcf_host_group_destroy(group->host);
    free(group);
}

void ref_group_abort(mcf_group *group, const char *reason)
{
    mcf_host_group_abort(group->host, reason);
}

static char *at(mcf_buffer *buffer, uint64_t offset)
{
    return (char *)buffer->data + offset;
}

mcf_status ref_group_all_reduce(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                                mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype,
                                mcf_reduce reduce, mcf_error *err)
{
    uint64_t bytes = count * mcf_dtype_size(dtype);
    MCF_TRY(ref_check_range(from, from_offset, bytes, "all_reduce: input", err));
    MCF_TRY(ref_check_range(to, to_offset, bytes, "all_reduce: output", err));
    return mcf_host_all_reduce(group->host, rank, at(to, to_offset), at(from, from_offset), count, dtype, reduce, err);
}

mcf_status ref_group_all_gather(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                                mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_error *err)
{
    uint64_t bytes = count * mcf_dtype_size(dtype);
    MCF_TRY(ref_check_range(from, from_offset, bytes, "all_gather: input", err));
    MCF_TRY(
        ref_check_range(to, to_offset, bytes * (uint64_t)mcf_host_group_size(group->host), "all_gather: output", err));
    return mcf_host_all_gather(group->host, rank, at(to, to_offset), at(from, from_offset), count, dtype, err);
}

mcf_status ref_group_reduce_scatter(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                                    mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype,
                                    mcf_reduce reduce, mcf_error *err)
{
    uint64_t bytes = count * mcf_dtype_size(dtype);
    MCF_TRY(ref_check_range(from, from_offset, bytes * (uint64_t)mcf_host_group_size(group->host),
                            "reduce_scatter: input", err));
    MCF_TRY(ref_check_range(to, to_offset, bytes, "reduce_scatter: output", err));
    return mcf_host_reduce_scatter(group->host, rank, at(to, to_offset), at(from, from_offset), count, dtype, reduce,
                                   err);
}

mcf_status ref_group_broadcast(mcf_group *group, int rank, int root, mcf_stream *stream, mcf_buffer *to,
                               uint64_t to_offset, mcf_buffer *from, uint64_t from_offset, uint64_t count,
                               mcf_dtype dtype, mcf_error *err)
{
    uint64_t bytes = count * mcf_dtype_size(dtype);
    if (rank == root)
        MCF_TRY(ref_check_range(from, from_offset, bytes, "broadcast: input", err));
    MCF_TRY(ref_check_range(to, to_offset, bytes, "broadcast: output", err));
    return mcf_host_broadcast(group->host, rank, root, at(to, to_offset), rank == root ? at(from, from_offset) : NULL,
                              count, dtype, err);
}

mcf_status ref_group_barrier(mcf_group *group, int rank, mcf_stream *stream, mcf_error *err)
{
    return mcf_host_barrier(group->host, rank, err);
}

// --- as operations: the group of one, where each is a copy

static mcf_status keep(ref_call *call)
{
    for (int64_t i = 0, count = ref_in_count(call, COLLECTIVE_IN); i < count; i++)
        call->out[COLLECTIVE_OUT][i] = call->in[COLLECTIVE_IN][i];
    return MCF_OK;
}

mcf_status ref_all_reduce(ref_call *call, mcf_error *err)
{
    return keep(call);
}

mcf_status ref_all_gather(ref_call *call, mcf_error *err)
{
    return keep(call);
}

mcf_status ref_reduce_scatter(ref_call *call, mcf_error *err)
{
    return keep(call);
}

mcf_status ref_broadcast(ref_call *call, mcf_error *err)
{
    return keep(call);
}
