// From a launch to the function of its operation.
#include <omp.h>

#include "backends/cpu/cpu.h"
#include "backends/cpu/launch.h"
#include "ops/rules.h"

#define ROW(name) [MCF_OP_##name] = mcf_cpu_op_##name
static const mcf_cpu_operation operations[MCF_OP_COUNT] = {
    ROW(fill),
    ROW(copy),
    ROW(pad),
    ROW(concat),
    ROW(gather_rows),
    ROW(scatter_rows),
    ROW(add),
    ROW(mul),
    ROW(scale),
    ROW(relu),
    ROW(relu_grad),
    ROW(gelu),
    ROW(gelu_grad),
    ROW(sigmoid),
    ROW(sigmoid_grad),
    ROW(reduce_sum),
    ROW(matmul),
    ROW(sum_squares),
    ROW(layer_norm),
    ROW(layer_norm_grad),
    ROW(add_layer_norm),
    ROW(batch_variance),
    ROW(batch_norm),
    ROW(batch_norm_sums),
    ROW(batch_norm_grad),
    ROW(l2_normalize),
    ROW(l2_normalize_grad),
    ROW(softmax),
    ROW(softmax_grad),
    ROW(attention),
    ROW(attention_grad),
    ROW(token_mse),
    ROW(token_mse_grad),
    ROW(cross_entropy),
    ROW(cross_entropy_grad),
    ROW(normalize_image),
    ROW(resize_nearest),
    ROW(resize_nearest_grad),
    ROW(ema),
    ROW(adamw),
};

// f64 can be filled, copied and moved as bytes, but not computed in.
static bool type_works(mcf_op op, mcf_dtype dtype)
{
    return dtype != MCF_F64 || op == MCF_OP_fill || op == MCF_OP_copy;
}

bool mcf_cpu_supports(const mcf_device *device, const mcf_launch *launch)
{
    if ((unsigned)launch->op >= MCF_OP_COUNT || !operations[launch->op])
        return false;
    mcf_launch typed = *launch;
    if (mcf_infer_types(&typed, NULL) != MCF_OK)
        return false;
    for (int i = 0; i < launch->n_in; i++)
        if (mcf_input_is_present(launch, i) && !type_works(launch->op, launch->in[i].dtype))
            return false;
    for (int i = 0; i < launch->n_out; i++)
        if (typed.out[i].dtype != launch->out[i].dtype || !type_works(launch->op, launch->out[i].dtype))
            return false;
    if (launch->op == MCF_OP_copy && launch->in[0].dtype != launch->out[0].dtype)
        return launch->in[0].dtype != MCF_F64 && launch->out[0].dtype != MCF_F64;
    return true;
}

mcf_status mcf_cpu_check_range(const mcf_buffer *buffer, uint64_t offset, uint64_t bytes, const char *what,
                               mcf_error *err)
{
    if (offset > buffer->bytes || bytes > buffer->bytes - offset)
        return mcf_fail(err, MCF_ERR_INTERNAL, "%s: bytes %llu to %llu of a buffer of %llu", what,
                        (unsigned long long)offset, (unsigned long long)(offset + bytes),
                        (unsigned long long)buffer->bytes);
    return MCF_OK;
}

static mcf_status check_operand(const mcf_operand *operand, mcf_error *err)
{
    uint64_t size = mcf_dtype_size(operand->dtype), last = 0;
    if (!operand->buffer)
        return MCF_OK;
    for (int i = 0; i < operand->shape.rank; i++) {
        if (operand->shape.dim[i] == 0)
            return MCF_OK;
        last += (uint64_t)(operand->shape.dim[i] - 1) * (uint64_t)operand->stride[i];
    }
    return mcf_cpu_check_range(operand->buffer, operand->offset, (last + 1) * size, "operand", err);
}

static mcf_status run(mcf_device *device, const mcf_launch *launch, mcf_error *err)
{
    if (!launch->out[0].buffer)
        return mcf_fail(err, MCF_ERR_INTERNAL, "no output");
    for (int i = 0; i < launch->n_in; i++)
        MCF_TRY(check_operand(&launch->in[i], err));
    for (int i = 0; i < launch->n_out; i++)
        MCF_TRY(check_operand(&launch->out[i], err));
    return operations[launch->op](device, launch, err);
}

mcf_status mcf_cpu_launch(mcf_stream *stream, const mcf_launch *launch, mcf_error *err)
{
    if ((unsigned)launch->op >= MCF_OP_COUNT || !operations[launch->op])
        return mcf_fail(err, MCF_ERR_UNSUPPORTED, "cpu: operation %d is not one to launch", (int)launch->op);
    // oneDNN takes as many threads as the calling thread's setting says.
    int before = omp_get_max_threads(), threads = stream->device->threads;
    if (before != threads)
        omp_set_num_threads(threads);
    mcf_status status = run(stream->device, launch, err);
    if (before != threads)
        omp_set_num_threads(before);
    return status == MCF_OK ? status : mcf_add_context(err, status, "cpu: %s", mcf_op_describe(launch->op)->name);
}
