// Builders of operations on images with channels innermost, heatmaps and pixels.
#include "core/graph_internal.h"

// [B,H,W,C] of a value that is there, or an error that names the builder.
static bool is_images(mcf_graph *graph, mcf_value x, const char *builder)
{
    if (!mcf_graph_ok(graph) || x < 0)
        return false;
    if (mcf_value_shape(graph, x).rank == 4)
        return true;
    char text[128];
    mcf_shape shape = mcf_value_shape(graph, x);
    mcf_graph_fail(graph, MCF_ERR_SHAPE, "%s: images are [B, H, W, C], not %s", builder,
                   mcf_shape_print(&shape, text, sizeof text));
    return false;
}

// --- convolution

mcf_value mcf_conv2d(mcf_graph *graph, mcf_value x, mcf_value weight, mcf_value bias, const mcf_conv_options *options)
{
    if (!is_images(graph, x, "conv2d") || weight < 0)
        return MCF_NO_VALUE;
    const mcf_shape w = mcf_value_shape(graph, weight);
    mcf_attr attr = {.conv2d = {.stride = options->stride ? options->stride : 1,
                                .pad = options->pad,
                                .groups = options->groups ? options->groups : 1}};
    const bool pointwise = w.rank == 4 && w.dim[2] == 1 && w.dim[3] == 1 && attr.conv2d.stride == 1 &&
                           attr.conv2d.pad == 0 && attr.conv2d.groups == 1;
    if (pointwise)
        return mcf_linear(graph, x, mcf_reshape(graph, weight, MCF_SHAPE(w.dim[0], w.dim[1])), bias, options->out);
    const mcf_value in[] = {[CONV2D_IN_x] = x, [CONV2D_IN_weight] = weight, [CONV2D_IN_bias] = bias};
    return mcf_emit1(graph, MCF_OP_conv2d, &attr, in, CONV2D_INPUTS, options->out);
}

// Windows do not overlap, so each input pixel makes its four output pixels alone: a product whose columns are the
// pixels' channels, and a permutation. The weight's and the bias's are the small ones to bring into that order first.
mcf_value mcf_conv_transpose2x2(mcf_graph *graph, mcf_value x, mcf_value weight, mcf_value bias, mcf_dtype out)
{
    if (!is_images(graph, x, "conv_transpose2x2") || weight < 0)
        return MCF_NO_VALUE;
    const mcf_shape image = mcf_value_shape(graph, x), w = mcf_value_shape(graph, weight);
    if (w.rank != 4 || w.dim[2] != 2 || w.dim[3] != 2 || w.dim[0] != image.dim[3]) {
        char have[128], from[128];
        return mcf_graph_fail(graph, MCF_ERR_SHAPE,
                              "conv_transpose2x2: the weight of %s must be [%lld, O, 2, 2], is %s",
                              mcf_shape_print(&image, from, sizeof from), (long long)image.dim[3],
                              mcf_shape_print(&w, have, sizeof have));
    }
    const int64_t in = w.dim[0], channels = w.dim[1], batch = image.dim[0], height = image.dim[1], width = image.dim[2];
    mcf_value rows =
        mcf_reshape(graph, mcf_permute(graph, weight, (const int[]){2, 3, 1, 0}), MCF_SHAPE(4 * channels, in));
    if (bias >= 0)
        bias = mcf_reshape(graph, mcf_expand(graph, bias, MCF_SHAPE(4, channels)), MCF_SHAPE(4 * channels));
    mcf_value y = mcf_linear(graph, x, rows, bias, out);
    y = mcf_reshape(graph, y, MCF_SHAPE(batch, height, width, 2, 2, channels));
    y = mcf_permute(graph, y, (const int[]){0, 1, 3, 2, 4, 5});
    return mcf_reshape(graph, y, MCF_SHAPE(batch, 2 * height, 2 * width, channels));
}

// --- pools, resizing, channels

mcf_value mcf_max_pool(mcf_graph *graph, mcf_value x, int64_t kernel, int64_t stride, bool ceil)
{
    mcf_attr attr = {.pool = {kernel, stride, ceil}};
    return mcf_emit1(graph, MCF_OP_max_pool, &attr, &x, MAX_POOL_INPUTS, mcf_value_dtype(graph, x));
}

static mcf_value resize(mcf_graph *graph, mcf_op op, mcf_value x, int64_t height, int64_t width)
{
    if (!is_images(graph, x, mcf_op_describe(op)->name))
        return MCF_NO_VALUE;
    if (mcf_value_dim(graph, x, 1) == height && mcf_value_dim(graph, x, 2) == width)
        return x;
    mcf_attr attr = {.resize = {height, width}};
    return mcf_emit1(graph, op, &attr, &x, 1, mcf_value_dtype(graph, x));
}

mcf_value mcf_adaptive_avg_pool(mcf_graph *graph, mcf_value x, int64_t height, int64_t width)
{
    return resize(graph, MCF_OP_adaptive_avg_pool, x, height, width);
}

mcf_value mcf_resize_bilinear(mcf_graph *graph, mcf_value x, int64_t height, int64_t width)
{
    return resize(graph, MCF_OP_resize_bilinear, x, height, width);
}

mcf_value mcf_channel_dropout(mcf_graph *graph, mcf_value x, mcf_value keep)
{
    if (!is_images(graph, x, "channel_dropout") || keep < 0)
        return MCF_NO_VALUE;
    const mcf_shape image = mcf_value_shape(graph, x);
    return mcf_mul(graph, x, mcf_reshape(graph, keep, MCF_SHAPE(image.dim[0], 1, 1, image.dim[3])));
}

mcf_value mcf_prelu(mcf_graph *graph, mcf_value x, mcf_value slope)
{
    const mcf_value in[] = {[PRELU_IN_x] = mcf_as_rows(graph, x), [PRELU_IN_slope] = slope};
    mcf_value y = mcf_emit1(graph, MCF_OP_prelu, NULL, in, PRELU_INPUTS, mcf_value_dtype(graph, x));
    return mcf_reshape(graph, y, mcf_value_shape(graph, x));
}

// --- heatmaps and pixels

mcf_value mcf_heatmap_points(mcf_graph *graph, mcf_value logits)
{
    return mcf_emit_with_statistics(graph, MCF_OP_heatmap_points, NULL, &logits, HEATMAP_POINTS_INPUTS,
                                    mcf_statistics_dtype(graph, logits), HEATMAP_POINTS_OUT_mass);
}

mcf_value mcf_point_distance(mcf_graph *graph, mcf_value points, mcf_value target)
{
    const mcf_value in[] = {[POINT_DISTANCE_IN_a] = points, [POINT_DISTANCE_IN_b] = mcf_detach(graph, target)};
    return mcf_emit1(graph, MCF_OP_point_distance, NULL, in, POINT_DISTANCE_INPUTS,
                     mcf_statistics_dtype(graph, points));
}

mcf_value mcf_heatmap_bce(mcf_graph *graph, mcf_value logits, mcf_value points, int64_t size, double radius)
{
    mcf_attr attr = {.heatmap = {radius}};
    const mcf_value in[] = {[HEATMAP_BCE_IN_logits] = mcf_resize_bilinear(graph, logits, size, size),
                            [HEATMAP_BCE_IN_points] = mcf_detach(graph, points)};
    return mcf_emit1(graph, MCF_OP_heatmap_bce, &attr, in, HEATMAP_BCE_INPUTS, mcf_statistics_dtype(graph, logits));
}

mcf_value mcf_pixel_cross_entropy(mcf_graph *graph, mcf_value logits, mcf_value labels)
{
    const mcf_value in[] = {[PIXEL_CROSS_ENTROPY_IN_logits] = logits, [PIXEL_CROSS_ENTROPY_IN_labels] = labels};
    return mcf_emit_with_statistics(graph, MCF_OP_pixel_cross_entropy, NULL, in, PIXEL_CROSS_ENTROPY_INPUTS,
                                    mcf_statistics_dtype(graph, logits), PIXEL_CROSS_ENTROPY_OUT_lse);
}
