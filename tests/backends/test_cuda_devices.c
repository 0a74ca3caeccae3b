// N cards on parts of a batch against one card on the whole: the same gradients to fp32 rounding, with synchronised
// BatchNorm, and with statistics of each card's own against one card that takes them in N groups. The same bits in every
// run. On the emulator its orders of streams differ from run to run by themselves.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/file.h"
#include "tests/judge.h"
#include "train/trace.h"

// Divided by 1, 2, 3, 4, 6 and 8.
enum { BATCH = 24, SIDE = 16, PATCHES = 16 };
static const char folder[] = MCF_SOURCE_DIR "/tests/golden/batchnorm_groups";
static char batch_path[600], whole_path[600], part_path[600], again_path[600];

static int write_batch(void **state)
{
    static float images[BATCH * 3 * SIDE * SIDE];
    static int64_t ids[2][BATCH * PATCHES];
    char base[500];
    mcf_error err = {0};
    mcf_rng rng = mcf_rng_make(4, MCF_RNG_TEST, 0, 0);
    snprintf(base, sizeof base, "%s/cuda-devices-%d", MCF_BINARY_DIR, (int)getpid());
    snprintf(batch_path, sizeof batch_path, "%s-batch.safetensors", base);
    snprintf(whole_path, sizeof whole_path, "%s-whole.safetensors", base);
    snprintf(part_path, sizeof part_path, "%s-part.safetensors", base);
    snprintf(again_path, sizeof again_path, "%s-again.safetensors", base);
    for (size_t i = 0; i < sizeof images / sizeof *images; i++)
        images[i] = (float)mcf_rng_normal(&rng);
    for (int view = 0; view < 2; view++)
        for (int i = 0; i < BATCH; i++)
            mcf_rng_permutation(&rng, ids[view] + i * PATCHES, PATCHES);
    const mcf_named_tensor tensors[] = {{"image", MCF_F32, MCF_SHAPE(BATCH, 3, SIDE, SIDE), images},
                                        {"ids_shuffle", MCF_I64, MCF_SHAPE(BATCH, PATCHES), ids[0]},
                                        {"ids_shuffle_target", MCF_I64, MCF_SHAPE(BATCH, PATCHES), ids[1]}};
    if (mcf_safetensors_save(batch_path, tensors, 3, NULL, NULL, NULL, &err) != MCF_OK)
        fprintf(stderr, "%s\n", err.message);
    return err.message[0] ? -1 : 0;
}

static int remove_all(void **state)
{
    unlink(batch_path);
    unlink(whole_path);
    unlink(part_path);
    unlink(again_path);
    return 0;
}

static void want(int devices)
{
    const mcf_backend *backend;
    mcf_error err = {0};
    if (mcf_backend_find("cuda", &backend, &err) == MCF_OK && backend->device_count() >= devices)
        return;
    fprintf(stderr, "%s\n", err.message[0] ? err.message : "fewer cards than this needs");
    skip();
}

static void step(int devices, int groups, bool sync, const char *precision, const char *out)
{
    char config_path[600], init[600], setting[2][64], kind[64];
    const char *sets[] = {setting[0], setting[1], kind};
    mcf_error err = {0};
    mcf_config config;
    snprintf(config_path, sizeof config_path, "%s/config.yaml", folder);
    snprintf(init, sizeof init, "%s/params.safetensors", folder);
    snprintf(setting[0], sizeof setting[0], "model.batchnorm_groups=%d", groups);
    snprintf(setting[1], sizeof setting[1], "model.sync_batchnorm=%s", sync ? "true" : "false");
    snprintf(kind, sizeof kind, "precision=%s", precision);
    mcf_step_options options = {
        .init = init, .batch = batch_path, .out = out, .steps = 1, .job = {.backend = "cuda", .device_count = devices}};
    for (int i = 0; i < devices; i++)
        options.job.devices[i] = i;
    if (mcf_config_load(&config, config_path, sets, 3, &err) != MCF_OK ||
        mcf_step(&config, &options, NULL, &err) != MCF_OK)
        fail_msg("%d devices: %s", devices, err.message);
    mcf_config_free(&config);
}

static void same_bytes(const char *a, const char *b)
{
    char *x, *y;
    size_t n, m;
    assert_int_equal(mcf_file_read(a, 1 << 26, &x, &n, NULL), MCF_OK);
    assert_int_equal(mcf_file_read(b, 1 << 26, &y, &m, NULL), MCF_OK);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

// A sample is enough on every day; ci/full asks for more orders of streams, and gets all counts in all ways.
static bool everything(void)
{
    return getenv("MCF_CUDA_SEEDS") && atoi(getenv("MCF_CUDA_SEEDS")) > 4;
}

// A few roundings of fp32 in sums of other orders, magnified by BatchNorm.
static void compare(int devices, bool sync, const char *peers)
{
    char init[600];
    setenv("MCF_EMULATOR_PEERS", peers, 1);
    snprintf(init, sizeof init, "%s/params.safetensors", folder);
    step(devices, 1, sync, "fp32", part_path);
    judgement j = judge(part_path, whole_path, init, 2e-5, true);
    fprintf(stderr, "%d devices, peers %s, %s BatchNorm: %d tensors, worst %.1e (%s)\n", devices, peers,
            sync ? "synchronised" : "own", j.tensors, j.worst_error, j.worst_name);
    if (j.missing || j.off || !j.tensors)
        fail_msg("%d devices, peers %s: %d of %d tensors off, %d missing; worst %s", devices, peers, j.off, j.tensors,
                 j.missing, j.worst_name);
    if (!everything() && devices != 3)
        return;
    step(devices, 1, sync, "fp32", again_path);
    same_bytes(part_path, again_path);
}

static const int counts[] = {1, 2, 3, 4, 6, 8};

static void with_synchronised_statistics(void **state)
{
    want(8);
    step(1, 1, false, "fp32", whole_path);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (everything() || counts[i] == 3 || counts[i] == 8)
            compare(counts[i], true, "cube");
    compare(everything() ? 8 : 4, true, "ring");
    compare(everything() ? 8 : 4, true, "pairs");
    if (everything())
        compare(8, true, "none");
}

static void with_statistics_of_each(void **state)
{
    want(8);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        if (!everything() && counts[i] != 6)
            continue;
        step(1, counts[i], false, "fp32", whole_path);
        compare(counts[i], false, i % 2 ? "cube" : "all");
    }
}

// In fp16 every card sees the same gradients, so that all leave a step out or none.
static void in_half_precision(void **state)
{
    want(2);
    setenv("MCF_EMULATOR_PEERS", "cube", 1);
    step(2, 1, true, "fp16", part_path);
    step(2, 1, true, "fp16", again_path);
    same_bytes(part_path, again_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_synchronised_statistics),
        cmocka_unit_test(with_statistics_of_each),
        cmocka_unit_test(in_half_precision),
    };
    return cmocka_run_group_tests(tests, write_batch, remove_all);
}
