// Random streams: Random123's known answers, independence of names, and shapes of the distributions.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

// kat_vectors of Random123 for philox4x32-10: key and counter of all zeros, and of all ones.
static void known_answers(void **state)
{
    (void)state;
    const uint32_t zeros[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    const uint32_t ones[4] = {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
    mcf_rng rng = mcf_rng_make(0, (mcf_rng_purpose)0, 0, 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(mcf_rng_u32(&rng), zeros[i]);
    rng = mcf_rng_make(UINT64_MAX, (mcf_rng_purpose)255, UINT32_MAX, ((uint64_t)1 << 56) - 1);
    rng.counter[0] = UINT32_MAX;
    for (int i = 0; i < 4; i++)
        assert_int_equal(mcf_rng_u32(&rng), ones[i]);
}

static void names_make_streams(void **state)
{
    (void)state;
    mcf_rng base = mcf_rng_make(1, MCF_RNG_FLIP, 2, 3);
    mcf_rng others[] = {mcf_rng_make(2, MCF_RNG_FLIP, 2, 3),
                        mcf_rng_make(1, MCF_RNG_SHUFFLE, 2, 3),
                        mcf_rng_make(1, MCF_RNG_FLIP, 3, 3),
                        mcf_rng_make(1, MCF_RNG_FLIP, 2, 4),
                        mcf_rng_make(1, MCF_RNG_FLIP, 2, 3 + ((uint64_t)1 << 32)),
                        mcf_rng_make(1 + ((uint64_t)1 << 32), MCF_RNG_FLIP, 2, 3)};
    mcf_rng same = mcf_rng_make(1, MCF_RNG_FLIP, 2, 3);
    uint64_t first = mcf_rng_u64(&base);
    assert_int_equal(first, mcf_rng_u64(&same));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_not_equal(first, mcf_rng_u64(&others[i]));
}

static void moments(void **state)
{
    (void)state;
    enum { N = 200000 };
    mcf_rng rng = mcf_rng_make(5, MCF_RNG_TEST, 0, 0);
    double sum = 0, normal = 0, square = 0, fourth = 0;
    for (int i = 0; i < N; i++) {
        float f = mcf_rng_float(&rng);
        double d = mcf_rng_double(&rng), z = mcf_rng_normal(&rng);
        assert_true(f >= 0 && f < 1 && d >= 0 && d < 1);
        sum += f + d;
        normal += z;
        square += z * z;
        fourth += z * z * z * z;
    }
    // Six standard errors.
    assert_true(fabs(sum / (2.0 * N) - 0.5) < 6 * sqrt(1.0 / 12 / (2.0 * N)));
    assert_true(fabs(normal / N) < 6 / sqrt(N));
    assert_true(fabs(square / N - 1) < 6 * sqrt(2.0 / N));
    assert_true(fabs(fourth / N - 3) < 6 * sqrt(96.0 / N));
}

static void below_is_even(void **state)
{
    (void)state;
    mcf_rng rng = mcf_rng_make(6, MCF_RNG_TEST, 0, 0);
    int count[7] = {0};
    for (int i = 0; i < 70000; i++)
        count[mcf_rng_below(&rng, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_true(abs(count[i] - 10000) < 600);
    // Where a plain remainder would favour the lower third twice over: n = 3 * 2^30.
    int low = 0;
    for (int i = 0; i < 30000; i++)
        low += mcf_rng_below(&rng, (uint64_t)3 << 30) < (uint64_t)1 << 30;
    assert_true(abs(low - 10000) < 500);
    for (int i = 0; i < 1000; i++)
        assert_true(mcf_rng_below(&rng, ((uint64_t)1 << 40) + 1) <= (uint64_t)1 << 40);
    assert_int_equal(mcf_rng_below(&rng, 1), 0);
}

static void permutations(void **state)
{
    (void)state;
    int64_t order[1000];
    char seen[1000] = {0};
    mcf_rng rng = mcf_rng_make(7, MCF_RNG_TEST, 0, 0);
    mcf_rng_permutation(&rng, order, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_true(order[i] >= 0 && order[i] < 1000 && !seen[order[i]]);
        seen[order[i]] = 1;
    }
    int count[6] = {0};
    for (uint32_t e = 0; e < 12000; e++) {
        rng = mcf_rng_make(8, MCF_RNG_TEST, e, 0);
        mcf_rng_permutation(&rng, order, 3);
        count[order[0] * 2 + (order[1] > order[2])]++;
    }
    for (int i = 0; i < 6; i++)
        assert_true(abs(count[i] - 2000) < 250);
    mcf_rng_permutation(&rng, order, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers), cmocka_unit_test(names_make_streams), cmocka_unit_test(moments),
        cmocka_unit_test(below_is_even), cmocka_unit_test(permutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
