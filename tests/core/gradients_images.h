// Cases of test_gradients.c: operations on images with channels innermost, heatmaps and pixels.
#ifndef MCF_TESTS_GRADIENTS_IMAGES_H
#define MCF_TESTS_GRADIENTS_IMAGES_H

#include "tests/core/gradients.h"

BUILD(convolved)
{
    return mcf_conv2d(g, x[0], x[1], x[2], &(mcf_conv_options){.pad = 1, .out = MCF_F64});
}
BUILD(convolved_stride)
{
    return mcf_conv2d(g, x[0], x[1], MCF_NO_VALUE, &(mcf_conv_options){.stride = 2, .pad = 1, .out = MCF_F64});
}
BUILD(convolved_whole)
{
    return mcf_conv2d(g, x[0], x[1], MCF_NO_VALUE, &(mcf_conv_options){.out = MCF_F64});
}
BUILD(convolved_depthwise)
{
    return mcf_conv2d(g, x[0], x[1], x[2], &(mcf_conv_options){.pad = 1, .groups = 3, .out = MCF_F64});
}
BUILD(convolved_groups)
{
    return mcf_conv2d(g, x[0], x[1], x[2], &(mcf_conv_options){.groups = 2, .out = MCF_F64});
}
BUILD(convolved_transposed)
{
    return mcf_conv_transpose2x2(g, x[0], x[1], x[2], MCF_F64);
}
BUILD(pooled)
{
    return mcf_max_pool(g, x[0], 2, 2, false);
}
BUILD(pooled_overlapping)
{
    return mcf_max_pool(g, x[0], 3, 2, true);
}
BUILD(averaged_overlapping)
{
    return mcf_adaptive_avg_pool(g, x[0], 3, 2);
}
BUILD(averaged_larger)
{
    return mcf_adaptive_avg_pool(g, x[0], 4, 5);
}
BUILD(enlarged_bilinear)
{
    return mcf_resize_bilinear(g, x[0], 5, 8);
}
BUILD(shrunk_bilinear)
{
    return mcf_resize_bilinear(g, x[0], 2, 3);
}
BUILD(dropped_channels)
{
    return mcf_channel_dropout(g, x[0], x[1]);
}
BUILD(prelu)
{
    return mcf_prelu(g, x[0], x[1]);
}
BUILD(heatmap_points)
{
    return mcf_heatmap_points(g, x[0]);
}
BUILD(heatmap_points_faint)
{
    // Masses far below the least one.
    return mcf_scale(g, mcf_heatmap_points(g, mcf_scale(g, x[0], 1, -25)), 1e4, 0);
}
BUILD(point_distance)
{
    return mcf_point_distance(g, x[0], x[1]);
}
BUILD(heatmap_bce)
{
    return mcf_heatmap_bce(g, x[0], mcf_sigmoid(g, x[1]), 6, 2.5);
}
BUILD(pixel_cross_entropy)
{
    return mcf_pixel_cross_entropy(g, x[0], x[1]);
}

static void images(void **state)
{
    static const gradient_case cases[] = {
        {"conv2d", convolved, {{NORMAL, S4(2, 4, 3, 2)}, {NORMAL, S4(3, 2, 3, 3)}, {NORMAL, S1(3)}}, 0},
        {"conv2d, stride 2", convolved_stride, {{NORMAL, S4(1, 5, 4, 2)}, {NORMAL, S4(3, 2, 3, 3)}}, 0},
        {"conv2d, kernel as large as the image",
         convolved_whole,
         {{NORMAL, S4(2, 2, 3, 2)}, {NORMAL, S4(3, 2, 2, 3)}},
         0},
        {"conv2d, depthwise",
         convolved_depthwise,
         {{NORMAL, S4(1, 4, 3, 3)}, {NORMAL, S4(3, 1, 3, 3)}, {NORMAL, S1(3)}},
         0},
        {"conv2d, groups", convolved_groups, {{NORMAL, S4(1, 3, 3, 4)}, {NORMAL, S4(6, 2, 2, 2)}, {NORMAL, S1(6)}}, 0},
        {"conv2d, 1 x 1", convolved_whole, {{NORMAL, S4(2, 2, 3, 2)}, {NORMAL, S4(3, 2, 1, 1)}}, 0},
        {"conv_transpose2x2",
         convolved_transposed,
         {{NORMAL, S4(2, 2, 3, 2)}, {NORMAL, S4(2, 3, 2, 2)}, {NORMAL, S1(3)}},
         0},
        {"max_pool", pooled, {{NORMAL, S4(2, 5, 4, 3)}}, 0},
        {"max_pool, overlapping, over the edge", pooled_overlapping, {{NORMAL, S4(1, 6, 4, 3)}}, 0},
        {"adaptive_avg_pool, overlapping bins", averaged_overlapping, {{NORMAL, S4(2, 4, 3, 2)}}, 0},
        {"adaptive_avg_pool, larger", averaged_larger, {{NORMAL, S4(1, 3, 2, 2)}}, 0},
        {"resize_bilinear, larger", enlarged_bilinear, {{NORMAL, S4(2, 3, 4, 2)}}, 0},
        {"resize_bilinear, smaller", shrunk_bilinear, {{NORMAL, S4(1, 4, 6, 2)}}, 0},
        {"channel dropout", dropped_channels, {{NORMAL, S4(2, 2, 3, 3)}, {CONSTANT, S2(2, 3)}}, 0},
        {"prelu", prelu, {{FAR, S4(2, 2, 3, 3)}, {NORMAL, S1(3)}}, 0},
        {"heatmap_points", heatmap_points, {{NORMAL, S4(2, 3, 4, 2)}}, 0},
        {"heatmap_points, hardly any mass", heatmap_points_faint, {{NORMAL, S4(1, 3, 4, 2)}}, 0},
        {"point_distance", point_distance, {{NORMAL, S3(2, 4, 2)}, {CONSTANT, S3(2, 4, 2)}}, 0},
        {"heatmap_bce", heatmap_bce, {{NORMAL, S4(2, 4, 3, 2)}, {CONSTANT, S3(2, 2, 2)}}, 0},
        {"pixel_cross_entropy", pixel_cross_entropy, {{NORMAL, S4(2, 3, 2, 4)}, {ROWS, S3(2, 5, 7)}}, 0},
    };
    CHECK(cases);
}

#endif
