// attention.cu and the products with tiles, by counting the instructions of their machine code.
//
// `ci/attention-instructions` counts what a warp issues for one tile, by pipe, in the code that nvcc 11.8 makes for
// sm_70. Cycles of a multiprocessor's quarter on sm_70 for a warp's instruction (NVIDIA Tesla V100 GPU Architecture:
// 16 fp32, 16 int and 4 special lanes, two tensor cores of 64 FMAs a cycle; a HMMA.884 is 256 FMAs): HMMA 2, fp32 2,
// the rest 2, XU 8. Shared memory is the multiprocessor's: 128 bytes a cycle. Cards with more lanes and faster cores
// take as many cycles fewer; their compilers' code is taken to be the same.
//
// Two bounds: every pipe waits for all others (what is predicted: within a tile a warp's products, softmax and moves
// depend on each other, and two or three blocks have barriers), and the busiest pipe never waits (what better
// scheduling could reach). The truth lies between.
#include <math.h>

#include "backends/cuda/fits.h"
#include "train/predict_time.h"

enum { KEYS = 32, WARPS = 4 }; // of a tile and of a block, as in attention.cu

typedef struct {
    double hmma, fp32, rest, xu, shared; // shared in cycles
    int blocks;                          // on a multiprocessor at once, by registers (65536) and shared memory (96 KiB)
} loop;

// [channels 32, 64][forward, backward q, backward kv]
static const loop loops[2][3] = {
    {{128, 152, 222, 33, 162, 4}, {192, 112, 299, 32, 208, 4}, {256, 113, 293, 48, 298, 3}},
    {{256, 168, 226, 33, 226, 3}, {384, 112, 295, 32, 304, 3}, {512, 113, 301, 48, 426, 2}},
};

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
    return l->blocks * (overlaps ? most : sum);
}

// The first and the last part of a block count as one tile more.
static double kernel_seconds(const mcf_card *card, const loop *l, bool overlaps, const int64_t dim[5])
{
    const double blocks = ceil((double)dim[1] / CUDA_ATTENTION_ROWS) * (double)(dim[0] * dim[3]);
    const double waves = ceil(blocks / (card->units * l->blocks));
    return waves * (ceil((double)dim[1] / KEYS) + 1) * tile_cycles(card, l, overlaps) / card->clock;
}

mcf_estimate mcf_estimate_attention(const mcf_card *card, const mcf_what_if *what, const int64_t dim[5], bool backward)
{
    const loop *const of = loops[dim[4] == 64];
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
