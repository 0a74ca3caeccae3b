// Attention by its own kernels, which store nothing of size N x N, or as products and a softmax between them, which is
// faster where products are: on processors, and where a device's tuning found it so.
#include "backends/kernels/host.h"

#define NONE DEV_NONE

typedef struct {
    int64_t images, tokens, heads, width;
    double scale;
} sizes;

static sizes sizes_of(const mcf_launch *l)
{
    const int64_t *dim = l->in[ATTENTION_IN_qkv].shape.dim;
    return (sizes){dim[0], dim[1], dim[3], dim[4], l->attr.attention.scale};
}

// Items that work on a token together in the own kernels.
static int attention_group(const mcf_stream *stream)
{
    return dev_sizes_of(stream).group_max < 64 ? 16 : 64;
}

static mcf_status along(mcf_stream *stream, const sizes *s, const mcf_operand *out, const mcf_operand *dout,
                        const mcf_operand *to, mcf_error *err)
{
    dev_kernel_key key = {"attention.cl", "attention_along",       out->dtype, dout->dtype, NONE,
                          NONE,           "-DMCF_ATTENTION_ALONG", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, out);
    dev_operand(&call, dout);
    dev_operand(&call, to);
    dev_int64(&call, s->tokens);
    dev_int64(&call, s->heads);
    dev_int64(&call, s->width);
    return dev_run_items(&call, s->tokens, s->images * s->heads, 1, err);
}

// --- own kernels

static mcf_status forward_kernel(mcf_stream *stream, const mcf_launch *l, const sizes *s, mcf_error *err)
{
    const int group = attention_group(stream);
    dev_kernel_key key = {
        "attention.cl",    "attention", l->in[ATTENTION_IN_qkv].dtype, NONE, NONE, l->out[ATTENTION_OUT_out].dtype,
        "-DMCF_ATTENTION", group};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, &l->in[ATTENTION_IN_qkv]);
    dev_operand(&call, &l->out[ATTENTION_OUT_out]);
    dev_operand(&call, dev_wanted(l, ATTENTION_OUT_lse) ? &l->out[ATTENTION_OUT_lse] : NULL);
    dev_int64(&call, s->tokens);
    dev_int64(&call, s->heads);
    dev_int64(&call, s->width);
    dev_float(&call, s->scale);
    dev_int(&call, dev_wanted(l, ATTENTION_OUT_lse));
    return dev_run(&call, (const size_t[]){(size_t)group, 1, 1}, s->tokens, s->images * s->heads, 1, err);
}

static mcf_status backward_kernel(mcf_stream *stream, const mcf_launch *l, const sizes *s, const mcf_operand *a,
                                  const char *kernel, mcf_error *err)
{
    const int group = attention_group(stream);
    dev_kernel_key key = {"attention.cl",
                          kernel,
                          l->in[ATTENTION_GRAD_IN_qkv].dtype,
                          l->in[ATTENTION_GRAD_IN_dout].dtype,
                          NONE,
                          l->out[ATTENTION_GRAD_OUT_dqkv].dtype,
                          "-DMCF_ATTENTION_GRAD",
                          group};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, &l->in[ATTENTION_GRAD_IN_qkv]);
    dev_operand(&call, &l->in[ATTENTION_GRAD_IN_dout]);
    dev_operand(&call, &l->in[ATTENTION_GRAD_IN_lse]);
    dev_operand(&call, a);
    dev_operand(&call, &l->out[ATTENTION_GRAD_OUT_dqkv]);
    dev_int64(&call, s->tokens);
    dev_int64(&call, s->heads);
    dev_int64(&call, s->width);
    dev_float(&call, s->scale);
    return dev_run(&call, (const size_t[]){(size_t)group, 1, 1}, s->tokens, s->images * s->heads, 1, err);
}

// --- as products. Pieces of the batch whose scores take at most this many elements

enum { SCORES_MAX = 8 << 20 };

static int64_t images_at_once(const sizes *s)
{
    int64_t one = s->heads * s->tokens * s->tokens;
    int64_t images = one > 0 ? SCORES_MAX / one : s->images;
    return images < 1 ? 1 : images;
}

static dev_matrix moved(mcf_operand *copy, const mcf_operand *operand, int64_t elements, dev_steps steps)
{
    *copy = *operand;
    copy->offset += (size_t)elements * mcf_dtype_size(operand->dtype);
    return (dev_matrix){copy, steps};
}

// q (0), k (1) or v (2) of the images from `first` on, as [tokens, width] for each image and head.
static dev_matrix qkv_matrix(mcf_operand *copy, const mcf_operand *qkv, const sizes *s, int64_t first, int which)
{
    int64_t token = 3 * s->heads * s->width;
    return moved(copy, qkv, first * s->tokens * token + which * s->heads * s->width,
                 (dev_steps){token, 1, s->tokens * token, s->width});
}

static dev_matrix out_matrix(mcf_operand *copy, const mcf_operand *out, const sizes *s, int64_t first)
{
    int64_t token = s->heads * s->width;
    return moved(copy, out, first * s->tokens * token, (dev_steps){token, 1, s->tokens * token, s->width});
}

static dev_matrix score_matrix(const mcf_operand *scores, const sizes *s)
{
    int64_t one = s->tokens * s->tokens;
    return (dev_matrix){scores, {s->tokens, 1, s->heads * one, one}};
}

static dev_matrix transposed(dev_matrix m)
{
    int64_t row = m.steps.row;
    m.steps.row = m.steps.column;
    m.steps.column = row;
    return m;
}

static mcf_status multiply(mcf_stream *stream, const sizes *s, int64_t images, dev_matrix a, dev_matrix b, dev_matrix c,
                           int64_t n, int64_t k, mcf_error *err)
{
    dev_product p = {
        .a = a, .b = b, .c = c, .batch0 = images, .batch1 = s->heads, .m = s->tokens, .n = n, .k = k, .alpha = 1};
    return dev_multiply(stream, &p, err);
}

static mcf_status forward_products(mcf_stream *stream, const mcf_launch *l, const sizes *s, mcf_error *err)
{
    const int64_t most = images_at_once(s);
    const bool wanted = dev_wanted(l, ATTENTION_OUT_lse);
    mcf_operand scores, q, k, v, o, lse;
    MCF_TRY(dev_scratch(stream, 0, (uint64_t)((most < s->images ? most : s->images) * s->heads * s->tokens * s->tokens),
                        &scores, err));
    for (int64_t first = 0; first < s->images; first += most) {
        int64_t images = s->images - first < most ? s->images - first : most;
        MCF_TRY(multiply(stream, s, images, qkv_matrix(&q, &l->in[ATTENTION_IN_qkv], s, first, 0),
                         transposed(qkv_matrix(&k, &l->in[ATTENTION_IN_qkv], s, first, 1)), score_matrix(&scores, s),
                         s->tokens, s->width, err));
        dev_kernel_key key = {"softmax.cl", "softmax_scores", NONE, NONE, NONE, NONE, "-DMCF_SCORES", 0};
        dev_call call;
        MCF_TRY(dev_begin(&call, stream, &key, err));
        dev_operand(&call, &scores);
        if (wanted)
            moved(&lse, &l->out[ATTENTION_OUT_lse], first * s->heads * s->tokens, (dev_steps){0});
        dev_operand(&call, wanted ? &lse : NULL);
        dev_int64(&call, s->tokens);
        dev_float(&call, s->scale);
        dev_int(&call, wanted);
        MCF_TRY(dev_run_lines(&call, images * s->heads * s->tokens, err));
        MCF_TRY(multiply(stream, s, images, score_matrix(&scores, s),
                         qkv_matrix(&v, &l->in[ATTENTION_IN_qkv], s, first, 2),
                         out_matrix(&o, &l->out[ATTENTION_OUT_out], s, first), s->width, s->tokens, err));
    }
    return MCF_OK;
}

static mcf_status backward_piece(mcf_stream *stream, const mcf_launch *l, const sizes *s, const mcf_operand *a,
                                 const mcf_operand *p, const mcf_operand *dp, int64_t first, int64_t images,
                                 mcf_error *err)
{
    const mcf_operand *qkv = &l->in[ATTENTION_GRAD_IN_qkv], *dqkv = &l->out[ATTENTION_GRAD_OUT_dqkv];
    mcf_operand q, k, v, dout, dq, dk, dv, lse, at;
    dev_matrix mq = qkv_matrix(&q, qkv, s, first, 0), mk = qkv_matrix(&k, qkv, s, first, 1),
               mv = qkv_matrix(&v, qkv, s, first, 2), mo = out_matrix(&dout, &l->in[ATTENTION_GRAD_IN_dout], s, first),
               mp = score_matrix(p, s), mdp = score_matrix(dp, s);
    MCF_TRY(multiply(stream, s, images, mq, transposed(mk), mp, s->tokens, s->width, err));
    MCF_TRY(multiply(stream, s, images, mo, transposed(mv), mdp, s->tokens, s->width, err));
    dev_kernel_key key = {"softmax.cl", "scores_grad", NONE, NONE, NONE, NONE, "-DMCF_SCORES", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    moved(&lse, &l->in[ATTENTION_GRAD_IN_lse], first * s->heads * s->tokens, (dev_steps){0});
    moved(&at, a, first * s->heads * s->tokens, (dev_steps){0});
    dev_operand(&call, p);
    dev_operand(&call, dp);
    dev_operand(&call, &lse);
    dev_operand(&call, &at);
    dev_int64(&call, s->tokens);
    dev_float(&call, s->scale);
    MCF_TRY(dev_run_lines(&call, images * s->heads * s->tokens, err));
    MCF_TRY(
        multiply(stream, s, images, transposed(mp), mo, qkv_matrix(&dv, dqkv, s, first, 2), s->width, s->tokens, err));
    MCF_TRY(multiply(stream, s, images, mdp, mk, qkv_matrix(&dq, dqkv, s, first, 0), s->width, s->tokens, err));
    return multiply(stream, s, images, transposed(mdp), mq, qkv_matrix(&dk, dqkv, s, first, 1), s->width, s->tokens,
                    err);
}

// --- the operations

// Scratch: 0 holds probabilities and their gradients, 3 the a_i; products use 1 and 2.
mcf_status dev_op_attention(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    sizes s = sizes_of(l);
    if (!mcf_shape_count(&l->in[ATTENTION_IN_qkv].shape))
        return MCF_OK;
    return dev_sizes_of(stream).attention_products ? forward_products(stream, l, &s, err)
                                                   : forward_kernel(stream, l, &s, err);
}

mcf_status dev_op_attention_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    sizes s = sizes_of(l);
    mcf_operand a, p, dp;
    if (!mcf_shape_count(&l->in[ATTENTION_GRAD_IN_qkv].shape))
        return MCF_OK;
    MCF_TRY(dev_scratch(stream, 3, (uint64_t)(s.images * s.heads * s.tokens), &a, err));
    MCF_TRY(along(stream, &s, &l->in[ATTENTION_GRAD_IN_out], &l->in[ATTENTION_GRAD_IN_dout], &a, err));
    if (!dev_sizes_of(stream).attention_products) {
        MCF_TRY(backward_kernel(stream, l, &s, &a, "attention_grad_q", err));
        return backward_kernel(stream, l, &s, &a, "attention_grad_kv", err);
    }
    const int64_t most = images_at_once(&s), at_once = most < s.images ? most : s.images;
    const int64_t scores = at_once * s.heads * s.tokens * s.tokens;
    MCF_TRY(dev_scratch(stream, 0, (uint64_t)(2 * scores), &p, err));
    dp = p;
    dp.offset += (size_t)scores * sizeof(float);
    for (int64_t first = 0; first < s.images; first += at_once)
        MCF_TRY(backward_piece(stream, l, &s, &a, &p, &dp, first,
                               s.images - first < at_once ? s.images - first : at_once, err));
    return MCF_OK;
}
