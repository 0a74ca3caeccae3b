// reduce_sum, sum_squares.
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

mcf_status ref_sum_squares(ref_call *call, mcf_error *err)
{
    const double *x = call->in[SUM_SQUARES_IN_x];
    double *out = call->out[SUM_SQUARES_OUT_out];
    for (int64_t i = 0, count = ref_in_count(call, SUM_SQUARES_IN_x); i < count; i++)
        out[0] += x[i] * x[i];
    return MCF_OK;
}
