// The core on cpu-reference: gradients into the store, accumulation, recomputation, the memory plan, simplification.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/graph_internal.h"
#include "core/runtime.h"

#define MUST(expression)                                                                                               \
    do {                                                                                                               \
        if ((expression) != MCF_OK)                                                                                    \
            fail_msg("%s: %s", #expression, err.message);                                                              \
    } while (0)

static mcf_error err;

static mcf_runtime *open_runtime(const mcf_store *store, mcf_dtype low)
{
    mcf_runtime_options options = {
        .backend = mcf_backend_reference(), .device = {.opened = 1}, .low_precision = low, .training = true};
    mcf_runtime *runtime;
    MUST(mcf_runtime_create(store, &options, NULL, &runtime, &err));
    return runtime;
}

static void fill_entry(mcf_runtime *runtime, const mcf_store *store, int entry, double seed)
{
    int64_t count = store->entries[entry].count;
    float *values = malloc((size_t)count * sizeof *values);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)sin(seed + 1.7 * (double)i);
    MUST(mcf_runtime_write(runtime, MCF_ARRAY_MASTER, entry, values, &err));
    free(values);
}

enum { ROWS = 5, WIDTH = 6, DEPTH = 3 };

typedef struct {
    mcf_store store;
    int weight[DEPTH], bias[DEPTH], gamma, beta;
} network;

static void make_network(network *n)
{
    mcf_store_init(&n->store);
    char name[32];
    n->gamma = mcf_store_add(&n->store, "norm.weight", MCF_SHAPE(WIDTH), MCF_ROLE_TRAINED, false);
    n->beta = mcf_store_add(&n->store, "norm.bias", MCF_SHAPE(WIDTH), MCF_ROLE_TRAINED, false);
    for (int i = 0; i < DEPTH; i++) {
        snprintf(name, sizeof name, "%d.weight", i);
        n->weight[i] = mcf_store_add(&n->store, name, MCF_SHAPE(WIDTH, WIDTH), MCF_ROLE_TRAINED, true);
        snprintf(name, sizeof name, "%d.bias", i);
        n->bias[i] = mcf_store_add(&n->store, name, MCF_SHAPE(WIDTH), MCF_ROLE_TRAINED, false);
    }
}

// Residual blocks of norm, linear, gelu; the norm is shared, so its gradient is written DEPTH times.
static mcf_graph *make_graph(const network *n, bool recompute)
{
    mcf_graph *g = mcf_graph_create(1, MCF_F32);
    mcf_value x = mcf_input(g, "x", MCF_F32, MCF_SHAPE(ROWS, WIDTH));
    for (int i = 0; i < DEPTH; i++) {
        if (recompute)
            mcf_recompute_begin(g);
        mcf_value y =
            mcf_layer_norm(g, x, mcf_param(g, &n->store, n->gamma), mcf_param(g, &n->store, n->beta), 1e-6, MCF_F32);
        y = mcf_linear(g, y, mcf_weight(g, &n->store, n->weight[i]), mcf_param(g, &n->store, n->bias[i]), MCF_F32);
        x = mcf_add(g, x, mcf_gelu(g, y));
        mcf_recompute_end(g);
    }
    mcf_value loss = mcf_reshape(g, mcf_mean(g, mcf_mul(g, x, x), 3), MCF_SHAPE(1));
    mcf_output(g, loss, "loss");
    mcf_backward(g, loss, MCF_NO_VALUE);
    return g;
}

static float input_values[ROWS * WIDTH];

static float run(mcf_program *program, bool accumulate)
{
    for (int i = 0; i < ROWS * WIDTH; i++)
        input_values[i] = (float)cos(0.3 * i);
    MUST(mcf_program_write(program, "x", input_values, sizeof input_values, &err));
    MUST(mcf_program_run(program, accumulate, false, &err));
    float loss;
    MUST(mcf_program_read(program, "loss", &loss, 1, &err));
    return loss;
}

static float *read_gradients(mcf_runtime *runtime, const mcf_store *store)
{
    float *g = malloc((size_t)store->role_count[MCF_ROLE_TRAINED] * sizeof *g);
    MUST(mcf_runtime_read_role(runtime, MCF_ARRAY_GRADIENT, MCF_ROLE_TRAINED, g, &err));
    return g;
}

static mcf_runtime *open_network(const network *n)
{
    mcf_runtime *runtime = open_runtime(&n->store, MCF_F32);
    for (int i = 0; i < n->store.count; i++)
        fill_entry(runtime, &n->store, i, i);
    MUST(mcf_runtime_refresh(runtime, &err));
    return runtime;
}

static void test_shared_parameter_gradient(void **state)
{
    (void)state;
    network n;
    make_network(&n);
    mcf_runtime *runtime = open_network(&n);
    mcf_program *program;
    MUST(mcf_program_create(runtime, make_graph(&n, false), &program, &err));
    run(program, false);
    float *g = read_gradients(runtime, &n.store);
    // Central differences through fp32 storage: a step of 1e-2 leaves about four digits.
    for (int e = 0; e < n.store.count; e++) {
        const mcf_entry *entry = &n.store.entries[e];
        float *values = malloc((size_t)entry->count * sizeof *values);
        MUST(mcf_runtime_read(runtime, MCF_ARRAY_MASTER, e, values, &err));
        for (int64_t i = 0; i < entry->count; i += 5) {
            float kept = values[i], losses[2];
            for (int side = 0; side < 2; side++) {
                values[i] = kept + (side ? 1e-2f : -1e-2f);
                MUST(mcf_runtime_write(runtime, MCF_ARRAY_MASTER, e, values, &err));
                losses[side] = run(program, false);
            }
            values[i] = kept;
            MUST(mcf_runtime_write(runtime, MCF_ARRAY_MASTER, e, values, &err));
            double expected = (losses[1] - losses[0]) / 2e-2;
            assert_true(fabs(g[entry->offset + i] - expected) < 2e-3 * (1 + fabs(expected)));
        }
        free(values);
    }
    free(g);
    mcf_program_destroy(program);
    mcf_runtime_destroy(runtime);
    mcf_store_free(&n.store);
}

static void test_accumulate(void **state)
{
    (void)state;
    network n;
    make_network(&n);
    mcf_runtime *runtime = open_network(&n);
    mcf_program *program;
    MUST(mcf_program_create(runtime, make_graph(&n, false), &program, &err));
    run(program, false);
    float *once = read_gradients(runtime, &n.store);
    run(program, false);
    float *again = read_gradients(runtime, &n.store);
    run(program, true);
    float *twice = read_gradients(runtime, &n.store);
    double norm = 0;
    for (int64_t i = 0; i < n.store.role_count[MCF_ROLE_TRAINED]; i++) {
        assert_true(again[i] == once[i]);
        assert_true(fabsf(twice[i] - 2 * once[i]) <= 1e-5f * (fabsf(once[i]) + 1e-3f));
        norm += fabs(once[i]);
    }
    assert_true(norm > 0.1);
    free(once);
    free(again);
    free(twice);
    mcf_program_destroy(program);
    mcf_runtime_destroy(runtime);
    mcf_store_free(&n.store);
}

static void test_recompute_gives_the_same_bits(void **state)
{
    (void)state;
    network n;
    make_network(&n);
    mcf_runtime *runtime = open_network(&n);
    float *gradients[2];
    float losses[2];
    mcf_program_stats stats[2];
    for (int recompute = 0; recompute < 2; recompute++) {
        mcf_program *program;
        MUST(mcf_program_create(runtime, make_graph(&n, recompute), &program, &err));
        losses[recompute] = run(program, false);
        gradients[recompute] = read_gradients(runtime, &n.store);
        mcf_program_describe(program, &stats[recompute]);
        mcf_program_destroy(program);
    }
    assert_true(losses[0] == losses[1]);
    assert_memory_equal(gradients[0], gradients[1], (size_t)n.store.role_count[MCF_ROLE_TRAINED] * sizeof(float));
    assert_true(stats[1].nodes > stats[0].nodes);
    assert_true(stats[1].arena_bytes < stats[0].arena_bytes);
    free(gradients[0]);
    free(gradients[1]);
    mcf_runtime_destroy(runtime);
    mcf_store_free(&n.store);
}

// The largest of the values that a plan has placed, a multiple of 64.
static uint64_t largest_placed(const mcf_graph *g, const mcf_plan *plan)
{
    uint64_t most = 0;
    for (int v = 0; v < g->value_count; v++) {
        const mcf_graph_value *x = &g->values[v];
        const uint64_t bytes = (uint64_t)mcf_shape_count(&x->shape) * mcf_dtype_size(x->dtype);
        if (x->base == v && x->place <= MCF_PLACE_INPUT && plan->first[v] != -2 && bytes > most)
            most = bytes;
    }
    return (most + 63) / 64 * 64;
}

// piece: of the arena, 0 for one buffer
static void check_plan(uint64_t piece)
{
    network n;
    make_network(&n);
    mcf_graph *g = make_graph(&n, false);
    mcf_graph_simplify(g);
    MUST(mcf_graph_status(g, &err));
    mcf_plan plan;
    MUST(mcf_plan_create(g, 64, piece, &plan, &err));
    int pairs = 0;
    for (int a = 0; a < g->value_count; a++)
        for (int b = 0; b < a; b++) {
            const mcf_graph_value *x = &g->values[a], *y = &g->values[b];
            if (x->base != a || y->base != b || x->place > MCF_PLACE_INPUT || y->place > MCF_PLACE_INPUT ||
                plan.first[a] == -2 || plan.first[b] == -2)
                continue;
            bool together = plan.first[a] <= plan.last[b] && plan.first[b] <= plan.last[a];
            uint64_t ax = plan.offset[a] + (uint64_t)mcf_shape_count(&x->shape) * mcf_dtype_size(x->dtype);
            uint64_t by = plan.offset[b] + (uint64_t)mcf_shape_count(&y->shape) * mcf_dtype_size(y->dtype);
            if (piece)
                assert_true(plan.offset[a] / piece == (ax - 1) / piece);
            if (together)
                assert_true(ax <= plan.offset[b] || by <= plan.offset[a]);
            pairs += together;
        }
    assert_true(pairs > 10);
    assert_true(piece || plan.arena_bytes < plan.value_bytes);
    mcf_plan_free(&plan);
    mcf_graph_destroy(g);
    mcf_store_free(&n.store);
}

static void test_plan_shares_no_live_bytes(void **state)
{
    (void)state;
    check_plan(0);
}

static void test_plan_in_pieces(void **state)
{
    (void)state;
    network n;
    make_network(&n);
    mcf_graph *g = make_graph(&n, false);
    mcf_graph_simplify(g);
    mcf_plan plan;
    MUST(mcf_plan_create(g, 64, 0, &plan, &err));
    const uint64_t most = largest_placed(g, &plan);
    assert_true(plan.arena_bytes > most); // so that more than one piece is needed below
    mcf_plan_free(&plan);
    assert_int_equal(mcf_plan_create(g, 64, most - 64, &plan, &err), MCF_ERR_NOMEM);
    assert_non_null(strstr(err.message, "in one piece"));
    mcf_graph_destroy(g);
    mcf_store_free(&n.store);
    for (uint64_t piece = most; piece < most + 1024; piece += 64)
        check_plan(piece);
}

static int count_ops(const mcf_graph *g, mcf_op op)
{
    int count = 0;
    for (int i = 0; i < g->node_count; i++)
        count += g->nodes[i].op == op;
    return count;
}

static void test_simplify(void **state)
{
    (void)state;
    network n;
    make_network(&n);
    // Without a backward pass the activation is fused and statistics are not wanted.
    mcf_graph *g = mcf_graph_create(1, MCF_F32);
    mcf_value x = mcf_input(g, "x", MCF_F32, MCF_SHAPE(ROWS, 1, WIDTH));
    mcf_value y = mcf_layer_norm(g, x, mcf_param(g, &n.store, n.gamma), mcf_param(g, &n.store, n.beta), 1e-6, MCF_F32);
    y = mcf_gelu(g, mcf_linear(g, y, mcf_weight(g, &n.store, n.weight[0]), mcf_param(g, &n.store, n.bias[0]), MCF_F32));
    mcf_scale(g, y, 2, 1); // read by nothing
    mcf_output(g, y, "y");
    mcf_graph_simplify(g);
    MUST(mcf_graph_status(g, &err));
    assert_int_equal(g->node_count, 2);
    assert_int_equal(count_ops(g, MCF_OP_gelu), 0);
    assert_int_equal(g->nodes[1].attr.matmul.activation, MCF_ACT_GELU);
    assert_int_equal(g->nodes[0].out[1], MCF_NO_VALUE);
    mcf_runtime *runtime = open_network(&n);
    mcf_program *program;
    MUST(mcf_program_create(runtime, g, &program, &err));
    MUST(mcf_program_write(program, "x", input_values, sizeof input_values, &err));
    MUST(mcf_program_run(program, false, false, &err));
    float out[ROWS * WIDTH];
    MUST(mcf_program_read(program, "y", out, ROWS * WIDTH, &err));
    mcf_program_destroy(program);

    // With one, gelu_grad reads the product: nothing may be fused.
    g = make_graph(&n, false);
    mcf_graph_simplify(g);
    assert_int_equal(count_ops(g, MCF_OP_gelu), DEPTH);
    mcf_graph_destroy(g);
    mcf_runtime_destroy(runtime);
    mcf_store_free(&n.store);
}

static void test_first_error_stays(void **state)
{
    (void)state;
    mcf_graph *g = mcf_graph_create(1, MCF_F32);
    mcf_value a = mcf_input(g, "a", MCF_F32, MCF_SHAPE(2, 3));
    mcf_value b = mcf_input(g, "b", MCF_F32, MCF_SHAPE(4, 5));
    mcf_value c = mcf_matmul(g, a, b, false, false, MCF_F32);
    assert_int_equal(c, MCF_NO_VALUE);
    mcf_value d = mcf_reshape(g, mcf_gelu(g, c), MCF_SHAPE(7));
    assert_int_equal(d, MCF_NO_VALUE);
    mcf_output(g, d, "d");
    assert_int_equal(mcf_graph_status(g, &err), MCF_ERR_SHAPE);
    assert_non_null(strstr(err.message, "matmul"));
    mcf_graph_destroy(g);
}

static void test_buckets_cover_the_array(void **state)
{
    (void)state;
    network n;
    make_network(&n);
    int64_t total = n.store.role_count[MCF_ROLE_TRAINED];
    for (int64_t target = 1; target < 2 * total; target += 7) {
        mcf_bucket buckets[64];
        int count = mcf_store_buckets(&n.store, target, buckets, 64);
        assert_true(count >= 1 && count <= n.store.count);
        int64_t end = total;
        for (int i = 0; i < count; i++) {
            assert_int_equal(buckets[i].end, end);
            assert_true(buckets[i].begin < end);
            end = buckets[i].begin;
        }
        assert_int_equal(end, 0);
    }
    mcf_store_free(&n.store);
}

// Two steps of AdamW by hand on one weight, decay on matrices only, rate 0 leaves the weight alone.
static void test_adamw(void **state)
{
    (void)state;
    network n;
    make_network(&n);
    mcf_runtime *runtime = open_network(&n);
    mcf_program *program;
    MUST(mcf_program_create(runtime, make_graph(&n, false), &program, &err));
    int w = n.weight[0];
    float before[WIDTH * WIDTH], after[WIDTH * WIDTH], gradient[WIDTH * WIDTH];
    MUST(mcf_runtime_read(runtime, MCF_ARRAY_MASTER, w, before, &err));
    mcf_adamw_step step = {.lr = 0,
                           .beta1 = 0.9,
                           .beta2 = 0.95,
                           .eps = 1e-8,
                           .weight_decay = 0.05,
                           .step = 1,
                           .grad_scale = 0.5,
                           .rate_factor = {1, 1, 1, 1}};
    run(program, false);
    MUST(mcf_runtime_read(runtime, MCF_ARRAY_GRADIENT, w, gradient, &err));
    MUST(mcf_runtime_adamw(runtime, &step, &err));
    MUST(mcf_runtime_read(runtime, MCF_ARRAY_MASTER, w, after, &err));
    assert_memory_equal(before, after, sizeof before);
    step.lr = 1e-2;
    step.step = 2;
    MUST(mcf_runtime_adamw(runtime, &step, &err));
    MUST(mcf_runtime_read(runtime, MCF_ARRAY_MASTER, w, after, &err));
    for (int i = 0; i < WIDTH * WIDTH; i++) {
        double g = 0.5 * gradient[i], m = 0.1 * g, v = 0.05 * g * g;
        m = 0.9 * m + 0.1 * g;
        v = 0.95 * v + 0.05 * g * g;
        double p = before[i] * (1 - 1e-2 * 0.05);
        p -= 1e-2 * (m / (1 - 0.81)) / (sqrt(v / (1 - 0.9025)) + 1e-8);
        assert_true(fabs(after[i] - p) < 1e-6);
    }
    memcpy(before, after, sizeof before);
    double norm2;
    MUST(mcf_runtime_gradient_norm2(runtime, &norm2, &err));
    step.step = 3;
    step.clip_norm = 0.125 * sqrt(norm2); // a quarter of what scaling gives
    MUST(mcf_runtime_adamw(runtime, &step, &err));
    MUST(mcf_runtime_read(runtime, MCF_ARRAY_MOMENT1, w, after, &err));
    for (int i = 0; i < WIDTH * WIDTH; i++) {
        double g = 0.5 * gradient[i];
        assert_true(fabs(after[i] - (0.9 * (0.9 * 0.1 + 0.1) * g + 0.1 * g / 4)) < 1e-6);
    }
    mcf_program_destroy(program);
    mcf_runtime_destroy(runtime);
    mcf_store_free(&n.store);
}

// An overflow in one gradient: parameters and moments of all stay as they are, bit for bit, and the next step counts.
static void test_a_step_with_an_overflow_is_left_out(void **state)
{
    (void)state;
    network n;
    make_network(&n);
    mcf_runtime *runtime = open_network(&n);
    mcf_program *program;
    MUST(mcf_program_create(runtime, make_graph(&n, false), &program, &err));
    const size_t count = (size_t)n.store.role_count[MCF_ROLE_TRAINED];
    const mcf_array arrays[] = {MCF_ARRAY_MASTER, MCF_ARRAY_MOMENT1, MCF_ARRAY_MOMENT2};
    float *before[3], *after = calloc(count, sizeof *after), *gradient = calloc(count, sizeof *gradient);
    mcf_adamw_step step = {.lr = 1e-2,
                           .beta1 = 0.9,
                           .beta2 = 0.95,
                           .eps = 1e-8,
                           .weight_decay = 0.05,
                           .step = 1,
                           .grad_scale = 1,
                           .rate_factor = {1, 1, 1, 1}};
    run(program, false);
    MUST(mcf_runtime_adamw(runtime, &step, &err));
    for (int i = 0; i < 3; i++) {
        before[i] = calloc(count, sizeof **before);
        MUST(mcf_runtime_read_role(runtime, arrays[i], MCF_ROLE_TRAINED, before[i], &err));
    }
    const float wrong[] = {INFINITY, -INFINITY, NAN};
    for (size_t kind = 0; kind < 3; kind++) {
        run(program, false);
        MUST(mcf_runtime_read_role(runtime, MCF_ARRAY_GRADIENT, MCF_ROLE_TRAINED, gradient, &err));
        gradient[n.store.entries[n.weight[0]].offset + 1] = wrong[kind];
        MUST(mcf_runtime_write_role(runtime, MCF_ARRAY_GRADIENT, MCF_ROLE_TRAINED, gradient, &err));
        MUST(mcf_runtime_adamw(runtime, &step, &err));
        for (int i = 0; i < 3; i++) {
            MUST(mcf_runtime_read_role(runtime, arrays[i], MCF_ROLE_TRAINED, after, &err));
            assert_memory_equal(before[i], after, count * sizeof *after);
        }
        double norm2;
        MUST(mcf_runtime_gradient_norm2(runtime, &norm2, &err));
        assert_false(isfinite(norm2));
    }
    run(program, false);
    MUST(mcf_runtime_adamw(runtime, &step, &err));
    for (int i = 0; i < 3; i++) {
        MUST(mcf_runtime_read_role(runtime, arrays[i], MCF_ROLE_TRAINED, after, &err));
        assert_memory_not_equal(before[i], after, count * sizeof *after);
        free(before[i]);
    }
    free(after);
    free(gradient);
    mcf_program_destroy(program);
    mcf_runtime_destroy(runtime);
    mcf_store_free(&n.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared_parameter_gradient),
        cmocka_unit_test(test_accumulate),
        cmocka_unit_test(test_recompute_gives_the_same_bits),
        cmocka_unit_test(test_plan_shares_no_live_bytes),
        cmocka_unit_test(test_plan_in_pieces),
        cmocka_unit_test(test_simplify),
        cmocka_unit_test(test_first_error_stays),
        cmocka_unit_test(test_buckets_cover_the_array),
        cmocka_unit_test(test_adamw),
        cmocka_unit_test(test_a_step_with_an_overflow_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
