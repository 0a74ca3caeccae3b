// Predictions: their arithmetic on small cases, published measurements of products, and a recorded step against one
// that runs.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bench/beside.h"
#include "bench/bench.h"
#include "core/runtime.h"
#include "train/engine.h"
#include "bench/estimate/changes.h"

static const mcf_what_if none;

static const mcf_card *card_of(const char *name)
{
    const mcf_card *card = NULL;
    mcf_error err = {0};
    assert_int_equal(mcf_card_find(name, &card, &err), MCF_OK);
    return card;
}

static void near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance * fabs(expected)))
        fail_msg("%g, expected %g", value, expected);
}

static mcf_config config_of(const char *more)
{
    mcf_config config;
    mcf_error err = {0};
    char text[512];
    snprintf(text, sizeof text, "model: {teacher: {checkpoint: random}}\n%s", more);
    if (mcf_config_parse(&config, text, strlen(text), "test", NULL, 0, &err) != MCF_OK)
        fail_msg("%s", err.message);
    return config;
}

static mcf_recorded_step record_of(const mcf_config *config, int world)
{
    mcf_recorded_step record;
    mcf_error err = {0};
    if (mcf_record_step(config, 0, world, &record, &err) != MCF_OK)
        fail_msg("%s", err.message);
    return record;
}

static mcf_prediction prediction_of(const char *card, const mcf_recorded_step *record)
{
    mcf_prediction p;
    mcf_error err = {0};
    if (mcf_predict(card_of(card), &none, record, &p, &err) != MCF_OK)
        fail_msg("%s", err.message);
    return p;
}

// --- cards

static void cards_are_found_by_name_and_others_refused(void **state)
{
    const mcf_card *card;
    mcf_error err = {0};
    assert_string_equal(card_of("V100")->name, "v100");
    assert_int_equal(mcf_card_find("v1000", &card, &err), MCF_ERR_USAGE);
    for (int i = 0; (card = mcf_card_at(i)); i++)
        assert_non_null(strstr(err.message, card->name));
}

static void limits_of_cards_are_of_one_piece(void **state)
{
    const mcf_card *card;
    for (int i = 0; (card = mcf_card_at(i)); i++) {
        // A lane makes an FMA a cycle; 64 or 128 lanes a multiprocessor.
        const double lanes = card->f32 / 2 / card->units / card->clock;
        near(lanes, lanes < 96 ? 64 : 128, 0.1);
        assert_true(card->f16 > 3 * card->f32 || card->sm >= 80);
        assert_true(card->product16 > 0.5 && card->product16 <= 1);
        assert_true(card->gap > 0.5e-6 && card->gap < 5e-6);
        // Nobody streams more than the memory gives, nor less than two thirds of it.
        const double most = mcf_card_stream(card, 1 << 20);
        assert_true(most < card->bandwidth && most > 0.65 * card->bandwidth);
        double last = 0;
        for (double bytes = 64; bytes <= 4096; bytes *= 1.3) {
            assert_true(mcf_card_stream(card, bytes) > last);
            last = mcf_card_stream(card, bytes);
        }
    }
    near(mcf_card_stream(card_of("v100"), 4096), 673e9, 1e-9);
    near(mcf_card_stream(card_of("v100"), 6144), (673e9 + 784e9) / 2, 1e-9);
}

static void cards_are_known_by_what_the_driver_calls_them(void **state)
{
    assert_ptr_equal(mcf_card_of_device("Tesla V100-SXM2-16GB"), card_of("v100"));
    assert_ptr_equal(mcf_card_of_device("Tesla V100-SXM2-32GB"), card_of("v100-32gb"));
    assert_ptr_equal(mcf_card_of_device("NVIDIA L40"), card_of("l40"));
    assert_ptr_equal(mcf_card_of_device("NVIDIA GeForce RTX 3090"), card_of("rtx3090"));
    assert_null(mcf_card_of_device("NVIDIA L40S"));
    assert_null(mcf_card_of_device("NVIDIA GeForce RTX 3090 Ti"));
    assert_null(mcf_card_of_device("emulated device 0"));
}

// --- products

static void a_product_counts_its_flops_and_whole_tiles(void **state)
{
    mcf_product_shape s = {.m = 1000, .n = 512, .k = 256, .batch = 1, .type = MCF_F16, .out = 2};
    const mcf_card *card = card_of("v100");
    mcf_estimate e = mcf_estimate_product(card, 1, &s);
    near(e.flops, 2.0 * 1000 * 512 * 256, 1e-12);
    assert_true(mcf_product_efficiency(card, &s) < 0.5);
    // One tile of 256 x 128 for each of 80 multiprocessors, then one row more: another wave.
    s = (mcf_product_shape){.m = 2560, .n = 1024, .k = 8192, .batch = 1, .type = MCF_F16, .out = 2};
    const double whole = mcf_estimate_product(card, 1, &s).seconds;
    near(mcf_product_efficiency(card, &s), 0.87 * 8192 / (8192 + 140), 1e-9);
    s.m = 2561;
    assert_true(mcf_estimate_product(card, 1, &s).seconds > 1.1 * whole);
    // An odd inner dimension cannot go to the tensor cores as it lies.
    s.m = 2560, s.k = 8191;
    assert_true(mcf_estimate_product(card, 1, &s).seconds > 1.9 * whole);
}

// Baidu's DeepBench, results/train/DeepBench_NV_V100.xlsx, sheet "FP16 ip, Mixed math": column-major m, n, k and ms.
static void products_take_as_long_as_others_have_measured(void **state)
{
    static const struct {
        int64_t m, n, k;
        int form;
        double ms;
    } rows[] = {
        {1760, 7000, 1760, 0, 0.461},  {4096, 7000, 4096, 0, 2.147},  {5124, 9124, 2048, 0, 1.955},
        {3072, 24000, 1024, 0, 1.684}, {512, 24000, 2816, 0, 0.702},  {1024, 48000, 1530, 0, 1.573},
        {2560, 7000, 2560, 1, 0.884},  {3072, 24000, 1024, 1, 1.610}, {6144, 48000, 2048, 1, 11.261},
        {512, 48000, 2560, 1, 1.279},  {1024, 24000, 2048, 1, 0.986}, {5124, 9124, 4096, 1, 3.702},
        {1760, 7133, 1760, 2, 0.452},  {4096, 7133, 4096, 2, 2.199},  {3072, 7435, 1024, 2, 0.456},
        {7680, 5481, 2560, 2, 1.984},
    };
    double squares = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        // Column-major C' = B' A' as row-major: m and n change places. They make all sizes multiples of 8.
        const mcf_product_shape s = {(rows[i].n + 7) / 8 * 8,
                                     (rows[i].m + 7) / 8 * 8,
                                     (rows[i].k + 7) / 8 * 8,
                                     1,
                                     rows[i].form,
                                     MCF_F16,
                                     4,
                                     false};
        const double error = log(mcf_estimate_product(card_of("v100"), 1, &s).seconds * 1e3 / rows[i].ms);
        if (fabs(error) > 0.1)
            fail_msg("%lld x %lld x %lld: off by %.0f %%", (long long)rows[i].m, (long long)rows[i].n,
                     (long long)rows[i].k, 100 * error);
        squares += error * error;
    }
    assert_true(sqrt(squares / (sizeof rows / sizeof *rows)) < 0.05);
}

// --- passes over memory

static mcf_buffer *const somewhere = (mcf_buffer *)(uintptr_t)64;

static void a_pass_over_memory_takes_its_bytes_at_the_measured_rate(void **state)
{
    enum { COUNT = 1 << 26 };
    mcf_launch ema = {.op = MCF_OP_ema, .n_in = 2, .n_out = 1};
    ema.in[0] = ema.in[1] = ema.out[0] =
        (mcf_operand){.buffer = somewhere, .dtype = MCF_F32, .shape = MCF_SHAPE(COUNT), .stride = {1}};
    const mcf_card *card = card_of("v100");
    const mcf_estimate e = mcf_estimate_launch(card, &none, &ema);
    assert_int_equal(e.way, MCF_WAY_SHARED);
    near(e.bytes, 12.0 * COUNT, 1e-12);
    // Two loads of 4 bytes for each of 2048 threads.
    near(e.seconds, 12.0 * COUNT / 802e9 + card->gap, 1e-9);
    // Loads of 2 bytes fill less of it: an fp16 product of elements, two loads.
    mcf_launch mul = ema;
    mul.op = MCF_OP_mul;
    mul.in[0].dtype = mul.in[1].dtype = mul.out[0].dtype = MCF_F16;
    near(mcf_estimate_launch(card, &none, &mul).seconds, 6.0 * COUNT / 784e9 + card->gap, 1e-9);
}

static void which_kernel_depends_on_card_and_type(void **state)
{
    mcf_launch l = {.op = MCF_OP_attention, .n_in = 1, .n_out = 2};
    l.in[0] = (mcf_operand){.buffer = somewhere, .dtype = MCF_F16, .shape = MCF_SHAPE(64, 197, 3, 12, 64)};
    l.out[0] = (mcf_operand){.buffer = somewhere, .dtype = MCF_F16, .shape = MCF_SHAPE(64, 197, 12, 64)};
    mcf_contiguous_strides(&l.in[0].shape, l.in[0].stride);
    const mcf_estimate e = mcf_estimate_launch(card_of("v100"), &none, &l);
    assert_int_equal(e.way, MCF_WAY_ATTENTION);
    near(e.flops, 4.0 * 64 * 12 * 197 * 197 * 64, 1e-12);
    const mcf_what_if overlaps = {.attention_overlaps = true};
    const double best = mcf_estimate_launch(card_of("v100"), &overlaps, &l).seconds;
    assert_true(best < e.seconds && best > e.seconds / 5);
    l.in[0].dtype = l.out[0].dtype = MCF_BF16;
    assert_int_equal(mcf_estimate_launch(card_of("v100"), &none, &l).way, MCF_WAY_SHARED);
    assert_int_equal(mcf_estimate_launch(card_of("a100"), &none, &l).way, MCF_WAY_ATTENTION);
}

// --- several cards

static void sums_of_gradients_follow_the_plan_of_the_wiring(void **state)
{
    const mcf_card *v100 = card_of("v100"), *a100 = card_of("a100"), *pcie = card_of("v100-pcie");
    const double bytes = 400e6;
    assert_true(mcf_predict_all_reduce(v100, 1, bytes) == 0);
    // docs/cuda.md: 0.75 N over single links of 25 GB/s.
    near(mcf_predict_all_reduce(v100, 8, bytes) - mcf_predict_all_reduce(v100, 8, 0), 0.75 * bytes / (25e9 * 0.958),
         0.01);
    near(mcf_predict_all_reduce(v100, 4, bytes) - mcf_predict_all_reduce(v100, 4, 0), 0.5 * bytes / (25e9 * 0.958),
         0.01);
    near(mcf_predict_all_reduce(a100, 8, bytes) - mcf_predict_all_reduce(a100, 8, 0), 1.75 * bytes / (300e9 * 0.958),
         0.01);
    near(mcf_predict_all_reduce(pcie, 8, bytes) - mcf_predict_all_reduce(pcie, 8, 0), 1.75 * bytes / (15.75e9 * 0.78),
         0.01);
}

// --- steps

#define SMALL "precision: fp32\nbatch: {per_device: 4, accumulate: 3}\n"

static mcf_config small_config(void)
{
    static const char *const sets[] = {
        "model.image_size=32", "model.encoder={dim: 32, depth: 2, heads: 2, mlp_ratio: 2}",
        "model.decoder={dim: 16, depth: 1, heads: 2, mlp_ratio: 2}",
        "model.teacher={dim: 32, depth: 2, heads: 2, mlp_ratio: 2, blocks: [1, 2], checkpoint: random}",
        "model.projector={hidden: 32, out: 16}"};
    mcf_config config;
    mcf_error err = {0};
    if (mcf_config_parse(&config, SMALL, strlen(SMALL), "test", sets, 5, &err) != MCF_OK)
        fail_msg("%s", err.message);
    return config;
}

// The runtime that computes plans the same memory and launches the same nodes as the one that writes them down.
static void a_recorded_step_is_the_one_that_runs(void **state)
{
    mcf_config config = small_config();
    mcf_recorded_step record = record_of(&config, 1);
    const mcf_job_options job = {.backend = "cpu-reference"};
    const mcf_micro_options micro = {.batch = 4, .image_u8 = true, .backward = true, .average = true};
    mcf_engine *engine;
    mcf_program *program;
    mcf_program_stats stats;
    mcf_error err = {0};
    assert_int_equal(mcf_engine_create(&engine, &config, &job, true, &err), MCF_OK);
    assert_int_equal(mcf_engine_program(engine, 0, &micro, &program, &err), MCF_OK);
    mcf_program_describe(program, &stats);
    assert_int_equal(record.nodes, stats.nodes);
    assert_true(record.flops == stats.flops && record.bytes == stats.bytes);
    // Values begin at multiples of 256 bytes there, of 64 here.
    near((double)record.memory.arena, (double)stats.arena_bytes, 0.1);
    assert_int_equal(record.phase[0].times + record.phase[1].times + record.phase[2].times, 3);
    assert_int_equal(record.phase[1].times, 1);
    int launches = 0;
    for (int i = record.phase[1].first; i < record.phase[1].end; i++)
        launches += record.recording.calls[i].kind == MCF_RECORDED_LAUNCH;
    assert_int_equal(launches, stats.nodes);
    mcf_engine_destroy(engine);
    mcf_record_free(&record);
    mcf_config_free(&config);
}

static void memory_is_the_sum_of_all_buffers(void **state)
{
    mcf_config config = config_of("precision: fp16\n");
    mcf_recorded_step record = record_of(&config, 8);
    const mcf_step_memory *m = &record.memory;
    const uint64_t trained = (uint64_t)record.trained * 4;
    assert_true(m->gradients == trained && m->moments == 2 * trained);
    assert_true(m->masters + m->low + m->gradients + m->moments + m->arena + m->rest == m->all);
    assert_true(m->rest < 1 << 20);
    assert_true(m->arena < m->unshared);
    mcf_prediction p = prediction_of("v100", &record);
    assert_true(p.memory.parameters + p.memory.arena + p.memory.work + p.memory.driver == p.memory.total);
    // The tables of operations and the plan of ViT-B at 64 images: 16 GB are enough.
    assert_true((double)p.memory.total < card_of("v100")->memory);
    mcf_prediction_free(&p);
    mcf_record_free(&record);
    mcf_config_free(&config);
}

static void a_step_is_no_shorter_than_its_parts(void **state)
{
    mcf_config config = config_of("precision: fp16\n");
    mcf_recorded_step record = record_of(&config, 8);
    mcf_prediction p = prediction_of("v100", &record);
    double rows = 0, flops = 0;
    for (int i = 0; i < p.row_count; i++) {
        rows += p.rows[i].seconds;
        flops += p.rows[i].flops;
        assert_true(p.rows[i].seconds >= p.rows[i].memory && p.rows[i].seconds >= p.rows[i].compute);
        assert_true(!i || p.rows[i].seconds <= p.rows[i - 1].seconds);
        // Nothing is faster than the card.
        assert_true(p.rows[i].flops <= p.rows[i].seconds * card_of("v100")->f16);
        assert_true(p.rows[i].bytes <= p.rows[i].seconds * card_of("v100")->bandwidth);
    }
    assert_true(rows <= p.computing && p.computing + p.waiting <= p.step);
    assert_true(8 * p.micro_batch < p.step && p.step < 8.5 * p.micro_batch);
    near(p.images, 512 / p.step, 1e-12);
    // Attention's gradient makes 7 products where the table counts 5; the rest is the table's, with AdamW's.
    assert_true(flops > p.flops && flops < 1.03 * p.flops);
    // More cards wait for each other, fewer do not.
    mcf_recorded_step alone = record_of(&config, 1);
    mcf_prediction one = prediction_of("v100", &alone);
    assert_true(one.step < p.step && one.reducing == 0);
    mcf_prediction_free(&one);
    mcf_record_free(&alone);
    mcf_prediction_free(&p);
    mcf_record_free(&record);
    mcf_config_free(&config);
}

static void changes_never_make_it_slower_and_the_wanted_rate_is_met(void **state)
{
    mcf_config config = config_of("precision: fp16\n");
    mcf_recorded_step record = record_of(&config, 8);
    mcf_prediction p = prediction_of("v100", &record);
    mcf_predicted_changes changes;
    mcf_error err = {0};
    assert_int_equal(mcf_predict_changes(card_of("v100"), &config, &record, &p, 400, &changes, &err), MCF_OK);
    for (int i = 0; i < changes.count; i++)
        if (!strstr(changes.change[i].what, "slower"))
            assert_true(changes.change[i].images > p.images);
        else
            assert_true(changes.change[i].images < p.images);
    mcf_what_if what = {.product_factor = changes.share / changes.share_now};
    mcf_prediction met;
    assert_int_equal(mcf_predict(card_of("v100"), &what, &record, &met, &err), MCF_OK);
    near(met.images, 400, 1e-3);
    assert_true(changes.share_all < changes.share);
    assert_true(changes.low < p.images && p.images < changes.high);
    // Each outcome lies within the two rows that name the ends.
    for (int i = 0; i < changes.outcome_count; i++)
        assert_true(changes.outcome[i].images >= changes.low && changes.outcome[i].images <= changes.high);
    assert_true(changes.outcome_count > 4);
    mcf_prediction_free(&met);
    mcf_prediction_free(&p);
    mcf_record_free(&record);
    mcf_config_free(&config);
}

// A step that was measured to take what is predicted, but for products that took twice as long.
static void a_measured_step_is_put_beside_its_prediction(void **state)
{
    mcf_config config = config_of("precision: fp16\n");
    mcf_recorded_step record = record_of(&config, 8);
    mcf_prediction p = prediction_of("v100", &record);
    double seconds[MCF_OP_COUNT] = {0};
    for (int i = 0; i < p.row_count; i++)
        seconds[p.rows[i].op] += p.rows[i].seconds * (p.rows[i].op == MCF_OP_matmul ? 2 : 1);
    mcf_bench_beside_step step = {"Tesla V100-SXM2-16GB", 0, 8, 4 * p.images, seconds};
    mcf_text table = {0};
    json_t *root = json_object();
    mcf_error err = {0};
    assert_int_equal(mcf_bench_beside(&config, &step, &table, root, &err), MCF_OK);
    assert_non_null(strstr(table.text, "the step takes 2.00 times as long"));
    assert_non_null(strstr(strstr(table.text, "  matmul"), ", 2.00 times"));
    assert_non_null(strstr(strstr(table.text, "  attention "), ", 1.00 times"));
    near(json_number_value(json_object_get(root, "predicted_images_per_second")), 8 * p.images, 1e-9);
    mcf_text_free(&table);
    step.device = "a card of tomorrow";
    assert_int_equal(mcf_bench_beside(&config, &step, &table, root, &err), MCF_OK);
    assert_null(table.text);
    json_decref(root);
    mcf_prediction_free(&p);
    mcf_record_free(&record);
    mcf_config_free(&config);
}

// Both tasks as configs/align and configs/parse have them.
static mcf_config dense_config(bool parse, const char *precision, int size)
{
    mcf_config config;
    mcf_error err = {0};
    char text[768];
    snprintf(
        text, sizeof text,
        "task: %s\nprecision: %s\ndata: {layout: %s}\n"
        "model: {image_size: %d, encoder: {dim: 768, depth: 12, heads: 12, mlp_ratio: 4}, features: [2, 4, 8, 12], "
        "sync_batchnorm: true, head: {channels: 768, outputs: %d}%s}\n"
        "batch: {per_device: 5, accumulate: 1}\nschedule: {epochs: 150}\n",
        parse ? "parse" : "align", precision, parse ? "lapa" : "wflw", size, parse ? 11 : 98,
        size > 224 ? ", recompute: blocks" : "");
    if (mcf_config_parse(&config, text, strlen(text), "test", NULL, 0, &err) != MCF_OK)
        fail_msg("%s", err.message);
    return config;
}

static void a_convolution_is_its_columns_and_its_products(void **state)
{
    const mcf_card *card = card_of("v100");
    mcf_launch l = {.op = MCF_OP_conv2d, .n_in = 2, .n_out = 1};
    l.in[CONV2D_IN_x] = (mcf_operand){
        .buffer = somewhere, .dtype = MCF_F16, .shape = MCF_SHAPE(5, 56, 56, 3072), .stride = {0, 0, 0, 1}};
    l.in[CONV2D_IN_weight] = (mcf_operand){
        .buffer = somewhere, .dtype = MCF_F16, .shape = MCF_SHAPE(768, 3072, 3, 3), .stride = {0, 0, 0, 1}};
    l.out[CONV2D_OUT_y] = (mcf_operand){.buffer = somewhere, .dtype = MCF_F16, .shape = MCF_SHAPE(5, 56, 56, 768)};
    l.attr.conv2d.stride = l.attr.conv2d.pad = l.attr.conv2d.groups = 1;
    const mcf_estimate e = mcf_estimate_launch(card, &none, &l);
    const double pixels = 5 * 56 * 56, depth = 9 * 3072;
    assert_int_equal(e.way, MCF_WAY_COLUMNS);
    near(e.flops, 2 * pixels * depth * 768, 1e-12);
    // Written, read by the product, and the image once for each row of the kernel.
    assert_true(e.bytes > 2 * pixels * depth * (1 + 1 + 1.0 / 3));
    const mcf_what_if free_columns = {.no_columns = true}, uncached = {.pixels_from_memory = true};
    const double products = mcf_estimate_launch(card, &free_columns, &l).seconds;
    assert_true(products < e.seconds && e.flops / products < card->f16);
    assert_true(e.seconds - products > 2 * pixels * depth / card->bandwidth);
    assert_true(mcf_estimate_launch(card, &uncached, &l).seconds > e.seconds);
    near(e.scratch[0], floor((256 << 20) / (2 * depth)) * 2 * depth, 1e-12);
    // In fp32 four times as long at least: eight times fewer FLOPs, twice the bytes.
    l.in[0].dtype = l.in[1].dtype = l.out[0].dtype = MCF_F32;
    assert_true(mcf_estimate_launch(card, &none, &l).seconds > 4 * e.seconds);
}

// A convolution without a charge let figures of fp32 pass the card's peak.
static void no_figure_of_alignment_or_parsing_passes_the_card(void **state)
{
    static const char *const precisions[] = {"fp16", "fp32"};
    const mcf_card *card = card_of("v100");
    for (int i = 0; i < 8; i++) {
        mcf_config config = dense_config(i & 1, precisions[i >> 1 & 1], i & 4 ? 448 : 224);
        mcf_recorded_step record = record_of(&config, 8);
        mcf_prediction p = prediction_of("v100", &record);
        const double peak = config.precision == MCF_PRECISION_FP16 ? card->f16 : card->f32;
        double convolved = 0, flops = 0;
        for (int r = 0; r < p.row_count; r++) {
            const mcf_predicted_row *row = &p.rows[r];
            if (row->flops > row->seconds * peak || row->bytes > row->seconds * card->bandwidth)
                fail_msg("%s takes %g s for %g FLOPs and %g bytes", row->name, row->seconds, row->flops, row->bytes);
            convolved += row->way == MCF_WAY_COLUMNS ? row->flops : 0;
            flops += row->flops;
        }
        assert_true(p.flops < p.step * peak);
        // The head's convolutions are most of a step, so most of what could be missed.
        assert_true(convolved > 0.6 * p.flops);
        assert_true(flops > 0.99 * p.flops && flops < 1.05 * p.flops);
        mcf_prediction_free(&p);
        mcf_record_free(&record);
        mcf_config_free(&config);
    }
}

static void published_sets_have_their_faces(void **state)
{
    assert_int_equal(mcf_predict_faces("wflw"), 7500);
    assert_int_equal(mcf_predict_faces("points"), 0);
}

static void hours_are_images_by_rate(void **state)
{
    near(mcf_predict_hours(3700, MCF_FULL_SET, MCF_SET_EPOCHS), 20e6 * 16 / 3700 / 3600, 1e-12);
    near(MCF_AUTHORS_IMAGES, 115.7, 1e-2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cards_are_found_by_name_and_others_refused),
        cmocka_unit_test(cards_are_known_by_what_the_driver_calls_them),
        cmocka_unit_test(a_measured_step_is_put_beside_its_prediction),
        cmocka_unit_test(limits_of_cards_are_of_one_piece),
        cmocka_unit_test(a_product_counts_its_flops_and_whole_tiles),
        cmocka_unit_test(products_take_as_long_as_others_have_measured),
        cmocka_unit_test(a_pass_over_memory_takes_its_bytes_at_the_measured_rate),
        cmocka_unit_test(which_kernel_depends_on_card_and_type),
        cmocka_unit_test(sums_of_gradients_follow_the_plan_of_the_wiring),
        cmocka_unit_test(a_recorded_step_is_the_one_that_runs),
        cmocka_unit_test(memory_is_the_sum_of_all_buffers),
        cmocka_unit_test(a_step_is_no_shorter_than_its_parts),
        cmocka_unit_test(changes_never_make_it_slower_and_the_wanted_rate_is_met),
        cmocka_unit_test(a_convolution_is_its_columns_and_its_products),
        cmocka_unit_test(no_figure_of_alignment_or_parsing_passes_the_card),
        cmocka_unit_test(published_sets_have_their_faces),
        cmocka_unit_test(hours_are_images_by_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
