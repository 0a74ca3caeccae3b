// The two passes for AVX-512 with VBMI and VNNI (Ice Lake, Zen 4 and later); exact in the way of
// resize_avx2.c.
#include "data/image/resize_passes.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni")))

// ROW_BLOCK rows of a picture at a time stay in the first cache.
enum { WEIGHT_BITS = 22, GROUP = 4, REACH = 32, ROW_BLOCK = 16, MAX_PAIRS = REACH / 2 };

AVX512 static inline __m512i finish(__m512i high, __m512i low)
{
    __m512i sum = _mm512_add_epi32(_mm512_slli_epi32(high, 8), low);
    return _mm512_srai_epi32(sum, WEIGHT_BITS);
}

// Four outputs of a row at once: a byte permutation of the sixteen pixels from the first one's first puts two
// taps of every output and channel side by side.
typedef struct {
    size_t at;           // byte of the first pixel
    __mmask64 inside[2]; // bytes of the first and second 16 pixels that belong to the row
    bool wide;           // the second 16 are needed
    __m512i place[MAX_PAIRS], high[MAX_PAIRS], low[MAX_PAIRS];
} output_group;

AVX512 static void prepare_group(const mcf_resize_weights *w, int x, int width, output_group *group)
{
    int base = w->first[x], last = x + GROUP < w->outputs ? x + GROUP - 1 : w->outputs - 1;
    group->at = (size_t)base * 4;
    group->wide = w->first[last] + 2 * w->pairs - base > REACH / 2;
    for (int i = 0; i < 2; i++) {
        int room = width - base - i * REACH / 2;
        group->inside[i] = room >= REACH / 2 ? ~(__mmask64)0 : room > 0 ? ((__mmask64)1 << room * 4) - 1 : 0;
    }
    const __m512i spread = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    // Bytes of a 32-bit word: first tap, zero, second tap, zero; words of an output: R, G, B, X.
    const __m512i channel = _mm512_set4_epi32(0x00070003, 0x00060002, 0x00050001, 0x00040000);
    const int32_t *pair[GROUP], none[2 * MAX_PAIRS] = {0};
    int first[GROUP];
    for (int j = 0; j < GROUP; j++) {
        bool real = x + j < w->outputs;
        pair[j] = real ? w->pair + (size_t)(x + j) * (size_t)w->pairs * 2 : none;
        first[j] = real ? (w->first[x + j] - base) * 4 * 0x00010001 : 0;
    }
    __m512i place = _mm512_castsi128_si512(_mm_setr_epi32(first[0], first[1], first[2], first[3]));
    place = _mm512_add_epi32(_mm512_permutexvar_epi32(spread, place), channel);
    for (int p = 0; p < w->pairs; p++) {
        __m128i high = _mm_setr_epi32(pair[0][2 * p], pair[1][2 * p], pair[2][2 * p], pair[3][2 * p]);
        __m128i low = _mm_setr_epi32(pair[0][2 * p + 1], pair[1][2 * p + 1], pair[2][2 * p + 1], pair[3][2 * p + 1]);
        group->place[p] = _mm512_add_epi32(place, _mm512_set1_epi32(8 * p * 0x00010001));
        group->high[p] = _mm512_permutexvar_epi32(spread, _mm512_castsi128_si512(high));
        group->low[p] = _mm512_permutexvar_epi32(spread, _mm512_castsi128_si512(low));
    }
}

// pairs and wide are constants where that is common, so that the vectors of the group stay in registers.
AVX512 static inline __attribute__((always_inline)) void group_rows(const uint8_t *in, size_t in_stride, int rows,
                                                                    int pairs, bool wide, const output_group *group,
                                                                    uint8_t *to, size_t out_stride)
{
    const __m128i drop_fourth = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
    const __mmask64 even = 0x5555555555555555;
    for (int y = 0; y < rows; y++, in += in_stride, to += out_stride) {
        __m512i near = _mm512_maskz_loadu_epi8(group->inside[0], in + group->at), far = near;
        if (wide)
            far = _mm512_maskz_loadu_epi8(group->inside[1], in + group->at + 64);
        __m512i high = _mm512_setzero_si512(), low = _mm512_set1_epi32(1 << (WEIGHT_BITS - 1));
        for (int p = 0; p < pairs; p++) {
            __m512i taps = wide ? _mm512_maskz_permutex2var_epi8(even, near, group->place[p], far)
                                : _mm512_maskz_permutexvar_epi8(even, group->place[p], near);
            high = _mm512_dpwssd_epi32(high, taps, group->high[p]);
            low = _mm512_dpwssd_epi32(low, taps, group->low[p]);
        }
        __m512i sum = _mm512_max_epi32(finish(high, low), _mm512_setzero_si512());
        _mm_storeu_si128((__m128i *)to, _mm_shuffle_epi8(_mm512_cvtusepi32_epi8(sum), drop_fourth));
    }
}

AVX512 static void horizontal(const mcf_image *image, int first_row, int rows, const mcf_resize_weights *w,
                              uint8_t *out, size_t out_stride)
{
    bool reached = w->pairs <= MAX_PAIRS;
    for (int x = 0; reached && x < w->outputs; x += GROUP) {
        int last = x + GROUP < w->outputs ? x + GROUP - 1 : w->outputs - 1;
        // Near the right rim outputs begin early (stay_inside): an order of firsts is kept all the same.
        reached = w->first[last] >= w->first[x] && w->first[last] + 2 * w->pairs - w->first[x] <= REACH;
    }
    if (!reached) { // strong reduction: 32 pixels do not hold what four outputs need
        mcf_resize_avx2()->horizontal(image, first_row, rows, w, out, out_stride);
        return;
    }
    for (int y = 0; y < rows; y += ROW_BLOCK) {
        int count = rows - y < ROW_BLOCK ? rows - y : ROW_BLOCK;
        const uint8_t *in = image->pixels + (size_t)(first_row + y) * image->stride;
        for (int x = 0; x < w->outputs; x += GROUP) {
            uint8_t *to = out + (size_t)y * out_stride + (size_t)x * 3;
            output_group group;
            prepare_group(w, x, image->width, &group);
            if (!group.wide && w->pairs == 1)
                group_rows(in, image->stride, count, 1, false, &group, to, out_stride);
            else if (!group.wide && w->pairs == 2)
                group_rows(in, image->stride, count, 2, false, &group, to, out_stride);
            else if (!group.wide && w->pairs == 3)
                group_rows(in, image->stride, count, 3, false, &group, to, out_stride);
            else
                group_rows(in, image->stride, count, w->pairs, true, &group, to, out_stride);
        }
    }
}

// 64 columns: unpacking and packing work within 128-bit lanes and undo each other.
AVX512 static inline void columns64(const uint8_t *in, size_t stride, int count, const int32_t *pair, __mmask64 mask,
                                    uint8_t *to)
{
    const __m512i zero = _mm512_setzero_si512(), half = _mm512_set1_epi32(1 << (WEIGHT_BITS - 1));
    __m512i high[4] = {zero, zero, zero, zero}, low[4] = {half, half, half, half};
    for (int k = 0; k < count; k += 2, pair += 2) {
        const uint8_t *row = in + (size_t)k * stride;
        __m512i r0 = _mm512_maskz_loadu_epi8(mask, row);
        __m512i r1 = k + 1 < count ? _mm512_maskz_loadu_epi8(mask, row + stride) : r0;
        __m512i left = _mm512_unpacklo_epi8(r0, r1), right = _mm512_unpackhi_epi8(r0, r1);
        __m512i taps[4] = {_mm512_unpacklo_epi8(left, zero), _mm512_unpackhi_epi8(left, zero),
                           _mm512_unpacklo_epi8(right, zero), _mm512_unpackhi_epi8(right, zero)};
        __m512i h = _mm512_set1_epi32(pair[0]), l = _mm512_set1_epi32(pair[1]);
        for (int i = 0; i < 4; i++) {
            high[i] = _mm512_dpwssd_epi32(high[i], taps[i], h);
            low[i] = _mm512_dpwssd_epi32(low[i], taps[i], l);
        }
    }
    __m512i left = _mm512_packs_epi32(finish(high[0], low[0]), finish(high[1], low[1]));
    __m512i right = _mm512_packs_epi32(finish(high[2], low[2]), finish(high[3], low[3]));
    _mm512_mask_storeu_epi8(to, mask, _mm512_packus_epi16(left, right));
}

AVX512 static void vertical(const uint8_t *in, size_t in_stride, int first_row, size_t bytes,
                            const mcf_resize_weights *w, uint8_t *out, size_t out_stride)
{
    for (int y = 0; y < w->outputs; y++) {
        const uint8_t *from = in + (size_t)(w->first[y] - first_row) * in_stride;
        const int32_t *pair = w->pair + (size_t)y * (size_t)w->pairs * 2;
        for (size_t x = 0; x < bytes; x += 64) {
            __mmask64 mask = bytes - x >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (bytes - x)) - 1;
            columns64(from + x, in_stride, w->count[y], pair, mask, out + (size_t)y * out_stride + x);
        }
    }
}

const mcf_resize_passes *mcf_resize_avx512(void)
{
    static const mcf_resize_passes passes = {"avx512", horizontal, vertical};
    bool there = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
                 __builtin_cpu_supports("avx512vnni") && mcf_resize_avx2();
    return there ? &passes : NULL;
}

#else
const mcf_resize_passes *mcf_resize_avx512(void)
{
    return NULL;
}
#endif
