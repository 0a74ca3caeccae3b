// Shape rules: one function shape_NAME per row of ops.def; those of images and heatmaps are in shape_images.c.
#include "ops/rules.h"
#include "ops/shape_images.h"

#include <string.h>

// --- helpers

typedef struct {
    char text[160];
} shown;

static shown show(const mcf_shape *shape)
{
    shown s;
    mcf_shape_print(shape, s.text, sizeof s.text);
    return s;
}
#define SHOW(i) show(&l->in[i].shape).text
#define NAME(i) mcf_op_describe(l->op)->in[i]

static mcf_status want_rank(const mcf_launch *l, int i, int rank, const char *form, mcf_error *err)
{
    if (l->in[i].shape.rank != rank)
        return mcf_fail(err, MCF_ERR_SHAPE, "%s must be %s, is %s", NAME(i), form, SHOW(i));
    return MCF_OK;
}

static mcf_status want_shape(const mcf_launch *l, int i, mcf_shape shape, mcf_error *err)
{
    if (!mcf_shape_equal(&l->in[i].shape, &shape))
        return mcf_fail(err, MCF_ERR_SHAPE, "%s must be %s, is %s", NAME(i), show(&shape).text, SHOW(i));
    return MCF_OK;
}

// For an optional input.
static mcf_status want_shape_if_present(const mcf_launch *l, int i, mcf_shape shape, mcf_error *err)
{
    return mcf_input_is_present(l, i) ? want_shape(l, i, shape, err) : MCF_OK;
}

static mcf_status want_same(const mcf_launch *l, int i, int j, mcf_error *err)
{
    if (!mcf_shape_equal(&l->in[i].shape, &l->in[j].shape))
        return mcf_fail(err, MCF_ERR_SHAPE, "shapes of %s and %s differ: %s and %s", NAME(i), NAME(j), SHOW(i),
                        SHOW(j));
    return MCF_OK;
}

static mcf_status want_axis(const mcf_launch *l, int i, int axis, mcf_error *err)
{
    if (axis < 0 || axis >= l->in[i].shape.rank)
        return mcf_fail(err, MCF_ERR_SHAPE, "no axis %d in %s", axis, SHOW(i));
    return MCF_OK;
}

// For sizes that something is averaged or normalised over.
static mcf_status want_positive(const mcf_launch *l, int i, int axis, mcf_error *err)
{
    if (l->in[i].shape.dim[axis] < 1)
        return mcf_fail(err, MCF_ERR_SHAPE, "axis %d of %s must not be empty, is %s", axis, NAME(i), SHOW(i));
    return MCF_OK;
}

static mcf_status overflow(mcf_error *err)
{
    return mcf_fail(err, MCF_ERR_SHAPE, "sizes overflow 64 bits");
}

// The first output has the shape of input i.
static mcf_status out_like(mcf_launch *l, int i)
{
    l->out[0].shape = l->in[i].shape;
    return MCF_OK;
}

// --- movement

static mcf_status shape_fill(mcf_launch *l, int world, mcf_error *err)
{
    int64_t count;
    return mcf_shape_count_checked(&l->out[FILL_OUT_out].shape, &count, err);
}

static mcf_status shape_copy(mcf_launch *l, int world, mcf_error *err)
{
    return out_like(l, COPY_IN_x);
}

static mcf_status shape_pad(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_axis(l, PAD_IN_x, l->attr.pad.axis, err));
    if (l->attr.pad.before < 0 || l->attr.pad.after < 0)
        return mcf_fail(err, MCF_ERR_SHAPE, "negative padding %lld, %lld", (long long)l->attr.pad.before,
                        (long long)l->attr.pad.after);
    out_like(l, PAD_IN_x);
    int64_t *size = &l->out[PAD_OUT_out].shape.dim[l->attr.pad.axis];
    if (__builtin_add_overflow(*size, l->attr.pad.before, size) ||
        __builtin_add_overflow(*size, l->attr.pad.after, size))
        return overflow(err);
    return MCF_OK;
}

static mcf_status shape_concat(mcf_launch *l, int world, mcf_error *err)
{
    int axis = l->attr.concat.axis;
    MCF_TRY(want_axis(l, CONCAT_IN_a, axis, err));
    mcf_shape other = l->in[CONCAT_IN_b].shape;
    if (other.rank == l->in[CONCAT_IN_a].shape.rank)
        other.dim[axis] = l->in[CONCAT_IN_a].shape.dim[axis];
    if (!mcf_shape_equal(&other, &l->in[CONCAT_IN_a].shape))
        return mcf_fail(err, MCF_ERR_SHAPE, "%s and %s do not join along axis %d", SHOW(CONCAT_IN_a), SHOW(CONCAT_IN_b),
                        axis);
    out_like(l, CONCAT_IN_a);
    int64_t *size = &l->out[CONCAT_OUT_out].shape.dim[axis];
    return __builtin_add_overflow(*size, l->in[CONCAT_IN_b].shape.dim[axis], size) ? overflow(err) : MCF_OK;
}

static mcf_status shape_gather_rows(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_rank(l, GATHER_ROWS_IN_x, 3, "[B, L, D]", err));
    MCF_TRY(want_rank(l, GATHER_ROWS_IN_ids, 2, "[B, n]", err));
    const int64_t *x = l->in[GATHER_ROWS_IN_x].shape.dim, *ids = l->in[GATHER_ROWS_IN_ids].shape.dim;
    if (x[0] != ids[0])
        return mcf_fail(err, MCF_ERR_SHAPE, "x %s and ids %s have different batch sizes", SHOW(GATHER_ROWS_IN_x),
                        SHOW(GATHER_ROWS_IN_ids));
    if (x[1] == 0 && mcf_shape_count(&l->in[GATHER_ROWS_IN_ids].shape) > 0)
        return mcf_fail(err, MCF_ERR_SHAPE, "x %s has no row to take", SHOW(GATHER_ROWS_IN_x));
    l->out[GATHER_ROWS_OUT_out].shape = MCF_SHAPE(x[0], ids[1], x[2]);
    return MCF_OK;
}

static mcf_status shape_scatter_rows(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_rank(l, SCATTER_ROWS_IN_x, 3, "[B, n, D]", err));
    const int64_t *x = l->in[SCATTER_ROWS_IN_x].shape.dim;
    MCF_TRY(want_shape(l, SCATTER_ROWS_IN_ids, MCF_SHAPE(x[0], x[1]), err));
    int64_t rows = l->attr.scatter_rows.rows;
    if (rows < 0 || (rows == 0 && x[0] * x[1] > 0))
        return mcf_fail(err, MCF_ERR_SHAPE, "%lld rows cannot take %s", (long long)rows, SHOW(SCATTER_ROWS_IN_x));
    l->out[SCATTER_ROWS_OUT_out].shape = MCF_SHAPE(x[0], rows, x[2]);
    return MCF_OK;
}

// --- elementwise

// All inputs and the output have one shape.
static mcf_status same_shape(mcf_launch *l, mcf_error *err)
{
    for (int i = 1; i < l->n_in; i++)
        MCF_TRY(want_same(l, 0, i, err));
    return out_like(l, 0);
}

#define SAME_SHAPE(name)                                                                                               \
    static mcf_status shape_##name(mcf_launch *l, int world, mcf_error *err)                                           \
    {                                                                                                                  \
        return same_shape(l, err);                                                                                     \
    }
SAME_SHAPE(add)
SAME_SHAPE(mul)
SAME_SHAPE(scale)
SAME_SHAPE(relu)
SAME_SHAPE(relu_grad)
SAME_SHAPE(gelu)
SAME_SHAPE(gelu_grad)
SAME_SHAPE(sigmoid)
SAME_SHAPE(sigmoid_grad)

// --- sums and products

static mcf_status shape_reduce_sum(mcf_launch *l, int world, mcf_error *err)
{
    uint32_t axes = l->attr.reduce_sum.axes;
    int rank = l->in[REDUCE_SUM_IN_x].shape.rank;
    if (axes >> rank)
        return mcf_fail(err, MCF_ERR_SHAPE, "axes mask 0x%x names axes that %s does not have", axes,
                        SHOW(REDUCE_SUM_IN_x));
    out_like(l, REDUCE_SUM_IN_x);
    for (int i = 0; i < rank; i++)
        if (axes >> i & 1)
            l->out[REDUCE_SUM_OUT_out].shape.dim[i] = 1;
    return MCF_OK;
}

static mcf_status shape_matmul(mcf_launch *l, int world, mcf_error *err)
{
    const mcf_shape *a = &l->in[MATMUL_IN_a].shape, *b = &l->in[MATMUL_IN_b].shape;
    int rank = a->rank, activation = l->attr.matmul.activation;
    if (rank < 2 || b->rank != rank)
        return mcf_fail(err, MCF_ERR_SHAPE, "operands must have one rank, 2 or more: %s x %s", SHOW(MATMUL_IN_a),
                        SHOW(MATMUL_IN_b));
    for (int i = 0; i < rank - 2; i++)
        if (a->dim[i] != b->dim[i])
            return mcf_fail(err, MCF_ERR_SHAPE, "batch sizes differ: %s x %s", SHOW(MATMUL_IN_a), SHOW(MATMUL_IN_b));
    bool ta = l->attr.matmul.trans_a, tb = l->attr.matmul.trans_b;
    int64_t m = a->dim[rank - (ta ? 1 : 2)], k = a->dim[rank - (ta ? 2 : 1)];
    int64_t kb = b->dim[rank - (tb ? 1 : 2)], n = b->dim[rank - (tb ? 2 : 1)];
    if (k != kb)
        return mcf_fail(err, MCF_ERR_SHAPE, "inner sizes differ: %s%s x %s%s", SHOW(MATMUL_IN_a), ta ? "^T" : "",
                        SHOW(MATMUL_IN_b), tb ? "^T" : "");
    MCF_TRY(want_shape_if_present(l, MATMUL_IN_bias, MCF_SHAPE(n), err));
    if (activation != MCF_ACT_NONE && activation != MCF_ACT_RELU && activation != MCF_ACT_GELU)
        return mcf_fail(err, MCF_ERR_SHAPE, "unknown activation %d", activation);
    out_like(l, MATMUL_IN_a);
    l->out[MATMUL_OUT_out].shape.dim[rank - 2] = m;
    l->out[MATMUL_OUT_out].shape.dim[rank - 1] = n;
    return MCF_OK;
}

static mcf_status shape_sum_squares(mcf_launch *l, int world, mcf_error *err)
{
    l->out[SUM_SQUARES_OUT_out].shape = MCF_SHAPE(1);
    return MCF_OK;
}

// --- normalisation

static mcf_status want_rows(const mcf_launch *l, int i, mcf_error *err)
{
    MCF_TRY(want_rank(l, i, 2, "[R, C]", err));
    return want_positive(l, i, 1, err);
}

static mcf_status shape_layer_norm(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_rows(l, LAYER_NORM_IN_x, err));
    const int64_t *x = l->in[LAYER_NORM_IN_x].shape.dim;
    MCF_TRY(want_shape(l, LAYER_NORM_IN_gamma, MCF_SHAPE(x[1]), err));
    MCF_TRY(want_shape(l, LAYER_NORM_IN_beta, MCF_SHAPE(x[1]), err));
    out_like(l, LAYER_NORM_IN_x);
    l->out[LAYER_NORM_OUT_mean].shape = l->out[LAYER_NORM_OUT_rstd].shape = MCF_SHAPE(x[0]);
    return MCF_OK;
}

static mcf_status shape_layer_norm_grad(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_rows(l, LAYER_NORM_GRAD_IN_x, err));
    const int64_t *x = l->in[LAYER_NORM_GRAD_IN_x].shape.dim;
    MCF_TRY(want_shape(l, LAYER_NORM_GRAD_IN_gamma, MCF_SHAPE(x[1]), err));
    MCF_TRY(want_shape(l, LAYER_NORM_GRAD_IN_mean, MCF_SHAPE(x[0]), err));
    MCF_TRY(want_shape(l, LAYER_NORM_GRAD_IN_rstd, MCF_SHAPE(x[0]), err));
    MCF_TRY(want_same(l, LAYER_NORM_GRAD_IN_x, LAYER_NORM_GRAD_IN_dy, err));
    if (mcf_input_is_present(l, LAYER_NORM_GRAD_IN_dsum))
        MCF_TRY(want_same(l, LAYER_NORM_GRAD_IN_x, LAYER_NORM_GRAD_IN_dsum, err));
    out_like(l, LAYER_NORM_GRAD_IN_x);
    l->out[LAYER_NORM_GRAD_OUT_dgamma].shape = l->out[LAYER_NORM_GRAD_OUT_dbeta].shape = MCF_SHAPE(x[1]);
    return MCF_OK;
}

static mcf_status shape_add_layer_norm(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_rows(l, ADD_LAYER_NORM_IN_x, err));
    const int64_t *x = l->in[ADD_LAYER_NORM_IN_x].shape.dim;
    MCF_TRY(want_same(l, ADD_LAYER_NORM_IN_x, ADD_LAYER_NORM_IN_r, err));
    MCF_TRY(want_shape(l, ADD_LAYER_NORM_IN_gamma, MCF_SHAPE(x[1]), err));
    MCF_TRY(want_shape(l, ADD_LAYER_NORM_IN_beta, MCF_SHAPE(x[1]), err));
    out_like(l, ADD_LAYER_NORM_IN_x);
    l->out[ADD_LAYER_NORM_OUT_y].shape = l->in[ADD_LAYER_NORM_IN_x].shape;
    l->out[ADD_LAYER_NORM_OUT_mean].shape = l->out[ADD_LAYER_NORM_OUT_rstd].shape = MCF_SHAPE(x[0]);
    return MCF_OK;
}

static mcf_status want_groups(const mcf_launch *l, int x, mcf_error *err)
{
    MCF_TRY(want_rank(l, x, 3, "[G, R, C]", err));
    return want_positive(l, x, 1, err);
}

// [G, 1, C] for x [G, R, C]
static mcf_shape statistic_shape(const mcf_launch *l, int x)
{
    return MCF_SHAPE(l->in[x].shape.dim[0], 1, l->in[x].shape.dim[2]);
}

static mcf_status shape_batch_variance(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_groups(l, BATCH_VARIANCE_IN_x, err));
    l->out[BATCH_VARIANCE_OUT_var].shape = statistic_shape(l, BATCH_VARIANCE_IN_x);
    return want_shape(l, BATCH_VARIANCE_IN_mean, statistic_shape(l, BATCH_VARIANCE_IN_x), err);
}

static mcf_status shape_batch_norm(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_groups(l, BATCH_NORM_IN_x, err));
    const mcf_shape statistic = statistic_shape(l, BATCH_NORM_IN_x), channels = MCF_SHAPE(statistic.dim[2]);
    MCF_TRY(want_shape(l, BATCH_NORM_IN_mean, statistic, err));
    MCF_TRY(want_shape(l, BATCH_NORM_IN_var, statistic, err));
    MCF_TRY(want_shape_if_present(l, BATCH_NORM_IN_gamma, channels, err));
    MCF_TRY(want_shape_if_present(l, BATCH_NORM_IN_beta, channels, err));
    if (mcf_input_is_present(l, BATCH_NORM_IN_gamma) != mcf_input_is_present(l, BATCH_NORM_IN_beta))
        return mcf_fail(err, MCF_ERR_SHAPE, "gamma and beta come together or not at all");
    return out_like(l, BATCH_NORM_IN_x);
}

static mcf_status shape_batch_norm_sums(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_groups(l, BATCH_NORM_SUMS_IN_x, err));
    const mcf_shape statistic = statistic_shape(l, BATCH_NORM_SUMS_IN_x);
    MCF_TRY(want_shape(l, BATCH_NORM_SUMS_IN_mean, statistic, err));
    MCF_TRY(want_shape(l, BATCH_NORM_SUMS_IN_var, statistic, err));
    MCF_TRY(want_same(l, BATCH_NORM_SUMS_IN_x, BATCH_NORM_SUMS_IN_dy, err));
    l->out[BATCH_NORM_SUMS_OUT_mean_dy].shape = l->out[BATCH_NORM_SUMS_OUT_mean_dy_xhat].shape = statistic;
    return MCF_OK;
}

static mcf_status shape_batch_norm_grad(mcf_launch *l, int world, mcf_error *err)
{
    static const int statistics[] = {BATCH_NORM_GRAD_IN_mean, BATCH_NORM_GRAD_IN_var, BATCH_NORM_GRAD_IN_mean_dy,
                                     BATCH_NORM_GRAD_IN_mean_dy_xhat};
    MCF_TRY(want_groups(l, BATCH_NORM_GRAD_IN_x, err));
    const mcf_shape statistic = statistic_shape(l, BATCH_NORM_GRAD_IN_x);
    for (int i = 0; i < 4; i++)
        MCF_TRY(want_shape(l, statistics[i], statistic, err));
    MCF_TRY(want_same(l, BATCH_NORM_GRAD_IN_x, BATCH_NORM_GRAD_IN_dy, err));
    MCF_TRY(want_shape_if_present(l, BATCH_NORM_GRAD_IN_gamma, MCF_SHAPE(statistic.dim[2]), err));
    return out_like(l, BATCH_NORM_GRAD_IN_x);
}

static mcf_status shape_l2_normalize(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_axis(l, L2_NORMALIZE_IN_x, l->attr.l2_normalize.axis, err));
    return out_like(l, L2_NORMALIZE_IN_x);
}

static mcf_status shape_l2_normalize_grad(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_axis(l, L2_NORMALIZE_GRAD_IN_x, l->attr.l2_normalize.axis, err));
    return same_shape(l, err);
}

// --- softmax and attention

static mcf_status shape_softmax(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_axis(l, SOFTMAX_IN_x, l->in[SOFTMAX_IN_x].shape.rank - 1, err));
    MCF_TRY(want_positive(l, SOFTMAX_IN_x, l->in[SOFTMAX_IN_x].shape.rank - 1, err));
    return out_like(l, SOFTMAX_IN_x);
}

static mcf_status shape_softmax_grad(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(same_shape(l, err));
    return shape_softmax(l, world, err);
}

static mcf_status want_qkv(const mcf_launch *l, mcf_error *err)
{
    const int64_t *x = l->in[ATTENTION_IN_qkv].shape.dim;
    MCF_TRY(want_rank(l, ATTENTION_IN_qkv, 5, "[B, N, 3, H, d]", err));
    if (x[2] != 3 || x[1] < 1 || x[4] < 1)
        return mcf_fail(err, MCF_ERR_SHAPE, "qkv must be [B, N, 3, H, d] with N and d at least 1, is %s",
                        SHOW(ATTENTION_IN_qkv));
    return MCF_OK;
}

static mcf_status shape_attention(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_qkv(l, err));
    const int64_t *x = l->in[ATTENTION_IN_qkv].shape.dim;
    l->out[ATTENTION_OUT_out].shape = MCF_SHAPE(x[0], x[1], x[3], x[4]);
    l->out[ATTENTION_OUT_lse].shape = MCF_SHAPE(x[0], x[3], x[1]);
    return MCF_OK;
}

static mcf_status shape_attention_grad(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_qkv(l, err));
    const int64_t *x = l->in[ATTENTION_GRAD_IN_qkv].shape.dim;
    MCF_TRY(want_shape(l, ATTENTION_GRAD_IN_out, MCF_SHAPE(x[0], x[1], x[3], x[4]), err));
    MCF_TRY(want_shape(l, ATTENTION_GRAD_IN_lse, MCF_SHAPE(x[0], x[3], x[1]), err));
    MCF_TRY(want_shape(l, ATTENTION_GRAD_IN_dout, MCF_SHAPE(x[0], x[1], x[3], x[4]), err));
    return out_like(l, ATTENTION_GRAD_IN_qkv);
}

// --- losses

static mcf_status want_tokens(const mcf_launch *l, mcf_error *err)
{
    MCF_TRY(want_rank(l, TOKEN_MSE_IN_a, 3, "[B, N, D]", err));
    MCF_TRY(want_same(l, TOKEN_MSE_IN_a, TOKEN_MSE_IN_b, err));
    if (mcf_shape_count(&l->in[TOKEN_MSE_IN_a].shape) < 1)
        return mcf_fail(err, MCF_ERR_SHAPE, "a mean over nothing: %s", SHOW(TOKEN_MSE_IN_a));
    return MCF_OK;
}

static mcf_status shape_token_mse(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_tokens(l, err));
    const int64_t *a = l->in[TOKEN_MSE_IN_a].shape.dim;
    l->out[TOKEN_MSE_OUT_loss].shape = MCF_SHAPE(1);
    l->out[TOKEN_MSE_OUT_norm_a].shape = l->out[TOKEN_MSE_OUT_norm_b].shape = MCF_SHAPE(a[0], a[2]);
    return MCF_OK;
}

static mcf_status shape_token_mse_grad(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_tokens(l, err));
    const int64_t *a = l->in[TOKEN_MSE_GRAD_IN_a].shape.dim;
    MCF_TRY(want_shape(l, TOKEN_MSE_GRAD_IN_norm_a, MCF_SHAPE(a[0], a[2]), err));
    MCF_TRY(want_shape(l, TOKEN_MSE_GRAD_IN_norm_b, MCF_SHAPE(a[0], a[2]), err));
    MCF_TRY(want_shape(l, TOKEN_MSE_GRAD_IN_dloss, MCF_SHAPE(1), err));
    return out_like(l, TOKEN_MSE_GRAD_IN_a);
}

static mcf_status want_logits(const mcf_launch *l, mcf_error *err)
{
    MCF_TRY(want_rows(l, CROSS_ENTROPY_IN_logits, err));
    MCF_TRY(want_positive(l, CROSS_ENTROPY_IN_logits, 0, err));
    return want_shape(l, CROSS_ENTROPY_IN_labels, MCF_SHAPE(l->in[CROSS_ENTROPY_IN_logits].shape.dim[0]), err);
}

static mcf_status shape_cross_entropy(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_logits(l, err));
    l->out[CROSS_ENTROPY_OUT_loss].shape = MCF_SHAPE(1);
    l->out[CROSS_ENTROPY_OUT_lse].shape = MCF_SHAPE(l->in[CROSS_ENTROPY_IN_logits].shape.dim[0]);
    return MCF_OK;
}

static mcf_status shape_cross_entropy_grad(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_logits(l, err));
    MCF_TRY(want_shape(l, CROSS_ENTROPY_GRAD_IN_lse, MCF_SHAPE(l->in[CROSS_ENTROPY_GRAD_IN_logits].shape.dim[0]), err));
    MCF_TRY(want_shape(l, CROSS_ENTROPY_GRAD_IN_dloss, MCF_SHAPE(1), err));
    return out_like(l, CROSS_ENTROPY_GRAD_IN_logits);
}

// --- images

static mcf_status shape_normalize_image(mcf_launch *l, int world, mcf_error *err)
{
    const int64_t *x = l->in[NORMALIZE_IMAGE_IN_image].shape.dim;
    MCF_TRY(want_rank(l, NORMALIZE_IMAGE_IN_image, 4, "[B, H, W, 3]", err));
    if (x[3] != 3)
        return mcf_fail(err, MCF_ERR_SHAPE, "image must be [B, H, W, 3], is %s", SHOW(NORMALIZE_IMAGE_IN_image));
    MCF_TRY(want_shape(l, NORMALIZE_IMAGE_IN_flip, MCF_SHAPE(x[0]), err));
    return out_like(l, NORMALIZE_IMAGE_IN_image);
}

static mcf_status resized(mcf_launch *l, int x, mcf_error *err)
{
    int64_t height = l->attr.resize.height, width = l->attr.resize.width;
    MCF_TRY(want_rank(l, x, 4, "[B, H, W, C]", err));
    MCF_TRY(want_positive(l, x, 1, err));
    MCF_TRY(want_positive(l, x, 2, err));
    if (height < 1 || width < 1)
        return mcf_fail(err, MCF_ERR_SHAPE, "cannot resize to %lld x %lld", (long long)height, (long long)width);
    const int64_t *dim = l->in[x].shape.dim;
    l->out[0].shape = MCF_SHAPE(dim[0], height, width, dim[3]);
    return MCF_OK;
}

static mcf_status shape_resize_nearest(mcf_launch *l, int world, mcf_error *err)
{
    return resized(l, RESIZE_NEAREST_IN_x, err);
}

static mcf_status shape_resize_nearest_grad(mcf_launch *l, int world, mcf_error *err)
{
    return resized(l, RESIZE_NEAREST_GRAD_IN_dy, err);
}

// --- state

static mcf_status shape_ema(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_same(l, EMA_IN_target, EMA_IN_source, err));
    MCF_TRY(want_shape_if_present(l, EMA_IN_momentum, MCF_SHAPE(1), err));
    return out_like(l, EMA_IN_target);
}

static mcf_status shape_adamw(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_rank(l, ADAMW_IN_param, 1, "[n]", err));
    MCF_TRY(want_same(l, ADAMW_IN_param, ADAMW_IN_grad, err));
    MCF_TRY(want_same(l, ADAMW_IN_param, ADAMW_IN_m, err));
    MCF_TRY(want_same(l, ADAMW_IN_param, ADAMW_IN_v, err));
    MCF_TRY(want_rank(l, ADAMW_IN_ranges, 2, "[S, 2]", err));
    int64_t ranges = l->in[ADAMW_IN_ranges].shape.dim[0];
    MCF_TRY(want_shape(l, ADAMW_IN_ranges, MCF_SHAPE(ranges, 2), err));
    MCF_TRY(want_shape(l, ADAMW_IN_rates, MCF_SHAPE(ranges, 2), err));
    MCF_TRY(want_shape(l, ADAMW_IN_scalars, MCF_SHAPE(MCF_ADAMW_SCALARS), err));
    return out_like(l, ADAMW_IN_param);
}

// --- collectives

static mcf_status shape_all_reduce(mcf_launch *l, int world, mcf_error *err)
{
    return out_like(l, ALL_REDUCE_IN_x);
}

static mcf_status shape_all_gather(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_axis(l, ALL_GATHER_IN_x, 0, err));
    out_like(l, ALL_GATHER_IN_x);
    int64_t *size = &l->out[ALL_GATHER_OUT_out].shape.dim[0];
    return __builtin_mul_overflow(*size, (int64_t)world, size) ? overflow(err) : MCF_OK;
}

static mcf_status shape_reduce_scatter(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_axis(l, REDUCE_SCATTER_IN_x, 0, err));
    if (l->in[REDUCE_SCATTER_IN_x].shape.dim[0] % world)
        return mcf_fail(err, MCF_ERR_SHAPE, "%s does not divide among %d members", SHOW(REDUCE_SCATTER_IN_x), world);
    out_like(l, REDUCE_SCATTER_IN_x);
    l->out[REDUCE_SCATTER_OUT_out].shape.dim[0] /= world;
    return MCF_OK;
}

static mcf_status shape_broadcast(mcf_launch *l, int world, mcf_error *err)
{
    if (l->attr.broadcast.root < 0 || l->attr.broadcast.root >= world)
        return mcf_fail(err, MCF_ERR_SHAPE, "no member %d in a group of %d", l->attr.broadcast.root, world);
    return out_like(l, BROADCAST_IN_x);
}

// --- all of them

static mcf_status (*const rules[MCF_OP_COUNT])(mcf_launch *, int, mcf_error *) = {
#define MCF_OP(name, ...) [MCF_OP_##name] = shape_##name,
#include "ops/ops.def"
};

static mcf_status check_inputs(const mcf_launch *l, const mcf_op_info *info, mcf_error *err)
{
    if (l->n_in < info->inputs - info->optional || l->n_in > info->inputs)
        return mcf_fail(err, MCF_ERR_SHAPE, "takes %d to %d inputs, got %d", info->inputs - info->optional,
                        info->inputs, l->n_in);
    for (int i = 0; i < l->n_in; i++) {
        const mcf_operand *in = &l->in[i];
        if (!mcf_input_is_present(l, i))
            continue;
        int64_t count;
        MCF_TRY(mcf_shape_count_checked(&in->shape, &count, err));
        if (!(info->strided >> i & 1) && !mcf_operand_is_contiguous(in))
            return mcf_fail(err, MCF_ERR_SHAPE, "%s %s must be contiguous; copy it first", NAME(i), SHOW(i));
    }
    if (l->accumulate & ~info->accumulates)
        return mcf_fail(err, MCF_ERR_SHAPE, "cannot add to outputs 0x%x", l->accumulate & ~info->accumulates);
    return MCF_OK;
}

static mcf_status infer(mcf_launch *l, int world, mcf_error *err)
{
    const mcf_op_info *info = mcf_op_describe(l->op);
    if (l->n_out < 1 || l->n_out > info->outputs)
        return mcf_fail(err, MCF_ERR_SHAPE, "has 1 to %d outputs, asked for %d", info->outputs, l->n_out);
    MCF_TRY(check_inputs(l, info, err));
    MCF_TRY(mcf_infer_types(l, err));
    MCF_TRY(rules[l->op](l, world, err));
    for (int i = 0; i < l->n_out; i++) {
        int64_t count;
        MCF_TRY(mcf_shape_count_checked(&l->out[i].shape, &count, err));
        mcf_contiguous_strides(&l->out[i].shape, l->out[i].stride);
    }
    return MCF_OK;
}

mcf_status mcf_infer_shapes(mcf_launch *launch, int world, mcf_error *err)
{
    if ((unsigned)launch->op >= MCF_OP_COUNT)
        return mcf_fail(err, MCF_ERR_INTERNAL, "no operation %d", (int)launch->op);
    mcf_status status = infer(launch, world, err);
    return status == MCF_OK ? status : mcf_add_context(err, status, "%s", mcf_op_describe(launch->op)->name);
}
