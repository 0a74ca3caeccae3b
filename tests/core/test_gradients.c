// Every gradient rule against central finite differences, in f64 on cpu-reference.
//
// For a small graph y = op(x...) the loss is sum(w * y) with random w. With a step of 1e-5 the difference
// quotient is off by about 1e-10 (h^2 f'''/6, and 1e-16/h of rounding); allowed is 1e-6 of the largest
// derivative.
//
// Each operation by itself is taken at the shapes of the check's list of cases (gradients_list.h); here are compositions:
// views, builders that do more than one operation, networks, groups.
#include "tests/core/gradients.h"
#include "tests/core/gradients_list.h"
#include "tests/core/gradients_images.h"

static mcf_value swap(mcf_graph *g, mcf_value x)
{
    return mcf_permute(g, x, (const int[]){1, 0});
}

// --- movement and views

BUILD(copied_transpose)
{
    return mcf_copy(g, swap(g, x[0]), MCF_F64);
}
BUILD(sliced)
{
    return mcf_scale(g, mcf_slice(g, x[0], 1, 1, 2), 2, 1);
}
BUILD(sliced_twice)
{
    // Overlapping parts of one value: their gradients add.
    return mcf_mul(g, mcf_slice(g, x[0], 1, 0, 3), mcf_slice(g, x[0], 1, 1, 3));
}
BUILD(joined)
{
    return mcf_concat(g, swap(g, x[0]), x[1], 1);
}
BUILD(gathered_view)
{
    return mcf_gather_rows(g, mcf_permute(g, x[0], (const int[]){1, 0, 2}), x[1]);
}
BUILD(expanded)
{
    mcf_value wide = mcf_expand(g, mcf_reshape(g, x[0], MCF_SHAPE(1, 1, 3)), MCF_SHAPE(2, 4, 3));
    return mcf_mul(g, x[1], wide);
}
BUILD(views_of_views)
{
    mcf_value v = mcf_permute(g, mcf_reshape(g, x[0], MCF_SHAPE(2, 3, 4)), (const int[]){2, 0, 1});
    return mcf_gelu(g, mcf_slice(g, mcf_slice(g, v, 0, 1, 3), 2, 1, 2));
}

static void movement(void **state)
{
    static const gradient_case cases[] = {
        {"copy of a transpose", copied_transpose, {{NORMAL, S2(3, 4)}}, 0},
        {"slice", sliced, {{NORMAL, S2(3, 4)}}, 0},
        {"overlapping slices", sliced_twice, {{NORMAL, S2(3, 4)}}, 0},
        {"concat", joined, {{NORMAL, S2(2, 3)}, {NORMAL, S2(3, 4)}}, 0},
        {"gather_rows of a view", gathered_view, {{NORMAL, S3(4, 2, 3)}, {ROWS, S2(2, 3)}}, 0},
        {"expand", expanded, {{NORMAL, S1(3)}, {NORMAL, S3(2, 4, 3)}}, 0},
        {"views of views", views_of_views, {{NORMAL, S2(4, 6)}}, 0},
    };
    CHECK(cases);
}

// --- elementwise

BUILD(added)
{
    return mcf_axpby(g, 0.75, x[0], -2, x[1]);
}
BUILD(added_row)
{
    return mcf_add(g, x[0], x[1]);
}
BUILD(added_to_itself)
{
    return mcf_add(g, mcf_mul(g, x[0], x[0]), x[0]);
}
BUILD(multiplied)
{
    return mcf_mul(g, x[0], swap(g, x[1]));
}
BUILD(multiplied_row)
{
    return mcf_mul(g, x[0], x[1]);
}

static void elementwise(void **state)
{
    static const gradient_case cases[] = {
        {"axpby", added, {{NORMAL, S2(3, 4)}, {NORMAL, S2(3, 4)}}, 0},
        {"add of a row", added_row, {{NORMAL, S2(3, 4)}, {NORMAL, S1(4)}}, 0},
        {"x*x + x", added_to_itself, {{NORMAL, S1(5)}}, 0},
        {"mul by a transpose", multiplied, {{NORMAL, S2(3, 4)}, {NORMAL, S2(4, 3)}}, 0},
        {"mul by a row", multiplied_row, {{NORMAL, S3(2, 3, 4)}, {NORMAL, S2(1, 4)}}, 0},
    };
    CHECK(cases);
}

// --- sums and products

BUILD(summed)
{
    return mcf_reduce_sum(g, mcf_permute(g, x[0], (const int[]){2, 0, 1}), 5, 0.5, MCF_F64);
}
BUILD(mean_of)
{
    return mcf_mean(g, mcf_mul(g, x[0], x[0]), 2);
}
BUILD(product)
{
    return mcf_matmul(g, x[0], x[1], false, false, MCF_F64);
}
BUILD(product_ta)
{
    return mcf_matmul(g, x[0], x[1], true, false, MCF_F64);
}
BUILD(product_tb)
{
    return mcf_matmul(g, x[0], x[1], false, true, MCF_F64);
}
BUILD(product_tab)
{
    return mcf_matmul(g, x[0], x[1], true, true, MCF_F64);
}
BUILD(product_views)
{
    mcf_value b = mcf_slice(g, x[1], 1, 1, 2);
    return mcf_matmul(g, swap(g, x[0]), b, false, false, MCF_F64);
}
BUILD(square)
{
    return mcf_matmul(g, x[0], x[0], false, true, MCF_F64);
}
BUILD(product_expanded)
{
    return mcf_matmul(g, x[0], mcf_expand(g, x[1], MCF_SHAPE(2, 4, 3)), false, false, MCF_F64);
}
BUILD(linear)
{
    return mcf_linear(g, x[0], x[1], x[2], MCF_F64);
}
BUILD(linear_bare)
{
    return mcf_linear(g, x[0], x[1], MCF_NO_VALUE, MCF_F64);
}
// These two become one product with an activation where the backward pass allows it.
BUILD(linear_relu)
{
    return mcf_relu(g, mcf_linear(g, x[0], x[1], x[2], MCF_F64));
}
BUILD(linear_gelu)
{
    return mcf_gelu(g, mcf_linear(g, x[0], x[1], x[2], MCF_F64));
}

static void products(void **state)
{
    static const gradient_case cases[] = {
        {"reduce_sum of a view", summed, {{NORMAL, S3(2, 3, 4)}}, 0},
        {"mean", mean_of, {{NORMAL, S3(2, 3, 4)}}, 0},
        {"a b", product, {{NORMAL, S2(3, 4)}, {NORMAL, S2(4, 5)}}, 0},
        {"a^T b", product_ta, {{NORMAL, S2(4, 3)}, {NORMAL, S2(4, 5)}}, 0},
        {"a b^T", product_tb, {{NORMAL, S2(3, 4)}, {NORMAL, S2(5, 4)}}, 0},
        {"a^T b^T", product_tab, {{NORMAL, S2(4, 3)}, {NORMAL, S2(5, 4)}}, 0},
        {"batched a b", product, {{NORMAL, S3(2, 3, 4)}, {NORMAL, S3(2, 4, 2)}}, 0},
        {"batched a^T b^T", product_tab, {{NORMAL, S3(2, 4, 3)}, {NORMAL, S3(2, 2, 4)}}, 0},
        {"product of views", product_views, {{NORMAL, S2(4, 3)}, {NORMAL, S2(4, 5)}}, 0},
        {"a a^T", square, {{NORMAL, S2(3, 4)}}, 0},
        {"product with an expanded b", product_expanded, {{NORMAL, S3(2, 2, 4)}, {NORMAL, S3(1, 4, 3)}}, 0},
        {"linear", linear, {{NORMAL, S3(2, 3, 4)}, {NORMAL, S2(5, 4)}, {NORMAL, S1(5)}}, 0},
        {"linear without bias", linear_bare, {{NORMAL, S2(3, 4)}, {NORMAL, S2(5, 4)}}, 0},
        {"linear and relu", linear_relu, {{NORMAL, S2(3, 4)}, {NORMAL, S2(5, 4)}, {NORMAL, S1(5)}}, 0},
        {"linear and gelu", linear_gelu, {{NORMAL, S2(3, 4)}, {NORMAL, S2(5, 4)}, {NORMAL, S1(5)}}, 0},
    };
    CHECK(cases);
}

// --- normalisation

BUILD(layer_norm)
{
    return mcf_layer_norm(g, x[0], x[1], x[2], 1e-3, MCF_F64);
}
BUILD(residual_norm)
{
    // Both the sum and its norm go on, as in a transformer.
    mcf_value sum, y = mcf_add_layer_norm(g, x[0], x[1], x[2], x[3], 1e-3, MCF_F64, &sum);
    return mcf_concat(g, sum, y, 0);
}
BUILD(residual_norm_only)
{
    mcf_value sum;
    return mcf_add_layer_norm(g, x[0], x[1], x[2], x[3], 1e-3, MCF_F64, &sum);
}
BUILD(residual_sum_only)
{
    mcf_value sum;
    mcf_add_layer_norm(g, x[0], x[1], x[2], x[3], 1e-3, MCF_F64, &sum);
    return mcf_mul(g, sum, sum);
}
static mcf_value normalized(mcf_graph *g, const mcf_value *x, int groups, bool affine, bool sync)
{
    mcf_batch_norm_options options = {affine ? x[1] : MCF_NO_VALUE,
                                      affine ? x[2] : MCF_NO_VALUE,
                                      MCF_NO_VALUE,
                                      MCF_NO_VALUE,
                                      1e-3,
                                      0.1,
                                      groups,
                                      sync};
    return mcf_batch_norm(g, x[0], &options);
}
BUILD(batch_norm)
{
    return normalized(g, x, 1, true, false);
}
BUILD(batch_norm_plain)
{
    return normalized(g, x, 1, false, false);
}
BUILD(batch_norm_groups)
{
    return normalized(g, x, 2, true, false);
}
BUILD(batch_norm_sync)
{
    return normalized(g, x, 1, true, true);
}
BUILD(batch_norm_own)
{
    return mcf_all_gather(g, normalized(g, x, 1, true, false));
}
// x in numerator and statistics more than once: the statistics of a function of x.
BUILD(batch_norm_after)
{
    return mcf_mul(g, normalized(g, x, 1, false, false), x[0]);
}

static void normalisation(void **state)
{
    static const gradient_case cases[] = {
        {"layer_norm", layer_norm, {{NORMAL, S2(3, 5)}, {NORMAL, S1(5)}, {NORMAL, S1(5)}}, 0},
        {"layer_norm of tokens", layer_norm, {{NORMAL, S3(2, 3, 4)}, {NORMAL, S1(4)}, {NORMAL, S1(4)}}, 0},
        {"add_layer_norm",
         residual_norm,
         {{NORMAL, S2(3, 5)}, {NORMAL, S2(3, 5)}, {NORMAL, S1(5)}, {NORMAL, S1(5)}},
         0},
        {"add_layer_norm, norm only",
         residual_norm_only,
         {{NORMAL, S2(3, 5)}, {NORMAL, S2(3, 5)}, {NORMAL, S1(5)}, {NORMAL, S1(5)}},
         0},
        {"add_layer_norm, sum only",
         residual_sum_only,
         {{NORMAL, S2(3, 5)}, {NORMAL, S2(3, 5)}, {CONSTANT, S1(5)}, {CONSTANT, S1(5)}},
         0},
        {"batch_norm", batch_norm, {{NORMAL, S2(6, 3)}, {NORMAL, S1(3)}, {NORMAL, S1(3)}}, 0},
        {"batch_norm without affine", batch_norm_plain, {{NORMAL, S2(6, 3)}}, 0},
        {"batch_norm in groups", batch_norm_groups, {{NORMAL, S2(6, 3)}, {NORMAL, S1(3)}, {NORMAL, S1(3)}}, 0},
        {"batch_norm, used beside", batch_norm_after, {{NORMAL, S2(6, 3)}}, 0},
    };
    CHECK(cases);
}

// --- attention

// The same from plain products: q k^T, softmax, times v.
BUILD(attention_composed)
{
    mcf_value part[3];
    for (int i = 0; i < 3; i++) {
        mcf_value one = mcf_slice(g, x[0], 2, i, 1); // [B, N, 1, H, d]
        one = mcf_permute(g, one, (const int[]){0, 3, 1, 4, 2});
        part[i] = mcf_reshape(g, mcf_copy(g, one, MCF_F64), MCF_SHAPE(2, 2, 3, 4));
    }
    mcf_value scores = mcf_scale(g, mcf_matmul(g, part[0], part[1], false, true, MCF_F64), 0.7, 0);
    return mcf_matmul(g, mcf_softmax(g, scores), part[2], false, false, MCF_F64);
}

static void networks(void **state)
{
    static const gradient_case cases[] = {
        {"attention from products", attention_composed, {{NORMAL, S5(2, 3, 3, 2, 4)}}, 0},
    };
    CHECK(cases);
}

// --- over two devices: the loss is the sum of the members' losses

BUILD(summed_over_members)
{
    return mcf_all_reduce(g, mcf_mul(g, x[0], x[0]), MCF_REDUCE_SUM);
}
BUILD(mean_over_members)
{
    return mcf_all_reduce(g, mcf_mul(g, x[0], x[0]), MCF_REDUCE_MEAN);
}
BUILD(gathered_over_members)
{
    return mcf_all_gather(g, mcf_gelu(g, x[0]));
}
BUILD(scattered_over_members)
{
    return mcf_reduce_scatter(g, mcf_gelu(g, x[0]));
}
BUILD(contrast)
{
    // Scores of the own queries against everybody's keys.
    return mcf_matmul(g, x[0], mcf_all_gather(g, x[1]), false, true, MCF_F64);
}

static void collectives(void **state)
{
    static const gradient_case cases[] = {
        {"all_reduce, sum", summed_over_members, {{NORMAL, S2(3, 2)}}, WORLD},
        {"all_reduce, mean", mean_over_members, {{NORMAL, S2(3, 2)}}, WORLD},
        {"all_gather", gathered_over_members, {{NORMAL, S2(3, 2)}}, WORLD},
        {"reduce_scatter", scattered_over_members, {{NORMAL, S2(4, 2)}}, WORLD},
        {"scores over members", contrast, {{NORMAL, S2(3, 2)}, {NORMAL, S2(3, 2)}}, WORLD},
        {"batch_norm, synchronised", batch_norm_sync, {{NORMAL, S2(4, 2)}, {SHARED, S1(2)}, {SHARED, S1(2)}}, WORLD},
        {"batch_norm, each its own", batch_norm_own, {{NORMAL, S2(4, 2)}, {SHARED, S1(2)}, {SHARED, S1(2)}}, WORLD},
    };
    CHECK(cases);
}

// --- whole blocks

static mcf_value block(mcf_graph *g, const mcf_value *x)
{
    // x [2, 3, 4], qkv weight [12, 4], norm [4], [4], output weight [4, 4]
    mcf_value y = mcf_layer_norm(g, x[0], x[2], x[3], 1e-6, MCF_F64);
    y = mcf_reshape(g, mcf_linear(g, y, x[1], MCF_NO_VALUE, MCF_F64), MCF_SHAPE(2, 3, 3, 2, 2));
    y = mcf_reshape(g, mcf_attention(g, y, 0.7), MCF_SHAPE(2, 3, 4));
    return mcf_add(g, x[0], mcf_gelu(g, mcf_linear(g, y, x[4], MCF_NO_VALUE, MCF_F64)));
}
BUILD(transformer_block)
{
    return block(g, x);
}
BUILD(recomputed_block)
{
    mcf_recompute_begin(g);
    mcf_value y = block(g, x);
    mcf_recompute_end(g);
    return y;
}

static void blocks(void **state)
{
    static const gradient_case cases[] = {
        {"block",
         transformer_block,
         {{NORMAL, S3(2, 3, 4)}, {NORMAL, S2(12, 4)}, {NORMAL, S1(4)}, {NORMAL, S1(4)}, {NORMAL, S2(4, 4)}},
         0},
        {"recomputed block",
         recomputed_block,
         {{NORMAL, S3(2, 3, 4)}, {NORMAL, S2(12, 4)}, {NORMAL, S1(4)}, {NORMAL, S1(4)}, {NORMAL, S2(4, 4)}},
         0},
    };
    CHECK(cases);
}

// --- nothing is left out

static void every_operation_is_accounted_for(void **state)
{
    static const struct {
        mcf_op op;
        const char *reason;
    } without[] = {
        {MCF_OP_fill, "a constant"},
        {MCF_OP_sum_squares, "of gradients only: the norm for clipping"},
        {MCF_OP_batch_variance, "batch_norm's gradient holds what flows through the statistics"},
        {MCF_OP_batch_norm_sums, "a gradient itself"},
        {MCF_OP_normalize_image, "its input is bytes"},
        {MCF_OP_ema, "changes state between steps"},
        {MCF_OP_adamw, "changes state between steps"},
        {MCF_OP_broadcast, "of state at the start"},
    };
    bool listed[MCF_OP_COUNT] = {false};
    for (int op = 0; op < MCF_OP_COUNT; op++)
        listed[op] = strstr(mcf_op_describe((mcf_op)op)->name, "_grad") != NULL;
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        listed[without[i].op] = true;
        if (mcf_grad_rule_of(without[i].op))
            fail_msg("%s has a gradient rule that no test differentiates (listed as: %s)",
                     mcf_op_describe(without[i].op)->name, without[i].reason);
    }
    for (int op = 0; op < MCF_OP_COUNT; op++) {
        const char *name = mcf_op_describe((mcf_op)op)->name;
        if (!listed[op] && !mcf_grad_rule_of((mcf_op)op))
            fail_msg("%s has no gradient rule and no reason why", name);
        if (!listed[op] && !covered[op])
            fail_msg("no finite difference of %s was taken", name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(movement),
        cmocka_unit_test(elementwise),
        cmocka_unit_test(products),
        cmocka_unit_test(normalisation),
        cmocka_unit_test(networks),
        cmocka_unit_test(collectives),
        cmocka_unit_test(blocks),
        cmocka_unit_test(images),
        cmocka_unit_test(listed_operations),
        cmocka_unit_test(every_operation_is_accounted_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
