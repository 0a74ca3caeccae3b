// attention.cu and the products with tiles, by counting the instructions of their machine code.
//
// `ci/attention-instructions` counts what a warp issues for one tile, by pipe, in the code that nvcc 11.8 makes for
// sm_70, sm_75 and sm_80; that for sm_86 to sm_90 hardly differs from the last. A warp without rows only loads, and of a
// last tile whose second half has no tokens the products of that half are left out; warps with rows are spread evenly
// over the schedulers, as attention.cu numbers them. Cycles of a multiprocessor's quarter
// for a warp's instruction (NVIDIA Tesla V100 GPU Architecture: 16 fp32, 16 int and 4 special lanes, two tensor cores
// of 64 FMAs a cycle): 256 FMAs of HMMA 2, fp32 2, the rest 2, XU 8. Shared memory is the multiprocessor's: 128 bytes
// a cycle. Cards with more fp32 lanes and faster tensor cores take as many cycles fewer.
//
// Two bounds: every pipe waits for all others (what is predicted: within a tile a warp's products, softmax and moves
// depend on each other, and two or three blocks have barriers), and the busiest pipe never waits (what better
// scheduling could reach). The truth lies between.
#include <math.h>

#include "backends/cuda/fits.h"
#include "bench/estimate/time.h"

enum { KEYS = 32, WARPS = 4 }; // of a tile and of a block, as in attention.cu

typedef struct {
    double hmma, fp32, rest, xu, shared;      // of a warp with rows, for a tile; hmma in 256 FMAs, shared in cycles
    double load, load_shared;                 // of every warp, to load the tile
    double half_hmma, half_rest, half_shared; // of the first what the tile's second half takes
    double registers, room;                   // of a lane; bytes of shared memory of a block
} loop;

// [sm_70, sm_75, from sm_80 on][channels 32, 64][forward, backward q, backward kv]
static const loop loops[3][2][3] = {
    {{{128, 152, 118, 33, 138, 24, 8, 64, 6, 48, 102, 18432},
      {192, 112, 186, 32, 184, 24, 8, 96, 10, 72, 103, 23552},
      {256, 112, 180, 48, 272, 51, 10, 128, 12, 96, 147, 23808}},
     {{256, 168, 122, 33, 202, 42, 16, 128, 8, 80, 143, 22528},
      {384, 112, 197, 32, 280, 44, 16, 192, 14, 120, 159, 27648},
      {512, 112, 187, 48, 400, 68, 18, 256, 16, 160, 214, 27904}}},
    {{{128, 152, 89, 33, 98, 22, 8, 64, 3, 28, 91, 18432},
      {192, 112, 159, 32, 128, 22, 8, 96, 4, 44, 84, 23552},
      {256, 112, 154, 48, 192, 49, 10, 128, 6, 56, 130, 23808}},
     {{256, 168, 90, 33, 130, 40, 16, 128, 3, 44, 119, 22528},
      {384, 112, 161, 32, 176, 42, 16, 192, 4, 68, 116, 27648},
      {512, 112, 154, 48, 256, 66, 18, 256, 6, 88, 179, 27904}}},
    {{{128, 152, 95, 17, 98, 22, 8, 64, 5, 28, 85, 18432},
      {192, 112, 169, 16, 128, 22, 8, 96, 7, 44, 91, 23552},
      {256, 112, 169, 16, 192, 48, 10, 128, 9, 56, 128, 23808}},
     {{256, 168, 98, 17, 130, 40, 16, 128, 6, 44, 122, 22528},
      {384, 112, 172, 16, 176, 42, 16, 192, 9, 68, 125, 27648},
      {512, 112, 173, 16, 256, 65, 18, 256, 11, 88, 176, 27904}}},
};

// Blocks of a kernel that run on a multiprocessor at once: it has 65536 registers.
static int blocks_of(const mcf_card *card, const loop *l)
{
    const double by_registers = 65536 / (32 * WARPS * ceil(l->registers / 8) * 8),
                 by_room = mcf_card_room(card) / l->room;
    return (int)fmin(by_registers, by_room);
}

// Cycles of a multiprocessor for a tile of all blocks that it runs at once; `live` of a block's warps have rows, on
// average.
static double tile_cycles(const mcf_card *card, const loop *l, double live, bool half, bool overlaps)
{
    const double per_quarter = card->units * card->clock * 4, share = live / WARPS;
    const double hmma = 256 * 2 * per_quarter / card->f16, fp32 = 32 * 2 * per_quarter / card->f32;
    const double products = share * (half ? l->hmma - l->half_hmma : l->hmma),
                 rest = share * (half ? l->rest - l->half_rest : l->rest) + l->load,
                 shared = share * (half ? l->shared - l->half_shared : l->shared) + l->load_shared;
    const double pipes[] = {products * hmma, share * l->fp32 * fp32, rest * 2, share * l->xu * 8, shared * WARPS};
    double sum = 0, most = products + share * (l->fp32 + l->xu) + rest + shared; // an instruction a cycle
    for (int i = 0; i < 5; i++) {
        sum += pipes[i];
        most = fmax(most, pipes[i]);
    }
    return blocks_of(card, l) * (overlaps ? most : sum);
}

// The first and the last part of a block count as one tile more.
static double kernel_seconds(const mcf_card *card, const loop *l, bool overlaps, const int64_t dim[5])
{
    const double each = ceil((double)dim[1] / CUDA_ATTENTION_ROWS), live = ceil((double)dim[1] / 16) / each;
    const double waves = ceil(each * (double)(dim[0] * dim[3]) / (card->units * blocks_of(card, l)));
    const bool half = dim[1] % KEYS > 0 && dim[1] % KEYS <= KEYS / 2;
    const double cycles = (ceil((double)dim[1] / KEYS) + !half) * tile_cycles(card, l, live, false, overlaps) +
                          half * tile_cycles(card, l, live, true, overlaps);
    return waves * cycles / card->clock;
}

mcf_estimate mcf_estimate_attention(const mcf_card *card, const mcf_what_if *what, const int64_t dim[5], bool backward)
{
    const loop *const of = loops[card->sm >= 80 ? 2 : card->sm >= 75][dim[4] == 64];
    const double tensor = (double)(dim[0] * dim[1] * dim[3] * dim[4]) * 2; // bytes of q
    const double statistics = (double)(dim[0] * dim[1] * dim[3]) * 4;
    const double stream = mcf_card_stream(card, 1 << 20);
    const double product = 2.0 * (double)(dim[0] * dim[3] * dim[1] * dim[1] * dim[4]);
    mcf_estimate e = {.way = MCF_WAY_ATTENTION, .kernels = 1};
    const bool overlaps = what->attention_overlaps;
    if (!backward) {
        e.flops = 2 * product;
        e.bytes = 4 * tensor + statistics;
        e.compute = kernel_seconds(card, &of[0], overlaps, dim);
    } else if (what->attention_five) {
        // The kernel of dk and dv with one more product, which is what sets it apart from that of dq.
        loop all = of[2];
        all.hmma += of[2].hmma - of[1].hmma;
        all.half_hmma += of[2].half_hmma - of[1].half_hmma;
        all.shared += of[2].shared - of[1].shared;
        all.half_shared += of[2].half_shared - of[1].half_shared;
        e.flops = 5 * product;
        e.bytes = 8 * tensor + 2 * tensor * 2; // dq in fp32, added to
        e.compute = kernel_seconds(card, &all, overlaps, dim);
    } else {
        e.kernels = 2;
        e.flops = 7 * product;
        e.bytes = (3 + 2 + 1) * tensor + (3 + 1 + 2) * tensor + 4 * statistics;
        e.compute = kernel_seconds(card, &of[1], overlaps, dim) + kernel_seconds(card, &of[2], overlaps, dim);
        e.scratch[3] = statistics;
    }
    e.memory = e.bytes / stream;
    e.seconds = fmax(e.compute, e.memory);
    return e;
}
