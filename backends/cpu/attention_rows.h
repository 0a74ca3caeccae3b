// The plan of an attention, where a head's rows lie, and what the three forms do with a tile of rows.
#ifndef MCF_BACKENDS_CPU_ATTENTION_ROWS_H
#define MCF_BACKENDS_CPU_ATTENTION_ROWS_H

#include "backends/cpu/cpu.h"

typedef struct {
    int64_t batch, tokens, heads, d;
    int64_t width, length; // d and tokens rounded up to whole vectors
    int64_t rows;          // of a tile of scores: a multiple of 6
    int64_t floats;        // of scratch for one thread
    float scale;
} mcf_cpu_attention;

// Where a head's rows start in a [B,N,3,H,d] and in a [B,N,H,d] operand, and how far apart they are, in elements.
typedef struct {
    int64_t packed, packed_step, plain, plain_step;
} mcf_cpu_head;

static inline mcf_cpu_head mcf_cpu_head_at(const mcf_cpu_attention *p, int64_t image, int64_t head)
{
    int64_t third = p->heads * p->d;
    return (mcf_cpu_head){image * p->tokens * 3 * third + head * p->d, 3 * third,
                          image * p->tokens * third + head * p->d, third};
}

// Writes rows of a panel, `width` apart, to an operand.
void mcf_cpu_write_panel(const mcf_cpu_kernels *k, const mcf_cpu_attention *p, const float *panel, const mcf_operand *x,
                         int64_t first, int64_t step, int64_t rows);
// A tile's rows of scores to exp(scale*score - shift); log-sum-exps to lse unless NULL, 1/sums to inverse.
void mcf_cpu_softmax_rows(const mcf_cpu_kernels *k, const mcf_cpu_attention *p, float *scores, int64_t rows, float *lse,
                          float *inverse);

#endif
