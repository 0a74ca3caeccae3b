// Collectives among the cards of this process, without NCCL.
//
// Each member sums one slice for all, reading the others' memory where peers can see it and copies of it else (the
// driver takes those through the host), then fetches the other slices. So a byte crosses each link twice, whatever the
// count of members, and sums are formed in the order of ranks: the same bits on every member and in every run.
// The host only meets the others (backends/host_group.c: timeout, abort, names of who is missing) and enqueues; events
// order the streams.
#include "backends/cuda/cuda.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What a member's stream has done: 0 made its operands ready, 1 summed its slice, 2 read everything.
enum { READY, SUMMED, DONE, PHASES };
// Elements that are summed at once where copies are needed.
enum { PIECE = 2 << 20 };

struct mcf_group {
    mcf_host_group *host;
    int count;
    mcf_device *devices[CUDA_MEMBERS];
    bool sees[CUDA_MEMBERS][CUDA_MEMBERS];
    cudaEvent_t events[CUDA_MEMBERS][PHASES];
};

// What members tell each other.
typedef struct {
    void *from, *to;
    uint64_t count;
    int kind, dtype, detail;
} notice;
enum { ALL_REDUCE, ALL_GATHER, REDUCE_SCATTER, BROADCAST };
static const char *const kind_names[] = {"all_reduce", "all_gather", "reduce_scatter", "broadcast"};

// A collective of one member.
typedef struct {
    mcf_group *group;
    int rank;
    mcf_stream *stream;
    notice all[CUDA_MEMBERS];
    size_t size; // of an element
} member;

// --- groups

static mcf_status join(mcf_group *g, int a, mcf_error *err)
{
    MCF_TRY(cuda_use(g->devices[a], err));
    for (int i = 0; i < PHASES; i++)
        CUDA_TRY(cudaEventCreateWithFlags(&g->events[a][i], cudaEventDisableTiming), "event", err);
    for (int b = 0; b < g->count; b++) {
        int can = g->devices[a]->index == g->devices[b]->index;
        g->sees[a][b] = can;
        if (can || cudaDeviceCanAccessPeer(&can, g->devices[a]->index, g->devices[b]->index) != cudaSuccess || !can)
            continue;
        cudaError_t code = cudaDeviceEnablePeerAccess(g->devices[b]->index, 0);
        g->sees[a][b] = code == cudaSuccess || code == cudaErrorPeerAccessAlreadyEnabled;
    }
    cudaGetLastError();
    return MCF_OK;
}

mcf_status cuda_group_create(mcf_device *const *devices, int count, double timeout_seconds, mcf_group **group,
                             mcf_error *err)
{
    int index[CUDA_MEMBERS];
    if (count < 1 || count > CUDA_MEMBERS)
        return mcf_fail(err, MCF_ERR_USAGE, "a group of %d cards; from 1 to %d can work together", count, CUDA_MEMBERS);
    mcf_group *g = calloc(1, sizeof *g);
    if (!g)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a group of %d devices", count);
    g->count = count;
    for (int i = 0; i < count; i++) {
        g->devices[i] = devices[i];
        index[i] = devices[i]->index;
    }
    mcf_status status = mcf_host_group_create(index, count, timeout_seconds, &g->host, err);
    for (int i = 0; i < count && status == MCF_OK; i++)
        status = join(g, i, err);
    if (status != MCF_OK) {
        cuda_group_destroy(g);
        return status;
    }
    *group = g;
    return MCF_OK;
}

void cuda_group_destroy(mcf_group *g)
{
    if (!g)
        return;
    for (int i = 0; i < g->count; i++)
        for (int p = 0; p < PHASES; p++)
            if (g->events[i][p])
                cudaEventDestroy(g->events[i][p]);
    mcf_host_group_destroy(g->host);
    free(g);
}

void cuda_group_abort(mcf_group *group, const char *reason)
{
    mcf_host_group_abort(group->host, reason);
}

// --- meeting

// A member that cannot go on says so to the others.
static mcf_status settle(mcf_group *g, mcf_status status, mcf_error *err)
{
    if (status != MCF_OK)
        mcf_host_group_abort(g->host, err ? err->message : "a member failed");
    return status;
}

static mcf_status record(member *m, int phase, mcf_error *err)
{
    MCF_TRY(cuda_use(m->stream->device, err));
    CUDA_TRY(cudaEventRecord(m->group->events[m->rank][phase], m->stream->stream), "event of a group", err);
    return MCF_OK;
}

static mcf_status follow(member *m, int phase, mcf_error *err)
{
    MCF_TRY(cuda_use(m->stream->device, err));
    for (int i = 0; i < m->group->count; i++)
        if (i != m->rank)
            CUDA_TRY(cudaStreamWaitEvent(m->stream->stream, m->group->events[i][phase], 0), "event of a group", err);
    return MCF_OK;
}

// This stream has come to `phase`; what is enqueued from here on waits until all have.
static mcf_status pass(member *m, int phase, mcf_error *err)
{
    MCF_TRY(settle(m->group, record(m, phase, err), err));
    MCF_TRY(mcf_host_barrier(m->group->host, m->rank, err));
    return settle(m->group, follow(m, phase, err), err);
}

static mcf_status compare(member *m, mcf_error *err)
{
    const notice *a = &m->all[0];
    for (int i = 1; i < m->group->count; i++) {
        const notice *b = &m->all[i];
        if (a->kind != b->kind || a->count != b->count || a->dtype != b->dtype || a->detail != b->detail)
            return mcf_fail(err, MCF_ERR_DEVICE, "devices disagree: device %d is at %s (%llu %s, %d), device %d at %s "
                            "(%llu %s, %d)", m->group->devices[0]->index, kind_names[a->kind],
                            (unsigned long long)a->count, mcf_dtype_name((mcf_dtype)a->dtype), a->detail,
                            m->group->devices[i]->index, kind_names[b->kind], (unsigned long long)b->count,
                            mcf_dtype_name((mcf_dtype)b->dtype), b->detail);
    }
    return MCF_OK;
}

static mcf_status begin(member *m, mcf_group *g, int rank, mcf_stream *stream, notice own, mcf_error *err)
{
    if (rank < 0 || rank >= g->count)
        return mcf_fail(err, MCF_ERR_USAGE, "%s: no rank %d in a group of %d", kind_names[own.kind], rank, g->count);
    *m = (member){.group = g, .rank = rank, .stream = stream, .size = mcf_dtype_size((mcf_dtype)own.dtype)};
    MCF_TRY(settle(g, record(m, READY, err), err));
    MCF_TRY(mcf_host_all_gather(g->host, rank, m->all, &own, sizeof own, MCF_U8, err));
    MCF_TRY(settle(g, compare(m, err), err));
    return settle(g, follow(m, READY, err), err);
}

static mcf_status end(member *m, mcf_error *err)
{
    return pass(m, DONE, err);
}

// --- moving and summing

static mcf_status fetch(member *m, void *to, const void *from, int owner, uint64_t bytes, mcf_error *err)
{
    const int own = m->stream->device->index, other = m->group->devices[owner]->index;
    if (!bytes || to == from)
        return MCF_OK;
    MCF_TRY(cuda_use(m->stream->device, err));
    CUDA_TRY(own == other ? cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, m->stream->stream)
                          : cudaMemcpyPeerAsync(to, own, from, other, bytes, m->stream->stream),
             "copy between devices", err);
    return MCF_OK;
}

static mcf_status launch_sum(member *m, cuda_members members, void *out, uint64_t n, mcf_reduce reduce, mcf_error *err)
{
    int64_t count64 = (int64_t)n;
    int count = m->group->count, mean = reduce == MCF_REDUCE_MEAN;
    void *arguments[] = {&members, &out, &count64, &count, &mean};
    const dim3 grid = {(unsigned)((n + CUDA_SUM_BLOCK - 1) / CUDA_SUM_BLOCK), 1, 1}, block = {CUDA_SUM_BLOCK, 1, 1};
    CUDA_TRY(cudaLaunchKernel(cuda_group_sum((mcf_dtype)m->all[0].dtype), grid, block, arguments, 0,
                              m->stream->stream), "sum over devices", err);
    return MCF_OK;
}

// Elements [start, end) of all members' `from` into `out`.
static mcf_status sum(member *m, char *out, uint64_t start, uint64_t end, mcf_reduce reduce, mcf_error *err)
{
    const mcf_group *g = m->group;
    mcf_operand copies = {0};
    int unseen = 0, slot;
    for (int i = 0; i < g->count; i++)
        unseen += !g->sees[m->rank][i];
    const uint64_t piece = unseen ? PIECE : 1 << 30;
    if (unseen && end > start)
        MCF_TRY(dev_scratch(m->stream, 0, (uint64_t)unseen * (end - start < piece ? end - start : piece) * m->size / 4 +
                            (uint64_t)unseen * 64, &copies, err));
    MCF_TRY(cuda_use(m->stream->device, err));
    for (uint64_t at = start, n; at < end; at += n) {
        cuda_members members = {{0}};
        n = end - at < piece ? end - at : piece;
        slot = 0;
        for (int i = 0; i < g->count; i++) {
            const char *from = (const char *)m->all[i].from + at * m->size;
            members.from[i] = from;
            if (g->sees[m->rank][i])
                continue;
            char *copy = (char *)copies.buffer->memory + (uint64_t)slot++ * ((n * m->size + 63) / 64 * 64);
            MCF_TRY(fetch(m, copy, from, i, n * m->size, err));
            members.from[i] = copy;
        }
        MCF_TRY(launch_sum(m, members, out + (at - start) * m->size, n, reduce, err));
    }
    return MCF_OK;
}

static bool overlap(const void *a, uint64_t a_bytes, const void *b, uint64_t b_bytes)
{
    const uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
    return x < y + b_bytes && y < x + a_bytes;
}

// Where the output would overwrite input that others still read, they read a copy.
static mcf_status stage(mcf_group *g, mcf_stream *s, void **from, uint64_t bytes, mcf_error *err)
{
    mcf_operand copy;
    MCF_TRY(settle(g, dev_scratch(s, 3, (bytes + 3) / 4, &copy, err), err));
    MCF_TRY(settle(g, cuda_use(s->device, err), err));
    cudaError_t code = cudaMemcpyAsync(copy.buffer->memory, *from, bytes, cudaMemcpyDeviceToDevice, s->stream);
    *from = copy.buffer->memory;
    return code == cudaSuccess ? MCF_OK : settle(g, cuda_fail(err, code, "copy"), err);
}

static mcf_status check_reducible(mcf_dtype dtype, int kind, mcf_error *err)
{
    if (!mcf_dtype_is_float(dtype))
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "%s: cannot reduce %s", kind_names[kind], mcf_dtype_name(dtype));
    return MCF_OK;
}

static char *at(const mcf_buffer *buffer, uint64_t offset)
{
    return (char *)buffer->memory + offset;
}

// --- collectives

static mcf_status all_reduce_slices(member *m, mcf_reduce reduce, mcf_error *err)
{
    const int members = m->group->count;
    const uint64_t count = m->all[0].count, slice = (count + (uint64_t)members - 1) / (uint64_t)members;
    char *to = m->all[m->rank].to;
    uint64_t start[CUDA_MEMBERS + 1];
    for (int i = 0; i <= members; i++)
        start[i] = slice * (uint64_t)i < count ? slice * (uint64_t)i : count;
    MCF_TRY(settle(m->group, sum(m, to + start[m->rank] * m->size, start[m->rank], start[m->rank + 1], reduce, err),
                   err));
    MCF_TRY(pass(m, SUMMED, err));
    for (int i = 0; i < members; i++)
        if (i != m->rank)
            MCF_TRY(settle(m->group, fetch(m, to + start[i] * m->size, (char *)m->all[i].to + start[i] * m->size, i,
                                           (start[i + 1] - start[i]) * m->size, err), err));
    return end(m, err);
}

mcf_status cuda_all_reduce(mcf_group *g, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                           mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_reduce reduce,
                           mcf_error *err)
{
    const uint64_t bytes = count * mcf_dtype_size(dtype);
    member m;
    MCF_TRY(check_reducible(dtype, ALL_REDUCE, err));
    MCF_TRY(dev_check_range(from, from_offset, bytes, "all_reduce: input", err));
    MCF_TRY(dev_check_range(to, to_offset, bytes, "all_reduce: output", err));
    MCF_TRY(begin(&m, g, rank, stream,
                  (notice){at(from, from_offset), at(to, to_offset), count, ALL_REDUCE, (int)dtype, (int)reduce}, err));
    return all_reduce_slices(&m, reduce, err);
}

mcf_status cuda_all_gather(mcf_group *g, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                           mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_error *err)
{
    const uint64_t bytes = count * mcf_dtype_size(dtype), whole = bytes * (uint64_t)g->count;
    member m;
    MCF_TRY(dev_check_range(from, from_offset, bytes, "all_gather: input", err));
    MCF_TRY(dev_check_range(to, to_offset, whole, "all_gather: output", err));
    char *out = at(to, to_offset);
    void *in = at(from, from_offset);
    if (in != out + bytes * (uint64_t)rank && overlap(in, bytes, out, whole))
        MCF_TRY(stage(g, stream, &in, bytes, err));
    MCF_TRY(begin(&m, g, rank, stream, (notice){in, out, count, ALL_GATHER, (int)dtype, 0}, err));
    for (int i = 0; i < g->count; i++)
        MCF_TRY(settle(g, fetch(&m, out + bytes * (uint64_t)i, m.all[i].from, i, bytes, err), err));
    return end(&m, err);
}

mcf_status cuda_reduce_scatter(mcf_group *g, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                               mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype,
                               mcf_reduce reduce, mcf_error *err)
{
    const uint64_t bytes = count * mcf_dtype_size(dtype), whole = bytes * (uint64_t)g->count;
    member m;
    MCF_TRY(check_reducible(dtype, REDUCE_SCATTER, err));
    MCF_TRY(dev_check_range(from, from_offset, whole, "reduce_scatter: input", err));
    MCF_TRY(dev_check_range(to, to_offset, bytes, "reduce_scatter: output", err));
    char *out = at(to, to_offset);
    void *in = at(from, from_offset);
    if (out != (char *)in + bytes * (uint64_t)rank && overlap(in, whole, out, bytes))
        MCF_TRY(stage(g, stream, &in, whole, err));
    MCF_TRY(begin(&m, g, rank, stream, (notice){in, out, count, REDUCE_SCATTER, (int)dtype, (int)reduce}, err));
    MCF_TRY(settle(g, sum(&m, out, count * (uint64_t)rank, count * (uint64_t)(rank + 1), reduce, err), err));
    return end(&m, err);
}

// The root's own copy comes when all have read.
mcf_status cuda_broadcast(mcf_group *g, int rank, int root, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                          mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_error *err)
{
    const uint64_t bytes = count * mcf_dtype_size(dtype);
    member m;
    if (root < 0 || root >= g->count)
        return mcf_fail(err, MCF_ERR_USAGE, "broadcast: no rank %d in a group of %d", root, g->count);
    if (rank == root)
        MCF_TRY(dev_check_range(from, from_offset, bytes, "broadcast: input", err));
    MCF_TRY(dev_check_range(to, to_offset, bytes, "broadcast: output", err));
    void *in = rank == root ? at(from, from_offset) : NULL;
    MCF_TRY(begin(&m, g, rank, stream, (notice){in, at(to, to_offset), count, BROADCAST, (int)dtype, root}, err));
    if (rank != root)
        MCF_TRY(settle(g, fetch(&m, at(to, to_offset), m.all[root].from, root, bytes, err), err));
    MCF_TRY(end(&m, err));
    return rank == root ? dev_copy(stream, to, to_offset, from, from_offset, bytes, err) : MCF_OK;
}

mcf_status cuda_barrier(mcf_group *g, int rank, mcf_stream *stream, mcf_error *err)
{
    MCF_TRY(settle(g, cuda_stream_synchronize(stream, err), err));
    return mcf_host_barrier(g->host, rank, err);
}
