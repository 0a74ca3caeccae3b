// reduce_sum, matmul, sum_squares.
#include "backends/reference/reference.h"

mcf_status ref_reduce_sum(ref_call *call, mcf_error *err)
{
    const double *x = call->in[REDUCE_SUM_IN_x];
    double *out = call->out[REDUCE_SUM_OUT_out];
    const mcf_shape *shape = &call->launch->in[REDUCE_SUM_IN_x].shape;
    int64_t stride[MCF_MAX_RANK], index[MCF_MAX_RANK] = {0};
    mcf_contiguous_strides(&call->launch->out[REDUCE_SUM_OUT_out].shape, stride);
    for (int i = 0; i < shape->rank; i++)
        if (call->launch->attr.reduce_sum.axes >> i & 1)
            stride[i] = 0;
    int64_t count = mcf_shape_count(shape), place = 0;
    for (int64_t i = 0; i < count; i++) {
        out[place] += x[i];
        for (int axis = shape->rank - 1; axis >= 0; axis--) {
            place += stride[axis];
            if (++index[axis] < shape->dim[axis])
                break;
            place -= index[axis] * stride[axis];
            index[axis] = 0;
        }
    }
    for (int64_t i = 0, n = mcf_shape_count(&call->launch->out[REDUCE_SUM_OUT_out].shape); i < n; i++)
        out[i] *= call->launch->attr.reduce_sum.scale;
    return MCF_OK;
}

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

mcf_status ref_sum_squares(ref_call *call, mcf_error *err)
{
    const double *x = call->in[SUM_SQUARES_IN_x];
    double *out = call->out[SUM_SQUARES_OUT_out];
    for (int64_t i = 0, count = ref_in_count(call, SUM_SQUARES_IN_x); i < count; i++)
        out[0] += x[i] * x[i];
    return MCF_OK;
}
