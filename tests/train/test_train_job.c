// Jobs: what happens on the members' threads, and how failures come back; retrieval's arithmetic.
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "infer/embed.h"
#include "core/job.h"

static mcf_job *create(int count, double timeout)
{
    mcf_job_options options = {.backend = "cpu-reference", .device_count = count, .timeout_seconds = timeout};
    for (int i = 0; i < count; i++)
        options.devices[i] = i;
    mcf_job *job;
    mcf_error err = {0};
    if (mcf_job_create(&job, &options, &err) != MCF_OK)
        fail_msg("%s", err.message);
    return job;
}

static void device_lists(void **state)
{
    mcf_job_options options = {0};
    assert_int_equal(mcf_job_parse_devices(&options, "3", NULL), MCF_OK);
    assert_int_equal(options.device_count, 1);
    assert_int_equal(options.devices[0], 3);
    assert_int_equal(mcf_job_parse_devices(&options, "0,2,0", NULL), MCF_OK);
    assert_int_equal(options.device_count, 3);
    assert_int_equal(options.devices[1], 2);
    const char *const wrong[] = {"", ",", "1,", ",1", "a", "1;2", "-1", "1 2", "99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        mcf_error err = {0};
        assert_int_equal(mcf_job_parse_devices(&options, wrong[i], &err), MCF_ERR_USAGE);
        assert_non_null(strstr(err.message, "0,1,2"));
        assert_int_equal(options.device_count, 3);
    }
    char many[512] = "0";
    for (int i = 0; i < MCF_MAX_DEVICES; i++)
        strcat(many, ",1");
    assert_int_equal(mcf_job_parse_devices(&options, many, NULL), MCF_ERR_USAGE);
}

typedef struct {
    mcf_job *job;
    int fails;       // this rank; -1: none
    bool collective; // the others wait for it
    int runs[4];
    pthread_t thread[4];
} task;

static mcf_status work(int rank, void *context, mcf_error *err)
{
    task *t = context;
    t->runs[rank]++;
    t->thread[rank] = pthread_self();
    if (rank == t->fails)
        return mcf_fail(err, MCF_ERR_NUMERIC, "sum is odd");
    if (!t->collective)
        return MCF_OK;
    const mcf_backend *b = mcf_job_backend(t->job);
    mcf_stream *stream;
    MCF_TRY(b->stream_create(mcf_job_device(t->job, rank), &stream, err));
    mcf_status status = b->barrier(mcf_job_member(t->job, rank)->group, rank, stream, err);
    if (status == MCF_OK)
        status = b->stream_synchronize(stream, err);
    b->stream_destroy(stream);
    return status;
}

static void every_member_runs(void **state)
{
    mcf_job *job = create(3, 0);
    task t = {.job = job, .fails = -1, .collective = true};
    assert_int_equal(mcf_job_size(job), 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(mcf_job_run(job, work, &t, NULL), MCF_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(t.runs[i], 3);
        assert_int_equal(mcf_job_member(job, i)->rank, i);
        assert_int_equal(mcf_job_member(job, i)->world, 3);
        assert_false(pthread_equal(t.thread[i], pthread_self()));
        assert_false(pthread_equal(t.thread[i], t.thread[(i + 1) % 3]));
    }
    mcf_job_destroy(job);
}

static void failure_comes_back(void **state)
{
    mcf_job *job = create(3, 0);
    task t = {.job = job, .fails = 1};
    mcf_error err = {0};
    assert_int_equal(mcf_job_run(job, work, &t, &err), MCF_ERR_NUMERIC);
    assert_string_equal(err.message, "device 1 (member 2 of 3): sum is odd");
    mcf_job_destroy(job);

    job = create(1, 0);
    t = (task){.job = job, .fails = 0};
    assert_int_equal(mcf_job_run(job, work, &t, &err), MCF_ERR_NUMERIC);
    assert_string_equal(err.message, "sum is odd");
    // A job of one goes on.
    t.fails = -1;
    assert_int_equal(mcf_job_run(job, work, &t, &err), MCF_OK);
    mcf_job_destroy(job);
}

// The others wait in a collective for the one that failed: they must come back, long before the timeout.
static void failure_frees_the_waiting(void **state)
{
    mcf_job *job = create(3, 60);
    task t = {.job = job, .fails = 2, .collective = true};
    mcf_error err = {0};
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    assert_int_equal(mcf_job_run(job, work, &t, &err), MCF_ERR_NUMERIC);
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true(end.tv_sec - begin.tv_sec < 20);
    assert_non_null(strstr(err.message, "device 2"));
    // No collective works any more, and none hangs.
    t.fails = -1;
    assert_int_not_equal(mcf_job_run(job, work, &t, &err), MCF_OK);
    mcf_job_destroy(job);
}

static mcf_status one_stays_away(int rank, void *context, mcf_error *err)
{
    return rank == 0 ? MCF_OK : work(rank, context, err);
}

static void timeout(void **state)
{
    mcf_job *job = create(2, 0.2);
    task t = {.job = job, .fails = -1, .collective = true};
    mcf_error err = {0};
    assert_int_not_equal(mcf_job_run(job, one_stays_away, &t, &err), MCF_OK);
    assert_non_null(strstr(err.message, "device 1"));
    mcf_job_destroy(job);
}

static void wrong_backend(void **state)
{
    mcf_job *job;
    mcf_error err = {0};
    const mcf_job_options options = {.backend = "abacus"};
    assert_int_not_equal(mcf_job_create(&job, &options, &err), MCF_OK);
    assert_null(job);
    assert_non_null(strstr(err.message, "abacus"));
}

// Four images of two people and one of a third, by hand: similarities are cosines of angles.
static void retrieval(void **state)
{
    const double angle[] = {0, 10, 25, 50, 90};
    const int32_t label[] = {0, 1, 0, 1, 2};
    float features[5][2];
    for (int i = 0; i < 5; i++) {
        features[i][0] = (float)((i + 1) * cos(angle[i] * M_PI / 180)); // lengths do not matter
        features[i][1] = (float)((i + 1) * sin(angle[i] * M_PI / 180));
    }
    mcf_retrieval r;
    assert_int_equal(mcf_retrieve(&features[0][0], label, 5, 2, NULL, &r, NULL), MCF_OK);
    assert_int_equal(r.queries, 4);
    assert_int_equal(r.people, 3);
    // Rank of the one relevant image: 0 -> [1 2 3 4]: 2nd; 1 -> [0 2 3 4]: 3rd; 2 -> [1 0 3 4] (15, 25, 25, 65; the
    // tie of 0 and 3 is not exact in float, either way 2nd or 3rd); 3 -> [2 1 4 0] (25, 40, 40, 50): 2nd or 3rd.
    assert_true(r.rank1 == 0);
    const double least = (1. / 2 + 1. / 3 + 1. / 3 + 1. / 3) / 4, most = (1. / 2 + 1. / 3 + 1. / 2 + 1. / 2) / 4;
    assert_true(r.map >= least - 1e-12 && r.map <= most + 1e-12);

    const int32_t pairs[] = {0, 0, 1, 1, 1};
    assert_int_equal(mcf_retrieve(&features[0][0], pairs, 5, 2, NULL, &r, NULL), MCF_OK);
    assert_int_equal(r.queries, 5);
    assert_true(fabs(r.rank1 - 4. / 5) < 1e-12); // all but 2, which finds 1
    assert_true(r.map > 0.6 && r.map < 0.95);

    const int32_t alone[] = {0, 1, 2, 3, 4};
    assert_int_equal(mcf_retrieve(&features[0][0], alone, 5, 2, NULL, &r, NULL), MCF_OK);
    assert_int_equal(r.queries, 0);
    assert_int_equal(mcf_retrieve(NULL, NULL, 0, 2, NULL, &r, NULL), MCF_OK);
    features[1][1] = NAN;
    assert_int_equal(mcf_retrieve(&features[0][0], label, 5, 2, NULL, &r, NULL), MCF_ERR_NUMERIC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(device_lists),
        cmocka_unit_test(every_member_runs),
        cmocka_unit_test(failure_comes_back),
        cmocka_unit_test(failure_frees_the_waiting),
        cmocka_unit_test(timeout),
        cmocka_unit_test(wrong_backend),
        cmocka_unit_test(retrieval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
