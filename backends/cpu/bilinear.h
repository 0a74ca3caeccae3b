// Places between pixels, corners not aligned: pixel i of `to` lies at max((i + 1/2) from/to - 1/2, 0) of `from` pixels.
#ifndef MCF_BACKENDS_CPU_BILINEAR_H
#define MCF_BACKENDS_CPU_BILINEAR_H

#include <stdint.h>

typedef struct {
    int64_t at[2]; // neighbours; the same one at the far edge
    float weight[2];
} mcf_cpu_between;

// In double, as the places of a map of 512 pixels keep only 14 bits of a float behind the point.
static inline mcf_cpu_between mcf_cpu_bilinear(int64_t i, int64_t from, int64_t to)
{
    double place = ((double)i + 0.5) * (double)from / (double)to - 0.5;
    if (place < 0)
        place = 0;
    mcf_cpu_between b;
    b.at[0] = (int64_t)place;
    b.at[1] = b.at[0] + 1 < from ? b.at[0] + 1 : b.at[0];
    b.weight[1] = (float)(place - (double)b.at[0]);
    b.weight[0] = 1 - b.weight[1];
    return b;
}

// What pixel i weighs in it: 0 where it is no neighbour.
static inline float mcf_cpu_weight_in(const mcf_cpu_between *b, int64_t i)
{
    return (b->at[0] == i ? b->weight[0] : 0) + (b->at[1] == i ? b->weight[1] : 0);
}

#endif
