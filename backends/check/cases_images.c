// The cases of operations on images with channels innermost, heatmaps and pixels. Channels are chosen as everywhere
// (around vectors, primes); images from the networks: maps of 7 pooled to 6, stems with stride 2, the detector's 12, 24
// and 48 pixels, kernels as large as the image.
#include "backends/check/cases.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

// --- convolution

static const struct {
    int64_t batch, height, width, channels, outputs, rows, columns, stride, pad, groups;
} convolutions[] = {
    {2, 5, 7, 3, 4, 3, 3, 1, 1, 1},     {1, 1, 1, 1, 1, 1, 1, 1, 0, 1},    {1, 12, 12, 3, 10, 3, 3, 1, 0, 1},
    {2, 9, 8, 5, 7, 3, 3, 2, 1, 1},     {1, 3, 3, 16, 17, 3, 3, 1, 0, 1},  {2, 14, 14, 64, 48, 3, 3, 1, 1, 1},
    {1, 4, 3, 48, 64, 2, 2, 1, 0, 1},   {1, 7, 7, 16, 16, 3, 3, 1, 1, 16}, {2, 8, 6, 33, 33, 3, 3, 2, 1, 33},
    {1, 6, 6, 8, 12, 3, 3, 1, 1, 2},    {3, 5, 5, 17, 9, 1, 1, 2, 0, 1},   {0, 5, 5, 4, 4, 3, 3, 1, 1, 1},
    {1, 11, 9, 130, 33, 3, 3, 1, 1, 1}, {2, 6, 10, 15, 31, 5, 3, 3, 2, 1}, {1, 28, 28, 96, 96, 3, 3, 1, 1, 1},
};

static mcf_status cases_conv2d(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    for (int i = 0; i < mcf_case_some(m, COUNT(convolutions), 4); i++)
        for (int variant = 0; variant < 2; variant++) {
            const int64_t batch = convolutions[i].batch, height = convolutions[i].height, width = convolutions[i].width,
                          channels = convolutions[i].channels, outputs = convolutions[i].outputs,
                          rows = convolutions[i].rows, columns = convolutions[i].columns,
                          stride = convolutions[i].stride, pad = convolutions[i].pad, groups = convolutions[i].groups;
            const mcf_shape x = MCF_SHAPE(batch, height, width, channels);
            const mcf_shape weight = MCF_SHAPE(outputs, channels / groups, rows, columns);
            const mcf_shape y = MCF_SHAPE(batch, (height + 2 * pad - rows) / stride + 1,
                                          (width + 2 * pad - columns) / stride + 1, outputs);
            mcf_check_case c = mcf_case_start(op);
            c.launch.attr.conv2d.stride = stride;
            c.launch.attr.conv2d.pad = pad;
            c.launch.attr.conv2d.groups = groups;
            if (op == MCF_OP_conv2d) {
                mcf_case_shape(&c, CONV2D_IN_x, x);
                mcf_case_shape(&c, CONV2D_IN_weight, weight);
                if (variant)
                    mcf_case_shape(&c, CONV2D_IN_bias, MCF_SHAPE(outputs));
            }
            if (op == MCF_OP_conv2d_grad_x) {
                mcf_case_shape(&c, CONV2D_GRAD_X_IN_dy, y);
                mcf_case_shape(&c, CONV2D_GRAD_X_IN_weight, weight);
                c.launch.attr.conv2d.height = height;
                c.launch.attr.conv2d.width = width;
            }
            if (op == MCF_OP_conv2d_grad_weight) {
                mcf_case_shape(&c, CONV2D_GRAD_WEIGHT_IN_x, x);
                mcf_case_shape(&c, CONV2D_GRAD_WEIGHT_IN_dy, y);
                c.launch.attr.conv2d.height = rows;
                c.launch.attr.conv2d.width = columns;
                c.launch.accumulate = (uint32_t)variant << CONV2D_GRAD_WEIGHT_OUT_dweight;
            }
            if (op == MCF_OP_conv2d_grad_x && variant)
                continue;
            MCF_TRY(mcf_case_emit(m, &c, variant == 0 && i % 3 == 0, err));
        }
    return MCF_OK;
}

// --- pools and resizing

static mcf_status cases_max_pool(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    static const int64_t pools[][7] = {
        // B, H, W, C, kernel, stride, ceil
        {2, 4, 6, 5, 2, 2, 0},    {1, 5, 7, 3, 2, 2, 1}, {1, 22, 22, 28, 3, 2, 1}, {2, 7, 5, 17, 3, 2, 0},
        {1, 1, 1, 1, 1, 1, 0},    {1, 3, 3, 8, 3, 1, 0}, {2, 6, 6, 33, 3, 1, 1},   {1, 46, 46, 32, 3, 2, 1},
        {1, 14, 14, 64, 2, 2, 0}, {0, 4, 4, 2, 2, 2, 0}, {1, 6, 5, 4, 2, 3, 1},    {1, 9, 9, 1003, 2, 2, 1},
    };
    for (int i = 0; i < mcf_case_some(m, COUNT(pools), 4); i++) {
        mcf_check_case c = mcf_case_start(op);
        c.launch.attr.pool.kernel = pools[i][4];
        c.launch.attr.pool.stride = pools[i][5];
        c.launch.attr.pool.ceil = pools[i][6];
        mcf_case_shape(&c, MAX_POOL_IN_x, MCF_SHAPE(pools[i][0], pools[i][1], pools[i][2], pools[i][3]));
        if (op == MCF_OP_max_pool_grad) {
            // dy has the shape of what the pool makes.
            mcf_launch pool = {.op = MCF_OP_max_pool, .attr = c.launch.attr, .n_in = 1, .n_out = 1};
            pool.in[MAX_POOL_IN_x] = c.launch.in[MAX_POOL_GRAD_IN_x];
            MCF_TRY(mcf_infer_shapes(&pool, 1, err));
            mcf_case_shape(&c, MAX_POOL_GRAD_IN_dy, pool.out[MAX_POOL_OUT_y].shape);
        }
        // A window that is not the largest of any pixel leaves zeros, and stride 3 leaves pixels out.
        MCF_TRY(mcf_case_emit(m, &c, i < 4, err));
    }
    return MCF_OK;
}

static mcf_status cases_resize(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    static const int64_t sizes[][6] = {
        // B, h, w, C -> H, W
        {2, 7, 7, 5, 6, 6},    {1, 4, 5, 3, 8, 10}, {2, 14, 14, 17, 1, 1},   {1, 7, 5, 33, 3, 2},
        {1, 1, 1, 1, 1, 1},    {1, 1, 1, 8, 4, 3},  {1, 3, 2, 64, 7, 9},     {1, 28, 28, 19, 64, 64},
        {2, 6, 6, 4, 6, 6},    {0, 4, 4, 2, 8, 8},  {1, 14, 14, 65, 28, 28}, {1, 33, 17, 7, 12, 12},
        {1, 5, 5, 1003, 3, 3},
    };
    const bool grad = op == MCF_OP_resize_bilinear_grad || op == MCF_OP_adaptive_avg_pool_grad;
    for (int i = 0; i < mcf_case_some(m, COUNT(sizes), 4); i++) {
        const int64_t *s = sizes[i], *from = s + (grad ? 4 : 1), *to = s + (grad ? 1 : 4);
        mcf_check_case c = mcf_case_start(op);
        mcf_case_shape(&c, 0, MCF_SHAPE(s[0], from[0], from[1], s[3]));
        c.launch.attr.resize.height = to[0];
        c.launch.attr.resize.width = to[1];
        MCF_TRY(mcf_case_emit(m, &c, i < 4, err));
    }
    return MCF_OK;
}

static mcf_status cases_prelu(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    static const int64_t rows[][2] = {{3, 17}, {1, 1}, {100, 10}, {7, 128}, {0, 3}, {65, 33}, {1000, 28}, {3, 1003}};
    const bool grad = op == MCF_OP_prelu_grad;
    for (int i = 0; i < mcf_case_some(m, COUNT(rows), 4); i++)
        for (int variant = 0; variant < (grad ? 3 : 1); variant++) {
            mcf_check_case c = mcf_case_start(op);
            mcf_case_shape(&c, PRELU_IN_x, MCF_SHAPE(rows[i][0], rows[i][1]));
            mcf_case_shape(&c, PRELU_IN_slope, MCF_SHAPE(rows[i][1]));
            if (grad) {
                mcf_case_shape(&c, PRELU_GRAD_IN_dy, MCF_SHAPE(rows[i][0], rows[i][1]));
                c.unwanted = variant == 1 ? 1u << PRELU_GRAD_OUT_dslope : 0;
                c.launch.accumulate = variant == 2 ? 1u << PRELU_GRAD_OUT_dslope : 0;
                c.floor = 1e-2;
            }
            MCF_TRY(mcf_case_emit(m, &c, variant == 0, err));
        }
    return MCF_OK;
}

// --- heatmaps, points, pixels

static const int64_t maps[][4] = {
    // B, h, w, N
    {2, 5, 7, 3},  {1, 1, 1, 1},   {2, 14, 14, 19}, {1, 28, 28, 68},
    {1, 9, 4, 33}, {1, 56, 56, 8}, {0, 4, 4, 2},    {2, 3, 3, 130},
};

static mcf_status cases_heatmap_points(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    for (int i = 0; i < mcf_case_some(m, COUNT(maps), 4); i++)
        for (int large = 0; large < 2; large++) {
            const int64_t *s = maps[i];
            mcf_check_case c = mcf_case_start(op);
            mcf_case_shape(&c, HEATMAP_POINTS_IN_logits, MCF_SHAPE(s[0], s[1], s[2], s[3]));
            // Sharp maps: most sigmoids are 0 or 1 to rounding.
            c.values[HEATMAP_POINTS_IN_logits] = large ? MCF_VALUES_LARGE : MCF_VALUES_NORMAL;
            if (op == MCF_OP_heatmap_points) {
                c.unwanted = large ? 0 : 1u << HEATMAP_POINTS_OUT_mass;
            } else {
                mcf_case_shape(&c, HEATMAP_POINTS_GRAD_IN_points, MCF_SHAPE(s[0], s[3], 2));
                mcf_case_shape(&c, HEATMAP_POINTS_GRAD_IN_mass, MCF_SHAPE(s[0], s[3]));
                mcf_case_shape(&c, HEATMAP_POINTS_GRAD_IN_dpoints, MCF_SHAPE(s[0], s[3], 2));
                c.values[HEATMAP_POINTS_GRAD_IN_points] = c.values[HEATMAP_POINTS_GRAD_IN_mass] = MCF_VALUES_OUTPUT;
                // In a map of one pixel nothing moves.
                c.floor = s[1] * s[2] == 1 ? 1 : 1e-4;
            }
            MCF_TRY(mcf_case_emit(m, &c, !large, err));
        }
    return MCF_OK;
}

static mcf_status cases_point_distance(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    static const int64_t points[][2] = {{2, 5}, {1, 1}, {5, 98}, {3, 19}, {64, 68}};
    for (int i = 0; i < mcf_case_some(m, COUNT(points), 3); i++) {
        mcf_check_case c = mcf_case_start(op);
        for (int j = 0; j < 2; j++)
            mcf_case_shape(&c, j, MCF_SHAPE(points[i][0], points[i][1], 2));
        // Points that coincide have no direction.
        c.values[POINT_DISTANCE_IN_a] = c.values[POINT_DISTANCE_IN_b] = i % 2 ? MCF_VALUES_UNIT : MCF_VALUES_POSITIVE;
        c.floor = i % 2 ? 1 : 0;
        if (op == MCF_OP_point_distance_grad)
            mcf_case_shape(&c, POINT_DISTANCE_GRAD_IN_dloss, MCF_SHAPE(1));
        if (m->type == MCF_F32)
            MCF_TRY(mcf_case_emit(m, &c, false, err));
    }
    return MCF_OK;
}

static mcf_status cases_heatmap_bce(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    static const int64_t sizes[][3] = {{2, 7, 3}, {1, 1, 1}, {1, 32, 19}, {2, 16, 68}, {1, 128, 5}, {3, 9, 33}};
    for (int i = 0; i < mcf_case_some(m, COUNT(sizes), 4); i++)
        for (int large = 0; large < 2; large++) {
            const int64_t *s = sizes[i];
            mcf_check_case c = mcf_case_start(op);
            mcf_case_shape(&c, HEATMAP_BCE_IN_logits, MCF_SHAPE(s[0], s[1], s[1], s[2]));
            mcf_case_shape(&c, HEATMAP_BCE_IN_points, MCF_SHAPE(s[0], s[2], 2));
            c.values[HEATMAP_BCE_IN_logits] = large ? MCF_VALUES_LARGE : MCF_VALUES_NORMAL;
            c.values[HEATMAP_BCE_IN_points] = MCF_VALUES_POSITIVE; // about half of the points lie outside
            c.launch.attr.heatmap.radius = i % 2 ? 2.5 : 5;
            if (op == MCF_OP_heatmap_bce_grad) {
                mcf_case_shape(&c, HEATMAP_BCE_GRAD_IN_dloss, MCF_SHAPE(1));
                c.values[HEATMAP_BCE_GRAD_IN_dloss] = MCF_VALUES_COUNT;
            }
            MCF_TRY(mcf_case_emit(m, &c, !large, err));
        }
    return MCF_OK;
}

static mcf_status cases_pixel_cross_entropy(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    static const int64_t sizes[][6] = {
        // B, h, w, C; H, W
        {2, 5, 7, 3, 12, 9},   {1, 1, 1, 1, 1, 1},  {1, 14, 14, 19, 64, 64},
        {2, 8, 8, 11, 32, 32}, {1, 9, 9, 33, 4, 5}, {1, 6, 6, 2, 6, 6},
        {2, 3, 2, 130, 7, 8},  {1, 1, 1, 5, 4, 4},  {1, 28, 28, 11, 128, 128},
    };
    for (int i = 0; i < mcf_case_some(m, COUNT(sizes), 4); i++)
        for (int large = 0; large < 2; large++) {
            const int64_t *s = sizes[i];
            mcf_check_case c = mcf_case_start(op);
            mcf_case_shape(&c, PIXEL_CROSS_ENTROPY_IN_logits, MCF_SHAPE(s[0], s[1], s[2], s[3]));
            mcf_case_shape(&c, PIXEL_CROSS_ENTROPY_IN_labels, MCF_SHAPE(s[0], s[4], s[5]));
            c.values[PIXEL_CROSS_ENTROPY_IN_logits] = large ? MCF_VALUES_LARGE : MCF_VALUES_NORMAL;
            c.values[PIXEL_CROSS_ENTROPY_IN_labels] = MCF_VALUES_LABELS;
            if (op == MCF_OP_pixel_cross_entropy_grad) {
                mcf_case_shape(&c, PIXEL_CROSS_ENTROPY_GRAD_IN_lse, MCF_SHAPE(s[0], s[4], s[5]));
                mcf_case_shape(&c, PIXEL_CROSS_ENTROPY_GRAD_IN_dloss, MCF_SHAPE(1));
                c.values[PIXEL_CROSS_ENTROPY_GRAD_IN_lse] = MCF_VALUES_OUTPUT;
                c.values[PIXEL_CROSS_ENTROPY_GRAD_IN_dloss] = MCF_VALUES_COUNT;
            } else {
                c.unwanted = large ? 0 : 1u << PIXEL_CROSS_ENTROPY_OUT_lse;
            }
            c.floor = s[3] == 1 ? 1 : 0;
            MCF_TRY(mcf_case_emit(m, &c, !large, err));
        }
    return MCF_OK;
}

const mcf_case_row mcf_image_cases[] = {
    {MCF_OP_conv2d, cases_conv2d},
    {MCF_OP_conv2d_grad_x, cases_conv2d},
    {MCF_OP_conv2d_grad_weight, cases_conv2d},
    {MCF_OP_max_pool, cases_max_pool},
    {MCF_OP_max_pool_grad, cases_max_pool},
    {MCF_OP_adaptive_avg_pool, cases_resize},
    {MCF_OP_adaptive_avg_pool_grad, cases_resize},
    {MCF_OP_resize_bilinear, cases_resize},
    {MCF_OP_resize_bilinear_grad, cases_resize},
    {MCF_OP_prelu, cases_prelu},
    {MCF_OP_prelu_grad, cases_prelu},
    {MCF_OP_heatmap_points, cases_heatmap_points},
    {MCF_OP_heatmap_points_grad, cases_heatmap_points},
    {MCF_OP_point_distance, cases_point_distance},
    {MCF_OP_point_distance_grad, cases_point_distance},
    {MCF_OP_heatmap_bce, cases_heatmap_bce},
    {MCF_OP_heatmap_bce_grad, cases_heatmap_bce},
    {MCF_OP_pixel_cross_entropy, cases_pixel_cross_entropy},
    {MCF_OP_pixel_cross_entropy_grad, cases_pixel_cross_entropy},
    {MCF_OP_COUNT, NULL},
};
