// conv2d and its gradients.
#include "backends/reference/reference.h"

// The loops of a convolution: images, groups, pixels of the output, places of the kernel that lie in the image,
// channels of a group. At each (x, weight, y) the numbers of the elements that meet.
typedef void (*meeting)(ref_call *call, int64_t x, int64_t weight, int64_t y);

static inline __attribute__((always_inline)) void each_meeting(ref_call *call, const int64_t *image,
                                                               const int64_t *weight, const int64_t *out, meeting meet)
{
    const int64_t stride = call->launch->attr.conv2d.stride, pad = call->launch->attr.conv2d.pad;
    const int64_t groups = call->launch->attr.conv2d.groups, height = image[1], width = image[2], channels = image[3];
    const int64_t outputs = weight[0], inner = weight[1], rows = weight[2], columns = weight[3];
    for (int64_t b = 0; b < image[0]; b++)
        for (int64_t oy = 0; oy < out[1]; oy++)
            for (int64_t ox = 0; ox < out[2]; ox++)
                for (int64_t i = 0; i < rows; i++)
                    for (int64_t j = 0; j < columns; j++) {
                        int64_t y = oy * stride + i - pad, x = ox * stride + j - pad;
                        if (y < 0 || y >= height || x < 0 || x >= width)
                            continue;
                        for (int64_t o = 0; o < outputs; o++)
                            for (int64_t c = 0; c < inner; c++)
                                meet(call,
                                     ((b * height + y) * width + x) * channels + o / (outputs / groups) * inner + c,
                                     ((o * inner + c) * rows + i) * columns + j,
                                     ((b * out[1] + oy) * out[2] + ox) * outputs + o);
                    }
}

static void meet_forward(ref_call *call, int64_t x, int64_t weight, int64_t y)
{
    call->out[CONV2D_OUT_y][y] += call->in[CONV2D_IN_x][x] * call->in[CONV2D_IN_weight][weight];
}

static void meet_grad_x(ref_call *call, int64_t x, int64_t weight, int64_t y)
{
    call->out[CONV2D_GRAD_X_OUT_dx][x] += call->in[CONV2D_GRAD_X_IN_dy][y] * call->in[CONV2D_GRAD_X_IN_weight][weight];
}

static void meet_grad_weight(ref_call *call, int64_t x, int64_t weight, int64_t y)
{
    call->out[CONV2D_GRAD_WEIGHT_OUT_dweight][weight] +=
        call->in[CONV2D_GRAD_WEIGHT_IN_x][x] * call->in[CONV2D_GRAD_WEIGHT_IN_dy][y];
}

mcf_status ref_conv2d(ref_call *call, mcf_error *err)
{
    const int64_t *out = ref_out_dim(call, CONV2D_OUT_y);
    each_meeting(call, ref_in_dim(call, CONV2D_IN_x), ref_in_dim(call, CONV2D_IN_weight), out, meet_forward);
    if (call->in[CONV2D_IN_bias])
        for (int64_t i = 0, count = mcf_shape_count(&call->launch->out[CONV2D_OUT_y].shape); i < count; i++)
            call->out[CONV2D_OUT_y][i] += call->in[CONV2D_IN_bias][i % out[3]];
    return MCF_OK;
}

mcf_status ref_conv2d_grad_x(ref_call *call, mcf_error *err)
{
    each_meeting(call, ref_out_dim(call, CONV2D_GRAD_X_OUT_dx), ref_in_dim(call, CONV2D_GRAD_X_IN_weight),
                 ref_in_dim(call, CONV2D_GRAD_X_IN_dy), meet_grad_x);
    return MCF_OK;
}

mcf_status ref_conv2d_grad_weight(ref_call *call, mcf_error *err)
{
    each_meeting(call, ref_in_dim(call, CONV2D_GRAD_WEIGHT_IN_x), ref_out_dim(call, CONV2D_GRAD_WEIGHT_OUT_dweight),
                 ref_in_dim(call, CONV2D_GRAD_WEIGHT_IN_dy), meet_grad_weight);
    return MCF_OK;
}
