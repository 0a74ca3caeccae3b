// `mcf step` on worked examples, against results computed in double precision by a program that shares no
// code (tests/golden, and the shared examples where they are there: $MCF_SHARED/golden).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/golden.h"

static const char *const own[] = {
    "odd_width",      "teacher_narrow",   "teacher_wide", "teacher_larger",  "teacher_smaller",
    "decoder_1",      "decoder_8",        "mixed",        "all_terms",       "patch_norm",
    "contrast_patch", "contrast_only",    "one_block",    "visible_rounded", "mlp_ratio",
    "batch_32",       "batchnorm_groups", "moco",         "moco_3steps",     "moco_batch_32",
};
static const char *const shared[] = {"mcf", "mcf_3steps", "mae_pixel"};
enum { OWN = sizeof own / sizeof *own, SHARED = sizeof shared / sizeof *shared };

static void check_shared(const char *backend, double rtol)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/mcf/config.yaml", shared_folder());
    if (access(path, R_OK))
        skip();
    for (int i = 0; i < SHARED; i++)
        check(shared_folder(), shared[i], backend, 1, NULL, 0, rtol);
}

static void reference_own(void **state)
{
    (void)state;
    for (int i = 0; i < OWN; i++)
        check(own_folder(), own[i], "cpu-reference", 1, NULL, 0, 5e-5);
}

static void cpu_own(void **state)
{
    (void)state;
    for (int i = 0; i < OWN; i++)
        check(own_folder(), own[i], "cpu", 1, NULL, 0, 2e-4);
}

static void reference_shared(void **state)
{
    (void)state;
    check_shared("cpu-reference", 5e-5);
}

static void cpu_shared(void **state)
{
    (void)state;
    check_shared("cpu", 2e-4);
}

// N devices with B images equal one with N*B: with synchronised statistics always, without when that one
// takes its statistics in N groups (which is what the expectation of batchnorm_groups was computed with).
static void devices_synchronised(void **state)
{
    (void)state;
    const char *const sync[] = {"model.sync_batchnorm=true"};
    check(own_folder(), "contrast_patch", "cpu-reference", 3, sync, 1, 5e-5);
    check(own_folder(), "batch_32", "cpu-reference", 2, sync, 1, 5e-5);
    check(own_folder(), "contrast_patch", "cpu", 3, sync, 1, 2e-4);
    check(own_folder(), "one_block", "cpu", 3, sync, 1, 2e-4);
    check(own_folder(), "batch_32", "cpu", 4, sync, 1, 2e-4);
    check(own_folder(), "moco_batch_32", "cpu-reference", 2, sync, 1, 5e-5);
    check(own_folder(), "moco_batch_32", "cpu", 4, sync, 1, 2e-4);
    check(own_folder(), "moco_3steps", "cpu", 3, sync, 1, 2e-4);
}

static void devices_grouped(void **state)
{
    (void)state;
    const char *const alone[] = {"model.batchnorm_groups=1"};
    check(own_folder(), "batchnorm_groups", "cpu-reference", 2, alone, 1, 5e-5);
    check(own_folder(), "batchnorm_groups", "cpu", 2, alone, 1, 2e-4);
}

// Terms without BatchNorm need neither.
static void devices_plain(void **state)
{
    (void)state;
    check(own_folder(), "decoder_8", "cpu", 2, NULL, 0, 2e-4);
    check(own_folder(), "teacher_smaller", "cpu", 2, (const char *const[]){"model.sync_batchnorm=true"}, 1, 2e-4);
}

static void bf16(void **state)
{
    (void)state;
    const char *const precision[] = {"precision=bf16"};
    check(own_folder(), "batch_32", "cpu-reference", 1, precision, 1, 0);
    check(own_folder(), "batch_32", "cpu", 1, precision, 1, 0);
    check(own_folder(), "moco_batch_32", "cpu-reference", 1, precision, 1, 0);
    check(own_folder(), "moco_batch_32", "cpu", 1, precision, 1, 0);
}

// With one micro-batch a step, averaging once a step is averaging once a micro-batch.
static void average_by_step(void **state)
{
    (void)state;
    const char *const update[] = {"objective.contrastive.momentum_update=step"};
    check(own_folder(), "all_terms", "cpu-reference", 1, update, 1, 5e-5);
    check(own_folder(), "all_terms", "cpu", 1, update, 1, 2e-4);
}

// OpenCL where a platform is there: on PoCL two devices, see main.
static void want_opencl(void)
{
    const mcf_backend *backend;
    mcf_error err = {0};
    if (mcf_backend_find("opencl", &backend, &err) == MCF_OK)
        return;
    fprintf(stderr, "%s\n", err.message);
    skip();
}

static void opencl_own(void **state)
{
    (void)state;
    want_opencl();
    for (int i = 0; i < OWN; i++)
        check(own_folder(), own[i], "opencl", 1, NULL, 0, 2e-4);
}

static void opencl_shared(void **state)
{
    (void)state;
    want_opencl();
    check_shared("opencl", 2e-4);
}

static void opencl_devices(void **state)
{
    (void)state;
    const mcf_backend *backend;
    const char *const sync[] = {"model.sync_batchnorm=true"};
    want_opencl();
    if (mcf_backend_find("opencl", &backend, NULL) == MCF_OK && backend->device_count() < 2)
        skip();
    check(own_folder(), "batch_32", "opencl", 2, sync, 1, 2e-4);
    check(own_folder(), "decoder_8", "opencl", 2, NULL, 0, 2e-4);
}

static void opencl_bf16(void **state)
{
    (void)state;
    const char *const precision[] = {"precision=bf16"};
    want_opencl();
    check(own_folder(), "batch_32", "opencl", 1, precision, 1, 0);
}

// CUDA where a card is there, or on the tests' emulator (MCF_CUDA=EMULATE).
static void want_cuda(void)
{
    const mcf_backend *backend;
    mcf_error err = {0};
    if (mcf_backend_find("cuda", &backend, &err) == MCF_OK)
        return;
    fprintf(stderr, "%s\n", err.message);
    skip();
}

static void cuda_own(void **state)
{
    (void)state;
    want_cuda();
    for (int i = 0; i < OWN; i++)
        check(own_folder(), own[i], "cuda", 1, NULL, 0, 2e-4);
}

static void cuda_shared(void **state)
{
    (void)state;
    want_cuda();
    check_shared("cuda", 2e-4);
}

static void cuda_devices(void **state)
{
    (void)state;
    const mcf_backend *backend;
    const char *const sync[] = {"model.sync_batchnorm=true"}, *const alone[] = {"model.batchnorm_groups=1"};
    want_cuda();
    const int most = mcf_backend_find("cuda", &backend, NULL) == MCF_OK ? backend->device_count() : 0;
    for (int devices = 2; devices <= most && devices <= 8; devices *= 2)
        check(own_folder(), "batch_32", "cuda", devices, sync, 1, 2e-4);
    if (most >= 2)
        check(own_folder(), "batchnorm_groups", "cuda", 2, alone, 1, 2e-4);
    if (most >= 3) {
        check(own_folder(), "contrast_patch", "cuda", 3, sync, 1, 2e-4);
        check(own_folder(), "one_block", "cuda", 3, sync, 1, 2e-4);
    }
}

static void cuda_bf16(void **state)
{
    (void)state;
    const char *const precision[] = {"precision=bf16"};
    want_cuda();
    check(own_folder(), "batch_32", "cuda", 1, precision, 1, 0);
}

// wide_heads runs attention on tensor cores.
static void cuda_fp16(void **state)
{
    (void)state;
    const char *const precision[] = {"precision=fp16"};
    want_cuda();
    check(own_folder(), "batch_32", "cuda", 1, precision, 1, 0);
    check(own_folder(), "wide_heads", "cuda", 1, precision, 1, 0);
}

// A step of another case than its expectation must not pass: the judge has teeth.
static void judge_refuses(void **state)
{
    (void)state;
    const char *const other[] = {"objective.contrastive.temperature=0.201"};
    assert_true(run(own_folder(), "contrast_only", "cpu-reference", 1, other, 1, 5e-5, false).off > 10);
    const char *const rate[] = {"optimizer.lr=0.00101"};
    assert_true(run(own_folder(), "contrast_only", "cpu-reference", 1, rate, 1, 5e-5, false).off > 2);
}

// test_golden [PATTERN]: tests whose names match
int main(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    // Two devices of the processor's driver, where the caller does not say otherwise.
    setenv("POCL_DEVICES", "pthread pthread", 0);
    if (getenv("MCF_TEST_FILTER")) // "cuda*": these alone
        cmocka_set_test_filter(getenv("MCF_TEST_FILTER"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_own),   cmocka_unit_test(cpu_own),         cmocka_unit_test(reference_shared),
        cmocka_unit_test(cpu_shared),      cmocka_unit_test(devices_grouped), cmocka_unit_test(devices_synchronised),
        cmocka_unit_test(devices_plain),   cmocka_unit_test(judge_refuses),   cmocka_unit_test(bf16),
        cmocka_unit_test(opencl_own),      cmocka_unit_test(opencl_shared),   cmocka_unit_test(opencl_devices),
        cmocka_unit_test(opencl_bf16),     cmocka_unit_test(cuda_own),        cmocka_unit_test(cuda_shared),
        cmocka_unit_test(cuda_devices),    cmocka_unit_test(cuda_bf16),       cmocka_unit_test(cuda_fp16),
        cmocka_unit_test(average_by_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
