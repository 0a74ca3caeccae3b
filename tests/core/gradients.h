// Central finite differences of a small graph, over one or two devices of cpu-reference: the harness of
// test_gradients.c, which has the cases.
#ifndef MCF_TESTS_GRADIENTS_H
#define MCF_TESTS_GRADIENTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/grad_rules.h"
#include "base/rng.h"
#include "core/runtime.h"

enum { INPUTS = 5, WORLD = 2, MOST_ELEMENTS = 256 };

static const double step = 1e-5, allowed = 1e-6;

typedef enum {
    NONE,
    NORMAL,   // differentiated
    SHARED,   // differentiated, the same on all members: a parameter
    FAR,      // differentiated; no value near 0, where relu has a corner
    CONSTANT, // takes part, but has no gradient
    ROWS      // i64 ids below 4, some of them twice
} kind;

typedef struct {
    kind kind;
    mcf_shape shape;
} input;

typedef struct {
    const char *name;
    mcf_value (*build)(mcf_graph *g, const mcf_value *x);
    input in[INPUTS];
    int world; // 0: 1
} gradient_case;

static bool covered[MCF_OP_COUNT];

static bool differentiated(kind k)
{
    return k == NORMAL || k == SHARED || k == FAR;
}

// --- one member's part

typedef struct {
    const gradient_case *c;
    int rank, world;
    mcf_device *device;
    mcf_group *group;
    mcf_program *program;
    double values[INPUTS][MOST_ELEMENTS];
    double gradient[INPUTS][MOST_ELEMENTS]; // analytic
    double *losses;                         // one for each run, in the order of `perturb_all`
    mcf_status status;
    mcf_error err;
} member;

static double draw(kind k, mcf_rng *rng)
{
    double x = mcf_rng_normal(rng);
    return k == FAR ? x + copysign(0.1, x) : k == ROWS ? (double)mcf_rng_below(rng, 4) : x;
}

static mcf_graph *build(member *m)
{
    const gradient_case *c = m->c;
    mcf_graph *g = mcf_graph_create(m->world, MCF_F64);
    mcf_value x[INPUTS];
    char name[8];
    for (int i = 0; i < INPUTS && c->in[i].kind; i++) {
        snprintf(name, sizeof name, "x%d", i);
        x[i] = mcf_input(g, name, c->in[i].kind == ROWS ? MCF_I64 : MCF_F64, c->in[i].shape);
        if (differentiated(c->in[i].kind))
            mcf_require_grad(g, x[i]);
    }
    mcf_value y = c->build(g, x);
    for (int i = 0; i < g->node_count; i++)
        for (int j = 0; j < g->nodes[i].n_in; j++) {
            mcf_value v = g->nodes[i].in[j];
            if (m->rank == 0 && v >= 0 && g->values[v].requires_grad)
                covered[g->nodes[i].op] = true;
        }
    if (y < 0)
        return g;
    mcf_shape shape = mcf_value_shape(g, y);
    mcf_value w = mcf_input(g, "w", MCF_F64, shape);
    mcf_value loss = mcf_reduce_sum(g, mcf_mul(g, y, w), (1u << shape.rank) - 1u, 1.0, MCF_F64);
    loss = mcf_reshape(g, loss, MCF_SHAPE(1));
    mcf_output(g, loss, "loss");
    mcf_backward(g, loss, MCF_NO_VALUE);
    for (int i = 0; i < INPUTS && c->in[i].kind; i++)
        if (differentiated(c->in[i].kind)) {
            snprintf(name, sizeof name, "d%d", i);
            mcf_output(g, mcf_gradient(g, x[i]), name);
        }
    return g;
}

static mcf_status write_inputs(member *m)
{
    char name[8];
    for (int i = 0; i < INPUTS && m->c->in[i].kind; i++) {
        int64_t count = mcf_shape_count(&m->c->in[i].shape), ids[MOST_ELEMENTS];
        snprintf(name, sizeof name, "x%d", i);
        for (int64_t j = 0; j < count; j++)
            ids[j] = (int64_t)m->values[i][j];
        const void *data = m->c->in[i].kind == ROWS ? (const void *)ids : m->values[i];
        MCF_TRY(mcf_program_write(m->program, name, data, (size_t)count * sizeof(double), &m->err));
    }
    return MCF_OK;
}

static mcf_status run(member *m, const double *w, size_t w_count, double *loss)
{
    MCF_TRY(write_inputs(m));
    MCF_TRY(mcf_program_write(m->program, "w", w, w_count * sizeof *w, &m->err));
    MCF_TRY(mcf_program_run(m->program, false, false, &m->err));
    return mcf_program_read_f64(m->program, "loss", loss, 1, &m->err);
}

// All members run for every element of every member's inputs: those of collectives must stay together.
static mcf_status perturb_all(member *m, const double *w, size_t w_count)
{
    int64_t number = 0;
    for (int rank = 0; rank < m->world; rank++)
        for (int i = 0; i < INPUTS && m->c->in[i].kind; i++) {
            if (!differentiated(m->c->in[i].kind))
                continue;
            int64_t count = mcf_shape_count(&m->c->in[i].shape);
            for (int64_t j = 0; j < count; j++)
                for (int side = 0; side < 2; side++) {
                    double kept = m->values[i][j];
                    if (rank == m->rank)
                        m->values[i][j] = kept + (side ? step : -step);
                    MCF_TRY(run(m, w, w_count, &m->losses[number++]));
                    m->values[i][j] = kept;
                }
        }
    return MCF_OK;
}

static mcf_status work(member *m, mcf_runtime *runtime)
{
    double loss, w[MOST_ELEMENTS];
    char name[8];
    mcf_graph *graph = build(m);
    MCF_TRY(mcf_program_create(runtime, graph, &m->program, &m->err));
    for (int i = 0; i < INPUTS && m->c->in[i].kind; i++) {
        uint32_t rank = m->c->in[i].kind == SHARED ? 0 : (uint32_t)m->rank;
        mcf_rng rng = mcf_rng_make(7, MCF_RNG_TEST, rank, (uint64_t)i);
        for (int64_t j = 0; j < mcf_shape_count(&m->c->in[i].shape); j++)
            m->values[i][j] = draw(m->c->in[i].kind, &rng);
    }
    mcf_rng rng = mcf_rng_make(7, MCF_RNG_TEST, (uint32_t)m->rank, INPUTS);
    for (int i = 0; i < MOST_ELEMENTS; i++)
        w[i] = mcf_rng_normal(&rng);
    // The size of w is that of y, which only the graph knows.
    size_t w_count = MOST_ELEMENTS;
    while (w_count && mcf_program_write(m->program, "w", w, w_count * sizeof *w, NULL) != MCF_OK)
        w_count--;
    MCF_TRY(run(m, w, w_count, &loss));
    for (int i = 0; i < INPUTS && m->c->in[i].kind; i++) {
        snprintf(name, sizeof name, "d%d", i);
        if (differentiated(m->c->in[i].kind))
            MCF_TRY(
                mcf_program_read_f64(m->program, name, m->gradient[i], mcf_shape_count(&m->c->in[i].shape), &m->err));
    }
    return perturb_all(m, w, w_count);
}

static void *member_thread(void *context)
{
    member *m = context;
    mcf_store store;
    mcf_store_init(&store);
    mcf_runtime *runtime = NULL;
    mcf_runtime_options options = {.backend = mcf_backend_reference(),
                                   .device_index = m->rank,
                                   .device = {.opened = m->world},
                                   .member = {m->rank, m->world, m->group}};
    m->status = mcf_runtime_create(&store, &options, m->device, &runtime, &m->err);
    if (m->status == MCF_OK)
        m->status = work(m, runtime);
    if (m->status != MCF_OK && m->group)
        mcf_backend_reference()->group_abort(m->group, "another member failed");
    if (m->program)
        mcf_program_destroy(m->program);
    if (runtime)
        mcf_runtime_destroy(runtime);
    mcf_store_free(&store);
    return NULL;
}

// --- a case

static void compare(const gradient_case *c, const member *members, int world)
{
    int64_t number = 0;
    double largest = 0, worst = 0;
    char where[128] = "";
    for (int rank = 0; rank < world; rank++)
        for (int i = 0; i < INPUTS && c->in[i].kind; i++) {
            if (!differentiated(c->in[i].kind))
                continue;
            double of_input = 0;
            for (int64_t j = 0; j < mcf_shape_count(&c->in[i].shape); j++, number += 2) {
                double difference = 0;
                for (int other = 0; other < world; other++)
                    difference += members[other].losses[number + 1] - members[other].losses[number];
                double numeric = difference / (2 * step), analytic = members[rank].gradient[i][j];
                of_input = fmax(of_input, fabs(numeric));
                if (!(fabs(numeric - analytic) <= worst)) {
                    worst = fabs(numeric - analytic);
                    snprintf(where, sizeof where, "rank %d, input %d, element %d: %g, not %g", rank, i, (int)j,
                             analytic, numeric);
                }
            }
            // A derivative that is zero everywhere would prove nothing.
            if (of_input < 1e-3)
                fail_msg("%s: input %d has no influence", c->name, i);
            largest = fmax(largest, of_input);
        }
    if (!(worst <= allowed * largest))
        fail_msg("%s: gradient off by %.3g of %.3g at %s", c->name, worst, largest, where);
}

static void check_case(const gradient_case *c)
{
    const mcf_backend *b = mcf_backend_reference();
    int world = c->world ? c->world : 1;
    static member members[WORLD];
    memset(members, 0, sizeof members);
    mcf_device *devices[WORLD];
    mcf_group *group = NULL;
    for (int i = 0; i < world; i++)
        assert_int_equal(b->device_open(i, &(mcf_device_options){.opened = world}, &devices[i], NULL), MCF_OK);
    if (world > 1)
        assert_int_equal(b->group_create(devices, world, 60, &group, NULL), MCF_OK);
    int64_t runs = 0;
    for (int i = 0; i < INPUTS && c->in[i].kind; i++)
        runs += 2 * world * mcf_shape_count(&c->in[i].shape);
    pthread_t threads[WORLD];
    for (int i = 0; i < world; i++) {
        members[i] = (member){.c = c, .rank = i, .world = world, .device = devices[i], .group = group};
        members[i].losses = calloc((size_t)runs, sizeof(double));
        assert_non_null(members[i].losses);
        assert_int_equal(pthread_create(&threads[i], NULL, member_thread, &members[i]), 0);
    }
    for (int i = 0; i < world; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < world; i++)
        if (members[i].status != MCF_OK)
            fail_msg("%s: %s", c->name, members[i].err.message);
    compare(c, members, world);
    b->group_destroy(group);
    for (int i = 0; i < world; i++) {
        free(members[i].losses);
        b->device_close(devices[i]);
    }
}

static void check_cases(const gradient_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_case(&cases[i]);
}
#define CHECK(cases) check_cases(cases, sizeof(cases) / sizeof((cases)[0]))
#define BUILD(name) static mcf_value name(mcf_graph *g, const mcf_value *x)
#define S1(a)                                                                                                          \
    {                                                                                                                  \
        1,                                                                                                             \
        {                                                                                                              \
            a                                                                                                          \
        }                                                                                                              \
    }
#define S2(a, b)                                                                                                       \
    {                                                                                                                  \
        2,                                                                                                             \
        {                                                                                                              \
            a, b                                                                                                       \
        }                                                                                                              \
    }
#define S3(a, b, c)                                                                                                    \
    {                                                                                                                  \
        3,                                                                                                             \
        {                                                                                                              \
            a, b, c                                                                                                    \
        }                                                                                                              \
    }
#define S4(a, b, c, d)                                                                                                 \
    {                                                                                                                  \
        4,                                                                                                             \
        {                                                                                                              \
            a, b, c, d                                                                                                 \
        }                                                                                                              \
    }
#define S5(a, b, c, d, e)                                                                                              \
    {                                                                                                                  \
        5,                                                                                                             \
        {                                                                                                              \
            a, b, c, d, e                                                                                              \
        }                                                                                                              \
    }

#endif
