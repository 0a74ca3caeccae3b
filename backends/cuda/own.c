// Operations for which this backend has kernels of its own beside the shared ones.
#include "backends/cuda/cuda.h"

dev_operation dev_own(const mcf_stream *stream, const mcf_launch *l)
{
    const mcf_device *device = stream->device;
    switch (l->op) {
    case MCF_OP_attention:
        return mcf_shape_count(&l->in[0].shape) && cuda_attention_fits(device, l) ? cuda_attention : NULL;
    case MCF_OP_attention_grad:
        return mcf_shape_count(&l->in[0].shape) && cuda_attention_fits(device, l) ? cuda_attention_grad : NULL;
    default:
        return NULL;
    }
}
