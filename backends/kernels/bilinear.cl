// resize_bilinear of images [B,H,W,C], corners not aligned, and its gradient, gathered by dx.
#include "device.h"
#include "functions.h"

// Item (x C + c, y, b) of the output [B,H,W,C] from [B,h,w,C].
KERNEL void resize_bilinear(GRID INPUT(T0, in), TENSOR(TO, out), I64 h, I64 w, I64 height, I64 width, I64 channels)
{
    const I64 c = GLOBAL_ID(0) % channels, x = GLOBAL_ID(0) / channels, y = GLOBAL_ID(1), b = GLOBAL_ID(2);
    AT(in);
    AT(out);
    if (x >= width)
        return;
    const between row = between_pixels(y, h, height), column = between_pixels(x, w, width);
    in += b * h * w * channels + c;
    const float top = (1.0f - column.weight) * LOAD(T0, in, (row.at * w + column.at) * channels) +
                      column.weight * LOAD(T0, in, (row.at * w + column.next) * channels);
    const float bottom = (1.0f - column.weight) * LOAD(T0, in, (row.next * w + column.at) * channels) +
                         column.weight * LOAD(T0, in, (row.next * w + column.next) * channels);
    STORE(TO, out, ((b * height + y) * width + x) * channels + c, (1.0f - row.weight) * top + row.weight * bottom);
}

// Item (x C + c, y, b) of dx [B,h,w,C] from dy [B,H,W,C].
KERNEL void resize_bilinear_grad(GRID INPUT(T0, dy), TENSOR(TO, dx), I64 h, I64 w, I64 height, I64 width, I64 channels)
{
    const I64 c = GLOBAL_ID(0) % channels, x = GLOBAL_ID(0) / channels, y = GLOBAL_ID(1), b = GLOBAL_ID(2);
    float sum = 0;
    AT(dy);
    AT(dx);
    if (x >= w)
        return;
    const I64 first = BETWEEN_FIRST(x, w, width), end = BETWEEN_END(x, w, width);
    for (I64 i = BETWEEN_FIRST(y, h, height); i < BETWEEN_END(y, h, height); i++) {
        const float weight = weight_in(between_pixels(i, h, height), y);
        float line = 0;
        if (weight == 0)
            continue;
        for (I64 j = first; j < end; j++)
            line +=
                weight_in(between_pixels(j, w, width), x) * LOAD(T0, dy, ((b * height + i) * width + j) * channels + c);
        sum += weight * line;
    }
    STORE(TO, dx, ((b * h + y) * w + x) * channels + c, sum);
}
