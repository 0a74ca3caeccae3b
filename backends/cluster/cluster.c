// The cluster's thread, the queue of exchanges, signs of life, and how a failure reaches everybody.
//
// After a failure the thread tells the other ranks, and only then wakes those that wait: from there on it touches no
// memory but its own, since theirs may be freed.
#include "backends/cluster/internal.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// Seconds: between signs of life, between looks for them, for telling of a failure; a thread that was itself away for
// longer than AWAY accuses nobody.
#define BEAT 1.0
#define LOOK 0.01
#define TELL 1.0
#define AWAY 5.0
enum {
    SECONDS_TO_REPORT = 3,
    IDLE_NANOSECONDS = 5000000,
    SPINS = 200,
    SHORT_PAUSE = 50000,
    LONG_PAUSE = 500000,
    LONG_AFTER = 2000
};

double mcf_cluster_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void mcf_cluster_pause(int looks)
{
    const struct timespec pause = {0, looks < LONG_AFTER ? SHORT_PAUSE : LONG_PAUSE};
    if (looks < SPINS)
        sched_yield();
    else
        nanosleep(&pause, NULL);
}

const char *mcf_cluster_name(const mcf_cluster *c, int rank, char *text, int size)
{
    snprintf(text, (size_t)size, "rank %d of %d (%.63s)", rank, c->place.count, c->hosts[rank]);
    return text;
}

// --- failures

// With the mutex held. The first reason stays: later ones follow from it.
static void note_failure(mcf_cluster *c, mcf_status status, const char *reason, bool followed)
{
    if (!c->failing) {
        c->failing = true;
        c->followed = followed;
        c->status = status;
        snprintf(c->reason, sizeof c->reason, "%.999s", reason);
    }
    pthread_cond_broadcast(&c->changed);
}

static mcf_status failure(mcf_cluster *c, mcf_error *err)
{
    return mcf_fail(err, c->status, "%s", c->reason);
}

static bool is_failing(mcf_cluster *c, mcf_error *err)
{
    pthread_mutex_lock(&c->mutex);
    const bool failing = c->failing;
    if (failing)
        failure(c, err);
    pthread_mutex_unlock(&c->mutex);
    return failing;
}

// --- signs of life

static mcf_status take_notice(mcf_cluster *c, int rank, mcf_error *err)
{
    mcf_peer *peer = &c->peers[rank];
    peer->heard = c->pumped;
    peer->in.text[sizeof peer->in.text - 1] = '\0';
    switch (peer->in.kind) {
    case MCF_NOTICE_LEAVES:
        peer->left = true;
        return MCF_OK;
    case MCF_NOTICE_FAILED:
        pthread_mutex_lock(&c->mutex);
        note_failure(c,
                     peer->in.status == MCF_OK || peer->in.status > MCF_ERR_INTERNAL ? MCF_ERR_DEVICE
                                                                                     : (mcf_status)peer->in.status,
                     peer->in.text, true);
        pthread_mutex_unlock(&c->mutex);
        break;
    default:
        break;
    }
    return c->transport->receive(c->link, rank, MCF_TAG_NOTICE, &peer->in, sizeof peer->in, &peer->receiving, err);
}

static mcf_status look_at(mcf_cluster *c, int rank, bool beat, mcf_error *err)
{
    mcf_peer *peer = &c->peers[rank];
    bool done = false;
    while (peer->receiving) {
        MCF_TRY(c->transport->test(c->link, &peer->receiving, &done, err));
        if (!done)
            break;
        MCF_TRY(take_notice(c, rank, err));
    }
    if (peer->sending)
        MCF_TRY(c->transport->test(c->link, &peer->sending, &done, err));
    if (beat && !peer->sending && !peer->left)
        MCF_TRY(c->transport->send(c->link, rank, MCF_TAG_NOTICE, &peer->out, sizeof peer->out, &peer->sending, err));
    return MCF_OK;
}

static mcf_status lost(mcf_cluster *c, int rank, const char *how, mcf_error *err)
{
    char name[128];
    c->peers[rank].lost = true;
    return mcf_fail(err, MCF_ERR_DEVICE, "%s is lost: %s; the run ends here, its last checkpoint stays",
                    mcf_cluster_name(c, rank, name, sizeof name), how);
}

mcf_status mcf_cluster_pump(mcf_cluster *c, mcf_error *err)
{
    const double now = mcf_cluster_now();
    if (now - c->pumped < LOOK)
        return MCF_OK;
    const bool away = now - c->pumped > AWAY, beat = now - c->beat >= BEAT;
    c->pumped = now;
    if (beat)
        c->beat = now;
    for (int r = 0; r < c->place.count; r++) {
        mcf_peer *peer = &c->peers[r];
        mcf_error why = {0};
        char how[64];
        if (r == c->place.rank)
            continue;
        if (away)
            peer->heard = now;
        if (look_at(c, r, beat, &why) != MCF_OK)
            return lost(c, r, why.message, err);
        snprintf(how, sizeof how, "nothing was heard of it for %.0f s", c->lost_after);
        if (!peer->left && now - peer->heard > c->lost_after)
            return lost(c, r, how, err);
    }
    return is_failing(c, err) ? c->status : MCF_OK;
}

// The last word to every other rank; true when all that still take it have it (and where this rank leaves, have left
// too).
static bool last_word(mcf_cluster *c, mcf_notice notice, double seconds)
{
    const double end = mcf_cluster_now() + seconds;
    int open;
    for (int r = 0; r < c->place.count; r++) {
        mcf_peer *peer = &c->peers[r];
        peer->last = notice;
        if (r != c->place.rank && !peer->lost &&
            c->transport->send(c->link, r, MCF_TAG_NOTICE, &peer->last, sizeof peer->last, &peer->sending_last, NULL) !=
                MCF_OK)
            peer->lost = true;
    }
    for (int looks = 0;; looks++) {
        open = 0;
        for (int r = 0; r < c->place.count; r++) {
            mcf_peer *peer = &c->peers[r];
            bool done = true;
            if (peer->sending_last && c->transport->test(c->link, &peer->sending_last, &done, NULL) != MCF_OK)
                peer->lost = done = true;
            open += !done;
            if (notice.kind == MCF_NOTICE_LEAVES && r != c->place.rank && !peer->lost &&
                (look_at(c, r, false, NULL) != MCF_OK || !peer->left || peer->sending))
                open++;
        }
        if (!open || mcf_cluster_now() > end)
            return !open;
        mcf_cluster_pause(looks);
    }
}

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
    c->pumped = mcf_cluster_now();
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
            return is_failing(c, err) ? c->status : MCF_ERR_INTERNAL;
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
        note_failure(c, status, err.message, false);
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->mutex);
    if (status == MCF_OK)
        status = serve(c, &err);
    if (status == MCF_OK) {
        code = !last_word(c, notice, c->lost_after); // without the others MPI's own end would hang
    } else if (c->link && c->peers) {
        pthread_mutex_lock(&c->mutex);
        note_failure(c, status, err.message, false);
        const bool followed = c->followed;
        notice.kind = MCF_NOTICE_FAILED;
        notice.status = (int32_t)c->status;
        snprintf(notice.text, sizeof notice.text, "%s", c->reason);
        pthread_mutex_unlock(&c->mutex);
        // Who hears of a failure has it from the rank that tells everybody.
        if (!followed)
            last_word(c, notice, TELL);
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
    while (!c->joined)
        pthread_cond_wait(&c->changed, &c->mutex);
    mcf_status status = c->failing ? failure(c, err) : MCF_OK;
    pthread_mutex_unlock(&c->mutex);
    // After a failure the thread stays as it is until the process ends: whoever ends the link ends the process.
    if (status == MCF_OK)
        *out = c;
    return status;
}

static void destroy(mcf_cluster *c)
{
    pthread_join(c->thread, NULL);
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
    destroy(c);
}

void mcf_cluster_abort(mcf_cluster *c, mcf_status status, const char *reason)
{
    char text[1000], name[128];
    snprintf(text, sizeof text, "%s: %.800s", mcf_cluster_name(c, c->place.rank, name, sizeof name), reason);
    pthread_mutex_lock(&c->mutex);
    c->own_failure = c->own_failure || !c->failing;
    note_failure(c, status, text, false);
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
        return failure(c, err);
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
    mcf_status status = c->broken ? failure(c, err) : MCF_OK;
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
        status = failure(c, err);
    return status;
}
