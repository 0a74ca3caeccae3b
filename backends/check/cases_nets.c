// The cases of the operations of networks: normalisation, attention, losses, images, state.
#include "backends/check/cases.h"

#include <math.h>
#include <string.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

// --- normalisation

static const int64_t tables[][2] = {
    // R, C
    {3, 17},  {1, 1},    {5, 64},   {2, 7},  {0, 8},    {50, 192}, {7, 65},  {33, 33},
    {1, 129}, {197, 48}, {4, 1003}, {64, 3}, {19, 768}, {3, 1024}, {9, 516},
};

static mcf_status cases_layer_norm(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    int rows_in = op == MCF_OP_add_layer_norm ? 2 : 1, outputs = mcf_op_describe(op)->outputs;
    for (int i = 0; i < mcf_case_some(m, COUNT(tables), 4); i++)
        for (uint32_t unwanted = 0; unwanted < (1u << outputs); unwanted += 2) {
            mcf_check_case c = mcf_case_start(op);
            for (int j = 0; j < rows_in; j++)
                mcf_case_shape(&c, j, MCF_SHAPE(tables[i][0], tables[i][1]));
            mcf_case_shape(&c, rows_in, MCF_SHAPE(tables[i][1]));
            mcf_case_shape(&c, rows_in + 1, MCF_SHAPE(tables[i][1]));
            c.values[0] = i % 2 ? MCF_VALUES_SHIFTED : MCF_VALUES_NORMAL;
            c.launch.attr.norm.eps = 1e-6;
            c.unwanted = unwanted;
            c.floor = tables[i][1] == 1 ? 1 : 1e-2;
            MCF_TRY(mcf_case_emit(m, &c, unwanted == 0, err));
        }
    return MCF_OK;
}

static mcf_status cases_layer_norm_grad(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    for (int i = 0; i < mcf_case_some(m, COUNT(tables), 4); i++)
        for (int variant = 0; variant < 16; variant++) {
            mcf_check_case c = mcf_case_start(op);
            mcf_shape x = MCF_SHAPE(tables[i][0], tables[i][1]);
            mcf_case_shape(&c, 0, x);
            mcf_case_shape(&c, 1, MCF_SHAPE(x.dim[1]));
            mcf_case_shape(&c, 2, MCF_SHAPE(x.dim[0]));
            mcf_case_shape(&c, 3, MCF_SHAPE(x.dim[0]));
            mcf_case_shape(&c, 4, x);
            if (variant & 1)
                mcf_case_shape(&c, 5, x);
            c.values[0] = i % 2 ? MCF_VALUES_SHIFTED : MCF_VALUES_NORMAL;
            c.values[2] = c.values[3] = MCF_VALUES_OUTPUT;
            c.source = MCF_OP_layer_norm;
            c.launch.attr.norm.eps = 1e-6;
            c.launch.accumulate = variant & 2 ? 6 : 0;
            c.unwanted = variant & 12 ? (uint32_t)(variant >> 2) << 1 : 0;
            if (c.launch.accumulate & c.unwanted)
                continue;
            // One column: rstd is 1/sqrt(eps) and multiplies what should be zero.
            c.floor = x.dim[1] == 1 ? 10 : 1e-2;
            MCF_TRY(mcf_case_emit(m, &c, variant < 2, err));
        }
    return MCF_OK;
}

static const int64_t groups[][3] = {
    // G, R, C
    {1, 6, 17}, {2, 3, 7}, {1, 32, 64}, {3, 1, 5},    {1, 50, 129},
    {4, 8, 33}, {0, 3, 4}, {1, 7, 0},   {1, 2, 1000}, {2, 64, 65},
};

static mcf_shape statistic(const int64_t *group)
{
    return MCF_SHAPE(group[0], 1, group[2]);
}

static mcf_status cases_batch_variance(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    for (int i = 0; i < mcf_case_some(m, COUNT(groups), 4); i++) {
        mcf_check_case c = mcf_case_start(op);
        mcf_case_shape(&c, 0, MCF_SHAPE(groups[i][0], groups[i][1], groups[i][2]));
        mcf_case_shape(&c, 1, statistic(groups[i]));
        MCF_TRY(mcf_case_emit(m, &c, false, err));
    }
    return MCF_OK;
}

static mcf_status cases_batch_norm(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    for (int i = 0; i < mcf_case_some(m, COUNT(groups), 4); i++)
        for (int affine = 0; affine < 2; affine++) {
            mcf_check_case c = mcf_case_start(op);
            mcf_case_shape(&c, 0, MCF_SHAPE(groups[i][0], groups[i][1], groups[i][2]));
            mcf_case_shape(&c, 1, statistic(groups[i]));
            mcf_case_shape(&c, 2, statistic(groups[i]));
            for (int j = 3; affine && j < 5; j++)
                mcf_case_shape(&c, j, MCF_SHAPE(groups[i][2]));
            c.values[2] = MCF_VALUES_POSITIVE;
            c.launch.attr.norm.eps = 1e-5;
            c.floor = 0.1;
            MCF_TRY(mcf_case_emit(m, &c, true, err));
        }
    return MCF_OK;
}

static mcf_status cases_batch_norm_sums(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    for (int i = 0; i < mcf_case_some(m, COUNT(groups), 4); i++)
        for (int wanted = 0; wanted < 2; wanted++) {
            mcf_check_case c = mcf_case_start(op);
            mcf_case_shape(&c, 0, MCF_SHAPE(groups[i][0], groups[i][1], groups[i][2]));
            mcf_case_shape(&c, 1, statistic(groups[i]));
            mcf_case_shape(&c, 2, statistic(groups[i]));
            mcf_case_shape(&c, 3, MCF_SHAPE(groups[i][0], groups[i][1], groups[i][2]));
            c.values[2] = MCF_VALUES_POSITIVE;
            c.launch.attr.norm.eps = 1e-5;
            c.unwanted = wanted ? 0 : 2;
            c.floor = 1e-2;
            MCF_TRY(mcf_case_emit(m, &c, true, err));
        }
    return MCF_OK;
}

static mcf_status cases_batch_norm_grad(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    for (int i = 0; i < mcf_case_some(m, COUNT(groups), 4); i++)
        for (int affine = 0; affine < 2; affine++) {
            mcf_check_case c = mcf_case_start(op);
            mcf_case_shape(&c, 0, MCF_SHAPE(groups[i][0], groups[i][1], groups[i][2]));
            mcf_case_shape(&c, 3, c.launch.in[0].shape);
            for (int j = 1; j < 6; j++)
                if (j != 3)
                    mcf_case_shape(&c, j, statistic(groups[i]));
            if (affine)
                mcf_case_shape(&c, 6, MCF_SHAPE(groups[i][2]));
            c.values[2] = MCF_VALUES_POSITIVE;
            c.launch.attr.norm.eps = 1e-5;
            c.floor = 0.1;
            MCF_TRY(mcf_case_emit(m, &c, true, err));
        }
    return MCF_OK;
}

static mcf_status cases_l2_normalize(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    static const struct {
        mcf_shape shape;
        int axis;
    } lines[] = {{{2, {5, 17}}, 1},   {{3, {2, 5, 7}}, 1},   {{1, {3}}, 0},     {{2, {1, 1}}, 1},
                 {{2, {33, 256}}, 1}, {{3, {3, 50, 65}}, 1}, {{2, {64, 9}}, 0}, {{2, {0, 5}}, 1},
                 {{3, {2, 0, 4}}, 1}, {{2, {3, 1003}}, 1}};
    for (int i = 0; i < mcf_case_some(m, COUNT(lines), 4); i++)
        for (int zero = 0; zero < 2; zero++) {
            mcf_check_case c = mcf_case_start(op);
            for (int j = 0; j < c.launch.n_in; j++)
                mcf_case_shape(&c, j, lines[i].shape);
            c.launch.attr.l2_normalize.axis = lines[i].axis;
            // A line of zeros is divided by eps; with a large one the result does not hide the rest.
            c.launch.attr.l2_normalize.eps = zero ? 0.5 : 1e-12;
            c.values[0] = zero ? MCF_VALUES_ZERO_LINE : MCF_VALUES_NORMAL;
            // Along an axis of one element the gradient is zero.
            c.floor = lines[i].shape.dim[lines[i].axis] == 1 ? 10 : 0;
            MCF_TRY(mcf_case_emit(m, &c, true, err));
        }
    return MCF_OK;
}

// --- softmax and attention

static mcf_status cases_softmax(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    static const mcf_shape inputs[] = {{2, {3, 17}},    {1, {5}},    {2, {1, 1}},  {4, {2, 3, 9, 9}}, {2, {7, 197}},
                                       {3, {2, 4, 50}}, {2, {0, 3}}, {2, {64, 8}}, {2, {3, 1003}},    {3, {2, 0, 4}}};
    for (int i = 0; i < mcf_case_some(m, COUNT(inputs), 4); i++)
        for (int large = 0; large < 2; large++) {
            mcf_check_case c = mcf_case_start(op);
            for (int j = 0; j < c.launch.n_in; j++)
                mcf_case_shape(&c, j, inputs[i]);
            c.values[0] = large ? MCF_VALUES_LARGE : MCF_VALUES_NORMAL;
            if (op == MCF_OP_softmax_grad)
                c.values[0] = large ? MCF_VALUES_UNIT : MCF_VALUES_POSITIVE;
            c.floor = op == MCF_OP_softmax_grad ? 1e-2 : 0;
            MCF_TRY(mcf_case_emit(m, &c, true, err));
        }
    return MCF_OK;
}

static const int64_t heads[][4] = {
    // B, N, H, d
    {2, 5, 2, 4},    {1, 1, 1, 1},    {2, 9, 3, 12},  {1, 17, 2, 7},   {2, 50, 3, 64}, {1, 197, 2, 64},
    {3, 50, 2, 32},  {1, 197, 1, 12}, {1, 33, 2, 65}, {0, 4, 2, 8},    {2, 1, 3, 32},  {1, 64, 2, 16},
    {2, 145, 3, 24}, {1, 5, 0, 4},    {2, 65, 1, 64}, {1, 256, 1, 32}, {1, 33, 2, 64}, {1, 530, 1, 8},
};

static mcf_status cases_attention(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    for (int i = 0; i < mcf_case_some(m, COUNT(heads), 4); i++)
        for (int variant = 0; variant < 3; variant++) {
            const int64_t *s = heads[i];
            mcf_check_case c = mcf_case_start(op);
            mcf_case_shape(&c, 0, MCF_SHAPE(s[0], s[1], 3, s[2], s[3]));
            c.launch.attr.attention.scale = 1 / sqrt((double)s[3]);
            c.unwanted = variant == 1 ? 2 : 0;
            if (op == MCF_OP_attention_grad) {
                mcf_case_shape(&c, 1, MCF_SHAPE(s[0], s[1], s[2], s[3]));
                mcf_case_shape(&c, 2, MCF_SHAPE(s[0], s[2], s[1]));
                mcf_case_shape(&c, 3, MCF_SHAPE(s[0], s[1], s[2], s[3]));
                c.values[1] = c.values[2] = MCF_VALUES_OUTPUT;
                c.source = MCF_OP_attention;
                c.unwanted = 0;
                if (variant == 1)
                    continue;
            }
            // Sharp attention: scores up to some tens, as trained networks have.
            if (variant == 2)
                c.launch.attr.attention.scale *= 6;
            c.floor = s[1] == 1 ? 1 : 1e-2;
            MCF_TRY(mcf_case_emit(m, &c, variant == 0, err));
        }
    return MCF_OK;
}

// --- losses

static const int64_t tokens[][3] = {
    // B, N, D
    {2, 5, 7}, {1, 1, 1}, {2, 17, 64}, {3, 50, 33}, {1, 197, 192}, {2, 37, 130}, {4, 65, 16},
};

static mcf_status cases_token_mse(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    bool grad = op == MCF_OP_token_mse_grad;
    for (int i = 0; i < mcf_case_some(m, COUNT(tokens), 4); i++)
        for (int variant = 0; variant < 4; variant++) {
            const int64_t *s = tokens[i];
            mcf_check_case c = mcf_case_start(op);
            mcf_case_shape(&c, 0, MCF_SHAPE(s[0], s[1], s[2]));
            mcf_case_shape(&c, 1, MCF_SHAPE(s[0], s[1], s[2]));
            c.launch.attr.token_mse.eps = 1e-12;
            if (variant & 1) {
                c.values[0] = MCF_VALUES_ZERO_LINE;
                c.launch.attr.token_mse.eps = 0.5;
            }
            if (grad) {
                for (int j = 2; j < 4; j++) {
                    mcf_case_shape(&c, j, MCF_SHAPE(s[0], s[2]));
                    c.values[j] = MCF_VALUES_OUTPUT;
                }
                mcf_case_shape(&c, 4, MCF_SHAPE(1));
                c.values[4] = MCF_VALUES_COUNT;
                c.source = MCF_OP_token_mse;
            } else {
                c.unwanted = variant & 2 ? 6 : 0;
            }
            if (grad && variant & 2)
                continue;
            // One token: every normalised value is 1 or -1.
            c.floor = s[1] == 1 ? 10 : 0;
            MCF_TRY(mcf_case_emit(m, &c, true, err));
        }
    return MCF_OK;
}

static mcf_status cases_cross_entropy(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    static const int64_t logits[][2] = {{4, 7}, {1, 1}, {33, 33}, {3, 1003}, {64, 64}, {5, 17}, {1, 129}};
    for (int i = 0; i < mcf_case_some(m, COUNT(logits), 4); i++)
        for (int large = 0; large < 2; large++) {
            const int64_t *s = logits[i];
            mcf_check_case c = mcf_case_start(op);
            mcf_case_shape(&c, 0, MCF_SHAPE(s[0], s[1]));
            mcf_case_shape(&c, 1, MCF_SHAPE(s[0]));
            c.values[0] = large ? MCF_VALUES_LARGE : MCF_VALUES_NORMAL;
            c.values[1] = MCF_VALUES_LABELS;
            c.limit = s[1];
            if (op == MCF_OP_cross_entropy_grad) {
                mcf_case_shape(&c, 2, MCF_SHAPE(s[0]));
                mcf_case_shape(&c, 3, MCF_SHAPE(1));
                c.values[2] = MCF_VALUES_OUTPUT;
                c.values[3] = MCF_VALUES_UNIT;
                c.source = MCF_OP_cross_entropy;
            } else {
                c.unwanted = large ? 0 : 2;
            }
            c.floor = s[1] == 1 ? 1 : 0;
            MCF_TRY(mcf_case_emit(m, &c, true, err));
        }
    return MCF_OK;
}

// --- images

static mcf_status cases_normalize_image(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    static const int64_t images[][3] = {{2, 4, 5}, {1, 1, 1}, {3, 16, 17}, {0, 4, 4}, {2, 33, 65}, {1, 96, 96}};
    for (int i = 0; i < mcf_case_some(m, COUNT(images), 3); i++) {
        mcf_check_case c = mcf_case_start(op);
        mcf_case_shape(&c, 0, MCF_SHAPE(images[i][0], images[i][1], images[i][2], 3));
        mcf_case_shape(&c, 1, MCF_SHAPE(images[i][0]));
        c.values[0] = MCF_VALUES_BYTES;
        c.values[1] = MCF_VALUES_FLAGS;
        c.floor = 0.1;
        memcpy(c.launch.attr.normalize_image.mean, (const float[]){0.485f, 0.456f, 0.406f}, sizeof(float[3]));
        memcpy(c.launch.attr.normalize_image.std, (const float[]){0.229f, 0.224f, 0.225f}, sizeof(float[3]));
        MCF_TRY(mcf_case_emit(m, &c, true, err));
    }
    return MCF_OK;
}

static mcf_status cases_resize(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    static const int64_t sizes[][4] = {{4, 4, 8, 8}, {5, 3, 7, 11},      {1, 1, 3, 2},   {9, 7, 4, 5},
                                       {6, 6, 6, 6}, {32, 32, 224, 224}, {17, 33, 1, 64}};
    for (int i = 0; i < mcf_case_some(m, COUNT(sizes), 4); i++) {
        bool grad = op == MCF_OP_resize_nearest_grad;
        mcf_check_case c = mcf_case_start(op);
        const int64_t *from = sizes[i] + (grad ? 2 : 0), *to = sizes[i] + (grad ? 0 : 2);
        mcf_case_shape(&c, 0, MCF_SHAPE(i == 4 ? 0 : 2, from[0], from[1], i % 2 ? 5 : 3));
        c.launch.attr.resize.height = to[0];
        c.launch.attr.resize.width = to[1];
        c.values[0] = MCF_VALUES_POSITIVE;
        MCF_TRY(mcf_case_emit(m, &c, grad, err));
    }
    return MCF_OK;
}

// --- state

static mcf_status cases_ema(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    for (int i = 0; i < mcf_case_some(m, MCF_CASE_LENGTHS, 4); i++)
        for (int momentum = 0; momentum < 2; momentum++) {
            mcf_check_case c = mcf_case_start(op);
            mcf_case_shape(&c, 0, MCF_SHAPE(mcf_case_lengths[i]));
            mcf_case_shape(&c, 1, MCF_SHAPE(mcf_case_lengths[i]));
            if (momentum)
                mcf_case_shape(&c, 2, MCF_SHAPE(1));
            c.values[2] = MCF_VALUES_UNIT;
            c.launch.attr.ema.momentum = 0.9;
            c.launch.attr.ema.scale = i % 2 ? 1 : 1.25;
            c.changed = 1;
            c.floor = 0.1;
            // Masters and averages are fp32 in every precision.
            if (m->type == MCF_F32)
                MCF_TRY(mcf_case_emit(m, &c, false, err));
        }
    return MCF_OK;
}

static mcf_status cases_adamw(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    for (int i = 0; i < mcf_case_some(m, MCF_CASE_LENGTHS, 5); i++)
        for (int kind = MCF_VALUES_SCALARS; kind <= MCF_VALUES_SCALARS_NAN; kind++) {
            mcf_check_case c = mcf_case_start(op);
            int64_t n = mcf_case_lengths[i], ranges = n < 8 ? n < 1 ? 0 : 1 : 4;
            for (int j = 0; j < 4; j++)
                mcf_case_shape(&c, j, MCF_SHAPE(n));
            mcf_case_shape(&c, 4, MCF_SHAPE(ranges, 2));
            mcf_case_shape(&c, 5, MCF_SHAPE(ranges, 2));
            mcf_case_shape(&c, 6, MCF_SHAPE(MCF_ADAMW_SCALARS));
            c.values[3] = MCF_VALUES_POSITIVE;
            c.values[4] = MCF_VALUES_RANGES;
            c.values[5] = MCF_VALUES_RATES;
            c.values[6] = kind;
            c.limit = n;
            c.changed = 1 | 1 << 2 | 1 << 3;
            c.floor = 0.1;
            if (m->type == MCF_F32)
                MCF_TRY(mcf_case_emit(m, &c, false, err));
        }
    return MCF_OK;
}

mcf_status mcf_check_make_network_cases(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    switch (op) {
    case MCF_OP_layer_norm:
    case MCF_OP_add_layer_norm:
        return cases_layer_norm(m, op, err);
    case MCF_OP_layer_norm_grad:
        return cases_layer_norm_grad(m, op, err);
    case MCF_OP_batch_variance:
        return cases_batch_variance(m, op, err);
    case MCF_OP_batch_norm:
        return cases_batch_norm(m, op, err);
    case MCF_OP_batch_norm_sums:
        return cases_batch_norm_sums(m, op, err);
    case MCF_OP_batch_norm_grad:
        return cases_batch_norm_grad(m, op, err);
    case MCF_OP_l2_normalize:
    case MCF_OP_l2_normalize_grad:
        return cases_l2_normalize(m, op, err);
    case MCF_OP_softmax:
    case MCF_OP_softmax_grad:
        return cases_softmax(m, op, err);
    case MCF_OP_attention:
    case MCF_OP_attention_grad:
        return cases_attention(m, op, err);
    case MCF_OP_token_mse:
    case MCF_OP_token_mse_grad:
        return cases_token_mse(m, op, err);
    case MCF_OP_cross_entropy:
    case MCF_OP_cross_entropy_grad:
        return cases_cross_entropy(m, op, err);
    case MCF_OP_normalize_image:
        return cases_normalize_image(m, op, err);
    case MCF_OP_resize_nearest:
    case MCF_OP_resize_nearest_grad:
        return cases_resize(m, op, err);
    case MCF_OP_ema:
        return cases_ema(m, op, err);
    case MCF_OP_adamw:
        return cases_adamw(m, op, err);
    default:
        return mcf_check_make_image_cases(m, op, err);
    }
}
