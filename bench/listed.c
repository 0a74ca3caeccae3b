#include "bench/listed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backends/host/elements.h"
#include "ops/rules.h"

typedef struct {
    mcf_check_case chosen;
    double work;
} largest;

static mcf_status look_for_largest(mcf_case_maker *maker, const mcf_check_case *c, mcf_error *err)
{
    largest *l = maker->context;
    const mcf_cost cost = mcf_op_cost(&c->launch);
    if (!c->unwanted && cost.flops + cost.bytes > l->work)
        *l = (largest){*c, cost.flops + cost.bytes};
    return MCF_OK;
}

mcf_status mcf_bench_listed(mcf_op op, mcf_dtype type, mcf_launch *launch, mcf_error *err)
{
    largest l = {.work = 0};
    mcf_case_maker maker = {.type = type, .emit = look_for_largest, .context = &l};
    MCF_TRY(mcf_check_make_cases(&maker, op, err));
    if (l.work <= 0 && type != MCF_F32)
        return mcf_bench_listed(op, MCF_F32, launch, err);
    if (l.work <= 0)
        return mcf_fail(err, MCF_ERR_USAGE, "bench: '%s' has no shape to measure in %s", mcf_op_describe(op)->name,
                        mcf_dtype_name(type));
    *launch = l.chosen.launch;
    return MCF_OK;
}

// --- values

typedef struct {
    const mcf_launch *launch;
    mcf_check_values values[MCF_MAX_INPUTS];
    bool found;
} kinds;

// The first case of the list with the launch's operands says what they hold.
static mcf_status look_for_kinds(mcf_case_maker *maker, const mcf_check_case *c, mcf_error *err)
{
    kinds *k = maker->context;
    bool same = !k->found;
    for (int i = 0; same && i < c->launch.n_in; i++)
        same = mcf_input_is_present(&c->launch, i) == mcf_input_is_present(k->launch, i);
    if (same)
        memcpy(k->values, c->values, sizeof k->values);
    k->found |= same;
    return MCF_OK;
}

// Values that any order and number of elements may have.
static bool are_alike(mcf_check_values kind)
{
    return kind < MCF_VALUES_ROWS || kind == MCF_VALUES_BYTES || kind == MCF_VALUES_FLAGS;
}

// The check's values for a device that is timed: none of those at the ends of a function, where denormals are slow, and no
// outputs of other operations, which would take the reference minutes.
static mcf_check_values kind_for_timing(mcf_check_values kind)
{
    if (kind == MCF_VALUES_OUTPUT)
        return MCF_VALUES_POSITIVE;
    if (kind >= MCF_VALUES_SCALARS && kind <= MCF_VALUES_SCALARS_NAN)
        return MCF_VALUES_SCALARS;
    return kind == MCF_VALUES_SHIFTED || kind == MCF_VALUES_LARGE || kind == MCF_VALUES_ZERO_LINE ? MCF_VALUES_NORMAL
                                                                                                  : kind;
}

// What the inputs are drawn from: a case of the launch's shapes, where much of the same kind is drawn once and repeated.
static mcf_status case_for(const mcf_launch *launch, mcf_check_case *c, mcf_error *err)
{
    enum { DRAWN = 1 << 16 };
    kinds k = {.launch = launch};
    mcf_case_maker maker = {.type = MCF_F32, .emit = look_for_kinds, .context = &k};
    MCF_TRY(mcf_check_make_cases(&maker, launch->op, err));
    *c = (mcf_check_case){.launch = *launch};
    for (int i = 0; i < launch->n_in; i++)
        c->values[i] = kind_for_timing(k.values[i]);
    c->limit = mcf_case_limit(c);
    for (int i = 0; i < launch->n_in; i++) {
        mcf_operand *in = &c->launch.in[i];
        if (are_alike(c->values[i]) && mcf_shape_count(&in->shape) > DRAWN)
            in->shape = MCF_SHAPE(DRAWN);
        mcf_contiguous_strides(&in->shape, in->stride);
    }
    return MCF_OK;
}

// Elements from the first to the last, through the strides.
static int64_t extent(const mcf_operand *operand)
{
    int64_t last = 0;
    for (int i = 0; i < operand->shape.rank; i++)
        last += (operand->shape.dim[i] - 1) * operand->stride[i];
    return mcf_shape_count(&operand->shape) ? last + 1 : 0;
}

// --- buffers

static mcf_status give(const mcf_backend *backend, mcf_device *device, mcf_stream *stream, mcf_operand *operand,
                       const double *values, int64_t drawn, mcf_error *err)
{
    const int64_t count = extent(operand);
    const uint64_t size = mcf_dtype_size(operand->dtype), bytes = (uint64_t)count * size;
    operand->offset = 0;
    MCF_TRY(backend->buffer_create(device, bytes ? bytes : 64, &operand->buffer, err));
    if (!values || !drawn)
        return MCF_OK;
    char *stored = malloc(bytes + 1);
    if (!stored)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %llu bytes", (unsigned long long)bytes);
    // Products with a weight are of order 1, as in a network.
    const int rank = operand->shape.rank;
    const double scale = operand->version && rank > 1 ? 1 / sqrt((double)operand->shape.dim[rank - 1]) : 1;
    for (int64_t i = 0; i < count && i < drawn; i++)
        mcf_store_element(stored, operand->dtype, i, scale * values[i]);
    for (int64_t i = drawn; i < count; i += drawn)
        memcpy(stored + (uint64_t)i * size, stored, (uint64_t)(count - i < drawn ? count - i : drawn) * size);
    mcf_status status = backend->upload(stream, operand->buffer, 0, stored, bytes, err);
    if (status == MCF_OK)
        status = backend->stream_synchronize(stream, err);
    free(stored);
    return status;
}

mcf_status mcf_bench_give(const mcf_backend *backend, mcf_device *device, mcf_stream *stream, mcf_launch *launch,
                          bool recorded, mcf_error *err)
{
    uint32_t present[2] = {0};
    for (int i = 0; i < launch->n_in; i++)
        present[0] |= (uint32_t)mcf_input_is_present(launch, i) << i;
    for (int i = 0; i < launch->n_out; i++) {
        present[1] |= (uint32_t)(!recorded || launch->out[i].buffer) << i;
        launch->out[i].buffer = NULL;
    }
    mcf_check_case c;
    double *values[MCF_MAX_INPUTS] = {NULL};
    mcf_status status = case_for(launch, &c, err);
    for (int i = 0; i < launch->n_in; i++)
        launch->in[i].buffer = NULL;
    if (status == MCF_OK)
        status = mcf_check_draw(&c, 0, 0, values, err);
    for (int i = 0; status == MCF_OK && i < launch->n_in; i++)
        if (present[0] >> i & 1)
            status =
                give(backend, device, stream, &launch->in[i], values[i], mcf_shape_count(&c.launch.in[i].shape), err);
    for (int i = 0; status == MCF_OK && i < launch->n_out; i++) {
        if (i == 0 && mcf_op_describe(launch->op)->changed & 1)
            launch->out[i] = launch->in[0];
        else if (present[1] >> i & 1) {
            mcf_contiguous_strides(&launch->out[i].shape, launch->out[i].stride);
            status = give(backend, device, stream, &launch->out[i], NULL, 0, err);
        }
    }
    for (int i = 0; i < MCF_MAX_INPUTS; i++)
        free(values[i]);
    return status;
}

void mcf_bench_release(const mcf_backend *backend, mcf_launch *launch)
{
    for (int i = 0; i < launch->n_out; i++)
        if (launch->out[i].buffer && launch->out[i].buffer != launch->in[0].buffer)
            backend->buffer_destroy(launch->out[i].buffer);
    for (int i = 0; i < launch->n_in; i++)
        if (launch->in[i].buffer)
            backend->buffer_destroy(launch->in[i].buffer);
}
