// fill, copy, pad, concat, gather_rows, scatter_rows. Integers pass through doubles: exact up to 2^53.
#include "backends/reference/reference.h"

mcf_status ref_fill(ref_call *call, mcf_error *err)
{
    double *out = call->out[FILL_OUT_out];
    int64_t count = mcf_shape_count(&call->launch->out[FILL_OUT_out].shape);
    for (int64_t i = 0; i < count; i++)
        out[i] = call->launch->attr.fill.value;
    return MCF_OK;
}

mcf_status ref_copy(ref_call *call, mcf_error *err)
{
    const double *x = call->in[COPY_IN_x];
    double *out = call->out[COPY_OUT_out];
    for (int64_t i = 0, count = ref_in_count(call, COPY_IN_x); i < count; i++)
        out[i] = x[i];
    return MCF_OK;
}

// Puts an input x at `place` of the only output along axis: x is [outer, n, inner], out [outer, length, inner].
static void place_along(ref_call *call, int input, double *out, int axis, int64_t place)
{
    const mcf_shape *shape = &call->launch->in[input].shape;
    int64_t outer = 1, inner = 1, n = shape->dim[axis], length = call->launch->out->shape.dim[axis];
    for (int i = 0; i < shape->rank; i++) {
        if (i < axis)
            outer *= shape->dim[i];
        if (i > axis)
            inner *= shape->dim[i];
    }
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < inner; j++)
                out[(o * length + place + i) * inner + j] = call->in[input][(o * n + i) * inner + j];
}

mcf_status ref_pad(ref_call *call, mcf_error *err)
{
    place_along(call, PAD_IN_x, call->out[PAD_OUT_out], call->launch->attr.pad.axis, call->launch->attr.pad.before);
    return MCF_OK;
}

mcf_status ref_concat(ref_call *call, mcf_error *err)
{
    int axis = call->launch->attr.concat.axis;
    place_along(call, CONCAT_IN_a, call->out[CONCAT_OUT_out], axis, 0);
    place_along(call, CONCAT_IN_b, call->out[CONCAT_OUT_out], axis, ref_in_dim(call, CONCAT_IN_a)[axis]);
    return MCF_OK;
}

static mcf_status check_id(double id, int64_t rows, int64_t b, int64_t i, mcf_error *err)
{
    if (id < 0 || id >= (double)rows)
        return mcf_fail(err, MCF_ERR_SHAPE, "ids[%lld, %lld] is %.0f, there are %lld rows", (long long)b, (long long)i,
                        id, (long long)rows);
    return MCF_OK;
}

mcf_status ref_gather_rows(ref_call *call, mcf_error *err)
{
    double *out = call->out[GATHER_ROWS_OUT_out];
    const double *x = call->in[GATHER_ROWS_IN_x], *ids = call->in[GATHER_ROWS_IN_ids];
    int64_t batch = ref_in_dim(call, GATHER_ROWS_IN_x)[0], rows = ref_in_dim(call, GATHER_ROWS_IN_x)[1],
            width = ref_in_dim(call, GATHER_ROWS_IN_x)[2];
    int64_t n = ref_in_dim(call, GATHER_ROWS_IN_ids)[1];
    for (int64_t b = 0; b < batch; b++)
        for (int64_t i = 0; i < n; i++) {
            MCF_TRY(check_id(ids[b * n + i], rows, b, i, err));
            int64_t row = (int64_t)ids[b * n + i];
            for (int64_t d = 0; d < width; d++)
                out[(b * n + i) * width + d] = x[(b * rows + row) * width + d];
        }
    return MCF_OK;
}

mcf_status ref_scatter_rows(ref_call *call, mcf_error *err)
{
    double *out = call->out[SCATTER_ROWS_OUT_out];
    const double *x = call->in[SCATTER_ROWS_IN_x], *ids = call->in[SCATTER_ROWS_IN_ids];
    int64_t batch = ref_in_dim(call, SCATTER_ROWS_IN_x)[0], n = ref_in_dim(call, SCATTER_ROWS_IN_x)[1],
            width = ref_in_dim(call, SCATTER_ROWS_IN_x)[2];
    int64_t rows = ref_out_dim(call, SCATTER_ROWS_OUT_out)[1];
    for (int64_t b = 0; b < batch; b++)
        for (int64_t i = 0; i < n; i++) {
            MCF_TRY(check_id(ids[b * n + i], rows, b, i, err));
            int64_t row = (int64_t)ids[b * n + i];
            for (int64_t d = 0; d < width; d++)
                out[(b * rows + row) * width + d] += x[(b * n + i) * width + d];
        }
    return MCF_OK;
}
