// Shape rules: one function shape_NAME per row of ops.def.
#include "ops/rules.h"

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

static mcf_status want_rank(const mcf_launch *l, int i, int rank, const char *form, mcf_error *err)
{
    if (l->in[i].shape.rank != rank)
        return mcf_fail(err, MCF_ERR_SHAPE, "input %d must be %s, is %s", i, form, SHOW(i));
    return MCF_OK;
}

static mcf_status want_shape(const mcf_launch *l, int i, mcf_shape shape, const char *what, mcf_error *err)
{
    if (!mcf_shape_equal(&l->in[i].shape, &shape))
        return mcf_fail(err, MCF_ERR_SHAPE, "input %d (%s) must be %s, is %s", i, what, show(&shape).text, SHOW(i));
    return MCF_OK;
}

static mcf_status want_same(const mcf_launch *l, int i, int j, mcf_error *err)
{
    if (!mcf_shape_equal(&l->in[i].shape, &l->in[j].shape))
        return mcf_fail(err, MCF_ERR_SHAPE, "shapes of inputs %d and %d differ: %s and %s", i, j, SHOW(i), SHOW(j));
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
        return mcf_fail(err, MCF_ERR_SHAPE, "axis %d of input %d must not be empty, is %s", axis, i, SHOW(i));
    return MCF_OK;
}

static mcf_status overflow(mcf_error *err)
{
    return mcf_fail(err, MCF_ERR_SHAPE, "sizes overflow 64 bits");
}

static mcf_status out_like(mcf_launch *l, int i)
{
    l->out[0].shape = l->in[i].shape;
    return MCF_OK;
}

// --- movement

static mcf_status shape_fill(mcf_launch *l, int world, mcf_error *err)
{
    int64_t count;
    return mcf_shape_count_checked(&l->out[0].shape, &count, err);
}

static mcf_status shape_copy(mcf_launch *l, int world, mcf_error *err)
{
    return out_like(l, 0);
}

static mcf_status shape_pad(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_axis(l, 0, l->attr.pad.axis, err));
    if (l->attr.pad.before < 0 || l->attr.pad.after < 0)
        return mcf_fail(err, MCF_ERR_SHAPE, "negative padding %lld, %lld", (long long)l->attr.pad.before,
                        (long long)l->attr.pad.after);
    out_like(l, 0);
    int64_t *size = &l->out[0].shape.dim[l->attr.pad.axis];
    if (__builtin_add_overflow(*size, l->attr.pad.before, size) ||
        __builtin_add_overflow(*size, l->attr.pad.after, size))
        return overflow(err);
    return MCF_OK;
}

static mcf_status shape_concat(mcf_launch *l, int world, mcf_error *err)
{
    int axis = l->attr.concat.axis;
    MCF_TRY(want_axis(l, 0, axis, err));
    mcf_shape other = l->in[1].shape;
    if (other.rank == l->in[0].shape.rank)
        other.dim[axis] = l->in[0].shape.dim[axis];
    if (!mcf_shape_equal(&other, &l->in[0].shape))
        return mcf_fail(err, MCF_ERR_SHAPE, "%s and %s do not join along axis %d", SHOW(0), SHOW(1), axis);
    out_like(l, 0);
    int64_t *size = &l->out[0].shape.dim[axis];
    return __builtin_add_overflow(*size, l->in[1].shape.dim[axis], size) ? overflow(err) : MCF_OK;
}

static mcf_status shape_gather_rows(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_rank(l, 0, 3, "[B, L, D]", err));
    MCF_TRY(want_rank(l, 1, 2, "[B, n]", err));
    const int64_t *x = l->in[0].shape.dim, *ids = l->in[1].shape.dim;
    if (x[0] != ids[0])
        return mcf_fail(err, MCF_ERR_SHAPE, "x %s and ids %s have different batch sizes", SHOW(0), SHOW(1));
    if (x[1] == 0 && mcf_shape_count(&l->in[1].shape) > 0)
        return mcf_fail(err, MCF_ERR_SHAPE, "x %s has no row to take", SHOW(0));
    l->out[0].shape = MCF_SHAPE(x[0], ids[1], x[2]);
    return MCF_OK;
}

static mcf_status shape_scatter_rows(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_rank(l, 0, 3, "[B, n, D]", err));
    const int64_t *x = l->in[0].shape.dim;
    MCF_TRY(want_shape(l, 1, MCF_SHAPE(x[0], x[1]), "ids", err));
    int64_t rows = l->attr.scatter_rows.rows;
    if (rows < 0 || (rows == 0 && x[0] * x[1] > 0))
        return mcf_fail(err, MCF_ERR_SHAPE, "%lld rows cannot take %s", (long long)rows, SHOW(0));
    l->out[0].shape = MCF_SHAPE(x[0], rows, x[2]);
    return MCF_OK;
}

// --- elementwise

static mcf_status shape_binary(mcf_launch *l, mcf_error *err)
{
    MCF_TRY(want_same(l, 0, 1, err));
    return out_like(l, 0);
}

static mcf_status shape_add(mcf_launch *l, int world, mcf_error *err)
{
    return shape_binary(l, err);
}
static mcf_status shape_mul(mcf_launch *l, int world, mcf_error *err)
{
    return shape_binary(l, err);
}
static mcf_status shape_scale(mcf_launch *l, int world, mcf_error *err)
{
    return out_like(l, 0);
}
static mcf_status shape_relu(mcf_launch *l, int world, mcf_error *err)
{
    return out_like(l, 0);
}
static mcf_status shape_relu_grad(mcf_launch *l, int world, mcf_error *err)
{
    return shape_binary(l, err);
}
static mcf_status shape_gelu(mcf_launch *l, int world, mcf_error *err)
{
    return out_like(l, 0);
}
static mcf_status shape_gelu_grad(mcf_launch *l, int world, mcf_error *err)
{
    return shape_binary(l, err);
}
static mcf_status shape_sigmoid(mcf_launch *l, int world, mcf_error *err)
{
    return out_like(l, 0);
}
static mcf_status shape_sigmoid_grad(mcf_launch *l, int world, mcf_error *err)
{
    return shape_binary(l, err);
}

// --- sums and products

static mcf_status shape_reduce_sum(mcf_launch *l, int world, mcf_error *err)
{
    uint32_t axes = l->attr.reduce_sum.axes;
    int rank = l->in[0].shape.rank;
    if (axes >> rank)
        return mcf_fail(err, MCF_ERR_SHAPE, "axes mask 0x%x names axes that %s does not have", axes, SHOW(0));
    out_like(l, 0);
    for (int i = 0; i < rank; i++)
        if (axes >> i & 1)
            l->out[0].shape.dim[i] = 1;
    return MCF_OK;
}

static mcf_status shape_matmul(mcf_launch *l, int world, mcf_error *err)
{
    const mcf_shape *a = &l->in[0].shape, *b = &l->in[1].shape;
    int rank = a->rank, activation = l->attr.matmul.activation;
    if (rank < 2 || b->rank != rank)
        return mcf_fail(err, MCF_ERR_SHAPE, "operands must have one rank, 2 or more: %s x %s", SHOW(0), SHOW(1));
    for (int i = 0; i < rank - 2; i++)
        if (a->dim[i] != b->dim[i])
            return mcf_fail(err, MCF_ERR_SHAPE, "batch sizes differ: %s x %s", SHOW(0), SHOW(1));
    bool ta = l->attr.matmul.trans_a, tb = l->attr.matmul.trans_b;
    int64_t m = a->dim[rank - (ta ? 1 : 2)], k = a->dim[rank - (ta ? 2 : 1)];
    int64_t kb = b->dim[rank - (tb ? 1 : 2)], n = b->dim[rank - (tb ? 2 : 1)];
    if (k != kb)
        return mcf_fail(err, MCF_ERR_SHAPE, "inner sizes differ: %s%s x %s%s", SHOW(0), ta ? "^T" : "", SHOW(1),
                        tb ? "^T" : "");
    if (mcf_input_is_present(l, 2))
        MCF_TRY(want_shape(l, 2, MCF_SHAPE(n), "bias", err));
    if (activation != MCF_ACT_NONE && activation != MCF_ACT_RELU && activation != MCF_ACT_GELU)
        return mcf_fail(err, MCF_ERR_SHAPE, "unknown activation %d", activation);
    out_like(l, 0);
    l->out[0].shape.dim[rank - 2] = m;
    l->out[0].shape.dim[rank - 1] = n;
    return MCF_OK;
}

static mcf_status shape_sum_squares(mcf_launch *l, int world, mcf_error *err)
{
    l->out[0].shape = MCF_SHAPE(1);
    return MCF_OK;
}

// --- normalisation

static mcf_status want_rows(const mcf_launch *l, mcf_error *err)
{
    MCF_TRY(want_rank(l, 0, 2, "[R, C]", err));
    return want_positive(l, 0, 1, err);
}

static mcf_status shape_layer_norm(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_rows(l, err));
    const int64_t *x = l->in[0].shape.dim;
    MCF_TRY(want_shape(l, 1, MCF_SHAPE(x[1]), "gamma", err));
    MCF_TRY(want_shape(l, 2, MCF_SHAPE(x[1]), "beta", err));
    out_like(l, 0);
    l->out[1].shape = l->out[2].shape = MCF_SHAPE(x[0]);
    return MCF_OK;
}

static mcf_status shape_layer_norm_grad(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_rows(l, err));
    const int64_t *x = l->in[0].shape.dim;
    MCF_TRY(want_shape(l, 1, MCF_SHAPE(x[1]), "gamma", err));
    MCF_TRY(want_shape(l, 2, MCF_SHAPE(x[0]), "mean", err));
    MCF_TRY(want_shape(l, 3, MCF_SHAPE(x[0]), "rstd", err));
    MCF_TRY(want_same(l, 0, 4, err));
    if (mcf_input_is_present(l, 5))
        MCF_TRY(want_same(l, 0, 5, err));
    out_like(l, 0);
    l->out[1].shape = l->out[2].shape = MCF_SHAPE(x[1]);
    return MCF_OK;
}

static mcf_status shape_add_layer_norm(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_rows(l, err));
    const int64_t *x = l->in[0].shape.dim;
    MCF_TRY(want_same(l, 0, 1, err));
    MCF_TRY(want_shape(l, 2, MCF_SHAPE(x[1]), "gamma", err));
    MCF_TRY(want_shape(l, 3, MCF_SHAPE(x[1]), "beta", err));
    out_like(l, 0);
    l->out[1].shape = l->in[0].shape;
    l->out[2].shape = l->out[3].shape = MCF_SHAPE(x[0]);
    return MCF_OK;
}

// x [G,R,C] and `count` statistics [G,1,C] behind it, at the inputs listed.
static mcf_status want_groups(const mcf_launch *l, const int *statistics, int count, mcf_error *err)
{
    MCF_TRY(want_rank(l, 0, 3, "[G, R, C]", err));
    MCF_TRY(want_positive(l, 0, 1, err));
    const int64_t *x = l->in[0].shape.dim;
    for (int i = 0; i < count; i++)
        MCF_TRY(want_shape(l, statistics[i], MCF_SHAPE(x[0], 1, x[2]), "statistic [G, 1, C]", err));
    return MCF_OK;
}

static mcf_shape statistic_shape(const mcf_launch *l)
{
    return MCF_SHAPE(l->in[0].shape.dim[0], 1, l->in[0].shape.dim[2]);
}

static mcf_status shape_batch_variance(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_groups(l, (int[]){1}, 1, err));
    l->out[0].shape = statistic_shape(l);
    return MCF_OK;
}

static mcf_status shape_batch_norm(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_groups(l, (int[]){1, 2}, 2, err));
    for (int i = 3; i < 5; i++)
        if (mcf_input_is_present(l, i))
            MCF_TRY(want_shape(l, i, MCF_SHAPE(l->in[0].shape.dim[2]), i == 3 ? "gamma" : "beta", err));
    if (mcf_input_is_present(l, 3) != mcf_input_is_present(l, 4))
        return mcf_fail(err, MCF_ERR_SHAPE, "gamma and beta come together or not at all");
    return out_like(l, 0);
}

static mcf_status shape_batch_norm_sums(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_groups(l, (int[]){1, 2}, 2, err));
    MCF_TRY(want_same(l, 0, 3, err));
    l->out[0].shape = l->out[1].shape = statistic_shape(l);
    return MCF_OK;
}

static mcf_status shape_batch_norm_grad(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_groups(l, (int[]){1, 2, 4, 5}, 4, err));
    MCF_TRY(want_same(l, 0, 3, err));
    if (mcf_input_is_present(l, 6))
        MCF_TRY(want_shape(l, 6, MCF_SHAPE(l->in[0].shape.dim[2]), "gamma", err));
    return out_like(l, 0);
}

static mcf_status shape_l2_normalize(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_axis(l, 0, l->attr.l2_normalize.axis, err));
    return out_like(l, 0);
}

static mcf_status shape_l2_normalize_grad(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_axis(l, 0, l->attr.l2_normalize.axis, err));
    return shape_binary(l, err);
}

// --- softmax and attention

static mcf_status shape_softmax(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_axis(l, 0, l->in[0].shape.rank - 1, err));
    MCF_TRY(want_positive(l, 0, l->in[0].shape.rank - 1, err));
    return out_like(l, 0);
}

static mcf_status shape_softmax_grad(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(shape_softmax(l, world, err));
    return shape_binary(l, err);
}

static mcf_status want_qkv(const mcf_launch *l, mcf_error *err)
{
    const int64_t *x = l->in[0].shape.dim;
    MCF_TRY(want_rank(l, 0, 5, "[B, N, 3, H, d]", err));
    if (x[2] != 3 || x[1] < 1 || x[4] < 1)
        return mcf_fail(err, MCF_ERR_SHAPE, "input 0 must be [B, N, 3, H, d] with N and d at least 1, is %s", SHOW(0));
    return MCF_OK;
}

static mcf_status shape_attention(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_qkv(l, err));
    const int64_t *x = l->in[0].shape.dim;
    l->out[0].shape = MCF_SHAPE(x[0], x[1], x[3], x[4]);
    l->out[1].shape = MCF_SHAPE(x[0], x[3], x[1]);
    return MCF_OK;
}

static mcf_status shape_attention_grad(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_qkv(l, err));
    const int64_t *x = l->in[0].shape.dim;
    MCF_TRY(want_shape(l, 1, MCF_SHAPE(x[0], x[1], x[3], x[4]), "out", err));
    MCF_TRY(want_shape(l, 2, MCF_SHAPE(x[0], x[3], x[1]), "lse", err));
    MCF_TRY(want_shape(l, 3, MCF_SHAPE(x[0], x[1], x[3], x[4]), "dout", err));
    return out_like(l, 0);
}

// --- losses

static mcf_status want_tokens(const mcf_launch *l, mcf_error *err)
{
    MCF_TRY(want_rank(l, 0, 3, "[B, N, D]", err));
    MCF_TRY(want_same(l, 0, 1, err));
    if (mcf_shape_count(&l->in[0].shape) < 1)
        return mcf_fail(err, MCF_ERR_SHAPE, "a mean over nothing: %s", SHOW(0));
    return MCF_OK;
}

static mcf_status shape_token_mse(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_tokens(l, err));
    const int64_t *a = l->in[0].shape.dim;
    l->out[0].shape = MCF_SHAPE(1);
    l->out[1].shape = l->out[2].shape = MCF_SHAPE(a[0], a[2]);
    return MCF_OK;
}

static mcf_status shape_token_mse_grad(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_tokens(l, err));
    const int64_t *a = l->in[0].shape.dim;
    MCF_TRY(want_shape(l, 2, MCF_SHAPE(a[0], a[2]), "norm_a", err));
    MCF_TRY(want_shape(l, 3, MCF_SHAPE(a[0], a[2]), "norm_b", err));
    MCF_TRY(want_shape(l, 4, MCF_SHAPE(1), "dloss", err));
    return out_like(l, 0);
}

static mcf_status want_logits(const mcf_launch *l, mcf_error *err)
{
    MCF_TRY(want_rows(l, err));
    MCF_TRY(want_positive(l, 0, 0, err));
    return want_shape(l, 1, MCF_SHAPE(l->in[0].shape.dim[0]), "labels", err);
}

static mcf_status shape_cross_entropy(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_logits(l, err));
    l->out[0].shape = MCF_SHAPE(1);
    l->out[1].shape = MCF_SHAPE(l->in[0].shape.dim[0]);
    return MCF_OK;
}

static mcf_status shape_cross_entropy_grad(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_logits(l, err));
    MCF_TRY(want_shape(l, 2, MCF_SHAPE(l->in[0].shape.dim[0]), "lse", err));
    MCF_TRY(want_shape(l, 3, MCF_SHAPE(1), "dloss", err));
    return out_like(l, 0);
}

// --- images

static mcf_status shape_normalize_image(mcf_launch *l, int world, mcf_error *err)
{
    const int64_t *x = l->in[0].shape.dim;
    MCF_TRY(want_rank(l, 0, 4, "[B, H, W, 3]", err));
    if (x[3] != 3)
        return mcf_fail(err, MCF_ERR_SHAPE, "input 0 must be [B, H, W, 3], is %s", SHOW(0));
    MCF_TRY(want_shape(l, 1, MCF_SHAPE(x[0]), "flip", err));
    l->out[0].shape = MCF_SHAPE(x[0], 3, x[1], x[2]);
    return MCF_OK;
}

static mcf_status shape_resize_nearest(mcf_launch *l, int world, mcf_error *err)
{
    int64_t height = l->attr.resize.height, width = l->attr.resize.width;
    MCF_TRY(want_rank(l, 0, 4, "[B, C, H, W]", err));
    MCF_TRY(want_positive(l, 0, 2, err));
    MCF_TRY(want_positive(l, 0, 3, err));
    if (height < 1 || width < 1)
        return mcf_fail(err, MCF_ERR_SHAPE, "cannot resize to %lld x %lld", (long long)height, (long long)width);
    l->out[0].shape = MCF_SHAPE(l->in[0].shape.dim[0], l->in[0].shape.dim[1], height, width);
    return MCF_OK;
}

static mcf_status shape_resize_nearest_grad(mcf_launch *l, int world, mcf_error *err)
{
    return shape_resize_nearest(l, world, err);
}

// --- state

static mcf_status shape_ema(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_same(l, 0, 1, err));
    if (mcf_input_is_present(l, 2))
        MCF_TRY(want_shape(l, 2, MCF_SHAPE(1), "momentum", err));
    return out_like(l, 0);
}

static mcf_status shape_adamw(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_rank(l, 0, 1, "[n]", err));
    for (int i = 1; i < 4; i++)
        MCF_TRY(want_same(l, 0, i, err));
    MCF_TRY(want_rank(l, 4, 2, "ranges [S, 2]", err));
    int64_t ranges = l->in[4].shape.dim[0];
    MCF_TRY(want_shape(l, 4, MCF_SHAPE(ranges, 2), "ranges", err));
    MCF_TRY(want_shape(l, 5, MCF_SHAPE(ranges, 2), "rates", err));
    MCF_TRY(want_shape(l, 6, MCF_SHAPE(MCF_ADAMW_SCALARS), "scalars", err));
    return out_like(l, 0);
}

// --- collectives

static mcf_status shape_all_reduce(mcf_launch *l, int world, mcf_error *err)
{
    return out_like(l, 0);
}

static mcf_status shape_all_gather(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_axis(l, 0, 0, err));
    out_like(l, 0);
    int64_t *size = &l->out[0].shape.dim[0];
    return __builtin_mul_overflow(*size, (int64_t)world, size) ? overflow(err) : MCF_OK;
}

static mcf_status shape_reduce_scatter(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_axis(l, 0, 0, err));
    if (l->in[0].shape.dim[0] % world)
        return mcf_fail(err, MCF_ERR_SHAPE, "%s does not divide among %d members", SHOW(0), world);
    out_like(l, 0);
    l->out[0].shape.dim[0] /= world;
    return MCF_OK;
}

static mcf_status shape_broadcast(mcf_launch *l, int world, mcf_error *err)
{
    if (l->attr.broadcast.root < 0 || l->attr.broadcast.root >= world)
        return mcf_fail(err, MCF_ERR_SHAPE, "no member %d in a group of %d", l->attr.broadcast.root, world);
    return out_like(l, 0);
}

// --- all of them

static mcf_status (*const rules[MCF_OP_COUNT])(mcf_launch *, int, mcf_error *) = {
#define MCF_OP(name, ...) [MCF_OP_##name] = shape_##name,
#include "ops/ops.def"
#undef MCF_OP
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
            return mcf_fail(err, MCF_ERR_SHAPE, "input %d %s must be contiguous; copy it first", i, SHOW(i));
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
