// `mcf import` on files that PyTorch wrote (tests/import/make_fixtures.py): what the encoder then computes, in
// `mcf embed` and `mcf step`, against PyTorch in double precision; what does not fit.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/judge.h"
#include "infer/embed.h"
#include "run/import.h"
#include "train/trace.h"

#define FIXTURES MCF_SOURCE_DIR "/tests/import/"
enum { HEADS = 3 };

static mcf_error err;
#define OK(expression)                                                                                                 \
    do {                                                                                                               \
        if ((expression) != MCF_OK)                                                                                    \
            fail_msg("%s", err.message);                                                                               \
    } while (0)

typedef struct {
    const char *file, *expected;
    mcf_import_kind kind;
    bool momentum;
} import_case;

static const import_case cases[] = {
    {"mcf.pth", "mcf", MCF_IMPORT_MCF, false},
    {"mcf_parallel.pth", "mcf", MCF_IMPORT_MCF, false},
    {"mcf.safetensors", "mcf", MCF_IMPORT_MCF, false},
    {"mae.pth", "mae", MCF_IMPORT_MAE, false},
    {"mae_stream.pth", "mae", MCF_IMPORT_MAE, false},
    {"mae_parameters.pth", "mae", MCF_IMPORT_MAE, false},
    {"mae.safetensors", "mae", MCF_IMPORT_MAE, false},
    {"moco_v3.pth.tar", "moco_base", MCF_IMPORT_MOCO_V3, false},
    {"moco_v3.pth.tar", "moco_momentum", MCF_IMPORT_MOCO_V3, true},
    {"moco_v3_stream.pth.tar", "moco_base", MCF_IMPORT_MOCO_V3, false},
    {"moco_v3_stream.pth.tar", "moco_momentum", MCF_IMPORT_MOCO_V3, true},
    {"moco_v3.safetensors", "moco_base", MCF_IMPORT_MOCO_V3, false},
    {"moco_v3.safetensors", "moco_momentum", MCF_IMPORT_MOCO_V3, true},
    {"timm.pth", "timm", MCF_IMPORT_TIMM, false},
    {"timm_stream.pth", "timm", MCF_IMPORT_TIMM, false},
    {"timm_settings.pth", "timm", MCF_IMPORT_TIMM, false},
    {"timm_views.pth", "timm", MCF_IMPORT_TIMM, false},
    {"timm_views_stream.pth", "timm", MCF_IMPORT_TIMM, false},
    {"timm_double.pth", "timm", MCF_IMPORT_TIMM, false},
    {"timm.safetensors", "timm", MCF_IMPORT_TIMM, false},
    {"timm_float16.pth", "timm_float16", MCF_IMPORT_TIMM, false},
    {"timm_float16.safetensors", "timm_float16", MCF_IMPORT_TIMM, false},
    {"timm_bfloat16.pth", "timm_bfloat16", MCF_IMPORT_TIMM, false},
    {"timm_bfloat16.safetensors", "timm_bfloat16", MCF_IMPORT_TIMM, false},
    {"farl.pth", "farl", MCF_IMPORT_FARL, false},
    {"farl_stream.pth", "farl", MCF_IMPORT_FARL, false},
    {"farl.safetensors", "farl", MCF_IMPORT_FARL, false},
};
enum { CASES = sizeof cases / sizeof *cases };

static mcf_safetensors *expected;

static int open_expected(void **state)
{
    (void)state;
    return mcf_safetensors_open(&expected, FIXTURES "expected.safetensors", &err) != MCF_OK;
}

static int close_expected(void **state)
{
    (void)state;
    mcf_safetensors_close(expected);
    return 0;
}

static const char *scratch(const char *what)
{
    static char path[2][1024];
    static int turn;
    char *to = path[turn++ % 2];
    snprintf(to, sizeof path[0], "%s/import-%d-%s.safetensors", MCF_BINARY_DIR, (int)getpid(), what);
    return to;
}

// Relative L2 error of values against the expected tensor CASE.WHAT, at most 1e-5.
static double compare(const char *name, const char *what, const float *got, int64_t count)
{
    char full[128];
    snprintf(full, sizeof full, "%s.%s", name, what);
    float *want = judge_read(expected, full, count);
    double difference = 0, size = 0;
    if (!want)
        fail_msg("expected.safetensors has no %s of %lld numbers", full, (long long)count);
    for (int64_t i = 0; i < count; i++) {
        difference += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        size += (double)want[i] * want[i];
    }
    free(want);
    const double error = sqrt(difference / size);
    if (!(error <= 1e-5))
        fail_msg("%s: error %.2e", full, error);
    return error;
}

static double compare_features(const char *checkpoint, const char *name, const char *pixels, const char *backend)
{
    const mcf_safetensors_entry *entry = mcf_safetensors_find(expected, pixels);
    mcf_embedder *embedder;
    const mcf_embedder_options options = {.checkpoint = checkpoint, .job = {.backend = backend, .threads = 1}};
    assert_non_null(entry);
    const int64_t count = entry->shape.dim[0];
    uint8_t *images = malloc(entry->size);
    OK(mcf_safetensors_read(expected, entry, images, &err));
    OK(mcf_embedder_open(&embedder, &options, &err));
    assert_int_equal(mcf_embedder_size(embedder), entry->shape.dim[1]);
    const int64_t dim = mcf_embedder_dim(embedder);
    float *cls = malloc((size_t)(count * dim) * sizeof *cls), *mean = malloc((size_t)(count * dim) * sizeof *mean);
    OK(mcf_embedder_run(embedder, images, count, cls, mean, &err));
    const double worst = fmax(compare(name, "cls", cls, count * dim), compare(name, "mean", mean, count * dim));
    mcf_embedder_close(embedder);
    free(images);
    free(cls);
    free(mean);
    return worst;
}

// A pre-training config with the imported encoder as E_b and as M_1, M_0 from --init.
static const char step_config[] =
    "task: pretrain\n"
    "model:\n"
    "  image_size: 12\n"
    "  patch_size: 4\n"
    "  init: %s\n"
    "  encoder: {dim: 12, depth: 2, heads: 3, mlp_ratio: 4%s}\n"
    "  decoder: {dim: 8, depth: 1, heads: 2, mlp_ratio: 4}\n"
    "  teacher: {dim: 12, depth: 2, heads: 3, mlp_ratio: 4, blocks: [1, 2], checkpoint: %s%s}\n"
    "objective:\n"
    "  mask_ratio: 0.6\n"
    "  feature: {weight: 1}\n"
    "  pixel: {weight: 1}\n"
    "  contrastive: {weight: 0}\n"
    "optimizer: {lr: 0.001}\n";
static const char like_clip[] = ", activation: quick-gelu, pre_norm: true, patch_bias: false, norm_eps: 1e-5";

static mcf_status run_step(const char *encoder, const char *more, const char *backend, const char *out)
{
    char text[4096];
    mcf_config config;
    const mcf_step_options options = {.init = FIXTURES "decoder.safetensors",
                                      .batch = FIXTURES "batch.safetensors",
                                      .out = out,
                                      .job = {.backend = backend, .threads = 1}};
    snprintf(text, sizeof text, step_config, encoder, more, encoder, more);
    OK(mcf_config_parse(&config, text, strlen(text), "step", NULL, 0, &err));
    mcf_status status = mcf_step(&config, &options, NULL, &err);
    mcf_config_free(&config);
    return status;
}

static double compare_step(const char *encoder, const char *name, bool clip, const char *backend)
{
    static const char *const results[] = {"out.pred", "loss.pixel", "loss.feature"};
    const char *out = scratch("step");
    mcf_safetensors *got;
    double worst = 0;
    OK(run_step(encoder, clip ? like_clip : "", backend, out));
    OK(mcf_safetensors_open(&got, out, &err));
    for (int i = 0; i < 3; i++) {
        const mcf_safetensors_entry *entry = mcf_safetensors_find(got, results[i]);
        assert_non_null(entry);
        float *values = judge_read(got, results[i], -1);
        worst = fmax(worst, compare(name, results[i], values, (int64_t)entry->count));
        free(values);
    }
    mcf_safetensors_close(got);
    unlink(out);
    return worst;
}

static void import(const char *file, const mcf_import_options *options, const char *out)
{
    char path[1024];
    mcf_import_file_options all = {.read = *options};
    snprintf(path, sizeof path, FIXTURES "%s", file);
    if (mcf_import_file(path, &all, out, NULL, &err) != MCF_OK)
        fail_msg("%s: %s", file, err.message);
}

static void check_cases(const char *backend)
{
    for (int i = 0; i < CASES; i++) {
        const import_case *c = &cases[i];
        const char *out = scratch("encoder");
        const mcf_import_options options = {.kind = c->kind, .momentum_encoder = c->momentum, .heads = HEADS};
        import(c->file, &options, out);
        double features = compare_features(out, c->expected, "pixels", backend);
        double step = compare_step(out, c->expected, c->kind == MCF_IMPORT_FARL, backend);
        fprintf(stderr, "%-24s as %-13s %-13s: embed off by %.1e, step by %.1e\n", c->file, c->expected, backend,
                features, step);
        unlink(out);
    }
}

static void forward_on_reference(void **state)
{
    (void)state;
    check_cases("cpu-reference");
}

static void forward_on_cpu(void **state)
{
    (void)state;
    check_cases("cpu");
}

// Position tables of another grid: resized by import, and by model.init when a run of another size starts.
static void other_grids(void **state)
{
    (void)state;
    const char *out = scratch("encoder");
    import("timm.pth", &(mcf_import_options){.kind = MCF_IMPORT_TIMM, .heads = HEADS, .image_size = 20}, out);
    compare_features(out, "timm20", "pixels20", "cpu");
    import("farl.pth", &(mcf_import_options){.kind = MCF_IMPORT_FARL, .heads = HEADS, .image_size = 20}, out);
    compare_features(out, "farl20", "pixels20", "cpu");
    unlink(out);
}

// A shape that nobody publishes: width / 64 is not made up, and right when it is given.
static void heads_of_64(void **state)
{
    (void)state;
    const char *out = scratch("encoder");
    mcf_imported imported;
    assert_int_equal(
        mcf_import(FIXTURES "timm_64.pth", &(mcf_import_options){.kind = MCF_IMPORT_TIMM}, &imported, &err),
        MCF_ERR_USAGE);
    assert_non_null(strstr(err.message, "give --heads"));
    import("timm_64.pth", &(mcf_import_options){.kind = MCF_IMPORT_TIMM, .heads = 1}, out);
    compare_features(out, "timm_64", "pixels", "cpu");
    unlink(out);
}

// What shapes do not tell is compared when an imported encoder starts a run.
static void refuse(mcf_status status, mcf_status wanted, const char *text)
{
    if (status != wanted || !strstr(err.message, text))
        fail_msg("status %d, \"%s\"; wanted %d and \"%s\"", status, err.message, wanted, text);
}

static void another_network(void **state)
{
    (void)state;
    const char *out = scratch("encoder"), *to = scratch("step");
    import("farl.pth", &(mcf_import_options){.kind = MCF_IMPORT_FARL, .heads = HEADS}, out);
    refuse(run_step(out, ", pre_norm: true, patch_bias: false, norm_eps: 1e-5", "cpu-reference", to), MCF_ERR_USAGE,
           "an encoder with activation quick-gelu; the config's `activation` is gelu");
    refuse(run_step(out, ", pre_norm: true, patch_bias: false, activation: quick-gelu", "cpu-reference", to),
           MCF_ERR_USAGE, "an encoder whose LayerNorms have eps 1e-05; the config's `norm_eps` is 1e-06");
    refuse(run_step(out, ", patch_bias: false, activation: quick-gelu, norm_eps: 1e-5", "cpu-reference", to),
           MCF_ERR_SHAPE, "2 not of this network: norm_pre.weight, norm_pre.bias");
    refuse(run_step(out, ", pre_norm: true, activation: quick-gelu, norm_eps: 1e-5", "cpu-reference", to),
           MCF_ERR_SHAPE, "1 missing: patch_embed.proj.bias");
    import("farl.pth", &(mcf_import_options){.kind = MCF_IMPORT_FARL, .heads = 2}, out);
    refuse(run_step(out, like_clip, "cpu-reference", to), MCF_ERR_USAGE,
           "an encoder of 2 heads; the config's `heads` is 3");
    refuse(run_step(FIXTURES "nowhere.safetensors", "", "cpu-reference", to), MCF_ERR_IO, "nowhere.safetensors");
    unlink(out);
}

static mcf_status import_status(const char *file, mcf_import_kind kind, bool momentum)
{
    char path[1024];
    mcf_import_file_options all = {.read = {.kind = kind, .momentum_encoder = momentum, .heads = HEADS}};
    snprintf(path, sizeof path, FIXTURES "%s", file);
    return mcf_import_file(path, &all, scratch("none"), NULL, &err);
}

static void another_kind(void **state)
{
    (void)state;
    refuse(import_status("mae.pth", MCF_IMPORT_MCF, false), MCF_ERR_FORMAT,
           "holds no encoder of kind mcf: there is no online_encoder.cls_token");
    refuse(import_status("mcf.pth", MCF_IMPORT_MOCO_V3, true), MCF_ERR_FORMAT,
           "there is no momentum_encoder.cls_token");
    refuse(import_status("timm.pth", MCF_IMPORT_FARL, false), MCF_ERR_FORMAT, "there is no visual.class_embedding");
    refuse(import_status("mae.pth", MCF_IMPORT_TIMM, false), MCF_ERR_SHAPE, "not of this network: mask_token");
    refuse(import_status("nowhere.pth", MCF_IMPORT_TIMM, false), MCF_ERR_IO, "nowhere.pth");
    refuse(import_status("make_fixtures.py", MCF_IMPORT_TIMM, false), MCF_ERR_FORMAT, "make_fixtures.py");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_on_reference), cmocka_unit_test(forward_on_cpu),  cmocka_unit_test(other_grids),
        cmocka_unit_test(heads_of_64),          cmocka_unit_test(another_network), cmocka_unit_test(another_kind),
    };
    return cmocka_run_group_tests(tests, open_expected, close_expected);
}
