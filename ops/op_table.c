// Looks up rows of ops.def; small helpers on operands.
#include "ops/node.h"

#include <string.h>

static const mcf_op_info table[MCF_OP_COUNT] = {
#define MCF_OP(name, inputs, optional, outputs, strided, accumulates, flops, tolerance32, tolerance16)                 \
    [MCF_OP_##name] = {#name, inputs, optional, outputs, strided, accumulates, flops, tolerance32, tolerance16},
#include "ops/ops.def"
#undef MCF_OP
};

#define MCF_OP(name, inputs, optional, outputs, ...)                                                                   \
    _Static_assert((inputs) <= MCF_MAX_INPUTS && (outputs) <= MCF_MAX_OUTPUTS && (outputs) >= 1 &&                     \
                       (optional) <= (inputs),                                                                         \
                   "ops.def: " #name);
#include "ops/ops.def"
#undef MCF_OP

const mcf_op_info *mcf_op_describe(mcf_op op)
{
    return &table[op];
}

mcf_op mcf_op_find(const char *name)
{
    for (int op = 0; op < MCF_OP_COUNT; op++)
        if (!strcmp(table[op].name, name))
            return (mcf_op)op;
    return MCF_OP_COUNT;
}

bool mcf_op_is_collective(mcf_op op)
{
    return op == MCF_OP_all_reduce || op == MCF_OP_all_gather || op == MCF_OP_reduce_scatter || op == MCF_OP_broadcast;
}

void mcf_contiguous_strides(const mcf_shape *shape, int64_t stride[MCF_MAX_RANK])
{
    int64_t step = 1;
    for (int i = shape->rank; i < MCF_MAX_RANK; i++)
        stride[i] = 0;
    for (int i = shape->rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= shape->dim[i];
    }
}

// The stride of a dimension of size 1 is never used, and with no element none is.
bool mcf_operand_is_contiguous(const mcf_operand *operand)
{
    int64_t step = 1;
    if (mcf_shape_count(&operand->shape) == 0)
        return true;
    for (int i = operand->shape.rank - 1; i >= 0; i--) {
        if (operand->shape.dim[i] != 1 && operand->stride[i] != step)
            return false;
        step *= operand->shape.dim[i];
    }
    return true;
}
