#include <math.h>

#include "backends/cpu/attention_rows.h"

void mcf_cpu_write_panel(const mcf_cpu_kernels *k, const mcf_cpu_attention *p, const float *panel, const mcf_operand *x,
                         int64_t first, int64_t step, int64_t rows)
{
    for (int64_t i = 0; i < rows; i++)
        mcf_cpu_write(k, mcf_cpu_at(x, first + i * step), x->dtype, panel + i * p->width, p->d);
}

void mcf_cpu_softmax_rows(const mcf_cpu_kernels *k, const mcf_cpu_attention *p, float *scores, int64_t rows, float *lse,
                          float *inverse)
{
    for (int64_t r = 0; r < rows; r++) {
        float *row = scores + r * p->length, most;
        if (p->scale < 0) { // the largest score times the scale is the smallest score
            k->scale(row, row, -1, 0, p->tokens);
            most = -p->scale * k->largest(row, p->tokens);
            k->scale(row, row, -1, 0, p->tokens);
        } else {
            most = p->scale * k->largest(row, p->tokens);
        }
        float sum = k->exp_sum(row, row, p->scale, most, p->tokens);
        inverse[r] = 1.0f / sum;
        if (lse)
            lse[r] = most + logf(sum);
    }
}
