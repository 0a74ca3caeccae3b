#include "bench/listed.h"

#include <stdlib.h>

#include "backends/check/cases.h"
#include "backends/host/elements.h"
#include "ops/rules.h"

typedef struct {
    mcf_check_case largest;
    double work;
} choice;

static mcf_status look(mcf_case_maker *maker, const mcf_check_case *c, mcf_error *err)
{
    choice *chosen = maker->context;
    const mcf_cost cost = mcf_op_cost(&c->launch);
    if (!c->unwanted && cost.flops + cost.bytes > chosen->work)
        *chosen = (choice){*c, cost.flops + cost.bytes};
    return MCF_OK;
}

static uint64_t bytes_of(const mcf_operand *operand)
{
    return (uint64_t)mcf_shape_count(&operand->shape) * mcf_dtype_size(operand->dtype);
}

static mcf_status give(const mcf_backend *backend, mcf_device *device, mcf_stream *stream, mcf_operand *operand,
                       const double *values, mcf_error *err)
{
    const uint64_t bytes = bytes_of(operand);
    mcf_contiguous_strides(&operand->shape, operand->stride);
    MCF_TRY(backend->buffer_create(device, bytes ? bytes : 64, &operand->buffer, err));
    if (!values)
        return MCF_OK;
    char *stored = malloc(bytes + 1);
    if (!stored)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %llu bytes", (unsigned long long)bytes);
    for (int64_t i = 0, count = mcf_shape_count(&operand->shape); i < count; i++)
        mcf_store_element(stored, operand->dtype, i, values[i]);
    mcf_status status = backend->upload(stream, operand->buffer, 0, stored, bytes, err);
    if (status == MCF_OK)
        status = backend->stream_synchronize(stream, err);
    free(stored);
    return status;
}

mcf_status mcf_bench_listed(const mcf_backend *backend, mcf_device *device, mcf_stream *stream, mcf_op op,
                            mcf_dtype type, mcf_launch *launch, mcf_error *err)
{
    choice chosen = {.work = 0};
    mcf_case_maker maker = {.type = type, .emit = look, .context = &chosen};
    double *values[MCF_MAX_INPUTS] = {NULL};
    MCF_TRY(mcf_check_make_cases(&maker, op, err));
    if (chosen.work <= 0)
        return mcf_fail(err, MCF_ERR_USAGE, "bench: '%s' has no shape to measure in %s", mcf_op_describe(op)->name,
                        mcf_dtype_name(type));
    const mcf_check_case *c = &chosen.largest;
    *launch = c->launch;
    mcf_status status = mcf_check_draw(c, 0, 0, values, err);
    for (int i = 0; status == MCF_OK && i < launch->n_in; i++)
        if (values[i])
            status = give(backend, device, stream, &launch->in[i], values[i], err);
    for (int i = 0; status == MCF_OK && i < launch->n_out; i++) {
        if (i == 0 && mcf_op_describe(op)->changed & 1)
            launch->out[i] = launch->in[0];
        else
            status = give(backend, device, stream, &launch->out[i], NULL, err);
    }
    for (int i = 0; i < MCF_MAX_INPUTS; i++)
        free(values[i]);
    return status;
}
