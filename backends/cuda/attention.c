// Attention on the tensor cores, by attention_volta.cu or attention.cu, where it fits (fits.c). All else goes to kernels/attention.cl.
#include "backends/cuda/cuda.h"

#include <stdio.h>

enum { ROWS = CUDA_ATTENTION_ROWS, THREADS = 128 }; // of a block, as in attention.cu and attention_volta.cu

static bool on_volta(const mcf_stream *stream, const mcf_operand *qkv)
{
    const struct cudaDeviceProp *card = &stream->device->properties;
    return cuda_attention_fits_volta(card->major * 10 + card->minor, qkv->dtype);
}

// name: without the file's prefix and the count of channels.
static mcf_status begin(dev_call *call, mcf_stream *stream, const mcf_operand *qkv, const char *name, mcf_error *err)
{
    const bool volta = on_volta(stream, qkv);
    char full[64];
    snprintf(full, sizeof full, "attention_%s%s_%d", volta ? "volta_" : "", name, (int)qkv->shape.dim[4]);
    dev_kernel_key key = {
        volta ? "attention_volta.cu" : "attention.cu", full, qkv->dtype, DEV_NONE, DEV_NONE, DEV_NONE, "", 0};
    MCF_TRY(dev_begin(call, stream, &key, err));
    call->name = name;
    return MCF_OK;
}

// rows: of a block.
static mcf_status run(dev_call *call, const int64_t dim[5], int rows, mcf_error *err)
{
    return dev_run(call, (const size_t[]){THREADS, 1, 1}, (dim[1] + rows - 1) / rows, dim[0] * dim[3], 1, err);
}

mcf_status cuda_attention(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *qkv = &l->in[ATTENTION_IN_qkv];
    const int64_t *dim = qkv->shape.dim;
    const int rows = on_volta(stream, qkv) ? cuda_attention_volta_rows(dim[1]) : ROWS;
    dev_call call;
    MCF_TRY(begin(&call, stream, qkv, rows > ROWS ? "forward_wide" : "forward", err));
    dev_operand(&call, qkv);
    dev_operand(&call, &l->out[ATTENTION_OUT_out]);
    dev_operand(&call, dev_wanted(l, ATTENTION_OUT_lse) ? &l->out[ATTENTION_OUT_lse] : NULL);
    dev_int(&call, (int)dim[1]);
    dev_int(&call, (int)dim[3]);
    dev_float(&call, l->attr.attention.scale);
    dev_int(&call, dev_wanted(l, ATTENTION_OUT_lse));
    return run(&call, dim, rows, err);
}

// dk, dv and the gradients of scores; then dq of those.
static mcf_status grad_by_scores(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *qkv = &l->in[ATTENTION_GRAD_IN_qkv];
    const int64_t *dim = qkv->shape.dim;
    mcf_operand scores;
    dev_call call;
    MCF_TRY(dev_scratch(stream, 3, (cuda_attention_volta_scores(dim) + 3) / 4, &scores, err));
    scores.dtype = MCF_F16;
    for (int of_q = 0; of_q < 2; of_q++) {
        MCF_TRY(begin(&call, stream, qkv, of_q ? "backward_ds" : "backward_five", err));
        dev_operand(&call, qkv);
        if (!of_q) {
            dev_operand(&call, &l->in[ATTENTION_GRAD_IN_out]);
            dev_operand(&call, &l->in[ATTENTION_GRAD_IN_dout]);
            dev_operand(&call, &l->in[ATTENTION_GRAD_IN_lse]);
        }
        dev_operand(&call, &scores);
        dev_operand(&call, &l->out[ATTENTION_GRAD_OUT_dqkv]);
        dev_int(&call, (int)dim[1]);
        dev_int(&call, (int)dim[3]);
        dev_float(&call, l->attr.attention.scale);
        MCF_TRY(run(&call, dim, of_q ? 2 * ROWS : ROWS, err));
    }
    return MCF_OK;
}

// dq by rows of q, dk and dv by rows of k.
static mcf_status grad_by_rows(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *qkv = &l->in[ATTENTION_GRAD_IN_qkv];
    const int64_t *dim = qkv->shape.dim;
    mcf_operand along;
    dev_call call;
    MCF_TRY(dev_scratch(stream, 3, (uint64_t)(dim[0] * dim[3] * dim[1]), &along, err));
    for (int of_k = 0; of_k < 2; of_k++) {
        MCF_TRY(begin(&call, stream, qkv, of_k ? "backward_kv" : "backward_q", err));
        dev_operand(&call, qkv);
        if (!of_k)
            dev_operand(&call, &l->in[ATTENTION_GRAD_IN_out]);
        dev_operand(&call, &l->in[ATTENTION_GRAD_IN_dout]);
        dev_operand(&call, &l->in[ATTENTION_GRAD_IN_lse]);
        dev_operand(&call, &along);
        dev_operand(&call, &l->out[ATTENTION_GRAD_OUT_dqkv]);
        dev_int(&call, (int)dim[1]);
        dev_int(&call, (int)dim[3]);
        dev_float(&call, l->attr.attention.scale);
        MCF_TRY(run(&call, dim, ROWS, err));
    }
    return MCF_OK;
}

mcf_status cuda_attention_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *qkv = &l->in[ATTENTION_GRAD_IN_qkv];
    const bool five = on_volta(stream, qkv) && qkv->shape.dim[1] <= CUDA_ATTENTION_FIVE;
    return five ? grad_by_scores(stream, l, err) : grad_by_rows(stream, l, err);
}
