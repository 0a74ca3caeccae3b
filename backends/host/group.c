// Each collective: publish the own call, wait for all, move or sum the own share, wait for all again.
#include "backends/host/group.h"

#include "backends/host/elements.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BLOCK = 512 }; // elements summed at a time: their accumulators stay in the first cache

typedef struct {
    const char *name;
    void *to;
    const void *from;
    uint64_t count;
    mcf_dtype dtype;
    int detail; // reduction or root
} call;

struct mcf_host_group {
    int count;
    double timeout;
    int *devices;
    call *calls;
    bool *arrived;
    int waiting;
    uint64_t generation;
    bool broken;
    char reason[512];
    pthread_mutex_t mutex;
    pthread_cond_t changed;
};

mcf_status mcf_host_group_create(const int *devices, int count, double timeout_seconds, mcf_host_group **group,
                                 mcf_error *err)
{
    if (count < 1 || !(timeout_seconds > 0))
        return mcf_fail(err, MCF_ERR_USAGE, "a group needs members and a timeout, got %d and %g s", count,
                        timeout_seconds);
    mcf_host_group *g = calloc(1, sizeof *g);
    if (g) {
        g->devices = malloc((size_t)count * sizeof *g->devices);
        g->calls = calloc((size_t)count, sizeof *g->calls);
        g->arrived = calloc((size_t)count, sizeof *g->arrived);
    }
    if (!g || !g->devices || !g->calls || !g->arrived) {
        if (g) {
            free(g->devices);
            free(g->calls);
            free(g->arrived);
        }
        free(g);
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a group of %d devices", count);
    }
    memcpy(g->devices, devices, (size_t)count * sizeof *devices);
    g->count = count;
    g->timeout = timeout_seconds;
    pthread_mutex_init(&g->mutex, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&g->changed, &attr);
    pthread_condattr_destroy(&attr);
    *group = g;
    return MCF_OK;
}

void mcf_host_group_destroy(mcf_host_group *g)
{
    if (!g)
        return;
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->mutex);
    free(g->devices);
    free(g->calls);
    free(g->arrived);
    free(g);
}

int mcf_host_group_size(const mcf_host_group *g)
{
    return g->count;
}

// With the mutex held. The first reason stays: later ones follow from it.
static void break_group(mcf_host_group *g, const char *reason)
{
    if (!g->broken) {
        g->broken = true;
        snprintf(g->reason, sizeof g->reason, "%s", reason);
    }
    pthread_cond_broadcast(&g->changed);
}

void mcf_host_group_abort(mcf_host_group *g, const char *reason)
{
    char text[480];
    snprintf(text, sizeof text, "device group aborted: %s", reason ? reason : "no reason given");
    pthread_mutex_lock(&g->mutex);
    break_group(g, text);
    pthread_mutex_unlock(&g->mutex);
}

mcf_status mcf_host_group_check(mcf_host_group *g, mcf_error *err)
{
    pthread_mutex_lock(&g->mutex);
    mcf_status status = g->broken ? mcf_fail(err, MCF_ERR_DEVICE, "%s", g->reason) : MCF_OK;
    pthread_mutex_unlock(&g->mutex);
    return status;
}

static void name_missing(mcf_host_group *g, const char *collective)
{
    char who[300] = "";
    size_t used = 0;
    int missing = 0;
    for (int i = 0; i < g->count; i++)
        if (!g->arrived[i] && used < sizeof who - 32)
            used += (size_t)snprintf(who + used, sizeof who - used, "%s%d", missing++ ? ", " : "", g->devices[i]);
    char text[480];
    snprintf(text, sizeof text, "device%s %s did not arrive within %g s at %s", missing > 1 ? "s" : "", who, g->timeout,
             collective);
    break_group(g, text);
}

// What the members call must be one and the same.
static void compare_calls(mcf_host_group *g)
{
    const call *a = &g->calls[0];
    for (int i = 1; i < g->count; i++) {
        const call *b = &g->calls[i];
        if (a->name != b->name || a->count != b->count || a->dtype != b->dtype || a->detail != b->detail) {
            char text[480];
            snprintf(text, sizeof text,
                     "devices disagree: device %d is at %s (%llu %s, %d), device %d at %s (%llu %s, %d)", g->devices[0],
                     a->name, (unsigned long long)a->count, mcf_dtype_name(a->dtype), a->detail, g->devices[i], b->name,
                     (unsigned long long)b->count, mcf_dtype_name(b->dtype), b->detail);
            break_group(g, text);
            return;
        }
    }
}

// Waits for all members. `own`: this member's call, published before waiting; NULL at a collective's end.
static mcf_status meet(mcf_host_group *g, int rank, const char *name, const call *own, mcf_error *err)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds = g->timeout < 1e9 ? g->timeout : 1e9;
    end.tv_sec += (time_t)seconds;
    end.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
    if (end.tv_nsec >= 1000000000) {
        end.tv_nsec -= 1000000000;
        end.tv_sec++;
    }
    pthread_mutex_lock(&g->mutex);
    if (own)
        g->calls[rank] = *own;
    g->arrived[rank] = true;
    uint64_t generation = g->generation;
    if (!g->broken && ++g->waiting == g->count) {
        if (own)
            compare_calls(g);
        g->waiting = 0;
        memset(g->arrived, 0, (size_t)g->count * sizeof *g->arrived);
        g->generation++;
        pthread_cond_broadcast(&g->changed);
    }
    while (!g->broken && g->generation == generation)
        if (pthread_cond_timedwait(&g->changed, &g->mutex, &end) && g->generation == generation && !g->broken)
            name_missing(g, name);
    mcf_status status = MCF_OK;
    // A collective complete before the group broke is still good, but the sooner all stop the better.
    if (g->broken)
        status = mcf_fail(err, MCF_ERR_DEVICE, "%s", g->reason);
    pthread_mutex_unlock(&g->mutex);
    return status;
}

static mcf_status check_rank(const mcf_host_group *g, int rank, const char *name, mcf_error *err)
{
    if (rank < 0 || rank >= g->count)
        return mcf_fail(err, MCF_ERR_USAGE, "%s: no rank %d in a group of %d", name, rank, g->count);
    return MCF_OK;
}

// --- sums

static mcf_status check_reducible(mcf_dtype dtype, const char *name, mcf_error *err)
{
    if (!mcf_dtype_is_float(dtype))
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "%s: cannot reduce %s", name, mcf_dtype_name(dtype));
    return MCF_OK;
}

// Sums elements [start, start + count) of every member into `block`, converted to dtype.
static void sum_members(const mcf_host_group *g, uint64_t start, int count, mcf_dtype dtype, mcf_reduce reduce,
                        void *block)
{
    double sum[BLOCK];
    memset(sum, 0, (size_t)count * sizeof *sum);
    for (int i = 0; i < g->count; i++)
        for (int j = 0; j < count; j++)
            sum[j] += mcf_load_element(g->calls[i].from, dtype, (int64_t)(start + (uint64_t)j));
    if (reduce == MCF_REDUCE_MEAN)
        for (int i = 0; i < count; i++)
            sum[i] /= g->count;
    for (int i = 0; i < count; i++)
        mcf_store_element(block, dtype, i, sum[i]);
}

static int block_length(uint64_t start, uint64_t end)
{
    return end - start < BLOCK ? (int)(end - start) : BLOCK;
}

// --- collectives

mcf_status mcf_host_all_reduce(mcf_host_group *g, int rank, void *to, const void *from, uint64_t count, mcf_dtype dtype,
                               mcf_reduce reduce, mcf_error *err)
{
    static const char name[] = "all_reduce";
    MCF_TRY(check_rank(g, rank, name, err));
    MCF_TRY(check_reducible(dtype, name, err));
    MCF_TRY(meet(g, rank, name, &(call){name, to, from, count, dtype, reduce}, err));
    // Member r sums the r-th slice for everybody. Only it reads that slice, so sums may overwrite operands.
    uint64_t slice = (count + (uint64_t)g->count - 1) / (uint64_t)g->count;
    uint64_t start = slice * (uint64_t)rank < count ? slice * (uint64_t)rank : count;
    uint64_t end = start + slice < count ? start + slice : count;
    size_t size = mcf_dtype_size(dtype);
    double block[BLOCK];
    for (; start < end; start += BLOCK) {
        int length = block_length(start, end);
        sum_members(g, start, length, dtype, reduce, block);
        for (int i = 0; i < g->count; i++)
            memcpy((char *)g->calls[i].to + start * size, block, (size_t)length * size);
    }
    return meet(g, rank, name, NULL, err);
}

// Where the own output would overwrite input that others still read, they get a copy to read.
// `slot`: the place in the larger buffer that only this member touches.
static mcf_status stage(mcf_host_group *g, const void **from, uint64_t from_bytes, const void *to, uint64_t to_bytes,
                        const void *small, const void *slot, void **copy, mcf_error *err)
{
    uintptr_t a = (uintptr_t)*from, b = (uintptr_t)to;
    *copy = NULL;
    if (small == slot || a + from_bytes <= b || b + to_bytes <= a)
        return MCF_OK;
    *copy = malloc(from_bytes);
    if (!*copy) {
        mcf_host_group_abort(g, "a member has no memory for a collective in place");
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %llu bytes of a collective in place",
                        (unsigned long long)from_bytes);
    }
    memcpy(*copy, *from, from_bytes);
    *from = *copy;
    return MCF_OK;
}

mcf_status mcf_host_all_gather(mcf_host_group *g, int rank, void *to, const void *from, uint64_t count, mcf_dtype dtype,
                               mcf_error *err)
{
    static const char name[] = "all_gather";
    MCF_TRY(check_rank(g, rank, name, err));
    uint64_t bytes = count * mcf_dtype_size(dtype);
    void *copy;
    MCF_TRY(
        stage(g, &from, bytes, to, bytes * (uint64_t)g->count, from, (char *)to + bytes * (uint64_t)rank, &copy, err));
    mcf_status status = meet(g, rank, name, &(call){name, to, from, count, dtype, 0}, err);
    if (status == MCF_OK) {
        for (int i = 0; i < g->count; i++) {
            char *place = (char *)to + bytes * (uint64_t)i;
            if (bytes && place != g->calls[i].from)
                memcpy(place, g->calls[i].from, bytes);
        }
        status = meet(g, rank, name, NULL, err);
    }
    free(copy);
    return status;
}

mcf_status mcf_host_reduce_scatter(mcf_host_group *g, int rank, void *to, const void *from, uint64_t count,
                                   mcf_dtype dtype, mcf_reduce reduce, mcf_error *err)
{
    static const char name[] = "reduce_scatter";
    MCF_TRY(check_rank(g, rank, name, err));
    MCF_TRY(check_reducible(dtype, name, err));
    size_t size = mcf_dtype_size(dtype);
    uint64_t bytes = count * size;
    void *copy;
    MCF_TRY(stage(g, &from, bytes * (uint64_t)g->count, to, bytes, to, (const char *)from + bytes * (uint64_t)rank,
                  &copy, err));
    mcf_status status = meet(g, rank, name, &(call){name, to, from, count, dtype, reduce}, err);
    if (status == MCF_OK) {
        double block[BLOCK];
        for (uint64_t start = 0; start < count; start += BLOCK) {
            int length = block_length(start, count);
            sum_members(g, (uint64_t)rank * count + start, length, dtype, reduce, block);
            memcpy((char *)to + start * size, block, (size_t)length * size);
        }
        status = meet(g, rank, name, NULL, err);
    }
    free(copy);
    return status;
}

mcf_status mcf_host_broadcast(mcf_host_group *g, int rank, int root, void *to, const void *from, uint64_t count,
                              mcf_dtype dtype, mcf_error *err)
{
    static const char name[] = "broadcast";
    MCF_TRY(check_rank(g, rank, name, err));
    MCF_TRY(check_rank(g, root, name, err));
    MCF_TRY(meet(g, rank, name, &(call){name, to, from, count, dtype, root}, err));
    const void *source = g->calls[root].from;
    if (count && to != source)
        memcpy(to, source, count * mcf_dtype_size(dtype));
    return meet(g, rank, name, NULL, err);
}

mcf_status mcf_host_barrier(mcf_host_group *g, int rank, mcf_error *err)
{
    static const char name[] = "barrier";
    MCF_TRY(check_rank(g, rank, name, err));
    return meet(g, rank, name, &(call){name, NULL, NULL, 0, MCF_F32, 0}, err);
}
