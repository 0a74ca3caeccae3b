// The cluster over a transport among threads of this process: sums in the order of ranks and their bits, gathers,
// broadcasts, and every way in which a rank can fail.
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <setjmp.h>

#include <cmocka.h>

#include "backends/cluster/cluster.h"
#include "backends/host/elements.h"

enum { RANKS_MOST = 6, PARTS_MOST = 3, TAGS = 8 };

// --- a transport among threads

typedef struct letter {
    struct letter *next;
    int from, to, tag;
    uint64_t bytes;
    char data[];
} letter;

typedef struct {
    pthread_mutex_t mutex;
    letter *first;
    int count;
    bool silent[RANKS_MOST]; // nothing comes from it any more
    int left[RANKS_MOST];    // code + 1
} hall;

typedef struct {
    hall *hall;
    int rank;
} seat;

struct mcf_link {
    hall *hall;
    int rank;
    int asked[RANKS_MOST][TAGS],
        done[RANKS_MOST][TAGS]; // receives are served in the order in which they were asked for
    mcf_message *open;          // not done yet: freed with the link
};
struct mcf_message {
    mcf_message *next;
    bool incoming;
    int from, tag, turn;
    void *to;
    uint64_t bytes;
};

static mcf_status probe(char *version, int size, mcf_error *err)
{
    snprintf(version, (size_t)size, "threads");
    return MCF_OK;
}

static mcf_status join(void *context, mcf_link **link, mcf_seat *place, mcf_error *err)
{
    const seat *s = context;
    *link = malloc(sizeof **link);
    **link = (mcf_link){.hall = s->hall, .rank = s->rank};
    *place = (mcf_seat){.rank = s->rank, .count = s->hall->count};
    snprintf(place->host, sizeof place->host, "host%d", s->rank);
    return MCF_OK;
}

static mcf_status send(mcf_link *link, int to, int tag, const void *from, uint64_t bytes, mcf_message **message,
                       mcf_error *err)
{
    letter *l = malloc(sizeof *l + bytes);
    *l = (letter){.from = link->rank, .to = to, .tag = tag, .bytes = bytes};
    memcpy(l->data, from, bytes);
    pthread_mutex_lock(&link->hall->mutex);
    letter **at = &link->hall->first;
    while (*at)
        at = &(*at)->next;
    if (link->hall->silent[link->rank])
        free(l);
    else
        *at = l;
    pthread_mutex_unlock(&link->hall->mutex);
    *message = calloc(1, sizeof **message);
    (*message)->next = link->open;
    link->open = *message;
    return MCF_OK;
}

static mcf_status receive(mcf_link *link, int from, int tag, void *to, uint64_t bytes, mcf_message **message,
                          mcf_error *err)
{
    *message = malloc(sizeof **message);
    **message = (mcf_message){link->open, true, from, tag, link->asked[from][tag]++, to, bytes};
    link->open = *message;
    return MCF_OK;
}

static mcf_status test(mcf_link *link, mcf_message **message, bool *done, mcf_error *err)
{
    mcf_message *m = *message;
    *done = !m->incoming;
    mcf_status status = MCF_OK;
    pthread_mutex_lock(&link->hall->mutex);
    for (letter **at = &link->hall->first; m->incoming && !*done && *at; at = *done ? at : &(*at)->next) {
        letter *l = *at;
        if (l->to != link->rank || l->from != m->from || l->tag != m->tag || m->turn != link->done[m->from][m->tag])
            continue;
        link->done[m->from][m->tag]++;
        if (l->bytes == m->bytes)
            memcpy(m->to, l->data, l->bytes);
        else
            status = mcf_fail(err, MCF_ERR_DEVICE, "ranks disagree");
        *at = l->next;
        free(l);
        *done = true;
    }
    pthread_mutex_unlock(&link->hall->mutex);
    if (*done) {
        mcf_message **at = &link->open;
        while (*at != m)
            at = &(*at)->next;
        *at = m->next;
        free(m);
        *message = NULL;
    }
    return status;
}

static void leave(mcf_link *link, int code)
{
    pthread_mutex_lock(&link->hall->mutex);
    link->hall->left[link->rank] = code + 1;
    pthread_mutex_unlock(&link->hall->mutex);
    while (link->open) {
        mcf_message *m = link->open;
        link->open = m->next;
        free(m);
    }
    free(link);
}

static const mcf_transport threads = {
    MCF_TRANSPORT_ABI, sizeof(mcf_transport), "threads", probe, join, send, receive, test, leave};

// --- running ranks

typedef struct run run;
typedef mcf_status (*body)(run *r, mcf_error *err);
struct run {
    hall *hall;
    int rank, parts;
    body body;
    mcf_cluster *cluster;
    double lost_after, timeout;
    mcf_status status;
    mcf_error error;
    bool tell;
};

static void *run_rank(void *argument)
{
    run *r = argument;
    seat s = {r->hall, r->rank};
    const mcf_cluster_options options = {
        .transport = &threads, .context = &s, .lost_after = r->lost_after, .timeout = r->timeout};
    bool ended;
    r->status = mcf_cluster_join(&r->cluster, &options, &r->error);
    if (r->status != MCF_OK)
        return NULL;
    r->status = r->body(r, &r->error);
    r->status = mcf_cluster_leave(r->cluster, r->status, &r->error, &r->tell, &ended);
    if (!ended)
        mcf_cluster_end(r->cluster, 1);
    return NULL;
}

static void run_all(run *runs, hall *h, int ranks, int parts, body what, double lost_after, double timeout)
{
    pthread_t thread[RANKS_MOST];
    *h = (hall){.count = ranks};
    pthread_mutex_init(&h->mutex, NULL);
    for (int r = 0; r < ranks; r++) {
        runs[r] =
            (run){.hall = h, .rank = r, .parts = parts, .body = what, .lost_after = lost_after, .timeout = timeout};
        assert_int_equal(pthread_create(&thread[r], NULL, run_rank, &runs[r]), 0);
    }
    for (int r = 0; r < ranks; r++)
        pthread_join(thread[r], NULL);
    for (letter *l = h->first, *next; l; l = next) {
        next = l->next;
        free(l);
    }
    pthread_mutex_destroy(&h->mutex);
}

static void all_well(const run *runs, const hall *h, int ranks)
{
    for (int r = 0; r < ranks; r++) {
        if (runs[r].status != MCF_OK)
            fail_msg("rank %d: %s", r, runs[r].error.message);
        assert_int_equal(h->left[r], 1);
    }
}

static void all_failed(const run *runs, int ranks, mcf_status status, const char *text)
{
    for (int r = 0; r < ranks; r++) {
        assert_int_equal(runs[r].status, status);
        if (!strstr(runs[r].error.message, text))
            fail_msg("rank %d says '%s', not '%s'", r, runs[r].error.message, text);
    }
}

static void wait_seconds(double s)
{
    nanosleep(&(struct timespec){(time_t)s, (long)((s - (double)(time_t)s) * 1e9)}, NULL);
}

// --- sums

static const uint64_t sizes[] = {0, 1, 2, 5, 6, 7, 511, 513, 1000, 4 << 20, (4 << 20) + 5};
static const mcf_dtype types[] = {MCF_F32, MCF_F64, MCF_BF16, MCF_F16};

// Magnitudes far apart, so that another order of the sum shows.
static double value_of(int rank, int part, uint64_t i)
{
    return ldexp(1 + (double)((i * 2654435761u + (uint64_t)(rank * 7 + part)) % 1000) / 1000,
                 (int)((i + (uint64_t)rank * 5) % 24) - 12);
}

typedef struct {
    run *run;
    int part;
    mcf_dtype dtype;
    uint64_t count;
    mcf_status status;
    mcf_error error;
    int looks;
} part_task;

static mcf_status ready_at_third(void *context, bool *done, mcf_error *err)
{
    *done = ++((part_task *)context)->looks >= 3;
    return MCF_OK;
}

static void *sum_part(void *argument)
{
    part_task *t = argument;
    const run *r = t->run;
    const uint64_t step = t->count > 100000 ? 997 : 1, count = t->count + (uint64_t)t->part; // parts differ in length
    char *data = malloc(count * mcf_dtype_size(t->dtype) + 1);
    for (uint64_t i = 0; i < count; i++)
        mcf_store_element(data, t->dtype, (int64_t)i, value_of(r->rank, t->part, i));
    const mcf_exchange_part part = {.kind = MCF_EXCHANGE_SUM,
                                    .part = t->part,
                                    .parts = r->parts,
                                    .data = data,
                                    .count = count,
                                    .dtype = t->dtype,
                                    .divide = 3,
                                    .ready = ready_at_third,
                                    .context = t};
    mcf_exchange *x;
    t->status = mcf_cluster_post(r->cluster, &part, &x, &t->error);
    if (t->status == MCF_OK)
        t->status = mcf_cluster_wait(r->cluster, x, NULL, &t->error);
    if (t->status == MCF_OK)
        mcf_cluster_done(r->cluster, x);
    for (uint64_t i = 0; t->status == MCF_OK && i < count; i += step) {
        double sum = 0, got, want;
        char wanted[8], was[8];
        for (int k = 0; k < r->hall->count; k++) {
            mcf_store_element(was, t->dtype, 0, value_of(k, t->part, i));
            sum += mcf_load_element(was, t->dtype, 0);
        }
        mcf_store_element(wanted, t->dtype, 0, sum / 3);
        want = mcf_load_element(wanted, t->dtype, 0);
        got = mcf_load_element(data, t->dtype, (int64_t)i);
        if (got != want)
            t->status = mcf_fail(&t->error, MCF_ERR_INTERNAL, "%s, %llu elements, part %d, element %llu: %g, not %g",
                                 mcf_dtype_name(t->dtype), (unsigned long long)count, t->part, (unsigned long long)i,
                                 got, want);
    }
    free(data);
    return NULL;
}

static mcf_status sums(run *r, mcf_error *err)
{
    for (size_t d = 0; d < sizeof types / sizeof *types; d++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            part_task tasks[PARTS_MOST];
            pthread_t thread[PARTS_MOST];
            if (sizes[s] > 100000 && d != 0)
                continue;
            for (int p = 0; p < r->parts; p++) {
                tasks[p] = (part_task){.run = r, .part = p, .dtype = types[d], .count = sizes[s]};
                pthread_create(&thread[p], NULL, sum_part, &tasks[p]);
            }
            for (int p = 0; p < r->parts; p++)
                pthread_join(thread[p], NULL);
            for (int p = 0; p < r->parts; p++)
                if (tasks[p].status != MCF_OK)
                    return mcf_fail(err, tasks[p].status, "%s", tasks[p].error.message);
        }
    return MCF_OK;
}

static void test_sums(void **state)
{
    run runs[RANKS_MOST];
    hall h;
    for (int ranks = 1; ranks <= 5; ranks += 2)
        for (int parts = 1; parts <= PARTS_MOST; parts += 2) {
            run_all(runs, &h, ranks, parts, sums, 60, 60);
            all_well(runs, &h, ranks);
        }
}

// --- gathers and broadcasts, and exchanges of devices between those of the process

static mcf_status gathers(run *r, mcf_error *err)
{
    const int ranks = r->hall->count;
    for (int round = 0; round < 20; round++) {
        int own = 100 * round + r->rank, all[RANKS_MOST];
        MCF_TRY(mcf_cluster_gather(r->cluster, &own, all, sizeof own, round % 2, err));
        for (int k = 0; k < ranks; k++)
            if (all[k] != 100 * round + k)
                return mcf_fail(err, MCF_ERR_INTERNAL, "round %d: rank %d's is %d", round, k, all[k]);
        int word = r->rank == round % ranks ? 7 * round : -1;
        MCF_TRY(mcf_cluster_broadcast(r->cluster, round % ranks, &word, sizeof word, false, err));
        if (word != 7 * round)
            return mcf_fail(err, MCF_ERR_INTERNAL, "round %d: broadcast %d", round, word);
        // Two devices: a gather, then the word of device 1 of the last rank.
        mcf_exchange *x[2][2];
        char data[2] = {(char)(2 * r->rank), (char)(2 * r->rank + 1)};
        const void *result;
        for (int p = 0; p < 2; p++)
            for (int k = 0; k < 2; k++)
                MCF_TRY(mcf_cluster_post(r->cluster,
                                         &(mcf_exchange_part){.kind = k ? MCF_EXCHANGE_ROOT : MCF_EXCHANGE_GATHER,
                                                              .part = p,
                                                              .parts = 2,
                                                              .data = &data[p],
                                                              .count = 1,
                                                              .root = 2 * ranks - 1},
                                         &x[p][k], err));
        for (int p = 0; p < 2; p++) {
            MCF_TRY(mcf_cluster_wait(r->cluster, x[p][0], &result, err));
            for (int k = 0; k < 2 * ranks; k++)
                if (((const char *)result)[k] != k)
                    return mcf_fail(err, MCF_ERR_INTERNAL, "device %d's is %d", k, ((const char *)result)[k]);
            mcf_cluster_done(r->cluster, x[p][0]);
            MCF_TRY(mcf_cluster_wait(r->cluster, x[p][1], &result, err));
            if (*(const char *)result != 2 * ranks - 1)
                return mcf_fail(err, MCF_ERR_INTERNAL, "the root's word is %d", *(const char *)result);
            mcf_cluster_done(r->cluster, x[p][1]);
        }
    }
    return MCF_OK;
}

static void test_gathers(void **state)
{
    run runs[RANKS_MOST];
    hall h;
    for (int ranks = 1; ranks <= 4; ranks++) {
        run_all(runs, &h, ranks, 2, gathers, 60, 60);
        all_well(runs, &h, ranks);
        for (int r = 0; r < ranks; r++)
            assert_int_equal(runs[r].tell, r == 0);
    }
}

// --- failures

static mcf_status meet(run *r, double limit, mcf_error *err)
{
    char own = 0, all[RANKS_MOST];
    for (int i = 0; i < 1000; i++) {
        MCF_TRY(mcf_cluster_gather(r->cluster, &own, all, 1, limit == 0, err));
        wait_seconds(0.002);
    }
    return MCF_OK;
}

static mcf_status one_fails(run *r, mcf_error *err)
{
    if (r->rank == 2) {
        wait_seconds(0.1);
        return mcf_fail(err, MCF_ERR_USAGE, "the sky is too low");
    }
    return meet(r, 0, err);
}

static void test_failure_reaches_all(void **state)
{
    run runs[RANKS_MOST];
    hall h;
    run_all(runs, &h, 4, 1, one_fails, 60, 60);
    all_failed(runs, 4, MCF_ERR_USAGE, "the sky is too low");
    assert_non_null(strstr(runs[0].error.message, "rank 2 of 4 (host2)"));
    for (int r = 0; r < 4; r++) {
        assert_int_equal(runs[r].tell, r == 0);
        assert_int_equal(h.left[r], 2);
    }
}

static mcf_status one_falls_silent(run *r, mcf_error *err)
{
    if (r->rank == 0) {
        wait_seconds(0.1);
        pthread_mutex_lock(&r->hall->mutex);
        r->hall->silent[0] = true;
        pthread_mutex_unlock(&r->hall->mutex);
        wait_seconds(3);
        return mcf_fail(err, MCF_ERR_DEVICE, "silent");
    }
    return meet(r, 0, err);
}

static void test_silent_rank_is_lost(void **state)
{
    run runs[RANKS_MOST];
    hall h;
    run_all(runs, &h, 3, 1, one_falls_silent, 1.5, 60);
    all_failed(runs + 1, 2, MCF_ERR_DEVICE, "rank 0 of 3 (host0) is lost");
    assert_true(runs[1].tell);
    assert_false(runs[2].tell);
}

static mcf_status one_is_late(run *r, mcf_error *err)
{
    if (r->rank == 1)
        wait_seconds(2);
    return meet(r, 1, err);
}

static void test_late_rank(void **state)
{
    run runs[RANKS_MOST];
    hall h;
    run_all(runs, &h, 3, 1, one_is_late, 60, 0.5);
    all_failed(runs, 3, MCF_ERR_DEVICE, "rank 1 of 3 (host1) did not come to an exchange within 0.5 s");
}

static mcf_status one_disagrees(run *r, mcf_error *err)
{
    char own[2] = {0}, all[2 * RANKS_MOST];
    MCF_TRY(mcf_cluster_gather(r->cluster, own, all, r->rank == 1 ? 2 : 1, true, err));
    return meet(r, 0, err);
}

static void test_disagreement(void **state)
{
    run runs[RANKS_MOST];
    hall h;
    run_all(runs, &h, 2, 1, one_disagrees, 60, 60);
    all_failed(runs, 2, MCF_ERR_DEVICE, "ranks disagree");
}

static mcf_status never_ready(void *context, bool *done, mcf_error *err)
{
    return MCF_OK;
}

static mcf_status one_device_hangs(run *r, mcf_error *err)
{
    if (r->rank == 1)
        return meet(r, 0, err);
    float x = 0;
    mcf_exchange *exchange;
    MCF_TRY(mcf_cluster_post(
        r->cluster,
        &(mcf_exchange_part){
            .kind = MCF_EXCHANGE_SUM, .parts = 1, .data = &x, .count = 1, .divide = 1, .ready = never_ready},
        &exchange, err));
    return mcf_cluster_wait(r->cluster, exchange, NULL, err);
}

static void test_hanging_device(void **state)
{
    run runs[RANKS_MOST];
    hall h;
    run_all(runs, &h, 2, 1, one_device_hangs, 60, 0.5);
    all_failed(runs, 2, MCF_ERR_DEVICE, "device 0 of this machine did not finish");
}

static mcf_status asked_to_stop(run *r, mcf_error *err)
{
    return mcf_fail(err, MCF_ERR_INTERRUPTED, "stopped");
}

static void test_stop_together(void **state)
{
    run runs[RANKS_MOST];
    hall h;
    run_all(runs, &h, 3, 1, asked_to_stop, 60, 60);
    all_failed(runs, 3, MCF_ERR_INTERRUPTED, "stopped");
    for (int r = 0; r < 3; r++)
        assert_int_equal(h.left[r], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_gathers),
        cmocka_unit_test(test_failure_reaches_all),
        cmocka_unit_test(test_silent_rank_is_lost),
        cmocka_unit_test(test_late_rank),
        cmocka_unit_test(test_disagreement),
        cmocka_unit_test(test_hanging_device),
        cmocka_unit_test(test_stop_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
