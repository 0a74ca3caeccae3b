// Features of photographs as timm's own transform and PyTorch give them: bicubic resize, crop_pct, decoding in full, the
// first picture of an MPO. tests/import/make_foreign.py writes the judge.
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

#include "data/formats/safetensors.h"
#include "infer/embed.h"
#include "model/published.h"
#include "run/import.h"

#define FOREIGN MCF_SOURCE_DIR "/tests/import/foreign/"

static mcf_error err;

static void ok(mcf_status status)
{
    if (status != MCF_OK)
        fail_msg("%s", err.message);
}

static float *read_cls(const char *path, int64_t *count)
{
    mcf_safetensors *file;
    ok(mcf_safetensors_open(&file, path, &err));
    const mcf_safetensors_entry *entry = mcf_safetensors_find(file, "cls");
    assert_non_null(entry);
    float *values = malloc(entry->size);
    ok(mcf_safetensors_read_f32(file, entry, values, &err));
    *count = (int64_t)entry->count;
    mcf_safetensors_close(file);
    return values;
}

// Relative L2 distance of what `sets` give to the judge's.
static double distance(const char *checkpoint, const char *out, const char *const *sets, size_t set_count)
{
    const char *const paths[] = {FOREIGN "photo.jpg", FOREIGN "photo.mpo"};
    const mcf_embed_options options = {.network = {.job = {.backend = "cpu-reference", .threads = 1},
                                                   .checkpoint = checkpoint,
                                                   .sets = sets,
                                                   .set_count = set_count},
                                       .paths = paths,
                                       .path_count = 2,
                                       .out = out};
    mcf_embed_result result;
    ok(mcf_embed(&options, &result, &err));
    assert_int_equal(result.images, 2);
    int64_t count, wanted;
    float *got = read_cls(out, &count), *want = read_cls(FOREIGN "expected.safetensors", &wanted);
    assert_int_equal(count, wanted);
    double difference = 0, size = 0;
    for (int64_t i = 0; i < count; i++) {
        difference += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        size += (double)want[i] * want[i];
    }
    free(got);
    free(want);
    return sqrt(difference / size);
}

static void test_timms_own_transform(void **state)
{
    const double half[3] = {0.5, 0.5, 0.5};
    const mcf_import_file_options options = {.read = {.kind = MCF_IMPORT_TIMM, .heads = 3}, .mean = half, .std = half};
    static const char *const sets[] = {"data.filter=bicubic", "data.crop_pct=0.75", "data.fast_decode=false"};
    char encoder[64], out[64];
    snprintf(encoder, sizeof encoder, "/tmp/mcf-foreign-%d.safetensors", (int)getpid());
    snprintf(out, sizeof out, "/tmp/mcf-foreign-%d.features", (int)getpid());
    ok(mcf_import_file(FOREIGN "plain.pth", &options, encoder, NULL, &err));
    assert_true(distance(encoder, out, sets, 3) < 1e-5);
    for (int without = 0; without < 3; without++) { // each of the three counts
        const char *const two[] = {sets[(without + 1) % 3], sets[(without + 2) % 3]};
        assert_true(distance(encoder, out, two, 2) > 1e-4);
    }
    unlink(encoder);
    unlink(out);
}

// The shapes whose heads are not width / 64, and some that are; a shape of nobody's.
static void test_published_heads(void **state)
{
    static const struct {
        int64_t dim, hidden;
        int depth, heads;
    } cases[] = {{192, 768, 12, 3},    {384, 1536, 12, 6},   {768, 3072, 12, 12},  {1024, 4096, 24, 16},
                 {1280, 5120, 32, 16}, {1408, 6144, 40, 16}, {1664, 8192, 48, 16}, {64, 192, 6, 2},
                 {768, 3072, 11, 0},   {1280, 4096, 32, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(mcf_published_heads(cases[i].dim, cases[i].depth, cases[i].hidden), cases[i].heads);
}

static void test_published_names(void **state)
{
    size_t count;
    const mcf_published *rows = mcf_published_rows(&count);
    assert_true(count >= 50);
    for (size_t i = 0; i < count; i++)
        assert_ptr_equal(mcf_published_find(rows[i].name, strlen(rows[i].name)), &rows[i]);
    const mcf_published *dino = mcf_published_find("vit_small_patch8_224.dino", 25);
    assert_non_null(dino);
    assert_int_equal(dino->patch_size, 8);
    assert_true(dino->mean[0] == 0.485 && dino->crop_pct == 0.9);
    assert_null(mcf_published_find("vit_small_patch8_224", 20));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timms_own_transform),
        cmocka_unit_test(test_published_heads),
        cmocka_unit_test(test_published_names),
    };
    return cmocka_run_group_tests_name("foreign", tests, NULL, NULL);
}
