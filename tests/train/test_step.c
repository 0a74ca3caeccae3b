// What mcf step says when its inputs do not fit, and what it writes. That its numbers are right: test_golden.c.
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

#include "base/file.h"
#include "data/formats/safetensors.h"
#include "train/trace.h"

#define CASE MCF_SOURCE_DIR "/tests/golden/one_block"
enum { MOST = 256 };

static char work[256];

static int begin(void **state)
{
    snprintf(work, sizeof work, "%s/mcf-step.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    return mkdtemp(work) ? 0 : -1;
}

static int end(void **state)
{
    return mcf_tree_remove(work, NULL) == MCF_OK ? 0 : -1;
}

// A copy of a file of the case with `drop` left out and `rename` called `as`.
static char *variant(const char *file, const char *drop, const char *rename, const char *as)
{
    char from[512], *to = malloc(600);
    snprintf(from, sizeof from, CASE "/%s", file);
    snprintf(to, 600, "%s/variant.%s", work, file);
    mcf_safetensors *in;
    assert_int_equal(mcf_safetensors_open(&in, from, NULL), MCF_OK);
    mcf_named_tensor tensors[MOST];
    size_t count = 0;
    for (size_t i = 0; i < mcf_safetensors_count(in); i++) {
        const mcf_safetensors_entry *e = mcf_safetensors_at(in, i);
        if (drop && strcmp(e->name, drop) == 0)
            continue;
        mcf_named_tensor *t = &tensors[count++];
        *t = (mcf_named_tensor){rename && strcmp(e->name, rename) == 0 ? as : e->name, e->dtype, e->shape,
                                malloc(e->size)};
        assert_int_equal(mcf_safetensors_read(in, e, t->data, NULL), MCF_OK);
    }
    assert_int_equal(mcf_safetensors_save(to, tensors, count, NULL, NULL, NULL, NULL), MCF_OK);
    for (size_t i = 0; i < count; i++)
        free(tensors[i].data);
    mcf_safetensors_close(in);
    return to;
}

static mcf_status step(const char *init, const char *batch, const char *devices, const char *set, int steps,
                       mcf_step_result *result, mcf_error *err)
{
    mcf_config config;
    const char *const sets[] = {set};
    mcf_status status = mcf_config_load(&config, CASE "/config.yaml", sets, set ? 1 : 0, err);
    if (status != MCF_OK)
        return status;
    char out[512];
    snprintf(out, sizeof out, "%s/out.safetensors", work);
    mcf_step_options options = {.job = {.backend = "cpu-reference"},
                                .init = init ? init : CASE "/params.safetensors",
                                .batch = batch ? batch : CASE "/batch.safetensors",
                                .out = out,
                                .steps = steps};
    assert_int_equal(mcf_job_parse_devices(&options.job, devices, NULL), MCF_OK);
    status = mcf_step(&config, &options, result, err);
    mcf_config_free(&config);
    return status;
}

static void refuses(char *init, char *batch, const char *devices, const char *set, const char *words)
{
    mcf_error err = {0};
    const mcf_status status = step(init, batch, devices, set, 1, NULL, &err);
    if (status == MCF_OK || !strstr(err.message, words))
        fail_msg("status %d, \"%s\" should say \"%s\"", status, err.message, words);
    char out[512];
    snprintf(out, sizeof out, "%s/out.safetensors", work);
    assert_false(mcf_path_exists(out));
    free(init);
    free(batch);
}

static void refusals(void **state)
{
    refuses(NULL, variant("batch.safetensors", "image", NULL, NULL), "0", NULL, "missing: image");
    refuses(NULL, variant("batch.safetensors", "ids_shuffle_target", NULL, NULL), "0", NULL,
            "missing: ids_shuffle_target");
    refuses(NULL, variant("batch.safetensors", NULL, "ids_shuffle", "ids_shufle"), "0", NULL,
            "missing: ids_shuffle; extra: ids_shufle");
    refuses(NULL, strdup(CASE "/../batch_32/batch.safetensors"), "0", NULL, "image is [32, 3, 24, 24]");
    refuses(NULL, NULL, "0,1", NULL, "cannot be split evenly among 2 devices");
    refuses(variant("params.safetensors", "online_encoder.norm.weight", NULL, NULL), NULL, "0", NULL,
            "online_encoder.norm.weight");
    refuses(variant("params.safetensors", NULL, "predictor.1.bias", "predictor.1.bais"), NULL, "0", NULL,
            "predictor.1.bais");
    refuses(NULL, NULL, "0", "model.encoder.depth=2", "online_encoder.blocks.1.");
    refuses(NULL, NULL, "0", "method=moco-v3", "moco-v3");
    refuses(strdup("/nothing/here"), NULL, "0", NULL, "/nothing/here");
}

// A permutation that names a patch twice would read as a quiet wrong result.
static void wrong_mask(void **state)
{
    char *path = variant("batch.safetensors", NULL, NULL, NULL);
    mcf_safetensors *in;
    assert_int_equal(mcf_safetensors_open(&in, path, NULL), MCF_OK);
    const mcf_safetensors_entry *e = mcf_safetensors_find(in, "ids_shuffle");
    const uint64_t offset = e->offset;
    mcf_safetensors_close(in);
    FILE *file = fopen(path, "r+b");
    int64_t ids[2];
    assert_int_equal(fseek(file, (long)offset, SEEK_SET), 0);
    assert_int_equal(fread(ids, sizeof ids, 1, file), 1);
    ids[0] = ids[1];
    assert_int_equal(fseek(file, (long)offset, SEEK_SET), 0);
    assert_int_equal(fwrite(ids, sizeof ids, 1, file), 1);
    fclose(file);
    refuses(NULL, path, "0", NULL, "variant.batch.safetensors: mask of image 0");
}

static float *result_of(const char *name, uint64_t *count)
{
    char out[512];
    snprintf(out, sizeof out, "%s/out.safetensors", work);
    mcf_safetensors *in;
    assert_int_equal(mcf_safetensors_open(&in, out, NULL), MCF_OK);
    const mcf_safetensors_entry *e = mcf_safetensors_find(in, name);
    float *values = e ? malloc(e->size) : NULL;
    if (e)
        assert_int_equal(mcf_safetensors_read_f32(in, e, values, NULL), MCF_OK);
    *count = e ? e->count : 0;
    mcf_safetensors_close(in);
    return values;
}

static void must_step(const char *set, int steps, mcf_step_result *result)
{
    mcf_error err = {0};
    if (step(NULL, NULL, "0", set, steps, result, &err) != MCF_OK)
        fail_msg("%s", err.message);
}

static void results(void **state)
{
    mcf_step_result r;
    uint64_t count;
    must_step(NULL, 0, &r);
    assert_true(r.batch > 1);
    assert_true(r.loss_scale == 1);
    float *loss = result_of("loss", &count);
    assert_int_equal(count, 1);
    assert_true(fabs(loss[0] - r.loss) < 1e-6);
    free(loss);
    // M_1 is an input, not a result.
    free(result_of("param.perceptual_loss.model.norm.weight", &count));
    assert_int_equal(count, 0);
    free(result_of("grad.target_encoder.norm.weight", &count));
    assert_int_equal(count, 0);
    free(result_of("param.target_encoder.norm.weight", &count));
    assert_int_not_equal(count, 0);
    // Terms that are off leave nothing behind.
    must_step("objective.contrastive.weight=0", 1, &r);
    free(result_of("loss.contrastive", &count));
    assert_int_equal(count, 0);
    free(result_of("out.q", &count));
    assert_int_equal(count, 0);
}

// fp16: gradients come back without the scale, and the step is that of fp32 within fp16's rounding.
static void half_precision(void **state)
{
    mcf_step_result full, half;
    uint64_t count;
    must_step(NULL, 1, &full);
    float *expected = result_of("grad.decoder_pred.weight", &count);
    must_step("precision=fp16", 1, &half);
    float *got = result_of("grad.decoder_pred.weight", &count);
    double error = 0, norm = 0;
    for (uint64_t i = 0; i < count; i++) {
        error += ((double)got[i] - expected[i]) * ((double)got[i] - expected[i]);
        norm += (double)expected[i] * expected[i];
    }
    assert_true(half.loss_scale <= 65536 && half.loss_scale >= 1);
    assert_true(fabs(half.loss / full.loss - 1) < 0.02);
    assert_true(sqrt(error / norm) < 0.05);
    free(expected);
    free(got);
}

// An absurd weight makes gradients overflow in fp16 at first: the scale falls, and the average moved once only.
static void scale_falls(void **state)
{
    mcf_step_result r;
    uint64_t count;
    must_step("objective.feature.weight=1e5", 1, &r);
    float *expected = result_of("param.target_encoder.norm.weight", &count);
    must_step("objective.feature.weight=1e5", 2, &r);
    float *twice = result_of("param.target_encoder.norm.weight", &count);
    mcf_config config;
    mcf_error err = {0};
    const char *const sets[] = {"objective.feature.weight=1e5", "precision=fp16"};
    assert_int_equal(mcf_config_load(&config, CASE "/config.yaml", sets, 2, &err), MCF_OK);
    char out[512];
    snprintf(out, sizeof out, "%s/out.safetensors", work);
    const mcf_step_options options = {.job = {.backend = "cpu-reference"},
                                      .init = CASE "/params.safetensors",
                                      .batch = CASE "/batch.safetensors",
                                      .out = out,
                                      .steps = 1};
    if (mcf_step(&config, &options, &r, &err) != MCF_OK)
        fail_msg("%s", err.message);
    mcf_config_free(&config);
    assert_true(r.loss_scale < 65536);
    float *got = result_of("param.target_encoder.norm.weight", &count);
    double once = 0, moved = 0;
    for (uint64_t i = 0; i < count; i++) {
        once += fabs((double)got[i] - expected[i]);
        moved += fabs((double)twice[i] - expected[i]);
    }
    assert_true(once < 1e-6);
    assert_true(moved > 1e-5);
    free(expected);
    free(twice);
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals),       cmocka_unit_test(wrong_mask),  cmocka_unit_test(results),
        cmocka_unit_test(half_precision), cmocka_unit_test(scale_falls),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
