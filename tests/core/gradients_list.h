// Finite differences of every operation with a gradient rule at the shapes that the check's list of cases has for it
// (backends/check/cases.h), as an operation alone in a graph: a new operation needs no case here.
#ifndef MCF_TESTS_GRADIENTS_LIST_H
#define MCF_TESTS_GRADIENTS_LIST_H

#include "backends/check/cases.h"
#include "ops/rules.h"
#include "tests/core/gradients.h"

// Operations and inputs that are no function of their inputs alone to the gradient rule.
static bool constant_input(mcf_op op, int input)
{
    return (op == MCF_OP_token_mse && input == TOKEN_MSE_IN_b) ||
           (op == MCF_OP_point_distance && input == POINT_DISTANCE_IN_b) ||
           (op == MCF_OP_heatmap_bce && input == HEATMAP_BCE_IN_points);
}

static bool left_to_compositions(mcf_op op)
{
    // batch_norm's mean and var are functions of x in its rule; collectives need a group.
    return op == MCF_OP_batch_norm || mcf_op_is_collective(op);
}

typedef struct {
    mcf_runtime *runtime;
    mcf_op op;
    int taken;
    bool influence[MCF_MAX_INPUTS];
    uint64_t number;
} list_check;

typedef struct {
    const mcf_check_case *c;
    mcf_program *program;
    double *values[MCF_MAX_INPUTS], w[MCF_MAX_OUTPUTS][MOST_ELEMENTS];
    bool differentiated[MCF_MAX_INPUTS];
} listed_case;

static const char *const weights[] = {"w0", "w1", "w2", "w3"};
static const char *const gradients[] = {"d0", "d1", "d2", "d3", "d4", "d5", "d6"};
_Static_assert(sizeof weights / sizeof *weights == MCF_MAX_OUTPUTS, "a name for each output");
_Static_assert(sizeof gradients / sizeof *gradients == MCF_MAX_INPUTS, "a name for each input");

// The outputs that the builders of networks differentiate: the first, and others in the type of choice.
static bool is_differentiated(mcf_op op, int output)
{
    return output == 0 || mcf_op_output_types(op)[output] == 'f';
}

static mcf_graph *graph_of(const mcf_check_case *c, bool *differentiated)
{
    const mcf_op_info *info = mcf_op_describe(c->launch.op);
    mcf_graph *g = mcf_graph_create(1, MCF_F64);
    mcf_value x[MCF_MAX_INPUTS], total = MCF_NO_VALUE;
    for (int i = 0; i < info->inputs; i++) {
        const mcf_dtype dtype = c->launch.in[i].dtype;
        x[i] = MCF_NO_VALUE;
        differentiated[i] = false;
        if (!mcf_input_is_present(&c->launch, i))
            continue;
        x[i] = mcf_input(g, info->in[i], mcf_dtype_is_float(dtype) ? MCF_F64 : dtype, c->launch.in[i].shape);
        differentiated[i] = mcf_dtype_is_float(dtype) && !constant_input(c->launch.op, i);
        if (differentiated[i])
            mcf_require_grad(g, x[i]);
    }
    const int node = mcf_emit(g, c->launch.op, &c->launch.attr, x, info->inputs, MCF_F64);
    for (int i = 0; node >= 0 && i < info->outputs; i++) {
        const mcf_value y = g->nodes[node].out[i];
        if (!is_differentiated(c->launch.op, i)) {
            g->values[y].requires_grad = false;
            continue;
        }
        const mcf_shape shape = mcf_value_shape(g, y);
        const mcf_value weighted = mcf_mul(g, y, mcf_input(g, weights[i], MCF_F64, shape));
        const mcf_value sum =
            mcf_reshape(g, mcf_reduce_sum(g, weighted, (1u << shape.rank) - 1u, 1.0, MCF_F64), MCF_SHAPE(1));
        total = total < 0 ? sum : mcf_add(g, total, sum);
    }
    mcf_output(g, total, "loss");
    mcf_backward(g, total, MCF_NO_VALUE);
    for (int i = 0; i < info->inputs; i++)
        if (differentiated[i])
            mcf_output(g, mcf_gradient(g, x[i]), gradients[i]);
    return g;
}

static mcf_status write_values(const listed_case *l, int i, mcf_error *err)
{
    const mcf_operand *in = &l->c->launch.in[i];
    const int64_t count = mcf_shape_count(&in->shape);
    int64_t ids[4 * MOST_ELEMENTS];
    for (int64_t j = 0; in->dtype == MCF_I64 && j < count; j++)
        ids[j] = (int64_t)l->values[i][j];
    return mcf_program_write(l->program, mcf_op_describe(l->c->launch.op)->in[i],
                             in->dtype == MCF_I64 ? (const void *)ids : l->values[i], (size_t)count * sizeof(double),
                             err);
}

// A run leaves other values where its inputs were.
static mcf_status loss_of(const listed_case *l, double *loss, mcf_error *err)
{
    const mcf_launch *launch = &l->c->launch;
    for (int i = 0; i < launch->n_in; i++)
        if (l->values[i])
            MCF_TRY(write_values(l, i, err));
    for (int i = 0; i < launch->n_out; i++)
        if (is_differentiated(launch->op, i))
            MCF_TRY(mcf_program_write(l->program, weights[i], l->w[i],
                                      (size_t)mcf_shape_count(&launch->out[i].shape) * sizeof(double), err));
    MCF_TRY(mcf_program_run(l->program, false, false, err));
    return mcf_program_read_f64(l->program, "loss", loss, 1, err);
}

// The largest derivative of the case goes to *largest, the largest difference to *worst.
static mcf_status differences(list_check *k, const listed_case *l, double *largest, double *worst, mcf_error *err)
{
    for (int i = 0; i < l->c->launch.n_in; i++) {
        double gradient[MOST_ELEMENTS], below, above;
        const int64_t count = mcf_shape_count(&l->c->launch.in[i].shape);
        if (!l->differentiated[i])
            continue;
        MCF_TRY(loss_of(l, &below, err));
        MCF_TRY(mcf_program_read_f64(l->program, gradients[i], gradient, count, err));
        for (int64_t j = 0; j < count; j++) {
            const double kept = l->values[i][j];
            l->values[i][j] = kept - step;
            MCF_TRY(loss_of(l, &below, err));
            l->values[i][j] = kept + step;
            MCF_TRY(loss_of(l, &above, err));
            l->values[i][j] = kept;
            const double numeric = (above - below) / (2 * step);
            *largest = fmax(*largest, fabs(numeric));
            *worst = fabs(numeric - gradient[j]) <= *worst ? *worst : fabs(numeric - gradient[j]);
            k->influence[i] |= fabs(numeric) >= 1e-3;
        }
    }
    return MCF_OK;
}

static mcf_status run_listed(list_check *k, listed_case *l, mcf_error *err)
{
    const mcf_check_case *c = l->c;
    double largest = 0, worst = 0;
    MCF_TRY(mcf_program_create(k->runtime, graph_of(c, l->differentiated), &l->program, err));
    MCF_TRY(mcf_check_draw(c, 11, ++k->number, l->values, err));
    mcf_rng rng = mcf_rng_make(13, MCF_RNG_TEST, 0, k->number);
    for (int i = 0; i < MCF_MAX_OUTPUTS; i++)
        for (int j = 0; j < MOST_ELEMENTS; j++)
            l->w[i][j] = mcf_rng_normal(&rng);
    MCF_TRY(differences(k, l, &largest, &worst, err));
    if (!(worst <= allowed * fmax(largest, 1e-2)))
        return mcf_fail(err, MCF_ERR_INTERNAL, "case %d: gradient off by %.3g of %.3g", k->taken, worst, largest);
    k->taken++;
    return MCF_OK;
}

// Takes what is small, contiguous, whole and new to a gradient.
static mcf_status take(mcf_case_maker *maker, const mcf_check_case *c, mcf_error *err)
{
    list_check *k = maker->context;
    int64_t inputs = 0, largest = mcf_shape_count(&c->launch.out[0].shape);
    for (int i = 0; i < c->launch.n_in; i++) {
        if (!mcf_operand_is_contiguous(&c->launch.in[i]))
            return MCF_OK;
        const int64_t count = mcf_input_is_present(&c->launch, i) ? mcf_shape_count(&c->launch.in[i].shape) : 0;
        inputs += count;
        largest = count > largest ? count : largest;
    }
    // Such a product comes about by fusing, and only where nothing needs its gradient.
    if (c->launch.op == MCF_OP_matmul && c->launch.attr.matmul.activation == MCF_ACT_GELU)
        return MCF_OK;
    if (c->launch.accumulate || c->unwanted || !inputs || largest > MOST_ELEMENTS || largest == 0)
        return MCF_OK;
    listed_case l = {.c = c};
    mcf_status status = run_listed(k, &l, err);
    if (l.program)
        mcf_program_destroy(l.program);
    for (int i = 0; i < MCF_MAX_INPUTS; i++)
        free(l.values[i]);
    return status;
}

static void listed_operations(void **state)
{
    const mcf_backend *reference = mcf_backend_reference();
    const mcf_runtime_options options = {.backend = reference, .device = {.opened = 1}, .member = {.world = 1}};
    mcf_error err = {.message = ""};
    mcf_device *device;
    mcf_store store;
    mcf_store_init(&store);
    assert_int_equal(reference->device_open(0, &options.device, &device, &err), MCF_OK);
    for (int op = 0; op < MCF_OP_COUNT; op++) {
        if (!mcf_grad_rule_of((mcf_op)op) || left_to_compositions((mcf_op)op))
            continue;
        const mcf_op_info *info = mcf_op_describe((mcf_op)op);
        list_check k = {.op = (mcf_op)op};
        mcf_case_maker maker = {.type = MCF_F32, .tiny = true, .emit = take, .context = &k};
        assert_int_equal(mcf_runtime_create(&store, &options, device, &k.runtime, &err), MCF_OK);
        if (mcf_check_make_cases(&maker, (mcf_op)op, &err) != MCF_OK)
            fail_msg("%s: %s", info->name, err.message);
        if (!k.taken)
            fail_msg("%s: the list has no case small enough", info->name);
        for (int i = 0; i < info->inputs; i++)
            if ((mcf_op_input_types((mcf_op)op)[i] == 'f' || mcf_op_input_types((mcf_op)op)[i] == 's') &&
                !constant_input((mcf_op)op, i) && !k.influence[i])
                fail_msg("%s: %s has no influence in any case", info->name, info->in[i]);
        covered[op] = true;
        mcf_runtime_destroy(k.runtime);
    }
    reference->device_close(device);
    mcf_store_free(&store);
}

#endif
