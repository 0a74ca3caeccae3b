// Attention on the tensor cores (attention.cu), where it fits (fits.c). All else goes to kernels/attention.cl.
#include "backends/cuda/cuda.h"

#include <stdio.h>

enum { ROWS = CUDA_ATTENTION_ROWS, THREADS = 128 }; // of a block, as in attention.cu

static mcf_status begin(dev_call *call, mcf_stream *stream, const mcf_launch *l, const char *kernel, mcf_error *err)
{
    char name[64];
    snprintf(name, sizeof name, "%s_%d", kernel, (int)l->in[ATTENTION_IN_qkv].shape.dim[4]);
    dev_kernel_key key = {"attention.cu", name, l->in[ATTENTION_IN_qkv].dtype, DEV_NONE, DEV_NONE, DEV_NONE, "", 0};
    MCF_TRY(dev_begin(call, stream, &key, err));
    call->name = kernel;
    return MCF_OK;
}

static mcf_status run(dev_call *call, const mcf_launch *l, mcf_error *err)
{
    const int64_t *dim = l->in[ATTENTION_IN_qkv].shape.dim;
    return dev_run(call, (const size_t[]){THREADS, 1, 1}, (dim[1] + ROWS - 1) / ROWS, dim[0] * dim[3], 1, err);
}

mcf_status cuda_attention(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    dev_call call;
    MCF_TRY(begin(&call, stream, l, "attention_forward", err));
    dev_operand(&call, &l->in[ATTENTION_IN_qkv]);
    dev_operand(&call, &l->out[ATTENTION_OUT_out]);
    dev_operand(&call, dev_wanted(l, ATTENTION_OUT_lse) ? &l->out[ATTENTION_OUT_lse] : NULL);
    dev_int(&call, (int)l->in[ATTENTION_IN_qkv].shape.dim[1]);
    dev_int(&call, (int)l->in[ATTENTION_IN_qkv].shape.dim[3]);
    dev_float(&call, l->attr.attention.scale);
    dev_int(&call, dev_wanted(l, ATTENTION_OUT_lse));
    return run(&call, l, err);
}

mcf_status cuda_attention_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const int64_t *dim = l->in[ATTENTION_GRAD_IN_qkv].shape.dim;
    mcf_operand along;
    dev_call call;
    MCF_TRY(dev_scratch(stream, 3, (uint64_t)(dim[0] * dim[3] * dim[1]), &along, err));
    for (int of_k = 0; of_k < 2; of_k++) {
        MCF_TRY(begin(&call, stream, l, of_k ? "attention_backward_kv" : "attention_backward_q", err));
        dev_operand(&call, &l->in[ATTENTION_GRAD_IN_qkv]);
        if (!of_k)
            dev_operand(&call, &l->in[ATTENTION_GRAD_IN_out]);
        dev_operand(&call, &l->in[ATTENTION_GRAD_IN_dout]);
        dev_operand(&call, &l->in[ATTENTION_GRAD_IN_lse]);
        dev_operand(&call, &along);
        dev_operand(&call, &l->out[ATTENTION_GRAD_OUT_dqkv]);
        dev_int(&call, (int)dim[1]);
        dev_int(&call, (int)dim[3]);
        dev_float(&call, l->attr.attention.scale);
        MCF_TRY(run(&call, l, err));
    }
    return MCF_OK;
}
