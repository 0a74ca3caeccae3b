// Operations for which this backend has kernels of its own beside the shared ones, and when it takes them.
#include "backends/cuda/cuda.h"

dev_operation dev_own(const mcf_stream *stream, const mcf_launch *l)
{
    switch (l->op) {
    case MCF_OP_attention:
        return mcf_shape_count(&l->in[ATTENTION_IN_qkv].shape) && cuda_attention_fits(stream->device->generation, l)
                   ? cuda_attention
                   : NULL;
    case MCF_OP_attention_grad:
        return mcf_shape_count(&l->in[ATTENTION_IN_qkv].shape) && cuda_attention_fits(stream->device->generation, l)
                   ? cuda_attention_grad
                   : NULL;
    case MCF_OP_layer_norm:
    case MCF_OP_add_layer_norm:
        return cuda_layer_norm_fits(l) ? cuda_layer_norm : NULL;
    case MCF_OP_layer_norm_grad:
        return cuda_layer_norm_grad_fits(l) ? cuda_layer_norm_grad : NULL;
    case MCF_OP_gelu:
    case MCF_OP_gelu_grad:
        return cuda_gelu_fits(l) ? cuda_gelu : NULL;
    case MCF_OP_reduce_sum:
        return cuda_column_sums_fit(l) ? cuda_column_sums : NULL;
    default:
        return NULL;
    }
}
