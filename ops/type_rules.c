// Element types of inputs and outputs, and which inputs are there.
#include "ops/rules.h"

// The letters are explained in rules.h.
static const struct {
    const char *in, *out;
} types[MCF_OP_COUNT] = {
    [MCF_OP_fill] = {"", "a"},
    [MCF_OP_copy] = {"a", "a"},
    [MCF_OP_pad] = {"f", "f"},
    [MCF_OP_concat] = {"ff", "f"},
    [MCF_OP_gather_rows] = {"fi", "f"},
    [MCF_OP_scatter_rows] = {"fi", "f"},
    [MCF_OP_add] = {"ff", "f"},
    [MCF_OP_mul] = {"ff", "f"},
    [MCF_OP_scale] = {"f", "f"},
    [MCF_OP_relu] = {"f", "f"},
    [MCF_OP_relu_grad] = {"ff", "f"},
    [MCF_OP_gelu] = {"f", "f"},
    [MCF_OP_gelu_grad] = {"ff", "f"},
    [MCF_OP_sigmoid] = {"f", "f"},
    [MCF_OP_sigmoid_grad] = {"ff", "f"},
    [MCF_OP_reduce_sum] = {"f", "f"},
    [MCF_OP_matmul] = {"ffs", "f"},
    [MCF_OP_sum_squares] = {"f", "s"},
    [MCF_OP_layer_norm] = {"fss", "fss"},
    [MCF_OP_layer_norm_grad] = {"fsssff", "fss"},
    [MCF_OP_add_layer_norm] = {"ffss", "ffss"},
    [MCF_OP_batch_variance] = {"fs", "s"},
    [MCF_OP_batch_norm] = {"fssss", "f"},
    [MCF_OP_batch_norm_sums] = {"fssf", "ss"},
    [MCF_OP_batch_norm_grad] = {"fssfsss", "f"},
    [MCF_OP_l2_normalize] = {"f", "f"},
    [MCF_OP_l2_normalize_grad] = {"ff", "f"},
    [MCF_OP_softmax] = {"f", "f"},
    [MCF_OP_softmax_grad] = {"ff", "f"},
    [MCF_OP_attention] = {"f", "fs"},
    [MCF_OP_attention_grad] = {"ffsf", "f"},
    [MCF_OP_token_mse] = {"ff", "sss"},
    [MCF_OP_token_mse_grad] = {"ffsss", "f"},
    [MCF_OP_cross_entropy] = {"fi", "ss"},
    [MCF_OP_cross_entropy_grad] = {"fiss", "f"},
    [MCF_OP_normalize_image] = {"uu", "f"},
    [MCF_OP_resize_nearest] = {"f", "f"},
    [MCF_OP_resize_nearest_grad] = {"f", "f"},
    [MCF_OP_ema] = {"ffs", "="},
    [MCF_OP_adamw] = {"ssssiss", "="},
    [MCF_OP_all_reduce] = {"f", "="},
    [MCF_OP_all_gather] = {"a", "="},
    [MCF_OP_reduce_scatter] = {"f", "="},
    [MCF_OP_broadcast] = {"a", "="},
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
    const char *in = types[l->op].in, *out = types[l->op].out;
    int wide = -1; // whether the floats are f64; -1 until one is seen
    for (int i = 0; i < l->n_in; i++) {
        mcf_dtype dtype = l->in[i].dtype;
        if (!mcf_input_is_present(l, i))
            continue;
        const char *name = mcf_dtype_name(dtype);
        if ((in[i] == 'f' || in[i] == 's') && !mcf_dtype_is_float(dtype))
            return mcf_fail(err, MCF_ERR_SHAPE, "input %d must be a float, is %s", i, name);
        if (in[i] == 's' && dtype != MCF_F32 && dtype != MCF_F64)
            return mcf_fail(err, MCF_ERR_SHAPE, "input %d must be f32, is %s", i, name);
        if (in[i] == 'i' && dtype != MCF_I64)
            return mcf_fail(err, MCF_ERR_SHAPE, "input %d must be i64, is %s", i, name);
        if (in[i] == 'u' && dtype != MCF_U8)
            return mcf_fail(err, MCF_ERR_SHAPE, "input %d must be u8, is %s", i, name);
        if (!mcf_dtype_is_float(dtype))
            continue;
        if (wide >= 0 && wide != (dtype == MCF_F64))
            return mcf_fail(err, MCF_ERR_SHAPE, "f64 does not mix with other floats (input %d is %s)", i, name);
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
                return mcf_fail(err, MCF_ERR_SHAPE, "output %d must be a float, is %s", i, mcf_dtype_name(*dtype));
            if (wide >= 0 && wide != (*dtype == MCF_F64))
                return mcf_fail(err, MCF_ERR_SHAPE, "output %d is %s, but inputs are%s f64", i, mcf_dtype_name(*dtype),
                                wide ? "" : " not");
        }
    }
    if (l->op == MCF_OP_copy && l->in[0].dtype != l->out[0].dtype &&
        !(mcf_dtype_is_float(l->in[0].dtype) && mcf_dtype_is_float(l->out[0].dtype)))
        return mcf_fail(err, MCF_ERR_SHAPE, "no conversion from %s to %s", mcf_dtype_name(l->in[0].dtype),
                        mcf_dtype_name(l->out[0].dtype));
    return MCF_OK;
}
