// Attention (Vaswani et al. 2017) from qkv [B,N,3,H,d]: s_ij = scale q_i k_j, p = softmax over j of s,
//   out_i = sum_j p_ij v_j as [B,N,H,d], lse_i = log sum_j exp(s_ij) as [B,H,N].
// Back (Dao et al. 2022, the form without stored probabilities): p_ij = exp(s_ij - lse_i), a_i = <dout_i, out_i>,
//   ds_ij = p_ij (<dout_i, v_j> - a_i), dv_j = sum_i p_ij dout_i, dq_i = scale sum_j ds_ij k_j,
//   dk_j = scale sum_i ds_ij q_i.
// A group works on one token of one head: its items take a tile of GROUP other tokens each for the scores, then
// each a channel for the sums over the tile. Nothing of size N x N is stored.
#include "device.h"
#include "functions.h"

#define QKV(b, token, which, h) (((((b)*tokens + (token)) * 3 + (which)) * heads + (h)) * width)
#define OUT(b, token, h) ((((b)*tokens + (token)) * heads + (h)) * width)

// a_i for item (i, b * heads + h).
#if defined(MCF_ATTENTION_ALONG)
KERNEL void attention_along(GRID INPUT(T0, out), INPUT(T1, dout), TENSOR(f32, along), I64 tokens, I64 heads, I64 width)
{
    VECTOR_SUMS
    const I64 i = GLOBAL_ID(0), b = GLOBAL_ID(1) / heads, h = GLOBAL_ID(1) % heads;
    float sum = 0;
    AT(out);
    AT(dout);
    AT(along);
    if (i >= tokens)
        return;
    out += OUT(b, i, h);
    dout += OUT(b, i, h);
    for (I64 c = 0; c < width; c++)
        sum += LOAD(T0, out, c) * LOAD(T1, dout, c);
    along[GLOBAL_ID(1) * tokens + i] = sum;
}
#endif

#if defined(MCF_ATTENTION)
FUNCTION float dot(GLOBAL const TYPE(T0) * x, GLOBAL const TYPE(T0) * y, I64 n)
{
    float sum = 0;
    for (I64 c = 0; c < n; c++)
        sum += LOAD(T0, x, c) * LOAD(T0, y, c);
    return sum;
}

// Group (i, b * heads + h).
KERNEL void attention(GRID INPUT(T0, qkv), TENSOR(TO, out), TENSOR(f32, lse), I64 tokens, I64 heads, I64 width,
                      float scale, int wanted)
{
    GROUP_ROOM(room);
    LOCAL_ARRAY(float, p, GROUP);
    const I64 i = GROUP_ID(0), b = GROUP_ID(1) / heads, h = GROUP_ID(1) % heads, me = LOCAL_ID(0);
    AT(qkv);
    AT(out);
    AT(lse);
    GLOBAL const TYPE(T0) *q = qkv + QKV(b, i, 0, h);
    float largest = -3.402823466e38f, sum = 0;
    EACH(j, tokens)
    largest = FMAX(largest, scale * dot(q, qkv + QKV(b, j, 1, h), width));
    largest = GROUP_MAX(largest, room);
    EACH(j, tokens)
    sum += exp_value(scale * dot(q, qkv + QKV(b, j, 1, h), width) - largest);
    sum = GROUP_SUM(sum, room);
    const float l = largest + LOG(sum);
    if (wanted && FIRST_ITEM)
        lse[GROUP_ID(1) * tokens + i] = l;
    for (I64 first = 0; first < width; first += GROUP) {
        const I64 c = first + me;
        float value = 0;
        for (I64 tile = 0; tile < tokens; tile += GROUP) {
            BARRIER;
            if (tile + me < tokens)
                p[me] = exp_value(scale * dot(q, qkv + QKV(b, tile + me, 1, h), width) - l);
            BARRIER;
            if (c < width)
                for (I64 j = 0; j < GROUP && tile + j < tokens; j++)
                    value += p[j] * LOAD(T0, qkv, QKV(b, tile + j, 2, h) + c);
        }
        if (c < width)
            STORE(TO, out, OUT(b, i, h) + c, value);
    }
}
#endif

#if defined(MCF_ATTENTION_GRAD)
FUNCTION float dot(GLOBAL const TYPE(T0) * x, GLOBAL const TYPE(T0) * y, I64 n)
{
    float sum = 0;
    for (I64 c = 0; c < n; c++)
        sum += LOAD(T0, x, c) * LOAD(T0, y, c);
    return sum;
}

FUNCTION float dot_out(GLOBAL const TYPE(T1) * x, GLOBAL const TYPE(T0) * y, I64 n)
{
    float sum = 0;
    for (I64 c = 0; c < n; c++)
        sum += LOAD(T1, x, c) * LOAD(T0, y, c);
    return sum;
}

// dq_i.
KERNEL void attention_grad_q(GRID INPUT(T0, qkv), INPUT(T1, dout), INPUT(f32, lse), INPUT(f32, along), TENSOR(TO, dqkv),
                             I64 tokens, I64 heads, I64 width, float scale)
{
    LOCAL_ARRAY(float, ds, GROUP);
    const I64 i = GROUP_ID(0), b = GROUP_ID(1) / heads, h = GROUP_ID(1) % heads, me = LOCAL_ID(0);
    const I64 statistic = GROUP_ID(1) * tokens + i;
    AT(qkv);
    AT(dout);
    AT(lse);
    AT(along);
    AT(dqkv);
    GLOBAL const TYPE(T0) *q = qkv + QKV(b, i, 0, h);
    const float l = lse[statistic], a = along[statistic];
    for (I64 first = 0; first < width; first += GROUP) {
        const I64 c = first + me;
        float value = 0;
        for (I64 tile = 0; tile < tokens; tile += GROUP) {
            const I64 j = tile + me;
            BARRIER;
            if (j < tokens) {
                const float p = exp_value(scale * dot(q, qkv + QKV(b, j, 1, h), width) - l);
                ds[me] = scale * p * (dot_out(dout + OUT(b, i, h), qkv + QKV(b, j, 2, h), width) - a);
            }
            BARRIER;
            if (c < width)
                for (I64 t = 0; t < GROUP && tile + t < tokens; t++)
                    value += ds[t] * LOAD(T0, qkv, QKV(b, tile + t, 1, h) + c);
        }
        if (c < width)
            STORE(TO, dqkv, QKV(b, i, 0, h) + c, value);
    }
}

// dk_j and dv_j.
KERNEL void attention_grad_kv(GRID INPUT(T0, qkv), INPUT(T1, dout), INPUT(f32, lse), INPUT(f32, along),
                              TENSOR(TO, dqkv), I64 tokens, I64 heads, I64 width, float scale)
{
    LOCAL_ARRAY(float, p, GROUP);
    LOCAL_ARRAY(float, ds, GROUP);
    const I64 j = GROUP_ID(0), b = GROUP_ID(1) / heads, h = GROUP_ID(1) % heads, me = LOCAL_ID(0);
    const I64 statistics = GROUP_ID(1) * tokens;
    AT(qkv);
    AT(dout);
    AT(lse);
    AT(along);
    AT(dqkv);
    GLOBAL const TYPE(T0) *k = qkv + QKV(b, j, 1, h);
    for (I64 first = 0; first < width; first += GROUP) {
        const I64 c = first + me;
        float dk = 0, dv = 0;
        for (I64 tile = 0; tile < tokens; tile += GROUP) {
            const I64 i = tile + me;
            BARRIER;
            if (i < tokens) {
                const float value = exp_value(scale * dot(qkv + QKV(b, i, 0, h), k, width) - lse[statistics + i]);
                p[me] = value;
                ds[me] = scale * value *
                         (dot_out(dout + OUT(b, i, h), qkv + QKV(b, j, 2, h), width) - along[statistics + i]);
            }
            BARRIER;
            if (c < width)
                for (I64 t = 0; t < GROUP && tile + t < tokens; t++) {
                    dk += ds[t] * LOAD(T0, qkv, QKV(b, tile + t, 0, h) + c);
                    dv += p[t] * LOAD(T1, dout, OUT(b, tile + t, h) + c);
                }
        }
        if (c < width) {
            STORE(TO, dqkv, QKV(b, j, 1, h) + c, dk);
            STORE(TO, dqkv, QKV(b, j, 2, h) + c, dv);
        }
    }
}
#endif
