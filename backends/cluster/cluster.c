// The cluster's thread and the queue of exchanges.
//
// After a failure the thread tells the other ranks, and only then wakes those that wait: from there on it touches no
// memory but its own, since theirs may be freed.
#define _GNU_SOURCE
#include "backends/cluster/cluster.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/cluster/exchange.h"
#include "base/clock.h"

enum { SECONDS_TO_REPORT = 3, SECONDS_TO_ABORT = 10, IDLE_NANOSECONDS = 5000000 };
#define TELL 1.0 // seconds for telling of a failure

// --- the thread

static mcf_status come_in(mcf_cluster *c, mcf_error *err)
{
    MCF_TRY(c->transport->join(c->context, &c->link, &c->place, err));
    const int count = c->place.count;
    if (count > MCF_MAX_RANKS)
        return mcf_fail(err, MCF_ERR_USAGE, "%d ranks; at most %d work together", count, MCF_MAX_RANKS);
    c->peers = calloc((size_t)count, sizeof *c->peers);
    c->hosts = calloc((size_t)count, sizeof *c->hosts);
    if (!c->peers || !c->hosts)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %d ranks", count);
    c->pumped = mcf_now();
    for (int r = 0; r < count; r++) {
        mcf_peer *peer = &c->peers[r];
        peer->out.kind = MCF_NOTICE_ALIVE;
        peer->heard = c->pumped;
        if (r != c->place.rank)
            MCF_TRY(
                c->transport->receive(c->link, r, MCF_TAG_NOTICE, &peer->in, sizeof peer->in, &peer->receiving, err));
    }
    return mcf_cluster_tell_hosts(c, err);
}

// With the mutex held: the exchange whose turn it is, when all its parts are there.
static mcf_exchange *next_exchange(const mcf_cluster *c)
{
    mcf_exchange *x = c->first;
    while (x && x->done)
        x = x->next;
    return x && x->posted == x->parts ? x : NULL;
}

static void idle(mcf_cluster *c)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += IDLE_NANOSECONDS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&c->changed, &c->mutex, &until);
}

// Work until the end or a failure.
static mcf_status serve(mcf_cluster *c, mcf_error *err)
{
    for (;;) {
        pthread_mutex_lock(&c->mutex);
        mcf_exchange *x = next_exchange(c);
        if (!x && !c->failing && !c->leaving) {
            idle(c);
            x = next_exchange(c);
        }
        const bool leaving = c->leaving && !x, failing = c->failing;
        pthread_mutex_unlock(&c->mutex);
        if (failing)
            return mcf_cluster_is_failing(c, err) ? c->status : MCF_ERR_INTERNAL;
        if (leaving)
            return MCF_OK;
        if (x) {
            MCF_TRY(mcf_cluster_make(c, x, err));
            pthread_mutex_lock(&c->mutex);
            x->done = true;
            pthread_cond_broadcast(&c->changed);
            pthread_mutex_unlock(&c->mutex);
        }
        MCF_TRY(mcf_cluster_pump(c, err));
    }
}

static void *work(void *argument)
{
    mcf_cluster *c = argument;
    mcf_error err = {0};
    mcf_notice notice = {.kind = MCF_NOTICE_LEAVES};
    int code = 0;
    mcf_status status = come_in(c, &err);
    pthread_mutex_lock(&c->mutex);
    c->joined = true;
    if (status != MCF_OK)
        mcf_cluster_note_failure(c, status, err.message, false);
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->mutex);
    if (status == MCF_OK)
        status = serve(c, &err);
    if (status == MCF_OK) {
        code = !mcf_cluster_last_word(c, notice, c->lost_after); // without the others MPI's own end would hang
    } else if (c->link && c->peers) {
        pthread_mutex_lock(&c->mutex);
        mcf_cluster_note_failure(c, status, err.message, false);
        const bool followed = c->followed;
        notice.kind = MCF_NOTICE_FAILED;
        notice.status = (int32_t)c->status;
        snprintf(notice.text, sizeof notice.text, "%s", c->reason);
        pthread_mutex_unlock(&c->mutex);
        // Who hears of a failure has it from the rank that tells everybody.
        if (!followed)
            mcf_cluster_last_word(c, notice, TELL);
    }
    pthread_mutex_lock(&c->mutex);
    c->broken = status != MCF_OK;
    pthread_cond_broadcast(&c->changed);
    while (c->broken && !c->ended)
        pthread_cond_wait(&c->changed, &c->mutex);
    code = c->broken ? c->end_code : code;
    pthread_mutex_unlock(&c->mutex);
    if (c->link)
        c->transport->leave(c->link, code);
    return NULL;
}

// --- the caller's side

// With the mutex held. MPI's own start waits for ever for a process that is stopped or cannot be reached.
static mcf_status wait_for_all(mcf_cluster *c, mcf_error *err)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)c->timeout;
    until.tv_nsec += (long)(1e9 * (c->timeout - (double)(time_t)c->timeout));
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    int code = 0;
    while (!c->joined && code != ETIMEDOUT)
        code = pthread_cond_timedwait(&c->changed, &c->mutex, &until);
    if (c->joined)
        return c->failing ? mcf_cluster_failure(c, err) : MCF_OK;
    pthread_detach(c->thread);
    return mcf_fail(err, MCF_ERR_DEVICE,
                    "the processes of this job did not come together within %g s: one of them is stopped, or cannot be "
                    "reached; end the job, look at its machines, start it again",
                    c->timeout);
}

mcf_status mcf_cluster_join(mcf_cluster **out, const mcf_cluster_options *options, mcf_error *err)
{
    *out = NULL;
    mcf_cluster *c = calloc(1, sizeof *c);
    if (!c)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a cluster");
    c->transport = options->transport;
    c->context = options->context;
    c->lost_after = options->lost_after > 0 ? options->lost_after : MCF_CLUSTER_LOST_AFTER;
    c->timeout = options->timeout > 0 ? options->timeout : MCF_CLUSTER_TIMEOUT;
    pthread_mutex_init(&c->mutex, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->changed, &attr);
    pthread_condattr_destroy(&attr);
    // Signals stay with the threads that expect them.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&c->thread, NULL, work, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        free(c);
        return mcf_fail(err, MCF_ERR_NOMEM, "the cluster's thread does not start: %s", strerror(failed));
    }
    pthread_mutex_lock(&c->mutex);
    mcf_status status = wait_for_all(c, err);
    pthread_mutex_unlock(&c->mutex);
    // After a failure the thread stays as it is until the process ends: whoever ends the link ends the process.
    if (status == MCF_OK)
        *out = c;
    return status;
}

static void destroy(mcf_cluster *c)
{
    while (c->first) {
        mcf_exchange *x = c->first;
        c->first = x->next;
        free(x->result);
        free(x);
    }
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->mutex);
    free(c->receive);
    free(c->peers);
    free(c->hosts);
    free(c);
}

// Whether no rank before this one lives.
static bool is_first(const mcf_cluster *c)
{
    for (int r = 0; c->peers && r < c->place.rank; r++)
        if (!c->peers[r].lost)
            return false;
    return true;
}

void mcf_cluster_end(mcf_cluster *c, int code)
{
    // Who does not report leaves time to the one that does.
    if (!is_first(c))
        nanosleep(&(struct timespec){SECONDS_TO_REPORT, 0}, NULL);
    pthread_mutex_lock(&c->mutex);
    c->ended = true;
    c->end_code = code ? code : 1;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->mutex);
    // An abort that hangs must not keep the process: it ends with its code all the same.
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += SECONDS_TO_ABORT;
    if (pthread_timedjoin_np(c->thread, NULL, &until) == 0)
        destroy(c);
}

void mcf_cluster_abort(mcf_cluster *c, mcf_status status, const char *reason)
{
    char text[1000], name[128];
    snprintf(text, sizeof text, "%s: %.800s", mcf_cluster_name(c, c->place.rank, name, sizeof name), reason);
    pthread_mutex_lock(&c->mutex);
    c->own_failure = c->own_failure || !c->failing;
    mcf_cluster_note_failure(c, status, text, false);
    while (!c->broken)
        pthread_cond_wait(&c->changed, &c->mutex);
    pthread_mutex_unlock(&c->mutex);
}

int mcf_cluster_rank(const mcf_cluster *cluster)
{
    return cluster->place.rank;
}

int mcf_cluster_count(const mcf_cluster *cluster)
{
    return cluster->place.count;
}

const char *mcf_cluster_host(const mcf_cluster *cluster, int rank)
{
    return cluster->hosts[rank];
}

// --- the queue

// With the mutex held: the exchange of this number, made where this part is the first to come.
static mcf_exchange *find_exchange(mcf_cluster *c, uint64_t number, int parts)
{
    for (mcf_exchange *x = c->first; x; x = x->next)
        if (x->number == number)
            return x;
    mcf_exchange *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->number = number;
    x->parts = parts;
    if (c->last)
        c->last->next = x;
    else
        c->first = x;
    c->last = x;
    c->next_number = number + 1;
    return x;
}

static mcf_status post(mcf_cluster *c, const mcf_exchange_part *part, double limit, mcf_exchange **exchange,
                       mcf_error *err)
{
    if (c->failing)
        return mcf_cluster_failure(c, err);
    if (part->parts < 1 || part->parts > MCF_CLUSTER_PARTS || part->part < 0 || part->part >= part->parts)
        return mcf_fail(err, MCF_ERR_INTERNAL, "an exchange with part %d of %d", part->part, part->parts);
    mcf_exchange *x = find_exchange(c, c->part_number[part->part]++, part->parts);
    if (!x)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for an exchange");
    x->part[part->part] = *part;
    x->limit = limit;
    x->posted++;
    pthread_cond_broadcast(&c->changed);
    *exchange = x;
    return MCF_OK;
}

mcf_status mcf_cluster_post(mcf_cluster *c, const mcf_exchange_part *part, mcf_exchange **exchange, mcf_error *err)
{
    pthread_mutex_lock(&c->mutex);
    mcf_status status = post(c, part, c->timeout, exchange, err);
    pthread_mutex_unlock(&c->mutex);
    return status;
}

mcf_status mcf_cluster_wait(mcf_cluster *c, mcf_exchange *x, const void **result, mcf_error *err)
{
    pthread_mutex_lock(&c->mutex);
    while (!x->done && !c->broken)
        pthread_cond_wait(&c->changed, &c->mutex);
    mcf_status status = c->broken ? mcf_cluster_failure(c, err) : MCF_OK;
    if (result)
        *result = x->result;
    pthread_mutex_unlock(&c->mutex);
    return status;
}

void mcf_cluster_done(mcf_cluster *c, mcf_exchange *x)
{
    pthread_mutex_lock(&c->mutex);
    if (++x->taken == x->parts) {
        mcf_exchange **at = &c->first, *before = NULL;
        while (*at != x) {
            before = *at;
            at = &(*at)->next;
        }
        *at = x->next;
        if (c->last == x)
            c->last = before;
        free(x->result);
        free(x);
    }
    pthread_mutex_unlock(&c->mutex);
}

// Alone in the queue: all parts count on from there.
static mcf_status exchange_alone(mcf_cluster *c, const mcf_exchange_part *part, double limit, void *to, uint64_t bytes,
                                 mcf_error *err)
{
    mcf_exchange *x;
    const void *result;
    pthread_mutex_lock(&c->mutex);
    c->part_number[0] = c->next_number;
    mcf_status status = post(c, part, limit, &x, err);
    for (int p = 0; p < MCF_CLUSTER_PARTS; p++)
        c->part_number[p] = c->next_number;
    pthread_mutex_unlock(&c->mutex);
    MCF_TRY(status);
    MCF_TRY(mcf_cluster_wait(c, x, &result, err));
    memcpy(to, result, bytes);
    mcf_cluster_done(c, x);
    return MCF_OK;
}

mcf_status mcf_cluster_gather(mcf_cluster *c, const void *own, void *all, uint64_t bytes, bool patient, mcf_error *err)
{
    const mcf_exchange_part part = {.kind = MCF_EXCHANGE_GATHER, .parts = 1, .data = (void *)own, .count = bytes};
    return exchange_alone(c, &part, patient ? 0 : c->timeout, all, bytes * (uint64_t)c->place.count, err);
}

mcf_status mcf_cluster_broadcast(mcf_cluster *c, int root, void *data, uint64_t bytes, bool patient, mcf_error *err)
{
    for (uint64_t done = 0, piece; done < bytes; done += piece) {
        piece = bytes - done < MCF_TRANSPORT_MESSAGE ? bytes - done : MCF_TRANSPORT_MESSAGE;
        const mcf_exchange_part part = {
            .kind = MCF_EXCHANGE_ROOT, .parts = 1, .data = (char *)data + done, .count = piece, .root = root};
        MCF_TRY(exchange_alone(c, &part, patient ? 0 : c->timeout, (char *)data + done, piece, err));
    }
    return MCF_OK;
}

// --- the end

mcf_status mcf_cluster_leave(mcf_cluster *c, mcf_status status, mcf_error *err, bool *tell, bool *ended)
{
    *ended = false;
    // All were asked to stop together, or one alone while the others go on: then it ends them.
    const double limit = status == MCF_ERR_INTERRUPTED ? 10 : 0;
    if (status == MCF_OK || status == MCF_ERR_INTERRUPTED) {
        char own = 1, *all = malloc((size_t)c->place.count);
        const mcf_exchange_part part = {.kind = MCF_EXCHANGE_GATHER, .parts = 1, .data = &own, .count = 1};
        mcf_error why = {0};
        const mcf_status met = all ? exchange_alone(c, &part, limit, all, (uint64_t)c->place.count, &why)
                                   : mcf_fail(&why, MCF_ERR_NOMEM, "no memory to leave");
        free(all);
        if (met == MCF_OK) {
            *tell = c->place.rank == 0;
            *ended = true;
            pthread_mutex_lock(&c->mutex);
            c->leaving = true;
            pthread_cond_broadcast(&c->changed);
            pthread_mutex_unlock(&c->mutex);
            pthread_join(c->thread, NULL);
            destroy(c);
            return status;
        }
        if (status == MCF_OK) {
            *err = why;
            status = met;
        }
    }
    mcf_cluster_abort(c, status, err->message);
    *tell = is_first(c);
    // The first reason is the one to report; where it is this rank's own, in its own words.
    if (!c->own_failure)
        status = mcf_cluster_failure(c, err);
    return status;
}
