// Attention in bf16 on processors that multiply pairs of bf16 and add in fp32: the plan of attention.c, with half the
// multiplications. Rows of q and of dout are read where they lie; what stands on the right of a product is brought
// into pairs once per head, probabilities and their gradients (rounded to bf16) once per tile.
#include <string.h>

#include "backends/cpu/attention.h"

bool mcf_cpu_attention_has_pairs(const mcf_device *device, const mcf_launch *l, bool backward)
{
    // Rows must start at even elements.
    return device->kernels->gemm_pairs && l->in[ATTENTION_IN_qkv].dtype == MCF_BF16 &&
           (!backward || l->in[ATTENTION_GRAD_IN_dout].dtype == MCF_BF16) &&
           l->in[ATTENTION_IN_qkv].shape.dim[4] % 2 == 0 && l->in[ATTENTION_IN_qkv].offset % 4 == 0 &&
           (!backward || l->in[ATTENTION_GRAD_IN_dout].offset % 4 == 0);
}

// Scratch, as pointers into one thread's room.
typedef struct {
    uint32_t *keys_across, *values_across; // [d/2][length]: pairs of channels, tokens side by side
    uint32_t *keys, *values, *q, *dout;    // [length/2][width]: pairs of tokens, channels side by side
    float *scores, *slopes;                // [rows][length]
    uint16_t *rows;                        // [rows][length]
    uint32_t *pairs;                       // [rows/2][length]
    float *result, *dq, *dk, *dv;          // [rows][width], [length][width]
} space;

static int64_t take(float **room, int64_t floats)
{
    *room += (floats + 15) / 16 * 16;
    return (floats + 15) / 16 * 16;
}

static int64_t lay_out(space *s, const mcf_cpu_attention *p, bool backward, float *room)
{
    int64_t panel = p->length * p->width, tile = p->rows * p->length, total = 0;
    uint32_t **pairs[] = {&s->keys_across, &s->values, &s->values_across, &s->keys, &s->q, &s->dout};
    float **panels[] = {&s->dq, &s->dk, &s->dv};
    for (int i = 0; i < (backward ? 6 : 2); i++) {
        *pairs[i] = (uint32_t *)room;
        total += take(&room, panel / 2 + 16);
    }
    s->scores = room;
    total += take(&room, tile);
    s->rows = (uint16_t *)room;
    total += take(&room, tile / 2);
    s->result = room;
    total += take(&room, p->rows * p->width);
    if (!backward)
        return total;
    s->slopes = room;
    total += take(&room, tile);
    s->pairs = (uint32_t *)room;
    total += take(&room, tile / 2);
    for (int i = 0; i < 3; i++) {
        *panels[i] = room;
        total += take(&room, panel);
    }
    return total;
}

int64_t mcf_cpu_attention_pairs_floats(const mcf_cpu_attention *plan, bool backward)
{
    space s;
    return lay_out(&s, plan, backward, NULL);
}

static const uint16_t *row(const mcf_operand *x, int64_t element)
{
    return (const uint16_t *)mcf_cpu_at(x, element);
}

// Pairs of channels, tokens side by side; padding 0.
static void across(const mcf_cpu_attention *p, uint32_t *to, const mcf_operand *x, int64_t first, int64_t step)
{
    for (int64_t i0 = 0; i0 < p->length; i0 += 16) {
        int64_t known = mcf_cpu_min(16, p->tokens - i0);
        for (int64_t c = 0; c < p->d / 2; c++) {
            uint32_t *line = to + c * p->length + i0;
            int64_t i = 0;
            for (; i < known; i++)
                memcpy(line + i, row(x, first + (i0 + i) * step + 2 * c), 4);
            for (; i < 16; i++)
                line[i] = 0;
        }
    }
}

// Pairs of tokens, channels side by side; padding 0.
static void along(const mcf_cpu_kernels *k, const mcf_cpu_attention *p, uint32_t *to, const mcf_operand *x,
                  int64_t first, int64_t step)
{
    static const uint16_t nothing[64];
    for (int64_t i = 0; i < p->length; i += 2) {
        uint32_t *line = to + i / 2 * p->width;
        if (i >= p->tokens) {
            memset(line, 0, (size_t)p->width * sizeof *line);
            continue;
        }
        const uint16_t *even = row(x, first + i * step), *odd = row(x, first + (i + 1) * step);
        for (int64_t c = 0; c < p->d; c += 64)
            k->zip(line + c, even + c, i + 1 < p->tokens ? odd + c : nothing, mcf_cpu_min(64, p->d - c));
        memset(line + p->d, 0, (size_t)(p->width - p->d) * sizeof *line);
    }
}

void mcf_cpu_attention_pairs(const mcf_device *device, const mcf_launch *l, const mcf_cpu_attention *p, float *room,
                             int64_t image, int64_t head)
{
    const mcf_cpu_kernels *k = device->kernels;
    const mcf_operand *qkv = &l->in[ATTENTION_IN_qkv], *out = &l->out[ATTENTION_OUT_out];
    const mcf_cpu_head at = mcf_cpu_head_at(p, image, head);
    int64_t n = p->tokens, third = at.plain_step;
    float *lse = mcf_cpu_has_output(l, ATTENTION_OUT_lse)
                     ? (float *)mcf_cpu_address(&l->out[ATTENTION_OUT_lse]) + (image * p->heads + head) * n
                     : NULL;
    space s;
    lay_out(&s, p, false, room);
    across(p, s.keys_across, qkv, at.packed + third, at.packed_step);
    along(k, p, s.values, qkv, at.packed + 2 * third, at.packed_step);
    for (int64_t i = 0; i < n; i += p->rows) {
        int64_t rows = mcf_cpu_min(p->rows, n - i);
        float inverse[rows];
        k->gemm_pairs(s.scores, p->length, (const uint32_t *)row(qkv, at.packed + i * at.packed_step),
                      at.packed_step / 2, 1, s.keys_across, p->length, rows, p->length, p->d / 2, false);
        mcf_cpu_softmax_rows(k, p, s.scores, rows, lse ? lse + i : NULL, inverse);
        k->narrow(s.rows, s.scores, rows * p->length); // behind the tokens there are zeros
        k->gemm_pairs(s.result, p->width, (const uint32_t *)s.rows, p->length / 2, 1, s.values, p->width, rows,
                      p->width, (n + 1) / 2, false);
        for (int64_t r = 0; r < rows; r++)
            k->scale(s.result + r * p->width, s.result + r * p->width, inverse[r], 0, p->d);
        mcf_cpu_write_panel(k, p, s.result, out, at.plain + i * third, third, rows);
    }
}

// Pairs of rows of a tile, columns side by side.
static void pair_rows(const mcf_cpu_kernels *k, const mcf_cpu_attention *p, uint32_t *to, const uint16_t *from,
                      int64_t rows)
{
    static const uint16_t nothing[512];
    for (int64_t r = 0; r < rows; r += 2)
        for (int64_t c = 0; c < p->length; c += 512) {
            const uint16_t *even = from + r * p->length + c;
            k->zip(to + r / 2 * p->length + c, even, r + 1 < rows ? even + p->length : nothing,
                   mcf_cpu_min(512, p->length - c));
        }
}

void mcf_cpu_attention_grad_pairs(const mcf_device *device, const mcf_launch *l, const mcf_cpu_attention *p,
                                  float *room, int64_t image, int64_t head)
{
    const mcf_cpu_kernels *k = device->kernels;
    const mcf_operand *qkv = &l->in[ATTENTION_GRAD_IN_qkv], *out = &l->in[ATTENTION_GRAD_IN_out],
                      *dout = &l->in[ATTENTION_GRAD_IN_dout], *dqkv = &l->out[ATTENTION_GRAD_OUT_dqkv];
    const mcf_cpu_head at = mcf_cpu_head_at(p, image, head);
    int64_t n = p->tokens, third = at.plain_step;
    const float *lse = (const float *)mcf_cpu_address(&l->in[ATTENTION_GRAD_IN_lse]) + (image * p->heads + head) * n;
    space s;
    lay_out(&s, p, true, room);
    across(p, s.keys_across, qkv, at.packed + third, at.packed_step);
    across(p, s.values_across, qkv, at.packed + 2 * third, at.packed_step);
    along(k, p, s.q, qkv, at.packed, at.packed_step);
    along(k, p, s.keys, qkv, at.packed + third, at.packed_step);
    along(k, p, s.dout, dout, at.plain, third);
    for (int64_t i = 0; i < n; i += p->rows) {
        int64_t rows = mcf_cpu_min(p->rows, n - i), pairs = (rows + 1) / 2, before = i / 2 * p->width;
        k->gemm_pairs(s.scores, p->length, (const uint32_t *)row(qkv, at.packed + i * at.packed_step),
                      at.packed_step / 2, 1, s.keys_across, p->length, rows, p->length, p->d / 2, false);
        k->gemm_pairs(s.slopes, p->length, (const uint32_t *)row(dout, at.plain + i * third), third / 2, 1,
                      s.values_across, p->length, rows, p->length, p->d / 2, false);
        for (int64_t r = 0; r < rows; r++) {
            float *prob = s.scores + r * p->length;
            float *a = s.result, *b = a + p->width, delta; // two rows of d
            delta = k->dot(mcf_cpu_read(k, a, mcf_cpu_at(out, at.plain + (i + r) * third), out->dtype, 1, p->d),
                           mcf_cpu_read(k, b, mcf_cpu_at(dout, at.plain + (i + r) * third), MCF_BF16, 1, p->d), p->d);
            k->exp_sum(prob, prob, p->scale, lse[i + r], n);
            k->softmax_slope(s.slopes + r * p->length, prob, delta, p->scale, n);
        }
        k->narrow(s.rows, s.scores, rows * p->length);
        pair_rows(k, p, s.pairs, s.rows, rows);
        k->gemm_pairs(s.dv, p->width, s.pairs, 1, p->length, s.dout + before, p->width, n, p->width, pairs, i > 0);
        k->narrow(s.rows, s.slopes, rows * p->length);
        pair_rows(k, p, s.pairs, s.rows, rows);
        k->gemm_pairs(s.dk, p->width, s.pairs, 1, p->length, s.q + before, p->width, n, p->width, pairs, i > 0);
        k->gemm_pairs(s.dq + i * p->width, p->width, (const uint32_t *)s.rows, p->length / 2, 1, s.keys, p->width, rows,
                      p->width, (n + 1) / 2, false);
    }
    mcf_cpu_write_panel(k, p, s.dq, dqkv, at.packed, at.packed_step, n);
    mcf_cpu_write_panel(k, p, s.dk, dqkv, at.packed + third, at.packed_step, n);
    mcf_cpu_write_panel(k, p, s.dv, dqkv, at.packed + 2 * third, at.packed_step, n);
}
