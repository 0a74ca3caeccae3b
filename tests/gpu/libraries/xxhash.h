// Stand-in for xxHash in the build of ci/gpu-check: XXH64 by its published description, over whole buffers and piece by
// piece, under the library's names. tests/train/test_stand_ins.c compares it with the library's.
#ifndef MCF_STAND_IN_XXHASH_H
#define MCF_STAND_IN_XXHASH_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t XXH64_hash_t;
typedef struct {
    uint64_t lane[4], seed, total;
    unsigned char rest[32]; // of a stripe that is not full
} XXH64_state_t;

#define MCF_XXH_1 UINT64_C(0x9E3779B185EBCA87)
#define MCF_XXH_2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define MCF_XXH_3 UINT64_C(0x165667B19E3779F9)
#define MCF_XXH_4 UINT64_C(0x85EBCA77C2B2AE63)
#define MCF_XXH_5 UINT64_C(0x27D4EB2F165667C5)

static inline uint64_t mcf_xxh_turn(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline uint64_t mcf_xxh_round(uint64_t lane, uint64_t word)
{
    return mcf_xxh_turn(lane + word * MCF_XXH_2, 31) * MCF_XXH_1;
}

static inline void mcf_xxh_stripe(XXH64_state_t *s, const unsigned char *bytes)
{
    uint64_t word[4];
    memcpy(word, bytes, sizeof word);
    for (int i = 0; i < 4; i++)
        s->lane[i] = mcf_xxh_round(s->lane[i], word[i]);
}

static inline int XXH64_reset(XXH64_state_t *s, uint64_t seed)
{
    *s =
        (XXH64_state_t){.lane = {seed + MCF_XXH_1 + MCF_XXH_2, seed + MCF_XXH_2, seed, seed - MCF_XXH_1}, .seed = seed};
    return 0;
}

static inline int XXH64_update(XXH64_state_t *s, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    while (size > 0) {
        const size_t at = s->total % 32, part = size < 32 - at ? size : 32 - at;
        if (part == 32)
            mcf_xxh_stripe(s, bytes);
        else
            memcpy(s->rest + at, bytes, part);
        if (part < 32 && at + part == 32)
            mcf_xxh_stripe(s, s->rest);
        s->total += part;
        bytes += part;
        size -= part;
    }
    return 0;
}

static inline uint64_t XXH64_digest(const XXH64_state_t *s)
{
    uint64_t h = s->seed + MCF_XXH_5;
    if (s->total >= 32) {
        h = mcf_xxh_turn(s->lane[0], 1) + mcf_xxh_turn(s->lane[1], 7) + mcf_xxh_turn(s->lane[2], 12) +
            mcf_xxh_turn(s->lane[3], 18);
        for (int i = 0; i < 4; i++)
            h = (h ^ mcf_xxh_round(0, s->lane[i])) * MCF_XXH_1 + MCF_XXH_4;
    }
    h += s->total;
    const unsigned char *at = s->rest, *end = at + s->total % 32;
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        h = mcf_xxh_turn(h ^ mcf_xxh_round(0, word), 27) * MCF_XXH_1 + MCF_XXH_4;
    }
    for (; end - at >= 4; at += 4) {
        uint32_t word;
        memcpy(&word, at, 4);
        h = mcf_xxh_turn(h ^ word * MCF_XXH_1, 23) * MCF_XXH_2 + MCF_XXH_3;
    }
    for (; at < end; at++)
        h = mcf_xxh_turn(h ^ *at * MCF_XXH_5, 11) * MCF_XXH_1;
    h = (h ^ h >> 33) * MCF_XXH_2;
    h = (h ^ h >> 29) * MCF_XXH_3;
    return h ^ h >> 32;
}

static inline uint64_t XXH64(const void *data, size_t size, uint64_t seed)
{
    XXH64_state_t s;
    XXH64_reset(&s, seed);
    XXH64_update(&s, data, size);
    return XXH64_digest(&s);
}

static inline XXH64_state_t *XXH64_createState(void)
{
    return malloc(sizeof(XXH64_state_t));
}

static inline int XXH64_freeState(XXH64_state_t *s)
{
    free(s);
    return 0;
}

#endif
