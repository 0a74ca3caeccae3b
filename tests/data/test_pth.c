// PyTorch's files read in C: tensors of every type and layout; files that are wrong or hostile are refused with one line
// each (import.sh says which). All made by tests/import/make_fixtures.py.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <archive.h>
#include <archive_entry.h>
#include <glob.h>

#include <cmocka.h>

#include "base/file.h"
#include "data/formats/pth.h"
#include "data/formats/pth_zip.h"
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
    for (size_t i = 0; i < found.gl_pathc; i++) {
        if (strstr(found.gl_pathv[i],
                   "/getattr.pth")) // a bound method beside the model: harmless (tests/run/foreign.sh)
            continue;
        for (int kind = 0; kind < MCF_IMPORT_KINDS; kind++) {
            const mcf_import_options options = {.kind = (mcf_import_kind)kind, .heads = 3};
            mcf_imported imported;
            err.message[0] = '\0';
            if (mcf_import(found.gl_pathv[i], &options, &imported, &err) == MCF_OK)
                fail_msg("%s: taken as %s", found.gl_pathv[i], mcf_import_names[kind]);
            assert_true(err.message[0] && !strchr(err.message, '\n') && imported.count == 0);
        }
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

// All tensors of a file in memory; the first error.
static mcf_status read_all(const char *bytes, size_t size)
{
    mcf_pth *pth;
    MCF_TRY(mcf_pth_open_memory(&pth, bytes, size, "a file", &err));
    mcf_status status = MCF_OK;
    for (size_t i = 0; i < mcf_pth_count(pth) && status == MCF_OK; i++) {
        const mcf_pth_entry *entry = mcf_pth_at(pth, i);
        float *values = malloc((size_t)(entry->count + 1) * sizeof *values);
        if (!entry->object)
            status = mcf_pth_read_f32(pth, entry, values, &err);
        free(values);
    }
    mcf_pth_close(pth);
    return status;
}

// Every 97th byte of a sound file: where it lies in a storage, the CRC-32 tells.
static void flipped_bytes_are_seen(void **state)
{
    char *bytes;
    size_t size, by_sum = 0;
    OK(mcf_file_read(FIXTURES "timm.pth", 1 << 24, &bytes, &size, &err));
    OK(read_all(bytes, size));
    char *was = malloc(size);
    memcpy(was, bytes, size);
    for (size_t at = 0; at < size; at += 97) {
        bytes[at] ^= 0x10;
        if (read_all(bytes, size) != MCF_OK && strstr(err.message, "CRC-32"))
            by_sum++;
        bytes[at] ^= 0x10;
    }
    assert_memory_equal(was, bytes, size);
    assert_true(by_sum > size / 97 / 3);
    free(was);
    free(bytes);
}

// A zip of `count` empty members, the last of them named as `last`.
static char *make_zip(int count, const char *last, size_t *used)
{
    const size_t room = (size_t)count * 256 + 4096;
    char *bytes = malloc(room), name[64];
    struct archive *a = archive_write_new();
    archive_write_set_format_zip(a);
    archive_write_zip_set_compression_store(a);
    assert_int_equal(archive_write_open_memory(a, bytes, room, used), ARCHIVE_OK);
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "archive/data/%d", i);
        struct archive_entry *entry = archive_entry_new();
        archive_entry_set_pathname(entry, i == count - 1 ? last : name);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0644);
        archive_entry_set_size(entry, 0);
        assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
        archive_entry_free(entry);
    }
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
    return bytes;
}

static void directories_are_bounded_and_plain(void **state)
{
    size_t size;
    char *zip = make_zip(20, "archive/data/7", &size);
    assert_int_equal(read_all(zip, size), MCF_ERR_FORMAT);
    assert_non_null(strstr(err.message, "two members named data/7"));
    free(zip);
    zip = make_zip(MCF_PTH_ZIP_MEMBERS + 1, "archive/data.pkl", &size);
    assert_int_equal(read_all(zip, size), MCF_ERR_FORMAT);
    assert_non_null(strstr(err.message, "more than any checkpoint"));
    free(zip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_kind),
        cmocka_unit_test(hostile_files),
        cmocka_unit_test(truncated_anywhere),
        cmocka_unit_test(flipped_bytes_are_seen),
        cmocka_unit_test(directories_are_bounded_and_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
