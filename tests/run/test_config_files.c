// The committed configs: every one loads, is fit to run, reads back from its dump, and says what its row says.
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <ftw.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/graph_internal.h"
#include "base/rng.h"
#include "run/config/check.h"
#include "run/config/config.h"
#include "model/pretrain.h"
#include "train/optimise.h"

static int seen;

static int check_file(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    mcf_config config, back;
    mcf_error err = {0};
    char *text;
    size_t length = strlen(path);
    if (kind != FTW_F || length < 5 || strcmp(path + length - 5, ".yaml") != 0)
        return 0;
    // Some leave the images to the command line.
    const char *sets[] = {"data.train=[some/faces]"};
    if (mcf_config_load(&config, path, sets, 1, &err) != MCF_OK)
        fail_msg("%s", err.message);
    if (mcf_config_check_run(&config, &err) != MCF_OK)
        fail_msg("%s: %s", path, err.message);
    assert_int_equal(mcf_config_dump(&config, &text, &err), MCF_OK);
    assert_int_equal(mcf_config_parse(&back, text, strlen(text), "dump", NULL, 0, &err), MCF_OK);
    assert_memory_equal(&config.model, &back.model, sizeof(back.model));
    assert_memory_equal(&config.objective, &back.objective, sizeof(back.objective));
    free(text);
    mcf_config_free(&config);
    mcf_config_free(&back);
    seen++;
    return 0;
}

static void all_files_load(void **state)
{
    assert_int_equal(nftw(MCF_SOURCE_DIR "/configs", check_file, 8, FTW_PHYS), 0);
    assert_true(seen >= 20);
}

// The feature term weighs as much beside the others: L_mim is as 1 / tokens.
static double feature_share(const mcf_config *c)
{
    const int side = c->model.image_size / c->model.patch_size;
    return c->objective.feature_weight / (1 + side * side);
}

static void same_row(const mcf_config *full, const mcf_config *small, const char *path)
{
    mcf_objective_options objective = small->objective;
    objective.feature_weight = full->objective.feature_weight;
    const bool same = !memcmp(&full->objective, &objective, sizeof objective) &&
                      fabs(feature_share(full) - feature_share(small)) <= 0.001 * feature_share(full) &&
                      full->data.fraction == small->data.fraction && full->data.crop == small->data.crop &&
                      full->data.crop_min == small->data.crop_min && full->data.filter == small->data.filter &&
                      full->model.decoder.depth == small->model.decoder.depth &&
                      full->schedule.epochs == small->schedule.epochs &&
                      full->schedule.warmup_epochs == small->schedule.warmup_epochs &&
                      (full->model.init[0] != 0) == (small->model.init[0] != 0) &&
                      full->optimizer.betas[1] == small->optimizer.betas[1] &&
                      full->optimizer.weight_decay == small->optimizer.weight_decay &&
                      small->model.encoder.dim <= 192 && small->model.image_size <= 96;
    if (!same)
        fail_msg("%s: its small namesake is another row", path);
}

// Tables 7, 8, 11 and 12, and method.md's rows.
static void rows_say_what_they_change(void **state)
{
    static const struct {
        const char *name;
        double fraction, feature, pixel, contrastive;
        int decoder_depth, epochs;
        mcf_contrast_tokens tokens;
        double peak; // on 8 devices
    } rows[] = {
        {"mcf_full", 1, 1000, 0, 1, 2, 16, MCF_TOKENS_CLS, 0.0024},
        {"mcf_light", 0.1, 1000, 0, 1, 2, 16, MCF_TOKENS_CLS, 0.0024},
        {"mcf_full_paper_rate", 1, 1000, 0, 1, 2, 16, MCF_TOKENS_CLS, 0.016},
        {"mcf_light_paper_rate", 0.1, 1000, 0, 1, 2, 16, MCF_TOKENS_CLS, 0.016},
        {"mcf_in1k", 1, 1000, 0, 1, 2, 16, MCF_TOKENS_CLS, 0.0024},
        {"l2", 0.1, 0, 1, 0, 8, 16, MCF_TOKENS_CLS, 0.0024},
        {"l2_patch_norm", 0.1, 0, 1, 0, 8, 16, MCF_TOKENS_CLS, 0.0024},
        {"l2_mim", 0.1, 1000, 1, 0, 8, 16, MCF_TOKENS_CLS, 0.0024},
        {"mim_8", 0.1, 1000, 0, 0, 8, 16, MCF_TOKENS_CLS, 0.0024},
        {"mim_2", 0.1, 1000, 0, 0, 2, 16, MCF_TOKENS_CLS, 0.0024},
        {"mim_con_p", 0.1, 1000, 0, 1, 2, 16, MCF_TOKENS_PATCH, 0.0024},
        {"mim_con_cls", 0.1, 1000, 0, 1, 2, 16, MCF_TOKENS_CLS, 0.0024},
        {"depth_1", 0.1, 1000, 0, 1, 1, 16, MCF_TOKENS_CLS, 0.0024},
        {"depth_2", 0.1, 1000, 0, 1, 2, 16, MCF_TOKENS_CLS, 0.0024},
        {"depth_4", 0.1, 1000, 0, 1, 4, 16, MCF_TOKENS_CLS, 0.0024},
        {"depth_8", 0.1, 1000, 0, 1, 8, 16, MCF_TOKENS_CLS, 0.0024},
        {"epochs_1", 1, 1000, 0, 1, 2, 1, MCF_TOKENS_CLS, 0.0024},
        {"epochs_2", 1, 1000, 0, 1, 2, 2, MCF_TOKENS_CLS, 0.0024},
        {"epochs_4", 1, 1000, 0, 1, 2, 4, MCF_TOKENS_CLS, 0.0024},
        {"epochs_8", 1, 1000, 0, 1, 2, 8, MCF_TOKENS_CLS, 0.0024},
        {"epochs_16", 1, 1000, 0, 1, 2, 16, MCF_TOKENS_CLS, 0.0024},
        {"mae_published", 0.1, 0, 1, 0, 8, 16, MCF_TOKENS_CLS, 0.0024},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        mcf_config c, small;
        mcf_error err = {0};
        char path[512];
        snprintf(path, sizeof(path), MCF_SOURCE_DIR "/configs/small/%s.yaml", rows[i].name);
        if (mcf_config_load(&small, path, NULL, 0, &err) != MCF_OK)
            fail_msg("%s", err.message);
        snprintf(path, sizeof(path), MCF_SOURCE_DIR "/configs/pretrain/%s.yaml", rows[i].name);
        if (mcf_config_load(&c, path, NULL, 0, &err) != MCF_OK)
            fail_msg("%s", err.message);
        // A small row changes what its namesake changes; sizes and rates are its own.
        same_row(&c, &small, path);
        mcf_config_free(&small);
        bool same = c.data.fraction == rows[i].fraction && c.objective.feature_weight == rows[i].feature &&
                    c.objective.pixel_weight == rows[i].pixel &&
                    c.objective.contrastive_weight == rows[i].contrastive &&
                    c.model.decoder.depth == rows[i].decoder_depth && c.schedule.epochs == rows[i].epochs &&
                    c.objective.tokens == rows[i].tokens && fabs(mcf_config_peak_rate(&c, 8) - rows[i].peak) < 1e-12 &&
                    mcf_config_effective_batch(&c, 8) == 4096 && c.model.encoder.depth == 12;
        if (!same)
            fail_msg("%s is not its row", path);
        assert_int_equal(c.model.init[0] != '\0', strcmp(rows[i].name, "mcf_in1k") == 0);
        const bool published = strcmp(rows[i].name, "mae_published") == 0;
        assert_int_equal(c.objective.per_patch_norm, published || strcmp(rows[i].name, "l2_patch_norm") == 0);
        assert_int_equal(c.data.crop == MCF_CROP_RANDOM, published);
        if (published)
            assert_true(c.data.crop_min == 0.2 && c.data.filter == MCF_FILTER_BICUBIC);
        mcf_config_free(&c);
    }
}

static void moco_is_the_published_one(void **state)
{
    mcf_config c;
    mcf_error err = {0};
    if (mcf_config_load(&c, MCF_SOURCE_DIR "/configs/pretrain/moco_v3.yaml", NULL, 0, &err) != MCF_OK)
        fail_msg("%s", err.message);
    assert_true(c.objective.method == MCF_METHOD_MOCO_V3 && c.model.sync_batchnorm && c.data.crop_min == 0.08);
    assert_true(c.objective.temperature == 0.2 && c.objective.momentum == 0.99);
    assert_true(c.model.projector_hidden == 4096 && c.model.projector_out == 256 && c.model.encoder.depth == 12);
    assert_true(c.optimizer.betas[1] == 0.999 && c.optimizer.weight_decay == 0.1);
    assert_true(c.schedule.epochs == 300 && c.schedule.warmup_epochs == 40);
    assert_int_equal(mcf_config_effective_batch(&c, 64), 4096);
    assert_true(fabs(mcf_config_peak_rate(&c, 64) - 0.0024) < 1e-12);
    mcf_config_free(&c);
}

// --- networks of all configs

static void load(const char *path, mcf_config *c)
{
    mcf_error err = {0};
    // Weights of others are not here; what is built does not depend on them.
    const char *sets[] = {"data.train=[some/faces]", "model.init=\"\""};
    if (mcf_config_load(c, path, sets, 2, &err) != MCF_OK)
        fail_msg("%s", err.message);
    if (c->objective.method == MCF_METHOD_MCF)
        strcpy(c->model.teacher_checkpoint, "random");
}

// Builds, simplifies and plans the step at its own batch size: no memory of the network's size is taken.
static void plan(const char *path)
{
    mcf_config c;
    mcf_error err = {0};
    mcf_pretrain_model *model;
    mcf_graph *graph;
    mcf_plan layout;
    load(path, &c);
    if (mcf_pretrain_create(&c.model, &c.objective, &model, &err) != MCF_OK)
        fail_msg("%s: %s", path, err.message);
    const mcf_step_graph_options options = {.batch = c.batch.per_device,
                                            .world = 8,
                                            .compute = MCF_BF16,
                                            .image_u8 = true,
                                            .backward = true,
                                            .average = true};
    if (mcf_pretrain_graph(model, &options, &graph, &err) != MCF_OK)
        fail_msg("%s: %s", path, err.message);
    mcf_graph_simplify(graph);
    if (mcf_graph_status(graph, &err) != MCF_OK || mcf_plan_create(graph, 64, 0, &layout, &err) != MCF_OK)
        fail_msg("%s: %s", path, err.message);
    assert_true(model->store.role_count[MCF_ROLE_TRAINED] > 80000000); // ViT-B is 86 million
    assert_true(layout.arena_bytes > 1e9 && layout.arena_bytes < 60e9);
    mcf_plan_free(&layout);
    mcf_graph_destroy(graph);
    mcf_pretrain_destroy(model);
    mcf_config_free(&c);
}

typedef struct {
    mcf_engine *engine;
    mcf_inputs inputs;
} noise;

static mcf_status next(void *context, int number, const mcf_inputs **inputs, mcf_error *err)
{
    *inputs = &((noise *)context)->inputs;
    return MCF_OK;
}

// One step of the config's network on noise, from its own start.
static void run_step(const char *path)
{
    mcf_config c;
    mcf_error err = {0};
    noise n = {0};
    mcf_losses losses;
    load(path, &c);
    const mcf_job_options job = {.backend = "cpu"};
    mcf_step_plan plan = {.micro_batches = 1, .batch = 4, .image_u8 = true, .loss_scale = 1, .lr = 1e-3, .number = 1};
    mcf_rng rng = mcf_rng_make(1, MCF_RNG_TEST, 0, 0);
    if (mcf_engine_create(&n.engine, &c, &job, true, &err) != MCF_OK)
        fail_msg("%s: %s", path, err.message);
    const mcf_objective *o = &n.engine->objective;
    if (o->start(o, c.seed, &n.engine->params, &err) != MCF_OK || mcf_engine_upload(n.engine, &err) != MCF_OK ||
        n.engine->task->random(&c, o, &rng, plan.batch, 0, &n.inputs, &err) != MCF_OK ||
        mcf_optimise_until_finite(n.engine, &plan, next, &n, &losses, NULL, &err) != MCF_OK)
        fail_msg("%s: %s", path, err.message);
    assert_true(isfinite(losses.value[0]) && losses.value[0] > 0);
    mcf_inputs_free(&n.inputs);
    mcf_engine_destroy(n.engine);
    mcf_config_free(&c);
}

static int each(const char *folder, void (*act)(const char *path))
{
    char pattern[512];
    glob_t found;
    snprintf(pattern, sizeof pattern, MCF_SOURCE_DIR "/configs/%s/*.yaml", folder);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    int count = (int)found.gl_pathc;
    for (int i = 0; i < count; i++)
        act(found.gl_pathv[i]);
    globfree(&found);
    return count;
}

static void full_size_steps_are_planned(void **state)
{
    assert_true(each("pretrain", plan) >= 24);
}

static void small_steps_run(void **state)
{
    assert_true(each("small", run_step) >= 24);
}

// Every row of the paper's size has a small one.
static void has_small_one(const char *path)
{
    char small[600];
    snprintf(small, sizeof small, MCF_SOURCE_DIR "/configs/small%s", strrchr(path, '/'));
    if (access(small, R_OK) != 0)
        fail_msg("%s has no small namesake", path);
}

static void rows_come_in_two_sizes(void **state)
{
    each("pretrain", has_small_one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_files_load),
        cmocka_unit_test(rows_say_what_they_change),
        cmocka_unit_test(moco_is_the_published_one),
        cmocka_unit_test(rows_come_in_two_sizes),
        cmocka_unit_test(full_size_steps_are_planned),
        cmocka_unit_test(small_steps_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
