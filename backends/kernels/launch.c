// From a launch to the function of its operation.
#include "backends/kernels/host.h"
#include "ops/rules.h"

#define ROW(name) [MCF_OP_##name] = dev_op_##name
static const dev_operation operations[MCF_OP_COUNT] = {
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

bool dev_present(const mcf_launch *l, int i)
{
    return mcf_input_is_present(l, i);
}

bool dev_wanted(const mcf_launch *l, int i)
{
    return i < l->n_out && l->out[i].buffer;
}

// f64 is moved, not computed in or converted.
static bool type_works(mcf_op op, mcf_dtype dtype)
{
    return dtype != MCF_F64 || op == MCF_OP_fill || op == MCF_OP_copy;
}

bool dev_supports(const mcf_device *device, const mcf_launch *launch)
{
    (void)device;
    if ((unsigned)launch->op >= MCF_OP_COUNT || !operations[launch->op])
        return false;
    mcf_launch typed = *launch;
    if (mcf_infer_types(&typed, NULL) != MCF_OK)
        return false;
    for (int i = 0; i < launch->n_in; i++)
        if (dev_present(launch, i) && !type_works(launch->op, launch->in[i].dtype))
            return false;
    for (int i = 0; i < launch->n_out; i++)
        if (typed.out[i].dtype != launch->out[i].dtype || !type_works(launch->op, launch->out[i].dtype))
            return false;
    return !(launch->op == MCF_OP_copy && launch->accumulate && launch->in[0].dtype == MCF_F64);
}

mcf_status dev_check_range(const mcf_buffer *buffer, uint64_t offset, uint64_t bytes, const char *what, mcf_error *err)
{
    if (offset > dev_buffer_bytes(buffer) || bytes > dev_buffer_bytes(buffer) - offset)
        return mcf_fail(err, MCF_ERR_INTERNAL, "%s: bytes %llu to %llu of a buffer of %llu", what,
                        (unsigned long long)offset, (unsigned long long)(offset + bytes),
                        (unsigned long long)dev_buffer_bytes(buffer));
    return MCF_OK;
}

static mcf_status check_operand(const mcf_operand *operand, mcf_error *err)
{
    uint64_t size = mcf_dtype_size(operand->dtype), last = 0;
    if (!operand->buffer)
        return MCF_OK;
    if (operand->offset % size)
        return mcf_fail(err, MCF_ERR_INTERNAL, "an operand's offset %zu is no multiple of %u", operand->offset,
                        (unsigned)size);
    for (int i = 0; i < operand->shape.rank; i++) {
        if (operand->shape.dim[i] == 0)
            return MCF_OK;
        last += (uint64_t)(operand->shape.dim[i] - 1) * (uint64_t)operand->stride[i];
    }
    return dev_check_range(operand->buffer, operand->offset, (last + 1) * size, "operand", err);
}

static mcf_status run(mcf_stream *stream, const mcf_launch *launch, mcf_error *err)
{
    if (!launch->out[0].buffer)
        return mcf_fail(err, MCF_ERR_INTERNAL, "no output");
    for (int i = 0; i < launch->n_in; i++)
        MCF_TRY(check_operand(&launch->in[i], err));
    for (int i = 0; i < launch->n_out; i++)
        MCF_TRY(check_operand(&launch->out[i], err));
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
