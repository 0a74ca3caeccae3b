// Stand-in for Random123 in the build of ci/gpu-check: Philox4x32 as Salmon et al. (2011) give it, section 3.3, under
// Random123's names. tests/train/test_stand_ins.c compares it with the library's.
#ifndef MCF_STAND_IN_PHILOX_H
#define MCF_STAND_IN_PHILOX_H

#include <stdint.h>

typedef struct {
    uint32_t v[4];
} philox4x32_ctr_t;
typedef struct {
    uint32_t v[2];
} philox4x32_key_t;

static inline philox4x32_ctr_t philox4x32_R(unsigned rounds, philox4x32_ctr_t c, philox4x32_key_t k)
{
    for (unsigned i = 0; i < rounds; i++) {
        const uint64_t a = (uint64_t)0xD2511F53 * c.v[0], b = (uint64_t)0xCD9E8D57 * c.v[2];
        c = (philox4x32_ctr_t){
            {(uint32_t)(b >> 32) ^ c.v[1] ^ k.v[0], (uint32_t)b, (uint32_t)(a >> 32) ^ c.v[3] ^ k.v[1], (uint32_t)a}};
        k.v[0] += 0x9E3779B9; // the golden ratio
        k.v[1] += 0xBB67AE85; // sqrt(3) - 1
    }
    return c;
}

#endif
