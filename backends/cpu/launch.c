// From a launch to the function of its operation.
#include <omp.h>

#include "backends/cpu/cpu.h"
#include "backends/cpu/guard.h"
#include "backends/cpu/launch.h"
#include "ops/rules.h"

// An operation that this backend does not have is NULL: `supports` says no, and `mcf check` reports it.
#define MCF_COLLECTIVE(name, ...)
#define MCF_OP(name, ...) extern __typeof__(mcf_cpu_op_##name) mcf_cpu_op_##name __attribute__((weak));
#include "ops/ops.def"
static const mcf_cpu_operation operations[MCF_OP_COUNT] = {
#define MCF_COLLECTIVE(name, ...)
#define MCF_OP(name, ...) [MCF_OP_##name] = mcf_cpu_op_##name,
#include "ops/ops.def"
};

// f64 can be filled and copied, but not converted or computed in.
bool mcf_cpu_supports(const mcf_device *device, const mcf_launch *launch)
{
    if ((unsigned)launch->op >= MCF_OP_COUNT || !operations[launch->op])
        return false;
    if (launch->op != MCF_OP_copy)
        return mcf_types_are_allowed(launch, launch->op == MCF_OP_fill);
    return mcf_types_are_allowed(launch, launch->in[COPY_IN_x].dtype == launch->out[COPY_OUT_out].dtype);
}

static uint64_t size_of(const mcf_buffer *buffer)
{
    return buffer->bytes;
}

mcf_status mcf_cpu_check_range(const mcf_buffer *buffer, uint64_t offset, uint64_t bytes, const char *what,
                               mcf_error *err)
{
    return mcf_check_range(buffer->bytes, offset, bytes, what, err);
}

typedef struct {
    mcf_device *device;
    const mcf_launch *launch;
} guarded_launch;

static mcf_status run(void *context, mcf_error *err)
{
    const guarded_launch *l = context;
    MCF_TRY(mcf_check_operands(l->launch, size_of, err));
    return operations[l->launch->op](l->device, l->launch, err);
}

mcf_status mcf_cpu_launch(mcf_stream *stream, const mcf_launch *launch, mcf_error *err)
{
    if ((unsigned)launch->op >= MCF_OP_COUNT || !operations[launch->op])
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "cpu: operation %d is not one to launch", (int)launch->op);
    MCF_TRY(mcf_cpu_check_room(MCF_CPU_ROOM, err));
    // oneDNN takes as many threads as the calling thread's setting says.
    int before = omp_get_max_threads(), threads = stream->device->threads;
    if (before != threads)
        omp_set_num_threads(threads);
    mcf_status status = mcf_cpu_guarded(run, &(guarded_launch){stream->device, launch}, err);
    if (before != threads)
        omp_set_num_threads(before);
    return status == MCF_OK ? status : mcf_add_context(err, status, "cpu: %s", mcf_op_describe(launch->op)->name);
}
