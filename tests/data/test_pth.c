// PyTorch's files read in C: tensors of every type and layout; files that are wrong or hostile are refused with one line
// each (import.sh says which). All made by tests/import/make_fixtures.py.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <glob.h>

#include <cmocka.h>

#include "data/formats/pth.h"
#include "model/import.h"
#include "tests/judge.h"

#define FIXTURES MCF_SOURCE_DIR "/tests/import/"

static mcf_error err;
#define OK(expression)                                                                                                 \
    do {                                                                                                               \
        if ((expression) != MCF_OK)                                                                                    \
            fail_msg("%s", err.message);                                                                               \
    } while (0)

static void check_values(const char *file)
{
    char path[1024];
    mcf_pth *pth;
    mcf_safetensors *want;
    size_t seen = 0;
    snprintf(path, sizeof path, FIXTURES "%s", file);
    OK(mcf_pth_open(&pth, path, &err));
    OK(mcf_safetensors_open(&want, FIXTURES "values.safetensors", &err));
    assert_true(mcf_pth_has_group(pth, "state_dict"));
    assert_false(mcf_pth_has_group(pth, "model"));
    for (size_t i = 0; i < mcf_pth_count(pth); i++) {
        const mcf_pth_entry *entry = mcf_pth_at(pth, i);
        assert_null(entry->object);
        if (!strcmp(entry->name, "top")) {
            float top;
            OK(mcf_pth_read_f32(pth, entry, &top, &err));
            assert_true(top == 1.5f && !entry->group[0]);
            continue;
        }
        assert_string_equal(entry->group, "state_dict");
        const mcf_safetensors_entry *found = mcf_safetensors_find(want, entry->name);
        if (!found || !mcf_shape_equal(&found->shape, &entry->shape))
            fail_msg("%s: %s is unknown, or of another shape", file, entry->name);
        float *got = malloc((size_t)(entry->count + 1) * sizeof *got),
              *value = judge_read(want, entry->name, entry->count);
        OK(mcf_pth_read_f32(pth, entry, got, &err));
        if (entry->count && memcmp(got, value, (size_t)entry->count * sizeof *got))
            fail_msg("%s: %s has other values", file, entry->name);
        free(got);
        free(value);
        seen++;
    }
    assert_int_equal(seen, mcf_safetensors_count(want));
    mcf_safetensors_close(want);
    mcf_pth_close(pth);
}

static void values_of_every_kind(void **state)
{
    (void)state;
    check_values("values.pth");
    check_values("values_stream.pth");
}

// As every kind: nothing may be taken from such a file.
static void hostile_files(void **state)
{
    (void)state;
    glob_t found;
    assert_int_equal(glob(FIXTURES "hostile/*.pth", 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 50);
    for (size_t i = 0; i < found.gl_pathc; i++)
        for (int kind = 0; kind < MCF_IMPORT_KINDS; kind++) {
            const mcf_import_options options = {.kind = (mcf_import_kind)kind, .heads = 3};
            mcf_imported imported;
            err.message[0] = '\0';
            if (mcf_import(found.gl_pathv[i], &options, &imported, &err) == MCF_OK)
                fail_msg("%s: taken as %s", found.gl_pathv[i], mcf_import_names[kind]);
            assert_true(err.message[0] && !strchr(err.message, '\n') && imported.count == 0);
        }
    globfree(&found);
}

// Every length of two whole files, cut off: refused, or a file whose end nothing needs.
static void truncated_anywhere(void **state)
{
    (void)state;
    static const char *const names[] = {"values.pth", "values_stream.pth"};
    for (int n = 0; n < 2; n++) {
        char path[1024];
        snprintf(path, sizeof path, FIXTURES "%s", names[n]);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        uint8_t whole[1 << 14];
        const size_t size = fread(whole, 1, sizeof whole, file);
        fclose(file);
        for (size_t cut = 0; cut < size; cut += 3) {
            uint8_t *bytes = malloc(cut + !cut); // exactly as long, for the sanitizer
            memcpy(bytes, whole, cut);
            mcf_pth *pth;
            err.message[0] = '\0';
            const mcf_status status = mcf_pth_open_memory(&pth, bytes, cut, "cut", &err);
            for (size_t i = 0; status == MCF_OK && i < mcf_pth_count(pth); i++) {
                float values[256];
                const mcf_pth_entry *entry = mcf_pth_at(pth, i);
                assert_true(entry->count <= 256);
                mcf_pth_read_f32(pth, entry, values, &err);
            }
            assert_true(status == MCF_OK || err.message[0]);
            assert_true(status != MCF_OK || n == 0); // a stream's last byte is a tensor's
            if (status == MCF_OK)
                mcf_pth_close(pth);
            free(bytes);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_kind),
        cmocka_unit_test(hostile_files),
        cmocka_unit_test(truncated_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
