// Products by cuBLAS: tiles, waves and the time to fill and drain a tile's pipe, times what was measured.
//
// A multiprocessor takes a tile after the other, of tm x tn results each; all take ceil(tiles / multiprocessors)
// waves. A tile over k takes as long as k + k0 steps at the rate that a long k reaches. cuBLAS chooses among tiles,
// and may cut k into parts whose sums another kernel adds; the least time is taken.
//
// share and k0 of each form, and the rates of smaller tiles, are the least squares of log(predicted / measured) over
// the 76 products with m >= 512 and n >= 700 of DeepBench on a V100 (cards.c): 4.3 % rms for A B', 3.0 % for
// A B and 3.3 % for A' B, 8.5 % at worst; tests/bench/test_predict.c has a sample of them. Other cards have their own share
// of the peak and the same k0 and tiles, for which nobody has published a table.
#include <math.h>

#include "bench/estimate/time.h"

static const struct {
    double share, k0;
} forms[] = {{0.87, 140}, {0.88, 100}, {0.88, 20}};
static const struct {
    double m, n, rate;
} tiles[] = {{256, 128, 1}, {128, 256, 1}, {128, 128, 0.95}, {128, 64, 0.6}, {64, 128, 0.6}, {64, 64, 0.48}};
enum { TILES = sizeof tiles / sizeof *tiles, LEAST_PART = 256, MOST_PARTS = 8 };

static double peak_of(const mcf_card *card, mcf_dtype type, int form)
{
    if (type == MCF_F32)
        return card->f32 * card->product32;
    // The card's share is that of a long k by the first form; the others lie as far from it as on V100.
    return (type == MCF_BF16 ? card->bf16 : card->f16) * card->product16 * forms[form].share / forms[0].share;
}

// Tensor cores take k in steps of 8; cuBLAS goes to slower kernels where rows do not begin at multiples of 16 bytes.
static double alignment(const mcf_product_shape *s)
{
    const bool rows = s->form == 2 ? s->m % 8 == 0 && s->n % 8 == 0 : s->k % 8 == 0 && (s->form == 0 || s->n % 8 == 0);
    return s->type == MCF_F32 || rows ? 1 : 0.5;
}

static double compute_seconds(const mcf_card *card, const mcf_product_shape *s, double factor, double stream,
                              double *traffic, int *kernels)
{
    const double each = peak_of(card, s->type, s->form) * factor * alignment(s) / card->units;
    const double in = 2 * (s->type == MCF_F32) + 2, results = (double)(s->m * s->n * s->batch);
    const double bytes = in * (double)(s->m * s->k + s->k * s->n) * (double)s->batch + s->out * results * (s->adds + 1);
    double best = INFINITY, compute = 0;
    for (int t = 0; t < TILES; t++)
        for (int parts = 1; parts <= MOST_PARTS; parts *= 2) {
            if (parts > 1 && s->k / parts < LEAST_PART)
                break;
            const double count = ceil((double)s->m / tiles[t].m) * ceil((double)s->n / tiles[t].n) * (double)s->batch;
            const double waves = ceil(count * parts / card->units), k = (double)s->k / parts;
            const double busy = waves * 2 * tiles[t].m * tiles[t].n * (k + forms[s->form].k0) / (each * tiles[t].rate);
            const double sums = parts > 1 ? results * 4 * (2 * parts) : 0;
            const double all = fmax(busy, bytes / stream) + sums / stream + (parts > 1) * card->gap;
            if (all < best) {
                best = all;
                compute = busy;
                *traffic = bytes + sums;
                *kernels = 1 + (parts > 1);
            }
        }
    return compute;
}

mcf_estimate mcf_estimate_product(const mcf_card *card, double factor, const mcf_product_shape *s)
{
    const double stream = mcf_card_stream(card, 1 << 20);
    mcf_estimate e = {.way = MCF_WAY_CUBLAS, .flops = 2.0 * (double)(s->m * s->n * s->k * s->batch)};
    e.compute = compute_seconds(card, s, factor > 0 ? factor : 1, stream, &e.bytes, &e.kernels);
    e.memory = e.bytes / stream;
    e.seconds = fmax(e.compute, e.memory);
    return e;
}

double mcf_product_efficiency(const mcf_card *card, const mcf_product_shape *s)
{
    const mcf_estimate e = mcf_estimate_product(card, 1, s);
    const double peak = s->type == MCF_F32 ? card->f32 : s->type == MCF_BF16 ? card->bf16 : card->f16;
    return e.flops / e.seconds / peak;
}
