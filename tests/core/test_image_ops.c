// Operations on images, heatmaps and pixels against the plain compositions that define them, and what their builders
// refuse. All in double precision on cpu-reference: two ways to the same sums differ by rounding, 1e-12 of the values.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/graph.h"
#include "core/runtime.h"

enum { MOST = 4096 };

static mcf_error err;

#define MUST(expression)                                                                                               \
    do {                                                                                                               \
        if ((expression) != MCF_OK)                                                                                    \
            fail_msg("%s: %s", #expression, err.message);                                                              \
    } while (0)

// Runs the graph, whose f64 inputs named x0, x1, ... get fixed values and whose i64 input "labels" has labels below 4,
// and compares its outputs "got" and "expected".
static void compare(mcf_graph *g, int inputs, const int64_t *counts, int64_t labels, int64_t results)
{
    mcf_store store;
    mcf_store_init(&store);
    mcf_runtime_options options = {.backend = mcf_backend_reference(), .device = {.opened = 1}};
    mcf_runtime *runtime;
    mcf_program *program;
    static double values[MOST], got[MOST], expected[MOST];
    MUST(mcf_runtime_create(&store, &options, NULL, &runtime, &err));
    MUST(mcf_program_create(runtime, g, &program, &err));
    for (int i = 0; i < inputs; i++) {
        const char name[] = {'x', (char)('0' + i), 0};
        assert_true(counts[i] <= MOST);
        for (int64_t j = 0; j < counts[i]; j++)
            values[j] = sin(1 + i + 1.7 * (double)j) * 2;
        MUST(mcf_program_write(program, name, values, (size_t)counts[i] * sizeof *values, &err));
    }
    if (labels) {
        int64_t ids[MOST];
        for (int64_t j = 0; j < labels; j++)
            ids[j] = j * 7 % 11 % 4;
        MUST(mcf_program_write(program, "labels", ids, (size_t)labels * sizeof *ids, &err));
    }
    MUST(mcf_program_run(program, false, false, &err));
    MUST(mcf_program_read_f64(program, "got", got, results, &err));
    MUST(mcf_program_read_f64(program, "expected", expected, results, &err));
    double largest = 0;
    for (int64_t i = 0; i < results; i++)
        largest = fmax(largest, fabs(expected[i]));
    assert_true(largest > 1e-3);
    for (int64_t i = 0; i < results; i++)
        if (!(fabs(got[i] - expected[i]) <= 1e-12 * largest))
            fail_msg("element %d is %.15g, not %.15g", (int)i, got[i], expected[i]);
    mcf_program_destroy(program);
    mcf_runtime_destroy(runtime);
    mcf_store_free(&store);
}

static void finish(mcf_graph *g, mcf_value got, mcf_value expected)
{
    const mcf_shape a = mcf_value_shape(g, got), b = mcf_value_shape(g, expected);
    assert_true(mcf_shape_equal(&a, &b));
    mcf_output(g, got, "got");
    mcf_output(g, expected, "expected");
    MUST(mcf_graph_status(g, &err));
}

// Nine products at shifted places of an image with a border of zeros.
static void a_convolution_is_nine_products(void **state)
{
    mcf_graph *g = mcf_graph_create(1, MCF_F64);
    mcf_value x = mcf_input(g, "x0", MCF_F64, MCF_SHAPE(2, 5, 4, 3));
    mcf_value weight = mcf_input(g, "x1", MCF_F64, MCF_SHAPE(6, 3, 3, 3));
    mcf_value got = mcf_conv2d(g, x, weight, MCF_NO_VALUE, &(mcf_conv_options){.pad = 1, .out = MCF_F64});
    mcf_value row = mcf_fill(g, MCF_F64, MCF_SHAPE(2, 1, 4, 3), 0), expected = MCF_NO_VALUE;
    mcf_value bordered = mcf_concat(g, mcf_concat(g, row, x, 1), row, 1);
    mcf_value column = mcf_fill(g, MCF_F64, MCF_SHAPE(2, 7, 1, 3), 0);
    bordered = mcf_concat(g, mcf_concat(g, column, bordered, 2), column, 2);
    for (int64_t i = 0; i < 3; i++)
        for (int64_t j = 0; j < 3; j++) {
            mcf_value seen = mcf_slice(g, mcf_slice(g, bordered, 1, i, 5), 2, j, 4);
            mcf_value tap = mcf_reshape(g, mcf_slice(g, mcf_slice(g, weight, 2, i, 1), 3, j, 1), MCF_SHAPE(6, 3));
            mcf_value product = mcf_linear(g, seen, tap, MCF_NO_VALUE, MCF_F64);
            expected = expected < 0 ? product : mcf_add(g, expected, product);
        }
    finish(g, got, expected);
    compare(g, 2, (const int64_t[]){2 * 5 * 4 * 3, 6 * 3 * 9}, 0, 2 * 5 * 4 * 6);
}

// Pixel (2y + i, 2x + j) is x[y, x] times weight[.., i, j].
static void a_transposed_convolution_is_four_products(void **state)
{
    mcf_graph *g = mcf_graph_create(1, MCF_F64);
    mcf_value x = mcf_input(g, "x0", MCF_F64, MCF_SHAPE(2, 3, 2, 5));
    mcf_value weight = mcf_input(g, "x1", MCF_F64, MCF_SHAPE(5, 4, 2, 2)),
              bias = mcf_input(g, "x2", MCF_F64, MCF_SHAPE(4));
    mcf_value got = mcf_conv_transpose2x2(g, x, weight, bias, MCF_F64), rows[2];
    for (int64_t i = 0; i < 2; i++) {
        mcf_value columns[2];
        for (int64_t j = 0; j < 2; j++) {
            mcf_value tap = mcf_reshape(g, mcf_slice(g, mcf_slice(g, weight, 2, i, 1), 3, j, 1), MCF_SHAPE(5, 4));
            mcf_value product = mcf_matmul(g, mcf_reshape(g, x, MCF_SHAPE(12, 5)), tap, false, false, MCF_F64);
            columns[j] = mcf_reshape(g, mcf_add(g, product, bias), MCF_SHAPE(2, 3, 1, 2, 1, 4));
        }
        rows[i] = mcf_concat(g, columns[0], columns[1], 4);
    }
    finish(g, got, mcf_reshape(g, mcf_concat(g, rows[0], rows[1], 2), MCF_SHAPE(2, 6, 4, 4)));
    compare(g, 3, (const int64_t[]){60, 80, 4}, 0, 2 * 6 * 4 * 4);
}

static void pixels_are_rows_of_resized_logits(void **state)
{
    mcf_graph *g = mcf_graph_create(1, MCF_F64);
    mcf_value logits = mcf_input(g, "x0", MCF_F64, MCF_SHAPE(2, 3, 5, 4));
    mcf_value labels = mcf_input(g, "labels", MCF_I64, MCF_SHAPE(2, 8, 7));
    mcf_value got = mcf_pixel_cross_entropy(g, logits, labels);
    mcf_value large = mcf_reshape(g, mcf_resize_bilinear(g, logits, 8, 7), MCF_SHAPE(2 * 8 * 7, 4));
    finish(g, got, mcf_cross_entropy(g, large, mcf_reshape(g, labels, MCF_SHAPE(2 * 8 * 7))));
    compare(g, 1, (const int64_t[]){2 * 3 * 5 * 4}, 2 * 8 * 7, 1);
}

// The centroid as a product of the sigmoids with places and ones.
static void points_are_products(void **state)
{
    mcf_graph *g = mcf_graph_create(1, MCF_F64);
    mcf_value logits = mcf_input(g, "x0", MCF_F64, MCF_SHAPE(2, 3, 1, 4));
    mcf_value maps = mcf_reshape(g, mcf_sigmoid(g, logits), MCF_SHAPE(2, 3, 4));
    mcf_value sums[3];
    for (int64_t y = 0; y < 3; y++)
        sums[y] = mcf_slice(g, maps, 1, y, 1);
    // In a map of one column x is 1/2; y is (s1 + 2 s2)/(s0 + s1 + s2). Multiplied by the mass nothing is divided.
    mcf_value mass = mcf_add(g, mcf_add(g, sums[0], sums[1]), sums[2]);
    mcf_value point = mcf_permute(g, mcf_heatmap_points(g, logits), (const int[]){0, 2, 1});
    mcf_value y = mcf_scale(g, mcf_slice(g, point, 1, 1, 1), 3, -0.5);
    finish(g, mcf_mul(g, y, mass), mcf_axpby(g, 1, sums[1], 2, sums[2]));
    compare(g, 1, (const int64_t[]){24}, 0, 8);
}

// Whole maps are kept or dropped.
static void dropout_scales_whole_maps(void **state)
{
    mcf_graph *g = mcf_graph_create(1, MCF_F64);
    mcf_value x = mcf_input(g, "x0", MCF_F64, MCF_SHAPE(2, 3, 2, 5)),
              keep = mcf_input(g, "x1", MCF_F64, MCF_SHAPE(2, 5));
    mcf_value pixels = mcf_reshape(g, x, MCF_SHAPE(2, 6, 5)), scales = mcf_reshape(g, keep, MCF_SHAPE(2, 1, 5));
    mcf_value expected = mcf_mul(g, pixels, mcf_expand(g, scales, MCF_SHAPE(2, 6, 5)));
    finish(g, mcf_reshape(g, mcf_channel_dropout(g, x, keep), MCF_SHAPE(2, 6, 5)), expected);
    compare(g, 2, (const int64_t[]){60, 10}, 0, 60);
}

// --- what is refused

static mcf_graph *fresh;

static mcf_value of(const char *name, mcf_shape shape)
{
    return mcf_input(fresh, name, MCF_F32, shape);
}

#define REFUSED(part, build)                                                                                           \
    do {                                                                                                               \
        fresh = mcf_graph_create(1, MCF_F32);                                                                          \
        assert_int_equal(build, MCF_NO_VALUE);                                                                         \
        assert_int_not_equal(mcf_graph_status(fresh, &err), MCF_OK);                                                   \
        if (!strstr(err.message, part))                                                                                \
            fail_msg("'%s' does not say '%s'", err.message, part);                                                     \
        mcf_graph_destroy(fresh);                                                                                      \
    } while (0)

static mcf_value convolve(mcf_shape x, mcf_shape weight, mcf_conv_options options)
{
    return mcf_conv2d(fresh, of("x", x), of("w", weight), MCF_NO_VALUE, &options);
}

static void wrong_shapes_are_refused(void **state)
{
    const mcf_shape image = MCF_SHAPE(2, 4, 5, 3);
    REFUSED("larger than the image", convolve(image, MCF_SHAPE(6, 3, 5, 3), (mcf_conv_options){0}));
    REFUSED("wider than the kernel", convolve(image, MCF_SHAPE(6, 3, 3, 3), (mcf_conv_options){.pad = 3}));
    REFUSED("do not fit the weight", convolve(image, MCF_SHAPE(6, 4, 3, 3), (mcf_conv_options){0}));
    REFUSED("3 groups", convolve(image, MCF_SHAPE(4, 1, 3, 3), (mcf_conv_options){.groups = 3}));
    REFUSED("a stride of -1", convolve(image, MCF_SHAPE(6, 3, 3, 3), (mcf_conv_options){.stride = -1}));
    REFUSED("[B, H, W, C]", convolve(MCF_SHAPE(4, 5, 3), MCF_SHAPE(6, 3, 3, 3), (mcf_conv_options){0}));
    REFUSED("must be [3, O, 2, 2]",
            mcf_conv_transpose2x2(fresh, of("x", image), of("w", MCF_SHAPE(3, 2, 3, 3)), MCF_NO_VALUE, MCF_F32));
    REFUSED("larger than the image", mcf_max_pool(fresh, of("x", image), 5, 2, true));
    REFUSED("a pool of 0", mcf_max_pool(fresh, of("x", image), 0, 2, false));
    REFUSED("cannot be 0 x 3", mcf_adaptive_avg_pool(fresh, of("x", image), 0, 3));
    REFUSED("cannot be -1 x 3", mcf_resize_bilinear(fresh, of("x", image), -1, 3));
    REFUSED("slope must be [3]", mcf_prelu(fresh, of("x", image), of("s", MCF_SHAPE(4))));
    REFUSED("points must be [2, 3, 2]", mcf_heatmap_bce(fresh, of("x", image), of("p", MCF_SHAPE(2, 4, 2)), 8, 5));
    REFUSED("a radius of 0", mcf_heatmap_bce(fresh, of("x", image), of("p", MCF_SHAPE(2, 3, 2)), 8, 0));
    REFUSED("differ", mcf_point_distance(fresh, of("a", MCF_SHAPE(2, 4, 2)), of("b", MCF_SHAPE(2, 5, 2))));
    REFUSED("must be points", mcf_point_distance(fresh, of("a", MCF_SHAPE(2, 4, 3)), of("b", MCF_SHAPE(2, 4, 3))));
    REFUSED("must be i64", mcf_pixel_cross_entropy(fresh, of("x", image), of("l", MCF_SHAPE(2, 8, 8))));
    REFUSED("labels must be [B, H, W]",
            mcf_pixel_cross_entropy(fresh, of("x", image), mcf_input(fresh, "l", MCF_I64, MCF_SHAPE(3, 8, 8))));
}

static mcf_value normalise(int64_t rows, int groups, bool sync, int world)
{
    if (world > 1) {
        mcf_graph_destroy(fresh);
        fresh = mcf_graph_create(world, MCF_F32);
    }
    mcf_batch_norm_options o = {MCF_NO_VALUE, MCF_NO_VALUE, MCF_NO_VALUE, MCF_NO_VALUE, 1e-5, 0.1, groups, sync};
    return mcf_batch_norm(fresh, of("x", MCF_SHAPE(rows, 7)), &o);
}

static void one_value_has_no_variance(void **state)
{
    REFUSED("one value per channel", normalise(1, 1, false, 1));
    REFUSED("one value per channel", normalise(3, 3, false, 1));
    REFUSED("one value per channel", normalise(1, 1, false, 2));
    fresh = mcf_graph_create(1, MCF_F32);
    assert_int_not_equal(normalise(1, 1, true, 2), MCF_NO_VALUE); // the other device has one too
    mcf_graph_destroy(fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_convolution_is_nine_products),
        cmocka_unit_test(a_transposed_convolution_is_four_products),
        cmocka_unit_test(pixels_are_rows_of_resized_logits),
        cmocka_unit_test(points_are_products),
        cmocka_unit_test(dropout_scales_whole_maps),
        cmocka_unit_test(wrong_shapes_are_refused),
        cmocka_unit_test(one_value_has_no_variance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
