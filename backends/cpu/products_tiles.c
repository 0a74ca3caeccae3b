// Large products on a matrix unit, packed on the way.
//
// The unit multiplies faster than the third-level cache delivers, so the loops see to it that both operands come from
// the second level: columns of b are packed a block at a time, by all threads together; then each thread packs 32
// rows of a after the other and runs them past the block. Measured on 2 cores of Sapphire Rapids (bf16, ViT-B's
// widths): 1,800 GFLOP/s a core in the innermost loop, 900 where b does not fit; oneDNN's best layout gives 1,000.
//
// Each element of c is one thread's, summed in the order of k: the bits do not depend on the number of threads.
#include "backends/cpu/products_tiles.h"

#include <omp.h>

enum {
    BLOCK_BYTES = 1 << 20, // of b: half of a second-level cache
    BF16_STEPS = 128,      // of 32 along k at a time, where sums can wait in c
    FLOAT_STEPS = 24,
    GROUP = 16, // steps packed by one thread at a time
};

typedef struct {
    int64_t steps;      // along k, of one chunk
    int64_t step_bytes; // of a panel
    int64_t panels;     // of b in a block
} blocking;

static int64_t ceiling(int64_t n, int64_t d)
{
    return (n + d - 1) / d;
}

static blocking choose(const mcf_cpu_tile_product *p)
{
    blocking b = {.steps = ceiling(p->k, MCF_CPU_BLOCK)};
    int64_t most = p->floats ? FLOAT_STEPS : BF16_STEPS;
    if (b.steps > most && !p->c_bf16)
        b.steps = ceiling(b.steps, ceiling(b.steps, most)); // chunks of about one size
    b.step_bytes = MCF_CPU_PANEL * (p->floats ? MCF_CPU_FLOAT_LEVELS : 1);
    int64_t all = ceiling(p->columns, MCF_CPU_BLOCK), fit = mcf_cpu_max(1, BLOCK_BYTES / (b.steps * b.step_bytes));
    b.panels = ceiling(all, ceiling(all, fit)); // blocks of about one size
    return b;
}

bool mcf_cpu_tiles_suit(const mcf_device *device, int64_t rows, int64_t columns, int64_t k)
{
    // With fewer rows b is read once either way, and packing it is the greater part.
    return device->kernels->tiles && rows >= MCF_CPU_BLOCK && columns >= MCF_CPU_BLOCK && k > 0;
}

int64_t mcf_cpu_tiles_scratch(const mcf_device *device, const mcf_cpu_tile_product *p)
{
    blocking b = choose(p);
    return (b.panels + device->threads) * b.steps * b.step_bytes;
}

static const void *element(const mcf_cpu_tile_product *p, const void *matrix, int64_t step, bool along, int64_t line,
                           int64_t k)
{
    int64_t at = along ? line * step + k : k * step + line;
    return (const unsigned char *)matrix + at * (p->floats ? 4 : 2);
}

// One thread's part.
static void run_share(const mcf_device *device, const mcf_cpu_tile_product *p, const blocking *b, unsigned char *block,
                      int thread, int threads)
{
    const mcf_cpu_tiles *tiles = device->kernels->tiles;
    int64_t panel_bytes = b->steps * b->step_bytes, row_panels = ceiling(p->rows, MCF_CPU_BLOCK);
    int64_t column_panels = ceiling(p->columns, MCF_CPU_BLOCK), groups = ceiling(b->steps, GROUP);
    unsigned char *rows = block + (b->panels + thread) * panel_bytes;
    mcf_cpu_tile_result result = {.step = p->columns, .bf16 = p->c_bf16};
    float sums[MCF_CPU_BLOCK * MCF_CPU_BLOCK] __attribute__((aligned(64)));
    tiles->begin();
    for (int64_t k = 0; k < p->k; k += b->steps * MCF_CPU_BLOCK) {
        int64_t depth = mcf_cpu_min(p->k - k, b->steps * MCF_CPU_BLOCK), steps = ceiling(depth, MCF_CPU_BLOCK);
        bool last = k + depth == p->k;
        result.accumulate = p->accumulate || k > 0;
        result.activation = last ? p->activation : MCF_ACT_NONE;
        for (int64_t j = 0; j < column_panels; j += b->panels) {
            int64_t panels = mcf_cpu_min(b->panels, column_panels - j), begin, end, packed = -1;
            mcf_cpu_share(panels * groups, threads, thread, &begin, &end);
            for (int64_t i = begin; i < end; i++) {
                int64_t panel = i / groups, step = i % groups * GROUP, column = (j + panel) * MCF_CPU_BLOCK;
                int64_t left = mcf_cpu_min(depth - step * MCF_CPU_BLOCK, GROUP * MCF_CPU_BLOCK);
                if (left > 0)
                    tiles->pack_b((uint16_t *)(block + panel * panel_bytes + step * b->step_bytes),
                                  element(p, p->b, p->b_step, p->b_along, column, k + step * MCF_CPU_BLOCK), p->b_step,
                                  mcf_cpu_min(p->columns - column, MCF_CPU_BLOCK), left, p->floats, p->b_along);
            }
#pragma omp barrier
            mcf_cpu_share(row_panels * panels, threads, thread, &begin, &end);
            for (int64_t i = begin; i < end; i++) {
                int64_t row = i / panels * MCF_CPU_BLOCK, panel = i % panels, column = (j + panel) * MCF_CPU_BLOCK;
                int64_t height = mcf_cpu_min(p->rows - row, MCF_CPU_BLOCK);
                if (packed != row)
                    tiles->pack_a((uint16_t *)rows, element(p, p->a, p->a_step, p->a_along, row, k), p->a_step, height,
                                  depth, p->floats, p->a_along);
                packed = row;
                tiles->multiply(sums, MCF_CPU_BLOCK, (uint16_t *)rows, (uint16_t *)(block + panel * panel_bytes), steps,
                                p->floats);
                tiles->finish(&result, (unsigned char *)p->c + (row * p->columns + column) * (p->c_bf16 ? 2 : 4), sums,
                              height, mcf_cpu_min(p->columns - column, MCF_CPU_BLOCK),
                              last && p->bias ? p->bias + column : NULL);
            }
#pragma omp barrier
        }
    }
    tiles->end();
}

void mcf_cpu_tiles_run(const mcf_device *device, const mcf_cpu_tile_product *p, void *scratch)
{
    const blocking b = choose(p);
    int team = mcf_cpu_team(device, p->rows * p->columns * p->k);
#pragma omp parallel num_threads(team)
    run_share(device, p, &b, scratch, omp_get_thread_num(), omp_get_num_threads());
}
