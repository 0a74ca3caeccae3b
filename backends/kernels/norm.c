// Layer norm, batch norm, L2 normalisation: an operation over lines or columns each.
#include "backends/kernels/host.h"

#define NONE DEV_NONE

mcf_status dev_op_layer_norm(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[LAYER_NORM_IN_x];
    dev_kernel_key key = {
        "norm.cl", "layer_norm", x->dtype, x->dtype, x->dtype, l->out[LAYER_NORM_OUT_y].dtype, "-DMCF_LAYER_NORM", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    for (int i = 0; i < LAYER_NORM_INPUTS; i++)
        dev_operand(&call, &l->in[i]);
    for (int i = 0; i < LAYER_NORM_OUTPUTS; i++)
        dev_operand(&call, dev_wanted(l, i) ? &l->out[i] : NULL);
    dev_int64(&call, x->shape.dim[1]);
    dev_float(&call, l->attr.norm.eps);
    dev_int(&call, dev_wanted(l, LAYER_NORM_OUT_mean) | dev_wanted(l, LAYER_NORM_OUT_rstd) << 1);
    return dev_run_lines(&call, x->shape.dim[0], err);
}

mcf_status dev_op_add_layer_norm(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[ADD_LAYER_NORM_IN_x];
    dev_kernel_key key = {"norm.cl",
                          "add_layer_norm",
                          x->dtype,
                          l->in[ADD_LAYER_NORM_IN_r].dtype,
                          dev_wanted(l, ADD_LAYER_NORM_OUT_y) ? l->out[ADD_LAYER_NORM_OUT_y].dtype : MCF_F32,
                          l->out[ADD_LAYER_NORM_OUT_s].dtype,
                          "-DMCF_ADD_LAYER_NORM",
                          0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    for (int i = 0; i < ADD_LAYER_NORM_INPUTS; i++)
        dev_operand(&call, &l->in[i]);
    for (int i = 0; i < ADD_LAYER_NORM_OUTPUTS; i++)
        dev_operand(&call, dev_wanted(l, i) ? &l->out[i] : NULL);
    dev_int64(&call, x->shape.dim[1]);
    dev_float(&call, l->attr.norm.eps);
    dev_int(&call, dev_wanted(l, ADD_LAYER_NORM_OUT_y) | dev_wanted(l, ADD_LAYER_NORM_OUT_mean) << 1 |
                       dev_wanted(l, ADD_LAYER_NORM_OUT_rstd) << 2);
    return dev_run_lines(&call, x->shape.dim[0], err);
}

// dgamma and dbeta: chunks of rows into scratch [2, chunks, C], then the sums of those.
static mcf_status layer_norm_columns(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[LAYER_NORM_GRAD_IN_x], *dy = &l->in[LAYER_NORM_GRAD_IN_dy];
    const int64_t rows = x->shape.dim[0], width = x->shape.dim[1];
    const int64_t chunks = dev_chunks(stream, dev_strips(stream, width), rows);
    mcf_operand gamma, beta;
    MCF_TRY(dev_scratch(stream, 0, (uint64_t)(2 * chunks * width), &gamma, err));
    beta = gamma;
    beta.offset += (size_t)(chunks * width) * sizeof(float);
    dev_kernel_key key = {"norm.cl", "layer_norm_columns", x->dtype, dy->dtype, x->dtype,
                          MCF_F32,   "-DMCF_LAYER_NORM",   0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, x);
    dev_operand(&call, &l->in[LAYER_NORM_GRAD_IN_mean]);
    dev_operand(&call, &l->in[LAYER_NORM_GRAD_IN_rstd]);
    dev_operand(&call, dy);
    dev_operand(&call, &gamma);
    dev_operand(&call, &beta);
    dev_int64(&call, rows);
    dev_int64(&call, width);
    dev_int64(&call, (rows + chunks - 1) / chunks);
    MCF_TRY(dev_run_strips(&call, width, chunks, 1, err));
    if (dev_wanted(l, LAYER_NORM_GRAD_OUT_dgamma))
        MCF_TRY(dev_sum(stream, &gamma, 1, chunks, width, 1, &l->out[LAYER_NORM_GRAD_OUT_dgamma],
                        l->accumulate >> LAYER_NORM_GRAD_OUT_dgamma & 1, err));
    if (dev_wanted(l, LAYER_NORM_GRAD_OUT_dbeta))
        MCF_TRY(dev_sum(stream, &beta, 1, chunks, width, 1, &l->out[LAYER_NORM_GRAD_OUT_dbeta],
                        l->accumulate >> LAYER_NORM_GRAD_OUT_dbeta & 1, err));
    return MCF_OK;
}

mcf_status dev_op_layer_norm_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[LAYER_NORM_GRAD_IN_x];
    const bool has = dev_present(l, LAYER_NORM_GRAD_IN_dsum);
    dev_kernel_key key = {"norm.cl",
                          "layer_norm_grad",
                          x->dtype,
                          l->in[LAYER_NORM_GRAD_IN_dy].dtype,
                          has ? l->in[LAYER_NORM_GRAD_IN_dsum].dtype : x->dtype,
                          l->out[LAYER_NORM_GRAD_OUT_dx].dtype,
                          "-DMCF_LAYER_NORM",
                          0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    for (int i = 0; i < LAYER_NORM_GRAD_INPUTS; i++)
        dev_operand(&call, dev_present(l, i) ? &l->in[i] : NULL);
    dev_operand(&call, &l->out[LAYER_NORM_GRAD_OUT_dx]);
    dev_int64(&call, x->shape.dim[1]);
    dev_int(&call, has);
    MCF_TRY(dev_run_lines(&call, x->shape.dim[0], err));
    return dev_wanted(l, LAYER_NORM_GRAD_OUT_dgamma) || dev_wanted(l, LAYER_NORM_GRAD_OUT_dbeta)
               ? layer_norm_columns(stream, l, err)
               : MCF_OK;
}

// --- batch norm: [G,R,C]

mcf_status dev_op_batch_variance(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[BATCH_VARIANCE_IN_x];
    dev_kernel_key key = {"batch_norm.cl", "batch_variance", x->dtype, NONE, NONE, MCF_F32, "-DMCF_BATCH_VARIANCE", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, x);
    dev_operand(&call, &l->in[BATCH_VARIANCE_IN_mean]);
    dev_operand(&call, &l->out[BATCH_VARIANCE_OUT_var]);
    dev_int64(&call, x->shape.dim[1]);
    dev_int64(&call, x->shape.dim[2]);
    return dev_run_strips(&call, x->shape.dim[2], x->shape.dim[0], 1, err);
}

mcf_status dev_op_batch_norm(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[BATCH_NORM_IN_x];
    dev_kernel_key key = {
        "batch_norm.cl", "batch_norm", x->dtype, NONE, NONE, l->out[BATCH_NORM_OUT_y].dtype, "-DMCF_BATCH_NORM", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    for (int i = 0; i < BATCH_NORM_INPUTS; i++)
        dev_operand(&call, dev_present(l, i) ? &l->in[i] : NULL);
    dev_operand(&call, &l->out[BATCH_NORM_OUT_y]);
    dev_int64(&call, x->shape.dim[1]);
    dev_int64(&call, x->shape.dim[2]);
    dev_float(&call, l->attr.norm.eps);
    dev_int(&call, dev_present(l, BATCH_NORM_IN_gamma));
    return dev_run_items(&call, x->shape.dim[2], x->shape.dim[0] * x->shape.dim[1], 1, err);
}

mcf_status dev_op_batch_norm_sums(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[BATCH_NORM_SUMS_IN_x];
    dev_kernel_key key = {"batch_norm.cl", "batch_norm_sums",       x->dtype, l->in[BATCH_NORM_SUMS_IN_dy].dtype, NONE,
                          MCF_F32,         "-DMCF_BATCH_NORM_SUMS", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    for (int i = 0; i < BATCH_NORM_SUMS_INPUTS; i++)
        dev_operand(&call, &l->in[i]);
    dev_operand(&call, &l->out[BATCH_NORM_SUMS_OUT_mean_dy]);
    dev_operand(&call,
                dev_wanted(l, BATCH_NORM_SUMS_OUT_mean_dy_xhat) ? &l->out[BATCH_NORM_SUMS_OUT_mean_dy_xhat] : NULL);
    dev_int64(&call, x->shape.dim[1]);
    dev_int64(&call, x->shape.dim[2]);
    dev_float(&call, l->attr.norm.eps);
    dev_int(&call, dev_wanted(l, BATCH_NORM_SUMS_OUT_mean_dy_xhat));
    return dev_run_strips(&call, x->shape.dim[2], x->shape.dim[0], 1, err);
}

mcf_status dev_op_batch_norm_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[BATCH_NORM_GRAD_IN_x];
    dev_kernel_key key = {"batch_norm.cl",
                          "batch_norm_grad",
                          x->dtype,
                          l->in[BATCH_NORM_GRAD_IN_dy].dtype,
                          NONE,
                          l->out[BATCH_NORM_GRAD_OUT_dx].dtype,
                          "-DMCF_BATCH_NORM_GRAD",
                          0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    for (int i = 0; i < BATCH_NORM_GRAD_INPUTS; i++)
        dev_operand(&call, dev_present(l, i) ? &l->in[i] : NULL);
    dev_operand(&call, &l->out[BATCH_NORM_GRAD_OUT_dx]);
    dev_int64(&call, x->shape.dim[1]);
    dev_int64(&call, x->shape.dim[2]);
    dev_float(&call, l->attr.norm.eps);
    dev_int(&call, dev_present(l, BATCH_NORM_GRAD_IN_gamma));
    return dev_run_items(&call, x->shape.dim[2], x->shape.dim[0] * x->shape.dim[1], 1, err);
}

// --- L2 normalisation: [outer, n, step]

// dy NULL: y from x; else dx.
static mcf_status l2(mcf_stream *stream, const mcf_launch *l, const mcf_operand *x, const mcf_operand *dy,
                     const mcf_operand *out, const char *of_lines, const char *of_columns, const char *define,
                     mcf_error *err)
{
    const int axis = l->attr.l2_normalize.axis;
    int64_t outer = 1, step = 1;
    for (int i = 0; i < x->shape.rank; i++)
        *(i < axis ? &outer : &step) *= i == axis ? 1 : x->shape.dim[i];
    dev_kernel_key key = {
        "norm.cl", step == 1 ? of_lines : of_columns, x->dtype, dy ? (int)dy->dtype : NONE, NONE, out->dtype, define,
        0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, x);
    if (dy)
        dev_operand(&call, dy);
    dev_operand(&call, out);
    dev_int64(&call, x->shape.dim[axis]);
    if (step > 1)
        dev_int64(&call, step);
    dev_float(&call, l->attr.l2_normalize.eps);
    if (!mcf_shape_count(&x->shape))
        return MCF_OK;
    return step == 1 ? dev_run_lines(&call, outer, err) : dev_run_strips(&call, step, outer, 1, err);
}

mcf_status dev_op_l2_normalize(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    return l2(stream, l, &l->in[L2_NORMALIZE_IN_x], NULL, &l->out[L2_NORMALIZE_OUT_y], "l2_normalize_lines",
              "l2_normalize_columns", "-DMCF_L2_NORMALIZE", err);
}

mcf_status dev_op_l2_normalize_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    return l2(stream, l, &l->in[L2_NORMALIZE_GRAD_IN_x], &l->in[L2_NORMALIZE_GRAD_IN_dy],
              &l->out[L2_NORMALIZE_GRAD_OUT_dx], "l2_normalize_grad_lines", "l2_normalize_grad_columns",
              "-DMCF_L2_NORMALIZE_GRAD", err);
}
