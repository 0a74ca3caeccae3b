// Attention of each image and head, forward and backward, without storing probabilities.
//
// One job is one head of one image: its q, k, v are brought to floats in scratch (rows padded to whole vectors),
// and rows of scores are formed, used and forgotten a tile at a time: the tile is small enough for the second-level
// cache. Backward forms the probabilities again from the log-sum-exp (Dao et al. 2022, algorithm 4, without its
// blocking over keys: a whole row of scores fits).
//   S = scale Q K^T, P = exp(S - lse), O = P V
//   dV = P^T dO, dP = dO V^T, dS = P (dP - sum(dO O)) scale, dQ = dS K, dK = dS^T Q
#include <math.h>
#include <string.h>

#include "backends/cpu/attention.h"

enum { TILE_FLOATS = 16384 }; // 64 KiB of scores

typedef mcf_cpu_attention plan;

static int64_t whole(int64_t n, int64_t lanes)
{
    return (n + lanes - 1) / lanes * lanes;
}

static plan make_plan(const mcf_device *device, const mcf_launch *l, bool backward)
{
    const int64_t *x = l->in[ATTENTION_IN_qkv].shape.dim;
    plan p = {.batch = x[0], .tokens = x[1], .heads = x[3], .d = x[4], .scale = (float)l->attr.attention.scale};
    p.width = whole(p.d, device->kernels->lanes);
    p.length = whole(p.tokens, device->kernels->lanes);
    p.rows = mcf_cpu_min(whole(p.tokens, 6), mcf_cpu_max(6, TILE_FLOATS / p.length / 6 * 6));
    // Rows of d: q, k or k and v, sums; columns of tokens: k^T, v^T; tiles of scores.
    int64_t panel = p.length * p.width, tile = p.rows * p.length;
    p.floats = backward ? 6 * panel + 2 * panel + 2 * tile + 2 * p.rows * p.width
                        : 2 * panel + panel + tile + p.rows * p.width;
    if (mcf_cpu_attention_has_tiles(device, l, backward)) {
        p.length = whole(p.tokens, MCF_CPU_BLOCK);
        p.floats = mcf_cpu_attention_tiles_floats(&p, backward);
    } else if (mcf_cpu_attention_has_pairs(device, l, backward))
        p.floats = mcf_cpu_attention_pairs_floats(&p, backward);
    p.floats = whole(p.floats, 16);
    return p;
}

// Rows of one head of a [B, N, .., H, d] operand as floats, `width` apart, padding 0.
static void read_panel(const mcf_cpu_kernels *k, const plan *p, float *panel, const mcf_operand *x, int64_t first,
                       int64_t step)
{
    for (int64_t i = 0; i < p->tokens; i++) {
        float *row = panel + i * p->width;
        const float *line = mcf_cpu_read(k, row, mcf_cpu_at(x, first + i * step), x->dtype, 1, p->d);
        if (line != row)
            memcpy(row, line, (size_t)p->d * sizeof(float));
        for (int64_t c = p->d; c < p->width; c++)
            row[c] = 0;
    }
}

// [tokens, width] -> [width, length], the padding 0; in blocks that stay in the nearest cache.
static void transpose(const plan *p, float *to, const float *from)
{
    for (int64_t i0 = 0; i0 < p->length; i0 += 16)
        for (int64_t c = 0; c < p->width; c++) {
            float *line = to + c * p->length;
            int64_t end = mcf_cpu_min(i0 + 16, p->length), known = mcf_cpu_min(end, p->tokens);
            int64_t i = i0;
            for (; i < known; i++)
                line[i] = from[i * p->width + c];
            for (; i < end; i++)
                line[i] = 0;
        }
}

static void forward_head(const mcf_device *device, const mcf_launch *l, const plan *p, float *room, int64_t b,
                         int64_t h)
{
    const mcf_cpu_kernels *k = device->kernels;
    const mcf_operand *qkv = &l->in[ATTENTION_IN_qkv], *out = &l->out[ATTENTION_OUT_out];
    const mcf_cpu_head at = mcf_cpu_head_at(p, b, h);
    int64_t panel = p->length * p->width, third = at.plain_step, n = p->tokens, first = at.packed, to = at.plain;
    float *q = room, *values = q + panel, *keys = values + panel, *scores = keys + panel,
          *result = scores + p->rows * p->length;
    float *lse = mcf_cpu_has_output(l, ATTENTION_OUT_lse)
                     ? (float *)mcf_cpu_address(&l->out[ATTENTION_OUT_lse]) + (b * p->heads + h) * n
                     : NULL;
    read_panel(k, p, values, qkv, first + third, 3 * third);
    transpose(p, keys, values);
    read_panel(k, p, values, qkv, first + 2 * third, 3 * third);
    read_panel(k, p, q, qkv, first, 3 * third);
    for (int64_t i = 0; i < n; i += p->rows) {
        int64_t rows = mcf_cpu_min(p->rows, n - i);
        k->gemm(scores, p->length, q + i * p->width, p->width, 1, keys, p->length, rows, p->length, p->d, false);
        float inverse[rows];
        mcf_cpu_softmax_rows(k, p, scores, rows, lse ? lse + i : NULL, inverse);
        k->gemm(result, p->width, scores, p->length, 1, values, p->width, rows, p->width, n, false);
        for (int64_t r = 0; r < rows; r++)
            k->scale(result + r * p->width, result + r * p->width, inverse[r], 0, p->d);
        mcf_cpu_write_panel(k, p, result, out, to + i * third, third, rows);
    }
}

static void backward_head(const mcf_device *device, const mcf_launch *l, const plan *p, float *room, int64_t b,
                          int64_t h)
{
    const mcf_cpu_kernels *k = device->kernels;
    const mcf_operand *qkv = &l->in[ATTENTION_GRAD_IN_qkv], *out = &l->in[ATTENTION_GRAD_IN_out],
                      *dout = &l->in[ATTENTION_GRAD_IN_dout], *dqkv = &l->out[ATTENTION_GRAD_OUT_dqkv];
    const mcf_cpu_head at = mcf_cpu_head_at(p, b, h);
    int64_t panel = p->length * p->width, third = at.plain_step, n = p->tokens, first = at.packed, to = at.plain;
    float *q = room, *keys = q + panel, *keys_t = keys + panel, *values_t = keys_t + panel, *slope = values_t + panel,
          *dq = slope + panel, *dk = dq + panel, *dv = dk + panel, *prob = dv + panel,
          *dprob = prob + p->rows * p->length, *result = dprob + p->rows * p->length;
    const float *lse = (const float *)mcf_cpu_address(&l->in[ATTENTION_GRAD_IN_lse]) + (b * p->heads + h) * n;
    read_panel(k, p, dq, qkv, first + 2 * third, 3 * third);
    transpose(p, values_t, dq);
    read_panel(k, p, keys, qkv, first + third, 3 * third);
    transpose(p, keys_t, keys);
    read_panel(k, p, q, qkv, first, 3 * third);
    read_panel(k, p, slope, dout, to, third);
    for (int64_t i = 0; i < n; i += p->rows) {
        int64_t rows = mcf_cpu_min(p->rows, n - i);
        const float *dout_rows = slope + i * p->width;
        k->gemm(prob, p->length, q + i * p->width, p->width, 1, keys_t, p->length, rows, p->length, p->d, false);
        k->gemm(dprob, p->length, dout_rows, p->width, 1, values_t, p->length, rows, p->length, p->d, false);
        for (int64_t r = 0; r < rows; r++) {
            float *row = prob + r * p->length, *drow = dprob + r * p->length;
            const float *o = mcf_cpu_read(k, result, mcf_cpu_at(out, to + (i + r) * third), out->dtype, 1, p->d);
            k->exp_sum(row, row, p->scale, lse[i + r], n);
            k->softmax_slope(drow, row, k->dot(o, dout_rows + r * p->width, p->d), p->scale, n);
        }
        k->gemm(dv, p->width, prob, 1, p->length, dout_rows, p->width, n, p->width, rows, i > 0);
        k->gemm(dq + i * p->width, p->width, dprob, p->length, 1, keys, p->width, rows, p->width, n, false);
        k->gemm(dk, p->width, dprob, 1, p->length, q + i * p->width, p->width, n, p->width, rows, i > 0);
    }
    mcf_cpu_write_panel(k, p, dq, dqkv, first, 3 * third, n);
    mcf_cpu_write_panel(k, p, dk, dqkv, first + third, 3 * third, n);
    mcf_cpu_write_panel(k, p, dv, dqkv, first + 2 * third, 3 * third, n);
}

static mcf_status each_head(mcf_device *device, const mcf_launch *l, bool backward, mcf_error *err)
{
    const plan p = make_plan(device, l, backward);
    int64_t jobs = p.batch * p.heads;
    void *memory;
    MCF_TRY(mcf_cpu_scratch(device, (size_t)(p.floats * device->threads) * sizeof(float), &memory, err));
    float *room = memory;
    bool tiles = mcf_cpu_attention_has_tiles(device, l, backward);
    bool pairs = mcf_cpu_attention_has_pairs(device, l, backward);
    void (*work)(const mcf_device *, const mcf_launch *, const plan *, float *, int64_t, int64_t) =
        tiles   ? (backward ? mcf_cpu_attention_grad_tiles : mcf_cpu_attention_tiles)
        : pairs ? (backward ? mcf_cpu_attention_grad_pairs : mcf_cpu_attention_pairs)
                : (backward ? backward_head : forward_head);
    int shares = mcf_cpu_team(device, jobs * p.tokens * p.tokens * p.d);
#pragma omp parallel for schedule(static) num_threads(shares)
    for (int share = 0; share < shares; share++) {
        int64_t begin, end;
        mcf_cpu_share(jobs, shares, share, &begin, &end);
        if (tiles)
            device->kernels->tiles->begin();
        for (int64_t job = begin; job < end; job++)
            work(device, l, &p, room + share * p.floats, job / p.heads, job % p.heads);
        if (tiles)
            device->kernels->tiles->end();
    }
    return MCF_OK;
}

mcf_status mcf_cpu_op_attention(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    return each_head(device, l, false, err);
}

mcf_status mcf_cpu_op_attention_grad(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    return each_head(device, l, true, err);
}
