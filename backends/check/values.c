// Values of a case's operands, and the run on cpu-reference that says what must come out.
#include "backends/host/elements.h"
#include "backends/check/cases.h"
#include "base/rng.h"
#include "ops/rules.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double *new_values(int64_t count)
{
    return calloc((size_t)(count > 0 ? count : 1), sizeof(double));
}

// The axis whose lines are normalised.
static int line_axis(const mcf_check_case *c)
{
    bool l2 = c->launch.op == MCF_OP_l2_normalize || c->launch.op == MCF_OP_l2_normalize_grad;
    return l2 ? c->launch.attr.l2_normalize.axis : 1;
}

// Whether element i lies on a line that is all zeros.
static bool on_zero_line(const mcf_check_case *c, const mcf_shape *shape, int64_t i)
{
    int64_t sum = 0;
    for (int axis = shape->rank - 1; axis >= 0; axis--) {
        if (axis != line_axis(c))
            sum += i % shape->dim[axis];
        i /= shape->dim[axis];
    }
    return sum % 3 == 0;
}

// The beginning of a permutation of the rows for each image; past its end it starts again.
static mcf_status draw_rows(const mcf_check_case *c, int input, mcf_rng *rng, double *values, mcf_error *err)
{
    int64_t n = c->launch.in[input].shape.dim[1], count = mcf_shape_count(&c->launch.in[input].shape);
    int64_t *order = malloc((size_t)(c->limit > 0 ? c->limit : 1) * sizeof *order);
    if (!order)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a permutation");
    for (int64_t i = 0; i < count; i++) {
        if (i % n == 0)
            mcf_rng_permutation(rng, order, c->limit);
        values[i] = (double)order[i % n % c->limit];
    }
    free(order);
    return MCF_OK;
}

// [begin, end) pairs that leave the first and some middle elements out.
static void draw_ranges(int64_t ranges, int64_t n, double *values)
{
    for (int64_t s = 0; s < ranges; s++) {
        values[2 * s] = (double)(n * s / ranges + (n > ranges ? 1 : 0));
        values[2 * s + 1] = (double)(n * (s + 1) / ranges);
    }
}

static void draw_scalars(double *values, int kind)
{
    values[MCF_ADAMW_LR] = 0.01;
    values[MCF_ADAMW_BETA1] = 0.9;
    values[MCF_ADAMW_BETA2] = 0.95;
    values[MCF_ADAMW_EPS] = 1e-8;
    values[MCF_ADAMW_CORRECTION1] = 1 - 0.9 * 0.9 * 0.9;
    values[MCF_ADAMW_CORRECTION2] = 1 - 0.95 * 0.95 * 0.95;
    values[MCF_ADAMW_GRAD_SCALE] = 0.125;
    // A norm of 6 after scaling, which clipping halves.
    values[MCF_ADAMW_CLIP] = kind == MCF_VALUES_SCALARS_CLIP ? 3 : 0;
    values[MCF_ADAMW_NORM2] = kind == MCF_VALUES_SCALARS_INFINITE ? INFINITY
                              : kind == MCF_VALUES_SCALARS_NAN    ? NAN
                                                                  : pow(6 / values[MCF_ADAMW_GRAD_SCALE], 2);
}

static double draw_one(const mcf_check_case *c, int input, int64_t i, mcf_rng *rng)
{
    switch (c->values[input]) {
    case MCF_VALUES_SHIFTED:
        return 8 + mcf_rng_normal(rng);
    case MCF_VALUES_LARGE:
        return 30 * mcf_rng_normal(rng);
    case MCF_VALUES_POSITIVE:
        return 0.25 + 1.75 * mcf_rng_double(rng);
    case MCF_VALUES_ZERO_LINE:
        return on_zero_line(c, &c->launch.in[input].shape, i) ? 0 : mcf_rng_normal(rng);
    case MCF_VALUES_UNIT:
        return 0.75;
    case MCF_VALUES_COUNT:
        return (double)mcf_shape_count(&c->launch.in[0].shape);
    case MCF_VALUES_LABELS:
        return (double)mcf_rng_below(rng, (uint64_t)c->limit);
    case MCF_VALUES_BYTES:
        return (double)mcf_rng_below(rng, 256);
    case MCF_VALUES_FLAGS:
        return (double)mcf_rng_below(rng, 2);
    case MCF_VALUES_RATES:
        // Rate factors about 1, decay on every other range.
        return i % 2 ? (i / 2 % 2 ? 0.05 : 0) : 0.5 + mcf_rng_double(rng);
    default:
        return mcf_rng_normal(rng);
    }
}

// Writes values through the strides and reads them back: what a repeated axis holds is one value.
static void settle(const mcf_operand *in, double *values)
{
    int64_t count = mcf_shape_count(&in->shape);
    bool repeated = false;
    for (int axis = 0; axis < in->shape.rank; axis++)
        repeated |= in->stride[axis] == 0 && in->shape.dim[axis] > 1;
    for (int64_t i = 0; i < count; i++) {
        double stored;
        mcf_store_element(&stored, in->dtype, 0, values[i]);
        values[i] = mcf_load_element(&stored, in->dtype, 0);
        if (!repeated)
            continue;
        // The first element with the same place: indices on repeated axes are 0. It comes before this one.
        int64_t rest = i, first = 0, step = 1;
        for (int axis = in->shape.rank - 1; axis >= 0; axis--) {
            int64_t index = rest % in->shape.dim[axis];
            rest /= in->shape.dim[axis];
            first += in->stride[axis] == 0 ? 0 : index * step;
            step *= in->shape.dim[axis];
        }
        values[i] = values[first];
    }
}

static mcf_status draw_input(const mcf_check_case *c, int i, uint64_t seed, uint64_t number, double *values,
                             mcf_error *err)
{
    int64_t count = mcf_shape_count(&c->launch.in[i].shape);
    mcf_rng rng = mcf_rng_make(seed, MCF_RNG_TEST, (uint32_t)i, number);
    if (c->values[i] == MCF_VALUES_ROWS)
        return count ? draw_rows(c, i, &rng, values, err) : MCF_OK;
    if (c->values[i] == MCF_VALUES_RANGES)
        draw_ranges(c->launch.in[i].shape.dim[0], c->limit, values);
    else if (c->values[i] >= MCF_VALUES_SCALARS && c->values[i] <= MCF_VALUES_SCALARS_NAN)
        draw_scalars(values, c->values[i]);
    else
        for (int64_t j = 0; j < count; j++)
            values[j] = draw_one(c, i, j, &rng);
    return MCF_OK;
}

// --- on the reference

typedef struct {
    mcf_device *device;
    mcf_stream *stream;
} host;

static mcf_status upload(const host *h, mcf_operand *operand, const double *values, mcf_error *err)
{
    const mcf_backend *reference = mcf_backend_reference();
    int64_t count = mcf_shape_count(&operand->shape);
    size_t size = mcf_dtype_size(operand->dtype);
    operand->offset = 0;
    mcf_contiguous_strides(&operand->shape, operand->stride);
    MCF_TRY(reference->buffer_create(h->device, (uint64_t)count * size, &operand->buffer, err));
    void *data = reference->buffer_host(operand->buffer);
    for (int64_t i = 0; values && i < count; i++)
        mcf_store_element(data, operand->dtype, i, values[i]);
    return MCF_OK;
}

static double *read_back(const mcf_operand *operand)
{
    int64_t count = mcf_shape_count(&operand->shape);
    double *values = new_values(count);
    const void *data = mcf_backend_reference()->buffer_host(operand->buffer);
    for (int64_t i = 0; values && i < count; i++)
        values[i] = mcf_load_element(data, operand->dtype, i);
    return values;
}

static mcf_status run(const host *h, const mcf_check_case *c, mcf_launch *l, double *values[], double *const before[],
                      double *results[], mcf_error *err)
{
    for (int i = 0; i < l->n_in; i++) {
        if (!mcf_input_is_present(l, i) || !values[i])
            continue;
        if (mcf_dtype_is_float(l->in[i].dtype))
            l->in[i].dtype = MCF_F64;
        MCF_TRY(upload(h, &l->in[i], values[i], err));
    }
    for (int i = 0; i < l->n_out; i++) {
        if (mcf_dtype_is_float(l->out[i].dtype))
            l->out[i].dtype = MCF_F64;
        if (c->unwanted >> i & 1)
            continue;
        if (i == 0 && mcf_op_describe(c->launch.op)->changed & 1)
            l->out[0] = l->in[0];
        else
            MCF_TRY(upload(h, &l->out[i], before ? before[i] : NULL, err));
    }
    MCF_TRY(mcf_backend_reference()->launch(h->stream, l, err));
    bool complete = true;
    for (int i = 0; i < l->n_out; i++)
        if (l->out[i].buffer)
            complete &= (results[i] = read_back(&l->out[i])) != NULL;
    for (int i = 0; i < l->n_in; i++)
        if (mcf_op_describe(c->launch.op)->changed >> i & 1) {
            free(values[i]);
            complete &= (values[i] = read_back(&l->in[i])) != NULL;
        }
    return complete ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for results");
}

mcf_status mcf_check_reference(const mcf_check_case *c, double *values[MCF_MAX_INPUTS],
                               double *const before[MCF_MAX_OUTPUTS], double *results[MCF_MAX_OUTPUTS], mcf_error *err)
{
    const mcf_backend *reference = mcf_backend_reference();
    host h = {NULL, NULL};
    MCF_TRY(reference->device_open(0, &(mcf_device_options){1, 1}, &h.device, err));
    mcf_status status = reference->stream_create(h.device, &h.stream, err);
    mcf_launch l = c->launch;
    if (status == MCF_OK)
        status = run(&h, c, &l, values, before, results, err);
    for (int i = 0; i < l.n_in; i++)
        reference->buffer_destroy(l.in[i].buffer);
    for (int i = mcf_op_describe(c->launch.op)->changed & 1 ? 1 : 0; i < l.n_out; i++)
        reference->buffer_destroy(l.out[i].buffer);
    reference->stream_destroy(h.stream);
    reference->device_close(h.device);
    return status;
}

// Where an operation's operand of this name is; -1: nowhere.
static int find(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(names[i], name))
            return i;
    return -1;
}

// The operation that this one is the gradient of: NAME of NAME_grad.
static mcf_op forward_of(mcf_op op)
{
    char name[64];
    snprintf(name, sizeof name, "%s", mcf_op_describe(op)->name);
    char *end = strstr(name, "_grad");
    if (end)
        *end = '\0';
    return end ? mcf_op_find(name) : MCF_OP_COUNT;
}

// Inputs that are outputs of the forward operation, found by their names. What that one reads and its gradient does not,
// as the beta of a norm, is zero and of the shape of the input before; it does not matter for these outputs.
static mcf_status derive(const mcf_check_case *c, double *values[MCF_MAX_INPUTS], mcf_error *err)
{
    mcf_check_case forward = {.launch = {.op = forward_of(c->launch.op), .attr = c->launch.attr}};
    mcf_launch *l = &forward.launch;
    if (l->op == MCF_OP_COUNT)
        return mcf_fail(err, MCF_ERR_INTERNAL, "no operation has the outputs that this case reads");
    const mcf_op_info *of = mcf_op_describe(l->op), *info = mcf_op_describe(c->launch.op);
    l->n_in = of->inputs;
    l->n_out = of->outputs;
    double *inputs[MCF_MAX_INPUTS] = {NULL}, *results[MCF_MAX_OUTPUTS] = {NULL}, *zeros = NULL;
    for (int i = 0; i < l->n_in; i++) {
        const int at = find(info->in, info->inputs, of->in[i]);
        l->in[i] = at >= 0 ? c->launch.in[at] : l->in[i - 1];
        if (at < 0 && !zeros && !(zeros = new_values(mcf_shape_count(&l->in[i].shape))))
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for values");
        inputs[i] = at >= 0 ? values[at] : zeros;
        if (mcf_dtype_is_float(l->in[i].dtype))
            l->in[i].dtype = MCF_F64;
    }
    for (int i = 0; i < l->n_out; i++)
        l->out[i].dtype = MCF_F64;
    mcf_status status = mcf_infer_shapes(l, 1, err);
    if (status == MCF_OK)
        status = mcf_check_reference(&forward, inputs, NULL, results, err);
    for (int i = 0; status == MCF_OK && i < c->launch.n_in; i++)
        if (c->values[i] == MCF_VALUES_OUTPUT) {
            const int at = find(of->out, of->outputs, info->in[i]);
            if (at < 0 || !results[at]) {
                status = mcf_fail(err, MCF_ERR_INTERNAL, "%s has no output %s to read", of->name, info->in[i]);
                break;
            }
            values[i] = results[at];
            results[at] = NULL;
        }
    for (int i = 0; i < MCF_MAX_OUTPUTS; i++)
        free(results[i]);
    free(zeros);
    return status;
}

mcf_status mcf_check_draw(const mcf_check_case *c, uint64_t seed, uint64_t number, double *values[MCF_MAX_INPUTS],
                          mcf_error *err)
{
    bool derived = false;
    for (int i = 0; i < c->launch.n_in; i++) {
        if (!mcf_input_is_present(&c->launch, i))
            continue;
        if (c->values[i] == MCF_VALUES_OUTPUT) {
            derived = true;
            continue;
        }
        if (!(values[i] = new_values(mcf_shape_count(&c->launch.in[i].shape))))
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for values");
        MCF_TRY(draw_input(c, i, seed, number, values[i], err));
        settle(&c->launch.in[i], values[i]);
    }
    if (!derived)
        return MCF_OK;
    MCF_TRY(derive(c, values, err));
    for (int i = 0; i < c->launch.n_in; i++)
        if (c->values[i] == MCF_VALUES_OUTPUT)
            settle(&c->launch.in[i], values[i]);
    return MCF_OK;
}
