// normalize_image, resize_nearest, resize_bilinear and their gradients.
#include "backends/reference/reference.h"

mcf_status ref_normalize_image(ref_call *call, mcf_error *err)
{
    const double *image = call->in[NORMALIZE_IMAGE_IN_image], *flip = call->in[NORMALIZE_IMAGE_IN_flip];
    double *out = call->out[NORMALIZE_IMAGE_OUT_out];
    const int64_t *dim = ref_in_dim(call, NORMALIZE_IMAGE_IN_image);
    int64_t batch = dim[0], height = dim[1], width = dim[2];
    const float *mean = call->launch->attr.normalize_image.mean, *std = call->launch->attr.normalize_image.std;
    for (int64_t b = 0; b < batch; b++)
        for (int64_t y = 0; y < height; y++)
            for (int64_t x = 0; x < width; x++)
                for (int c = 0; c < 3; c++) {
                    int64_t row = (b * height + y) * width, from = flip[b] ? width - 1 - x : x;
                    out[(row + x) * 3 + c] = (image[(row + from) * 3 + c] / 255 - mean[c]) / std[c];
                }
    return MCF_OK;
}

// The pixel of the small image, of h x w pixels, that pixel (y, x) of image b of the large one shows; with `small` and
// `large` exchanged where the output is smaller.
static int64_t shown(const int64_t *small, const int64_t *large, int64_t b, int64_t y, int64_t x)
{
    return ((b * small[1] + y * small[1] / large[1]) * small[2] + x * small[2] / large[2]) * small[3];
}

mcf_status ref_resize_nearest(ref_call *call, mcf_error *err)
{
    const int64_t *in = ref_in_dim(call, RESIZE_NEAREST_IN_x), *out = ref_out_dim(call, RESIZE_NEAREST_OUT_y);
    const double *from = call->in[RESIZE_NEAREST_IN_x];
    double *to = call->out[RESIZE_NEAREST_OUT_y];
    for (int64_t b = 0; b < out[0]; b++)
        for (int64_t y = 0; y < out[1]; y++)
            for (int64_t x = 0; x < out[2]; x++)
                for (int64_t c = 0; c < out[3]; c++)
                    to[((b * out[1] + y) * out[2] + x) * out[3] + c] = from[shown(in, out, b, y, x) + c];
    return MCF_OK;
}

mcf_status ref_resize_nearest_grad(ref_call *call, mcf_error *err)
{
    const int64_t *in = ref_in_dim(call, RESIZE_NEAREST_GRAD_IN_dy),
                  *out = ref_out_dim(call, RESIZE_NEAREST_GRAD_OUT_dx);
    const double *dy = call->in[RESIZE_NEAREST_GRAD_IN_dy];
    double *dx = call->out[RESIZE_NEAREST_GRAD_OUT_dx];
    for (int64_t b = 0; b < in[0]; b++)
        for (int64_t y = 0; y < in[1]; y++)
            for (int64_t x = 0; x < in[2]; x++)
                for (int64_t c = 0; c < in[3]; c++)
                    dx[shown(out, in, b, y, x) + c] += dy[((b * in[1] + y) * in[2] + x) * in[3] + c];
    return MCF_OK;
}

// --- resize_bilinear, corners not aligned: place i of `to` lies at max((i + 1/2) from/to - 1/2, 0) of `from`

typedef struct {
    int64_t at[2];
    double weight[2];
} neighbours;

static neighbours between(int64_t place, int64_t from, int64_t to)
{
    double where = ((double)place + 0.5) * (double)from / (double)to - 0.5;
    neighbours n = {.at = {0, 0}};
    if (where > 0)
        n.at[0] = (int64_t)where;
    n.at[1] = n.at[0] + 1 < from ? n.at[0] + 1 : n.at[0];
    n.weight[1] = where > 0 ? where - (double)n.at[0] : 0;
    n.weight[0] = 1 - n.weight[1];
    return n;
}

double ref_bilinear(const double *image, int64_t height, int64_t width, int64_t channels, int64_t y, int64_t x,
                    int64_t c, int64_t to_height, int64_t to_width)
{
    const neighbours v = between(y, height, to_height), h = between(x, width, to_width);
    double sum = 0;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            sum += v.weight[i] * h.weight[j] * image[(v.at[i] * width + h.at[j]) * channels + c];
    return sum;
}

void ref_bilinear_add(double *image, int64_t height, int64_t width, int64_t channels, int64_t y, int64_t x, int64_t c,
                      int64_t to_height, int64_t to_width, double value)
{
    const neighbours v = between(y, height, to_height), h = between(x, width, to_width);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            image[(v.at[i] * width + h.at[j]) * channels + c] += v.weight[i] * h.weight[j] * value;
}

mcf_status ref_resize_bilinear(ref_call *call, mcf_error *err)
{
    const int64_t *in = ref_in_dim(call, RESIZE_BILINEAR_IN_x), *out = ref_out_dim(call, RESIZE_BILINEAR_OUT_y);
    for (int64_t b = 0; b < in[0]; b++)
        for (int64_t y = 0; y < out[1]; y++)
            for (int64_t x = 0; x < out[2]; x++)
                for (int64_t c = 0; c < in[3]; c++)
                    call->out[RESIZE_BILINEAR_OUT_y][((b * out[1] + y) * out[2] + x) * out[3] + c] =
                        ref_bilinear(call->in[RESIZE_BILINEAR_IN_x] + b * in[1] * in[2] * in[3], in[1], in[2], in[3], y,
                                     x, c, out[1], out[2]);
    return MCF_OK;
}

mcf_status ref_resize_bilinear_grad(ref_call *call, mcf_error *err)
{
    const int64_t *dy = ref_in_dim(call, RESIZE_BILINEAR_GRAD_IN_dy),
                  *dx = ref_out_dim(call, RESIZE_BILINEAR_GRAD_OUT_dx);
    for (int64_t b = 0; b < dy[0]; b++)
        for (int64_t y = 0; y < dy[1]; y++)
            for (int64_t x = 0; x < dy[2]; x++)
                for (int64_t c = 0; c < dy[3]; c++)
                    ref_bilinear_add(call->out[RESIZE_BILINEAR_GRAD_OUT_dx] + b * dx[1] * dx[2] * dx[3], dx[1], dx[2],
                                     dx[3], y, x, c, dy[1], dy[2],
                                     call->in[RESIZE_BILINEAR_GRAD_IN_dy][((b * dy[1] + y) * dy[2] + x) * dy[3] + c]);
    return MCF_OK;
}
