// A pass over memory and the shared kernel of products: what all other estimates are made of.
#include <math.h>

#include "bench/estimate/time.h"

mcf_estimate mcf_estimate_pass(const mcf_card *card, mcf_way way, double instructions, double bytes, double in_flight,
                               int kernels)
{
    mcf_estimate e = {.way = way, .kernels = kernels, .bytes = bytes};
    e.compute = instructions / (card->units * 4 * 32 * card->clock);
    e.memory = bytes / mcf_card_stream(card, in_flight);
    e.seconds = fmax(e.compute, e.memory);
    return e;
}

void mcf_estimate_add(mcf_estimate *to, const mcf_estimate *e)
{
    to->kernels += e->kernels;
    to->bytes += e->bytes;
    to->compute += e->compute;
    to->memory += e->memory;
    to->seconds += e->seconds;
}

// product_tile in sm_70's machine code (cuobjdump of instances/product_tile.cu.o in a tree of ci/cuda-toolchains):
// four steps of k are 64 FFMA and 32 LDS of 102 instructions, the copies of two of a lane's four elements 138. So for
// 16 steps a warp issues 256 FFMA, 128 LDS and 8 STS of a cycle of shared memory each, and 300 others. Pipes wait for
// each other, as in attention.c. Eight warps make a tile of 64 x 64.
double mcf_tiles_seconds(const mcf_card *card, double m, double n, double k, double batch)
{
    const double fp32 = 256, rest = 300, shared_cycles = 136; // a warp, 16 steps
    const double lanes = card->f32 / 2 / card->units / card->clock / 4;
    const double warp = (fp32 * 32 / lanes + rest * 2) / 4 + shared_cycles; // cycles of a multiprocessor
    const double blocks = ceil(m / 64) * ceil(n / 64) * batch, waves = ceil(blocks / card->units);
    return waves * 8 * warp * ceil(k / 16) / card->clock;
}
