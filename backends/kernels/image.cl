// Images [B,H,W,C]. normalize_image: u8 -> (x/255 - mean)/std, mirrored where flip is set.
// resize_nearest: out[y,x] = in[floor(y h/H), floor(x w/W)]; back, an input pixel sums the output pixels that show
// it: those y with y h/H in [i, i + 1), which is ceil(i H/h) <= y < ceil((i + 1) H/h).
#include "device.h"

typedef struct {
    float mean[3], std[3];
} channels;

#if defined(MCF_NORMALIZE_IMAGE)
// Item (3 x + c, y, b).
KERNEL void normalize_image(GRID INPUT(u8, image), INPUT(u8, flip), TENSOR(TO, out), channels k, I64 height, I64 width)
{
    const I64 x = GLOBAL_ID(0) / 3, c = GLOBAL_ID(0) % 3, b = GLOBAL_ID(2), row = (b * height + GLOBAL_ID(1)) * width;
    AT(image);
    AT(flip);
    AT(out);
    if (x < width) {
        const I64 from = flip[b] ? width - 1 - x : x;
        const float value = (float)image[(row + from) * 3 + c];
        STORE(TO, out, (row + x) * 3 + c, (value / 255.0f - k.mean[c]) / k.std[c]);
    }
}
#endif

#if defined(MCF_RESIZE_NEAREST)
// Item (x C + c, y, b) of the output [B,H,W,C] from [B,h,w,C].
KERNEL void resize_nearest(GRID INPUT(T0, in), TENSOR(TO, out), I64 h, I64 w, I64 height, I64 width, I64 count)
{
    const I64 x = GLOBAL_ID(0) / count, c = GLOBAL_ID(0) % count, y = GLOBAL_ID(1), b = GLOBAL_ID(2);
    AT(in);
    AT(out);
    if (x < width) {
        const float value = LOAD(T0, in, ((b * h + y * h / height) * w + x * w / width) * count + c);
        STORE(TO, out, ((b * height + y) * width + x) * count + c, value);
    }
}

// Item (x C + c, y, b) of dx [B,h,w,C] from dy [B,H,W,C].
KERNEL void resize_nearest_grad(GRID INPUT(T0, dy), TENSOR(TO, dx), I64 h, I64 w, I64 height, I64 width, I64 count)
{
    const I64 x = GLOBAL_ID(0) / count, c = GLOBAL_ID(0) % count, y = GLOBAL_ID(1), b = GLOBAL_ID(2);
    AT(dy);
    AT(dx);
    if (x < w) {
        const I64 top = (y * height + h - 1) / h, bottom = ((y + 1) * height + h - 1) / h;
        const I64 left = (x * width + w - 1) / w, right = ((x + 1) * width + w - 1) / w;
        float sum = 0;
        for (I64 i = top; i < bottom; i++)
            for (I64 j = left; j < right; j++)
                sum += LOAD(T0, dy, ((b * height + i) * width + j) * count + c);
        STORE(TO, dx, ((b * h + y) * w + x) * count + c, sum);
    }
}
#endif
