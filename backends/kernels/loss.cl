// token_mse: a, b [B,N,D]; norms along N, each at least eps:
//   loss = mean of (a/|a| - b/|b|)^2;  back, with u = a/|a|, w = b/|b|, e = 2/count dloss (u - w):
//   da = (e - u <u,e>)/|a|, and e/|a| where |a| is eps
// cross_entropy: logits [R,C]: lse = log sum exp(logits), loss = mean of lse - logits[label];
//   back: dloss/R (exp(logits - lse) - onehot(label)). A label outside of [0,C) gives NaN.
// The losses of parts go to scratch and are summed by reduce_lines.
#include "device.h"
#include "functions.h"

#if defined(MCF_TOKEN_MSE)
// Item (strip of channels, b). part [B, strips]; wanted: bit 0 norm_a, bit 1 norm_b.
KERNEL void token_mse(GRID INPUT(T0, a), INPUT(T1, b), TENSOR(f32, part), TENSOR(f32, norm_a), TENSOR(f32, norm_b),
                      I64 tokens, I64 width, I64 strips, float eps, int wanted)
{
    const I64 first = GLOBAL_ID(0) * STRIP, image = GLOBAL_ID(1);
    const int live = (int)(width - first < STRIP ? width - first : STRIP);
    float na[STRIP], nb[STRIP], sums[STRIP];
    AT(a);
    AT(b);
    AT(part);
    AT(norm_a);
    AT(norm_b);
    if (live <= 0)
        return;
    a += image * tokens * width + first;
    b += image * tokens * width + first;
    for (int l = 0; l < STRIP; l++)
        na[l] = nb[l] = sums[l] = 0;
    for (I64 n = 0; n < tokens; n++)
        for (int l = 0; l < live; l++) {
            const float x = LOAD(T0, a, n * width + l), y = LOAD(T1, b, n * width + l);
            na[l] += x * x;
            nb[l] += y * y;
        }
    for (int l = 0; l < live; l++) {
        na[l] = FMAX(SQRT(na[l]), eps);
        nb[l] = FMAX(SQRT(nb[l]), eps);
    }
    for (I64 n = 0; n < tokens; n++)
        for (int l = 0; l < live; l++) {
            const float d = LOAD(T0, a, n * width + l) / na[l] - LOAD(T1, b, n * width + l) / nb[l];
            sums[l] += d * d;
        }
    float sum = 0;
    for (int l = 0; l < live; l++) {
        sum += sums[l];
        if (wanted & 1)
            norm_a[image * width + first + l] = na[l];
        if (wanted & 2)
            norm_b[image * width + first + l] = nb[l];
    }
    part[image * strips + GLOBAL_ID(0)] = sum;
}
#endif

#if defined(MCF_TOKEN_MSE_GRAD)
KERNEL void token_mse_grad(GRID INPUT(T0, a), INPUT(T1, b), INPUT(f32, norm_a), INPUT(f32, norm_b), INPUT(f32, dloss),
                           TENSOR(TO, da), I64 tokens, I64 width, float factor, float bound)
{
    const I64 first = GLOBAL_ID(0) * STRIP, image = GLOBAL_ID(1);
    const int live = (int)(width - first < STRIP ? width - first : STRIP);
    float na[STRIP], nb[STRIP], along[STRIP];
    AT(a);
    AT(b);
    AT(norm_a);
    AT(norm_b);
    AT(dloss);
    AT(da);
    if (live <= 0)
        return;
    a += image * tokens * width + first;
    b += image * tokens * width + first;
    da += image * tokens * width + first;
    const float f = factor * dloss[0];
    for (int l = 0; l < live; l++) {
        na[l] = norm_a[image * width + first + l];
        nb[l] = norm_b[image * width + first + l];
        along[l] = 0;
    }
    for (I64 n = 0; n < tokens; n++)
        for (int l = 0; l < live; l++) {
            const float u = LOAD(T0, a, n * width + l) / na[l];
            along[l] += u * f * (u - LOAD(T1, b, n * width + l) / nb[l]);
        }
    for (int l = 0; l < live; l++)
        along[l] = na[l] > bound ? along[l] : 0;
    for (I64 n = 0; n < tokens; n++)
        for (int l = 0; l < live; l++) {
            const float u = LOAD(T0, a, n * width + l) / na[l];
            const float e = f * (u - LOAD(T1, b, n * width + l) / nb[l]);
            STORE(TO, da, n * width + l, (e - u * along[l]) / na[l]);
        }
}
#endif

#if defined(MCF_CROSS_ENTROPY)
// A group for a row; part [R]. wanted: lse is.
KERNEL void cross_entropy(GRID INPUT(T0, logits), INPUT(i64, labels), TENSOR(f32, part), TENSOR(f32, lse), I64 classes,
                          int wanted)
{
    VECTOR_SUMS
    GROUP_ROOM(room);
    const I64 r = GROUP_ID(0);
    float largest = -3.402823466e38f, sum = 0;
    AT(logits);
    AT(labels);
    AT(part);
    AT(lse);
    logits += r * classes;
    EACH(c, classes)
    largest = FMAX(largest, LOAD(T0, logits, c));
    largest = GROUP_MAX(largest, room);
    EACH(c, classes)
    sum += exp_value(LOAD(T0, logits, c) - largest);
    sum = GROUP_SUM(sum, room);
    if (FIRST_ITEM) {
        const I64 label = labels[r];
        const float l = largest + LOG(sum);
        float loss = NOT_A_NUMBER;
        if (label >= 0 && label < classes)
            loss = l - LOAD(T0, logits, label);
        part[r] = loss;
        if (wanted)
            lse[r] = l;
    }
}
#endif

#if defined(MCF_CROSS_ENTROPY_GRAD)
// Item (class, row).
KERNEL void cross_entropy_grad(GRID INPUT(T0, logits), INPUT(i64, labels), INPUT(f32, lse), INPUT(f32, dloss),
                               TENSOR(TO, out), I64 rows, I64 classes)
{
    const I64 c = GLOBAL_ID(0), r = GLOBAL_ID(1);
    AT(logits);
    AT(labels);
    AT(lse);
    AT(dloss);
    AT(out);
    if (c < classes) {
        const I64 label = labels[r];
        const float p = exp_value(LOAD(T0, logits, r * classes + c) - lse[r]);
        const float value = dloss[0] / (float)rows * (p - (c == label ? 1.0f : 0.0f));
        STORE(TO, out, r * classes + c, label >= 0 && label < classes ? value : NOT_A_NUMBER);
    }
}
#endif
