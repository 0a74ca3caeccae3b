// normalize_image: u8 [B,H,W,3] -> (x/255 - mean)/std as [B,3,H,W], mirrored where flip is set.
// resize_nearest: out[y,x] = in[floor(y h/H), floor(x w/W)]; back, an input pixel sums the output pixels that show
// it: those y with y h/H in [i, i + 1), which is ceil(i H/h) <= y < ceil((i + 1) H/h).
#include "device.h"

typedef struct {
    float mean[3], std[3];
} channels;

#if defined(MCF_NORMALIZE_IMAGE)
// Item (x, y, b * 3 + c).
KERNEL void normalize_image(GRID INPUT(u8, image), INPUT(u8, flip), TENSOR(TO, out), channels k, I64 height, I64 width)
{
    const I64 x = GLOBAL_ID(0), y = GLOBAL_ID(1), plane = GLOBAL_ID(2), b = plane / 3, c = plane % 3;
    AT(image);
    AT(flip);
    AT(out);
    if (x < width) {
        const I64 from = flip[b] ? width - 1 - x : x;
        const float value = (float)image[((b * height + y) * width + from) * 3 + c];
        STORE(TO, out, (plane * height + y) * width + x, (value / 255.0f - k.mean[c]) / k.std[c]);
    }
}
#endif

#if defined(MCF_RESIZE_NEAREST)
// Item (x, y, plane) of the output [planes, H, W] from [planes, h, w].
KERNEL void resize_nearest(GRID INPUT(T0, in), TENSOR(TO, out), I64 h, I64 w, I64 height, I64 width)
{
    const I64 x = GLOBAL_ID(0), y = GLOBAL_ID(1), plane = GLOBAL_ID(2);
    AT(in);
    AT(out);
    if (x < width) {
        const float value = LOAD(T0, in, (plane * h + y * h / height) * w + x * w / width);
        STORE(TO, out, (plane * height + y) * width + x, value);
    }
}

// Item (x, y, plane) of dx [planes, h, w] from dy [planes, H, W].
KERNEL void resize_nearest_grad(GRID INPUT(T0, dy), TENSOR(TO, dx), I64 h, I64 w, I64 height, I64 width)
{
    const I64 x = GLOBAL_ID(0), y = GLOBAL_ID(1), plane = GLOBAL_ID(2);
    AT(dy);
    AT(dx);
    if (x < w) {
        const I64 top = (y * height + h - 1) / h, bottom = ((y + 1) * height + h - 1) / h;
        const I64 left = (x * width + w - 1) / w, right = ((x + 1) * width + w - 1) / w;
        float sum = 0;
        for (I64 i = top; i < bottom; i++)
            for (I64 j = left; j < right; j++)
                sum += LOAD(T0, dy, (plane * height + i) * width + j);
        STORE(TO, dx, (plane * h + y) * w + x, sum);
    }
}
#endif
