// The check of memory functions and of collectives over several devices.
#include "backends/check/group.h"
#include "backends/check/cases.h"
#include "backends/host/elements.h"
#include "base/rng.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

// --- memory, streams, events

static mcf_status try_memory(const mcf_backend *b, mcf_device *device, mcf_stream *streams[2], mcf_event *event,
                             mcf_buffer *buffers[2], size_t bytes, unsigned char *data, char *message, size_t size,
                             mcf_error *err)
{
    memset(data, 1, bytes);
    MCF_TRY(b->download(streams[0], data, buffers[0], 0, bytes, err));
    MCF_TRY(b->stream_synchronize(streams[0], err));
    for (size_t i = 0; i < bytes; i++)
        if (data[i] && !message[0])
            snprintf(message, size, "a new buffer holds %d at byte %zu, not 0", data[i], i);
    // Up on one stream; over on another that waits for the first; a hole of zeros; down again.
    for (size_t i = 0; i < bytes; i++)
        data[i] = (unsigned char)(i * 7 + 3);
    MCF_TRY(b->upload(streams[0], buffers[0], 0, data, bytes, err));
    MCF_TRY(b->event_record(streams[0], event, err));
    MCF_TRY(b->event_wait(streams[1], event, err));
    MCF_TRY(b->copy(streams[1], buffers[1], 64, buffers[0], 128, bytes - 128, err));
    MCF_TRY(b->zero(streams[1], buffers[1], 320, 100, err));
    unsigned char *back = calloc(1, bytes);
    if (!back)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %zu bytes", bytes);
    mcf_status status = b->download(streams[1], back, buffers[1], 0, bytes, err);
    if (status == MCF_OK)
        status = b->stream_synchronize(streams[1], err);
    for (size_t i = 0; status == MCF_OK && i < bytes && !message[0]; i++) {
        bool copied = i >= 64 && i < bytes - 64 && !(i >= 320 && i < 420);
        unsigned char want = copied ? (unsigned char)((i + 64) * 7 + 3) : 0;
        if (back[i] != want)
            snprintf(message, size, "byte %zu is %d after upload, copy and zero, should be %d", i, back[i], want);
    }
    free(back);
    return status;
}

mcf_status mcf_check_memory(const mcf_check_job *job, mcf_device *device, mcf_error *err)
{
    const mcf_backend *b = job->backend;
    size_t bytes = job->tiny ? 4099 : 1000003;
    mcf_stream *streams[2] = {NULL};
    mcf_event *event = NULL;
    mcf_buffer *buffers[2] = {NULL};
    char message[512] = "", text[64];
    mcf_error error = {.message = ""};
    mcf_status status = MCF_OK;
    for (int i = 0; i < 2 && status == MCF_OK; i++) {
        status = b->stream_create(device, &streams[i], &error);
        if (status == MCF_OK)
            status = b->buffer_create(device, bytes, &buffers[i], &error);
    }
    if (status == MCF_OK)
        status = b->event_create(device, &event, &error);
    unsigned char *data = malloc(bytes);
    if (status == MCF_OK && data)
        status = try_memory(b, device, streams, event, buffers, bytes, data, message, sizeof message, &error);
    if (status != MCF_OK)
        snprintf(message, sizeof message, "%.500s", error.message);
    snprintf(text, sizeof text, " %zu bytes up, over, zeroed, down", bytes);
    job->report(job->context, "memory", text, 0, 0, message);
    if (event)
        b->event_destroy(event);
    for (int i = 0; i < 2; i++) {
        if (buffers[i])
            b->buffer_destroy(buffers[i]);
        if (streams[i])
            b->stream_destroy(streams[i]);
    }
    bool complete = data != NULL;
    free(data);
    return complete ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for %zu bytes", bytes);
}

// --- collectives

enum { MEMBERS = 8, GUARD = 256 };

typedef struct {
    mcf_op op;
    mcf_dtype dtype;
    mcf_reduce reduce;
    int members, root;
    int64_t count; // as the interface counts it
    bool in_place;
} collective;

typedef struct {
    const mcf_backend *backend;
    mcf_device *device;
    mcf_stream *stream;
    mcf_group *group;
    const collective *c;
    int rank;
    uint64_t seed;
    double worst; // largest difference, relative to the largest value
    char message[512];
} member;

static int64_t count_in(const collective *c)
{
    return c->op == MCF_OP_reduce_scatter ? c->count * c->members : c->count;
}

static int64_t count_out(const collective *c)
{
    return c->op == MCF_OP_all_gather ? c->count * c->members : c->count;
}

// Element i of a member's input, in its type.
static double value_of(const collective *c, uint64_t seed, int rank, int64_t i)
{
    mcf_rng rng = mcf_rng_make(seed, MCF_RNG_TEST, (uint32_t)rank, (uint64_t)i);
    double stored;
    mcf_store_element(&stored, c->dtype, 0,
                      mcf_dtype_is_float(c->dtype) ? mcf_rng_normal(&rng) : (double)mcf_rng_below(&rng, 200));
    return mcf_load_element(&stored, c->dtype, 0);
}

// `*size`: of what was added up, by which the error of a sum that cancels is judged.
static double expected(const collective *c, uint64_t seed, int rank, int64_t i, double *size)
{
    *size = 0;
    if (c->op == MCF_OP_all_gather)
        return value_of(c, seed, (int)(i / c->count), i % c->count);
    if (c->op == MCF_OP_broadcast)
        return value_of(c, seed, c->root, i);
    int64_t place = c->op == MCF_OP_reduce_scatter ? rank * c->count + i : i;
    double sum = 0;
    for (int j = 0; j < c->members; j++) {
        const double value = value_of(c, seed, j, place);
        sum += value;
        *size += fabs(value);
    }
    const double divide = c->reduce == MCF_REDUCE_MEAN ? c->members : 1;
    *size /= divide;
    return sum / divide;
}

static mcf_status call(member *m, mcf_buffer *to, mcf_buffer *from, mcf_error *err)
{
    const collective *c = m->c;
    const mcf_backend *b = m->backend;
    uint64_t count = (uint64_t)c->count;
    if (c->op == MCF_OP_all_reduce)
        return b->all_reduce(m->group, m->rank, m->stream, to, GUARD, from, GUARD, count, c->dtype, c->reduce, err);
    if (c->op == MCF_OP_all_gather)
        return b->all_gather(m->group, m->rank, m->stream, to, GUARD, from, GUARD, count, c->dtype, err);
    if (c->op == MCF_OP_reduce_scatter)
        return b->reduce_scatter(m->group, m->rank, m->stream, to, GUARD, from, GUARD, count, c->dtype, c->reduce, err);
    return b->broadcast(m->group, m->rank, c->root, m->stream, to, GUARD, from, GUARD, count, c->dtype, err);
}

static void compare(member *m, const unsigned char *data, size_t bytes)
{
    const collective *c = m->c;
    size_t size = mcf_dtype_size(c->dtype), used = (size_t)count_out(c) * size;
    // In place, the rest of a larger input may hold anything.
    size_t behind = c->in_place && count_in(c) > count_out(c) ? (size_t)count_in(c) * size : used;
    for (size_t i = 0; i < bytes; i++)
        if ((i < GUARD || i >= GUARD + behind) && data[i] != 0xA5 && !m->message[0])
            snprintf(m->message, sizeof m->message, "member %d: wrote outside its output, at byte %lld", m->rank,
                     (long long)i - GUARD);
    double largest = 0, error = 0;
    for (int64_t i = 0; i < count_out(c); i++) {
        double size, want = expected(c, m->seed, m->rank, i, &size);
        double got = mcf_load_element(data + GUARD, c->dtype, i);
        largest = fmax(largest, fmax(size, fabs(want)));
        error = fmax(error, isnan(got) ? INFINITY : fabs(got - want));
    }
    m->worst = error > 0 ? error / largest : 0;
}

static mcf_status take_part(member *m, mcf_buffer **from, mcf_buffer **to, unsigned char *data, size_t bytes,
                            mcf_error *err)
{
    const mcf_backend *b = m->backend;
    memset(data, 0xA5, bytes);
    for (int64_t i = 0; i < count_in(m->c); i++)
        mcf_store_element(data + GUARD, m->c->dtype, i, value_of(m->c, m->seed, m->rank, i));
    MCF_TRY(b->buffer_create(m->device, bytes, from, err));
    MCF_TRY(b->upload(m->stream, *from, 0, data, bytes, err));
    MCF_TRY(b->stream_synchronize(m->stream, err));
    mcf_buffer *target = *from;
    if (!m->c->in_place) {
        memset(data, 0xA5, bytes);
        memset(data + GUARD, 0xFF, (size_t)count_out(m->c) * mcf_dtype_size(m->c->dtype));
        MCF_TRY(b->buffer_create(m->device, bytes, to, err));
        MCF_TRY(b->upload(m->stream, *to, 0, data, bytes, err));
        target = *to;
    }
    MCF_TRY(call(m, target, *from, err));
    MCF_TRY(b->barrier(m->group, m->rank, m->stream, err));
    MCF_TRY(b->download(m->stream, data, target, 0, bytes, err));
    MCF_TRY(b->stream_synchronize(m->stream, err));
    compare(m, data, bytes);
    return MCF_OK;
}

static void *member_thread(void *context)
{
    member *m = context;
    int64_t most = count_in(m->c) > count_out(m->c) ? count_in(m->c) : count_out(m->c);
    size_t bytes = (size_t)most * mcf_dtype_size(m->c->dtype) + 2 * GUARD;
    unsigned char *data = malloc(bytes);
    mcf_buffer *from = NULL, *to = NULL;
    mcf_error error = {.message = "no memory"};
    if (!data || take_part(m, &from, &to, data, bytes, &error) != MCF_OK) {
        snprintf(m->message, sizeof m->message, "member %d: %.480s", m->rank, error.message);
        m->backend->group_abort(m->group, "another member failed");
    }
    if (from)
        m->backend->buffer_destroy(from);
    if (to)
        m->backend->buffer_destroy(to);
    free(data);
    return NULL;
}

typedef struct {
    mcf_device *devices[MEMBERS];
    mcf_stream *streams[MEMBERS];
    int count;
} fleet;

static void run_collective(const mcf_check_job *job, const fleet *f, mcf_group *group, const collective *c,
                           uint64_t seed)
{
    member members[MEMBERS];
    pthread_t threads[MEMBERS];
    int started = 0;
    char message[512] = "", text[160];
    for (int i = 0; i < c->members; i++)
        members[i] = (member){job->backend, f->devices[i], f->streams[i], group, c, i, seed, 0, ""};
    while (started < c->members && !pthread_create(&threads[started], NULL, member_thread, &members[started]))
        started++;
    if (started < c->members) {
        job->backend->group_abort(group, "no thread for a member");
        snprintf(message, sizeof message, "no thread for member %d", started);
    }
    double worst = 0;
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
        worst = fmax(worst, members[i].worst);
        if (members[i].message[0] && !message[0])
            snprintf(message, sizeof message, "%s", members[i].message);
    }
    const mcf_op_info *info = mcf_op_describe(c->op);
    double tolerance = c->dtype == MCF_F32 || !mcf_dtype_is_float(c->dtype) ? info->tolerance32 : info->tolerance16;
    if (worst > tolerance && !message[0])
        snprintf(message, sizeof message, "off by %.3g, allowed are %.3g", worst, tolerance);
    snprintf(text, sizeof text, " %s[%lld]%s%s, %d member%s", mcf_dtype_name(c->dtype), (long long)c->count,
             c->reduce == MCF_REDUCE_MEAN ? " mean" : "", c->in_place ? " in place" : "", c->members,
             c->members > 1 ? "s" : "");
    job->report(job->context, info->name, text, worst, tolerance, message);
}

static void run_collectives(const mcf_check_job *job, const fleet *f, int members, mcf_group *group, mcf_op only)
{
    static const int64_t counts[] = {5, 1, 64, 1003, 0, 4097};
    static const mcf_dtype types[] = {MCF_F32, MCF_BF16, MCF_F16, MCF_I64};
    uint64_t number = 0;
    for (int op = 0; op < MCF_OP_COUNT; op++) {
        if (!mcf_op_is_collective((mcf_op)op) || (only != MCF_OP_COUNT && only != (mcf_op)op))
            continue;
        bool sums = op == MCF_OP_all_reduce || op == MCF_OP_reduce_scatter;
        for (int t = 0; t < 4; t++) {
            if (types[t] == MCF_I64 ? sums : !(job->dtypes >> types[t] & 1))
                continue;
            for (int i = 0; i < (job->tiny ? 3 : 6); i++)
                for (int variant = 0; variant < 4; variant++) {
                    if (variant & 2 && !sums)
                        continue;
                    collective c = {(mcf_op)op, types[t],    variant & 2 ? MCF_REDUCE_MEAN : MCF_REDUCE_SUM,
                                    members,    i % members, counts[i],
                                    variant & 1};
                    run_collective(job, f, group, &c, job->seed + number++ * 1000);
                }
        }
    }
}

// A group of two where the second never comes: the first must not wait for ever, and must say who is missing.
static void run_without_partner(const mcf_check_job *job, const fleet *f)
{
    mcf_group *group = NULL;
    mcf_error error = {.message = ""};
    char message[512] = "", missing[32];
    mcf_status status = job->backend->group_create(f->devices, 2, 0.2, &group, &error);
    if (status == MCF_OK) {
        status = job->backend->barrier(group, 0, f->streams[0], &error);
        if (status == MCF_OK)
            status = job->backend->stream_synchronize(f->streams[0], &error);
        snprintf(missing, sizeof missing, "device %d", job->device_index + 1);
        if (status == MCF_OK)
            snprintf(message, sizeof message, "a barrier passed although a member was missing");
        else if (!strstr(error.message, missing))
            snprintf(message, sizeof message, "the error does not name %s: %.400s", missing, error.message);
        job->backend->group_destroy(group);
    } else {
        snprintf(message, sizeof message, "%.500s", error.message);
    }
    job->report(job->context, "group", " a member that does not arrive", 0, 0, message);
}

static mcf_status open_fleet(const mcf_check_job *job, fleet *f, int count, mcf_error *err)
{
    for (; f->count < count; f->count++) {
        int i = f->count;
        MCF_TRY(job->backend->device_open(job->device_index + i, &(mcf_device_options){.opened = count}, &f->devices[i],
                                          err));
        mcf_status status = job->backend->stream_create(f->devices[i], &f->streams[i], err);
        if (status != MCF_OK) {
            job->backend->device_close(f->devices[i]);
            return status;
        }
    }
    return MCF_OK;
}

mcf_status mcf_check_group(const mcf_check_job *job, mcf_op only, mcf_error *err)
{
    const mcf_backend *b = job->backend;
    int count = b->device_count() - job->device_index;
    int most = job->members > 0 ? job->members : 4;
    count = count < 1 ? 1 : count;
    // Devices of a CPU are threads: any number can be opened.
    if (!strncmp(b->name, "cpu", 3) || count > most)
        count = most;
    count = count > MEMBERS ? MEMBERS : count;
    fleet f = {.count = 0};
    mcf_status status = open_fleet(job, &f, count, err);
    for (int members = 1; members <= count && status == MCF_OK; members++) {
        mcf_group *group = NULL;
        status = b->group_create(f.devices, members, 60, &group, err);
        if (status == MCF_OK) {
            run_collectives(job, &f, members, group, only);
            b->group_destroy(group);
        }
    }
    if (status == MCF_OK && count > 1 && only == MCF_OP_COUNT)
        run_without_partner(job, &f);
    for (int i = 0; i < f.count; i++) {
        b->stream_destroy(f.streams[i]);
        b->device_close(f.devices[i]);
    }
    return status;
}
