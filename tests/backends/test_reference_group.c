// Groups of host threads: order of sums, members that are missing, members that disagree, abort.
#include "backends/host/group.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { MEMBERS = 4 };

typedef struct {
    mcf_host_group *group;
    int rank;
    uint64_t count;
    const float *from;
    float *to;
    mcf_status status;
    mcf_error err;
} member;

static mcf_host_group *make_group(int count, double timeout)
{
    mcf_host_group *group = NULL;
    const int devices[MEMBERS] = {10, 11, 12, 13};
    assert_int_equal(mcf_host_group_create(devices, count, timeout, &group, NULL), MCF_OK);
    return group;
}

static void run_members(member *members, int count, void *(*body)(void *))
{
    pthread_t threads[MEMBERS];
    for (int i = 0; i < count; i++) {
        members[i].rank = i;
        assert_int_equal(pthread_create(&threads[i], NULL, body, &members[i]), 0);
    }
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

// --- sums

static void *reduce(void *context)
{
    member *m = context;
    m->status = mcf_host_all_reduce(m->group, m->rank, m->to, m->from, m->count, MCF_F32, MCF_REDUCE_SUM, &m->err);
    return NULL;
}

// 1e8, 1, 1, -1e8 in double give 2, and not what floats would.
static void sums_are_formed_in_double_and_agree(void **state)
{
    const float values[MEMBERS] = {1e8f, 1, 1, -1e8f};
    enum { COUNT = 2001 };
    static float from[MEMBERS][COUNT], to[MEMBERS][COUNT];
    member members[MEMBERS] = {{0}};
    mcf_host_group *group = make_group(MEMBERS, 60);
    for (int i = 0; i < MEMBERS; i++) {
        for (int j = 0; j < COUNT; j++)
            from[i][j] = values[i];
        members[i] = (member){.group = group, .from = from[i], .to = to[i], .count = COUNT};
    }
    run_members(members, MEMBERS, reduce);
    for (int i = 0; i < MEMBERS; i++) {
        assert_int_equal(members[i].status, MCF_OK);
        for (int j = 0; j < COUNT; j++)
            assert_true(to[i][j] == 2);
    }
    mcf_host_group_destroy(group);
}

// Many small collectives in a row: a member that hurries on must not meddle with the one before.
static void *hurry(void *context)
{
    member *m = context;
    for (int round = 0; round < 300 && m->status == MCF_OK; round++) {
        float mine = (float)(m->rank + round), sum = 0, all[MEMBERS] = {0};
        m->status = mcf_host_all_reduce(m->group, m->rank, &sum, &mine, 1, MCF_F32, MCF_REDUCE_MEAN, &m->err);
        if (m->status == MCF_OK && sum != (float)round + 1.5f)
            m->status = MCF_ERR_INTERNAL;
        if (m->status == MCF_OK)
            m->status = mcf_host_all_gather(m->group, m->rank, all, &mine, 1, MCF_F32, &m->err);
        for (int i = 0; i < MEMBERS && m->status == MCF_OK; i++)
            if (all[i] != (float)(i + round))
                m->status = MCF_ERR_INTERNAL;
        if (m->status == MCF_OK)
            m->status = mcf_host_broadcast(m->group, m->rank, round % MEMBERS, &mine, &mine, 1, MCF_F32, &m->err);
        if (m->status == MCF_OK && mine != (float)(round % MEMBERS + round))
            m->status = MCF_ERR_INTERNAL;
    }
    return NULL;
}

static void many_in_a_row(void **state)
{
    member members[MEMBERS];
    mcf_host_group *group = make_group(MEMBERS, 60);
    for (int i = 0; i < MEMBERS; i++)
        members[i] = (member){.group = group};
    run_members(members, MEMBERS, hurry);
    for (int i = 0; i < MEMBERS; i++)
        assert_int_equal(members[i].status, MCF_OK);
    mcf_host_group_destroy(group);
}

// --- what goes wrong

static void *barrier(void *context)
{
    member *m = context;
    m->status = mcf_host_barrier(m->group, m->rank, &m->err);
    return NULL;
}

static void missing_members_are_named_to_all(void **state)
{
    member members[MEMBERS];
    mcf_host_group *group = make_group(MEMBERS, 0.1);
    for (int i = 0; i < 2; i++)
        members[i] = (member){.group = group};
    run_members(members, 2, barrier);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(members[i].status, MCF_ERR_DEVICE);
        assert_string_equal(members[i].err.message, "devices 12, 13 did not arrive within 0.1 s at barrier");
    }
    // Too late: the reason stays.
    mcf_error err;
    assert_int_equal(mcf_host_barrier(group, 2, &err), MCF_ERR_DEVICE);
    assert_non_null(strstr(err.message, "devices 12, 13"));
    mcf_host_group_destroy(group);
}

static void *disagree(void *context)
{
    member *m = context;
    m->count = m->rank == 1 ? 3 : 2;
    float from[3] = {1, 2, 3}, to[3];
    m->status = mcf_host_all_reduce(m->group, m->rank, to, from, m->count, MCF_F32, MCF_REDUCE_SUM, &m->err);
    return NULL;
}

static void members_that_disagree_are_told(void **state)
{
    member members[2];
    mcf_host_group *group = make_group(2, 60);
    for (int i = 0; i < 2; i++)
        members[i] = (member){.group = group};
    run_members(members, 2, disagree);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(members[i].status, MCF_ERR_DEVICE);
        assert_non_null(strstr(members[i].err.message, "device 10 is at all_reduce (2 f32"));
        assert_non_null(strstr(members[i].err.message, "device 11 at all_reduce (3 f32"));
    }
    mcf_host_group_destroy(group);
}

static void *aborting(void *context)
{
    member *m = context;
    if (m->rank == 1) {
        usleep(20000);
        mcf_host_group_abort(m->group, "the disk is full");
        return NULL;
    }
    return barrier(context);
}

static void an_abort_wakes_those_who_wait(void **state)
{
    member members[2];
    mcf_host_group *group = make_group(2, 600);
    for (int i = 0; i < 2; i++)
        members[i] = (member){.group = group};
    run_members(members, 2, aborting);
    assert_int_equal(members[0].status, MCF_ERR_DEVICE);
    assert_non_null(strstr(members[0].err.message, "the disk is full"));
    mcf_host_group_destroy(group);
}

static void calls_that_cannot_be_are_refused(void **state)
{
    mcf_error err;
    mcf_host_group *group = make_group(1, 60);
    int64_t number = 0;
    assert_int_equal(mcf_host_barrier(group, 1, &err), MCF_ERR_USAGE);
    assert_int_equal(mcf_host_all_reduce(group, 0, &number, &number, 1, MCF_I64, MCF_REDUCE_SUM, &err),
                     MCF_ERR_UNSUPPORTED);
    mcf_host_group_destroy(group);
    group = NULL;
    assert_int_equal(mcf_host_group_create(&(int){0}, 0, 60, &group, &err), MCF_ERR_USAGE);
    assert_int_equal(mcf_host_group_create(&(int){0}, 1, 0, &group, &err), MCF_ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_formed_in_double_and_agree), cmocka_unit_test(many_in_a_row),
        cmocka_unit_test(missing_members_are_named_to_all),    cmocka_unit_test(members_that_disagree_are_told),
        cmocka_unit_test(an_abort_wakes_those_who_wait),       cmocka_unit_test(calls_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
