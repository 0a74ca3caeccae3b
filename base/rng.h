// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, Random123).
// A stream is named by (seed, purpose, epoch, sample) and by nothing else, so masks, crops, flips and dropout
// do not depend on threads, devices, batch order or restarts.
//
// Layout: key = seed (64 bits); counter = { block, epoch, sample low 32, purpose << 24 | sample high 24 }.
// Streams with different names never share a counter; one stream holds 2^34 32-bit words.
#ifndef MCF_BASE_RNG_H
#define MCF_BASE_RNG_H

#include <stdint.h>

// The numbers are part of what a checkpoint means: add at the end, never renumber.
typedef enum {
    MCF_RNG_SHUFFLE = 1,     // order of the samples; epoch
    MCF_RNG_FRACTION = 2,    // seeded subset of a data set; epoch 0
    MCF_RNG_FLIP = 3,        // horizontal flip; epoch, sample
    MCF_RNG_MASK_ONLINE = 4, // ids_shuffle; epoch, sample
    MCF_RNG_MASK_TARGET = 5, // ids_shuffle_target; epoch, sample
    MCF_RNG_INIT = 6,        // initial parameters; sample = index of the tensor
    MCF_RNG_AUGMENT1 = 7,    // first (or only) view
    MCF_RNG_AUGMENT2 = 8,    // second view
    MCF_RNG_DROPOUT = 9,     // epoch = step, sample = node
    MCF_RNG_SYNTH = 10,      // generated inputs
    MCF_RNG_TEST = 11,
    MCF_RNG_NOISE = 12 // of a face's pixels; the seed is drawn from MCF_RNG_AUGMENT1
} mcf_rng_purpose;

// A position in one stream. Copy freely; not to be shared between threads.
typedef struct {
    uint32_t key[2];
    uint32_t counter[4];
    uint32_t word[4];
    int left; // words of the current block not yet given out
    int has_spare;
    double spare; // second normal of a Box-Muller pair
} mcf_rng;

// sample < 2^56. The stream starts at its first word.
mcf_rng mcf_rng_make(uint64_t seed, mcf_rng_purpose purpose, uint32_t epoch, uint64_t sample);

uint32_t mcf_rng_u32(mcf_rng *rng);               // uniform over all 32-bit words; 1 word
uint64_t mcf_rng_u64(mcf_rng *rng);               // 2 words, low one first
uint64_t mcf_rng_below(mcf_rng *rng, uint64_t n); // uniform over 0..n-1 without bias, n >= 1 (Lemire 2019)
float mcf_rng_float(mcf_rng *rng);                // uniform in [0, 1), multiples of 2^-24; 1 word
double mcf_rng_double(mcf_rng *rng);              // uniform in [0, 1), multiples of 2^-53; 2 words
double mcf_rng_normal(mcf_rng *rng);              // mean 0, deviation 1 (Box-Muller on doubles)

// Writes a permutation of 0..n-1, each of the n! equally likely (Fisher-Yates).
void mcf_rng_permutation(mcf_rng *rng, int64_t *out, int64_t n);

#endif
