// Collectives of the CUDA backend with up to 8 devices, whichever peers see each other; on the emulator. The check
// judges them by cpu-reference: every count of members, odd and empty sizes, in place and not, abort and timeout.
#include "core/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const mcf_backend *cuda(void)
{
    const mcf_backend *backend;
    mcf_error err = {0};
    if (mcf_backend_find("cuda", &backend, &err) == MCF_OK)
        return backend;
    fprintf(stderr, "%s\n", err.message);
    skip();
    return NULL;
}

static void first_failure(void *context, const mcf_check_result *result)
{
    char *text = context;
    if (result->verdict == MCF_CHECK_FAILED && !*text)
        snprintf(text, 600, "%s %s: %s", result->op, result->text, result->message);
}

static void collectives(const char *peers)
{
    static const char *const only[] = {"all_reduce", "all_gather", "reduce_scatter", "broadcast", "group"};
    const mcf_backend *backend = cuda();
    setenv("MCF_EMULATOR_PEERS", peers, 1);
    for (size_t i = 0; i < sizeof only / sizeof *only; i++) {
        mcf_check_options options = {.seed = 1, .only = only[i], .tiny = true, .members = 8};
        mcf_check_summary summary;
        mcf_error err = {0};
        char failure[600] = "";
        if (mcf_check_backend(backend, 0, &options, first_failure, failure, &summary, &err) != MCF_OK)
            fail_msg("%s", err.message);
        if (summary.failed || !summary.passed)
            fail_msg("peers %s: %d failed, first %s", peers, summary.failed, failure);
    }
}

static void without_peers(void **state)
{
    collectives("none");
}

static void in_a_ring(void **state)
{
    collectives("ring");
}

static void in_pairs(void **state)
{
    collectives("pairs");
}

static void in_a_cube_mesh(void **state)
{
    collectives("cube");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_peers),
        cmocka_unit_test(in_a_ring),
        cmocka_unit_test(in_pairs),
        cmocka_unit_test(in_a_cube_mesh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
