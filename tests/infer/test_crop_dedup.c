// Near-duplicates by their hashes against every pair compared.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "infer/crop_internal.h"

static void by_every_pair(const uint64_t *hashes, int64_t count, int bits, bool *duplicate)
{
    for (int64_t i = 0; i < count; i++) {
        duplicate[i] = false;
        for (int64_t k = 0; k < i; k++)
            duplicate[i] |= __builtin_popcountll(hashes[i] ^ hashes[k]) <= bits;
    }
}

// Hashes in families: each is an earlier one with up to 20 bits turned over, or new.
static void draw_hashes(uint64_t *hashes, int64_t count, uint64_t seed)
{
    mcf_rng rng = mcf_rng_make(seed, MCF_RNG_SHUFFLE, 0, 0);
    for (int64_t i = 0; i < count; i++) {
        hashes[i] = (uint64_t)mcf_rng_u32(&rng) << 32 | mcf_rng_u32(&rng);
        if (i == 0 || mcf_rng_u32(&rng) % 3 == 0)
            continue;
        hashes[i] = hashes[mcf_rng_u32(&rng) % (uint32_t)i];
        for (uint32_t turns = mcf_rng_u32(&rng) % 21; turns > 0; turns--)
            hashes[i] ^= UINT64_C(1) << (mcf_rng_u32(&rng) % 64);
    }
}

static void test_like_every_pair(void **state)
{
    (void)state;
    enum { COUNT = 1500 };
    uint64_t *hashes = malloc(COUNT * sizeof *hashes);
    bool *got = malloc(COUNT), *want = malloc(COUNT);
    mcf_error err;
    for (int bits = 0; bits <= MCF_DEDUP_MOST; bits++) {
        int64_t marked = 0;
        draw_hashes(hashes, COUNT, (uint64_t)bits);
        by_every_pair(hashes, COUNT, bits, want);
        assert_int_equal(crop_mark_duplicates(hashes, COUNT, bits, got, &err), MCF_OK);
        assert_memory_equal(got, want, COUNT);
        for (int i = 0; i < COUNT; i++)
            marked += got[i];
        assert_true(marked > 20 && marked < COUNT - 20); // both answers were asked for
    }
    free(hashes);
    free(got);
    free(want);
}

static void test_ends(void **state)
{
    (void)state;
    const uint64_t hashes[] = {0, UINT64_MAX, 1, UINT64_C(1) << 63, 0, 3, UINT64_MAX >> 1};
    bool got[7];
    mcf_error err;
    assert_int_equal(crop_mark_duplicates(hashes, 0, 4, got, &err), MCF_OK);
    assert_int_equal(crop_mark_duplicates(hashes, 7, 0, got, &err), MCF_OK);
    assert_memory_equal(got, ((bool[]){0, 0, 0, 0, 1, 0, 0}), 7);
    assert_int_equal(crop_mark_duplicates(hashes, 7, 1, got, &err), MCF_OK);
    assert_memory_equal(got, ((bool[]){0, 0, 1, 1, 1, 1, 1}), 7); // 3 is near 1, which is near 0
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_like_every_pair), cmocka_unit_test(test_ends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
