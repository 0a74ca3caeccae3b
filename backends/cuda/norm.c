// Layer norms by norm.cu, where they fit (fits.c). All else goes to kernels/norm.cl.
#include "backends/cuda/cuda.h"

#include <stdio.h>

enum { WARPS = 8, THREADS = 32 * WARPS }; // as in norm.cu

static mcf_status begin(dev_call *call, mcf_stream *stream, const mcf_launch *l, const char *kernel, int t1, int t2,
                        mcf_error *err)
{
    const int64_t vectors = (l->in[0].shape.dim[1] + 127) / 128; // of a lane
    char name[64];
    snprintf(name, sizeof name, "%s_%d", kernel, (int)(vectors + 1) / 2 * 2);
    dev_kernel_key key = {"norm.cu", name, MCF_F32, t1, t2, DEV_NONE, "", 0};
    MCF_TRY(dev_begin(call, stream, &key, err));
    call->name = kernel;
    return MCF_OK;
}

mcf_status cuda_layer_norm(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const int adds = l->op == MCF_OP_add_layer_norm;
    const int64_t rows = l->in[0].shape.dim[0];
    const mcf_operand *outputs = l->out + adds; // y, mean, rstd
    const mcf_dtype y = dev_wanted(l, adds) ? outputs[0].dtype : MCF_F32;
    dev_call call;
    MCF_TRY(begin(&call, stream, l, adds ? "add_norm_rows" : "norm_rows", adds ? (int)l->in[1].dtype : DEV_NONE, (int)y,
                  err));
    dev_operand(&call, &l->in[0]);
    dev_operand(&call, adds ? &l->in[1] : NULL);
    dev_operand(&call, &l->in[1 + adds]);
    dev_operand(&call, &l->in[2 + adds]);
    dev_operand(&call, adds ? &l->out[0] : NULL);
    int wanted = 0;
    for (int i = 0; i < 3; i++) {
        const bool is = dev_wanted(l, i + adds);
        dev_operand(&call, is ? &outputs[i] : NULL);
        wanted |= is << i;
    }
    dev_int64(&call, rows);
    dev_int(&call, (int)l->in[0].shape.dim[1]);
    dev_float(&call, l->attr.norm.eps);
    dev_int(&call, wanted);
    return dev_run(&call, (const size_t[]){THREADS, 1, 1}, (rows + WARPS - 1) / WARPS, 1, 1, err);
}

mcf_status cuda_layer_norm_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const int64_t rows = l->in[0].shape.dim[0], width = l->in[0].shape.dim[1];
    const bool sums = dev_wanted(l, 1) || dev_wanted(l, 2);
    // Two blocks run on a multiprocessor at once; more of them would only be more sums to add.
    int64_t blocks = (rows + WARPS - 1) / WARPS, most = 2 * (int64_t)stream->device->properties.multiProcessorCount;
    if (blocks > most)
        blocks = most;
    mcf_operand gamma = {0}, beta;
    if (sums)
        MCF_TRY(dev_scratch(stream, 0, (uint64_t)(2 * (blocks > 0 ? blocks : 1) * width), &gamma, err));
    dev_call call;
    MCF_TRY(begin(&call, stream, l, "norm_rows_grad", (int)l->in[4].dtype, DEV_NONE, err));
    for (int i = 0; i < 6; i++)
        dev_operand(&call, dev_present(l, i) ? &l->in[i] : NULL);
    dev_operand(&call, &l->out[0]);
    dev_operand(&call, sums ? &gamma : NULL);
    dev_int64(&call, rows);
    dev_int(&call, (int)width);
    dev_int(&call, dev_present(l, 5));
    dev_int(&call, sums);
    MCF_TRY(dev_run(&call, (const size_t[]){THREADS, 1, 1}, blocks, 1, 1, err));
    beta = gamma;
    beta.offset += (size_t)(blocks * width) * sizeof(float);
    if (dev_wanted(l, 1))
        MCF_TRY(dev_sum(stream, &gamma, 1, blocks, width, 1, &l->out[1], l->accumulate & 2, err));
    if (dev_wanted(l, 2))
        MCF_TRY(dev_sum(stream, &beta, 1, blocks, width, 1, &l->out[2], l->accumulate & 4, err));
    return MCF_OK;
}
