// From a launch to a function on doubles and back: checks, reads, calls, rounds, writes.
#include "backends/reference/reference.h"
#include "ops/rules.h"

#include <stdlib.h>

static mcf_status (*const functions[MCF_OP_COUNT])(ref_call *, mcf_error *) = {
#define MCF_OP(name, ...) [MCF_OP_##name] = ref_##name,
#include "ops/ops.def"
};

bool ref_supports(const mcf_device *device, const mcf_launch *launch)
{
    return mcf_types_are_allowed(launch, true);
}

static uint64_t size_of(const mcf_buffer *buffer)
{
    return buffer->bytes;
}

static mcf_status check(const mcf_launch *launch, mcf_error *err)
{
    mcf_launch expected = *launch;
    MCF_TRY(mcf_infer_shapes(&expected, 1, err));
    MCF_TRY(mcf_check_operands(launch, size_of, err));
    for (int i = 0; i < launch->n_out; i++) {
        const mcf_operand *out = &launch->out[i];
        if (out->buffer && (out->dtype != expected.out[i].dtype ||
                            !mcf_shape_equal(&out->shape, &expected.out[i].shape) || !mcf_operand_is_contiguous(out)))
            return mcf_fail(err, MCF_ERR_INTERNAL, "output %d has another type, shape or layout than it must", i);
    }
    return MCF_OK;
}

static mcf_status run(ref_call *call, mcf_error *err)
{
    const mcf_launch *l = call->launch;
    for (int i = 0; i < l->n_in; i++)
        if (l->in[i].buffer && !(call->in[i] = ref_read(&l->in[i])))
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for input %d", i);
    mcf_launch whole = *l;
    whole.n_out = mcf_op_describe(l->op)->outputs;
    for (int i = l->n_out; i < whole.n_out; i++)
        whole.out[i] = (mcf_operand){.dtype = l->out[0].dtype};
    MCF_TRY(mcf_infer_shapes(&whole, 1, err));
    for (int i = 0; i < whole.n_out; i++) {
        int64_t count = mcf_shape_count(&whole.out[i].shape);
        if (!(call->out[i] = calloc((size_t)(count ? count : 1), sizeof *call->out[i])))
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for output %d", i);
    }
    call->launch = &whole;
    MCF_TRY(functions[l->op](call, err));
    for (int i = 0; i < l->n_out; i++)
        if (l->out[i].buffer)
            ref_write(&l->out[i], call->out[i], l->accumulate >> i & 1);
    return MCF_OK;
}

mcf_status ref_launch(mcf_stream *stream, const mcf_launch *launch, mcf_error *err)
{
    const char *name = mcf_op_describe(launch->op)->name;
    ref_call call = {.launch = launch};
    mcf_status status = check(launch, err);
    if (status == MCF_OK)
        status = run(&call, err);
    for (int i = 0; i < MCF_MAX_INPUTS; i++)
        free(call.in[i]);
    for (int i = 0; i < MCF_MAX_OUTPUTS; i++)
        free(call.out[i]);
    return status == MCF_OK ? status : mcf_add_context(err, status, "%s", name);
}
