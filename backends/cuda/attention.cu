// Attention on tensor cores, for heads of 32 or 64 channels in one 16-bit type: the formulas of kernels/attention.cl.
// Sums, softmax and statistics are fp32; probabilities and their gradients are rounded to the type where they enter a
// product, as the formulas' other factors are.
//
// A block of four warps takes 64 rows of one head, 16 a warp, and walks over the other tokens in tiles of KEYS that it
// keeps in shared memory. So shared memory does not grow with the tokens, nothing of size N x N is stored, and several
// blocks fit a multiprocessor. The backward pass is two kernels, one for dq by rows of q and one for dk and dv by rows
// of k: seven products of N x N x d where five would do, but no sum crosses blocks, so no atomics and the same bits.
//
// A warp without rows only helps to load tiles, and the second half of a last tile that has no tokens in it is left out
// of the products: at 197 tokens the fourth block of a head has rows for one of its four warps, and the seventh tile
// has five tokens.
//
// Fragments are opaque: what depends on rows or columns goes through a warp's room in shared memory, where two lanes
// share a row of 16 and KEYS columns.
#include "backends/cuda/vector.h"

#include <mma.h>

namespace
{

using namespace nvcuda;

enum {
    WARPS = 4,
    ROWS = 16 * WARPS,      // of a block
    KEYS = 32,              // of a tile
    HALF = KEYS / 2,        // columns of a lane
    TILE_LINE = KEYS + 4,   // floats of a line of scores; 4 more, so that lines begin in different banks
    WEIGHT_LINE = KEYS + 8, // 16-bit elements of a line of probabilities
    SCALE_LINE = 16,
    SUM_LINE = 20, // floats of a line of 16 sums
};
#define LOG2E 1.44269504f
#define LN2 0.693147181f
#define LOWEST (-3.402823466e38f)

// bf16 has tensor cores from sm_80 on. Code for older cards is not called: a card may run it from PTX, so the choice goes
// by what was compiled (cuda_prepare_kernels), and if it were called it would stop the device, not leave outputs as they are.
template <typename T> struct least_generation {
    enum { value = 70 };
};
template <> struct least_generation<__nv_bfloat16> {
    enum { value = 80 };
};

// Where a thread works: its warp, row of the warp's 16 and half of that row; image and head; the block's first row and
// the warp's. Group (tile of rows, b * heads + h). A scheduler gets every fourth warp of a multiprocessor, so a block's
// warps count from another one for each head: else the same scheduler would have all the last blocks' rows.
struct place {
    int warp, row, half, b, h, first, own;
};
__device__ __forceinline__ place place_of(const grid_shape &grid_, int heads)
{
    // From lane 0, so that the compiler knows it for one number a warp and adds no code for lanes that part.
    const int number = __shfl_sync(0xffffffffu, (int)threadIdx.x / 32, 0), lane = (int)threadIdx.x % 32;
    const int warp = (int)(((unsigned)number + (unsigned)GROUP_ID(1)) % WARPS), first = (int)GROUP_ID(0) * ROWS;
    return {warp, lane / 2, lane % 2, (int)(GROUP_ID(1) / heads), (int)(GROUP_ID(1) % heads), first, first + warp * 16};
}

// Eight elements that move at once.
template <typename T> union eight {
    uint4 bits;
    T value[8];
};

// Rows [first, first + KEYS) of which `tokens` exist, each `step` elements from the next, to lines of D + 8; zeros for
// the others. By all threads of the block: each has D / 32 vectors of as many rows.
template <typename T, int D>
__device__ __forceinline__ void load_rows(T *to, const T *from, int first, int tokens, int step)
{
    enum { VECTORS = D / 8, PASS = 32 * WARPS / VECTORS }; // of a row; rows that a vector of each thread makes
    const int row = (int)threadIdx.x / VECTORS, c = (int)threadIdx.x % VECTORS * 8;
    from += (I64)(first + row) * step + c;
    to += row * (D + 8) + c;
#pragma unroll
    for (int r = 0; r < KEYS; r += PASS) {
        uint4 bits = make_uint4(0, 0, 0, 0);
        if (first + row + r < tokens)
            bits = *(const uint4 *)(from + r * step);
        *(uint4 *)(to + r * (D + 8)) = bits;
    }
}

template <typename T> using left = wmma::fragment<wmma::matrix_a, 16, 16, 16, T, wmma::row_major>;
template <typename T> using right = wmma::fragment<wmma::matrix_b, 16, 16, 16, T, wmma::row_major>;
template <typename T> using right_turned = wmma::fragment<wmma::matrix_b, 16, 16, 16, T, wmma::col_major>;
typedef wmma::fragment<wmma::accumulator, 16, 16, 16, float> sums;

// The warp's own 16 of 64 rows as a factor on the left, through two tiles of shared memory.
template <typename T, int D>
__device__ __forceinline__ void load_own(left<T> (&x)[D / 16], T *low, T *high, const T *from, int warp, int first,
                                         int tokens, int step)
{
    __syncthreads();
    load_rows<T, D>(low, from, first, tokens, step);
    load_rows<T, D>(high, from, first + KEYS, tokens, step);
    __syncthreads();
#pragma unroll
    for (int n = 0; n < D / 16; n++)
        wmma::load_matrix_sync(x[n], (warp < 2 ? low : high) + warp % 2 * 16 * (D + 8) + n * 16, D + 8);
}

// Two operands' rows to tiles of their own, when nobody reads those any more.
template <typename T, int D>
__device__ __forceinline__ void load_tiles(T *a, const T *from_a, T *b, const T *from_b, int first, int tokens,
                                           int step)
{
    __syncthreads();
    load_rows<T, D>(a, from_a, first, tokens, step);
    load_rows<T, D>(b, from_b, first, tokens, step);
    __syncthreads();
}

template <int N> __device__ __forceinline__ void clear(sums (&x)[N])
{
#pragma unroll
    for (int n = 0; n < N; n++)
        wmma::fill_fragment(x[n], 0.0f);
}

// The scores of 16 rows with the `live` rows of a tile, x y' with y in lines of D + 8, to lines of TILE_LINE. Sixteen
// columns without rows are left as they were.
template <typename T, int D>
__device__ __forceinline__ void score(float *to, const left<T> (&x)[D / 16], const T *y, int live)
{
#pragma unroll
    for (int n = 0; n < KEYS / 16; n++) {
        if (n > 0 && live <= n * 16)
            break;
        sums s;
        wmma::fill_fragment(s, 0.0f);
#pragma unroll
        for (int k = 0; k < D / 16; k++) {
            right_turned<T> b;
            wmma::load_matrix_sync(b, y + n * 16 * (D + 8) + k * 16, D + 8);
            wmma::mma_sync(s, x[k], b, s);
        }
        wmma::store_matrix_sync(to + n * 16, s, TILE_LINE, wmma::mem_row_major);
    }
}

// out += w y, w [16, KEYS] in lines of WEIGHT_LINE, y [KEYS, D] with `live` rows in lines of D + 8. Sixteen columns of
// w that have no rows are not looked at.
template <typename T, int D>
__device__ __forceinline__ void weigh(sums (&out)[D / 16], const T *w, const T *y, int live)
{
#pragma unroll
    for (int k = 0; k < KEYS / 16; k++) {
        if (k > 0 && live <= k * 16)
            break;
        left<T> a;
        wmma::load_matrix_sync(a, w + k * 16, WEIGHT_LINE);
#pragma unroll
        for (int n = 0; n < D / 16; n++) {
            right<T> b;
            wmma::load_matrix_sync(b, y + k * 16 * (D + 8) + n * 16, D + 8);
            wmma::mma_sync(out[n], a, b, out[n]);
        }
    }
}

// Sixteen rows of sums times `factor`, to rows that lie `step` elements apart; `live` of them. A lane has eight columns
// of a row.
template <typename T, int D>
__device__ __forceinline__ void store_rows(T *to, sums (&x)[D / 16], float factor, float *room, int live, I64 step)
{
    const int lane = (int)threadIdx.x % 32, row = lane / 2, c = lane % 2 * 8;
#pragma unroll
    for (int n = 0; n < D / 16; n++) {
        __syncwarp();
        wmma::store_matrix_sync(room, x[n], SUM_LINE, wmma::mem_row_major);
        __syncwarp();
        eight<T> value;
#pragma unroll
        for (int i = 0; i < 8; i++)
            round_to(value.value[i], room[row * SUM_LINE + c + i] * factor);
        if (row < live)
            *(uint4 *)(to + row * step + n * 16 + c) = value.bits;
    }
}

// What a lane has of its row: HALF floats of a line of scores.
__device__ __forceinline__ void read_half(float (&to)[HALF], const float *from)
{
#pragma unroll
    for (int i = 0; i < HALF; i += 4) {
        const float4 v = *(const float4 *)(from + i);
        to[i] = v.x;
        to[i + 1] = v.y;
        to[i + 2] = v.z;
        to[i + 3] = v.w;
    }
}

// Scores x y' and their gradients dx dy' of a tile, of each what the lane has of its row; through two tiles of `room`.
template <typename T, int D>
__device__ __forceinline__ void score_both(float (&s)[HALF], float (&ds)[HALF], float *room, const left<T> (&x)[D / 16],
                                           const T *y, const left<T> (&dx)[D / 16], const T *dy, int live)
{
    const int lane = (int)threadIdx.x % 32, at = lane / 2 * TILE_LINE + lane % 2 * HALF;
    score<T, D>(room, x, y, live);
    score<T, D>(room + 16 * TILE_LINE, dx, dy, live);
    __syncwarp();
    read_half(s, room + at);
    read_half(ds, room + 16 * TILE_LINE + at);
}

template <typename T> __device__ __forceinline__ void write_half(T *to, const float (&from)[HALF])
{
#pragma unroll
    for (int i = 0; i < HALF; i += 8) {
        eight<T> v;
#pragma unroll
        for (int j = 0; j < 8; j++)
            round_to(v.value[j], from[i + j]);
        *(uint4 *)(to + i) = v.bits;
    }
}

// Of the two lanes of a row.
__device__ __forceinline__ float both_sum(float x)
{
    return x + __shfl_xor_sync(0xffffffffu, x, 1);
}
__device__ __forceinline__ float both_max(float x)
{
    return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
}

#define ROOM(type, name, count) SHARED_ALIGNED(type, name, count)

// --- forward

// Softmax as it comes along (Milakov & Gimelshein 2018): with m the largest score so far, sums are kept as multiples of
// exp(m) and scaled when m grows.
template <typename T, int D>
__device__ __forceinline__ void forward_rows(const grid_shape &grid_, const T *qkv, T *out, float *lse, int tokens,
                                             int heads, float scale, int wanted)
{
    ROOM(T, k, KEYS * (D + 8));
    ROOM(T, v, KEYS * (D + 8));
    ROOM(float, rooms, WARPS * 16 * TILE_LINE);
    ROOM(float, factors, WARPS * 16 * SCALE_LINE);
    const auto [warp, row, half, b, h, first, own] = place_of(grid_, heads);
    const int step = 3 * heads * D;
    float *room = rooms + warp * 16 * TILE_LINE, *factor = factors + warp * 16 * SCALE_LINE;
    T *weights = (T *)room;
    qkv += (I64)b * tokens * step + h * D;

    left<T> q[D / 16];
    load_own<T, D>(q, k, v, qkv, warp, first, tokens, step);
    sums o[D / 16];
    clear(o);
    float largest = LOWEST, sum = 0;
    const float scale2 = scale * LOG2E;
    for (int tile = 0; tile < tokens; tile += KEYS) {
        load_tiles<T, D>(k, qkv + heads * D, v, qkv + 2 * heads * D, tile, tokens, step);
        if (own >= tokens)
            continue;
        score<T, D>(room, q, k, tokens - tile);
        __syncwarp();
        float s[HALF], most = LOWEST, part = 0;
        read_half(s, room + row * TILE_LINE + half * HALF);
#pragma unroll
        for (int i = 0; i < HALF; i++) {
            s[i] = tile + half * HALF + i < tokens ? s[i] * scale2 : LOWEST;
            most = fmaxf(most, s[i]);
        }
        most = fmaxf(largest, both_max(most));
        const float shrink = exp2f(largest - most);
#pragma unroll
        for (int i = 0; i < HALF; i++) {
            s[i] = exp2f(s[i] - most);
            part += s[i];
        }
        sum = sum * shrink + both_sum(part);
        largest = most;
        __syncwarp();
        write_half(weights + row * WEIGHT_LINE + half * HALF, s);
#pragma unroll
        for (int i = 0; i < 8; i += 4)
            *(float4 *)(factor + row * SCALE_LINE + half * 8 + i) = make_float4(shrink, shrink, shrink, shrink);
        __syncwarp();
        sums f;
        wmma::load_matrix_sync(f, factor, SCALE_LINE, wmma::mem_row_major);
#pragma unroll
        for (int n = 0; n < D / 16; n++)
#pragma unroll
            for (int i = 0; i < o[n].num_elements; i++)
                o[n].x[i] *= f.x[i];
        weigh<T, D>(o, weights, v, tokens - tile);
        __syncwarp();
    }
    if (wanted && half == 0 && own + row < tokens)
        lse[GROUP_ID(1) * tokens + own + row] = (largest + log2f(sum)) * LN2;
    store_rows<T, D>(out + ((I64)b * tokens + own) * heads * D + h * D, o, 1 / sum, room, tokens - own, (I64)heads * D);
}

// --- backward

// dq of 64 rows, and a_i = <dout_i, out_i> for the other kernel.
template <typename T, int D>
__device__ __forceinline__ void backward_q_rows(const grid_shape &grid_, const T *qkv, const T *out, const T *dout,
                                                const float *lse, float *along, T *dqkv, int tokens, int heads,
                                                float scale)
{
    ROOM(T, k, KEYS * (D + 8));
    ROOM(T, v, KEYS * (D + 8));
    ROOM(float, rooms, WARPS * 2 * 16 * TILE_LINE);
    const auto [warp, row, half, b, h, first, own] = place_of(grid_, heads);
    const int step = 3 * heads * D;
    float *room = rooms + warp * 2 * 16 * TILE_LINE, *room_d = room + 16 * TILE_LINE;
    T *weights = (T *)room_d;
    const I64 place = ((I64)b * tokens) * heads * D + h * D;
    qkv += (I64)b * tokens * step + h * D;
    dqkv += (I64)b * tokens * step + h * D;
    out += place;
    dout += place;

    left<T> q[D / 16], d[D / 16];
    load_own<T, D>(q, k, v, qkv, warp, first, tokens, step);
    load_own<T, D>(d, k, v, dout, warp, first, tokens, heads * D);
    float a = 0, l = 0;
    if (own + row < tokens) {
        const T *line = (warp < 2 ? k : v) + (warp % 2 * 16 + row) * (D + 8) + half * (D / 2);
        const T *other = out + (I64)(own + row) * heads * D + half * (D / 2);
#pragma unroll
        for (int c = 0; c < D / 2; c += 8) {
            eight<T> x, y;
            x.bits = *(const uint4 *)(line + c);
            y.bits = *(const uint4 *)(other + c);
#pragma unroll
            for (int i = 0; i < 8; i++)
                a = fmaf(to_float(x.value[i]), to_float(y.value[i]), a);
        }
        l = lse[GROUP_ID(1) * tokens + own + row] * LOG2E;
    }
    a = both_sum(a);
    if (half == 0 && own + row < tokens)
        along[GROUP_ID(1) * tokens + own + row] = a;

    sums dq[D / 16];
    clear(dq);
    for (int tile = 0; tile < tokens; tile += KEYS) {
        load_tiles<T, D>(k, qkv + heads * D, v, qkv + 2 * heads * D, tile, tokens, step);
        if (own >= tokens)
            continue;
        float s[HALF], ds[HALF];
        score_both<T, D>(s, ds, room, q, k, d, v, tokens - tile);
        // Rows of k that do not exist are zeros, whatever multiplies them.
#pragma unroll
        for (int i = 0; i < HALF; i++) {
            const float p = tile + half * HALF + i < tokens ? exp2f(s[i] * scale * LOG2E - l) : 0.0f;
            ds[i] = p * (ds[i] - a);
        }
        __syncwarp();
        write_half(weights + row * WEIGHT_LINE + half * HALF, ds);
        __syncwarp();
        weigh<T, D>(dq, weights, k, tokens - tile);
        __syncwarp();
    }
    store_rows<T, D>(dqkv + (I64)own * step, dq, scale, room, tokens - own, step);
}

// dk and dv of 64 rows; scores lie turned, a line for each row of k.
template <typename T, int D>
__device__ __forceinline__ void backward_kv_rows(const grid_shape &grid_, const T *qkv, const T *dout, const float *lse,
                                                 const float *along, T *dqkv, int tokens, int heads, float scale)
{
    ROOM(T, q, KEYS * (D + 8));
    ROOM(T, d, KEYS * (D + 8));
    ROOM(float, rooms, WARPS * 2 * 16 * TILE_LINE);
    ROOM(float, lse_of, KEYS);
    ROOM(float, along_of, KEYS);
    const auto [warp, row, half, b, h, first, own] = place_of(grid_, heads);
    const int step = 3 * heads * D;
    float *room = rooms + warp * 2 * 16 * TILE_LINE, *room_d = room + 16 * TILE_LINE;
    T *weights = (T *)room, *weights_d = (T *)room_d;
    qkv += (I64)b * tokens * step + h * D;
    dqkv += (I64)b * tokens * step + h * D;
    dout += (I64)b * tokens * heads * D + h * D;
    lse += GROUP_ID(1) * tokens;
    along += GROUP_ID(1) * tokens;

    left<T> k[D / 16], v[D / 16];
    load_own<T, D>(k, q, d, qkv + heads * D, warp, first, tokens, step);
    load_own<T, D>(v, q, d, qkv + 2 * heads * D, warp, first, tokens, step);
    sums dk[D / 16], dv[D / 16];
    clear(dk);
    clear(dv);
    for (int tile = 0; tile < tokens; tile += KEYS) {
        __syncthreads();
        load_rows<T, D>(q, qkv, tile, tokens, step);
        load_rows<T, D>(d, dout, tile, tokens, heads * D);
        if (threadIdx.x < KEYS) {
            const int i = tile + (int)threadIdx.x;
            lse_of[threadIdx.x] = i < tokens ? lse[i] * LOG2E : 0.0f;
            along_of[threadIdx.x] = i < tokens ? along[i] : 0.0f;
        }
        __syncthreads();
        if (own >= tokens)
            continue;
        float p[HALF], ds[HALF];
        score_both<T, D>(p, ds, room, k, q, v, d, tokens - tile);
#pragma unroll
        for (int i = 0; i < HALF; i++) {
            const int column = half * HALF + i;
            p[i] = tile + column < tokens ? exp2f(p[i] * scale * LOG2E - lse_of[column]) : 0.0f;
            ds[i] = p[i] * (ds[i] - along_of[column]);
        }
        __syncwarp();
        write_half(weights + row * WEIGHT_LINE + half * HALF, p);
        write_half(weights_d + row * WEIGHT_LINE + half * HALF, ds);
        __syncwarp();
        weigh<T, D>(dv, weights, d, tokens - tile);
        weigh<T, D>(dk, weights_d, q, tokens - tile);
        __syncwarp();
    }
    store_rows<T, D>(dqkv + heads * D + (I64)own * step, dk, scale, room, tokens - own, step);
    store_rows<T, D>(dqkv + 2 * heads * D + (I64)own * step, dv, 1, room, tokens - own, step);
}

// --- kernels: with as many blocks on a multiprocessor as fit its registers without spills

template <typename T, int D>
__global__ void __launch_bounds__(32 * WARPS, D == 64 ? 3 : 4)
    attention_forward(const grid_shape grid_, const T *qkv, I64 qkv_at, T *out, I64 out_at, float *lse, I64 lse_at,
                      int tokens, int heads, float scale, int wanted)
{
    if COMPILED_FOR (least_generation<T>::value)
        forward_rows<T, D>(grid_, qkv + qkv_at, out + out_at, lse + lse_at, tokens, heads, scale, wanted);
    else
        __trap();
}

template <typename T, int D>
__global__ void __launch_bounds__(32 * WARPS, D == 64 ? 3 : 4)
    attention_backward_q(const grid_shape grid_, const T *qkv, I64 qkv_at, const T *out, I64 out_at, const T *dout,
                         I64 dout_at, const float *lse, I64 lse_at, float *along, I64 along_at, T *dqkv, I64 dqkv_at,
                         int tokens, int heads, float scale)
{
    if COMPILED_FOR (least_generation<T>::value)
        backward_q_rows<T, D>(grid_, qkv + qkv_at, out + out_at, dout + dout_at, lse + lse_at, along + along_at,
                              dqkv + dqkv_at, tokens, heads, scale);
    else
        __trap();
}

template <typename T, int D>
__global__ void __launch_bounds__(32 * WARPS, D == 64 ? 2 : 3)
    attention_backward_kv(const grid_shape grid_, const T *qkv, I64 qkv_at, const T *dout, I64 dout_at,
                          const float *lse, I64 lse_at, const float *along, I64 along_at, T *dqkv, I64 dqkv_at,
                          int tokens, int heads, float scale)
{
    if COMPILED_FOR (least_generation<T>::value)
        backward_kv_rows<T, D>(grid_, qkv + qkv_at, dout + dout_at, lse + lse_at, along + along_at, dqkv + dqkv_at,
                               tokens, heads, scale);
    else
        __trap();
}

} // namespace

#define KERNELS(type, number, width)                                                                                   \
    {"attention_forward_" #width, {number, -1, -1, -1}, MCF_CUDA_KERNEL((attention_forward<type, width>))},            \
        {"attention_backward_q_" #width, {number, -1, -1, -1}, MCF_CUDA_KERNEL((attention_backward_q<type, width>))},  \
    {                                                                                                                  \
        "attention_backward_kv_" #width, {number, -1, -1, -1}, MCF_CUDA_KERNEL((attention_backward_kv<type, width>))   \
    }

extern "C" cuda_kernel_table cuda_kernels_attention_tensor(void)
{
    static const cuda_kernel rows[] = {
        KERNELS(__half, MCF_F16, 64),
        KERNELS(__half, MCF_F16, 32),
        KERNELS(__nv_bfloat16, MCF_BF16, 64),
        KERNELS(__nv_bfloat16, MCF_BF16, 32),
    };
    return {rows, (int)(sizeof rows / sizeof *rows)};
}
