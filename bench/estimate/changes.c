#include "bench/estimate/changes.h"

#include <math.h>

static const mcf_what_if everything = {.attention_overlaps = true, .gelu_in_product = true, .norm16 = true};

static const struct {
    const char *what;
    mcf_what_if change;
} rows[] = {
    {"attention's pipes all busy at the same time (the most that better scheduling can bring)",
     {.attention_overlaps = true}},
    {"GELU written by the product before it (cublasLt has the tanh form: an own product)", {.gelu_in_product = true}},
    {"the sums between blocks in 16 bits (rounds more than now)", {.norm16 = true}},
    {"convolutions that write no columns: an implicit GEMM at the products' rate", {.no_columns = true}},
    {"products at the maker's peak but for tiles and waves (nobody reaches it)", {.product_factor = -1}},
};

// What is not known, and which way it may turn out. The first is all that may be worse at once, the last the best.
static const struct {
    const char *what;
    mcf_what_if is;
} outcomes[] = {
    {"all of the worse ones below at once",
     {.clock = 0.9,
      .product_factor = 0.88,
      .bias_refused = true,
      .sum_latency = 75e-6,
      .links_in_turn = true,
      .pixels_from_memory = true}},
    {"products an eighth slower, as others measured (V100: 95 TFLOP/s, transformers-benchmarks)",
     {.product_factor = 0.88}},
    {"nine tenths of the boost clock, as a card at its power limit after minutes", {.clock = 0.9}},
    {"cublasLt refuses every bias: a pass of its own behind the product", {.bias_refused = true}},
    {"a sum over cards costs 150 us beside its bytes, not 75", {.sum_latency = 75e-6}},
    {"a card's links work one after the other", {.links_in_turn = true}},
    {"convolutions find no row of their image in a cache", {.pixels_from_memory = true}},
    {"attention's pipes all busy at the same time", {.attention_overlaps = true}},
};

static mcf_status images_with(const mcf_card *card, const mcf_what_if *what, const mcf_recorded_step *record,
                              double *images, mcf_error *err)
{
    mcf_prediction p;
    MCF_TRY(mcf_predict(card, what, record, &p, err));
    *images = p.images;
    mcf_prediction_free(&p);
    return MCF_OK;
}

// The factor of products' share that gives the images wanted; the rate grows with it.
static mcf_status solve(const mcf_card *card, mcf_what_if what, const mcf_recorded_step *record, double wanted,
                        double *factor, mcf_error *err)
{
    double low = 0.1, high = 100;
    for (int i = 0; i < 40; i++) {
        double images;
        what.product_factor = sqrt(low * high);
        MCF_TRY(images_with(card, &what, record, &images, err));
        *(images < wanted ? &low : &high) = what.product_factor;
    }
    *factor = high;
    return MCF_OK;
}

static void add(mcf_predicted_changes *c, const char *what, double images, bool same)
{
    c->change[c->count++] = (mcf_predicted_change){what, images, same};
}

// As many images a step by larger micro-batches: statistics of BatchNorm are over more of them.
static mcf_status larger_batch(const mcf_card *card, const mcf_config *config, const mcf_recorded_step *record,
                               const mcf_what_if *what, const char *name, mcf_predicted_changes *c, mcf_error *err)
{
    mcf_config larger = *config;
    mcf_recorded_step other;
    double images;
    if (record->accumulate % 2)
        return MCF_OK;
    larger.batch.per_device = (int)(2 * record->batch);
    larger.batch.accumulate = record->accumulate / 2;
    MCF_TRY(mcf_record_step(&larger, 0, record->world, &other, err));
    mcf_status status = images_with(card, what, &other, &images, err);
    mcf_record_free(&other);
    if (status == MCF_OK)
        add(c, name, images, false);
    return status;
}

mcf_status mcf_predict_changes(const mcf_card *card, const mcf_config *config, const mcf_recorded_step *record,
                               const mcf_prediction *now, double wanted, mcf_predicted_changes *c, mcf_error *err)
{
    const mcf_what_if none = {0};
    double images, flops = 0, seconds = 0, factor;
    bool convolves = false;
    for (int i = 0; i < now->row_count; i++)
        convolves = convolves || now->rows[i].way == MCF_WAY_COLUMNS;
    *c = (mcf_predicted_changes){.wanted = wanted};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mcf_what_if change = rows[i].change;
        if (change.no_columns && !convolves)
            continue;
        if (change.product_factor < 0)
            change.product_factor = 1 / card->product16;
        MCF_TRY(images_with(card, &change, record, &images, err));
        add(c, rows[i].what, images, true);
    }
    for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
        if (i > 0 && outcomes[i].is.pixels_from_memory && !convolves)
            continue;
        MCF_TRY(images_with(card, &outcomes[i].is, record, &images, err));
        c->outcome[c->outcome_count++] = (mcf_predicted_change){outcomes[i].what, images, true};
    }
    c->low = c->outcome[0].images;
    c->high = images;
    MCF_TRY(larger_batch(card, config, record, &none,
                         "micro-batches twice as large, half as many (BatchNorm sees more)", c, err));
    MCF_TRY(images_with(card, &everything, record, &images, err));
    add(c, "all of the first three", images, true);
    MCF_TRY(larger_batch(card, config, record, &everything, "all of the first three, and micro-batches twice as large",
                         c, err));
    for (int i = 0; i < now->row_count; i++)
        if (now->rows[i].op == MCF_OP_matmul && now->rows[i].way == MCF_WAY_CUBLAS) {
            flops += now->rows[i].flops;
            seconds += now->rows[i].seconds;
        }
    const double peak = config->precision == MCF_PRECISION_FP32   ? card->f32
                        : config->precision == MCF_PRECISION_BF16 ? card->bf16
                                                                  : card->f16;
    c->share_now = seconds > 0 && peak > 0 ? flops / seconds / peak : 0;
    MCF_TRY(solve(card, none, record, wanted, &factor, err));
    c->share = c->share_now * factor;
    MCF_TRY(solve(card, everything, record, wanted, &factor, err));
    c->share_all = c->share_now * factor;
    return MCF_OK;
}
