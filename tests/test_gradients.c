// Every gradient rule against central finite differences, in f64 on cpu-reference.
//
// For a small graph y = op(x...) the loss is sum(w * y) with random w. With a step of 1e-5 the difference quotient is
// off by about 1e-10 (h^2 f'''/6, and 1e-16/h of rounding); allowed is 1e-6 of the largest derivative.
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

#include "core/graph_internal.h"
#include "core/rng.h"
#include "core/runtime.h"

enum { INPUTS = 5, WORLD = 2, MOST_ELEMENTS = 256 };

static const double step = 1e-5, allowed = 1e-6;

typedef enum {
    NONE,
    NORMAL,    // differentiated
    SHARED,    // differentiated, the same on all members: a parameter
    FAR,       // differentiated; no value near 0, where relu has a corner
    CONSTANT,  // takes part, but has no gradient
    ROWS       // i64 ids below 4, some of them twice
} kind;

typedef struct {
    kind kind;
    mcf_shape shape;
} input;

typedef struct {
    const char *name;
    mcf_value (*build)(mcf_graph *g, const mcf_value *x);
    input in[INPUTS];
    int world;  // 0: 1
} gradient_case;

static bool covered[MCF_OP_COUNT];

static bool differentiated(kind k) { return k == NORMAL || k == SHARED || k == FAR; }

// --- one member's part

typedef struct {
    const gradient_case *c;
    int rank, world;
    mcf_device *device;
    mcf_group *group;
    mcf_program *program;
    double values[INPUTS][MOST_ELEMENTS];
    double gradient[INPUTS][MOST_ELEMENTS];  // analytic
    double *losses;                          // one for each run, in the order of `perturb_all`
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
            MCF_TRY(mcf_program_read_f64(m->program, name, m->gradient[i], mcf_shape_count(&m->c->in[i].shape),
                                         &m->err));
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
    char where[64] = "";
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
#define S1(a) {1, {a}}
#define S2(a, b) {2, {a, b}}
#define S3(a, b, c) {3, {a, b, c}}
#define S4(a, b, c, d) {4, {a, b, c, d}}
#define S5(a, b, c, d, e) {5, {a, b, c, d, e}}

static mcf_value swap(mcf_graph *g, mcf_value x) { return mcf_permute(g, x, (const int[]){1, 0}); }

// --- movement and views

BUILD(copied_transpose) { return mcf_copy(g, swap(g, x[0]), MCF_F64); }
BUILD(sliced) { return mcf_scale(g, mcf_slice(g, x[0], 1, 1, 2), 2, 1); }
BUILD(sliced_twice)
{
    // Overlapping parts of one value: their gradients add.
    return mcf_mul(g, mcf_slice(g, x[0], 1, 0, 3), mcf_slice(g, x[0], 1, 1, 3));
}
BUILD(padded)
{
    mcf_attr attr = {.pad = {1, 2, 1}};
    return mcf_emit1(g, MCF_OP_pad, &attr, (mcf_value[]){x[0]}, 1, MCF_F64);
}
BUILD(joined) { return mcf_concat(g, swap(g, x[0]), x[1], 1); }
BUILD(gathered) { return mcf_gather_rows(g, x[0], x[1]); }
BUILD(gathered_view) { return mcf_gather_rows(g, mcf_permute(g, x[0], (const int[]){1, 0, 2}), x[1]); }
BUILD(scattered)
{
    mcf_attr attr = {.scatter_rows = {5}};
    return mcf_emit1(g, MCF_OP_scatter_rows, &attr, (mcf_value[]){x[0], x[1]}, 2, MCF_F64);
}
BUILD(expanded)
{
    mcf_value wide = mcf_expand(g, mcf_reshape(g, x[0], MCF_SHAPE(1, 1, 3)), MCF_SHAPE(2, 4, 3));
    return mcf_mul(g, x[1], wide);
}
BUILD(views_of_views)
{
    mcf_value v = mcf_permute(g, mcf_reshape(g, x[0], MCF_SHAPE(2, 3, 4)), (const int[]){2, 0, 1});
    return mcf_gelu(g, mcf_slice(g, mcf_slice(g, v, 0, 1, 3), 2, 1, 2));
}

static void movement(void **state)
{
    static const gradient_case cases[] = {
        {"copy of a transpose", copied_transpose, {{NORMAL, S2(3, 4)}}, 0},
        {"slice", sliced, {{NORMAL, S2(3, 4)}}, 0},
        {"overlapping slices", sliced_twice, {{NORMAL, S2(3, 4)}}, 0},
        {"pad", padded, {{NORMAL, S2(3, 4)}}, 0},
        {"concat", joined, {{NORMAL, S2(2, 3)}, {NORMAL, S2(3, 4)}}, 0},
        {"gather_rows", gathered, {{NORMAL, S3(2, 4, 3)}, {ROWS, S2(2, 6)}}, 0},
        {"gather_rows of a view", gathered_view, {{NORMAL, S3(4, 2, 3)}, {ROWS, S2(2, 3)}}, 0},
        {"scatter_rows", scattered, {{NORMAL, S3(2, 6, 3)}, {ROWS, S2(2, 6)}}, 0},
        {"expand", expanded, {{NORMAL, S1(3)}, {NORMAL, S3(2, 4, 3)}}, 0},
        {"views of views", views_of_views, {{NORMAL, S2(4, 6)}}, 0},
    };
    CHECK(cases);
}

// --- elementwise

BUILD(added) { return mcf_axpby(g, 0.75, x[0], -2, x[1]); }
BUILD(added_row) { return mcf_add(g, x[0], x[1]); }
BUILD(added_to_itself) { return mcf_add(g, mcf_mul(g, x[0], x[0]), x[0]); }
BUILD(multiplied) { return mcf_mul(g, x[0], swap(g, x[1])); }
BUILD(multiplied_row) { return mcf_mul(g, x[0], x[1]); }
BUILD(scaled) { return mcf_scale(g, x[0], -0.3, 1.5); }
BUILD(rectified) { return mcf_relu(g, x[0]); }
BUILD(gelu_of) { return mcf_gelu(g, x[0]); }

static void elementwise(void **state)
{
    static const gradient_case cases[] = {
        {"axpby", added, {{NORMAL, S2(3, 4)}, {NORMAL, S2(3, 4)}}, 0},
        {"add of a row", added_row, {{NORMAL, S2(3, 4)}, {NORMAL, S1(4)}}, 0},
        {"x*x + x", added_to_itself, {{NORMAL, S1(5)}}, 0},
        {"mul by a transpose", multiplied, {{NORMAL, S2(3, 4)}, {NORMAL, S2(4, 3)}}, 0},
        {"mul by a row", multiplied_row, {{NORMAL, S3(2, 3, 4)}, {NORMAL, S2(1, 4)}}, 0},
        {"scale", scaled, {{NORMAL, S2(3, 4)}}, 0},
        {"relu", rectified, {{FAR, S2(5, 4)}}, 0},
        {"gelu", gelu_of, {{NORMAL, S2(5, 4)}}, 0},
    };
    CHECK(cases);
}

// --- sums and products

BUILD(summed) { return mcf_reduce_sum(g, mcf_permute(g, x[0], (const int[]){2, 0, 1}), 5, 0.5, MCF_F64); }
BUILD(mean_of) { return mcf_mean(g, mcf_mul(g, x[0], x[0]), 2); }
BUILD(product) { return mcf_matmul(g, x[0], x[1], false, false, MCF_F64); }
BUILD(product_ta) { return mcf_matmul(g, x[0], x[1], true, false, MCF_F64); }
BUILD(product_tb) { return mcf_matmul(g, x[0], x[1], false, true, MCF_F64); }
BUILD(product_tab) { return mcf_matmul(g, x[0], x[1], true, true, MCF_F64); }
BUILD(product_views)
{
    mcf_value b = mcf_slice(g, x[1], 1, 1, 2);
    return mcf_matmul(g, swap(g, x[0]), b, false, false, MCF_F64);
}
BUILD(square) { return mcf_matmul(g, x[0], x[0], false, true, MCF_F64); }
BUILD(product_expanded)
{
    return mcf_matmul(g, x[0], mcf_expand(g, x[1], MCF_SHAPE(2, 4, 3)), false, false, MCF_F64);
}
BUILD(linear) { return mcf_linear(g, x[0], x[1], x[2], MCF_F64); }
BUILD(linear_bare) { return mcf_linear(g, x[0], x[1], MCF_NO_VALUE, MCF_F64); }
// These two become one product with an activation where the backward pass allows it.
BUILD(linear_relu) { return mcf_relu(g, mcf_linear(g, x[0], x[1], x[2], MCF_F64)); }
BUILD(linear_gelu) { return mcf_gelu(g, mcf_linear(g, x[0], x[1], x[2], MCF_F64)); }

static void products(void **state)
{
    static const gradient_case cases[] = {
        {"reduce_sum of a view", summed, {{NORMAL, S3(2, 3, 4)}}, 0},
        {"mean", mean_of, {{NORMAL, S3(2, 3, 4)}}, 0},
        {"a b", product, {{NORMAL, S2(3, 4)}, {NORMAL, S2(4, 5)}}, 0},
        {"a^T b", product_ta, {{NORMAL, S2(4, 3)}, {NORMAL, S2(4, 5)}}, 0},
        {"a b^T", product_tb, {{NORMAL, S2(3, 4)}, {NORMAL, S2(5, 4)}}, 0},
        {"a^T b^T", product_tab, {{NORMAL, S2(4, 3)}, {NORMAL, S2(5, 4)}}, 0},
        {"batched a b", product, {{NORMAL, S3(2, 3, 4)}, {NORMAL, S3(2, 4, 2)}}, 0},
        {"batched a^T b^T", product_tab, {{NORMAL, S3(2, 4, 3)}, {NORMAL, S3(2, 2, 4)}}, 0},
        {"product of views", product_views, {{NORMAL, S2(4, 3)}, {NORMAL, S2(4, 5)}}, 0},
        {"a a^T", square, {{NORMAL, S2(3, 4)}}, 0},
        {"product with an expanded b", product_expanded, {{NORMAL, S3(2, 2, 4)}, {NORMAL, S3(1, 4, 3)}}, 0},
        {"linear", linear, {{NORMAL, S3(2, 3, 4)}, {NORMAL, S2(5, 4)}, {NORMAL, S1(5)}}, 0},
        {"linear without bias", linear_bare, {{NORMAL, S2(3, 4)}, {NORMAL, S2(5, 4)}}, 0},
        {"linear and relu", linear_relu, {{NORMAL, S2(3, 4)}, {NORMAL, S2(5, 4)}, {NORMAL, S1(5)}}, 0},
        {"linear and gelu", linear_gelu, {{NORMAL, S2(3, 4)}, {NORMAL, S2(5, 4)}, {NORMAL, S1(5)}}, 0},
    };
    CHECK(cases);
}

// --- normalisation

BUILD(layer_norm) { return mcf_layer_norm(g, x[0], x[1], x[2], 1e-3, MCF_F64); }
BUILD(residual_norm)
{
    // Both the sum and its norm go on, as in a transformer.
    mcf_value sum, y = mcf_add_layer_norm(g, x[0], x[1], x[2], x[3], 1e-3, MCF_F64, &sum);
    return mcf_concat(g, sum, y, 0);
}
BUILD(residual_norm_only)
{
    mcf_value sum;
    return mcf_add_layer_norm(g, x[0], x[1], x[2], x[3], 1e-3, MCF_F64, &sum);
}
BUILD(residual_sum_only)
{
    mcf_value sum;
    mcf_add_layer_norm(g, x[0], x[1], x[2], x[3], 1e-3, MCF_F64, &sum);
    return mcf_mul(g, sum, sum);
}
static mcf_value normalized(mcf_graph *g, const mcf_value *x, int groups, bool affine, bool sync)
{
    mcf_batch_norm_options options = {affine ? x[1] : MCF_NO_VALUE, affine ? x[2] : MCF_NO_VALUE, MCF_NO_VALUE,
                                      MCF_NO_VALUE, 1e-3, 0.1, groups, sync};
    return mcf_batch_norm(g, x[0], &options);
}
BUILD(batch_norm) { return normalized(g, x, 1, true, false); }
BUILD(batch_norm_plain) { return normalized(g, x, 1, false, false); }
BUILD(batch_norm_groups) { return normalized(g, x, 2, true, false); }
BUILD(batch_norm_sync) { return normalized(g, x, 1, true, true); }
BUILD(batch_norm_own) { return mcf_all_gather(g, normalized(g, x, 1, true, false)); }
// x in numerator and statistics more than once: the statistics of a function of x.
BUILD(batch_norm_after) { return mcf_mul(g, normalized(g, x, 1, false, false), x[0]); }
BUILD(unit_last) { return mcf_l2_normalize(g, x[0], 1, 1e-12); }
BUILD(unit_first) { return mcf_l2_normalize(g, x[0], 0, 1e-12); }
BUILD(unit_middle) { return mcf_l2_normalize(g, x[0], 1, 1e-12); }
BUILD(unit_below_eps) { return mcf_l2_normalize(g, x[0], 1, 100); }

static void normalisation(void **state)
{
    static const gradient_case cases[] = {
        {"layer_norm", layer_norm, {{NORMAL, S2(3, 5)}, {NORMAL, S1(5)}, {NORMAL, S1(5)}}, 0},
        {"layer_norm of tokens", layer_norm, {{NORMAL, S3(2, 3, 4)}, {NORMAL, S1(4)}, {NORMAL, S1(4)}}, 0},
        {"add_layer_norm", residual_norm,
         {{NORMAL, S2(3, 5)}, {NORMAL, S2(3, 5)}, {NORMAL, S1(5)}, {NORMAL, S1(5)}}, 0},
        {"add_layer_norm, norm only", residual_norm_only,
         {{NORMAL, S2(3, 5)}, {NORMAL, S2(3, 5)}, {NORMAL, S1(5)}, {NORMAL, S1(5)}}, 0},
        {"add_layer_norm, sum only", residual_sum_only,
         {{NORMAL, S2(3, 5)}, {NORMAL, S2(3, 5)}, {CONSTANT, S1(5)}, {CONSTANT, S1(5)}}, 0},
        {"batch_norm", batch_norm, {{NORMAL, S2(6, 3)}, {NORMAL, S1(3)}, {NORMAL, S1(3)}}, 0},
        {"batch_norm without affine", batch_norm_plain, {{NORMAL, S2(6, 3)}}, 0},
        {"batch_norm in groups", batch_norm_groups, {{NORMAL, S2(6, 3)}, {NORMAL, S1(3)}, {NORMAL, S1(3)}}, 0},
        {"batch_norm, used beside", batch_norm_after, {{NORMAL, S2(6, 3)}}, 0},
        {"l2_normalize, last axis", unit_last, {{NORMAL, S2(3, 5)}}, 0},
        {"l2_normalize, first axis", unit_first, {{NORMAL, S2(3, 5)}}, 0},
        {"l2_normalize, tokens", unit_middle, {{NORMAL, S3(2, 4, 3)}}, 0},
        {"l2_normalize below eps", unit_below_eps, {{NORMAL, S2(3, 5)}}, 0},
    };
    CHECK(cases);
}

// --- softmax, attention, losses, images

BUILD(softmax) { return mcf_softmax(g, x[0]); }
BUILD(attention) { return mcf_attention(g, x[0], 0.7); }
// The same from plain products: q k^T, softmax, times v.
BUILD(attention_composed)
{
    mcf_value part[3];
    for (int i = 0; i < 3; i++) {
        mcf_value one = mcf_slice(g, x[0], 2, i, 1);  // [B, N, 1, H, d]
        one = mcf_permute(g, one, (const int[]){0, 3, 1, 4, 2});
        part[i] = mcf_reshape(g, mcf_copy(g, one, MCF_F64), MCF_SHAPE(2, 2, 3, 4));
    }
    mcf_value scores = mcf_scale(g, mcf_matmul(g, part[0], part[1], false, true, MCF_F64), 0.7, 0);
    return mcf_matmul(g, mcf_softmax(g, scores), part[2], false, false, MCF_F64);
}
BUILD(token_mse) { return mcf_token_mse(g, x[0], x[1], 1e-12); }
BUILD(cross_entropy) { return mcf_cross_entropy(g, x[0], x[1]); }
BUILD(enlarged) { return mcf_resize_nearest(g, x[0], 5, 7); }
BUILD(shrunk) { return mcf_resize_nearest(g, x[0], 2, 3); }

static void networks(void **state)
{
    static const gradient_case cases[] = {
        {"softmax", softmax, {{NORMAL, S3(2, 3, 4)}}, 0},
        {"attention", attention, {{NORMAL, S5(2, 3, 3, 2, 4)}}, 0},
        {"attention from products", attention_composed, {{NORMAL, S5(2, 3, 3, 2, 4)}}, 0},
        {"token_mse", token_mse, {{NORMAL, S3(2, 4, 3)}, {CONSTANT, S3(2, 4, 3)}}, 0},
        {"cross_entropy", cross_entropy, {{NORMAL, S2(5, 4)}, {ROWS, S1(5)}}, 0},
        {"resize_nearest, larger", enlarged, {{NORMAL, S4(2, 1, 3, 4)}}, 0},
        {"resize_nearest, smaller", shrunk, {{FAR, S4(1, 2, 2, 3)}}, 0},
    };
    CHECK(cases);
}

// --- over two devices: the loss is the sum of the members' losses

BUILD(summed_over_members) { return mcf_all_reduce(g, mcf_mul(g, x[0], x[0]), MCF_REDUCE_SUM); }
BUILD(mean_over_members) { return mcf_all_reduce(g, mcf_mul(g, x[0], x[0]), MCF_REDUCE_MEAN); }
BUILD(gathered_over_members) { return mcf_all_gather(g, mcf_gelu(g, x[0])); }
BUILD(scattered_over_members) { return mcf_reduce_scatter(g, mcf_gelu(g, x[0])); }
BUILD(contrast)
{
    // Scores of the own queries against everybody's keys.
    return mcf_matmul(g, x[0], mcf_all_gather(g, x[1]), false, true, MCF_F64);
}

static void collectives(void **state)
{
    static const gradient_case cases[] = {
        {"all_reduce, sum", summed_over_members, {{NORMAL, S2(3, 2)}}, WORLD},
        {"all_reduce, mean", mean_over_members, {{NORMAL, S2(3, 2)}}, WORLD},
        {"all_gather", gathered_over_members, {{NORMAL, S2(3, 2)}}, WORLD},
        {"reduce_scatter", scattered_over_members, {{NORMAL, S2(4, 2)}}, WORLD},
        {"scores over members", contrast, {{NORMAL, S2(3, 2)}, {NORMAL, S2(3, 2)}}, WORLD},
        {"batch_norm, synchronised", batch_norm_sync, {{NORMAL, S2(4, 2)}, {SHARED, S1(2)}, {SHARED, S1(2)}}, WORLD},
        {"batch_norm, each its own", batch_norm_own, {{NORMAL, S2(4, 2)}, {SHARED, S1(2)}, {SHARED, S1(2)}}, WORLD},
    };
    CHECK(cases);
}

// --- whole blocks

static mcf_value block(mcf_graph *g, const mcf_value *x)
{
    // x [2, 3, 4], qkv weight [12, 4], norm [4], [4], output weight [4, 4]
    mcf_value y = mcf_layer_norm(g, x[0], x[2], x[3], 1e-6, MCF_F64);
    y = mcf_reshape(g, mcf_linear(g, y, x[1], MCF_NO_VALUE, MCF_F64), MCF_SHAPE(2, 3, 3, 2, 2));
    y = mcf_reshape(g, mcf_attention(g, y, 0.7), MCF_SHAPE(2, 3, 4));
    return mcf_add(g, x[0], mcf_gelu(g, mcf_linear(g, y, x[4], MCF_NO_VALUE, MCF_F64)));
}
BUILD(transformer_block) { return block(g, x); }
BUILD(recomputed_block)
{
    mcf_segment_begin(g);
    mcf_value y = block(g, x);
    mcf_segment_end(g);
    return y;
}

static void blocks(void **state)
{
    static const gradient_case cases[] = {
        {"block", transformer_block,
         {{NORMAL, S3(2, 3, 4)}, {NORMAL, S2(12, 4)}, {NORMAL, S1(4)}, {NORMAL, S1(4)}, {NORMAL, S2(4, 4)}}, 0},
        {"recomputed block", recomputed_block,
         {{NORMAL, S3(2, 3, 4)}, {NORMAL, S2(12, 4)}, {NORMAL, S1(4)}, {NORMAL, S1(4)}, {NORMAL, S2(4, 4)}}, 0},
    };
    CHECK(cases);
}

// --- nothing is left out

static void every_operation_is_accounted_for(void **state)
{
    static const struct {
        mcf_op op;
        const char *reason;
    } without[] = {
        {MCF_OP_fill, "a constant"},
        {MCF_OP_relu_grad, "a gradient itself"},
        {MCF_OP_gelu_grad, "a gradient itself"},
        {MCF_OP_sum_squares, "of gradients only: the norm for clipping"},
        {MCF_OP_layer_norm_grad, "a gradient itself"},
        {MCF_OP_batch_variance, "batch_norm's gradient holds what flows through the statistics"},
        {MCF_OP_batch_norm_sums, "a gradient itself"},
        {MCF_OP_batch_norm_grad, "a gradient itself"},
        {MCF_OP_l2_normalize_grad, "a gradient itself"},
        {MCF_OP_softmax_grad, "a gradient itself"},
        {MCF_OP_attention_grad, "a gradient itself"},
        {MCF_OP_token_mse_grad, "a gradient itself"},
        {MCF_OP_cross_entropy_grad, "a gradient itself"},
        {MCF_OP_normalize_image, "its input is bytes"},
        {MCF_OP_resize_nearest_grad, "a gradient itself"},
        {MCF_OP_ema, "changes state between steps"},
        {MCF_OP_adamw, "changes state between steps"},
        {MCF_OP_broadcast, "of state at the start"},
    };
    bool listed[MCF_OP_COUNT] = {false};
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        listed[without[i].op] = true;
        if (mcf_grad_rule_of(without[i].op))
            fail_msg("%s has a gradient rule that no test differentiates (listed as: %s)",
                     mcf_op_describe(without[i].op)->name, without[i].reason);
    }
    for (int op = 0; op < MCF_OP_COUNT; op++) {
        const char *name = mcf_op_describe((mcf_op)op)->name;
        if (!listed[op] && !mcf_grad_rule_of((mcf_op)op))
            fail_msg("%s has no gradient rule and no reason why", name);
        if (!listed[op] && !covered[op])
            fail_msg("no finite difference of %s was taken", name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(movement),      cmocka_unit_test(elementwise),
        cmocka_unit_test(products),      cmocka_unit_test(normalisation),
        cmocka_unit_test(networks),      cmocka_unit_test(collectives),
        cmocka_unit_test(blocks),        cmocka_unit_test(every_operation_is_accounted_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
