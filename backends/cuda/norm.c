// Layer norms by norm.cu, where they fit (fits.c). All else goes to kernels/norm.cl.
#include "backends/cuda/cuda.h"

#include <stdio.h>

enum { WARPS = 8, THREADS = 32 * WARPS }; // as in norm.cu

static mcf_status begin(dev_call *call, mcf_stream *stream, const mcf_launch *l, const char *kernel, int t1, int t2,
                        mcf_error *err)
{
    const int64_t vectors = (l->in[LAYER_NORM_IN_x].shape.dim[1] + 127) / 128; // of a lane
    char name[64];
    snprintf(name, sizeof name, "%s_%d", kernel, (int)(vectors + 1) / 2 * 2);
    dev_kernel_key key = {"norm.cu", name, MCF_F32, t1, t2, DEV_NONE, "", 0};
    MCF_TRY(dev_begin(call, stream, &key, err));
    call->name = kernel;
    return MCF_OK;
}

mcf_status cuda_layer_norm(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const bool adds = l->op == MCF_OP_add_layer_norm;
    const mcf_operand *x = &l->in[adds ? ADD_LAYER_NORM_IN_x : LAYER_NORM_IN_x];
    const mcf_operand *r = adds ? &l->in[ADD_LAYER_NORM_IN_r] : NULL;
    const int64_t rows = x->shape.dim[0];
    const int first = adds ? ADD_LAYER_NORM_OUT_y : LAYER_NORM_OUT_y; // then mean, rstd
    const mcf_dtype y = dev_wanted(l, first) ? l->out[first].dtype : MCF_F32;
    dev_call call;
    MCF_TRY(
        begin(&call, stream, l, adds ? "add_norm_rows" : "norm_rows", adds ? (int)r->dtype : DEV_NONE, (int)y, err));
    dev_operand(&call, x);
    dev_operand(&call, r);
    dev_operand(&call, &l->in[adds ? ADD_LAYER_NORM_IN_gamma : LAYER_NORM_IN_gamma]);
    dev_operand(&call, &l->in[adds ? ADD_LAYER_NORM_IN_beta : LAYER_NORM_IN_beta]);
    dev_operand(&call, adds ? &l->out[ADD_LAYER_NORM_OUT_s] : NULL);
    int wanted = 0;
    for (int i = 0; i < 3; i++) {
        const bool is = dev_wanted(l, first + i);
        dev_operand(&call, is ? &l->out[first + i] : NULL);
        wanted |= is << i;
    }
    dev_int64(&call, rows);
    dev_int(&call, (int)x->shape.dim[1]);
    dev_float(&call, l->attr.norm.eps);
    dev_int(&call, wanted);
    return dev_run(&call, (const size_t[]){THREADS, 1, 1}, (rows + WARPS - 1) / WARPS, 1, 1, err);
}

mcf_status cuda_layer_norm_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const int64_t rows = l->in[LAYER_NORM_GRAD_IN_x].shape.dim[0], width = l->in[LAYER_NORM_GRAD_IN_x].shape.dim[1];
    const bool sums = dev_wanted(l, LAYER_NORM_GRAD_OUT_dgamma) || dev_wanted(l, LAYER_NORM_GRAD_OUT_dbeta);
    // Two blocks run on a multiprocessor at once; more of them would only be more sums to add.
    int64_t blocks = (rows + WARPS - 1) / WARPS, most = 2 * (int64_t)stream->device->properties.multiProcessorCount;
    if (blocks > most)
        blocks = most;
    mcf_operand gamma = {0}, beta;
    if (sums)
        MCF_TRY(dev_scratch(stream, 0, (uint64_t)(2 * (blocks > 0 ? blocks : 1) * width), &gamma, err));
    dev_call call;
    MCF_TRY(begin(&call, stream, l, "norm_rows_grad", (int)l->in[LAYER_NORM_GRAD_IN_dy].dtype, DEV_NONE, err));
    for (int i = 0; i < LAYER_NORM_GRAD_INPUTS; i++)
        dev_operand(&call, dev_present(l, i) ? &l->in[i] : NULL);
    dev_operand(&call, &l->out[LAYER_NORM_GRAD_OUT_dx]);
    dev_operand(&call, sums ? &gamma : NULL);
    dev_int64(&call, rows);
    dev_int(&call, (int)width);
    dev_int(&call, dev_present(l, LAYER_NORM_GRAD_IN_dsum));
    dev_int(&call, sums);
    MCF_TRY(dev_run(&call, (const size_t[]){THREADS, 1, 1}, blocks, 1, 1, err));
    beta = gamma;
    beta.offset += (size_t)(blocks * width) * sizeof(float);
    if (dev_wanted(l, LAYER_NORM_GRAD_OUT_dgamma))
        MCF_TRY(dev_sum(stream, &gamma, 1, blocks, width, 1, &l->out[LAYER_NORM_GRAD_OUT_dgamma],
                        l->accumulate >> LAYER_NORM_GRAD_OUT_dgamma & 1, err));
    if (dev_wanted(l, LAYER_NORM_GRAD_OUT_dbeta))
        MCF_TRY(dev_sum(stream, &beta, 1, blocks, width, 1, &l->out[LAYER_NORM_GRAD_OUT_dbeta],
                        l->accumulate >> LAYER_NORM_GRAD_OUT_dbeta & 1, err));
    return MCF_OK;
}
