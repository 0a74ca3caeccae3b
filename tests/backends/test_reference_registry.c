// Finding backends by name, and what is said when a module is missing or wrong (tests/backends/fake_backend.c).
#include "backends/backend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char folder[] = MCF_BINARY_DIR "/fake_modules";

static int use_fakes(void **state)
{
    return setenv("MCF_MODULE_PATH", folder, 1);
}

static void expect_failure(const char *name, mcf_status status, const char *const *words)
{
    const mcf_backend *backend = NULL;
    mcf_error err = {.message = ""};
    assert_int_equal(mcf_backend_find(name, &backend, &err), status);
    assert_int_equal(err.status, status);
    assert_null(backend);
    for (; *words; words++)
        if (!strstr(err.message, *words))
            fail_msg("expected '%s' in: %s", *words, err.message);
}
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void the_reference_is_always_there(void **state)
{
    const mcf_backend *backend = NULL;
    assert_int_equal(mcf_backend_find("cpu-reference", &backend, NULL), MCF_OK);
    assert_ptr_equal(backend, mcf_backend_reference());
    assert_int_equal(backend->abi, MCF_BACKEND_ABI);
    assert_int_equal(backend->size, sizeof(mcf_backend));
}

static void auto_finds_something_usable(void **state)
{
    const mcf_backend *backend = NULL;
    mcf_error err = {.message = ""};
    if (mcf_backend_find("auto", &backend, &err) != MCF_OK)
        fail_msg("%s", err.message);
    bool known = false;
    for (const char *const *name = mcf_backend_names(); *name; name++)
        known |= !strcmp(*name, backend->name);
    assert_true(known);
    assert_int_equal(backend->probe(&err), MCF_OK);
}

static void a_good_module_is_loaded_once(void **state)
{
    const mcf_backend *first = NULL, *second = NULL;
    mcf_error err = {.message = ""};
    if (mcf_backend_find("good", &first, &err) != MCF_OK)
        fail_msg("%s", err.message);
    assert_string_equal(first->name, "fake");
    assert_int_equal(mcf_backend_find("good", &second, &err), MCF_OK);
    assert_ptr_equal(first, second);
}

static void a_missing_module_names_the_folders(void **state)
{
    setenv("MCF_MODULE_PATH", "/nowhere/a:/nowhere/b", 1);
    expect_failure("absent", MCF_ERR_UNSUPPORTED,
                   WORDS("absent", "libmcf-backend-absent.so", "/nowhere/a, /nowhere/b", MCF_BINARY_DIR));
}

static void names_cannot_leave_the_folders(void **state)
{
    expect_failure("../good", MCF_ERR_USAGE, WORDS("../good", "cpu-reference"));
    expect_failure("", MCF_ERR_USAGE, WORDS("cpu-reference"));
    expect_failure("a-name-that-is-longer-than-any-backend-has", MCF_ERR_USAGE, WORDS("longer"));
}

static void other_interfaces_are_refused(void **state)
{
    char numbers[64];
    snprintf(numbers, sizeof numbers, "is for interface %d, this program has %d", MCF_BACKEND_ABI + 1, MCF_BACKEND_ABI);
    expect_failure("other_abi", MCF_ERR_UNSUPPORTED, WORDS("libmcf-backend-other_abi.so", numbers));
    snprintf(numbers, sizeof numbers, "%zu bytes", sizeof(mcf_backend) - 8);
    expect_failure("other_size", MCF_ERR_UNSUPPORTED, WORDS("libmcf-backend-other_size.so", numbers));
    expect_failure("no_entry", MCF_ERR_UNSUPPORTED, WORDS("libmcf-backend-no_entry.so", "mcf_backend_entry"));
    expect_failure("nothing", MCF_ERR_UNSUPPORTED, WORDS("libmcf-backend-nothing.so", "offers nothing"));
}

static void an_unusable_backend_says_why(void **state)
{
    expect_failure("unusable", MCF_ERR_DEVICE, WORDS("unusable", "no card in this machine"));
}

static void a_file_that_is_no_module_gives_the_loaders_reason(void **state)
{
    char path[] = "/tmp/mcf-registry-XXXXXX", file[128];
    assert_non_null(mkdtemp(path));
    snprintf(file, sizeof file, "%s/libmcf-backend-text.so", path);
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fputs("not a module\n", f);
    fclose(f);
    setenv("MCF_MODULE_PATH", path, 1);
    expect_failure("text", MCF_ERR_UNSUPPORTED, WORDS("does not load", file));
    unlink(file);
    rmdir(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reference_is_always_there),
        cmocka_unit_test(auto_finds_something_usable),
        cmocka_unit_test_setup(a_good_module_is_loaded_once, use_fakes),
        cmocka_unit_test(a_missing_module_names_the_folders),
        cmocka_unit_test_setup(names_cannot_leave_the_folders, use_fakes),
        cmocka_unit_test_setup(other_interfaces_are_refused, use_fakes),
        cmocka_unit_test_setup(an_unusable_backend_says_why, use_fakes),
        cmocka_unit_test(a_file_that_is_no_module_gives_the_loaders_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
