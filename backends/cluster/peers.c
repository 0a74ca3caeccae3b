#include "backends/cluster/peers.h"

#include <sched.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"

// Seconds: between signs of life, between looks for them; a thread that was itself away for
// longer than AWAY accuses nobody.
#define BEAT 1.0
#define LOOK 0.01
#define AWAY 5.0
enum { SPINS = 200, SHORT_PAUSE = 50000, LONG_PAUSE = 500000, LONG_AFTER = 2000 };

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
void mcf_cluster_note_failure(mcf_cluster *c, mcf_status status, const char *reason, bool followed)
{
    if (!c->failing) {
        c->failing = true;
        c->followed = followed;
        c->status = status;
        snprintf(c->reason, sizeof c->reason, "%.999s", reason);
    }
    pthread_cond_broadcast(&c->changed);
}

mcf_status mcf_cluster_failure(mcf_cluster *c, mcf_error *err)
{
    return mcf_fail(err, c->status, "%s", c->reason);
}

bool mcf_cluster_is_failing(mcf_cluster *c, mcf_error *err)
{
    pthread_mutex_lock(&c->mutex);
    const bool failing = c->failing;
    if (failing)
        mcf_cluster_failure(c, err);
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
        mcf_cluster_note_failure(c,
                                 peer->in.status == MCF_OK || peer->in.status > MCF_ERR_INTERNAL
                                     ? MCF_ERR_DEVICE
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
    const double now = mcf_now();
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
    return mcf_cluster_is_failing(c, err) ? c->status : MCF_OK;
}

bool mcf_cluster_last_word(mcf_cluster *c, mcf_notice notice, double seconds)
{
    const double end = mcf_now() + seconds;
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
        if (!open || mcf_now() > end)
            return !open;
        mcf_cluster_pause(looks);
    }
}
