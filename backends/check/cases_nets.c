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
    const bool adds = op == MCF_OP_add_layer_norm;
    const int outputs = mcf_op_describe(op)->outputs;
    for (int i = 0; i < mcf_case_some(m, COUNT(tables), 4); i++)
        for (uint32_t unwanted = 0; unwanted < (1u << outputs); unwanted += 2) {
            mcf_check_case c = mcf_case_start(op);
            const mcf_shape x = MCF_SHAPE(tables[i][0], tables[i][1]), columns = MCF_SHAPE(tables[i][1]);
            mcf_case_shape(&c, adds ? ADD_LAYER_NORM_IN_x : LAYER_NORM_IN_x, x);
            if (adds)
                mcf_case_shape(&c, ADD_LAYER_NORM_IN_r, x);
            mcf_case_shape(&c, adds ? ADD_LAYER_NORM_IN_gamma : LAYER_NORM_IN_gamma, columns);
            mcf_case_shape(&c, adds ? ADD_LAYER_NORM_IN_beta : LAYER_NORM_IN_beta, columns);
            c.values[adds ? ADD_LAYER_NORM_IN_x : LAYER_NORM_IN_x] = i % 2 ? MCF_VALUES_SHIFTED : MCF_VALUES_NORMAL;
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
            mcf_case_shape(&c, LAYER_NORM_GRAD_IN_x, x);
            mcf_case_shape(&c, LAYER_NORM_GRAD_IN_gamma, MCF_SHAPE(x.dim[1]));
            mcf_case_shape(&c, LAYER_NORM_GRAD_IN_mean, MCF_SHAPE(x.dim[0]));
            mcf_case_shape(&c, LAYER_NORM_GRAD_IN_rstd, MCF_SHAPE(x.dim[0]));
            mcf_case_shape(&c, LAYER_NORM_GRAD_IN_dy, x);
            if (variant & 1)
                mcf_case_shape(&c, LAYER_NORM_GRAD_IN_dsum, x);
            c.values[LAYER_NORM_GRAD_IN_x] = i % 2 ? MCF_VALUES_SHIFTED : MCF_VALUES_NORMAL;
            c.values[LAYER_NORM_GRAD_IN_mean] = c.values[LAYER_NORM_GRAD_IN_rstd] = MCF_VALUES_OUTPUT;
            c.launch.attr.norm.eps = 1e-6;
            c.launch.accumulate = variant & 2 ? 1u << LAYER_NORM_GRAD_OUT_dgamma | 1u << LAYER_NORM_GRAD_OUT_dbeta : 0;
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
        mcf_case_shape(&c, BATCH_VARIANCE_IN_x, MCF_SHAPE(groups[i][0], groups[i][1], groups[i][2]));
        mcf_case_shape(&c, BATCH_VARIANCE_IN_mean, statistic(groups[i]));
        MCF_TRY(mcf_case_emit(m, &c, false, err));
    }
    return MCF_OK;
}

static mcf_status cases_batch_norm(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    for (int i = 0; i < mcf_case_some(m, COUNT(groups), 4); i++)
        for (int affine = 0; affine < 2; affine++) {
            mcf_check_case c = mcf_case_start(op);
            mcf_case_shape(&c, BATCH_NORM_IN_x, MCF_SHAPE(groups[i][0], groups[i][1], groups[i][2]));
            mcf_case_shape(&c, BATCH_NORM_IN_mean, statistic(groups[i]));
            mcf_case_shape(&c, BATCH_NORM_IN_var, statistic(groups[i]));
            if (affine) {
                mcf_case_shape(&c, BATCH_NORM_IN_gamma, MCF_SHAPE(groups[i][2]));
                mcf_case_shape(&c, BATCH_NORM_IN_beta, MCF_SHAPE(groups[i][2]));
            }
            c.values[BATCH_NORM_IN_var] = MCF_VALUES_POSITIVE;
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
            mcf_case_shape(&c, BATCH_NORM_SUMS_IN_x, MCF_SHAPE(groups[i][0], groups[i][1], groups[i][2]));
            mcf_case_shape(&c, BATCH_NORM_SUMS_IN_mean, statistic(groups[i]));
            mcf_case_shape(&c, BATCH_NORM_SUMS_IN_var, statistic(groups[i]));
            mcf_case_shape(&c, BATCH_NORM_SUMS_IN_dy, MCF_SHAPE(groups[i][0], groups[i][1], groups[i][2]));
            c.values[BATCH_NORM_SUMS_IN_var] = MCF_VALUES_POSITIVE;
            c.launch.attr.norm.eps = 1e-5;
            c.unwanted = wanted ? 0 : 1u << BATCH_NORM_SUMS_OUT_mean_dy_xhat;
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
            mcf_case_shape(&c, BATCH_NORM_GRAD_IN_x, MCF_SHAPE(groups[i][0], groups[i][1], groups[i][2]));
            mcf_case_shape(&c, BATCH_NORM_GRAD_IN_dy, c.launch.in[BATCH_NORM_GRAD_IN_x].shape);
            mcf_case_shape(&c, BATCH_NORM_GRAD_IN_mean, statistic(groups[i]));
            mcf_case_shape(&c, BATCH_NORM_GRAD_IN_var, statistic(groups[i]));
            mcf_case_shape(&c, BATCH_NORM_GRAD_IN_mean_dy, statistic(groups[i]));
            mcf_case_shape(&c, BATCH_NORM_GRAD_IN_mean_dy_xhat, statistic(groups[i]));
            if (affine)
                mcf_case_shape(&c, BATCH_NORM_GRAD_IN_gamma, MCF_SHAPE(groups[i][2]));
            c.values[BATCH_NORM_GRAD_IN_var] = MCF_VALUES_POSITIVE;
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
            c.values[L2_NORMALIZE_IN_x] = zero ? MCF_VALUES_ZERO_LINE : MCF_VALUES_NORMAL;
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
            c.values[SOFTMAX_IN_x] = large ? MCF_VALUES_LARGE : MCF_VALUES_NORMAL;
            if (op == MCF_OP_softmax_grad)
                c.values[SOFTMAX_IN_x] = large ? MCF_VALUES_UNIT : MCF_VALUES_POSITIVE;
            c.floor = op == MCF_OP_softmax_grad ? 1e-2 : 0;
            MCF_TRY(mcf_case_emit(m, &c, true, err));
        }
    return MCF_OK;
}

static const int64_t heads[][4] = {
    // B, N, H, d
    {2, 5, 2, 4},    {1, 1, 1, 1},    {1, 33, 2, 64},  {1, 65, 1, 32},  {2, 50, 3, 64},  {1, 197, 2, 64},
    {3, 50, 2, 32},  {1, 197, 1, 12}, {1, 33, 2, 65},  {0, 4, 2, 8},    {2, 1, 3, 32},   {1, 64, 2, 16},
    {2, 145, 3, 24}, {1, 5, 0, 4},    {2, 65, 1, 64},  {1, 256, 1, 32}, {2, 9, 3, 12},   {1, 530, 1, 8},
    {1, 50, 1, 80},  {1, 197, 1, 80}, {1, 785, 1, 64}, {1, 785, 2, 32}, {1, 197, 3, 32}, {1, 17, 2, 7},
};

static mcf_status cases_attention(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    for (int i = 0; i < mcf_case_some(m, COUNT(heads), 4); i++)
        for (int variant = 0; variant < 3; variant++) {
            const int64_t *s = heads[i];
            mcf_check_case c = mcf_case_start(op);
            mcf_case_shape(&c, ATTENTION_IN_qkv, MCF_SHAPE(s[0], s[1], 3, s[2], s[3]));
            c.launch.attr.attention.scale = 1 / sqrt((double)s[3]);
            c.unwanted = variant == 1 ? 1u << ATTENTION_OUT_lse : 0;
            if (op == MCF_OP_attention_grad) {
                mcf_case_shape(&c, ATTENTION_GRAD_IN_out, MCF_SHAPE(s[0], s[1], s[2], s[3]));
                mcf_case_shape(&c, ATTENTION_GRAD_IN_lse, MCF_SHAPE(s[0], s[2], s[1]));
                mcf_case_shape(&c, ATTENTION_GRAD_IN_dout, MCF_SHAPE(s[0], s[1], s[2], s[3]));
                c.values[ATTENTION_GRAD_IN_out] = c.values[ATTENTION_GRAD_IN_lse] = MCF_VALUES_OUTPUT;
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
            mcf_case_shape(&c, TOKEN_MSE_IN_a, MCF_SHAPE(s[0], s[1], s[2]));
            mcf_case_shape(&c, TOKEN_MSE_IN_b, MCF_SHAPE(s[0], s[1], s[2]));
            c.launch.attr.norm.eps = 1e-12;
            if (variant & 1) {
                c.values[TOKEN_MSE_IN_a] = MCF_VALUES_ZERO_LINE;
                c.launch.attr.norm.eps = 0.5;
            }
            if (grad) {
                mcf_case_shape(&c, TOKEN_MSE_GRAD_IN_norm_a, MCF_SHAPE(s[0], s[2]));
                mcf_case_shape(&c, TOKEN_MSE_GRAD_IN_norm_b, MCF_SHAPE(s[0], s[2]));
                mcf_case_shape(&c, TOKEN_MSE_GRAD_IN_dloss, MCF_SHAPE(1));
                c.values[TOKEN_MSE_GRAD_IN_norm_a] = c.values[TOKEN_MSE_GRAD_IN_norm_b] = MCF_VALUES_OUTPUT;
                c.values[TOKEN_MSE_GRAD_IN_dloss] = MCF_VALUES_COUNT;
            } else {
                c.unwanted = variant & 2 ? 1u << TOKEN_MSE_OUT_norm_a | 1u << TOKEN_MSE_OUT_norm_b : 0;
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
            mcf_case_shape(&c, CROSS_ENTROPY_IN_logits, MCF_SHAPE(s[0], s[1]));
            mcf_case_shape(&c, CROSS_ENTROPY_IN_labels, MCF_SHAPE(s[0]));
            c.values[CROSS_ENTROPY_IN_logits] = large ? MCF_VALUES_LARGE : MCF_VALUES_NORMAL;
            c.values[CROSS_ENTROPY_IN_labels] = MCF_VALUES_LABELS;
            if (op == MCF_OP_cross_entropy_grad) {
                mcf_case_shape(&c, CROSS_ENTROPY_GRAD_IN_lse, MCF_SHAPE(s[0]));
                mcf_case_shape(&c, CROSS_ENTROPY_GRAD_IN_dloss, MCF_SHAPE(1));
                c.values[CROSS_ENTROPY_GRAD_IN_lse] = MCF_VALUES_OUTPUT;
                c.values[CROSS_ENTROPY_GRAD_IN_dloss] = MCF_VALUES_UNIT;
            } else {
                c.unwanted = large ? 0 : 1u << CROSS_ENTROPY_OUT_lse;
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
        mcf_case_shape(&c, NORMALIZE_IMAGE_IN_image, MCF_SHAPE(images[i][0], images[i][1], images[i][2], 3));
        mcf_case_shape(&c, NORMALIZE_IMAGE_IN_flip, MCF_SHAPE(images[i][0]));
        c.values[NORMALIZE_IMAGE_IN_image] = MCF_VALUES_BYTES;
        c.values[NORMALIZE_IMAGE_IN_flip] = MCF_VALUES_FLAGS;
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
        mcf_case_shape(&c, RESIZE_NEAREST_IN_x, MCF_SHAPE(i == 4 ? 0 : 2, from[0], from[1], i % 2 ? 5 : 3));
        c.launch.attr.resize.height = to[0];
        c.launch.attr.resize.width = to[1];
        c.values[RESIZE_NEAREST_IN_x] = MCF_VALUES_POSITIVE;
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
            mcf_case_shape(&c, EMA_IN_target, MCF_SHAPE(mcf_case_lengths[i]));
            mcf_case_shape(&c, EMA_IN_source, MCF_SHAPE(mcf_case_lengths[i]));
            if (momentum)
                mcf_case_shape(&c, EMA_IN_momentum, MCF_SHAPE(1));
            c.values[EMA_IN_momentum] = MCF_VALUES_UNIT;
            c.launch.attr.ema.momentum = 0.9;
            c.launch.attr.ema.scale = i % 2 ? 1 : 1.25;
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
            for (int j = ADAMW_IN_param; j <= ADAMW_IN_v; j++)
                mcf_case_shape(&c, j, MCF_SHAPE(n));
            mcf_case_shape(&c, ADAMW_IN_ranges, MCF_SHAPE(ranges, 2));
            mcf_case_shape(&c, ADAMW_IN_rates, MCF_SHAPE(ranges, 2));
            mcf_case_shape(&c, ADAMW_IN_scalars, MCF_SHAPE(MCF_ADAMW_SCALARS));
            c.values[ADAMW_IN_v] = MCF_VALUES_POSITIVE;
            c.values[ADAMW_IN_ranges] = MCF_VALUES_RANGES;
            c.values[ADAMW_IN_rates] = MCF_VALUES_RATES;
            c.values[ADAMW_IN_scalars] = kind;
            c.floor = 0.1;
            if (m->type == MCF_F32)
                MCF_TRY(mcf_case_emit(m, &c, false, err));
        }
    return MCF_OK;
}

const mcf_case_row mcf_network_cases[] = {
    {MCF_OP_layer_norm, cases_layer_norm},
    {MCF_OP_add_layer_norm, cases_layer_norm},
    {MCF_OP_layer_norm_grad, cases_layer_norm_grad},
    {MCF_OP_batch_variance, cases_batch_variance},
    {MCF_OP_batch_norm, cases_batch_norm},
    {MCF_OP_batch_norm_sums, cases_batch_norm_sums},
    {MCF_OP_batch_norm_grad, cases_batch_norm_grad},
    {MCF_OP_l2_normalize, cases_l2_normalize},
    {MCF_OP_l2_normalize_grad, cases_l2_normalize},
    {MCF_OP_softmax, cases_softmax},
    {MCF_OP_softmax_grad, cases_softmax},
    {MCF_OP_attention, cases_attention},
    {MCF_OP_attention_grad, cases_attention},
    {MCF_OP_token_mse, cases_token_mse},
    {MCF_OP_token_mse_grad, cases_token_mse},
    {MCF_OP_cross_entropy, cases_cross_entropy},
    {MCF_OP_cross_entropy_grad, cases_cross_entropy},
    {MCF_OP_normalize_image, cases_normalize_image},
    {MCF_OP_resize_nearest, cases_resize},
    {MCF_OP_resize_nearest_grad, cases_resize},
    {MCF_OP_ema, cases_ema},
    {MCF_OP_adamw, cases_adamw},
    {MCF_OP_COUNT, NULL},
};
