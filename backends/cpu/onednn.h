// Products and convolutions by oneDNN. This is all the rest of the backend sees of it; onednn.c and onednn_conv.c are the
// only files that call it.
#ifndef MCF_BACKENDS_CPU_ONEDNN_H
#define MCF_BACKENDS_CPU_ONEDNN_H

#include "ops/node.h"

typedef struct mcf_cpu_onednn mcf_cpu_onednn;

// c = act(a b + bias), or c += a b + bias. The last two axes are the matrices a [M,K], b [K,N], c [M,N]; the axes
// before them are batches, where a size of 1 is repeated. One of the last two strides of a and of b is 1, c is
// contiguous. Types: all f32, or a and b bf16 and c f32 or bf16. Compared by bytes: unused members are 0.
typedef struct {
    int rank;
    int a_dtype, b_dtype, c_dtype;
    int bias, activation, accumulate;
    int packed; // b is brought to the layout the product likes best first
    int64_t a_dim[MCF_MAX_RANK], a_stride[MCF_MAX_RANK];
    int64_t b_dim[MCF_MAX_RANK], b_stride[MCF_MAX_RANK];
} mcf_cpu_product;

mcf_status mcf_cpu_onednn_create(mcf_cpu_onednn **onednn, mcf_error *err);
void mcf_cpu_onednn_destroy(mcf_cpu_onednn *onednn);
// Runs on the calling thread and its OpenMP team. The first call of a shape makes the primitive; later ones make
// nothing. bias is f32 [N] or NULL.
mcf_status mcf_cpu_onednn_run(mcf_cpu_onednn *onednn, const mcf_cpu_product *product, const void *a, const void *b,
                              const float *bias, void *c, mcf_error *err);

typedef enum { MCF_CPU_CONV_FORWARD, MCF_CPU_CONV_GRAD_X, MCF_CPU_CONV_GRAD_WEIGHT } mcf_cpu_convolution_kind;

// x [batch, height, width, channels] and y [batch, out_height, out_width, outputs] with channels innermost, weight
// [outputs, channels/groups, rows, columns]. Compared by bytes.
typedef struct {
    int64_t batch, height, width, channels, out_height, out_width, outputs, rows, columns, stride, pad, groups;
    int kind;
    int dtype;      // of the operands: MCF_F32 or MCF_BF16
    int out_dtype;  // of the result: MCF_F32, or MCF_BF16 of bf16 operands
    int bias;       // forward
    int accumulate; // grad_weight
} mcf_cpu_convolution;

// Forward: a = x, b = weight, c = y. Gradient of x: a = dy, b = weight, c = dx. Of the weight: a = x, b = dy, c = dweight.
// bias is f32 [outputs] or NULL. Otherwise as mcf_cpu_onednn_run.
mcf_status mcf_cpu_onednn_convolve(mcf_cpu_onednn *onednn, const mcf_cpu_convolution *convolution, const void *a,
                                   const void *b, const float *bias, void *c, mcf_error *err);

// Whether products of bf16 operands run on bf16 instructions here.
bool mcf_cpu_onednn_has_bf16(void);
const char *mcf_cpu_onednn_version(void);

#endif
