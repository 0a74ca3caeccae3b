// matmul.
#include "backends/reference/reference.h"

static double activate(double x, int activation)
{
    if (activation == MCF_ACT_RELU)
        return x <= 0 ? 0 : x;
    return activation == MCF_ACT_GELU ? ref_gelu_value(x) : x;
}

// out[i,j] = act(sum over k of a[i,k] b[k,j] + bias[j]), for each matrix of the batch.
mcf_status ref_matmul(ref_call *call, mcf_error *err)
{
    const double *bias = call->in[MATMUL_IN_bias];
    double *out = call->out[MATMUL_OUT_out];
    const mcf_launch *l = call->launch;
    int rank = l->in[MATMUL_IN_a].shape.rank;
    bool ta = l->attr.matmul.trans_a, tb = l->attr.matmul.trans_b;
    int64_t batch = 1, m = ref_out_dim(call, MATMUL_OUT_out)[rank - 2], n = ref_out_dim(call, MATMUL_OUT_out)[rank - 1];
    int64_t inner = ref_in_dim(call, MATMUL_IN_a)[rank - (ta ? 2 : 1)];
    for (int i = 0; i < rank - 2; i++)
        batch *= ref_in_dim(call, MATMUL_IN_a)[i];
    for (int64_t s = 0; s < batch; s++) {
        const double *a = call->in[MATMUL_IN_a] + s * m * inner, *b = call->in[MATMUL_IN_b] + s * inner * n;
        for (int64_t i = 0; i < m; i++) {
            double *row = out + (s * m + i) * n;
            if (tb) {
                for (int64_t j = 0; j < n; j++)
                    for (int64_t k = 0; k < inner; k++)
                        row[j] += (ta ? a[k * m + i] : a[i * inner + k]) * b[j * inner + k];
            } else {
                // The same sums in the same order; b is walked along its rows.
                for (int64_t k = 0; k < inner; k++) {
                    double left = ta ? a[k * m + i] : a[i * inner + k];
                    for (int64_t j = 0; j < n; j++)
                        row[j] += left * b[k * n + j];
                }
            }
            for (int64_t j = 0; j < n; j++)
                row[j] = activate(row[j] + (bias ? bias[j] : 0), l->attr.matmul.activation);
        }
    }
    return MCF_OK;
}
