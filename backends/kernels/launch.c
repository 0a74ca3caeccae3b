// From a launch to the function of its operation.
#include "backends/kernels/host.h"
#include "ops/rules.h"

// An operation without shared kernels is NULL: `supports` says no, and `mcf check` reports it.
#define MCF_COLLECTIVE(name, ...)
#define MCF_OP(name, ...) extern __typeof__(dev_op_##name) dev_op_##name __attribute__((weak));
#include "ops/ops.def"
static const dev_operation operations[MCF_OP_COUNT] = {
#define MCF_COLLECTIVE(name, ...)
#define MCF_OP(name, ...) [MCF_OP_##name] = dev_op_##name,
#include "ops/ops.def"
};

bool dev_present(const mcf_launch *l, int i)
{
    return mcf_input_is_present(l, i);
}

bool dev_wanted(const mcf_launch *l, int i)
{
    return i < l->n_out && l->out[i].buffer;
}

// f64 is moved, not computed in or converted.
bool dev_supports(const mcf_device *device, const mcf_launch *launch)
{
    (void)device;
    if ((unsigned)launch->op >= MCF_OP_COUNT || !operations[launch->op])
        return false;
    return mcf_types_are_allowed(launch, launch->op == MCF_OP_fill || launch->op == MCF_OP_copy) &&
           !(launch->op == MCF_OP_copy && launch->accumulate && launch->in[COPY_IN_x].dtype == MCF_F64);
}

mcf_status dev_check_range(const mcf_buffer *buffer, uint64_t offset, uint64_t bytes, const char *what, mcf_error *err)
{
    return mcf_check_range(dev_buffer_bytes(buffer), offset, bytes, what, err);
}

static mcf_status run(mcf_stream *stream, const mcf_launch *launch, mcf_error *err)
{
    MCF_TRY(mcf_check_operands(launch, dev_buffer_bytes, err));
    dev_operation own = dev_own(stream, launch);
    return (own ? own : operations[launch->op])(stream, launch, err);
}

mcf_status dev_launch(mcf_stream *stream, const mcf_launch *launch, mcf_error *err)
{
    if ((unsigned)launch->op >= MCF_OP_COUNT || !operations[launch->op])
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "%s: operation %d is not one to launch", dev_backend_name,
                        (int)launch->op);
    mcf_status status = run(stream, launch, err);
    return status == MCF_OK
               ? status
               : mcf_add_context(err, status, "%s: %s", dev_backend_name, mcf_op_describe(launch->op)->name);
}
