// Collectives among the cards of this process, without NCCL.
//
// The members' threads meet (backends/host/group.c: timeout, abort, names of who is missing) and the first of them
// enqueues the whole collective on the streams of all while the others wait: so a collective costs two meetings,
// whatever its steps, and every event is recorded before somebody waits for it. Events order the streams; nobody waits
// for a card. How a sum goes is the topology's choice (backends/cuda/topology.h).
#include "backends/cuda/group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {"all_reduce", "all_gather", "reduce_scatter", "broadcast"};

// --- groups

cuda_link cuda_link_between(int a, int b)
{
    int can = 0, atomics = 0;
    if (a == b)
        return CUDA_LINK_SELF;
    if (cudaDeviceCanAccessPeer(&can, a, b) != cudaSuccess || !can)
        return CUDA_LINK_HOST;
    // Atomic operations reach over NVLink, and not over PCIe.
    if (cudaDeviceGetP2PAttribute(&atomics, cudaDevP2PAttrNativeAtomicSupported, a, b) != cudaSuccess)
        atomics = 0;
    return atomics ? CUDA_LINK_NVLINK : CUDA_LINK_PCIE;
}

mcf_status cuda_group_describe(const int *devices, int count, char *text, size_t size, mcf_error *err)
{
    cuda_topology topology = {.count = count};
    cuda_plan plan;
    if (count < 1 || count > CUDA_MEMBERS)
        return mcf_fail(err, MCF_ERR_USAGE, "a group of %d cards; from 1 to %d can work together", count, CUDA_MEMBERS);
    for (int a = 0; a < count; a++)
        for (int b = 0; b < count; b++)
            topology.link[a][b] = (unsigned char)cuda_link_between(devices[a], devices[b]);
    cudaGetLastError();
    cuda_plan_make(&topology, &plan);
    cuda_plan_describe(&plan, devices, text, size);
    return MCF_OK;
}

// Peers that the driver promises and then refuses are none.
static mcf_status join(mcf_group *g, int a, mcf_error *err)
{
    MCF_TRY(cuda_use(g->devices[a], err));
    for (int i = 0; i < RING * PHASES; i++)
        CUDA_TRY(cudaEventCreateWithFlags(&g->events[i / PHASES][a][i % PHASES], cudaEventDisableTiming), "event", err);
    for (int b = 0; b < g->count; b++) {
        cuda_link link = cuda_link_between(g->devices[a]->index, g->devices[b]->index);
        if (link == CUDA_LINK_PCIE || link == CUDA_LINK_NVLINK) {
            cudaError_t code = cudaDeviceEnablePeerAccess(g->devices[b]->index, 0);
            if (code != cudaSuccess && code != cudaErrorPeerAccessAlreadyEnabled)
                link = CUDA_LINK_HOST;
        }
        g->topology.link[a][b] = (unsigned char)link;
    }
    cudaGetLastError();
    return MCF_OK;
}

static mcf_status prepare_chain(mcf_group *g, mcf_error *err)
{
    for (int r = 0; g->plan.chain && r < g->count; r++) {
        MCF_TRY(cuda_use(g->devices[r], err));
        CUDA_TRY(cudaStreamCreateWithFlags(&g->back[r], cudaStreamNonBlocking), "stream", err);
        for (int i = 0; i < CUDA_CHAIN_PIECES; i++) {
            CUDA_TRY(cudaEventCreateWithFlags(&g->sums[r][i], cudaEventDisableTiming), "event", err);
            CUDA_TRY(cudaEventCreateWithFlags(&g->results[r][i], cudaEventDisableTiming), "event", err);
        }
    }
    return MCF_OK;
}

// Numbers of devices, those for which it says so, in text.
static void list(const mcf_group *g, const bool *named, char *text, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < g->count && used < size; i++)
        if (named[i])
            used += (size_t)snprintf(text + used, size - used, "%s%d", used ? ", " : "", g->devices[i]->index);
}

// Who is behind: at the first step of a collective that some members' streams have passed and others have not.
static void late_members(const mcf_group *g, char *text, size_t size)
{
    bool late[CUDA_MEMBERS];
    text[0] = 0;
    for (uint64_t n = g->number > RING ? g->number - RING : 0; n < g->number; n++)
        for (int phase = 0; phase < PHASES; phase++) {
            int behind = 0;
            for (int i = 0; i < g->count; i++) {
                late[i] = cudaEventQuery(g->events[n % RING][i][phase]) == cudaErrorNotReady;
                behind += late[i];
            }
            if (behind) {
                list(g, late, text, size);
                return;
            }
        }
}

static cuda_neighbours neighbours(const cuda_plan *p)
{
    cuda_neighbours n = {{0}, {0}};
    for (int a = 0; a < p->count; a++)
        for (int b = 0; b < p->count; b++) {
            const bool island = p->chain ? a == b + 1 || b == a + 1 : a / p->size == b / p->size;
            const bool across = !p->chain && a % p->size == b % p->size;
            if (a != b && island)
                n.island[p->order[a]] |= 1u << p->order[b];
            if (a != b && across)
                n.across[p->order[a]] |= 1u << p->order[b];
        }
    return n;
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
    g->count = g->topology.count = count;
    g->failed = -1;
    g->direct = (cuda_plan){.count = count, .islands = count, .size = 1};
    for (int i = 0; i < count; i++) {
        g->devices[i] = devices[i];
        g->direct.order[i] = i;
        index[i] = devices[i]->index;
    }
    mcf_status status = mcf_host_group_create(index, count, timeout_seconds, &g->host, err);
    for (int i = 0; i < count && status == MCF_OK; i++)
        status = join(g, i, err);
    for (int a = 0; a < count; a++)
        for (int b = 0; b < a; b++)
            if (g->topology.link[a][b] != g->topology.link[b][a])
                g->topology.link[a][b] = g->topology.link[b][a] = CUDA_LINK_HOST;
    if (status == MCF_OK) {
        cuda_plan_make(&g->topology, &g->plan);
        g->of_plan = neighbours(&g->plan);
        g->of_direct = neighbours(&g->direct);
        status = prepare_chain(g, err);
    }
    if (status != MCF_OK) {
        cuda_group_destroy(g);
        return status;
    }
    g->watch = (cuda_watch){.seconds = timeout_seconds,
                            .host = g->host,
                            .devices = g->devices,
                            .count = count,
                            .group = g,
                            .late = late_members};
    for (int i = 0; i < count; i++)
        g->devices[i]->watch = &g->watch;
    *group = g;
    return MCF_OK;
}

void cuda_group_destroy(mcf_group *g)
{
    if (!g)
        return;
    for (int i = 0; i < g->count; i++) {
        const bool lost = cuda_lost(g->devices[i]);
        g->devices[i]->watch = NULL;
        if (lost)
            continue;
        cudaSetDevice(g->devices[i]->index);
        for (int e = 0; e < RING * PHASES; e++)
            if (g->events[e / PHASES][i][e % PHASES])
                cudaEventDestroy(g->events[e / PHASES][i][e % PHASES]);
        for (int p = 0; p < CUDA_CHAIN_PIECES; p++) {
            if (g->sums[i][p])
                cudaEventDestroy(g->sums[i][p]);
            if (g->results[i][p])
                cudaEventDestroy(g->results[i][p]);
        }
        if (g->back[i])
            cudaStreamDestroy(g->back[i]);
    }
    cudaGetLastError();
    mcf_host_group_destroy(g->host);
    free(g);
}

void cuda_group_abort(mcf_group *group, const char *reason)
{
    mcf_host_group_abort(group->host, reason);
}

// --- what the enqueuing member does

static mcf_status all_gather(cuda_work *w, mcf_error *err)
{
    const uint64_t bytes = w->all[0].count * w->size;
    for (int r = 0; r < w->group->count; r++) {
        cuda_parts parts = {{{0}}};
        int owners[CUDA_MEMBERS];
        for (int i = 0; i < w->group->count; i++) {
            owners[i] = i;
            parts.part[i] = (cuda_part){w->all[i].from, (char *)w->all[r].to + bytes * (uint64_t)i, (int64_t)bytes};
        }
        MCF_TRY(cuda_fetch_all(w, r, &parts, owners, w->group->count, err));
    }
    return MCF_OK;
}

static mcf_status reduce_scatter(cuda_work *w, mcf_error *err)
{
    const uint64_t count = w->all[0].count;
    const int members = w->group->count, divide = w->all[0].detail == MCF_REDUCE_MEAN ? members : 1;
    cuda_operands of = {.count = members};
    for (int i = 0; i < members; i++) {
        of.owner[i] = i;
        of.from[i] = w->all[i].from;
    }
    for (int r = 0; r < members; r++)
        MCF_TRY(cuda_sum(w, r, &of, w->all[r].to, (cuda_range){count * (uint64_t)r, count * (uint64_t)(r + 1)}, divide,
                         err));
    return MCF_OK;
}

static mcf_status broadcast(cuda_work *w, mcf_error *err)
{
    const int root = w->all[0].detail;
    for (int r = 0; r < w->group->count; r++)
        if (r != root)
            MCF_TRY(cuda_fetch(w, r, w->all[r].to, w->all[root].from, root, w->all[0].count * w->size, err));
    return MCF_OK;
}

static mcf_status enqueue(cuda_work *w, mcf_error *err)
{
    static mcf_status (*const kinds[])(cuda_work *, mcf_error *) = {cuda_reduce_all, all_gather, reduce_scatter,
                                                                    broadcast};
    // A sum passes by itself: its members wait for those alone that they read from.
    const bool sum = w->all[0].kind == ALL_REDUCE;
    if (!sum)
        MCF_TRY(cuda_pass(w, READY, NULL, err));
    MCF_TRY(kinds[w->all[0].kind](w, err));
    if (!sum)
        MCF_TRY(cuda_pass(w, DONE, NULL, err));
    w->group->number++;
    return MCF_OK;
}

static mcf_status compare(const cuda_work *w, mcf_error *err)
{
    const cuda_notice *a = &w->all[0];
    for (int i = 1; i < w->group->count; i++) {
        const cuda_notice *b = &w->all[i];
        if (a->kind != b->kind || a->count != b->count || a->dtype != b->dtype || a->detail != b->detail)
            return mcf_fail(err, MCF_ERR_DEVICE,
                            "devices disagree: device %d is at %s (%llu %s, %d), device %d at %s "
                            "(%llu %s, %d)",
                            w->group->devices[0]->index, kind_names[a->kind], (unsigned long long)a->count,
                            mcf_dtype_name((mcf_dtype)a->dtype), a->detail, w->group->devices[i]->index,
                            kind_names[b->kind], (unsigned long long)b->count, mcf_dtype_name((mcf_dtype)b->dtype),
                            b->detail);
    }
    return MCF_OK;
}

// A member that cannot go on says so to the others.
static mcf_status settle(mcf_group *g, mcf_status status, mcf_error *err)
{
    if (status != MCF_OK)
        mcf_host_group_abort(g->host, err ? err->message : "a member failed");
    return status;
}

static mcf_status run(mcf_group *g, int rank, cuda_notice own, mcf_error *err)
{
    cuda_work w = {.group = g, .size = mcf_dtype_size((mcf_dtype)own.dtype)};
    if (rank < 0 || rank >= g->count)
        return mcf_fail(err, MCF_ERR_USAGE, "%s: no rank %d in a group of %d", kind_names[own.kind], rank, g->count);
    MCF_TRY(mcf_host_all_gather(g->host, rank, w.all, &own, sizeof own, MCF_U8, err));
    MCF_TRY(settle(g, compare(&w, err), err));
    if (rank == 0 && enqueue(&w, &g->failure) != MCF_OK)
        g->failed = w.at;
    MCF_TRY(mcf_host_barrier(g->host, rank, err));
    if (g->failed < 0)
        return cuda_use(g->devices[rank], err);
    // The member at fault reports it; the others learn of it by the abort.
    if (rank == g->failed)
        return settle(g, mcf_fail(err, g->failure.status, "%s", g->failure.message), err);
    return mcf_host_barrier(g->host, rank, err);
}

// --- collectives

static bool overlap(const void *a, uint64_t a_bytes, const void *b, uint64_t b_bytes)
{
    const uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
    return x < y + b_bytes && y < x + a_bytes;
}

static char *at(const mcf_buffer *buffer, uint64_t offset)
{
    return (char *)buffer->memory + offset;
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

mcf_status cuda_all_reduce(mcf_group *g, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                           mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_reduce reduce,
                           mcf_error *err)
{
    const uint64_t bytes = count * mcf_dtype_size(dtype);
    MCF_TRY(check_reducible(dtype, ALL_REDUCE, err));
    MCF_TRY(dev_check_range(from, from_offset, bytes, "all_reduce: input", err));
    MCF_TRY(dev_check_range(to, to_offset, bytes, "all_reduce: output", err));
    return run(
        g, rank,
        (cuda_notice){stream, at(from, from_offset), at(to, to_offset), count, ALL_REDUCE, (int)dtype, (int)reduce},
        err);
}

mcf_status cuda_all_gather(mcf_group *g, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                           mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_error *err)
{
    const uint64_t bytes = count * mcf_dtype_size(dtype), whole = bytes * (uint64_t)g->count;
    MCF_TRY(dev_check_range(from, from_offset, bytes, "all_gather: input", err));
    MCF_TRY(dev_check_range(to, to_offset, whole, "all_gather: output", err));
    char *out = at(to, to_offset);
    void *in = at(from, from_offset);
    if (in != out + bytes * (uint64_t)rank && overlap(in, bytes, out, whole))
        MCF_TRY(stage(g, stream, &in, bytes, err));
    return run(g, rank, (cuda_notice){stream, in, out, count, ALL_GATHER, (int)dtype, 0}, err);
}

mcf_status cuda_reduce_scatter(mcf_group *g, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                               mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype,
                               mcf_reduce reduce, mcf_error *err)
{
    const uint64_t bytes = count * mcf_dtype_size(dtype), whole = bytes * (uint64_t)g->count;
    MCF_TRY(check_reducible(dtype, REDUCE_SCATTER, err));
    MCF_TRY(dev_check_range(from, from_offset, whole, "reduce_scatter: input", err));
    MCF_TRY(dev_check_range(to, to_offset, bytes, "reduce_scatter: output", err));
    char *out = at(to, to_offset);
    void *in = at(from, from_offset);
    if (out != (char *)in + bytes * (uint64_t)rank && overlap(in, whole, out, bytes))
        MCF_TRY(stage(g, stream, &in, whole, err));
    return run(g, rank, (cuda_notice){stream, in, out, count, REDUCE_SCATTER, (int)dtype, (int)reduce}, err);
}

// The root's own copy comes when all have read.
mcf_status cuda_broadcast(mcf_group *g, int rank, int root, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                          mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_error *err)
{
    const uint64_t bytes = count * mcf_dtype_size(dtype);
    if (root < 0 || root >= g->count)
        return mcf_fail(err, MCF_ERR_USAGE, "broadcast: no rank %d in a group of %d", root, g->count);
    if (rank == root)
        MCF_TRY(dev_check_range(from, from_offset, bytes, "broadcast: input", err));
    MCF_TRY(dev_check_range(to, to_offset, bytes, "broadcast: output", err));
    void *in = rank == root ? at(from, from_offset) : NULL;
    MCF_TRY(run(g, rank, (cuda_notice){stream, in, at(to, to_offset), count, BROADCAST, (int)dtype, root}, err));
    return rank == root ? dev_copy(stream, to, to_offset, from, from_offset, bytes, err) : MCF_OK;
}

mcf_status cuda_barrier(mcf_group *g, int rank, mcf_stream *stream, mcf_error *err)
{
    MCF_TRY(settle(g, cuda_stream_synchronize(stream, err), err));
    return mcf_host_barrier(g->host, rank, err);
}
