// attention.cu and attention_volta.cu, by counting the instructions of their machine code.
//
// `ci/attention-instructions` counts what a warp issues for one tile, by pipe, in the code that nvcc 11.8 makes: of
// attention_volta.cu for sm_70, of attention.cu for sm_75 and sm_80; that for sm_86 to sm_90 hardly differs from the last. A warp without rows only loads, and of a
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

// [sm_75, from sm_80 on][channels 32, 64][forward, backward q, backward kv]
static const loop loops[2][2][3] = {
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

// A kernel of attention_volta.cu.
typedef struct {
    double hmma, fp32, rest, xu, shared; // of a warp with rows, for 16 tokens; hmma in 256 FMAs, shared in cycles
    double tile_fp32, tile_rest, tile_xu, tile_shared; // and beside them for a tile
    double load, load_shared;                          // of every warp, to load the tile
    double registers, room;
} volta_loop;
enum { FORWARD, FORWARD_WIDE, BACKWARD_Q, BACKWARD_KV, BACKWARD_FIVE, BACKWARD_DS, VOLTA_KERNELS };

// [channels 32, 64]
static const volta_loop volta_loops[2][6] = {
    {{64, 0, 11, 8, 38, 156, 93, 34, 4, 42, 16, 116, 10240},
     {128, 0, 24, 16, 44, 184, 54, 36, 8, 24, 8, 162, 5120},
     {96, 26, 38, 16, 54, 0, 5, 0, 0, 45, 16, 118, 10240},
     {128, 16, 40, 24, 84, 0, 7, 0, 0, 72, 18, 134, 10752},
     {128, 16, 54, 24, 84, 0, 7, 0, 0, 139, 23, 140, 10752},
     {64, 0, 66, 0, 16, 0, 20, 0, 0, 33, 8, 92, 5120}},
    {{128, 0, 11, 8, 70, 172, 92, 34, 4, 76, 32, 156, 18432},
     {256, 0, 24, 16, 76, 216, 54, 36, 8, 42, 16, 244, 9216},
     {192, 26, 38, 16, 102, 0, 5, 0, 0, 79, 32, 166, 18432},
     {256, 16, 40, 24, 148, 0, 7, 0, 0, 106, 34, 203, 18944},
     {256, 16, 54, 24, 148, 0, 7, 0, 0, 251, 49, 222, 18944},
     {128, 0, 66, 0, 32, 0, 20, 0, 0, 53, 16, 122, 9216}},
};
_Static_assert(sizeof volta_loops[0] / sizeof volta_loops[0][0] == VOLTA_KERNELS, "a row for each kernel");

// Blocks of a kernel that run on a multiprocessor at once: it has 65536 registers.
static int blocks_of(const mcf_card *card, double registers, double room)
{
    return (int)fmin(65536 / (32 * WARPS * ceil(registers / 8) * 8), mcf_card_room(card) / room);
}

// Cycles of a multiprocessor for what a warp of each quarter issues, on average; no two pipes at once, or all at the same
// time.
static double pipe_cycles(const mcf_card *card, double products, double fp32, double rest, double xu, double shared,
                          bool overlaps)
{
    const double per_quarter = card->units * card->clock * 4;
    const double pipes[] = {products * 256 * 2 * per_quarter / card->f16, fp32 * 32 * 2 * per_quarter / card->f32,
                            rest * 2, xu * 8, shared * WARPS};
    double sum = 0, most = products + fp32 + xu + rest + shared; // an instruction a cycle
    for (int i = 0; i < 5; i++) {
        sum += pipes[i];
        most = fmax(most, pipes[i]);
    }
    return overlaps ? most : sum;
}

// Cycles of a multiprocessor for a tile of all blocks that it runs at once; `live` of a block's warps have rows, on
// average.
static double tile_cycles(const mcf_card *card, const loop *l, double live, bool half, bool overlaps)
{
    const double share = live / WARPS;
    return blocks_of(card, l->registers, l->room) *
           pipe_cycles(card, share * (half ? l->hmma - l->half_hmma : l->hmma), share * l->fp32,
                       share * (half ? l->rest - l->half_rest : l->rest) + l->load, share * l->xu,
                       share * (half ? l->shared - l->half_shared : l->shared) + l->load_shared, overlaps);
}

// The first and the last part of a block count as one tile more.
static double kernel_seconds(const mcf_card *card, const loop *l, bool overlaps, const int64_t dim[5])
{
    const double each = ceil((double)dim[1] / CUDA_ATTENTION_ROWS), live = ceil((double)dim[1] / 16) / each;
    const double waves =
        ceil(each * (double)(dim[0] * dim[3]) / (card->units * blocks_of(card, l->registers, l->room)));
    const bool half = dim[1] % KEYS > 0 && dim[1] % KEYS <= KEYS / 2;
    const double cycles = (ceil((double)dim[1] / KEYS) + !half) * tile_cycles(card, l, live, false, overlaps) +
                          half * tile_cycles(card, l, live, true, overlaps);
    return waves * cycles / card->clock;
}

// The same of attention_volta.cu, where they count as 32 tokens more.
static double volta_seconds(const mcf_card *card, int kernel, bool overlaps, const int64_t dim[5])
{
    const volta_loop *l = &volta_loops[dim[4] == 64][kernel];
    const double tokens = (double)dim[1], keys = kernel == FORWARD_WIDE ? 32 : 64,
                 rows = kernel == FORWARD_WIDE || kernel == BACKWARD_DS ? 32 : 16;
    const double each = ceil(tokens / (rows * WARPS)), share = ceil(tokens / rows) / each / WARPS;
    const double blocks = blocks_of(card, l->registers, l->room);
    const double waves = ceil(each * (double)(dim[0] * dim[3]) / (card->units * blocks));
    const double parts = ceil(tokens / 16) + 2, tiles = ceil(tokens / keys) + 32 / keys;
    const double cycles =
        pipe_cycles(card, share * parts * l->hmma, share * (parts * l->fp32 + tiles * l->tile_fp32),
                    share * (parts * l->rest + tiles * l->tile_rest) + tiles * l->load,
                    share * (parts * l->xu + tiles * l->tile_xu),
                    share * (parts * l->shared + tiles * l->tile_shared) + tiles * l->load_shared, overlaps);
    return waves * blocks * cycles / card->clock;
}

static void add_kernel(mcf_estimate *e, double compute, double bytes, double stream)
{
    e->kernels++;
    e->bytes += bytes;
    e->compute += compute;
    e->memory += bytes / stream;
    e->seconds += fmax(compute, bytes / stream);
}

mcf_estimate mcf_estimate_attention(const mcf_card *card, const mcf_what_if *what, const int64_t dim[5], bool backward)
{
    const double tensor = (double)(dim[0] * dim[1] * dim[3] * dim[4]) * 2; // bytes of q
    const double statistics = (double)(dim[0] * dim[1] * dim[3]) * 4;
    const double stream = mcf_card_stream(card, 1 << 20);
    const double product = 2.0 * (double)(dim[0] * dim[3] * dim[1] * dim[1] * dim[4]);
    const bool overlaps = what->attention_overlaps, volta = cuda_attention_fits_volta(card->sm, MCF_F16);
    const loop *const of = loops[card->sm >= 80][dim[4] == 64];
    mcf_estimate e = {.way = MCF_WAY_ATTENTION};
    if (!backward) {
        const int kernel = cuda_attention_volta_rows(dim[1]) > CUDA_ATTENTION_ROWS ? FORWARD_WIDE : FORWARD;
        e.flops = 2 * product;
        add_kernel(&e, volta ? volta_seconds(card, kernel, overlaps, dim) : kernel_seconds(card, &of[0], overlaps, dim),
                   4 * tensor + statistics, stream);
    } else if (volta && dim[1] <= CUDA_ATTENTION_FIVE) {
        const double scores = (double)cuda_attention_volta_scores(dim);
        e.flops = 5 * product;
        add_kernel(&e, volta_seconds(card, BACKWARD_FIVE, overlaps, dim), (3 + 2 + 2) * tensor + statistics + scores,
                   stream);
        add_kernel(&e, volta_seconds(card, BACKWARD_DS, overlaps, dim), (1 + 1) * tensor + scores, stream);
        e.scratch[3] = scores;
    } else {
        e.flops = 7 * product;
        add_kernel(&e,
                   volta ? volta_seconds(card, BACKWARD_Q, overlaps, dim) : kernel_seconds(card, &of[1], overlaps, dim),
                   (3 + 2 + 1) * tensor + 2 * statistics, stream);
        add_kernel(
            &e, volta ? volta_seconds(card, BACKWARD_KV, overlaps, dim) : kernel_seconds(card, &of[2], overlaps, dim),
            (3 + 1 + 2) * tensor + 2 * statistics, stream);
        e.scratch[3] = statistics;
    }
    return e;
}
