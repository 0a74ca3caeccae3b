#include "base/rng.h"

#include <math.h>
#include <Random123/philox.h>

mcf_rng mcf_rng_make(uint64_t seed, mcf_rng_purpose purpose, uint32_t epoch, uint64_t sample)
{
    mcf_rng rng = {
        .key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
        .counter = {0, epoch, (uint32_t)sample, (uint32_t)purpose << 24 | (uint32_t)(sample >> 32 & 0xffffff)},
    };
    return rng;
}

static void next_block(mcf_rng *rng)
{
    philox4x32_ctr_t counter = {{rng->counter[0], rng->counter[1], rng->counter[2], rng->counter[3]}};
    philox4x32_key_t key = {{rng->key[0], rng->key[1]}};
    philox4x32_ctr_t block = philox4x32_R(10, counter, key);
    for (int i = 0; i < 4; i++)
        rng->word[i] = block.v[i];
    rng->counter[0]++;
    rng->left = 4;
}

uint32_t mcf_rng_u32(mcf_rng *rng)
{
    if (rng->left == 0)
        next_block(rng);
    return rng->word[4 - rng->left--];
}

uint64_t mcf_rng_u64(mcf_rng *rng)
{
    uint64_t low = mcf_rng_u32(rng);
    return low | (uint64_t)mcf_rng_u32(rng) << 32;
}

// Multiply-shift: the high half of word * n is the draw; low halves under 2^w mod n would favour some
// results.
uint64_t mcf_rng_below(mcf_rng *rng, uint64_t n)
{
    if (n <= UINT32_MAX) {
        uint32_t range = (uint32_t)n;
        uint64_t product = (uint64_t)mcf_rng_u32(rng) * range;
        if ((uint32_t)product < range) {
            uint32_t floor = -range % range;
            while ((uint32_t)product < floor)
                product = (uint64_t)mcf_rng_u32(rng) * range;
        }
        return product >> 32;
    }
    uint64_t floor = -n % n, word;
    do {
        word = mcf_rng_u64(rng);
    } while (word < floor);
    return word % n;
}

float mcf_rng_float(mcf_rng *rng)
{
    return (float)(mcf_rng_u32(rng) >> 8) * 0x1p-24f;
}

double mcf_rng_double(mcf_rng *rng)
{
    return (double)(mcf_rng_u64(rng) >> 11) * 0x1p-53;
}

double mcf_rng_normal(mcf_rng *rng)
{
    if (rng->has_spare) {
        rng->has_spare = 0;
        return rng->spare;
    }
    double radius = sqrt(-2.0 * log(1.0 - mcf_rng_double(rng))); // 1 - u lies in (0, 1]
    double angle = 6.283185307179586476925286766559 * mcf_rng_double(rng);
    rng->spare = radius * sin(angle);
    rng->has_spare = 1;
    return radius * cos(angle);
}

void mcf_rng_permutation(mcf_rng *rng, int64_t *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t j = (int64_t)mcf_rng_below(rng, (uint64_t)i + 1);
        out[i] = out[j]; // the inside-out form: no separate fill
        out[j] = i;
    }
}
