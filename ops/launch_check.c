// What every backend asks of a launch before it starts: the table's element types, and operands that lie in their buffers.
#include "ops/rules.h"

#include <stdio.h>

bool mcf_types_are_allowed(const mcf_launch *l, bool wide)
{
    mcf_launch typed = *l;
    if (mcf_infer_types(&typed, NULL) != MCF_OK)
        return false;
    for (int i = 0; i < l->n_in; i++)
        if (!wide && mcf_input_is_present(l, i) && l->in[i].dtype == MCF_F64)
            return false;
    for (int i = 0; i < l->n_out; i++)
        if (mcf_output_is_wanted(l, i) &&
            (typed.out[i].dtype != l->out[i].dtype || (!wide && l->out[i].dtype == MCF_F64)))
            return false;
    return true;
}

mcf_status mcf_check_range(uint64_t size, uint64_t offset, uint64_t bytes, const char *what, mcf_error *err)
{
    if (offset > size || bytes > size - offset)
        return mcf_fail(err, MCF_ERR_INTERNAL, "%s: bytes %llu to %llu of a buffer of %llu", what,
                        (unsigned long long)offset, (unsigned long long)(offset + bytes), (unsigned long long)size);
    return MCF_OK;
}

// Bytes from an operand's start to just behind its last element.
static uint64_t extent(const mcf_operand *operand)
{
    uint64_t last = 0;
    for (int i = 0; i < operand->shape.rank; i++) {
        if (operand->shape.dim[i] == 0)
            return 0;
        last += (uint64_t)(operand->shape.dim[i] - 1) * (uint64_t)operand->stride[i];
    }
    return (last + 1) * mcf_dtype_size(operand->dtype);
}

static mcf_status check_operand(const mcf_operand *operand, const char *what, const char *name, uint64_t size,
                                mcf_error *err)
{
    const size_t element = mcf_dtype_size(operand->dtype);
    const uint64_t bytes = extent(operand);
    char text[80];
    if (operand->offset % element == 0 && operand->offset <= size && bytes <= size - operand->offset)
        return MCF_OK;
    snprintf(text, sizeof text, "%s %s", what, name);
    if (operand->offset % element)
        return mcf_fail(err, MCF_ERR_INTERNAL, "%s: offset %zu is no multiple of %zu", text, operand->offset, element);
    return mcf_check_range(size, operand->offset, bytes, text, err);
}

mcf_status mcf_check_operands(const mcf_launch *l, uint64_t (*size)(const mcf_buffer *buffer), mcf_error *err)
{
    const mcf_op_info *info = mcf_op_describe(l->op);
    for (int i = 0; i < l->n_in; i++)
        if (l->in[i].buffer)
            MCF_TRY(check_operand(&l->in[i], "input", info->in[i], size(l->in[i].buffer), err));
        else if (mcf_input_is_present(l, i))
            return mcf_fail(err, MCF_ERR_INTERNAL, "input %s is missing", info->in[i]);
    if (!l->out[0].buffer)
        return mcf_fail(err, MCF_ERR_INTERNAL, "output %s is missing", info->out[0]);
    for (int i = 0; i < l->n_out; i++)
        if (l->out[i].buffer)
            MCF_TRY(check_operand(&l->out[i], "output", info->out[i], size(l->out[i].buffer), err));
    return MCF_OK;
}
