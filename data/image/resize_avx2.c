// The two passes for AVX2. Exact: a 23-bit weight w = 256 h + l is multiplied as two 16-bit halves,
// sum(p w) = 256 sum(p h) + sum(p l), each sum by vpmaddwd over pairs of taps.
#include "data/image/resize_passes.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2")))

enum { WEIGHT_BITS = 22 };

AVX2 static inline __m256i finish(__m256i high, __m256i low)
{
    __m256i sum = _mm256_add_epi32(_mm256_slli_epi32(high, 8), low);
    sum = _mm256_add_epi32(sum, _mm256_set1_epi32(1 << (WEIGHT_BITS - 1)));
    return _mm256_srai_epi32(sum, WEIGHT_BITS);
}

AVX2 static inline __m256i load_pixel_pairs(const uint8_t *a, const uint8_t *b)
{
    const __m256i interleave = _mm256_setr_epi8(0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, 3, -1, 7, -1, //
                                                0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, 3, -1, 7, -1);
    __m128i pair_a = _mm_loadl_epi64((const __m128i *)a), pair_b = _mm_loadl_epi64((const __m128i *)b);
    return _mm256_shuffle_epi8(_mm256_inserti128_si256(_mm256_castsi128_si256(pair_a), pair_b, 1), interleave);
}

static inline void store4(uint8_t *to, int value)
{
    memcpy(to, &value, 4);
}

// Four rows at a time: their pixels share the weights. A 128-bit lane holds R, G, B, X of one row.
AVX2 static void horizontal(const mcf_image *image, int first_row, int rows, const mcf_resize_weights *w, uint8_t *out,
                            size_t out_stride)
{
    for (int y = 0; y < rows; y += 4) {
        const uint8_t *in[4];
        uint8_t *to[4];
        for (int i = 0; i < 4; i++) {
            int row = y + i < rows ? y + i : rows - 1; // the last group repeats the last row
            in[i] = image->pixels + (size_t)(first_row + row) * image->stride;
            to[i] = out + (size_t)row * out_stride;
        }
        const int32_t *pair = w->pair;
        for (int x = 0; x < w->outputs; x++, pair += 2 * w->pairs) {
            __m256i high01 = _mm256_setzero_si256(), low01 = high01, high23 = high01, low23 = high01;
            size_t at = (size_t)w->first[x] * 4;
            for (int p = 0; p < w->pairs; p++, at += 8) {
                __m256i h = _mm256_set1_epi32(pair[2 * p]), l = _mm256_set1_epi32(pair[2 * p + 1]);
                __m256i a = load_pixel_pairs(in[0] + at, in[1] + at), b = load_pixel_pairs(in[2] + at, in[3] + at);
                high01 = _mm256_add_epi32(high01, _mm256_madd_epi16(a, h));
                low01 = _mm256_add_epi32(low01, _mm256_madd_epi16(a, l));
                high23 = _mm256_add_epi32(high23, _mm256_madd_epi16(b, h));
                low23 = _mm256_add_epi32(low23, _mm256_madd_epi16(b, l));
            }
            __m256i words = _mm256_packs_epi32(finish(high01, low01), finish(high23, low23));
            __m256i bytes = _mm256_packus_epi16(words, words);
            __m128i rows02 = _mm256_castsi256_si128(bytes), rows13 = _mm256_extracti128_si256(bytes, 1);
            store4(to[0] + 3 * x, _mm_cvtsi128_si32(rows02));
            store4(to[1] + 3 * x, _mm_cvtsi128_si32(rows13));
            store4(to[2] + 3 * x, _mm_extract_epi32(rows02, 1));
            store4(to[3] + 3 * x, _mm_extract_epi32(rows13, 1));
        }
    }
}

// Sixteen columns of one output row; odd counts read the last row twice with weight 0.
AVX2 static inline void columns16(const uint8_t *in, size_t stride, int count, const int32_t *pair, uint8_t *to)
{
    __m256i high_a = _mm256_setzero_si256(), low_a = high_a, high_b = high_a, low_b = high_a;
    for (int k = 0; k < count; k += 2, pair += 2) {
        const uint8_t *row = in + (size_t)k * stride;
        __m128i r0 = _mm_loadu_si128((const __m128i *)row);
        __m128i r1 = k + 1 < count ? _mm_loadu_si128((const __m128i *)(row + stride)) : r0;
        __m256i a = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(r0, r1));
        __m256i b = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(r0, r1));
        __m256i h = _mm256_set1_epi32(pair[0]), l = _mm256_set1_epi32(pair[1]);
        high_a = _mm256_add_epi32(high_a, _mm256_madd_epi16(a, h));
        low_a = _mm256_add_epi32(low_a, _mm256_madd_epi16(a, l));
        high_b = _mm256_add_epi32(high_b, _mm256_madd_epi16(b, h));
        low_b = _mm256_add_epi32(low_b, _mm256_madd_epi16(b, l));
    }
    __m256i words = _mm256_packs_epi32(finish(high_a, low_a), finish(high_b, low_b));
    words = _mm256_permute4x64_epi64(words, 0xd8);
    __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128((__m128i *)to, bytes);
}

AVX2 static void vertical(const uint8_t *in, size_t in_stride, int first_row, size_t bytes, const mcf_resize_weights *w,
                          uint8_t *out, size_t out_stride)
{
    for (int y = 0; y < w->outputs; y++) {
        const uint8_t *from = in + (size_t)(w->first[y] - first_row) * in_stride;
        const int32_t *pair = w->pair + (size_t)y * (size_t)w->pairs * 2;
        uint8_t *to = out + (size_t)y * out_stride;
        size_t x = 0;
        for (; x + 16 <= bytes; x += 16)
            columns16(from + x, in_stride, w->count[y], pair, to + x);
        if (x < bytes) // the last group overlaps the one before: nothing is written past the row
            columns16(from + bytes - 16, in_stride, w->count[y], pair, to + bytes - 16);
    }
}

const mcf_resize_passes *mcf_resize_avx2(void)
{
    static const mcf_resize_passes passes = {"avx2", horizontal, vertical};
    return __builtin_cpu_supports("avx2") ? &passes : NULL;
}

#else
const mcf_resize_passes *mcf_resize_avx2(void)
{
    return NULL;
}
#endif
