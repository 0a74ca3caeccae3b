// Element types of inputs and outputs, and which inputs are there.
#include "ops/rules.h"

// A letter for each type of ops.def; rules.h says what they mean.
#define LETTER_float "f"
#define LETTER_f32 "s"
#define LETTER_i64 "i"
#define LETTER_u8 "u"
#define LETTER_any "a"
#define LETTER_same "="
#define LETTER(NAME, operand, type, mark) LETTER_##type

static const struct {
    const char *in, *out;
} types[MCF_OP_COUNT] = {
#define MCF_OP(name, NAME, inputs, outputs, ...)                                                                       \
    [MCF_OP_##name] = {"" MCF_EACH(LETTER, NAME, inputs), "" MCF_EACH(LETTER, NAME, outputs)},
#include "ops/ops.def"
};

// While a graph is built no output has a buffer, and all are wanted.
bool mcf_output_is_wanted(const mcf_launch *l, int i)
{
    return i == 0 || l->out[i].buffer || !l->out[0].buffer;
}

const char *mcf_op_input_types(mcf_op op)
{
    return types[op].in;
}

const char *mcf_op_output_types(mcf_op op)
{
    return types[op].out;
}

bool mcf_input_is_present(const mcf_launch *l, int i)
{
    const mcf_op_info *info = mcf_op_describe(l->op);
    if (i >= l->n_in)
        return false;
    return i < info->inputs - info->optional || l->in[i].shape.rank > 0 || l->in[i].buffer;
}

mcf_status mcf_infer_types(mcf_launch *l, mcf_error *err)
{
    const mcf_op_info *info = mcf_op_describe(l->op);
    const char *in = types[l->op].in, *out = types[l->op].out;
    int wide = -1; // whether the floats are f64; -1 until one is seen
    for (int i = 0; i < l->n_in; i++) {
        mcf_dtype dtype = l->in[i].dtype;
        if (!mcf_input_is_present(l, i))
            continue;
        const char *type = mcf_dtype_name(dtype), *name = info->in[i];
        if ((in[i] == 'f' || in[i] == 's') && !mcf_dtype_is_float(dtype))
            return mcf_fail(err, MCF_ERR_SHAPE, "%s must be a float, is %s", name, type);
        if (in[i] == 's' && dtype != MCF_F32 && dtype != MCF_F64)
            return mcf_fail(err, MCF_ERR_SHAPE, "%s must be f32, is %s", name, type);
        if (in[i] == 'i' && dtype != MCF_I64)
            return mcf_fail(err, MCF_ERR_SHAPE, "%s must be i64, is %s", name, type);
        if (in[i] == 'u' && dtype != MCF_U8)
            return mcf_fail(err, MCF_ERR_SHAPE, "%s must be u8, is %s", name, type);
        if (!mcf_dtype_is_float(dtype))
            continue;
        if (wide >= 0 && wide != (dtype == MCF_F64))
            return mcf_fail(err, MCF_ERR_SHAPE, "f64 does not mix with other floats (%s is %s)", name, type);
        wide = dtype == MCF_F64;
    }
    for (int i = 0; i < l->n_out; i++) {
        mcf_dtype *dtype = &l->out[i].dtype;
        if (!mcf_output_is_wanted(l, i))
            continue;
        if (out[i] == '=') {
            *dtype = l->in[0].dtype;
        } else if (out[i] == 's') {
            *dtype = wide == 1 ? MCF_F64 : MCF_F32;
        } else if (out[i] == 'f') {
            if (!mcf_dtype_is_float(*dtype))
                return mcf_fail(err, MCF_ERR_SHAPE, "%s must be a float, is %s", info->out[i], mcf_dtype_name(*dtype));
            if (wide >= 0 && wide != (*dtype == MCF_F64))
                return mcf_fail(err, MCF_ERR_SHAPE, "%s is %s, but inputs are%s f64", info->out[i],
                                mcf_dtype_name(*dtype), wide ? "" : " not");
        }
    }
    const mcf_dtype from = l->in[COPY_IN_x].dtype, to = l->out[COPY_OUT_out].dtype;
    if (l->op == MCF_OP_copy && from != to && !(mcf_dtype_is_float(from) && mcf_dtype_is_float(to)))
        return mcf_fail(err, MCF_ERR_SHAPE, "no conversion from %s to %s", mcf_dtype_name(from), mcf_dtype_name(to));
    return MCF_OK;
}
