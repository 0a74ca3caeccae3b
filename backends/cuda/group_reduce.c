// How a sum over all members goes: in islands or along a chain (backends/cuda/topology.h). Everything here is enqueued
// by one member's thread on the streams of all.
#include "backends/cuda/group.h"

// Elements that are summed at once where copies are needed, and least elements of a piece of a chain.
enum { PIECE = 2 << 20, CHAIN_LEAST = 32 << 10 };

// --- order of streams

static mcf_status record(cuda_work *w, int member, int phase, mcf_error *err)
{
    w->at = member;
    MCF_TRY(cuda_use(w->group->devices[member], err));
    CUDA_TRY(cudaEventRecord(w->group->events[w->group->number % RING][member][phase], w->all[member].stream->stream),
             "event of a group", err);
    return MCF_OK;
}

mcf_status cuda_pass(cuda_work *w, int phase, const uint32_t *of, mcf_error *err)
{
    const mcf_group *g = w->group;
    for (int i = 0; i < g->count; i++)
        MCF_TRY(record(w, i, phase, err));
    for (int i = 0; i < g->count; i++) {
        w->at = i;
        MCF_TRY(cuda_use(g->devices[i], err));
        for (int k = 0; k < g->count; k++)
            if (i != k && (!of || of[i] >> k & 1))
                CUDA_TRY(cudaStreamWaitEvent(w->all[i].stream->stream, g->events[g->number % RING][k][phase], 0),
                         "event of a group", err);
    }
    return MCF_OK;
}

// --- moving and summing

// From `owner` to `member` on a stream of the latter.
static mcf_status fetch_on(cuda_work *w, cudaStream_t stream, int member, void *to, const void *from, int owner,
                           uint64_t bytes, mcf_error *err)
{
    const int own = w->group->devices[member]->index, other = w->group->devices[owner]->index;
    w->at = member;
    if (!bytes || to == from)
        return MCF_OK;
    MCF_TRY(cuda_use(w->group->devices[member], err));
    CUDA_TRY(own == other ? cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream)
                          : cudaMemcpyPeerAsync(to, own, from, other, bytes, stream),
             "copy between devices", err);
    return MCF_OK;
}

mcf_status cuda_fetch(cuda_work *w, int member, void *to, const void *from, int owner, uint64_t bytes, mcf_error *err)
{
    return fetch_on(w, w->all[member].stream->stream, member, to, from, owner, bytes, err);
}

mcf_status cuda_fetch_all(cuda_work *w, int member, const cuda_parts *parts, const int *owners, int count,
                          mcf_error *err)
{
    enum { BLOCKS = 32 }; // for a part: 128 KiB on its way, more than a link holds
    cuda_parts seen = {{{0}}};
    int kept = 0;
    uint64_t most = 0, together = 0;
    w->at = member;
    for (int i = 0; i < count; i++) {
        const cuda_part *p = &parts->part[i];
        const cuda_link link = w->group->topology.link[member][owners[i]];
        if (link == CUDA_LINK_HOST || link == CUDA_LINK_SELF) {
            MCF_TRY(cuda_fetch(w, member, p->to, p->from, owners[i], (uint64_t)p->bytes, err));
        } else if (p->bytes) {
            seen.part[kept++] = *p;
            most = (uint64_t)p->bytes > most ? (uint64_t)p->bytes : most;
            together |= (uint64_t)(uintptr_t)p->from | (uint64_t)(uintptr_t)p->to | (uint64_t)p->bytes;
        }
    }
    const int size = together % 16 == 0 ? 16 : together % 4 == 0 ? 4 : 2;
    if (!kept)
        return MCF_OK;
    if (kept == 1 || together % 2) { // the copy engine; bytes alone come in no vector
        for (int i = 0; i < count; i++)
            if (w->group->topology.link[member][owners[i]] == CUDA_LINK_PCIE ||
                w->group->topology.link[member][owners[i]] == CUDA_LINK_NVLINK)
                MCF_TRY(cuda_fetch(w, member, parts->part[i].to, parts->part[i].from, owners[i],
                                   (uint64_t)parts->part[i].bytes, err));
        return MCF_OK;
    }
    const uint64_t blocks = (most / (uint64_t)size + 4 * CUDA_SUM_BLOCK - 1) / (4 * CUDA_SUM_BLOCK);
    void *arguments[] = {&seen};
    const dim3 grid = {(unsigned)(blocks < BLOCKS ? blocks : BLOCKS), (unsigned)kept, 1},
               block = {CUDA_SUM_BLOCK, 1, 1};
    MCF_TRY(cuda_use(w->group->devices[member], err));
    CUDA_TRY(cudaLaunchKernel(cuda_group_gather(size), grid, block, arguments, 0, w->all[member].stream->stream),
             "copies from several devices", err);
    return MCF_OK;
}

static mcf_status launch_sum(cuda_work *w, int member, cuda_members members, int count, void *out, uint64_t n,
                             int divide, mcf_error *err)
{
    int64_t count64 = (int64_t)n;
    void *arguments[] = {&members, &out, &count64, &count, &divide};
    const dim3 grid = {(unsigned)((n + CUDA_SUM_BLOCK - 1) / CUDA_SUM_BLOCK), 1, 1}, block = {CUDA_SUM_BLOCK, 1, 1};
    if (!n)
        return MCF_OK;
    CUDA_TRY(cudaLaunchKernel(cuda_group_sum((mcf_dtype)w->all[0].dtype), grid, block, arguments, 0,
                              w->all[member].stream->stream),
             "sum over devices", err);
    return MCF_OK;
}

// Elements of all operands, summed by `member` into out[0, end - begin) and divided.
mcf_status cuda_sum(cuda_work *w, int member, const cuda_operands *of, char *out, cuda_range r, int divide,
                    mcf_error *err)
{
    const mcf_group *g = w->group;
    mcf_operand copies = {0};
    int unseen = 0;
    w->at = member;
    for (int i = 0; i < of->count; i++)
        unseen += g->topology.link[member][of->owner[i]] == CUDA_LINK_HOST;
    const uint64_t piece = unseen ? PIECE : 1 << 30;
    if (unseen && r.end > r.begin)
        MCF_TRY(dev_scratch(w->all[member].stream, 0,
                            (uint64_t)unseen * (r.end - r.begin < piece ? r.end - r.begin : piece) * w->size / 4 +
                                (uint64_t)unseen * 64,
                            &copies, err));
    MCF_TRY(cuda_use(g->devices[member], err));
    for (uint64_t at = r.begin, n; at < r.end; at += n) {
        cuda_members members = {{0}};
        n = r.end - at < piece ? r.end - at : piece;
        int slot = 0;
        for (int i = 0; i < of->count; i++) {
            const char *from = of->from[i] + at * w->size;
            members.from[i] = from;
            if (g->topology.link[member][of->owner[i]] != CUDA_LINK_HOST)
                continue;
            char *copy = (char *)copies.buffer->memory + (uint64_t)slot++ * ((n * w->size + 63) / 64 * 64);
            MCF_TRY(cuda_fetch(w, member, copy, from, of->owner[i], n * w->size, err));
            members.from[i] = copy;
        }
        MCF_TRY(launch_sum(w, member, members, of->count, out + (at - r.begin) * w->size, n, divide, err));
    }
    return MCF_OK;
}

// Number i of `parts` equal parts.
static cuda_range part_of(cuda_range whole, int i, int parts)
{
    const uint64_t n = whole.end - whole.begin, each = (n + (uint64_t)parts - 1) / (uint64_t)parts;
    const uint64_t begin = each * (uint64_t)i < n ? each * (uint64_t)i : n, end = begin + each < n ? begin + each : n;
    return (cuda_range){whole.begin + begin, whole.begin + end};
}

// --- sums over all

static cuda_part fetched(const cuda_work *w, int member, int owner, cuda_range r)
{
    return (cuda_part){(const char *)w->all[owner].to + r.begin * w->size,
                       (char *)w->all[member].to + r.begin * w->size, (int64_t)((r.end - r.begin) * w->size)};
}

static mcf_status fetch_parts(cuda_work *w, const cuda_plan *p, cuda_range whole, mcf_error *err)
{
    for (int place = 0; place < p->count; place++) {
        const int number = place % p->size, member = p->order[place];
        cuda_parts parts = {{{0}}};
        int owners[CUDA_MEMBERS], count = 0;
        for (int i = 0; i < p->islands; i++)
            if (i != place / p->size) {
                owners[count] = p->order[i * p->size + number];
                parts.part[count] =
                    fetched(w, member, owners[count], part_of(part_of(whole, number, p->size), i, p->islands));
                count++;
            }
        MCF_TRY(cuda_fetch_all(w, member, &parts, owners, count, err));
    }
    return MCF_OK;
}

static mcf_status fetch_slices(cuda_work *w, const cuda_plan *p, cuda_range whole, mcf_error *err)
{
    for (int place = 0; place < p->count; place++) {
        const int member = p->order[place];
        cuda_parts parts = {{{0}}};
        int owners[CUDA_MEMBERS], count = 0;
        for (int j = 0; j < p->size; j++)
            if (j != place % p->size) {
                owners[count] = p->order[place / p->size * p->size + j];
                parts.part[count] = fetched(w, member, owners[count], part_of(whole, j, p->size));
                count++;
            }
        MCF_TRY(cuda_fetch_all(w, member, &parts, owners, count, err));
    }
    return MCF_OK;
}

// Whoever overwrites memory has waited for those who read it: parts and slices are read within an island, or by the
// same number of the other islands, and by nobody else.
static mcf_status reduce_islands(cuda_work *w, const cuda_plan *p, const cuda_neighbours *of, int divide,
                                 mcf_error *err)
{
    const cuda_range whole = {0, w->all[0].count};
    if (p->count == 1)
        return cuda_fetch(w, 0, w->all[0].to, w->all[0].from, 0, whole.end * w->size, err);
    for (int place = 0; p->size > 1 && place < p->count; place++) {
        const int island = place / p->size, member = p->order[place];
        const cuda_range slice = part_of(whole, place % p->size, p->size);
        cuda_operands of = {.count = p->size};
        for (int j = 0; j < p->size; j++) {
            of.owner[j] = p->order[island * p->size + j];
            of.from[j] = w->all[of.owner[j]].from;
        }
        MCF_TRY(cuda_sum(w, member, &of, (char *)w->all[member].to + slice.begin * w->size, slice,
                         p->islands == 1 ? divide : 1, err));
    }
    if (p->islands > 1 && p->size > 1)
        MCF_TRY(cuda_pass(w, ISLAND, of->across, err));
    for (int place = 0; p->islands > 1 && place < p->count; place++) {
        const int number = place % p->size, member = p->order[place];
        const cuda_range part = part_of(part_of(whole, number, p->size), place / p->size, p->islands);
        cuda_operands of = {.count = p->islands};
        for (int i = 0; i < p->islands; i++) {
            of.owner[i] = p->order[i * p->size + number];
            of.from[i] = p->size > 1 ? w->all[of.owner[i]].to : w->all[of.owner[i]].from;
        }
        MCF_TRY(cuda_sum(w, member, &of, (char *)w->all[member].to + part.begin * w->size, part, divide, err));
    }
    if (p->islands > 1) {
        MCF_TRY(cuda_pass(w, PART, of->across, err));
        MCF_TRY(fetch_parts(w, p, whole, err));
    }
    if (p->size > 1) {
        MCF_TRY(cuda_pass(w, SLICE, of->island, err));
        MCF_TRY(fetch_slices(w, p, whole, err));
    }
    return MCF_OK;
}

// Adds a piece of the sum so far, which lies with the member before, to the own.
static mcf_status chain_forth(cuda_work *w, const cuda_plan *p, int place, int piece, cuda_range r, int divide,
                              mcf_error *err)
{
    mcf_group *g = w->group;
    const int member = p->order[place], before = place ? p->order[place - 1] : -1;
    const cuda_notice *own = &w->all[member];
    w->at = member;
    if (!place)
        return MCF_OK; // its operand is the sum so far
    MCF_TRY(cuda_use(g->devices[member], err));
    if (place > 1)
        CUDA_TRY(cudaStreamWaitEvent(own->stream->stream, g->sums[before][piece], 0), "event of a group", err);
    const cuda_operands of = {2, {before, member}, {place > 1 ? w->all[before].to : w->all[before].from, own->from}};
    const bool last = place == p->count - 1;
    MCF_TRY(cuda_sum(w, member, &of, (char *)own->to + r.begin * w->size, r, last ? divide : 1, err));
    CUDA_TRY(cudaEventRecord(last ? g->results[member][piece] : g->sums[member][piece], own->stream->stream),
             "event of a group", err);
    return MCF_OK;
}

// Fetches a piece of the result from the member behind.
static mcf_status chain_back(cuda_work *w, const cuda_plan *p, int place, int piece, cuda_range r, mcf_error *err)
{
    mcf_group *g = w->group;
    const int member = p->order[place], behind = p->order[place + 1];
    w->at = member;
    MCF_TRY(cuda_use(g->devices[member], err));
    CUDA_TRY(cudaStreamWaitEvent(g->back[member], g->results[behind][piece], 0), "event of a group", err);
    MCF_TRY(fetch_on(w, g->back[member], member, (char *)w->all[member].to + r.begin * w->size,
                     (const char *)w->all[behind].to + r.begin * w->size, behind, (r.end - r.begin) * w->size, err));
    CUDA_TRY(cudaEventRecord(g->results[member][piece], g->back[member]), "event of a group", err);
    return MCF_OK;
}

static mcf_status reduce_chain(cuda_work *w, const cuda_plan *p, int divide, mcf_error *err)
{
    mcf_group *g = w->group;
    const int last = p->count - 1;
    const cuda_range whole = {0, w->all[0].count};
    const uint64_t most = (whole.end + CHAIN_LEAST - 1) / CHAIN_LEAST;
    const int pieces = most < CUDA_CHAIN_PIECES ? (int)most : CUDA_CHAIN_PIECES;
    // At each beat every member does its part of the piece that has come to it.
    for (int beat = 0; beat < pieces + 2 * last; beat++)
        for (int place = 0; place <= last; place++) {
            const int forth = beat - place, back = beat - last - (last - place);
            if (forth >= 0 && forth < pieces)
                MCF_TRY(chain_forth(w, p, place, forth, part_of(whole, forth, pieces), divide, err));
            if (place < last && back >= 0 && back < pieces)
                MCF_TRY(chain_back(w, p, place, back, part_of(whole, back, pieces), err));
        }
    for (int place = 0; pieces && place < last; place++) {
        const int member = p->order[place];
        w->at = member;
        MCF_TRY(cuda_use(g->devices[member], err));
        CUDA_TRY(cudaStreamWaitEvent(w->all[member].stream->stream, g->results[member][pieces - 1], 0),
                 "event of a group", err);
    }
    return MCF_OK;
}

mcf_status cuda_reduce_all(cuda_work *w, mcf_error *err)
{
    const mcf_group *g = w->group;
    const int dtype = w->all[0].dtype, divide = w->all[0].detail == MCF_REDUCE_MEAN ? g->count : 1;
    // A sum that lies in 16 bits in between would be rounded more than once.
    const cuda_plan *p = dtype == MCF_F32 || dtype == MCF_F64 ? &g->plan : &g->direct;
    const cuda_neighbours *of = p == &g->plan ? &g->of_plan : &g->of_direct;
    uint32_t both[CUDA_MEMBERS];
    for (int i = 0; i < CUDA_MEMBERS; i++)
        both[i] = of->island[i] | of->across[i];
    MCF_TRY(cuda_pass(w, READY, both, err));
    MCF_TRY(p->chain ? reduce_chain(w, p, divide, err) : reduce_islands(w, p, of, divide, err));
    return cuda_pass(w, DONE, both, err);
}
