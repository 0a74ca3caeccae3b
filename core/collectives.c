#include "core/collectives.h"

#include <stdlib.h>
#include <string.h>

#include "backends/cluster/cluster.h"

// A way to the host, through the cluster, and back.
typedef struct {
    const mcf_backend *backend;
    void *memory; // the backend's host memory
    uint64_t bytes;
    mcf_event *arrived; // the device's part is in `memory`
    mcf_exchange *exchange;
} route;

struct mcf_collectives {
    route node;      // of collectives that wait
    route **buckets; // of the gradients
    int bucket_count;
    mcf_buffer *work; // reduce_scatter: the whole sum
    uint64_t work_bytes;
};

// Where something lies: a buffer and an offset in bytes.
typedef struct {
    mcf_buffer *buffer;
    uint64_t offset;
} spot;

// --- what a runtime keeps

static void free_route(mcf_runtime *runtime, route *r)
{
    if (r->memory)
        runtime->backend->host_destroy(runtime->device, r->memory);
    if (r->arrived)
        runtime->backend->event_destroy(r->arrived);
}

static void free_all(mcf_runtime *runtime)
{
    struct mcf_collectives *s = runtime->collectives;
    free_route(runtime, &s->node);
    for (int i = 0; i < s->bucket_count; i++)
        if (s->buckets[i]) {
            free_route(runtime, s->buckets[i]);
            free(s->buckets[i]);
        }
    if (s->work)
        runtime->backend->buffer_destroy(s->work);
    free(s->buckets);
    free(s);
    runtime->collectives = NULL;
}

static mcf_status state_of(mcf_runtime *runtime, mcf_error *err)
{
    if (!runtime->collectives)
        runtime->collectives = calloc(1, sizeof *runtime->collectives);
    runtime->collectives_free = free_all;
    return runtime->collectives ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for collectives");
}

static mcf_status prepare_route(mcf_runtime *runtime, route *r, uint64_t bytes, mcf_error *err)
{
    const mcf_backend *b = r->backend = runtime->backend;
    if (!r->arrived)
        MCF_TRY(b->event_create(runtime->device, &r->arrived, err));
    if (r->memory && bytes <= r->bytes)
        return MCF_OK;
    if (r->memory)
        b->host_destroy(runtime->device, r->memory);
    r->memory = NULL;
    MCF_TRY(b->host_create(runtime->device, bytes, &r->memory, err));
    r->bytes = bytes;
    return MCF_OK;
}

static mcf_status bucket_route(mcf_runtime *runtime, int index, route **out, mcf_error *err)
{
    MCF_TRY(state_of(runtime, err));
    struct mcf_collectives *s = runtime->collectives;
    if (index >= s->bucket_count) {
        const int count = index + 64;
        route **grown = realloc(s->buckets, (size_t)count * sizeof *grown);
        if (!grown)
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %d buckets", count);
        memset(grown + s->bucket_count, 0, (size_t)(count - s->bucket_count) * sizeof *grown);
        s->buckets = grown;
        s->bucket_count = count;
    }
    if (!s->buckets[index] && !(s->buckets[index] = calloc(1, sizeof **s->buckets)))
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a bucket");
    *out = s->buckets[index];
    return MCF_OK;
}

// --- the way to the cluster and back

static mcf_status has_arrived(void *context, bool *done, mcf_error *err)
{
    const route *r = context;
    return r->backend->event_query(r->arrived, done, err);
}

// Takes `bytes` to the host and hands them to the cluster.
static mcf_status set_out(mcf_runtime *runtime, route *r, mcf_stream *stream, spot from, uint64_t bytes,
                          mcf_exchange_part part, mcf_error *err)
{
    const mcf_backend *b = runtime->backend;
    MCF_TRY(prepare_route(runtime, r, bytes, err));
    if (bytes)
        MCF_TRY(b->download(stream, r->memory, from.buffer, from.offset, bytes, err));
    MCF_TRY(b->event_record(stream, r->arrived, err));
    part.part = runtime->member.local;
    part.parts = runtime->member.locals;
    part.data = r->memory;
    part.ready = has_arrived;
    part.context = r;
    return mcf_cluster_post(runtime->member.cluster, &part, &r->exchange, err);
}

// Waits for the cluster; `bytes` of its result (NULL: of the route's own memory) go to the device.
static mcf_status come_back(mcf_runtime *runtime, route *r, mcf_stream *stream, spot to, uint64_t bytes, mcf_error *err)
{
    const void *result;
    mcf_cluster *cluster = runtime->member.cluster;
    MCF_TRY(mcf_cluster_wait(cluster, r->exchange, &result, err));
    mcf_status status = MCF_OK;
    if (bytes)
        status = runtime->backend->upload(stream, to.buffer, to.offset, result ? result : r->memory, bytes, err);
    mcf_cluster_done(cluster, r->exchange);
    return status;
}

// --- sums

// Slice i of what device i of a machine carries; the last one has the rest.
typedef struct {
    uint64_t begin, count; // elements
} slice;

static slice slice_of(const mcf_member *m, uint64_t count)
{
    const uint64_t devices = (uint64_t)m->locals, each = count / devices, begin = each * (uint64_t)m->local;
    return (slice){begin, m->local == m->locals - 1 ? count - begin : each};
}

static mcf_status sum_begin(mcf_runtime *runtime, route *r, mcf_stream *stream, spot to, spot from, uint64_t count,
                            mcf_dtype dtype, double divide, mcf_error *err)
{
    const mcf_backend *b = runtime->backend;
    const mcf_member *m = &runtime->member;
    const uint64_t size = mcf_dtype_size(dtype);
    const slice own = slice_of(m, count);
    if (m->group)
        MCF_TRY(b->all_reduce(m->group, m->local, stream, to.buffer, to.offset, from.buffer, from.offset, count, dtype,
                              MCF_REDUCE_SUM, err));
    else
        MCF_TRY(b->copy(stream, to.buffer, to.offset, from.buffer, from.offset, count * size, err));
    return set_out(runtime, r, stream, (spot){to.buffer, to.offset + own.begin * size}, own.count * size,
                   (mcf_exchange_part){.kind = MCF_EXCHANGE_SUM, .count = own.count, .dtype = dtype, .divide = divide},
                   err);
}

static mcf_status sum_end(mcf_runtime *runtime, route *r, mcf_stream *stream, spot to, uint64_t count, mcf_dtype dtype,
                          mcf_error *err)
{
    const mcf_backend *b = runtime->backend;
    const mcf_member *m = &runtime->member;
    const uint64_t size = mcf_dtype_size(dtype), each = count / (uint64_t)m->locals;
    const slice own = slice_of(m, count);
    const uint64_t place = to.offset + own.begin * size, rest = to.offset + each * (uint64_t)m->locals * size;
    MCF_TRY(come_back(runtime, r, stream, (spot){to.buffer, place}, own.count * size, err));
    if (!m->group)
        return MCF_OK;
    if (each)
        MCF_TRY(b->all_gather(m->group, m->local, stream, to.buffer, to.offset, to.buffer, place, each, dtype, err));
    if (count > each * (uint64_t)m->locals)
        MCF_TRY(b->broadcast(m->group, m->local, m->locals - 1, stream, to.buffer, rest, to.buffer, rest,
                             count - each * (uint64_t)m->locals, dtype, err));
    return MCF_OK;
}

mcf_status mcf_reduce_begin(mcf_runtime *runtime, int index, int64_t begin, int64_t end, mcf_error *err)
{
    const mcf_backend *b = runtime->backend;
    const mcf_member *m = &runtime->member;
    const spot at = {runtime->gradient, (uint64_t)begin * sizeof(float)};
    const uint64_t count = (uint64_t)(end - begin);
    route *r = NULL;
    MCF_TRY(b->event_record(runtime->stream, runtime->ready, err));
    MCF_TRY(b->event_wait(runtime->reduce_stream, runtime->ready, err));
    if (!m->cluster)
        return b->all_reduce(m->group, m->local, runtime->reduce_stream, at.buffer, at.offset, at.buffer, at.offset,
                             count, MCF_F32, MCF_REDUCE_MEAN, err);
    MCF_TRY(bucket_route(runtime, index, &r, err));
    return sum_begin(runtime, r, runtime->reduce_stream, at, at, count, MCF_F32, m->world, err);
}

mcf_status mcf_reduce_end(mcf_runtime *runtime, int index, int64_t begin, int64_t end, mcf_error *err)
{
    route *r = NULL;
    if (!runtime->member.cluster)
        return MCF_OK;
    MCF_TRY(bucket_route(runtime, index, &r, err));
    return sum_end(runtime, r, runtime->reduce_stream, (spot){runtime->gradient, (uint64_t)begin * sizeof(float)},
                   (uint64_t)(end - begin), MCF_F32, err);
}

// --- nodes

static mcf_status over_group(mcf_runtime *runtime, const mcf_launch *l, mcf_error *err)
{
    const mcf_backend *b = runtime->backend;
    const mcf_operand *in = &l->in[COLLECTIVE_IN], *out = &l->out[COLLECTIVE_OUT];
    mcf_group *group = runtime->member.group;
    const int rank = runtime->member.local;
    const uint64_t count = (uint64_t)mcf_shape_count(&in->shape);
    switch (l->op) {
    case MCF_OP_all_reduce:
        return b->all_reduce(group, rank, runtime->stream, out->buffer, out->offset, in->buffer, in->offset, count,
                             in->dtype, (mcf_reduce)l->attr.all_reduce.reduce, err);
    case MCF_OP_all_gather:
        return b->all_gather(group, rank, runtime->stream, out->buffer, out->offset, in->buffer, in->offset, count,
                             in->dtype, err);
    case MCF_OP_reduce_scatter:
        return b->reduce_scatter(group, rank, runtime->stream, out->buffer, out->offset, in->buffer, in->offset,
                                 (uint64_t)mcf_shape_count(&out->shape), in->dtype, MCF_REDUCE_SUM, err);
    case MCF_OP_broadcast:
        return b->broadcast(group, rank, l->attr.broadcast.root, runtime->stream, out->buffer, out->offset, in->buffer,
                            in->offset, count, in->dtype, err);
    default:
        return mcf_fail(err, MCF_ERR_INTERNAL, "%s is no collective", mcf_op_describe(l->op)->name);
    }
}

// Every member needs its rows of the sum only, but machines exchange slices of all: the sum is made beside.
static mcf_status scatter_over_machines(mcf_runtime *runtime, const mcf_launch *l, mcf_error *err)
{
    struct mcf_collectives *s = runtime->collectives;
    const mcf_backend *b = runtime->backend;
    const mcf_operand *in = &l->in[COLLECTIVE_IN], *out = &l->out[COLLECTIVE_OUT];
    const uint64_t size = mcf_dtype_size(in->dtype), count = (uint64_t)mcf_shape_count(&in->shape);
    const uint64_t own = (uint64_t)mcf_shape_count(&out->shape) * size;
    if (count * size > s->work_bytes) {
        if (s->work)
            b->buffer_destroy(s->work);
        s->work = NULL;
        MCF_TRY(b->buffer_create(runtime->device, count * size, &s->work, err));
        s->work_bytes = count * size;
    }
    const spot sum = {s->work, 0};
    MCF_TRY(
        sum_begin(runtime, &s->node, runtime->stream, sum, (spot){in->buffer, in->offset}, count, in->dtype, 1, err));
    MCF_TRY(sum_end(runtime, &s->node, runtime->stream, sum, count, in->dtype, err));
    return b->copy(runtime->stream, out->buffer, out->offset, s->work, own * (uint64_t)runtime->member.rank, own, err);
}

static mcf_status over_machines(mcf_runtime *runtime, const mcf_launch *l, mcf_error *err)
{
    MCF_TRY(state_of(runtime, err));
    const mcf_member *m = &runtime->member;
    const spot in = {l->in[COLLECTIVE_IN].buffer, l->in[COLLECTIVE_IN].offset},
               out = {l->out[COLLECTIVE_OUT].buffer, l->out[COLLECTIVE_OUT].offset};
    const mcf_dtype dtype = l->in[COLLECTIVE_IN].dtype;
    const uint64_t count = (uint64_t)mcf_shape_count(&l->in[COLLECTIVE_IN].shape),
                   bytes = count * mcf_dtype_size(dtype);
    route *r = &runtime->collectives->node;
    switch (l->op) {
    case MCF_OP_all_reduce:
        MCF_TRY(sum_begin(runtime, r, runtime->stream, out, in, count, dtype,
                          l->attr.all_reduce.reduce == MCF_REDUCE_MEAN ? m->world : 1, err));
        return sum_end(runtime, r, runtime->stream, out, count, dtype, err);
    case MCF_OP_all_gather:
        MCF_TRY(set_out(runtime, r, runtime->stream, in, bytes,
                        (mcf_exchange_part){.kind = MCF_EXCHANGE_GATHER, .count = bytes}, err));
        return come_back(runtime, r, runtime->stream, out, bytes * (uint64_t)m->world, err);
    case MCF_OP_reduce_scatter:
        return scatter_over_machines(runtime, l, err);
    case MCF_OP_broadcast:
        MCF_TRY(set_out(runtime, r, runtime->stream, in, bytes,
                        (mcf_exchange_part){.kind = MCF_EXCHANGE_ROOT, .count = bytes, .root = l->attr.broadcast.root},
                        err));
        return come_back(runtime, r, runtime->stream, out, bytes, err);
    default:
        return mcf_fail(err, MCF_ERR_INTERNAL, "%s is no collective", mcf_op_describe(l->op)->name);
    }
}

mcf_status mcf_collective_run(mcf_runtime *runtime, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *in = &l->in[COLLECTIVE_IN], *out = &l->out[COLLECTIVE_OUT];
    if (runtime->member.cluster)
        return over_machines(runtime, l, err);
    if (runtime->member.group)
        return over_group(runtime, l, err);
    return runtime->backend->copy(runtime->stream, out->buffer, out->offset, in->buffer, in->offset,
                                  (uint64_t)mcf_shape_count(&in->shape) * mcf_dtype_size(in->dtype), err);
}
