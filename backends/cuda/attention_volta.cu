// Attention on Volta's tensor cores (sm_70), for heads of 32 or 64 channels in fp16: what attention.cu computes, with
// scores, softmax and the rounded probabilities in registers, since the layout of mma.sync.m8n8k4 is known. Shared memory
// has the other side's rows alone, in tiles that all four warps of a block load; a warp's own rows stay in registers as
// factors. So a score costs no shared memory beyond the operands of its products. That is what is left to save: a warp
// reads as much as its products take where it has 16 rows. Forward it has 32, which halves it; the gradients' registers
// are full with 16.
//
// The gradient is two kernels, and no sum crosses blocks, so no atomics and the same bits. With up to
// CUDA_ATTENTION_FIVE tokens it is five products of N x N x d: the kernel of dk and dv leaves the gradients of scores,
// rounded as they enter products, in memory, and a product by them is the other. With more, whose scores would take too
// much memory, it is seven: dq by rows of q, dk and dv by rows of k. All share the fragments of one layout, hence the length;
// the functions are long where a tile's products are unrolled over registers.
#include "backends/cuda/mma_volta.h"

namespace
{

enum { WARPS = 4, THREADS = 32 * WARPS, GENERATION = 70 };
#define LOG2E 1.44269504f
#define LN2 0.693147181f
#define LOWEST (-3.402823466e38f)

// Lines of a tile in shared memory: 16 bytes more, so that rows begin in different banks.
template <int D> struct line {
    enum { value = D + 8 };
};

// The warp's tiles of 16 rows begin at `own`; group (block of rows, b * heads + h). Warps count from another one for each
// head, so that the schedulers share the blocks' last rows evenly.
struct place {
    int b, h, own;
};
template <int M> __device__ __forceinline__ place place_of(const grid_shape &grid_, int heads)
{
    const int number = __shfl_sync(0xffffffffu, (int)threadIdx.x / 32, 0);
    const int warp = (int)(((unsigned)number + (unsigned)GROUP_ID(1)) % WARPS);
    return {(int)(GROUP_ID(1) / heads), (int)(GROUP_ID(1) % heads), ((int)GROUP_ID(0) * WARPS + warp) * 16 * M};
}

// Rows [first, first + R) of which `tokens` exist, each `step` elements from the next, to lines; zeros for the others.
// By all threads of the block.
template <int D, int R>
__device__ __forceinline__ void load_rows(__half *to, const __half *from, int first, int tokens, int step)
{
    enum { VECTORS = D / 8, PASS = THREADS / VECTORS };
    const int row = (int)threadIdx.x / VECTORS, c = (int)threadIdx.x % VECTORS * 8;
    from += (I64)(first + row) * step + c;
    to += row * line<D>::value + c;
#pragma unroll
    for (int r = 0; r < R; r += PASS) {
        uint4 bits = make_uint4(0, 0, 0, 0);
        if (first + row + r < tokens)
            bits = *(const uint4 *)(from + r * step);
        *(uint4 *)(to + r * line<D>::value) = bits;
    }
}

// A row of the lane as a factor on the left, zeros where it does not exist.
template <int D>
__device__ __forceinline__ void load_own(uint4 (&to)[D / 8], const __half *from, int row, int tokens, int step)
{
#pragma unroll
    for (int c = 0; c < D / 8; c++) {
        to[c] = make_uint4(0, 0, 0, 0);
        if (row < tokens)
            to[c] = *(const uint4 *)(from + (I64)row * step + c * 8);
    }
}

template <int N> __device__ __forceinline__ void clear(float (&x)[N][8])
{
#pragma unroll
    for (int n = 0; n < N; n++)
#pragma unroll
        for (int i = 0; i < 8; i++)
            x[n][i] = 0;
}

// s += x y' of 16 M rows with 16 lines of y.
template <int D, int M>
__device__ __forceinline__ void score(float (&s)[M][8], const uint4 (&x)[M][D / 8], const __half *y, mma_lane at)
{
    y += at.right_row() * line<D>::value;
#pragma unroll
    for (int c = 0; c < D / 8; c++) {
        const uint4 b = *(const uint4 *)(y + c * 8);
#pragma unroll
        for (int m = 0; m < M; m++) {
            mma_884<false, true>(s[m], x[m][c].x, x[m][c].y, b.x, b.y);
            mma_884<false, true>(s[m], x[m][c].z, x[m][c].w, b.z, b.w);
        }
    }
}

// out += w y, with w [16 M, 16] as rows_of_sums has it, and 16 lines of y. A group has eight columns of w, which are
// eight lines of y, and gets those of its neighbour; each begins with its own. Sums 2p and 2p + 1 hold of channels
// 32 p + 16 across the columns 0-3 and 8-11, and 4-7 and 12-15.
template <int D, int M>
__device__ __forceinline__ void weigh(float (&out)[M][D / 16][8], const unsigned (&w)[M][4], const __half *y,
                                      mma_lane at)
{
    unsigned a[M][8];
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int j = 0; j < 4; j++) {
            a[m][j] = w[m][j];
            a[m][4 + j] = __shfl_xor_sync(0xffffffffu, w[m][j], 8);
        }
    y += at.l * line<D>::value + at.across * 16 + at.upper * 8;
#pragma unroll
    for (int k = 0; k < 4; k++) {
        const __half *lines = y + ((k < 2 ? at.across : 1 - at.across) * 8 + k % 2 * 4) * line<D>::value;
#pragma unroll
        for (int p = 0; p < D / 32; p++) {
            const uint4 b = *(const uint4 *)(lines + p * 32);
#pragma unroll
            for (int m = 0; m < M; m++) {
                mma_884<false, false>(out[m][2 * p], a[m][2 * k], a[m][2 * k + 1], b.x, b.y);
                mma_884<false, false>(out[m][2 * p + 1], a[m][2 * k], a[m][2 * k + 1], b.z, b.w);
            }
        }
    }
}

// Sixteen rows of sums as weigh makes them, to rows that lie `step` apart; `live` of them. row: the lane's.
template <int D>
__device__ __forceinline__ void store_rows(__half *to, const float (&x)[D / 16][8], int row, int live, I64 step,
                                           mma_lane at)
{
    to += row * step + at.across * 16;
#pragma unroll
    for (int p = 0; p < D / 32; p++) {
        unsigned even[4], odd[4];
        rows_of_sums(even, x[2 * p], at.l);
        rows_of_sums(odd, x[2 * p + 1], at.l);
        if (row < live) {
            *(uint4 *)(to + p * 32) = make_uint4(even[0], even[1], odd[0], odd[1]);
            *(uint4 *)(to + p * 32 + 8) = make_uint4(even[2], even[3], odd[2], odd[3]);
        }
    }
}

// Over the lanes that share a row of sums.
__device__ __forceinline__ float row_max(float x)
{
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
    return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 8));
}
__device__ __forceinline__ float row_sum(float x)
{
    x += __shfl_xor_sync(0xffffffffu, x, 2);
    return x + __shfl_xor_sync(0xffffffffu, x, 8);
}

// The column of sum i in its tile of 16.
#define COLUMN_OF(i) (at.sum_column() + ((i)&4) + ((i)&1))

// Sums of columns from `live` on become `otherwise`.
template <int M> __device__ __forceinline__ void keep_live(float (&s)[M][8], int live, float otherwise, mma_lane at)
{
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int i = 0; i < 8; i++)
            s[m][i] = COLUMN_OF(i) < live ? s[m][i] : otherwise;
}

// --- forward

// Scores of a tile of KEYS tokens become exp2(score - most so far); rows of o and sums shrink where that grew.
template <int M, int CHUNKS, int D>
__device__ __forceinline__ void soften(float (&s)[CHUNKS][M][8], float (&o)[M][D / 16][8], float (&largest)[M][2],
                                       float (&sum)[M][2], float scale2)
{
#pragma unroll
    for (int m = 0; m < M; m++) {
        float most[2] = {LOWEST, LOWEST}, shrink[2], part[2] = {0, 0};
#pragma unroll
        for (int n = 0; n < CHUNKS; n++)
#pragma unroll
            for (int i = 0; i < 8; i++)
                most[i >> 1 & 1] = fmaxf(most[i >> 1 & 1], s[n][m][i]);
#pragma unroll
        for (int r = 0; r < 2; r++) {
            most[r] = fmaxf(largest[m][r], row_max(most[r]) * scale2);
            shrink[r] = power2(largest[m][r] - most[r]);
            largest[m][r] = most[r];
        }
#pragma unroll
        for (int n = 0; n < CHUNKS; n++)
#pragma unroll
            for (int i = 0; i < 8; i++) {
                s[n][m][i] = power2(fmaf(s[n][m][i], scale2, -most[i >> 1 & 1]));
                part[i >> 1 & 1] += s[n][m][i];
            }
#pragma unroll
        for (int r = 0; r < 2; r++)
            sum[m][r] = fmaf(sum[m][r], shrink[r], part[r]);
#pragma unroll
        for (int n = 0; n < D / 16; n++)
#pragma unroll
            for (int i = 0; i < 8; i++)
                o[m][n][i] *= shrink[i >> 1 & 1];
    }
}

// Rows of q against all keys. Long: the passes of a tile share registers.
template <int D, int M, int KEYS>
__device__ __forceinline__ void forward_rows(const grid_shape &grid_, const __half *qkv, __half *out, float *lse,
                                             int tokens, int heads, float scale, int wanted)
{
    enum { CHUNKS = KEYS / 16 };
    SHARED_ALIGNED(__half, k, KEYS * line<D>::value);
    SHARED_ALIGNED(__half, v, KEYS * line<D>::value);
    const auto [b, h, own] = place_of<M>(grid_, heads);
    const mma_lane at((int)threadIdx.x % 32);
    const int step = 3 * heads * D;
    qkv += (I64)b * tokens * step + h * D;
    uint4 q[M][D / 8];
    float o[M][D / 16][8], largest[M][2], sum[M][2];
#pragma unroll
    for (int m = 0; m < M; m++) {
        load_own<D>(q[m], qkv, own + m * 16 + at.left_row(), tokens, step);
        clear(o[m]);
        largest[m][0] = largest[m][1] = LOWEST;
        sum[m][0] = sum[m][1] = 0;
    }
#pragma unroll 1
    for (int tile = 0; tile < tokens; tile += KEYS) {
        __syncthreads();
        load_rows<D, KEYS>(k, qkv + heads * D, tile, tokens, step);
        load_rows<D, KEYS>(v, qkv + 2 * heads * D, tile, tokens, step);
        __syncthreads();
        if (own >= tokens)
            continue;
        const int live = tokens - tile;
        float s[CHUNKS][M][8];
#pragma unroll
        for (int n = 0; n < CHUNKS; n++) {
            clear(s[n]);
            if (n == 0 || live > n * 16)
                score<D, M>(s[n], q, k + n * 16 * line<D>::value, at);
            if (live < (n + 1) * 16)
                keep_live<M>(s[n], live - n * 16, LOWEST, at);
        }
        soften<M, CHUNKS, D>(s, o, largest, sum, scale * LOG2E);
#pragma unroll
        for (int n = 0; n < CHUNKS; n++)
            if (n == 0 || live > n * 16) {
                unsigned rows[M][4];
#pragma unroll
                for (int m = 0; m < M; m++)
                    rows_of_sums(rows[m], s[n][m], at.l);
                weigh<D, M>(o, rows, v + n * 16 * line<D>::value, at);
            }
    }
#pragma unroll
    for (int m = 0; m < M; m++) {
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const int row = own + m * 16 + at.sum_row() + r * 2;
            const float all = row_sum(sum[m][r]), factor = 1 / all;
            if (wanted && at.sum_column() == 0 && row < tokens)
                lse[GROUP_ID(1) * tokens + row] = (largest[m][r] + log2f(all)) * LN2;
#pragma unroll
            for (int n = 0; n < D / 16; n++)
#pragma unroll
                for (int i = r * 2; i < 8; i += 4) {
                    o[m][n][i] *= factor;
                    o[m][n][i + 1] *= factor;
                }
        }
        store_rows<D>(out + ((I64)b * tokens + own + m * 16) * heads * D + h * D, o[m], at.left_row(),
                      tokens - own - m * 16, (I64)heads * D, at);
    }
}

// --- backward

// Of a row of dout, as load_own has it, with the same row of out.
template <int D>
__device__ __forceinline__ float along_row(const uint4 (&d)[D / 8], const __half *out, int row, int tokens, int step)
{
    float sum = 0;
#pragma unroll
    for (int c = 0; c < D / 8; c++) {
        packed<__half, 8> x, y;
        x.bits = d[c];
        y.bits = make_uint4(0, 0, 0, 0);
        if (row < tokens)
            y.bits = *(const uint4 *)(out + (I64)row * step + c * 8);
#pragma unroll
        for (int i = 0; i < 8; i++)
            sum = fmaf(to_float(x.value[i]), to_float(y.value[i]), sum);
    }
    return sum;
}

// dq of the warp's rows, and a_i = <dout_i, out_i> for the other kernel. Sums of dout v' begin with -a_i.
template <int D, int KEYS>
__device__ __forceinline__ void backward_q_rows(const grid_shape &grid_, const __half *qkv, const __half *out,
                                                const __half *dout, const float *lse, float *along, __half *dqkv,
                                                int tokens, int heads, float scale)
{
    SHARED_ALIGNED(__half, k, KEYS * line<D>::value);
    SHARED_ALIGNED(__half, v, KEYS * line<D>::value);
    const auto [b, h, own] = place_of<1>(grid_, heads);
    const mma_lane at((int)threadIdx.x % 32);
    const int step = 3 * heads * D, mine = own + at.left_row();
    const float scale2 = scale * LOG2E;
    const I64 place = (I64)b * tokens * heads * D + h * D;
    qkv += (I64)b * tokens * step + h * D;
    uint4 q[1][D / 8], d[1][D / 8];
    float dq[1][D / 16][8], a[2], l[2];
    load_own<D>(q[0], qkv, mine, tokens, step);
    load_own<D>(d[0], dout + place, mine, tokens, heads * D);
    clear(dq[0]);
    const float product = along_row<D>(d[0], out + place, mine, tokens, heads * D);
    if (at.across == 0 && mine < tokens)
        along[GROUP_ID(1) * tokens + mine] = product;
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const int row = own + at.sum_row() + r * 2;
        a[r] = -__shfl_sync(0xffffffffu, product, (int)(threadIdx.x % 32 & ~2u) + r * 2);
        l[r] = row < tokens ? lse[GROUP_ID(1) * tokens + row] * -LOG2E : 0.0f;
    }
#pragma unroll 1
    for (int tile = 0; tile < tokens; tile += KEYS) {
        __syncthreads();
        load_rows<D, KEYS>(k, qkv + heads * D, tile, tokens, step);
        load_rows<D, KEYS>(v, qkv + 2 * heads * D, tile, tokens, step);
        __syncthreads();
        if (own >= tokens)
            continue;
        const int live = tokens - tile < KEYS ? tokens - tile : KEYS;
#pragma unroll 1
        for (int n = 0; n < live; n += 16) {
            float s[1][8], ds[1][8];
            clear(s);
#pragma unroll
            for (int i = 0; i < 8; i++)
                ds[0][i] = a[i >> 1 & 1];
            score<D, 1>(s, q, k + n * line<D>::value, at);
            score<D, 1>(ds, d, v + n * line<D>::value, at);
#pragma unroll
            for (int i = 0; i < 8; i++)
                ds[0][i] *= power2(fmaf(s[0][i], scale2, l[i >> 1 & 1]));
            if (live < n + 16)
                keep_live<1>(ds, live - n, 0.0f, at);
            unsigned rows[1][4];
            rows_of_sums(rows[0], ds[0], at.l);
            weigh<D, 1>(dq, rows, k + n * line<D>::value, at);
        }
    }
#pragma unroll
    for (int n = 0; n < D / 16; n++)
#pragma unroll
        for (int i = 0; i < 8; i++)
            dq[0][n][i] *= scale;
    store_rows<D>(dqkv + ((I64)b * tokens + own) * step + h * D, dq[0], at.left_row(), tokens - own, step, at);
}

// What belongs to the columns of a lane's sums.
__device__ __forceinline__ void of_columns(float (&to)[8], const float *from, mma_lane at)
{
#pragma unroll
    for (int i = 0; i < 8; i += 4) {
        const float2 pair = *(const float2 *)(from + COLUMN_OF(i));
        to[i] = to[i + 2] = pair.x;
        to[i + 1] = to[i + 3] = pair.y;
    }
}

// Rows of dout as load_rows has them, and of each -<dout_i, out_i>.
template <int D, int R>
__device__ __forceinline__ void load_along(__half *to, float *along, const __half *from, const __half *out, int first,
                                           int tokens, int step)
{
    enum { VECTORS = D / 8, PASS = THREADS / VECTORS };
    const int row = (int)threadIdx.x / VECTORS, c = (int)threadIdx.x % VECTORS * 8;
    from += (I64)(first + row) * step + c;
    out += (I64)(first + row) * step + c;
    to += row * line<D>::value + c;
#pragma unroll
    for (int r = 0; r < R; r += PASS) {
        packed<__half, 8> x, y;
        x.bits = y.bits = make_uint4(0, 0, 0, 0);
        if (first + row + r < tokens) {
            x.bits = *(const uint4 *)(from + r * step);
            y.bits = *(const uint4 *)(out + r * step);
        }
        *(uint4 *)(to + r * line<D>::value) = x.bits;
        float sum = 0;
#pragma unroll
        for (int i = 0; i < 8; i++)
            sum = fmaf(to_float(x.value[i]), to_float(y.value[i]), sum);
#pragma unroll
        for (int other = 1; other < VECTORS; other *= 2)
            sum += __shfl_xor_sync(0xffffffffu, sum, other);
        if (c == 0)
            along[row + r] = -sum;
    }
}

// dk and dv of the warp's rows, by tiles of rows of q and dout. Rows of k that do not exist may come to anything: nobody
// reads them. Those of q are zeros with lse 0. FIVE: the gradients of scores go to `scores`, for ds_rows, a line of a
// multiple of 16 elements for each row of k, and the sums of dout and out are made here; else those are in `along`. Long:
// the five products of a tile share registers.
template <int D, int QUERIES, bool FIVE>
__device__ __forceinline__ void backward_kv_rows(const grid_shape &grid_, const __half *qkv, const __half *out,
                                                 const __half *dout, const float *lse, const float *along,
                                                 __half *scores, __half *dqkv, int tokens, int heads, float scale)
{
    SHARED_ALIGNED(__half, q, QUERIES * line<D>::value);
    SHARED_ALIGNED(__half, d, QUERIES * line<D>::value);
    SHARED_ALIGNED(float, lse_of, QUERIES);
    SHARED_ALIGNED(float, along_of, QUERIES);
    const auto [b, h, own] = place_of<1>(grid_, heads);
    const mma_lane at((int)threadIdx.x % 32);
    const int step = 3 * heads * D, mine = own + at.left_row();
    const float scale2 = scale * LOG2E;
    qkv += (I64)b * tokens * step + h * D;
    dqkv += ((I64)b * tokens + own) * step + h * D;
    dout += (I64)b * tokens * heads * D + h * D;
    out += (I64)b * tokens * heads * D + h * D;
    lse += GROUP_ID(1) * tokens;
    along += GROUP_ID(1) * tokens;
    const int width = (tokens + 15) / 16 * 16;
    scores += (GROUP_ID(1) * tokens + mine) * width + at.across * 8;
    uint4 k[1][D / 8], v[1][D / 8];
    load_own<D>(k[0], qkv + heads * D, mine, tokens, step);
    load_own<D>(v[0], qkv + 2 * heads * D, mine, tokens, step);
    float dk[1][D / 16][8], dv[1][D / 16][8];
    clear(dk[0]);
    clear(dv[0]);
#pragma unroll 1
    for (int tile = 0; tile < tokens; tile += QUERIES) {
        __syncthreads();
        load_rows<D, QUERIES>(q, qkv, tile, tokens, step);
        if (FIVE)
            load_along<D, QUERIES>(d, along_of, dout, out, tile, tokens, heads * D);
        else
            load_rows<D, QUERIES>(d, dout, tile, tokens, heads * D);
        if (threadIdx.x < QUERIES) {
            const int i = tile + (int)threadIdx.x;
            lse_of[threadIdx.x] = i < tokens ? lse[i] * -LOG2E : 0.0f;
            if (!FIVE)
                along_of[threadIdx.x] = i < tokens ? -along[i] : 0.0f;
        }
        __syncthreads();
        if (own >= tokens)
            continue;
        const int live = tokens - tile < QUERIES ? tokens - tile : QUERIES;
#pragma unroll 1
        for (int n = 0; n < live; n += 16) {
            float s[1][8], ds[1][8];
            clear(s);
            of_columns(ds[0], along_of + n, at);
            score<D, 1>(s, k, q + n * line<D>::value, at);
            score<D, 1>(ds, v, d + n * line<D>::value, at);
            float l[8];
            of_columns(l, lse_of + n, at);
#pragma unroll
            for (int i = 0; i < 8; i++) {
                s[0][i] = power2(fmaf(s[0][i], scale2, l[i]));
                ds[0][i] *= s[0][i];
            }
            unsigned rows[1][4];
            rows_of_sums(rows[0], s[0], at.l);
            weigh<D, 1>(dv, rows, d + n * line<D>::value, at);
            rows_of_sums(rows[0], ds[0], at.l);
            weigh<D, 1>(dk, rows, q + n * line<D>::value, at);
            if (FIVE && mine < tokens)
                *(uint4 *)(scores + tile + n) = make_uint4(rows[0][0], rows[0][1], rows[0][2], rows[0][3]);
        }
    }
#pragma unroll
    for (int n = 0; n < D / 16; n++)
#pragma unroll
        for (int i = 0; i < 8; i++)
            dk[0][n][i] *= scale;
    store_rows<D>(dqkv + heads * D, dk[0], at.left_row(), tokens - own, step, at);
    store_rows<D>(dqkv + 2 * heads * D, dv[0], at.left_row(), tokens - own, step, at);
}

// dq = ds k of 32 rows of q a warp, with ds' as backward_kv_rows left it: a lane takes eight rows of q at one of k, which
// are four rows of each of two products. So group q of lanes has rows 16 down, of them h8 .. h8 + 3 in the first.
template <int D, int KEYS>
__device__ __forceinline__ void ds_rows(const grid_shape &grid_, const __half *qkv, const __half *scores, __half *dqkv,
                                        int tokens, int heads, float scale)
{
    SHARED_ALIGNED(__half, k, KEYS * line<D>::value);
    const auto [b, h, own] = place_of<2>(grid_, heads);
    const mma_lane at((int)threadIdx.x % 32);
    const int step = 3 * heads * D, width = (tokens + 15) / 16 * 16, mine = own + at.down * 16 + at.upper * 8;
    qkv += (I64)b * tokens * step + h * D;
    scores += GROUP_ID(1) * tokens * width + mine;
    float dq[2][D / 16][8];
    clear(dq[0]);
    clear(dq[1]);
#pragma unroll 1
    for (int tile = 0; tile < tokens; tile += KEYS) {
        __syncthreads();
        load_rows<D, KEYS>(k, qkv + heads * D, tile, tokens, step);
        __syncthreads();
        if (own >= tokens)
            continue;
        const int live = tokens - tile < KEYS ? tokens - tile : KEYS;
#pragma unroll 1
        for (int n = 0; n < live; n += 16) {
            uint4 a[4];
#pragma unroll
            for (int j = 0; j < 4; j++) {
                const int key = tile + n + j * 4 + at.l;
                a[j] = make_uint4(0, 0, 0, 0);
                if (key < tokens && mine < tokens)
                    a[j] = *(const uint4 *)(scores + (I64)key * width);
            }
            const __half *lines = k + (n + at.l) * line<D>::value + at.across * 16 + at.upper * 8;
#pragma unroll
            for (int j = 0; j < 4; j++)
#pragma unroll
                for (int p = 0; p < D / 32; p++) {
                    const uint4 y = *(const uint4 *)(lines + j * 4 * line<D>::value + p * 32);
                    mma_884<true, false>(dq[0][2 * p], a[j].x, a[j].y, y.x, y.y);
                    mma_884<true, false>(dq[0][2 * p + 1], a[j].x, a[j].y, y.z, y.w);
                    mma_884<true, false>(dq[1][2 * p], a[j].z, a[j].w, y.x, y.y);
                    mma_884<true, false>(dq[1][2 * p + 1], a[j].z, a[j].w, y.z, y.w);
                }
        }
    }
#pragma unroll
    for (int m = 0; m < 2; m++) {
#pragma unroll
        for (int n = 0; n < D / 16; n++)
#pragma unroll
            for (int i = 0; i < 8; i++)
                dq[m][n][i] *= scale;
        store_rows<D>(dqkv + ((I64)b * tokens + own) * step + h * D, dq[m], at.down * 16 + at.upper * 8 + m * 4 + at.l,
                      tokens - own, step, at);
    }
}

// --- kernels

template <int D, int M, int KEYS>
__global__ void __launch_bounds__(THREADS, D == 64 ? 4 - M : 5 - M)
    volta_forward(const grid_shape grid_, const __half *qkv, I64 qkv_at, __half *out, I64 out_at, float *lse,
                  I64 lse_at, int tokens, int heads, float scale, int wanted)
{
    if COMPILED_FOR_ONLY (GENERATION)
        forward_rows<D, M, KEYS>(grid_, qkv + qkv_at, out + out_at, lse + lse_at, tokens, heads, scale, wanted);
    else
        __trap();
}

template <int D>
__global__ void __launch_bounds__(THREADS, D == 64 ? 3 : 4)
    volta_backward_q(const grid_shape grid_, const __half *qkv, I64 qkv_at, const __half *out, I64 out_at,
                     const __half *dout, I64 dout_at, const float *lse, I64 lse_at, float *along, I64 along_at,
                     __half *dqkv, I64 dqkv_at, int tokens, int heads, float scale)
{
    if COMPILED_FOR_ONLY (GENERATION)
        backward_q_rows<D, 64>(grid_, qkv + qkv_at, out + out_at, dout + dout_at, lse + lse_at, along + along_at,
                               dqkv + dqkv_at, tokens, heads, scale);
    else
        __trap();
}

template <int D>
__global__ void __launch_bounds__(THREADS, D == 64 ? 2 : 3)
    volta_backward_kv(const grid_shape grid_, const __half *qkv, I64 qkv_at, const __half *dout, I64 dout_at,
                      const float *lse, I64 lse_at, const float *along, I64 along_at, __half *dqkv, I64 dqkv_at,
                      int tokens, int heads, float scale)
{
    if COMPILED_FOR_ONLY (GENERATION)
        backward_kv_rows<D, 64, false>(grid_, qkv + qkv_at, dout + dout_at, dout + dout_at, lse + lse_at,
                                       along + along_at, dqkv + dqkv_at, dqkv + dqkv_at, tokens, heads, scale);
    else
        __trap();
}

template <int D>
__global__ void __launch_bounds__(THREADS, D == 64 ? 2 : 3)
    volta_backward_five(const grid_shape grid_, const __half *qkv, I64 qkv_at, const __half *out, I64 out_at,
                        const __half *dout, I64 dout_at, const float *lse, I64 lse_at, __half *scores, I64 scores_at,
                        __half *dqkv, I64 dqkv_at, int tokens, int heads, float scale)
{
    if COMPILED_FOR_ONLY (GENERATION)
        backward_kv_rows<D, 64, true>(grid_, qkv + qkv_at, out + out_at, dout + dout_at, lse + lse_at, lse + lse_at,
                                      scores + scores_at, dqkv + dqkv_at, tokens, heads, scale);
    else
        __trap();
}

template <int D>
__global__ void __launch_bounds__(THREADS, 4)
    volta_backward_ds(const grid_shape grid_, const __half *qkv, I64 qkv_at, const __half *scores, I64 scores_at,
                      __half *dqkv, I64 dqkv_at, int tokens, int heads, float scale)
{
    if COMPILED_FOR_ONLY (GENERATION)
        ds_rows<D, 64>(grid_, qkv + qkv_at, scores + scores_at, dqkv + dqkv_at, tokens, heads, scale);
    else
        __trap();
}

} // namespace

#define KERNEL_ROW(name, ...)                                                                                          \
    {                                                                                                                  \
        name, {MCF_F16, -1, -1, -1}, MCF_CUDA_KERNEL((__VA_ARGS__))                                                    \
    }
#define KERNELS(width)                                                                                                 \
    KERNEL_ROW("attention_volta_forward_" #width, volta_forward<width, 1, 64>),                                        \
        KERNEL_ROW("attention_volta_forward_wide_" #width, volta_forward<width, 2, 32>),                               \
        KERNEL_ROW("attention_volta_backward_q_" #width, volta_backward_q<width>),                                     \
        KERNEL_ROW("attention_volta_backward_kv_" #width, volta_backward_kv<width>),                                   \
        KERNEL_ROW("attention_volta_backward_five_" #width, volta_backward_five<width>),                               \
        KERNEL_ROW("attention_volta_backward_ds_" #width, volta_backward_ds<width>)

extern "C" cuda_kernel_table cuda_kernels_attention_volta(void)
{
    static const cuda_kernel rows[] = {KERNELS(64), KERNELS(32)};
    return {rows, (int)(sizeof rows / sizeof *rows)};
}
