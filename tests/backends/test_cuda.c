// Collectives of the CUDA backend with up to 8 devices, whichever peers see each other; on the emulator. The check
// judges them by cpu-reference: every count of members, odd and empty sizes, in place and not, abort and timeout.
#include "backends/check/check.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const mcf_backend *cuda(void)
{
    const mcf_backend *backend;
    mcf_error err = {0};
    if (mcf_backend_find("cuda", &backend, &err) == MCF_OK)
        return backend;
    fprintf(stderr, "%s\n", err.message);
    skip();
    return NULL;
}

static void first_failure(void *context, const mcf_check_result *result)
{
    char *text = context;
    if (result->verdict == MCF_CHECK_FAILED && !*text)
        snprintf(text, 600, "%s %s: %s", result->op, result->text, result->message);
}

static void collectives(const char *peers)
{
    static const char *const only[] = {"all_reduce", "all_gather", "reduce_scatter", "broadcast", "group"};
    const mcf_backend *backend = cuda();
    setenv("MCF_EMULATOR_PEERS", peers, 1);
    for (size_t i = 0; i < sizeof only / sizeof *only; i++) {
        mcf_check_options options = {.seed = 1, .only = only[i], .tiny = true, .members = 8};
        mcf_check_summary summary;
        mcf_error err = {0};
        char failure[600] = "";
        if (mcf_check_backend(backend, 0, &options, first_failure, failure, &summary, &err) != MCF_OK)
            fail_msg("%s", err.message);
        if (summary.failed || !summary.passed)
            fail_msg("peers %s: %d failed, first %s", peers, summary.failed, failure);
    }
}

static void without_peers(void **state)
{
    collectives("none");
}

static void in_a_ring(void **state)
{
    collectives("ring");
}

static void in_pairs(void **state)
{
    collectives("pairs");
}

static void in_a_cube_mesh(void **state)
{
    collectives("cube");
}

// --- sums of every size, exactly

enum { MOST = 8 };

typedef struct {
    const mcf_backend *backend;
    mcf_group *group;
    mcf_device *device;
    mcf_stream *stream;
    int rank, count;
    int64_t n;
    uint64_t bits; // of the result of numbers that round
    mcf_error err;
    bool wrong;
} summer;

// Whole numbers, whose sum has no rounding, or ones whose sum does.
static float value_of(int rank, int64_t i, bool whole)
{
    const uint32_t x = (uint32_t)(i * 2654435761u + (uint32_t)rank * 40503u) >> 8;
    return whole ? (float)(x % 2001) - 1000 : (float)x * 1e-3f;
}

// What a member does to its memory right behind a sum must wait for those who still read it: operands are wiped.
static mcf_status sum_and_wipe(summer *s, mcf_buffer *from, mcf_buffer *to, mcf_buffer *kept, float *values)
{
    const mcf_backend *b = s->backend;
    const uint64_t n = (uint64_t)s->n, bytes = n * sizeof(float), at = s->n % 2 ? 4 : 32; // in vectors or not
    mcf_error *err = &s->err;
    MCF_TRY(b->upload(s->stream, from, at, values, bytes, err));
    // The sum into another buffer, then the mean of it in place, which is the sum again.
    MCF_TRY(b->all_reduce(s->group, s->rank, s->stream, to, at, from, at, n, MCF_F32, MCF_REDUCE_SUM, err));
    MCF_TRY(b->zero(s->stream, from, at, bytes, err));
    MCF_TRY(b->all_reduce(s->group, s->rank, s->stream, to, at, to, at, n, MCF_F32, MCF_REDUCE_MEAN, err));
    MCF_TRY(b->copy(s->stream, kept, 0, to, at, bytes, err));
    MCF_TRY(b->zero(s->stream, to, at, bytes, err));
    MCF_TRY(b->download(s->stream, values, kept, 0, bytes, err));
    return b->stream_synchronize(s->stream, err);
}

static mcf_status sum_up(summer *s, bool whole, float *values)
{
    const mcf_backend *b = s->backend;
    mcf_buffer *memory[3] = {NULL};
    mcf_status status = MCF_OK;
    for (int64_t i = 0; i < s->n; i++)
        values[i] = value_of(s->rank, i, whole);
    for (int i = 0; i < 3 && status == MCF_OK; i++)
        status = b->buffer_create(s->device, (uint64_t)s->n * sizeof(float) + 32, &memory[i], &s->err);
    if (status == MCF_OK)
        status = sum_and_wipe(s, memory[0], memory[1], memory[2], values);
    for (int i = 0; i < 3; i++)
        if (memory[i])
            b->buffer_destroy(memory[i]);
    return status;
}

static void *summer_thread(void *context)
{
    summer *s = context;
    float *values = malloc((size_t)s->n * sizeof *values + 1);
    s->wrong = sum_up(s, true, values) != MCF_OK;
    for (int64_t i = 0; !s->wrong && i < s->n; i++) {
        float sum = 0;
        for (int r = 0; r < s->count; r++)
            sum += value_of(r, i, true);
        s->wrong = values[i] != sum;
    }
    s->wrong = s->wrong || sum_up(s, false, values) != MCF_OK;
    s->bits = 14695981039346656037u;
    for (int64_t i = 0; i < s->n; i++) {
        uint32_t x;
        memcpy(&x, &values[i], sizeof x);
        s->bits = (s->bits ^ x) * 1099511628211u;
    }
    free(values);
    return NULL;
}

// The hash of the result, which all members and all runs share.
static uint64_t sum_of(const mcf_backend *b, mcf_device **devices, mcf_stream **streams, mcf_group *group, int count,
                       int64_t n, const char *peers)
{
    summer members[MOST];
    pthread_t threads[MOST];
    for (int r = 0; r < count; r++) {
        members[r] = (summer){.backend = b,
                              .group = group,
                              .device = devices[r],
                              .stream = streams[r],
                              .rank = r,
                              .count = count,
                              .n = n};
        assert_int_equal(pthread_create(&threads[r], NULL, summer_thread, &members[r]), 0);
    }
    for (int r = 0; r < count; r++)
        pthread_join(threads[r], NULL);
    for (int r = 0; r < count; r++) {
        if (members[r].wrong)
            fail_msg("peers %s: %lld elements on %d devices are wrong at member %d. %s", peers, (long long)n, count, r,
                     members[r].err.message);
        assert_true(members[r].bits == members[0].bits);
    }
    return members[0].bits;
}

static void sums_of_every_size(void **state)
{
    static const char *const peers[] = {"cube", "ring", "pairs", "pcie", "all", "none"};
    static const int64_t sizes[] = {0, 1, 2, 3, 5, 8, 63, 64, 65, 1003, 70001, 600011};
    const bool all = getenv("MCF_CUDA_SEEDS") && atoi(getenv("MCF_CUDA_SEEDS")) > 4;
    const mcf_backend *b = cuda();
    mcf_device *devices[MOST];
    mcf_stream *streams[MOST];
    mcf_error err = {0};
    if (b->device_count() < MOST)
        skip();
    for (int i = 0; i < MOST; i++)
        if (b->device_open(i, &(mcf_device_options){.opened = MOST}, &devices[i], &err) != MCF_OK ||
            b->stream_create(devices[i], &streams[i], &err) != MCF_OK)
            fail_msg("%s", err.message);
    for (size_t p = 0; p < sizeof peers / sizeof *peers; p++) {
        setenv("MCF_EMULATOR_PEERS", peers[p], 1);
        for (int count = 1; count <= MOST; count++) {
            mcf_group *group;
            if (b->group_create(devices, count, 60, &group, &err) != MCF_OK)
                fail_msg("%s", err.message);
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                // The larger ones where streams have most to do, unless all is asked for.
                if (!all && sizes[i] > 2000 && count != 3 && count != 8)
                    continue;
                const uint64_t once = sum_of(b, devices, streams, group, count, sizes[i], peers[p]);
                assert_true(once == sum_of(b, devices, streams, group, count, sizes[i], peers[p]));
            }
            if (all && (count == MOST || count == 2))
                sum_of(b, devices, streams, group, count, 10000019, peers[p]);
            b->group_destroy(group);
        }
    }
    for (int i = 0; i < MOST; i++) {
        b->stream_destroy(streams[i]);
        b->device_close(devices[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_of_every_size), cmocka_unit_test(without_peers),  cmocka_unit_test(in_a_ring),
        cmocka_unit_test(in_pairs),           cmocka_unit_test(in_a_cube_mesh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
