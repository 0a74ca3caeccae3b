// Softmax over the lines of [R,C]: y = exp(x - max) / sum of exp(x - max), and dx = y (dy - <y,dy>).
// softmax_scores does the same in place for attention, on fp32 scores, and keeps log of the sum of exponentials;
// scores_from_lse makes the same probabilities again from that logarithm: p = exp(scale x - lse).
#include "device.h"
#include "functions.h"

#if defined(MCF_SOFTMAX)
KERNEL void softmax(GRID INPUT(T0, x), TENSOR(TO, y), I64 n)
{
    VECTOR_SUMS
    GROUP_ROOM(room);
    float largest = -3.402823466e38f, sum = 0;
    AT(x);
    AT(y);
    x += GROUP_ID(0) * n;
    y += GROUP_ID(0) * n;
    EACH(i, n)
    largest = FMAX(largest, LOAD(T0, x, i));
    largest = GROUP_MAX(largest, room);
    EACH(i, n)
    sum += exp_value(LOAD(T0, x, i) - largest);
    sum = GROUP_SUM(sum, room);
    EACH(i, n)
    STORE(TO, y, i, exp_value(LOAD(T0, x, i) - largest) / sum);
}
#endif

#if defined(MCF_SOFTMAX_GRAD)
KERNEL void softmax_grad(GRID INPUT(T0, y), INPUT(T1, dy), TENSOR(TO, dx), I64 n)
{
    VECTOR_SUMS
    GROUP_ROOM(room);
    float along = 0;
    AT(y);
    AT(dy);
    AT(dx);
    y += GROUP_ID(0) * n;
    dy += GROUP_ID(0) * n;
    dx += GROUP_ID(0) * n;
    EACH(i, n)
    along += LOAD(T0, y, i) * LOAD(T1, dy, i);
    along = GROUP_SUM(along, room);
    EACH(i, n)
    STORE(TO, dx, i, LOAD(T0, y, i) * (LOAD(T1, dy, i) - along));
}
#endif

#if defined(MCF_SCORES)
KERNEL void softmax_scores(GRID TENSOR(f32, scores), TENSOR(f32, lse), I64 n, float scale, int wanted)
{
    VECTOR_SUMS
    GROUP_ROOM(room);
    float largest = -3.402823466e38f, sum = 0;
    AT(scores);
    AT(lse);
    scores += GROUP_ID(0) * n;
    EACH(i, n)
    largest = FMAX(largest, scores[i] * scale);
    largest = GROUP_MAX(largest, room);
    EACH(i, n)
    {
        const float e = exp_value(scores[i] * scale - largest);
        scores[i] = e;
        sum += e;
    }
    sum = GROUP_SUM(sum, room);
    EACH(i, n)
    scores[i] /= sum;
    if (wanted && FIRST_ITEM)
        lse[GROUP_ID(0)] = largest + LOG(sum);
}

// scores -> p; dp -> ds = scale p (dp - along), both in place.
KERNEL void scores_grad(GRID TENSOR(f32, scores), TENSOR(f32, dp), INPUT(f32, lse), INPUT(f32, along), I64 n,
                        float scale)
{
    const I64 row = GROUP_ID(0);
    AT(scores);
    AT(dp);
    AT(lse);
    AT(along);
    scores += row * n;
    dp += row * n;
    const float l = lse[row], a = along[row];
    EACH(i, n)
    {
        const float p = exp_value(scores[i] * scale - l);
        scores[i] = p;
        dp[i] = scale * p * (dp[i] - a);
    }
}
#endif
