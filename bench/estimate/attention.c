// attention.cu and the products with tiles, by counting the instructions of their machine code.
//
// `ci/attention-instructions` counts what a warp issues for one tile, by pipe, in the code that nvcc 11.8 makes for
// sm_70, sm_75 and sm_80; that for sm_86 to sm_90 hardly differs from the last. Cycles of a multiprocessor's quarter
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
    double hmma, fp32, rest, xu, shared; // a warp's, for a tile; hmma in 256 FMAs, shared in cycles
    double registers, room;              // of a lane; bytes of shared memory of a block
} loop;

// [sm_70, sm_75, from sm_80 on][channels 32, 64][forward, backward q, backward kv]
static const loop loops[3][2][3] = {
    {{{128, 152, 230, 33, 162, 127, 18432}, {192, 112, 307, 32, 208, 128, 23552}, {256, 113, 303, 48, 298, 156, 23808}},
     {{256, 168, 234, 33, 226, 160, 22528},
      {384, 112, 303, 32, 304, 167, 27648},
      {512, 113, 311, 48, 426, 232, 27904}}},
    {{{128, 152, 209, 33, 122, 112, 18432}, {192, 112, 284, 32, 152, 111, 23552}, {256, 113, 277, 48, 218, 149, 23808}},
     {{256, 168, 210, 33, 154, 143, 22528},
      {384, 112, 285, 32, 200, 148, 27648},
      {512, 113, 278, 48, 282, 200, 27904}}},
    {{{128, 152, 212, 17, 122, 96, 18432}, {192, 112, 274, 16, 152, 96, 23552}, {256, 113, 284, 16, 218, 127, 23808}},
     {{256, 168, 212, 17, 154, 128, 22528},
      {384, 112, 278, 16, 200, 128, 27648},
      {512, 113, 293, 16, 282, 168, 27904}}},
};

// Blocks of a kernel that run on a multiprocessor at once: it has 65536 registers.
static int blocks_of(const mcf_card *card, const loop *l)
{
    const double by_registers = 65536 / (32 * WARPS * ceil(l->registers / 8) * 8),
                 by_room = mcf_card_room(card) / l->room;
    return (int)fmin(by_registers, by_room);
}

// Cycles of a multiprocessor for a tile of all blocks that it runs at once.
static double tile_cycles(const mcf_card *card, const loop *l, bool overlaps)
{
    const double per_quarter = card->units * card->clock * 4;
    const double hmma = 256 * 2 * per_quarter / card->f16, fp32 = 32 * 2 * per_quarter / card->f32;
    const double pipes[] = {l->hmma * hmma, l->fp32 * fp32, l->rest * 2, l->xu * 8, l->shared * WARPS};
    double sum = 0, most = l->hmma + l->fp32 + l->rest + l->xu + l->shared; // an instruction a cycle
    for (int i = 0; i < 5; i++) {
        sum += pipes[i];
        most = fmax(most, pipes[i]);
    }
    return blocks_of(card, l) * (overlaps ? most : sum);
}

// The first and the last part of a block count as one tile more.
static double kernel_seconds(const mcf_card *card, const loop *l, bool overlaps, const int64_t dim[5])
{
    const double blocks = ceil((double)dim[1] / CUDA_ATTENTION_ROWS) * (double)(dim[0] * dim[3]);
    const double waves = ceil(blocks / (card->units * blocks_of(card, l)));
    return waves * (ceil((double)dim[1] / KEYS) + 1) * tile_cycles(card, l, overlaps) / card->clock;
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
        all.shared += of[2].shared - of[1].shared;
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
