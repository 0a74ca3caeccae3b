// Networks finetuned by FaRL's authors (tests/import/make_finetuned.py): what `mcf predict` computes from them after
// `mcf import`, against PyTorch in double precision; what is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "infer/dense.h"
#include "run/import.h"
#include "tests/judge.h"

#define FIXTURES MCF_SOURCE_DIR "/tests/import/"
enum { HEADS = 4, CROP = 512, STRIDE = 61, SHOWN = (CROP + STRIDE - 1) / STRIDE };

static mcf_error err;
#define OK(expression)                                                                                                 \
    do {                                                                                                               \
        if ((expression) != MCF_OK)                                                                                    \
            fail_msg("%s", err.message);                                                                               \
    } while (0)

static const char *scratch(void)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/import-farl-%d.safetensors", MCF_BINARY_DIR, (int)getpid());
    return path;
}

static void import(const char *file, mcf_import_task task, mcf_import_result *result)
{
    const mcf_import_file_options options = {.read = {.kind = MCF_IMPORT_FARL, .heads = HEADS, .task = task}};
    char path[1024];
    snprintf(path, sizeof path, FIXTURES "%s", file);
    OK(mcf_import_file(path, &options, scratch(), result, &err));
}

// The crop of make_finetuned.py.
static uint8_t *make_crop(void)
{
    uint8_t *crop = malloc((size_t)CROP * CROP * 3);
    assert_non_null(crop);
    for (int y = 0; y < CROP; y++)
        for (int x = 0; x < CROP; x++)
            for (int c = 0; c < 3; c++)
                crop[(y * CROP + x) * 3 + c] = (uint8_t)((y * 3 + x * (c + 1) + (y * x >> 6) * 5) % 251);
    return crop;
}

// Relative L2 error at most 1e-5.
static void compare(const char *name, const float *got, int64_t count)
{
    mcf_safetensors *expected;
    OK(mcf_safetensors_open(&expected, FIXTURES "farl_expected.safetensors", &err));
    float *want = judge_read(expected, name, count);
    assert_non_null(want);
    double difference = 0, size = 0;
    for (int64_t i = 0; i < count; i++) {
        difference += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        size += (double)want[i] * want[i];
    }
    free(want);
    mcf_safetensors_close(expected);
    if (!(sqrt(difference / size) <= 1e-5))
        fail_msg("%s: error %.2e", name, sqrt(difference / size));
}

// The network's answer to the crop; malloc'd.
static float *ask(mcf_dense_inference *network)
{
    const mcf_job_options job = {.backend = "cpu-reference", .threads = 1};
    uint8_t *crop = make_crop();
    OK(mcf_dense_open(network, &job, scratch(), 1, &err));
    assert_int_equal(mcf_dense_config(network)->data.crop_size, CROP);
    float *out = malloc((size_t)network->row * sizeof *out);
    assert_non_null(out);
    OK(mcf_dense_run(network, crop, 1, out, &err));
    free(crop);
    return out;
}

static void test_parse(void **state)
{
    (void)state;
    mcf_import_result result;
    mcf_dense_inference network;
    static float shown[11 * SHOWN * SHOWN];
    import("farl_parse.pth", MCF_IMPORT_TASK_AUTO, &result);
    assert_string_equal(result.said[2],
                        "backbone, pyramid and head: 11 classes, crops of layout lapa; for mcf predict and mcf eval");
    float *logits = ask(&network);
    const mcf_config *config = mcf_dense_config(&network);
    assert_int_equal(config->task, MCF_TASK_PARSE);
    for (int c = 0; c < 11; c++)
        for (int y = 0; y < SHOWN; y++)
            for (int x = 0; x < SHOWN; x++)
                shown[(c * SHOWN + y) * SHOWN + x] = logits[((int64_t)c * CROP + y * STRIDE) * CROP + x * STRIDE];
    compare("logits", shown, 11 * SHOWN * SHOWN);
    free(logits);
    mcf_dense_close(&network);
    unlink(scratch());
}

static void test_align(void **state)
{
    (void)state;
    mcf_import_result result;
    mcf_dense_inference network;
    import("farl_align.safetensors", MCF_IMPORT_TASK_AUTO, &result);
    assert_string_equal(result.said[2],
                        "backbone, pyramid and head: 68 points, crops of layout 300w; for mcf predict and mcf eval");
    float *points = ask(&network);
    assert_int_equal(mcf_dense_config(&network)->task, MCF_TASK_ALIGN);
    compare("points", points, 68 * 2);
    free(points);
    mcf_dense_close(&network);
    unlink(scratch());
}

// A position table of another grid is resized, once, and the config says the new size.
static void test_resized(void **state)
{
    (void)state;
    mcf_dense_inference network;
    const mcf_job_options job = {.backend = "cpu-reference", .threads = 1};
    const mcf_import_file_options options = {.read = {.kind = MCF_IMPORT_FARL, .heads = HEADS, .image_size = 32}};
    OK(mcf_import_file(FIXTURES "farl_parse.pth", &options, scratch(), NULL, &err));
    OK(mcf_dense_open(&network, &job, scratch(), 1, &err));
    assert_int_equal(mcf_dense_config(&network)->model.image_size, 32);
    mcf_dense_close(&network);
    unlink(scratch());
}

static void test_refused(void **state)
{
    (void)state;
    mcf_imported imported;
    const mcf_import_options encoder = {.kind = MCF_IMPORT_FARL, .heads = 3, .task = MCF_IMPORT_TASK_PARSE};
    assert_int_equal(mcf_import(FIXTURES "farl.pth", &encoder, &imported, &err), MCF_ERR_USAGE);
    assert_non_null(strstr(err.message, "leave --task out"));
    const mcf_import_options timm = {.kind = MCF_IMPORT_TIMM, .heads = HEADS};
    assert_int_equal(mcf_import(FIXTURES "farl_parse.pth", &timm, &imported, &err), MCF_ERR_FORMAT);
    // 11 points are nobody's, but may be asked for.
    const mcf_import_options points = {.kind = MCF_IMPORT_FARL, .heads = HEADS, .task = MCF_IMPORT_TASK_ALIGN};
    OK(mcf_import(FIXTURES "farl_parse.pth", &points, &imported, &err));
    assert_int_equal(imported.dense.task, MCF_DENSE_ALIGN);
    assert_int_equal(imported.dense.head.outputs, 11);
    mcf_imported_free(&imported);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_align),
                                       cmocka_unit_test(test_resized), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
