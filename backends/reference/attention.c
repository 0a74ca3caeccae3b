// Attention (Vaswani et al. 2017) and its gradient.
#include "backends/reference/reference.h"

#include <math.h>
#include <stdlib.h>

// --- attention. qkv [B,N,3,H,d], out [B,N,H,d], lse [B,H,N]

typedef struct {
    int64_t batch, tokens, heads, width;
    double scale;
} ref_heads;

static ref_heads heads_of(const ref_call *call)
{
    const int64_t *dim = ref_in_dim(call, ATTENTION_IN_qkv);
    return (ref_heads){dim[0], dim[1], dim[3], dim[4], call->launch->attr.attention.scale};
}

// Where q (0), k (1) or v (2) of a token and head begins in qkv.
static int64_t qkv_at(ref_heads s, int64_t b, int64_t token, int which, int64_t head)
{
    return (((b * s.tokens + token) * 3 + which) * s.heads + head) * s.width;
}

static int64_t out_at(ref_heads s, int64_t b, int64_t token, int64_t head)
{
    return ((b * s.tokens + token) * s.heads + head) * s.width;
}

static double dot(const double *x, const double *y, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

mcf_status ref_attention(ref_call *call, mcf_error *err)
{
    double *lse = call->out[ATTENTION_OUT_lse];
    ref_heads s = heads_of(call);
    const double *qkv = call->in[ATTENTION_IN_qkv];
    double *scores = malloc((size_t)s.tokens * sizeof *scores);
    if (!scores)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %lld scores", (long long)s.tokens);
    for (int64_t b = 0; b < s.batch; b++)
        for (int64_t h = 0; h < s.heads; h++)
            for (int64_t i = 0; i < s.tokens; i++) {
                for (int64_t j = 0; j < s.tokens; j++)
                    scores[j] = s.scale * dot(qkv + qkv_at(s, b, i, 0, h), qkv + qkv_at(s, b, j, 1, h), s.width);
                lse[(b * s.heads + h) * s.tokens + i] = ref_softmax_row(scores, s.tokens, scores);
                double *out = call->out[ATTENTION_OUT_out] + out_at(s, b, i, h);
                for (int64_t j = 0; j < s.tokens; j++)
                    for (int64_t c = 0; c < s.width; c++)
                        out[c] += scores[j] * qkv[qkv_at(s, b, j, 2, h) + c];
            }
    free(scores);
    return MCF_OK;
}

// p_ij = exp(scale q_i k_j - lse_i); dv_j = sum_i p_ij dout_i; dp_ij = dout_i v_j;
// ds_ij = p_ij (dp_ij - dout_i out_i); dq_i = scale sum_j ds_ij k_j; dk_j = scale sum_i ds_ij q_i.
mcf_status ref_attention_grad(ref_call *call, mcf_error *err)
{
    ref_heads s = heads_of(call);
    const double *qkv = call->in[ATTENTION_GRAD_IN_qkv], *out = call->in[ATTENTION_GRAD_IN_out],
                 *lse = call->in[ATTENTION_GRAD_IN_lse], *dout = call->in[ATTENTION_GRAD_IN_dout];
    double *dqkv = call->out[ATTENTION_GRAD_OUT_dqkv];
    for (int64_t b = 0; b < s.batch; b++)
        for (int64_t h = 0; h < s.heads; h++)
            for (int64_t i = 0; i < s.tokens; i++) {
                int64_t q = qkv_at(s, b, i, 0, h), o = out_at(s, b, i, h);
                double along = dot(dout + o, out + o, s.width);
                for (int64_t j = 0; j < s.tokens; j++) {
                    int64_t k = qkv_at(s, b, j, 1, h), v = qkv_at(s, b, j, 2, h);
                    double score = s.scale * dot(qkv + q, qkv + k, s.width);
                    double p = exp(score - lse[(b * s.heads + h) * s.tokens + i]);
                    double ds = s.scale * p * (dot(dout + o, qkv + v, s.width) - along);
                    for (int64_t c = 0; c < s.width; c++) {
                        dqkv[v + c] += p * dout[o + c];
                        dqkv[q + c] += ds * qkv[k + c];
                        dqkv[k + c] += ds * qkv[q + c];
                    }
                }
            }
    return MCF_OK;
}
