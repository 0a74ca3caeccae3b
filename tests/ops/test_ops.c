// The operations' table, shape and type rules, costs.
#include "ops/node.h"

#include "ops/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

// --- the table

static void rows_are_plausible(void **state)
{
    assert_true(MCF_OP_COUNT >= 40 && MCF_OP_COUNT <= 64);
    for (int op = 0; op < MCF_OP_COUNT; op++) {
        const mcf_op_info *info = mcf_op_describe((mcf_op)op);
        assert_int_equal(mcf_op_find(info->name), op);
        assert_in_range(info->inputs, 0, MCF_MAX_INPUTS);
        assert_in_range(info->optional, 0, info->inputs);
        assert_in_range(info->outputs, 1, MCF_MAX_OUTPUTS);
        assert_int_equal(info->strided >> info->inputs, 0);
        assert_int_equal(info->accumulates >> info->outputs, 0);
        // 16 bits never promise more than 32, and both promise something.
        assert_true(info->tolerance32 >= 0 && info->tolerance32 <= 1e-4);
        assert_true(info->tolerance16 >= info->tolerance32 && info->tolerance16 <= 2e-2);
        assert_true(info->flops_per_element == -1 || (info->flops_per_element >= 0 && info->flops_per_element < 100));
        // A letter for each operand.
        assert_int_equal(strlen(mcf_op_input_types((mcf_op)op)), info->inputs);
        assert_int_equal(strlen(mcf_op_output_types((mcf_op)op)), info->outputs);
    }
    assert_int_equal(mcf_op_find("no_such_operation"), MCF_OP_COUNT);
    assert_int_equal(mcf_op_find(""), MCF_OP_COUNT);
}

static void four_operations_are_collective(void **state)
{
    int count = 0;
    for (int op = 0; op < MCF_OP_COUNT; op++)
        count += mcf_op_is_collective((mcf_op)op);
    assert_int_equal(count, 4);
    assert_true(mcf_op_is_collective(MCF_OP_all_reduce));
    assert_false(mcf_op_is_collective(MCF_OP_matmul));
}

static void strides_tell_what_is_contiguous(void **state)
{
    mcf_operand x = {.shape = MCF_SHAPE(2, 1, 5)};
    mcf_contiguous_strides(&x.shape, x.stride);
    assert_int_equal(x.stride[0], 5);
    assert_int_equal(x.stride[2], 1);
    assert_true(mcf_operand_is_contiguous(&x));
    x.stride[1] = 77; // of a single element: never used
    assert_true(mcf_operand_is_contiguous(&x));
    x.stride[0] = 6;
    assert_false(mcf_operand_is_contiguous(&x));
    x.shape.dim[2] = 0; // nothing there
    assert_true(mcf_operand_is_contiguous(&x));
    mcf_operand scalar = {.shape = {.rank = 0}};
    assert_true(mcf_operand_is_contiguous(&scalar));
}

// --- shapes

static mcf_launch make(mcf_op op, int n_in, const mcf_shape *shapes)
{
    mcf_launch l = {.op = op, .n_in = n_in, .n_out = mcf_op_describe(op)->outputs};
    const char *types = mcf_op_input_types(op);
    for (int i = 0; i < n_in; i++) {
        l.in[i].shape = shapes[i];
        l.in[i].dtype = types[i] == 'i' ? MCF_I64 : types[i] == 'u' ? MCF_U8 : MCF_F32;
        mcf_contiguous_strides(&shapes[i], l.in[i].stride);
    }
    return l;
}
#define MAKE(op, ...)                                                                                                  \
    make(op, (int)(sizeof((mcf_shape[]){__VA_ARGS__}) / sizeof(mcf_shape)), (mcf_shape[]){__VA_ARGS__})

static void expect_shape(mcf_launch l, int output, mcf_shape want)
{
    mcf_error err = {.message = ""};
    char got_text[100], want_text[100];
    if (mcf_infer_shapes(&l, 2, &err) != MCF_OK)
        fail_msg("%s", err.message);
    assert_string_equal(mcf_shape_print(&l.out[output].shape, got_text, sizeof got_text),
                        mcf_shape_print(&want, want_text, sizeof want_text));
    assert_true(mcf_operand_is_contiguous(&l.out[output]));
}

static void expect_refusal(mcf_launch l, const char *message)
{
    mcf_error err = {.message = ""};
    assert_int_equal(mcf_infer_shapes(&l, 2, &err), MCF_ERR_SHAPE);
    assert_string_equal(err.message, message);
}

static void shapes_follow_from_the_inputs(void **state)
{
    mcf_launch l = MAKE(MCF_OP_matmul, MCF_SHAPE(7, 4, 3), MCF_SHAPE(7, 3, 2));
    expect_shape(l, 0, MCF_SHAPE(7, 4, 2));
    l = MAKE(MCF_OP_matmul, MCF_SHAPE(3, 4), MCF_SHAPE(2, 3), MCF_SHAPE(2));
    l.attr.matmul.trans_a = l.attr.matmul.trans_b = 1;
    expect_shape(l, 0, MCF_SHAPE(4, 2));
    l = MAKE(MCF_OP_pad, MCF_SHAPE(2, 3));
    l.attr.pad.axis = 1;
    l.attr.pad.before = 2;
    l.attr.pad.after = 1;
    expect_shape(l, 0, MCF_SHAPE(2, 6));
    l = MAKE(MCF_OP_concat, MCF_SHAPE(2, 1, 5), MCF_SHAPE(2, 4, 5));
    l.attr.concat.axis = 1;
    expect_shape(l, 0, MCF_SHAPE(2, 5, 5));
    expect_shape(MAKE(MCF_OP_gather_rows, MCF_SHAPE(2, 9, 5), MCF_SHAPE(2, 3)), 0, MCF_SHAPE(2, 3, 5));
    l = MAKE(MCF_OP_scatter_rows, MCF_SHAPE(2, 3, 5), MCF_SHAPE(2, 3));
    l.attr.scatter_rows.rows = 9;
    expect_shape(l, 0, MCF_SHAPE(2, 9, 5));
    l = MAKE(MCF_OP_reduce_sum, MCF_SHAPE(2, 3, 4));
    l.attr.reduce_sum.axes = 5;
    expect_shape(l, 0, MCF_SHAPE(1, 3, 1));
    expect_shape(MAKE(MCF_OP_layer_norm, MCF_SHAPE(6, 4), MCF_SHAPE(4), MCF_SHAPE(4)), 2, MCF_SHAPE(6));
    expect_shape(MAKE(MCF_OP_attention, MCF_SHAPE(2, 5, 3, 4, 8)), 0, MCF_SHAPE(2, 5, 4, 8));
    expect_shape(MAKE(MCF_OP_attention, MCF_SHAPE(2, 5, 3, 4, 8)), 1, MCF_SHAPE(2, 4, 5));
    expect_shape(MAKE(MCF_OP_token_mse, MCF_SHAPE(2, 5, 7), MCF_SHAPE(2, 5, 7)), 1, MCF_SHAPE(2, 7));
    expect_shape(MAKE(MCF_OP_batch_variance, MCF_SHAPE(2, 5, 7), MCF_SHAPE(2, 1, 7)), 0, MCF_SHAPE(2, 1, 7));
    expect_shape(MAKE(MCF_OP_normalize_image, MCF_SHAPE(2, 6, 5, 3), MCF_SHAPE(2)), 0, MCF_SHAPE(2, 6, 5, 3));
    l = MAKE(MCF_OP_resize_nearest, MCF_SHAPE(2, 4, 4, 3));
    l.attr.resize.height = 7;
    l.attr.resize.width = 9;
    expect_shape(l, 0, MCF_SHAPE(2, 7, 9, 3));
    // In a group of two.
    expect_shape(MAKE(MCF_OP_all_gather, MCF_SHAPE(3, 4)), 0, MCF_SHAPE(6, 4));
    expect_shape(MAKE(MCF_OP_reduce_scatter, MCF_SHAPE(6, 4)), 0, MCF_SHAPE(3, 4));
}

static void refusals_say_what_does_not_fit(void **state)
{
    mcf_launch l;
    expect_refusal(MAKE(MCF_OP_matmul, MCF_SHAPE(4, 3), MCF_SHAPE(5, 2)),
                   "matmul: inner sizes differ: [4, 3] x [5, 2]");
    expect_refusal(MAKE(MCF_OP_matmul, MCF_SHAPE(4, 3), MCF_SHAPE(3, 2), MCF_SHAPE(4)),
                   "matmul: bias must be [2], is [4]");
    expect_refusal(MAKE(MCF_OP_matmul, MCF_SHAPE(2, 4, 3), MCF_SHAPE(5, 3, 2)),
                   "matmul: batch sizes differ: [2, 4, 3] x [5, 3, 2]");
    expect_refusal(MAKE(MCF_OP_add, MCF_SHAPE(4, 3), MCF_SHAPE(3)), "add: shapes of a and b differ: [4, 3] and [3]");
    expect_refusal(MAKE(MCF_OP_softmax, MCF_SHAPE(4, 0)), "softmax: axis 1 of x must not be empty, is [4, 0]");
    expect_refusal(MAKE(MCF_OP_reduce_scatter, MCF_SHAPE(5, 4)),
                   "reduce_scatter: [5, 4] does not divide among 2 members");
    expect_refusal(MAKE(MCF_OP_attention, MCF_SHAPE(2, 5, 2, 4, 8)),
                   "attention: qkv must be [B, N, 3, H, d] with N and d at least 1, is [2, 5, 2, 4, 8]");
    expect_refusal(MAKE(MCF_OP_layer_norm, MCF_SHAPE(2, 3), MCF_SHAPE(3)), "layer_norm: takes 3 to 3 inputs, got 2");
    l = MAKE(MCF_OP_concat, MCF_SHAPE(2, 3), MCF_SHAPE(3, 3));
    l.attr.concat.axis = 1;
    expect_refusal(l, "concat: [2, 3] and [3, 3] do not join along axis 1");
    l = MAKE(MCF_OP_relu, MCF_SHAPE(4, 3));
    l.in[0].stride[0] = 5;
    expect_refusal(l, "relu: x [4, 3] must be contiguous; copy it first");
    l = MAKE(MCF_OP_relu, MCF_SHAPE(4, 3));
    l.accumulate = 1;
    expect_refusal(l, "relu: cannot add to outputs 0x1");
    l = MAKE(MCF_OP_all_gather, MCF_SHAPE(INT64_MAX / 2 + 1));
    expect_refusal(l, "all_gather: sizes overflow 64 bits");
    l = MAKE(MCF_OP_broadcast, MCF_SHAPE(4));
    l.attr.broadcast.root = 2;
    expect_refusal(l, "broadcast: no member 2 in a group of 2");
}

// --- types

static void types_are_kept_apart(void **state)
{
    mcf_error err;
    mcf_launch l = MAKE(MCF_OP_add, MCF_SHAPE(4), MCF_SHAPE(4));
    l.in[1].dtype = MCF_F64;
    expect_refusal(l, "add: f64 does not mix with other floats (b is f64)");
    l.in[1].dtype = MCF_BF16;
    l.out[0].dtype = MCF_F16;
    assert_int_equal(mcf_infer_shapes(&l, 1, &err), MCF_OK);
    assert_int_equal(l.out[0].dtype, MCF_F16);
    l.out[0].dtype = MCF_F64;
    expect_refusal(l, "add: out is f64, but inputs are not f64");
    l.in[1].dtype = MCF_I64;
    expect_refusal(l, "add: b must be a float, is i64");
    l = MAKE(MCF_OP_layer_norm, MCF_SHAPE(2, 3), MCF_SHAPE(3), MCF_SHAPE(3));
    l.in[1].dtype = MCF_BF16;
    expect_refusal(l, "layer_norm: gamma must be f32, is bf16");
    l = MAKE(MCF_OP_copy, MCF_SHAPE(2));
    l.in[0].dtype = MCF_U8;
    expect_refusal(l, "copy: no conversion from u8 to f32");
}

static void statistics_are_f32_or_f64(void **state)
{
    mcf_error err;
    mcf_launch l = MAKE(MCF_OP_attention, MCF_SHAPE(1, 2, 3, 1, 4));
    l.in[0].dtype = l.out[0].dtype = l.out[1].dtype = MCF_BF16;
    assert_int_equal(mcf_infer_shapes(&l, 1, &err), MCF_OK);
    assert_int_equal(l.out[0].dtype, MCF_BF16);
    assert_int_equal(l.out[1].dtype, MCF_F32);
    l.in[0].dtype = l.out[0].dtype = MCF_F64;
    assert_int_equal(mcf_infer_shapes(&l, 1, &err), MCF_OK);
    assert_int_equal(l.out[1].dtype, MCF_F64);
}

// --- costs

static mcf_cost cost_of(mcf_launch l)
{
    mcf_error err;
    assert_int_equal(mcf_infer_shapes(&l, 1, &err), MCF_OK);
    return mcf_op_cost(&l);
}

static void costs_are_those_of_the_formulas(void **state)
{
    mcf_cost cost = cost_of(MAKE(MCF_OP_matmul, MCF_SHAPE(5, 4, 3), MCF_SHAPE(5, 3, 2)));
    assert_true(cost.flops == 2.0 * 5 * 4 * 3 * 2);
    assert_true(cost.bytes == 4.0 * 5 * (4 * 3 + 3 * 2 + 4 * 2));
    cost = cost_of(MAKE(MCF_OP_attention, MCF_SHAPE(2, 5, 3, 4, 8)));
    assert_true(cost.flops == 4.0 * 2 * 4 * 5 * 5 * 8);
    cost = cost_of(MAKE(MCF_OP_attention_grad, MCF_SHAPE(2, 5, 3, 4, 8), MCF_SHAPE(2, 5, 4, 8), MCF_SHAPE(2, 4, 5),
                        MCF_SHAPE(2, 5, 4, 8)));
    assert_true(cost.flops == 10.0 * 2 * 4 * 5 * 5 * 8);
    // A row that is repeated is read once.
    mcf_launch l = MAKE(MCF_OP_add, MCF_SHAPE(6, 5), MCF_SHAPE(6, 5));
    l.in[1].stride[0] = 0;
    cost = cost_of(l);
    assert_true(cost.bytes == 4.0 * (30 + 5 + 30));
    assert_true(cost.flops == 3.0 * 30);
    // What is added to is read as well.
    l = MAKE(MCF_OP_copy, MCF_SHAPE(10));
    l.accumulate = 1;
    assert_true(cost_of(l).bytes == 4.0 * 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_plausible),
        cmocka_unit_test(four_operations_are_collective),
        cmocka_unit_test(strides_tell_what_is_contiguous),
        cmocka_unit_test(shapes_follow_from_the_inputs),
        cmocka_unit_test(refusals_say_what_does_not_fit),
        cmocka_unit_test(types_are_kept_apart),
        cmocka_unit_test(statistics_are_f32_or_f64),
        cmocka_unit_test(costs_are_those_of_the_formulas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
