// Large products on a matrix unit, packed on the way.
//
// The unit multiplies faster than the third-level cache delivers, and two operands from the second level are slower
// than it, too. So columns of b are packed a block at a time into that level, by all threads together; then each
// thread takes 32 rows of a after the other, has a run of steps along k in the nearest cache, and runs it past the
// block, sums waiting in between, while the next run is copied. One core of Granite Rapids, bf16, ViT-B's widths,
// packing and rounding included: 1,650 GFLOP/s at k = 768 and 1,340 at 3072; with runs packed in between 1,500 and
// 1,100. Tried without gain: fetching ahead what is packed, copied, multiplied or written next; blocks of 0.75 to
// 1.75 MiB; runs of 6, 12 and 16; a in the second-level cache and b passing by.
//
// Each element of c is one thread's, summed in the order of k: the bits do not depend on the number of threads.
#include "backends/cpu/matmul_tiles.h"

#include <omp.h>

enum {
    BLOCK_BYTES = 1 << 20, // of b: half of a second-level cache
    BF16_STEPS = 128,      // of 32 along k at a time, where sums can wait in c
    FLOAT_STEPS = 24,
    RUN = 8, // steps whose part of a fits the nearest cache beside b's
    SUMS = MCF_CPU_BLOCK * MCF_CPU_BLOCK,
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

static int64_t block_bytes(const blocking *b)
{
    return b->panels * b->steps * b->step_bytes;
}

// A thread's own scratch: sums of a block of c for each panel, and a panel of a.
static int64_t own_bytes(const blocking *b)
{
    return b->panels * SUMS * (int64_t)sizeof(float) + 2 * b->steps * b->step_bytes;
}

int64_t mcf_cpu_tiles_scratch(const mcf_device *device, const mcf_cpu_tile_product *p)
{
    blocking b = choose(p);
    return block_bytes(&b) + device->threads * own_bytes(&b);
}

static const void *element(const mcf_cpu_tile_product *p, const void *matrix, int64_t step, bool along, int64_t line,
                           int64_t k)
{
    int64_t at = along ? line * step + k : k * step + line;
    return (const unsigned char *)matrix + at * (p->floats ? 4 : 2);
}

static void *place(const mcf_cpu_tile_product *p, int64_t row, int64_t column)
{
    return (unsigned char *)p->c + (row * p->columns + column) * (p->c_bf16 ? 2 : 4);
}

// One thread's scratch, and what of the product is under way.
typedef struct {
    const mcf_cpu_tiles *tiles;
    const mcf_cpu_tile_product *p;
    const blocking *b;
    unsigned char *block;   // of b, shared
    unsigned char *rows;    // of a: two runs of steps
    int64_t run_bytes;      // of one of the two
    float *sums;            // a block of c for each panel
    int64_t k, depth;       // the chunk along k
    int64_t column, panels; // the block of b: its first panel, their number
} share;

// Packs the share's part of the block of b.
static void pack_block(const share *s, int thread, int threads)
{
    const mcf_cpu_tile_product *p = s->p;
    int64_t groups = ceiling(s->b->steps, GROUP), begin, end;
    mcf_cpu_share(s->panels * groups, threads, thread, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        int64_t panel = i / groups, step = i % groups * GROUP, from = step * MCF_CPU_BLOCK;
        int64_t column = (s->column + panel) * MCF_CPU_BLOCK;
        if (from < s->depth)
            s->tiles->pack_b((uint16_t *)(s->block + (panel * s->b->steps + step) * s->b->step_bytes),
                             element(p, p->b, p->b_step, p->b_along, column, s->k + from), p->b_step,
                             mcf_cpu_min(p->columns - column, MCF_CPU_BLOCK),
                             mcf_cpu_min(s->depth - from, GROUP * MCF_CPU_BLOCK), p->floats, p->b_along);
    }
}

// A run of steps along k of 32 rows.
typedef struct {
    int64_t row, step, run;
} place_of_run;

static int64_t height(const share *s, int64_t row)
{
    return mcf_cpu_min(s->p->rows - row, MCF_CPU_BLOCK);
}

static place_of_run run_at(const share *s, int64_t row, int64_t step)
{
    int64_t left = ceiling(s->depth, MCF_CPU_BLOCK) - step;
    int64_t most = s->p->floats ? left : RUN; // floats are busy longer with what they load
    return (place_of_run){.row = row, .step = step, .run = ceiling(left, ceiling(left, most))};
}

static place_of_run after(const share *s, place_of_run at)
{
    bool last = (at.step + at.run) * MCF_CPU_BLOCK >= s->depth;
    return last ? run_at(s, at.row + MCF_CPU_BLOCK, 0) : run_at(s, at.row, at.step + at.run);
}

static const void *source(const share *s, place_of_run at)
{
    return element(s->p, s->p->a, s->p->a_step, s->p->a_along, at.row, s->k + at.step * MCF_CPU_BLOCK);
}

// Whether a run can be copied in whole lines while tiles multiply.
static bool is_whole(const share *s, place_of_run at, int64_t end_row)
{
    return !s->p->floats && s->p->a_along && at.row < end_row && height(s, at.row) == MCF_CPU_BLOCK &&
           (at.step + at.run) * MCF_CPU_BLOCK <= s->depth;
}

// Blocks [begin, end) of c under the block of b, counted row after row.
static void multiply_share(share *s, const mcf_cpu_tile_result *result, int64_t begin, int64_t end)
{
    const mcf_cpu_tile_product *p = s->p;
    int64_t steps = ceiling(s->depth, MCF_CPU_BLOCK), end_row = ceiling(end, s->panels) * MCF_CPU_BLOCK;
    bool ready = false, half = false;
    place_of_run at = run_at(s, begin / s->panels * MCF_CPU_BLOCK, 0), next;
    for (; begin < end && at.row < end_row; at = next) {
        int64_t first = mcf_cpu_max(0, begin - at.row / MCF_CPU_BLOCK * s->panels);
        int64_t last = mcf_cpu_min(s->panels, end - at.row / MCF_CPU_BLOCK * s->panels);
        next = after(s, at);
        uint16_t *rows = (uint16_t *)(s->rows + half * s->run_bytes),
                 *other = (uint16_t *)(s->rows + !half * s->run_bytes);
        if (!ready)
            s->tiles->pack_a(rows, source(s, at), p->a_step, height(s, at.row),
                             mcf_cpu_min(s->depth - at.step * MCF_CPU_BLOCK, at.run * MCF_CPU_BLOCK), p->floats,
                             p->a_along);
        ready = is_whole(s, next, end_row);
        mcf_cpu_tile_copy copy = {
            .to = other, .from = ready ? source(s, next) : NULL, .step = p->a_step, .run = next.run};
        bool over = at.step + at.run == steps;
        for (int64_t panel = first; panel < last; panel++) {
            float *c = s->sums + (steps > at.run ? panel * SUMS : 0);
            int64_t column = (s->column + panel) * MCF_CPU_BLOCK;
            copy.first = MCF_CPU_BLOCK * (panel - first) / (last - first);
            copy.end = MCF_CPU_BLOCK * (panel + 1 - first) / (last - first);
            s->tiles->multiply(c, MCF_CPU_BLOCK, rows,
                               (uint16_t *)(s->block + (panel * s->b->steps + at.step) * s->b->step_bytes), at.run,
                               p->floats, at.step > 0, ready ? &copy : NULL);
            if (over)
                s->tiles->finish(result, place(p, at.row, column), c, height(s, at.row),
                                 mcf_cpu_min(p->columns - column, MCF_CPU_BLOCK),
                                 s->k + s->depth == p->k && p->bias ? p->bias + column : NULL);
        }
        half = !half;
    }
}

static void run_share(share *s, int thread, int threads)
{
    const mcf_cpu_tile_product *p = s->p;
    int64_t column_panels = ceiling(p->columns, MCF_CPU_BLOCK), chunk = s->b->steps * MCF_CPU_BLOCK;
    // A product over rows is a weight's gradient: the optimiser reads it when the step is over.
    mcf_cpu_tile_result result = {.step = p->columns, .bf16 = p->c_bf16, .streamed = !p->a_along && chunk >= p->k};
    s->tiles->begin();
    for (s->k = 0; s->k < p->k; s->k += chunk) {
        s->depth = mcf_cpu_min(p->k - s->k, chunk);
        result.accumulate = p->accumulate || s->k > 0;
        result.activation = s->k + s->depth == p->k ? p->activation : MCF_ACT_NONE;
        for (s->column = 0; s->column < column_panels; s->column += s->b->panels) {
            int64_t begin, end;
            s->panels = mcf_cpu_min(s->b->panels, column_panels - s->column);
            pack_block(s, thread, threads);
#pragma omp barrier
            mcf_cpu_share(ceiling(p->rows, MCF_CPU_BLOCK) * s->panels, threads, thread, &begin, &end);
            multiply_share(s, &result, begin, end);
#pragma omp barrier
        }
    }
    s->tiles->end();
}

void mcf_cpu_tiles_run(const mcf_device *device, const mcf_cpu_tile_product *p, void *scratch)
{
    const blocking b = choose(p);
    int team = mcf_cpu_team(device, p->rows * p->columns * p->k);
#pragma omp parallel num_threads(team)
    {
        unsigned char *own = (unsigned char *)scratch + block_bytes(&b) + omp_get_thread_num() * own_bytes(&b);
        share s = {.tiles = device->kernels->tiles,
                   .p = p,
                   .b = &b,
                   .block = scratch,
                   .run_bytes = b.steps * b.step_bytes,
                   .sums = (float *)own,
                   .rows = own + b.panels * SUMS * (int64_t)sizeof(float)};
        run_share(&s, omp_get_thread_num(), omp_get_num_threads());
    }
}
