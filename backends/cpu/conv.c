// conv2d and its gradients: brings operands and results to the types that oneDNN's convolution takes.
//
// bf16 operands are convolved in bf16 where the processor has it, everything else in fp32.
#include <string.h>

#include "backends/cpu/cpu.h"
#include "backends/cpu/onednn.h"

static size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

// c of type `compute` or a 16-bit one from a and b; `convolution` lacks the types.
static mcf_status convolve(mcf_device *device, mcf_cpu_convolution *convolution, const mcf_operand *a,
                           const mcf_operand *b, const mcf_operand *bias, const mcf_operand *c, bool accumulate,
                           mcf_error *err)
{
    const mcf_operand *in[2] = {a, b};
    const int64_t count = mcf_shape_count(&c->shape);
    if (!count)
        return MCF_OK;
    if (!convolution->batch) { // a weight's gradient over no images
        if (!accumulate)
            memset(mcf_cpu_address(c), 0, (size_t)count * mcf_dtype_size(c->dtype));
        return MCF_OK;
    }
    const bool low = a->dtype == MCF_BF16 && b->dtype == MCF_BF16 && mcf_cpu_onednn_has_bf16();
    const mcf_dtype compute = low ? MCF_BF16 : MCF_F32;
    const bool direct = c->dtype == MCF_F32 || (c->dtype == MCF_BF16 && low && !accumulate);
    convolution->dtype = compute;
    convolution->out_dtype = direct ? c->dtype : MCF_F32;
    convolution->bias = bias != NULL;
    convolution->accumulate = direct && accumulate;
    size_t bytes[3] = {0}, place = 0;
    for (int i = 0; i < 2; i++)
        if (in[i]->dtype != compute)
            bytes[i] = aligned((size_t)mcf_shape_count(&in[i]->shape) * mcf_dtype_size(compute));
    bytes[2] = direct ? 0 : aligned((size_t)count * sizeof(float));
    void *memory = NULL;
    if (bytes[0] + bytes[1] + bytes[2])
        MCF_TRY(mcf_cpu_scratch(device, bytes[0] + bytes[1] + bytes[2], &memory, err));
    const void *data[2];
    for (int i = 0; i < 2; i++) {
        data[i] = mcf_cpu_address(in[i]);
        if (!bytes[i])
            continue;
        void *to = (unsigned char *)memory + place;
        mcf_cpu_copy_strided(device, &in[i]->shape, to, compute, in[i]->stride, data[i], in[i]->dtype, in[i]->stride,
                             false);
        data[i] = to;
        place += bytes[i];
    }
    void *result = direct ? mcf_cpu_address(c) : (unsigned char *)memory + place;
    MCF_TRY(mcf_cpu_onednn_convolve(device->onednn, convolution, data[0], data[1],
                                    bias ? (const float *)mcf_cpu_address(bias) : NULL, result, err));
    if (!direct)
        mcf_cpu_copy_strided(device, &c->shape, mcf_cpu_address(c), c->dtype, c->stride, result, MCF_F32, c->stride,
                             accumulate);
    return MCF_OK;
}

static mcf_cpu_convolution shape_of(const mcf_launch *l, const mcf_operand *x, const mcf_operand *weight,
                                    const mcf_operand *y, mcf_cpu_convolution_kind kind)
{
    const int64_t *image = x->shape.dim, *w = weight->shape.dim, *out = y->shape.dim;
    mcf_cpu_convolution c;
    memset(&c, 0, sizeof c);
    c.kind = kind;
    c.batch = image[0];
    c.height = image[1];
    c.width = image[2];
    c.channels = image[3];
    c.out_height = out[1];
    c.out_width = out[2];
    c.outputs = out[3];
    c.rows = w[2];
    c.columns = w[3];
    c.stride = l->attr.conv2d.stride;
    c.pad = l->attr.conv2d.pad;
    c.groups = l->attr.conv2d.groups;
    return c;
}

mcf_status mcf_cpu_op_conv2d(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[CONV2D_IN_x], *weight = &l->in[CONV2D_IN_weight], *y = &l->out[CONV2D_OUT_y];
    const mcf_operand *bias = mcf_cpu_has_input(l, CONV2D_IN_bias) ? &l->in[CONV2D_IN_bias] : NULL;
    mcf_cpu_convolution c = shape_of(l, x, weight, y, MCF_CPU_CONV_FORWARD);
    return convolve(device, &c, x, weight, bias, y, false, err);
}

mcf_status mcf_cpu_op_conv2d_grad_x(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *dy = &l->in[CONV2D_GRAD_X_IN_dy], *weight = &l->in[CONV2D_GRAD_X_IN_weight];
    const mcf_operand *dx = &l->out[CONV2D_GRAD_X_OUT_dx];
    mcf_cpu_convolution c = shape_of(l, dx, weight, dy, MCF_CPU_CONV_GRAD_X);
    return convolve(device, &c, dy, weight, NULL, dx, false, err);
}

mcf_status mcf_cpu_op_conv2d_grad_weight(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[CONV2D_GRAD_WEIGHT_IN_x], *dy = &l->in[CONV2D_GRAD_WEIGHT_IN_dy];
    const mcf_operand *dweight = &l->out[CONV2D_GRAD_WEIGHT_OUT_dweight];
    mcf_cpu_convolution c = shape_of(l, x, dweight, dy, MCF_CPU_CONV_GRAD_WEIGHT);
    return convolve(device, &c, x, dy, NULL, dweight, l->accumulate >> CONV2D_GRAD_WEIGHT_OUT_dweight & 1u, err);
}
