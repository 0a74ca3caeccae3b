// Products on the matrix unit (AMX): tiles of 16 rows of 64 bytes, of which 8 are registers. Part of kernels.c for the
// instruction set that has it; matmul_tiles.c and attention_tiles.c put the pieces together.
//
// Operands are brought into panels of 32 rows of a (32 columns of b) first, tile after tile in the order of their use:
// for each step of 32 along k, for each level, two tiles. A tile of a holds 16 rows of 32 bf16; a tile of b holds 16
// pairs of rows, 16 columns side by side. What lies beyond an operand's end is 0.
//
// Levels: bf16 operands have one. A float has three, bf16 numbers whose sum it is: the upper 8 bits of its
// significand, the next 8 and the last 8, cut off and therefore exact. Of the nine products of two floats' levels
// the six larger ones are added; the three left out are at most 2^-21 of the whole, 2^-24 on average: half a unit
// in the last place (Henry, Tang & Heinecke 2019, "Leveraging the bfloat16 artificial intelligence datatype for
// higher-precision computations").

#include "ops/node.h"

enum { TILE = 512 }; // bf16 elements

// The layout of all eight registers. In memory for good: gcc 12 believes that ldtilecfg reads 8 bytes of it.
static const struct {
    uint8_t palette, start_row, zero[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} tile_layout = {
    .palette = 1,
    .bytes = {64, 64, 64, 64, 64, 64, 64, 64},
    .rows = {16, 16, 16, 16, 16, 16, 16, 16},
};

static void tiles_begin(void)
{
    _tile_loadconfig(&tile_layout);
}

static void tiles_end(void)
{
    _mm_sfence(); // what was streamed
    _tile_release();
}

// 16 x 16 doublewords, in place.
VF_INLINE void transpose_16(__m512i z[16])
{
    __m512i t[16];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_epi32(z[2 * i], z[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(z[2 * i], z[2 * i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        z[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        z[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        z[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        z[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    // z[4i + j]: column j of each quarter, of rows 4i to 4i+3.
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        t[j] = _mm512_shuffle_i32x4(z[j], z[4 + j], 0x88);
        t[4 + j] = _mm512_shuffle_i32x4(z[j], z[4 + j], 0xdd);
        t[8 + j] = _mm512_shuffle_i32x4(z[8 + j], z[12 + j], 0x88);
        t[12 + j] = _mm512_shuffle_i32x4(z[8 + j], z[12 + j], 0xdd);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        z[j] = _mm512_shuffle_i32x4(t[j], t[8 + j], 0x88);
        z[8 + j] = _mm512_shuffle_i32x4(t[j], t[8 + j], 0xdd);
        z[4 + j] = _mm512_shuffle_i32x4(t[4 + j], t[12 + j], 0x88);
        z[12 + j] = _mm512_shuffle_i32x4(t[4 + j], t[12 + j], 0xdd);
    }
}

VF_INLINE __mmask16 mask_16(int64_t n)
{
    return n >= 16 ? (__mmask16)0xffff : n <= 0 ? (__mmask16)0 : (__mmask16)((1u << n) - 1);
}

VF_INLINE __mmask32 mask_32(int64_t n)
{
    return n >= 32 ? 0xffffffffu : n <= 0 ? 0u : (1u << n) - 1;
}

VF_INLINE void put_tile(uint16_t *to, __m512i z[16], const bool transposed)
{
    if (transposed)
        transpose_16(z);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        _mm512_store_si512(to + 32 * i, z[i]);
}

// One tile from lines that run along k: `lines` of them, `k` elements each (at most 16 and 32).
VF_INLINE void tile_along_bf16(uint16_t *to, const uint16_t *from, int64_t step, int64_t lines, int64_t k,
                               const bool transposed)
{
    __m512i z[16];
    __mmask32 mask = mask_32(k);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        z[i] = _mm512_maskz_loadu_epi16(i < lines ? mask : 0, from + (i < lines ? i * step : 0));
    put_tile(to, z, transposed);
}

// One tile from lines that run across: `k` lines (at most 32) of `n` elements (at most 16).
VF_INLINE void tile_across_bf16(uint16_t *to, const uint16_t *from, int64_t step, int64_t k, int64_t n,
                                const bool transposed)
{
    __m512i z[16];
    __mmask16 mask = mask_16(n);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        bool even = 2 * i < k, odd = 2 * i + 1 < k;
        __m256i low = _mm256_maskz_loadu_epi16(even ? mask : 0, from + (even ? 2 * i * step : 0));
        __m256i high = _mm256_maskz_loadu_epi16(odd ? mask : 0, from + (odd ? (2 * i + 1) * step : 0));
        z[i] = _mm512_or_si512(_mm512_cvtepu16_epi32(low), _mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16));
    }
    put_tile(to, z, transposed);
}

// The upper halves of two vectors of floats as 32 bf16, and what that leaves of them.
VF_INLINE __m512i cut(__m512 *low, __m512 *high, __m512i order)
{
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000u);
    __m512i a = _mm512_castps_si512(*low), b = _mm512_castps_si512(*high);
    *low = _mm512_sub_ps(*low, _mm512_castsi512_ps(_mm512_and_si512(a, upper)));
    *high = _mm512_sub_ps(*high, _mm512_castsi512_ps(_mm512_and_si512(b, upper)));
    return _mm512_permutex2var_epi16(a, order, b);
}

// The same from floats, three levels, `apart` elements from one to the next.
VF_INLINE void tile_along_f32(uint16_t *to, int64_t apart, const float *from, int64_t step, int64_t lines, int64_t k,
                              const bool transposed)
{
    // Upper words of 16 floats, then of 16 more.
    const __m512i order = _mm512_set_epi16(63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37, 35, 33, 31, 29, 27,
                                           25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    __m512i z[3][16];
    __mmask16 first = mask_16(k), second = mask_16(k - 16);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        const float *line = from + (i < lines ? i * step : 0);
        __m512 low = _mm512_maskz_loadu_ps(i < lines ? first : 0, line);
        __m512 high = _mm512_maskz_loadu_ps(i < lines ? second : 0, line + 16);
        for (int level = 0; level < 3; level++)
            z[level][i] = cut(&low, &high, order);
    }
    for (int level = 0; level < 3; level++)
        put_tile(to + level * apart, z[level], transposed);
}

VF_INLINE void tile_across_f32(uint16_t *to, int64_t apart, const float *from, int64_t step, int64_t k, int64_t n,
                               const bool transposed)
{
    // Upper words of two vectors in turn.
    const __m512i order = _mm512_set_epi16(63, 31, 61, 29, 59, 27, 57, 25, 55, 23, 53, 21, 51, 19, 49, 17, 47, 15, 45,
                                           13, 43, 11, 41, 9, 39, 7, 37, 5, 35, 3, 33, 1);
    __m512i z[3][16];
    __mmask16 mask = mask_16(n);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        bool even = 2 * i < k, odd = 2 * i + 1 < k;
        __m512 low = _mm512_maskz_loadu_ps(even ? mask : 0, from + (even ? 2 * i * step : 0));
        __m512 high = _mm512_maskz_loadu_ps(odd ? mask : 0, from + (odd ? (2 * i + 1) * step : 0));
        for (int level = 0; level < 3; level++)
            z[level][i] = cut(&low, &high, order);
    }
    for (int level = 0; level < 3; level++)
        put_tile(to + level * apart, z[level], transposed);
}

// A line that runs along k becomes a row of a's tile, or a column of b's; a line that runs across becomes half of b's
// row of pairs, or of a's column.
VF_INLINE void pack(uint16_t *to, const void *from, int64_t step, int64_t width, int64_t k, bool floats,
                    const bool along, const bool transposed)
{
    int64_t levels = floats ? 3 : 1;
    for (int64_t at = 0; at < k; at += 32, to += 2 * TILE * levels)
        for (int64_t half = 0; half < 2; half++) {
            int64_t lines = width - 16 * half, depth = k - at,
                    offset = along ? 16 * half * step + at : at * step + 16 * half;
            uint16_t *tile = to + half * TILE;
            if (lines <= 0) // no reading there
                for (int64_t level = 0; level < levels; level++)
                    memset(tile + level * 2 * TILE, 0, TILE * sizeof *tile);
            else if (floats && along)
                tile_along_f32(tile, 2 * TILE, (const float *)from + offset, step, lines, depth, transposed);
            else if (floats)
                tile_across_f32(tile, 2 * TILE, (const float *)from + offset, step, depth, lines, transposed);
            else if (along)
                tile_along_bf16(tile, (const uint16_t *)from + offset, step, lines, depth, transposed);
            else
                tile_across_bf16(tile, (const uint16_t *)from + offset, step, depth, lines, transposed);
        }
}

static void tiles_pack_a(uint16_t *to, const void *from, int64_t step, int64_t rows, int64_t k, bool floats, bool along)
{
    if (along)
        pack(to, from, step, rows, k, floats, true, false);
    else
        pack(to, from, step, rows, k, floats, false, true);
}

static void tiles_pack_b(uint16_t *to, const void *from, int64_t step, int64_t columns, int64_t k, bool floats,
                         bool along)
{
    if (along)
        pack(to, from, step, columns, k, floats, true, true);
    else
        pack(to, from, step, columns, k, floats, false, false);
}

#define LOAD_A(level)                                                                                                  \
    _tile_loadd(4, a + (level)*2 * TILE, 64);                                                                          \
    _tile_loadd(5, a + (level)*2 * TILE + TILE, 64)
#define LOAD_B(level)                                                                                                  \
    _tile_loadd(6, b + (level)*2 * TILE, 64);                                                                          \
    _tile_loadd(7, b + (level)*2 * TILE + TILE, 64)
#define MULTIPLY()                                                                                                     \
    _tile_dpbf16ps(0, 4, 6);                                                                                           \
    _tile_dpbf16ps(1, 4, 7);                                                                                           \
    _tile_dpbf16ps(2, 5, 6);                                                                                           \
    _tile_dpbf16ps(3, 5, 7)

VF_INLINE void copy_row(const mcf_cpu_tile_copy *copy, int64_t row)
{
    const uint16_t *from = copy->from + row * copy->step;
    for (int64_t i = 0; i < copy->run; i++)
        _mm512_store_si512(copy->to + i * 2 * TILE + row * 32, _mm512_loadu_si512(from + i * 32));
}

static void tiles_multiply(float *c, int64_t ldc, const uint16_t *a, const uint16_t *b, int64_t steps, bool floats,
                           bool add, const mcf_cpu_tile_copy *copy)
{
    if (add) {
        _tile_loadd(0, c, 4 * ldc);
        _tile_loadd(1, c + 16, 4 * ldc);
        _tile_loadd(2, c + 16 * ldc, 4 * ldc);
        _tile_loadd(3, c + 16 * ldc + 16, 4 * ldc);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    if (floats)
        for (int64_t i = 0; i < steps; i++, a += 6 * TILE, b += 6 * TILE) {
            LOAD_A(0);
            LOAD_B(2);
            MULTIPLY();
            LOAD_B(1);
            MULTIPLY();
            LOAD_B(0);
            MULTIPLY();
            LOAD_A(1);
            MULTIPLY();
            LOAD_A(2);
            MULTIPLY();
            LOAD_A(1);
            LOAD_B(1);
            MULTIPLY();
        }
    else if (!copy)
        for (int64_t i = 0; i < steps; i++, a += 2 * TILE, b += 2 * TILE) {
            LOAD_A(0);
            LOAD_B(0);
            MULTIPLY();
        }
    else
        for (int64_t i = 0, row = copy->first; i < steps; i++, a += 2 * TILE, b += 2 * TILE) {
            LOAD_A(0);
            LOAD_B(0);
            MULTIPLY();
            for (; (row - copy->first) * steps < (i + 1) * (copy->end - copy->first); row++)
                copy_row(copy, row);
        }
    _tile_stored(0, c, 4 * ldc);
    _tile_stored(1, c + 16, 4 * ldc);
    _tile_stored(2, c + 16 * ldc, 4 * ldc);
    _tile_stored(3, c + 16 * ldc + 16, 4 * ldc);
}

#undef LOAD_A
#undef LOAD_B
#undef MULTIPLY

// 16 values of a row: sum, bias, activation, and into place. Rounding flushes denormals, as the unit itself does.
VF_INLINE void finish_vector(vf x, vf bias, void *to, __mmask16 mask, const bool bf16, const bool accumulate,
                             const int activation, const bool streamed)
{
    if (accumulate && bf16)
        x += vf_widen((vh)_mm256_maskz_loadu_epi16(mask, to));
    else if (accumulate)
        x += (vf)_mm512_maskz_loadu_ps(mask, to);
    x += bias;
    if (activation == MCF_ACT_GELU)
        x = bf16 ? vf_gelu_low(x) : vf_gelu(x);
    else if (activation == MCF_ACT_RELU)
        x = vf_select((vi)(x <= vf_set(0.0f)), vf_set(0.0f), x); // NaN stays
    if (bf16)
        _mm256_mask_storeu_epi16(to, mask, (__m256i)_mm512_cvtneps_pbh((__m512)x));
    else if (streamed)
        _mm512_stream_ps(to, (__m512)x);
    else
        _mm512_mask_storeu_ps(to, mask, (__m512)x);
}

VF_INLINE void finish_rows(const mcf_cpu_tile_result *r, void *to, const float *from, int64_t rows, int64_t columns,
                           const float *bias, const bool bf16, const bool accumulate, const int activation,
                           const bool streamed)
{
    const int64_t size = bf16 ? 2 : 4;
    __mmask16 mask_0 = mask_16(columns), mask_1 = mask_16(columns - 16);
    vf bias_0 = vf_set(0.0f), bias_1 = vf_set(0.0f);
    if (bias) {
        bias_0 = (vf)_mm512_maskz_loadu_ps(mask_0, bias);
        bias_1 = (vf)_mm512_maskz_loadu_ps(mask_1, bias + 16);
    }
    for (int64_t i = 0; i < rows; i++, from += 32) {
        unsigned char *line = (unsigned char *)to + i * r->step * size;
        finish_vector(vf_load(from), bias_0, line, mask_0, bf16, accumulate, activation, streamed);
        finish_vector(vf_load(from + 16), bias_1, line + 16 * size, mask_1, bf16, accumulate, activation, streamed);
    }
}

static void tiles_finish(const mcf_cpu_tile_result *r, void *to, const float *from, int64_t rows, int64_t columns,
                         const float *bias)
{
    // A loop for each combination that large products have.
    bool plain = r->activation == MCF_ACT_NONE;
    if (plain && r->bf16 && !r->accumulate)
        finish_rows(r, to, from, rows, columns, bias, true, false, MCF_ACT_NONE, false);
    else if (plain && !r->bf16 && !r->accumulate && r->streamed && columns == MCF_CPU_BLOCK &&
             ((uintptr_t)to | (uintptr_t)r->step * 4) % 64 == 0)
        finish_rows(r, to, from, rows, columns, bias, false, false, MCF_ACT_NONE, true);
    else if (plain && !r->bf16 && !r->accumulate)
        finish_rows(r, to, from, rows, columns, bias, false, false, MCF_ACT_NONE, false);
    else if (plain && !r->bf16)
        finish_rows(r, to, from, rows, columns, bias, false, true, MCF_ACT_NONE, false);
    else if (r->activation == MCF_ACT_GELU && r->bf16 && !r->accumulate)
        finish_rows(r, to, from, rows, columns, bias, true, false, MCF_ACT_GELU, false);
    else
        finish_rows(r, to, from, rows, columns, bias, r->bf16, r->accumulate, r->activation, false);
}

// 32 floats to bf16, to nearest even.
VF_INLINE __m512i round_32(vf low, vf high)
{
    return (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
}

static void tiles_round_a(uint16_t *to, const float *from, int64_t step, int64_t rows, int64_t k)
{
    for (int64_t i = 0; i < MCF_CPU_BLOCK; i++, to += 32) // both tiles of a step lie one after the other
        for (int64_t at = 0; at < k; at += 32) {
            const float *line = from + i * step + at;
            __m512i both = i < rows ? round_32(vf_load(line), vf_load(line + 16)) : _mm512_setzero_si512();
            _mm512_store_si512(to + at / 32 * 2 * TILE, both);
        }
}

static void tiles_softmax_slopes(uint16_t *p, uint16_t *ds, uint16_t *ds_rows, const float *s, const float *dp,
                                 const float *lse, const float *delta, float scale, int64_t n)
{
    vf factor = vf_set(scale);
    for (int64_t i = 0; i < MCF_CPU_BLOCK; i++, p += 32, ds += 32)
        for (int64_t at = 0; at < n; at += 32) {
            vf prob[2], slope[2];
            for (int j = 0; j < 2; j++) {
                int64_t column = at + 16 * j, place = i * n + column;
                prob[j] = vf_exp(vf_fma(vf_load(s + place), factor, -vf_load(lse + column)));
                slope[j] = prob[j] * ((vf_load(dp + place) - vf_load(delta + column)) * factor);
            }
            __m512i both = round_32(slope[0], slope[1]);
            _mm512_store_si512(p + at / 32 * 2 * TILE, round_32(prob[0], prob[1]));
            _mm512_store_si512(ds + at / 32 * 2 * TILE, both);
            _mm512_storeu_si512(ds_rows + i * n + at, both);
        }
}

static const mcf_cpu_tiles tiles = {
    .begin = tiles_begin,
    .end = tiles_end,
    .pack_a = tiles_pack_a,
    .pack_b = tiles_pack_b,
    .multiply = tiles_multiply,
    .finish = tiles_finish,
    .round_a = tiles_round_a,
    .softmax_slopes = tiles_softmax_slopes,
};
