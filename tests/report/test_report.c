// The report's parts: text that cannot become markup, logs in any state, ticks, principal components, attention as the
// network computes it, rows of the paper, and pages about runs in pieces. An example for
// every part: hence the length.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/file.h"
#include "model/embed.h"
#include "model/inspect.h"
#include "model/pretrain.h"
#include "report/report.h"
#include "report/chart.h"
#include "infer/look.h"
#include "report/paper.h"

static char work[256];

static int make_work(void **state)
{
    snprintf(work, sizeof work, "%s/mcf-report.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    return mkdtemp(work) ? 0 : -1;
}

static int remove_work(void **state)
{
    return mcf_tree_remove(work, NULL) == MCF_OK ? 0 : -1;
}

static const char *in_work(const char *name)
{
    static char path[4][600];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", work, name);
    return path[next];
}

static void write_text(const char *name, const char *text)
{
    assert_int_equal(mcf_file_write(in_work(name), text, strlen(text), NULL), MCF_OK);
}

// --- text

static void check_text(const char *text, const char *expected)
{
    mcf_html h = {0};
    mcf_html_text(&h, text);
    assert_string_equal(h.text ? h.text : "", expected);
    mcf_text_free(&h);
}

static void test_foreign_text_is_no_markup(void **state)
{
    check_text("plain", "plain");
    check_text("<script>alert(\"x\" & 'y')</script>",
               "&lt;script&gt;alert(&quot;x&quot; &amp; &#39;y&#39;)&lt;/script&gt;");
    check_text("a\x01\x1b\x7f"
               "b\tc\nd",
               "ab\tc\nd");
    check_text("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
}

static void test_bytes_that_are_no_utf8(void **state)
{
#define BAD "\xef\xbf\xbd"
    check_text("a\xff"
               "b",
               "a" BAD "b");
    check_text("\xc3", BAD);                         // ends early
    check_text("\xc3<", BAD "&lt;");                 // must not swallow what follows
    check_text("\xc0\xbc", BAD BAD);                 // a '<' in two bytes
    check_text("\xe0\x80\xbc", BAD BAD BAD);         // and in three
    check_text("\xed\xa0\x80", BAD BAD BAD);         // a surrogate
    check_text("\xf4\x90\x80\x80", BAD BAD BAD BAD); // above U+10FFFF
#undef BAD
}

static void test_base64(void **state)
{
    // RFC 4648, section 10.
    static const char *const cases[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mcf_html h = {0};
        mcf_html_base64(&h, (const uint8_t *)cases[i][0], strlen(cases[i][0]));
        assert_string_equal(h.text, cases[i][1]);
        mcf_text_free(&h);
    }
}

static void test_numbers(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0.0000"},    {0.12345, "0.1235"},   {1.23456, "1.235"}, {12.3456, "12.35"}, {123.456, "123.5"},
                 {1234.5, "1234"}, {1.25e-5, "1.25e-05"}, {-0.5, "-0.5000"},  {NAN, "-"},         {INFINITY, "-"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        assert_string_equal(mcf_report_number(text, sizeof text, cases[i].value), cases[i].text);
    }
}

// --- logs

static mcf_run_log read_log(const char *text)
{
    mcf_run_log log;
    mcf_error err = {0};
    write_text("log.jsonl", text);
    if (mcf_run_log_read(&log, in_work("log.jsonl"), &err) != MCF_OK)
        fail_msg("%s", err.message);
    return log;
}

static void test_log_of_a_run_that_goes_on(void **state)
{
    mcf_run_log log = read_log("{\"step\":1,\"epoch\":0.5,\"loss\":2.5,\"broken\":0}\n"
                               "{\"step\":2,\"broken_image\":\"a.jpg: cut\"}\n"
                               "{\"step\":2,\"epoch\":1,\"loss\":\"nan\",\"skipped\":true,\"broken\":1}\n"
                               "{\"step\":2,\"validation.loss\":2}\n"
                               "{\"step\":3,\"epoch\":1.5,\"los");
    assert_true(log.present);
    assert_true(log.torn);
    assert_int_equal(log.steps, 2);
    assert_int_equal(log.bad_lines, 0);
    assert_int_equal(log.broken, 1);
    assert_int_equal(log.broken_count, 1);
    assert_string_equal(log.broken_images[0], "a.jpg: cut");
    assert_int_equal(log.skipped, 1);
    assert_int_equal(log.not_finite, 1);
    assert_true(log.epoch == 1);
    const mcf_curve *loss = mcf_run_log_curve(&log, "loss"), *validation = mcf_run_log_curve(&log, "validation.loss");
    assert_int_equal(loss->count, 2);
    assert_true(loss->y[0] == 2.5 && isnan(loss->y[1]));
    assert_int_equal(validation->count, 1);
    assert_true(validation->x[0] == 2);
    assert_null(mcf_run_log_curve(&log, "nothing"));
    mcf_run_log_free(&log);
}

static void test_damaged_log(void **state)
{
    mcf_run_log log =
        read_log("not json\n[1,2]\n\n{\"loss\":1}\n{\"step\":-4,\"loss\":1}\n{\"step\":\"1\",\"loss\":1}\n"
                 "{\"step\":7,\"loss\":{\"a\":1},\"lr\":true,\"epoch\":\"x\"}\n{\"step\":8,\"loss\":3}\n");
    assert_false(log.torn);
    assert_int_equal(log.lines, 8);
    assert_int_equal(log.bad_lines, 6);
    assert_int_equal(log.steps, 8);
    assert_int_equal(mcf_run_log_curve(&log, "loss")->count, 1);
    assert_int_equal(log.count, 1);
    mcf_run_log_free(&log);
}

static void test_log_that_goes_back(void **state)
{
    mcf_run_log log = read_log("{\"step\":1,\"loss\":1}\n{\"step\":2,\"loss\":2}\n{\"step\":3,\"loss\":3}\n"
                               "{\"step\":2,\"loss\":9}\n{\"step\":3,\"loss\":8}\n");
    const mcf_curve *loss = mcf_run_log_curve(&log, "loss");
    assert_int_equal(loss->count, 3);
    assert_true(loss->y[0] == 1 && loss->y[1] == 9 && loss->y[2] == 8);
    mcf_run_log_free(&log);
}

static void test_long_lines_and_many_keys(void **state)
{
    const size_t size = 200000;
    char *text = malloc(size + 20000);
    assert_non_null(text);
    strcpy(text, "{\"step\":1,\"loss\":1,\"x\":\"");
    memset(text + strlen(text), 'y', size);
    strcpy(text + size, "\"}\n{\"step\":2");
    for (int i = 0; i < 200; i++)
        sprintf(text + strlen(text), ",\"key%d\":%d", i, i);
    strcat(text, "}\n");
    mcf_run_log log = read_log(text);
    assert_int_equal(log.bad_lines, 1);
    assert_int_equal(log.steps, 2);
    assert_int_equal(log.count, MCF_CURVES_MOST);
    mcf_run_log_free(&log);
    free(text);
}

static void test_long_logs_are_thinned(void **state)
{
    const int lines = 3 * MCF_CURVE_POINTS / 2;
    FILE *file = fopen(in_work("log.jsonl"), "w");
    assert_non_null(file);
    for (int i = 1; i <= lines; i++)
        fprintf(file, "{\"step\":%d,\"loss\":%d}\n", i, 2 * i);
    fclose(file);
    mcf_run_log log;
    assert_int_equal(mcf_run_log_read(&log, in_work("log.jsonl"), NULL), MCF_OK);
    const mcf_curve *loss = mcf_run_log_curve(&log, "loss");
    assert_int_equal(loss->stride, 2);
    assert_true(loss->count <= MCF_CURVE_POINTS && loss->count >= MCF_CURVE_POINTS / 2);
    for (size_t i = 0; i < loss->count; i++)
        if (loss->x[i] != (double)(2 * i + 1) || loss->y[i] != 2 * loss->x[i])
            fail_msg("point %zu is at step %g", i, loss->x[i]);
    mcf_run_log_free(&log);
}

// --- charts

static void check_ticks(double low, double high, bool logarithmic, int count, const double *expected)
{
    double ticks[MCF_CHART_TICKS];
    assert_int_equal(mcf_chart_ticks(low, high, 5, logarithmic, ticks), count);
    for (int i = 0; i < count; i++)
        assert_true(fabs(ticks[i] - expected[i]) <= 1e-9 * fabs(expected[i]));
}

static void test_ticks(void **state)
{
    check_ticks(0, 10, false, 6, (double[]){0, 2, 4, 6, 8, 10});
    check_ticks(-0.3, 0.31, false, 7, (double[]){-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3});
    check_ticks(0.9, 4.2, false, 7, (double[]){1, 1.5, 2, 2.5, 3, 3.5, 4});
    check_ticks(1, 100, true, 7, (double[]){1, 2, 5, 10, 20, 50, 100});
    check_ticks(1e-6, 2, true, 7, (double[]){1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1});
    check_ticks(3, 3, false, 1, (double[]){3});
    double ticks[MCF_CHART_TICKS];
    for (int e = -300; e < 300; e += 7) { // never more than fit, whatever the range
        const int count = mcf_chart_ticks(pow(10, e), 1e300, 5, true, ticks);
        assert_in_range(count, 1, MCF_CHART_TICKS);
    }
}

static mcf_curve curve_with(double *x, double *y, size_t count)
{
    return (mcf_curve){.x = x, .y = y, .count = count, .stride = 1};
}

static bool draw(mcf_html *h, const mcf_curve *line, const mcf_curve *marks)
{
    const mcf_chart chart = {
        .title = "Loss", .unit = "", .smooth = true, .count = 1, .series = {{line, marks, 0, "<run>"}}};
    return mcf_html_chart(h, &chart, 0);
}

static void test_charts_of_odd_curves(void **state)
{
    double x[100], y[100];
    mcf_html h = {0};
    for (int i = 0; i < 100; i++) {
        x[i] = i + 1;
        y[i] = NAN;
    }
    const mcf_curve nothing = curve_with(x, y, 100), empty = curve_with(x, y, 0);
    assert_false(draw(&h, &nothing, NULL));
    assert_false(draw(&h, &empty, NULL));
    assert_false(draw(&h, NULL, NULL));
    assert_null(h.text);
    y[4] = 0; // one point, constant, and an infinite one beside it
    y[5] = INFINITY;
    assert_true(draw(&h, &nothing, NULL));
    assert_non_null(strstr(h.text, "<circle"));
    for (int i = 0; i < 100; i++)
        y[i] = -3;
    assert_true(draw(&h, &nothing, &nothing));
    y[50] = 1e300;
    y[51] = -1e300;
    assert_true(draw(&h, &nothing, NULL));
    assert_null(strstr(h.text, "nan"));
    assert_null(strstr(h.text, "inf"));
    assert_null(strstr(h.text, "<run>"));
    assert_non_null(strstr(h.text, "&lt;run&gt;"));
    mcf_text_free(&h);
}

static void test_logarithmic_axis_where_needed(void **state)
{
    double x[50], y[50];
    for (int i = 0; i < 50; i++) {
        x[i] = i;
        y[i] = pow(10, -i / 10.0);
    }
    const mcf_curve wide = curve_with(x, y, 50), narrow = curve_with(x, y, 10);
    mcf_html h = {0};
    assert_true(draw(&h, &wide, NULL));
    assert_non_null(strstr(h.text, "data-log=\"1\""));
    mcf_text_free(&h);
    assert_true(draw(&h, &narrow, NULL));
    assert_non_null(strstr(h.text, "data-log=\"0\""));
    mcf_text_free(&h);
}

// --- a look inside

static void test_principal_components(void **state)
{
    // Rows spread by 3, 2 and 1 along known axes of five dimensions, and nothing else.
    enum { ROWS = 200, DIM = 5 };
    static const double axis[3][DIM] = {{0.6, 0, 0.8, 0, 0}, {0, 1, 0, 0, 0}, {-0.8, 0, 0.6, 0, 0}};
    float x[ROWS * DIM];
    double axes[3 * DIM], scores[ROWS * 3], explained[3], spread[3] = {0};
    mcf_error err = {0};
    for (int r = 0; r < ROWS; r++) {
        // Orthogonal patterns: the sample's own components are exactly these.
        const double c[3] = {3 * (r % 2 ? 1 : -1), 2 * (r / 2 % 2 ? 1 : -1), r / 4 % 2 ? 1 : -1};
        for (int d = 0; d < DIM; d++)
            x[r * DIM + d] = (float)(7 + c[0] * axis[0][d] + c[1] * axis[1][d] + c[2] * axis[2][d]);
    }
    assert_int_equal(mcf_look_components(x, ROWS, DIM, 3, axes, scores, explained, &err), MCF_OK);
    for (int c = 0; c < 3; c++) {
        double dot = 0;
        for (int d = 0; d < DIM; d++)
            dot += axes[c * DIM + d] * axis[c][d];
        assert_true(fabs(fabs(dot) - 1) < 1e-4);
        for (int r = 0; r < ROWS; r++)
            spread[c] += scores[r * 3 + c] * scores[r * 3 + c] / ROWS;
        assert_true(fabs(spread[c] - (3 - c) * (3 - c)) < 1e-2);
        assert_true(fabs(explained[c] - (3 - c) * (3 - c) / 14.0) < 1e-3);
    }
    for (int i = 0; i < ROWS * DIM; i++)
        x[i] = 1; // no variance at all
    assert_int_equal(mcf_look_components(x, ROWS, DIM, 3, axes, scores, explained, &err), MCF_OK);
    assert_true(explained[0] == 0);
    x[3] = NAN;
    assert_int_equal(mcf_look_components(x, ROWS, DIM, 3, axes, scores, explained, &err), MCF_ERR_NUMERIC);
}

static const mcf_model_options small_model = {.image_size = 16,
                                              .patch_size = 4,
                                              .encoder = {.dim = 12, .depth = 2, .heads = 3, .mlp_ratio = 2},
                                              .projector_hidden = 8,
                                              .projector_out = 4,
                                              .batchnorm_groups = 1};

static mcf_program *program_of(mcf_runtime *runtime, mcf_graph *graph)
{
    mcf_program *program;
    mcf_error err = {0};
    if (mcf_program_create(runtime, graph, &program, &err) != MCF_OK)
        fail_msg("%s", err.message);
    return program;
}

static void check_inspection(int depth)
{
    enum { BATCH = 2, TOKENS = 17, DIM = 12, HEADS = 3, WIDTH = DIM / HEADS, PIXELS = 3 * 16 * 16 };
    static float image[BATCH * PIXELS], qkv[BATCH * TOKENS * 3 * DIM], tokens[BATCH * TOKENS * DIM];
    float mixed[BATCH * TOKENS * DIM], cls[BATCH * DIM], mean[BATCH * DIM], shares[HEADS * TOKENS];
    mcf_model_options options = small_model;
    options.encoder.depth = depth;
    const mcf_objective_options objective = {.mask_ratio = 0.75};
    mcf_error err = {0};
    mcf_pretrain_model *model;
    mcf_params params;
    mcf_runtime *runtime;
    mcf_graph *graph;
    assert_int_equal(mcf_pretrain_create(&options, &objective, &model, &err), MCF_OK);
    assert_int_equal(mcf_params_create(&model->store, &params, &err), MCF_OK);
    mcf_pretrain_init(model, 5, &params);
    const mcf_runtime_options how = {
        .backend = mcf_backend_reference(), .device = {.opened = 1}, .member = {.world = 1}, .low_precision = MCF_F32};
    assert_int_equal(mcf_runtime_create(&model->store, &how, NULL, &runtime, &err), MCF_OK);
    assert_int_equal(mcf_params_upload(&params, runtime, &err), MCF_OK);
    mcf_rng rng = mcf_rng_make(1, MCF_RNG_TEST, 0, 0);
    for (int i = 0; i < BATCH * PIXELS; i++)
        image[i] = (float)mcf_rng_normal(&rng);

    assert_int_equal(mcf_inspect_graph(model, BATCH, MCF_F32, &graph, &err), MCF_OK);
    mcf_program *inspect = program_of(runtime, graph);
    assert_int_equal(mcf_program_write(inspect, "image", image, sizeof image, &err), MCF_OK);
    assert_int_equal(mcf_program_run(inspect, false, false, &err), MCF_OK);
    assert_int_equal(mcf_program_read(inspect, "qkv", qkv, BATCH * TOKENS * 3 * DIM, &err), MCF_OK);
    assert_int_equal(mcf_program_read(inspect, "tokens", tokens, BATCH * TOKENS * DIM, &err), MCF_OK);

    // The tokens are those of embedding.
    const mcf_embed_graph_options embed = {.batch = BATCH, .height = 16, .width = 16, .compute = MCF_F32};
    assert_int_equal(mcf_embed_graph(model, &embed, &graph, &err), MCF_OK);
    mcf_program *embedding = program_of(runtime, graph);
    assert_int_equal(mcf_program_write(embedding, "image", image, sizeof image, &err), MCF_OK);
    assert_int_equal(mcf_program_run(embedding, false, false, &err), MCF_OK);
    assert_int_equal(mcf_program_read(embedding, "cls", cls, BATCH * DIM, &err), MCF_OK);
    assert_int_equal(mcf_program_read(embedding, "mean", mean, BATCH * DIM, &err), MCF_OK);
    for (int b = 0; b < BATCH; b++)
        for (int d = 0; d < DIM; d++) {
            double sum = 0;
            for (int t = 1; t < TOKENS; t++)
                sum += tokens[(b * TOKENS + t) * DIM + d] / (TOKENS - 1.0);
            assert_true(fabs(tokens[b * TOKENS * DIM + d] - cls[b * DIM + d]) < 1e-5);
            assert_true(fabs(sum - mean[b * DIM + d]) < 1e-5);
        }

    // The shares mix the values as the backend's own attention does.
    mcf_graph *attention = mcf_graph_create(1, MCF_F32);
    mcf_value input = mcf_input(attention, "qkv", MCF_F32, MCF_SHAPE(BATCH, TOKENS, 3, HEADS, WIDTH));
    mcf_output(attention, mcf_attention(attention, input, 1 / sqrt(WIDTH)), "mixed");
    mcf_program *mix = program_of(runtime, attention);
    assert_int_equal(mcf_program_write(mix, "qkv", qkv, sizeof qkv, &err), MCF_OK);
    assert_int_equal(mcf_program_run(mix, false, false, &err), MCF_OK);
    assert_int_equal(mcf_program_read(mix, "mixed", mixed, BATCH * TOKENS * DIM, &err), MCF_OK);
    for (int b = 0; b < BATCH; b++) {
        mcf_look_attention(qkv + b * TOKENS * 3 * DIM, TOKENS, HEADS, WIDTH, shares);
        for (int h = 0; h < HEADS; h++) {
            double sum = 0;
            for (int t = 0; t < TOKENS; t++)
                sum += shares[h * TOKENS + t];
            assert_true(fabs(sum - 1) < 1e-5);
            for (int d = 0; d < WIDTH; d++) {
                double value = 0;
                for (int t = 0; t < TOKENS; t++)
                    value += shares[h * TOKENS + t] * qkv[((b * TOKENS + t) * 3 + 2) * DIM + h * WIDTH + d];
                assert_true(fabs(value - mixed[b * TOKENS * DIM + h * WIDTH + d]) < 1e-5);
            }
        }
    }
    mcf_program_destroy(mix);
    mcf_program_destroy(embedding);
    mcf_program_destroy(inspect);
    mcf_runtime_destroy(runtime);
    mcf_params_free(&params);
    mcf_pretrain_destroy(model);
}

static void test_inspection(void **state)
{
    check_inspection(3);
    check_inspection(1);
}

// --- the paper

static void test_rows_of_the_paper(void **state)
{
    // Every config of a row is recognised as it, at the paper's size where it says so.
    static const char *const cases[][2] = {
        {"mcf_full", "mcf_full"},     {"mcf_light", "mcf_light"}, {"mcf_in1k", "mcf_in1k"}, {"l2", "l2"},
        {"l2_mim", "l2_mim"},         {"mim_8", "mim_8"},         {"mim_2", "mim_2"},       {"mim_con_p", "mim_con_p"},
        {"mim_con_cls", "mcf_light"}, {"depth_1", "depth_1"},     {"depth_2", "mcf_light"}, {"depth_4", "depth_4"},
        {"depth_8", "depth_8"},       {"epochs_1", "epochs_1"},   {"epochs_2", "epochs_2"}, {"epochs_4", "epochs_4"},
        {"epochs_8", "epochs_8"},     {"epochs_16", "mcf_full"},  {"l2_patch_norm", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[600], text[800];
        mcf_config config;
        mcf_error err = {0};
        snprintf(path, sizeof path, MCF_SOURCE_DIR "/configs/pretrain/%s.yaml", cases[i][0]);
        if (mcf_config_load(&config, path, NULL, 0, &err) != MCF_OK)
            fail_msg("%s", err.message);
        const mcf_paper_row *row = mcf_paper_row_of(&config);
        if ((row ? row->id : NULL) != cases[i][1] && (!row || !cases[i][1] || strcmp(row->id, cases[i][1]) != 0))
            fail_msg("%s is taken for %s", cases[i][0], row ? row->id : "no row");
        if (row) {
            mcf_paper_differences(&config, row, text, sizeof text);
            assert_string_equal(text, "");
        }
        mcf_config_free(&config);
    }
}

static void test_differences_from_the_paper(void **state)
{
    char text[800];
    mcf_config config;
    assert_int_equal(mcf_config_defaults(&config, NULL), MCF_OK);
    config.model.image_size = 64;
    config.schedule.epochs = 40;
    const mcf_paper_row *row = mcf_paper_row_of(&config);
    assert_string_equal(row->id, "mcf_full");
    mcf_paper_differences(&config, row, text, sizeof text);
    assert_string_equal(text, "images of 64 pixels (224), 40 epochs (16)");
    config.objective.feature_weight = 0;
    assert_null(mcf_paper_row_of(&config));
    mcf_config_free(&config);
}

// --- pages

static char *page_of(const char *const *runs, size_t count, mcf_report_result *result)
{
    const char *out = in_work("pages/report.html");
    const mcf_report_options options = {
        .job = {.backend = "cpu-reference"}, .runs = runs, .run_count = count, .out = out};
    mcf_error err = {0};
    char *text;
    size_t size;
    if (mcf_report(&options, result, &err) != MCF_OK)
        fail_msg("%s", err.message);
    assert_int_equal(mcf_file_read(out, 1 << 24, &text, &size, NULL), MCF_OK);
    assert_int_equal(size, result->bytes);
    return text;
}

static void make_run(const char *name, const char *config, const char *log)
{
    char path[300];
    assert_int_equal(mcf_directory_make(in_work(name), NULL), MCF_OK);
    snprintf(path, sizeof path, "%s/config.yaml", name);
    if (config)
        write_text(path, config);
    snprintf(path, sizeof path, "%s/log.jsonl", name);
    if (log)
        write_text(path, log);
}

static void test_page_of_a_run_that_just_began(void **state)
{
    make_run("begun", "data: {train: [faces]}\nobjective: {feature: {weight: 0}, pixel: {weight: 1}}\n", NULL);
    const char *const runs[] = {in_work("begun")};
    mcf_report_result result;
    char *page = page_of(runs, 1, &result);
    assert_non_null(strstr(page, "There is no log.jsonl."));
    assert_non_null(strstr(page, "has saved no checkpoint yet"));
    assert_non_null(strstr(page, "No reconstructions."));
    assert_non_null(strstr(page, "Nothing is known of the machine."));
    assert_int_equal(result.missing, 6);
    free(page);
}

static void test_page_of_hostile_pieces(void **state)
{
    make_run("<b>bad & 'run'", "seeed: 1 # <script>alert(1)</script>\n",
             "{\"step\":1,\"loss\":2,\"loss.<svg>\":1}\n{\"step\":2,\"loss\":1}\n\xff\xfe\n"
             "{\"step\":3,\"broken_image\":\"</pre><img src=x onerror=alert(1)>\"}\n{\"step\":3,\"loss\":");
    assert_int_equal(mcf_directory_make(in_work("<b>bad & 'run'/pictures"), NULL), MCF_OK);
    assert_int_equal(mcf_directory_make(in_work("<b>bad & 'run'/checkpoints/step-00000009"), NULL), MCF_OK);
    write_text("<b>bad & 'run'/pictures/original.jpg", "no picture");
    write_text("<b>bad & 'run'/pictures/step-00000001.jpg", "");
    write_text("<b>bad & 'run'/pictures/step-x.jpg", "");
    write_text("<b>bad & 'run'/machine.json", "[{\"cpu\":\"<i>\",\"devices\":7,\"cores\":\"many\"}, 3]");
    write_text("<b>bad & 'run'/checkpoints/step-00000009/state.json", "{");
    const char *const runs[] = {in_work("<b>bad & 'run'")};
    mcf_report_result result;
    char *page = page_of(runs, 1, &result);
    assert_null(strstr(page, "<script>alert"));
    assert_null(strstr(page, "<img src=x"));
    assert_null(strstr(page, "<b>bad"));
    assert_null(strstr(page, "<svg>"));
    assert_non_null(strstr(page, "seeed"));
    assert_non_null(strstr(page, "The log&#39;s last line") ? page : strstr(page, "The log's last line"));
    assert_non_null(strstr(page, "1 lines of the log are damaged"));
    assert_true(result.missing > 0);
    assert_true(result.first[0] != '\0');
    free(page);
}

static void test_page_of_two_runs(void **state)
{
    make_run("a", "seed: 1\nmodel: {teacher: {checkpoint: random}}\n",
             "{\"step\":1,\"loss\":2,\"lr\":0}\n{\"step\":2,\"loss\":1,\"lr\":1}\n");
    make_run("b", "seed: 2\nmodel: {teacher: {checkpoint: random}}\n",
             "{\"step\":1,\"loss\":3,\"lr\":0}\n{\"step\":2,\"loss\":2,\"lr\":1}\n");
    const char *const runs[] = {in_work("a"), in_work("b")};
    mcf_report_result result;
    char *page = page_of(runs, 2, &result);
    assert_non_null(strstr(page, "What differs"));
    assert_non_null(strstr(page, "<tr class=\"differs\"><th><code>seed</code></th><td>1</td><td>2</td></tr>"));
    assert_null(strstr(page, "<th><code>model.patch_size</code>"));
    assert_non_null(strstr(page, "class=\"line run-1\""));
    free(page);
}

static void test_what_is_no_run(void **state)
{
    mcf_report_result result;
    mcf_error err = {0};
    assert_int_equal(mcf_directory_make(in_work("empty"), NULL), MCF_OK);
    const char *const cases[] = {in_work("empty"), in_work("nowhere")};
    for (int i = 0; i < 2; i++) {
        const mcf_report_options options = {.runs = &cases[i], .run_count = 1, .out = in_work("none.html")};
        assert_int_equal(mcf_report(&options, &result, &err), MCF_ERR_USAGE);
        assert_non_null(strstr(err.message, cases[i]));
        assert_false(mcf_path_exists(in_work("none.html")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_foreign_text_is_no_markup),
        cmocka_unit_test(test_bytes_that_are_no_utf8),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_log_of_a_run_that_goes_on),
        cmocka_unit_test(test_damaged_log),
        cmocka_unit_test(test_log_that_goes_back),
        cmocka_unit_test(test_long_lines_and_many_keys),
        cmocka_unit_test(test_long_logs_are_thinned),
        cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_charts_of_odd_curves),
        cmocka_unit_test(test_logarithmic_axis_where_needed),
        cmocka_unit_test(test_principal_components),
        cmocka_unit_test(test_inspection),
        cmocka_unit_test(test_rows_of_the_paper),
        cmocka_unit_test(test_differences_from_the_paper),
        cmocka_unit_test(test_page_of_a_run_that_just_began),
        cmocka_unit_test(test_page_of_hostile_pieces),
        cmocka_unit_test(test_page_of_two_runs),
        cmocka_unit_test(test_what_is_no_run),
    };
    return cmocka_run_group_tests(tests, make_work, remove_work);
}
