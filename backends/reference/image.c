// normalize_image, resize_nearest and its gradient.
#include "backends/reference/reference.h"

mcf_status ref_normalize_image(ref_call *call, mcf_error *err)
{
    const double *flip = call->in[NORMALIZE_IMAGE_IN_flip], *image = call->in[NORMALIZE_IMAGE_IN_image];
    double *out = call->out[NORMALIZE_IMAGE_OUT_out];
    const int64_t *dim = ref_in_dim(call, NORMALIZE_IMAGE_IN_image);
    int64_t batch = dim[0], height = dim[1], width = dim[2];
    const float *mean = call->launch->attr.normalize_image.mean, *std = call->launch->attr.normalize_image.std;
    for (int64_t b = 0; b < batch; b++)
        for (int c = 0; c < 3; c++)
            for (int64_t y = 0; y < height; y++)
                for (int64_t x = 0; x < width; x++) {
                    int64_t from = flip[b] ? width - 1 - x : x;
                    double value = image[((b * height + y) * width + from) * 3 + c];
                    out[((b * 3 + c) * height + y) * width + x] = (value / 255 - mean[c]) / std[c];
                }
    return MCF_OK;
}

// The small image's pixel that a pixel of the large one shows (or the other way round when shrinking).
static int64_t source(int64_t place, int64_t from, int64_t to)
{
    return place * from / to;
}

mcf_status ref_resize_nearest(ref_call *call, mcf_error *err)
{
    const int64_t *in = ref_in_dim(call, RESIZE_NEAREST_IN_x), *out = ref_out_dim(call, RESIZE_NEAREST_OUT_y);
    for (int64_t plane = 0; plane < in[RESIZE_NEAREST_IN_x] * in[1]; plane++)
        for (int64_t y = 0; y < out[2]; y++)
            for (int64_t x = 0; x < out[3]; x++)
                call->out[RESIZE_NEAREST_OUT_y][(plane * out[2] + y) * out[3] + x] =
                    call->in[RESIZE_NEAREST_IN_x]
                            [(plane * in[2] + source(y, in[2], out[2])) * in[3] + source(x, in[3], out[3])];
    return MCF_OK;
}

mcf_status ref_resize_nearest_grad(ref_call *call, mcf_error *err)
{
    const int64_t *dy = ref_in_dim(call, RESIZE_NEAREST_GRAD_IN_dy),
                  *dx = ref_out_dim(call, RESIZE_NEAREST_GRAD_OUT_dx);
    for (int64_t plane = 0; plane < dy[0] * dy[1]; plane++)
        for (int64_t y = 0; y < dy[2]; y++)
            for (int64_t x = 0; x < dy[3]; x++)
                call->out[RESIZE_NEAREST_GRAD_OUT_dx]
                         [(plane * dx[2] + source(y, dx[2], dy[2])) * dx[3] + source(x, dx[3], dy[3])] +=
                    call->in[RESIZE_NEAREST_GRAD_IN_dy][(plane * dy[2] + y) * dy[3] + x];
    return MCF_OK;
}
