// Looks up rows of ops.def; small helpers on operands.
#include "ops/node.h"

#include <string.h>

// Sums and masks over the operands of a row, as constant expressions.
enum { NONE, OPTIONAL, STRIDED, CHANGED, ADDS };
#define COUNT_OPTIONAL(NAME, operand, type, mark) +((int)(mark) == (int)OPTIONAL)
#define BIT_OPTIONAL(NAME, operand, type, mark) | (uint32_t)((mark) == OPTIONAL) << NAME##_IN_##operand
#define BIT_STRIDED(NAME, operand, type, mark) | (uint32_t)((mark) == STRIDED) << NAME##_IN_##operand
#define BIT_CHANGED(NAME, operand, type, mark) | (uint32_t)((mark) == CHANGED) << NAME##_IN_##operand
#define BIT_ADDS(NAME, operand, type, mark) | (uint32_t)((mark) == ADDS) << NAME##_OUT_##operand
#define WORD(NAME, operand, type, mark) #operand,

#define ROW(name_, NAME, in_, out_, collective_, flops, fp32, fp16)                                                    \
    [MCF_OP_##name_] = {.name = #name_,                                                                                \
                        .inputs = NAME##_INPUTS,                                                                       \
                        .optional = 0 MCF_EACH(COUNT_OPTIONAL, NAME, in_),                                             \
                        .outputs = NAME##_OUTPUTS,                                                                     \
                        .strided = 0u MCF_EACH(BIT_STRIDED, NAME, in_),                                                \
                        .changed = 0u MCF_EACH(BIT_CHANGED, NAME, in_),                                                \
                        .accumulates = 0u MCF_EACH(BIT_ADDS, NAME, out_),                                              \
                        .collective = collective_,                                                                     \
                        .flops_per_element = flops,                                                                    \
                        .tolerance32 = fp32,                                                                           \
                        .tolerance16 = fp16,                                                                           \
                        .in = {MCF_EACH(WORD, NAME, in_)},                                                             \
                        .out = {MCF_EACH(WORD, NAME, out_)}},
static const mcf_op_info table[MCF_OP_COUNT] = {
#define MCF_OP(name, NAME, in, out, ...) ROW(name, NAME, in, out, false, __VA_ARGS__)
#define MCF_COLLECTIVE(name, NAME, in, out, ...) ROW(name, NAME, in, out, true, __VA_ARGS__)
#include "ops/ops.def"
};

// The optional inputs are the last ones.
#define MCF_OP(name, NAME, in, out, ...)                                                                               \
    _Static_assert((int)NAME##_INPUTS <= (int)MCF_MAX_INPUTS && (int)NAME##_OUTPUTS <= (int)MCF_MAX_OUTPUTS &&         \
                       NAME##_OUTPUTS >= 1,                                                                            \
                   "ops.def: operands of " #name);                                                                     \
    _Static_assert((0u MCF_EACH(BIT_OPTIONAL, NAME, in)) >>                                                            \
                           (NAME##_INPUTS - (0 MCF_EACH(COUNT_OPTIONAL, NAME, in))) ==                                 \
                       (1u << (0 MCF_EACH(COUNT_OPTIONAL, NAME, in))) - 1u,                                            \
                   "ops.def: optional inputs of " #name " are not the last");
#include "ops/ops.def"

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
    return table[op].collective;
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
