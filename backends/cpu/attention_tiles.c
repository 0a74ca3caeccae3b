// Attention in bf16 on a matrix unit: the plan of attention.c with every product in tiles (kernels_tiles.h).
//
// Forward goes by 32 queries: their scores, the softmax, and those rows of the result. Backward goes by 32 keys, with
// scores and slopes the other way round (S^T = K Q^T, dP^T = V dO^T): their rows are then what dV = P^T dO and
// dK = dS^T Q have on the left, log-sum-exps and sums lie along a row, and only dQ = dS K, formed for a group of keys
// at once, needs a transposition.
#include <string.h>

#include "backends/cpu/attention.h"

enum {
    BLOCK = MCF_CPU_BLOCK,
    PANEL = MCF_CPU_PANEL / 2, // bf16 elements of a panel, for each 32 along k
    GROUP = 16,                // blocks of keys whose slopes are kept for dQ
};

typedef struct {
    uint16_t *q, *keys, *values, *dout, *q_across, *dout_across; // packed: all tokens
    uint16_t *left, *right;                                      // packed: 32 tokens
    float *scores, *slopes;                                      // [32][tokens]
    uint16_t *probs, *grads;                                     // the same as panels
    uint16_t *rows;                                              // slopes of a group [32 GROUP][tokens]
    float *dq;                                                   // [tokens][d], rounded up to blocks
    float *lse, *delta;                                          // [tokens]
    float *sums;                                                 // [32][32]
} space;

static int64_t blocks(int64_t n)
{
    return (n + BLOCK - 1) / BLOCK;
}

static int64_t lay_out(space *s, const mcf_cpu_attention *p, bool backward, float *room)
{
    int64_t t = blocks(p->tokens), d = blocks(p->d), all = t * d * PANEL / 2, one = d * PANEL / 2, line = t * BLOCK;
    int64_t group = t < GROUP ? t : GROUP,
            scores = BLOCK * line > p->d ? BLOCK * line : p->d; // also a row of d
    struct {
        void *place;
        int64_t floats;
        bool only_backward;
    } parts[] = {
        {&s->keys, all, false},
        {&s->values, all, false},
        {&s->left, one > t * PANEL / 2 ? one : t * PANEL / 2, false},
        {&s->scores, scores, false},
        {&s->probs, t * PANEL / 2, false},
        {&s->sums, BLOCK * BLOCK, false},
        {&s->q, all, true},
        {&s->dout, all, true},
        {&s->q_across, all, true},
        {&s->dout_across, all, true},
        {&s->right, one, true},
        {&s->slopes, scores, true},
        {&s->grads, t * PANEL / 2, true},
        {&s->rows, group * BLOCK * line / 2, true},
        {&s->dq, line * d * BLOCK, true},
        {&s->lse, line, true},
        {&s->delta, line, true},
    };
    int64_t total = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        float *at = room ? room + total : NULL;
        memcpy(parts[i].place, &at, sizeof at);
        total += backward || !parts[i].only_backward ? parts[i].floats : 0;
    }
    return total;
}

bool mcf_cpu_attention_has_tiles(const mcf_device *device, const mcf_launch *l, bool backward)
{
    mcf_dtype made = l->out[ATTENTION_OUT_out].dtype;
    return device->kernels->tiles && l->in[ATTENTION_IN_qkv].dtype == MCF_BF16 &&
           (!backward || l->in[ATTENTION_GRAD_IN_dout].dtype == MCF_BF16) && (made == MCF_BF16 || made == MCF_F32);
}

int64_t mcf_cpu_attention_tiles_floats(const mcf_cpu_attention *plan, bool backward)
{
    space s;
    return lay_out(&s, plan, backward, NULL);
}

static const uint16_t *row(const mcf_operand *x, int64_t element)
{
    return (const uint16_t *)mcf_cpu_at(x, element);
}

// All tokens as columns, along the channels.
static void pack_along(const mcf_cpu_tiles *tiles, const mcf_cpu_attention *p, uint16_t *to, const mcf_operand *x,
                       int64_t first, int64_t step)
{
    for (int64_t i = 0; i < p->tokens; i += BLOCK, to += blocks(p->d) * PANEL)
        tiles->pack_b(to, row(x, first + i * step), step, mcf_cpu_min(BLOCK, p->tokens - i), p->d, false, true);
}

// All channels as columns, along the tokens.
static void pack_across(const mcf_cpu_tiles *tiles, const mcf_cpu_attention *p, uint16_t *to, const mcf_operand *x,
                        int64_t first, int64_t step)
{
    for (int64_t c = 0; c < p->d; c += BLOCK, to += blocks(p->tokens) * PANEL)
        tiles->pack_b(to, row(x, first + c), step, mcf_cpu_min(BLOCK, p->d - c), p->tokens, false, false);
}

void mcf_cpu_attention_tiles(const mcf_device *device, const mcf_launch *l, const mcf_cpu_attention *p, float *room,
                             int64_t image, int64_t head)
{
    const mcf_cpu_kernels *k = device->kernels;
    const mcf_cpu_tiles *tiles = k->tiles;
    const mcf_operand *qkv = &l->in[ATTENTION_IN_qkv], *out = &l->out[ATTENTION_OUT_out];
    const mcf_cpu_head at = mcf_cpu_head_at(p, image, head);
    const mcf_cpu_tile_result result = {.step = at.plain_step, .bf16 = out->dtype == MCF_BF16};
    int64_t n = p->tokens, third = at.plain_step, step = at.packed_step, t = blocks(n), d = blocks(p->d);
    float *lse = mcf_cpu_has_output(l, ATTENTION_OUT_lse)
                     ? (float *)mcf_cpu_address(&l->out[ATTENTION_OUT_lse]) + (image * p->heads + head) * n
                     : NULL;
    space s;
    lay_out(&s, p, false, room);
    pack_along(tiles, p, s.keys, qkv, at.packed + third, step);
    pack_across(tiles, p, s.values, qkv, at.packed + 2 * third, step);
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t rows = mcf_cpu_min(BLOCK, n - i);
        float inverse[BLOCK];
        tiles->pack_a(s.left, row(qkv, at.packed + i * step), step, rows, p->d, false, true);
        for (int64_t j = 0; j < t; j++)
            tiles->multiply(s.scores + j * BLOCK, t * BLOCK, s.left, s.keys + j * d * PANEL, d, false, false, NULL);
        mcf_cpu_softmax_rows(k, p, s.scores, rows, lse ? lse + i : NULL, inverse);
        tiles->round_a(s.probs, s.scores, t * BLOCK, rows, t * BLOCK);
        for (int64_t c = 0; c < d; c++) {
            tiles->multiply(s.sums, BLOCK, s.probs, s.values + c * t * PANEL, t, false, false, NULL);
            for (int64_t r = 0; r < rows; r++)
                k->scale(s.sums + r * BLOCK, s.sums + r * BLOCK, inverse[r], 0, BLOCK);
            tiles->finish(&result, mcf_cpu_at(out, at.plain + i * third + c * BLOCK), s.sums, rows,
                          mcf_cpu_min(BLOCK, p->d - c * BLOCK), NULL);
        }
    }
}

void mcf_cpu_attention_grad_tiles(const mcf_device *device, const mcf_launch *l, const mcf_cpu_attention *p,
                                  float *room, int64_t image, int64_t head)
{
    const mcf_cpu_kernels *k = device->kernels;
    const mcf_cpu_tiles *tiles = k->tiles;
    const mcf_operand *qkv = &l->in[ATTENTION_GRAD_IN_qkv], *out = &l->in[ATTENTION_GRAD_IN_out],
                      *dout = &l->in[ATTENTION_GRAD_IN_dout], *dqkv = &l->out[ATTENTION_GRAD_OUT_dqkv];
    const mcf_cpu_head at = mcf_cpu_head_at(p, image, head);
    const mcf_cpu_tile_result result = {.step = at.packed_step, .bf16 = dqkv->dtype == MCF_BF16};
    int64_t n = p->tokens, third = at.plain_step, step = at.packed_step, t = blocks(n), d = blocks(p->d);
    int64_t line = t * BLOCK;
    space s;
    lay_out(&s, p, true, room);
    memset(s.lse, 0, (size_t)line * sizeof *s.lse);
    memset(s.delta, 0, (size_t)line * sizeof *s.delta);
    memcpy(s.lse, (const float *)mcf_cpu_address(&l->in[ATTENTION_GRAD_IN_lse]) + (image * p->heads + head) * n,
           (size_t)n * sizeof *s.lse);
    for (int64_t i = 0; i < n; i++) {
        float *a = s.scores, *b = s.slopes;
        s.delta[i] = k->dot(mcf_cpu_read(k, a, mcf_cpu_at(out, at.plain + i * third), out->dtype, 1, p->d),
                            mcf_cpu_read(k, b, mcf_cpu_at(dout, at.plain + i * third), MCF_BF16, 1, p->d), p->d);
    }
    pack_along(tiles, p, s.q, qkv, at.packed, step);
    pack_along(tiles, p, s.dout, dout, at.plain, third);
    pack_across(tiles, p, s.q_across, qkv, at.packed, step);
    pack_across(tiles, p, s.keys, qkv, at.packed + third, step);
    pack_across(tiles, p, s.dout_across, dout, at.plain, third);
    for (int64_t i = 0, first = 0; i < n; i += BLOCK) {
        int64_t rows = mcf_cpu_min(BLOCK, n - i);
        tiles->pack_a(s.left, row(qkv, at.packed + third + i * step), step, rows, p->d, false, true);
        tiles->pack_a(s.right, row(qkv, at.packed + 2 * third + i * step), step, rows, p->d, false, true);
        for (int64_t j = 0; j < t; j++) {
            tiles->multiply(s.scores + j * BLOCK, line, s.left, s.q + j * d * PANEL, d, false, false, NULL);
            tiles->multiply(s.slopes + j * BLOCK, line, s.right, s.dout + j * d * PANEL, d, false, false, NULL);
        }
        tiles->softmax_slopes(s.probs, s.grads, s.rows + (i - first) * line, s.scores, s.slopes, s.lse, s.delta,
                              p->scale, line);
        for (int64_t c = 0; c < d; c++) {
            int64_t columns = mcf_cpu_min(BLOCK, p->d - c * BLOCK), to = at.packed + i * step + c * BLOCK;
            tiles->multiply(s.sums, BLOCK, s.grads, s.q_across + c * t * PANEL, t, false, false, NULL);
            tiles->finish(&result, mcf_cpu_at(dqkv, to + third), s.sums, rows, columns, NULL);
            tiles->multiply(s.sums, BLOCK, s.probs, s.dout_across + c * t * PANEL, t, false, false, NULL);
            tiles->finish(&result, mcf_cpu_at(dqkv, to + 2 * third), s.sums, rows, columns, NULL);
        }
        if (i + BLOCK < n && i + BLOCK - first < GROUP * BLOCK)
            continue;
        // The group's part of dQ.
        const mcf_cpu_tile_result part = {.step = d * BLOCK, .accumulate = first > 0};
        int64_t known = i + rows - first;
        for (int64_t j = 0; j < t; j++) {
            tiles->pack_a(s.left, s.rows + j * BLOCK, line, BLOCK, known, false, false);
            for (int64_t c = 0; c < d; c++) {
                tiles->multiply(s.sums, BLOCK, s.left, s.keys + (c * t + first / BLOCK) * PANEL, blocks(known), false,
                                false, NULL);
                tiles->finish(&part, s.dq + j * BLOCK * part.step + c * BLOCK, s.sums, BLOCK, BLOCK, NULL);
            }
        }
        first = i + BLOCK;
    }
    for (int64_t i = 0; i < n; i++)
        mcf_cpu_write(k, mcf_cpu_at(dqkv, at.packed + i * step), dqkv->dtype, s.dq + i * d * BLOCK, p->d);
}
