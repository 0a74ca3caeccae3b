// `mcf step` of alignment and parsing on worked examples (tests/golden, made by dense.py, and the shared ones).
#include "tests/golden.h"

static const struct {
    const char *name;
    int devices;
} own[] = {{"align_odd", 1}, {"align_rates", 3}, {"parse_clip", 1}, {"parse_frozen", 2}},
  shared[] = {{"align", 1}, {"parse", 1}, {"align_all", 2}};
enum { OWN = sizeof own / sizeof *own, SHARED = sizeof shared / sizeof *shared };

static void check_own(const char *backend, double rtol)
{
    for (int i = 0; i < OWN; i++)
        check(own_folder(), own[i].name, backend, own[i].devices, NULL, 0, rtol);
}

static void check_shared(const char *backend, double rtol)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/align/config.yaml", shared_folder());
    if (access(path, R_OK))
        skip();
    for (int i = 0; i < SHARED; i++)
        check(shared_folder(), shared[i].name, backend, shared[i].devices, NULL, 0, rtol);
}

static void reference_own(void **state)
{
    (void)state;
    check_own("cpu-reference", 5e-5);
}

static void reference_shared(void **state)
{
    (void)state;
    check_shared("cpu-reference", 5e-5);
}

static void cpu_all(void **state)
{
    (void)state;
    check_own("cpu", 2e-4);
    check_shared("cpu", 2e-4);
}

// OpenCL where a platform is there, CUDA where a card is there or on the tests' emulator (MCF_CUDA=EMULATE). Each device of
// theirs is used once, so cases of more devices than there are stay away.
static void check_backend(const char *name)
{
    const mcf_backend *backend;
    mcf_error err = {0};
    if (mcf_backend_find(name, &backend, &err) != MCF_OK) {
        fprintf(stderr, "%s\n", err.message);
        skip();
    }
    for (int i = 0; i < OWN; i++)
        if (own[i].devices <= backend->device_count())
            check(own_folder(), own[i].name, name, own[i].devices, NULL, 0, 2e-4);
    char path[4096];
    snprintf(path, sizeof path, "%s/align/config.yaml", shared_folder());
    for (int i = 0; i < SHARED && !access(path, R_OK); i++)
        if (shared[i].devices <= backend->device_count())
            check(shared_folder(), shared[i].name, name, shared[i].devices, NULL, 0, 2e-4);
}

static void opencl_all(void **state)
{
    (void)state;
    check_backend("opencl");
}

static void cuda_all(void **state)
{
    (void)state;
    check_backend("cuda");
}

// The same step with blocks computed again in the backward pass.
static void recomputed(void **state)
{
    (void)state;
    const char *const sets[] = {"model.recompute=blocks"};
    check(own_folder(), "align_odd", "cpu-reference", 1, sets, 1, 5e-5);
    check(own_folder(), "parse_clip", "cpu-reference", 1, sets, 1, 5e-5);
}

// One device with the whole batch is what several with synchronised statistics are.
static void devices_are_one(void **state)
{
    (void)state;
    check(own_folder(), "align_rates", "cpu-reference", 1, NULL, 0, 5e-5);
    check(own_folder(), "align_rates", "cpu-reference", 2, NULL, 0, 5e-5);
}

// What lets a case beside a kink pass lets no wrong gradient pass: a weight of the loss that is 0.1 % too large.
static void kinks_excuse_no_error(void **state)
{
    (void)state;
    const char *const heavier[] = {"objective.coordinate=2.002"};
    assert_true(run_beside(own_folder(), "align_odd", "cpu", 1, heavier, 1, 2e-4, false, true).off > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_own),   cmocka_unit_test(reference_shared),
        cmocka_unit_test(cpu_all),         cmocka_unit_test(opencl_all),
        cmocka_unit_test(cuda_all),        cmocka_unit_test(recomputed),
        cmocka_unit_test(devices_are_one), cmocka_unit_test(kinks_excuse_no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
