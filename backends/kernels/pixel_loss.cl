// pixel_cross_entropy: logits [B,h,w,C] resized to labels [B,H,W] on the way (resize_bilinear), never stored:
//   lse = log sum exp(logits), loss = lse - logits[label]; back, gathered by the pixels of the small map:
//   dloss/count (exp(logits - lse) - onehot(label)), weighed by the pixel's part in each. A label outside of [0,C) gives NaN.
#include "device.h"
#include "functions.h"

// Logit c of a pixel that lies at (row, column) of the map.
#define LOGIT(p, row, column, w, classes, c)                                                                           \
    ((1.0f - (row).weight) *                                                                                           \
         ((1.0f - (column).weight) * LOAD(T0, p, ((row).at * (w) + (column).at) * (classes) + (c)) +                   \
          (column).weight * LOAD(T0, p, ((row).at * (w) + (column).next) * (classes) + (c))) +                         \
     (row).weight * ((1.0f - (column).weight) * LOAD(T0, p, ((row).next * (w) + (column).at) * (classes) + (c)) +      \
                     (column).weight * LOAD(T0, p, ((row).next * (w) + (column).next) * (classes) + (c))))

#if defined(MCF_PIXEL_CROSS_ENTROPY)
// Item (x, y, b); part [B,H,W]. wanted: lse is.
KERNEL void pixel_cross_entropy(GRID INPUT(T0, logits), INPUT(i64, labels), TENSOR(f32, part), TENSOR(f32, lse), I64 h,
                                I64 w, I64 classes, I64 height, I64 width, int wanted)
{
    const I64 x = GLOBAL_ID(0), y = GLOBAL_ID(1), b = GLOBAL_ID(2), pixel = (b * height + y) * width + x;
    float largest = -3.402823466e38f, sum = 0;
    AT(logits);
    AT(labels);
    AT(part);
    AT(lse);
    if (x >= width)
        return;
    const between row = between_pixels(y, h, height), column = between_pixels(x, w, width);
    logits += b * h * w * classes;
    for (I64 c = 0; c < classes; c++)
        largest = FMAX(largest, LOGIT(logits, row, column, w, classes, c));
    for (I64 c = 0; c < classes; c++)
        sum += exp_value(LOGIT(logits, row, column, w, classes, c) - largest);
    const float l = largest + LOG(sum);
    const I64 label = labels[pixel];
    float loss = NOT_A_NUMBER;
    if (label >= 0 && label < classes)
        loss = l - LOGIT(logits, row, column, w, classes, label);
    part[pixel] = loss;
    if (wanted)
        lse[pixel] = l;
}
#endif

#if defined(MCF_PIXEL_CROSS_ENTROPY_GRAD)
// Item (x C + c, y, b) of dlogits.
KERNEL void pixel_cross_entropy_grad(GRID INPUT(T0, logits), INPUT(i64, labels), INPUT(f32, lse), INPUT(f32, dloss),
                                     TENSOR(TO, out), I64 h, I64 w, I64 classes, I64 height, I64 width, float factor)
{
    const I64 c = GLOBAL_ID(0) % classes, x = GLOBAL_ID(0) / classes, y = GLOBAL_ID(1), b = GLOBAL_ID(2);
    float sum = 0;
    AT(logits);
    AT(labels);
    AT(lse);
    AT(dloss);
    AT(out);
    if (x >= w)
        return;
    const I64 first = BETWEEN_FIRST(x, w, width), end = BETWEEN_END(x, w, width);
    logits += b * h * w * classes;
    for (I64 i = BETWEEN_FIRST(y, h, height); i < BETWEEN_END(y, h, height); i++) {
        const between row = between_pixels(i, h, height);
        const float weight = weight_in(row, y);
        float line = 0;
        if (weight == 0)
            continue;
        for (I64 j = first; j < end; j++) {
            const between column = between_pixels(j, w, width);
            const float part = weight_in(column, x);
            const I64 pixel = (b * height + i) * width + j, label = labels[pixel];
            if (part == 0)
                continue;
            const float p = exp_value(LOGIT(logits, row, column, w, classes, c) - lse[pixel]);
            line += label >= 0 && label < classes ? part * (p - (c == label ? 1.0f : 0.0f)) : NOT_A_NUMBER;
        }
        sum += weight * line;
    }
    STORE(TO, out, ((b * h + y) * w + x) * classes + c, factor * dloss[0] * sum);
}
#endif
