// token_mse, cross_entropy and their gradients.
#include "backends/kernels/host.h"

#define NONE DEV_NONE

mcf_status dev_op_token_mse(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *a = &l->in[TOKEN_MSE_IN_a];
    const int64_t *dim = a->shape.dim;
    const int64_t strips = dev_strips(stream, dim[2]);
    mcf_operand part;
    MCF_TRY(dev_scratch(stream, 0, (uint64_t)(dim[0] * strips), &part, err));
    dev_kernel_key key = {"loss.cl", "token_mse", a->dtype,          l->in[TOKEN_MSE_IN_b].dtype,
                          NONE,      NONE,        "-DMCF_TOKEN_MSE", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, a);
    dev_operand(&call, &l->in[TOKEN_MSE_IN_b]);
    dev_operand(&call, &part);
    dev_operand(&call, dev_wanted(l, TOKEN_MSE_OUT_norm_a) ? &l->out[TOKEN_MSE_OUT_norm_a] : NULL);
    dev_operand(&call, dev_wanted(l, TOKEN_MSE_OUT_norm_b) ? &l->out[TOKEN_MSE_OUT_norm_b] : NULL);
    dev_int64(&call, dim[1]);
    dev_int64(&call, dim[2]);
    dev_int64(&call, strips);
    dev_float(&call, l->attr.norm.eps);
    dev_int(&call, dev_wanted(l, TOKEN_MSE_OUT_norm_a) | dev_wanted(l, TOKEN_MSE_OUT_norm_b) << 1);
    MCF_TRY(dev_run_strips(&call, dim[2], dim[0], 1, err));
    return dev_sum(stream, &part, 1, dim[0] * strips, 1, 1 / (double)mcf_shape_count(&a->shape),
                   &l->out[TOKEN_MSE_OUT_loss], false, err);
}

mcf_status dev_op_token_mse_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *a = &l->in[TOKEN_MSE_GRAD_IN_a];
    dev_kernel_key key = {"loss.cl",
                          "token_mse_grad",
                          a->dtype,
                          l->in[TOKEN_MSE_GRAD_IN_b].dtype,
                          NONE,
                          l->out[TOKEN_MSE_GRAD_OUT_da].dtype,
                          "-DMCF_TOKEN_MSE_GRAD",
                          0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    for (int i = 0; i < 5; i++)
        dev_operand(&call, &l->in[i]);
    dev_operand(&call, &l->out[TOKEN_MSE_GRAD_OUT_da]);
    dev_int64(&call, a->shape.dim[1]);
    dev_int64(&call, a->shape.dim[2]);
    dev_float(&call, 2 / (double)mcf_shape_count(&a->shape));
    dev_float(&call, l->attr.norm.eps * (1 + 1e-6));
    return dev_run_strips(&call, a->shape.dim[2], a->shape.dim[0], 1, err);
}

mcf_status dev_op_cross_entropy(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[CROSS_ENTROPY_IN_logits];
    const int64_t rows = x->shape.dim[0];
    mcf_operand part;
    MCF_TRY(dev_scratch(stream, 0, (uint64_t)rows, &part, err));
    dev_kernel_key key = {"loss.cl", "cross_entropy", x->dtype, NONE, NONE, NONE, "-DMCF_CROSS_ENTROPY", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, x);
    dev_operand(&call, &l->in[CROSS_ENTROPY_IN_labels]);
    dev_operand(&call, &part);
    dev_operand(&call, dev_wanted(l, CROSS_ENTROPY_OUT_lse) ? &l->out[CROSS_ENTROPY_OUT_lse] : NULL);
    dev_int64(&call, x->shape.dim[1]);
    dev_int(&call, dev_wanted(l, CROSS_ENTROPY_OUT_lse));
    MCF_TRY(dev_run_lines(&call, rows, err));
    return dev_sum(stream, &part, 1, rows, 1, 1 / (double)rows, &l->out[CROSS_ENTROPY_OUT_loss], false, err);
}

mcf_status dev_op_cross_entropy_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[CROSS_ENTROPY_GRAD_IN_logits];
    dev_kernel_key key = {"loss.cl",
                          "cross_entropy_grad",
                          x->dtype,
                          NONE,
                          NONE,
                          l->out[CROSS_ENTROPY_GRAD_OUT_dlogits].dtype,
                          "-DMCF_CROSS_ENTROPY_GRAD",
                          0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    for (int i = 0; i < 4; i++)
        dev_operand(&call, &l->in[i]);
    dev_operand(&call, &l->out[CROSS_ENTROPY_GRAD_OUT_dlogits]);
    dev_int64(&call, x->shape.dim[0]);
    dev_int64(&call, x->shape.dim[1]);
    return dev_run_items(&call, x->shape.dim[1], x->shape.dim[0], 1, err);
}
