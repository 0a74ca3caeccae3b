// ema and adamw: what changes in place between steps.
#include "backends/kernels/host.h"

#define NONE DEV_NONE

mcf_status dev_op_ema(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *target = &l->in[EMA_IN_target];
    dev_kernel_key key = {"state.cl", "ema", target->dtype, l->in[EMA_IN_source].dtype, NONE, NONE, "-DMCF_EMA", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    for (int i = 0; i < 3; i++)
        dev_operand(&call, dev_present(l, i) ? &l->in[i] : NULL);
    dev_int64(&call, mcf_shape_count(&target->shape));
    dev_float(&call, l->attr.ema.momentum);
    dev_float(&call, l->attr.ema.scale);
    dev_int(&call, dev_present(l, EMA_IN_momentum));
    return dev_run_items(&call, mcf_shape_count(&target->shape), 1, 1, err);
}

mcf_status dev_op_adamw(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const int64_t n = mcf_shape_count(&l->in[ADAMW_IN_param].shape),
                  chunk = dev_sizes_of(stream).group > 1 ? 4096 : 16384;
    dev_kernel_key key = {"state.cl", "adamw", NONE, NONE, NONE, NONE, "-DMCF_ADAMW", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    for (int i = 0; i < 7; i++)
        dev_operand(&call, &l->in[i]);
    dev_int64(&call, n);
    dev_int64(&call, chunk);
    dev_int64(&call, l->in[ADAMW_IN_ranges].shape.dim[0]);
    return dev_run_lines(&call, (n + chunk - 1) / chunk, err);
}
