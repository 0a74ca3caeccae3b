// Safetensors: what is written is read back; everything malformed is refused with words that name it.
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "data/formats/safetensors.h"

static char directory[] = "/tmp/mcf_safetensors_XXXXXX";
static char path[512];

static int group_setup(void **state)
{
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof(path), "%s/file.safetensors", directory);
    return 0;
}

static int group_teardown(void **state)
{
    return mcf_tree_remove(directory, NULL) == MCF_OK ? 0 : -1;
}

static void written_is_read_back(void **state)
{
    mcf_error err = {0};
    float f32[6] = {1, -2, 3.5f, 0, 1e-30f, 6};
    int64_t ids[3] = {-1, 0, INT64_MAX};
    uint16_t bf16[2] = {mcf_f32_to_bf16(1.5f), mcf_f32_to_bf16(-3)};
    uint8_t bytes[3] = {1, 2, 255};
    double scalar = 0.25;
    mcf_named_tensor tensors[] = {
        {"w", MCF_F32, MCF_SHAPE(2, 3), f32},     {"ids", MCF_I64, MCF_SHAPE(3), ids},
        {"u", MCF_U8, MCF_SHAPE(3, 1), bytes},    {"b\"\n", MCF_BF16, MCF_SHAPE(2), bf16},
        {"none", MCF_F32, MCF_SHAPE(0, 5), NULL}, {"s", MCF_F64, {0, {0}}, &scalar},
    };
    const char *metadata[] = {"format", "1", "config", "task: pretrain\n", NULL};
    uint64_t hash, size, file_hash, file_size;
    assert_int_equal(mcf_safetensors_save(path, tensors, 6, metadata, &hash, &size, &err), MCF_OK);
    assert_int_equal(mcf_file_hash(path, &file_hash, &file_size, &err), MCF_OK);
    assert_true(hash == file_hash && size == file_size);

    mcf_safetensors *file;
    assert_int_equal(mcf_safetensors_open(&file, path, &err), MCF_OK);
    assert_int_equal(mcf_safetensors_count(file), 6);
    assert_string_equal(mcf_safetensors_metadata(file, "config"), "task: pretrain\n");
    assert_null(mcf_safetensors_metadata(file, "other"));
    assert_null(mcf_safetensors_find(file, "x"));
    assert_string_equal(mcf_safetensors_at(file, 0)->name, "w");
    assert_int_equal(mcf_safetensors_at(file, 0)->offset % 8, 0);
    for (size_t i = 0; i < 6; i++) {
        const mcf_safetensors_entry *entry = mcf_safetensors_find(file, tensors[i].name);
        assert_non_null(entry);
        assert_true(entry->native && entry->dtype == tensors[i].dtype);
        assert_true(mcf_shape_equal(&entry->shape, &tensors[i].shape));
        unsigned char back[64];
        assert_int_equal(mcf_safetensors_read(file, entry, back, &err), MCF_OK);
        if (entry->size)
            assert_memory_equal(back, tensors[i].data, entry->size);
    }
    float values[3];
    assert_int_equal(mcf_safetensors_read_f32(file, mcf_safetensors_find(file, "b\"\n"), values, &err), MCF_OK);
    assert_true(values[0] == 1.5f && values[1] == -3);
    assert_int_equal(mcf_safetensors_read_f32(file, mcf_safetensors_find(file, "u"), values, &err), MCF_OK);
    assert_true(values[0] == 1 && values[2] == 255);
    assert_int_equal(mcf_safetensors_read_f32(file, mcf_safetensors_find(file, "s"), values, &err), MCF_OK);
    assert_true(values[0] == 0.25f);

    mcf_shape wrong = MCF_SHAPE(3, 2);
    float back[6];
    assert_int_equal(mcf_safetensors_read_exact(file, "w", MCF_F32, &wrong, back, &err), MCF_ERR_SHAPE);
    assert_non_null(strstr(err.message, "'w' has shape [2, 3] where [3, 2] is needed"));
    assert_int_equal(mcf_safetensors_read_exact(file, "w", MCF_F64, &tensors[0].shape, back, &err), MCF_ERR_FORMAT);
    assert_int_equal(mcf_safetensors_read_exact(file, "v", MCF_F32, &wrong, back, &err), MCF_ERR_FORMAT);
    assert_int_equal(mcf_safetensors_read_exact(file, "w", MCF_F32, &tensors[0].shape, back, &err), MCF_OK);
    assert_memory_equal(back, f32, sizeof(f32));
    mcf_safetensors_close(file);
}

static void long_tensor_converts_in_pieces(void **state)
{
    enum { N = 10000 };
    mcf_error err;
    double *values = malloc(N * sizeof(double));
    float *back = malloc(N * sizeof(float));
    for (int i = 0; i < N; i++)
        values[i] = i * 0.5;
    mcf_named_tensor tensor = {"x", MCF_F64, MCF_SHAPE(N), values};
    assert_int_equal(mcf_safetensors_save(path, &tensor, 1, NULL, NULL, NULL, &err), MCF_OK);
    mcf_safetensors *file;
    assert_int_equal(mcf_safetensors_open(&file, path, &err), MCF_OK);
    assert_int_equal(mcf_safetensors_read_f32(file, mcf_safetensors_at(file, 0), back, &err), MCF_OK);
    for (int i = 0; i < N; i++)
        assert_true(back[i] == i * 0.5f);
    mcf_safetensors_close(file);
    free(values);
    free(back);
}

// header + `data` zero bytes, opened from memory
static mcf_status open_text(const char *header, size_t data, mcf_error *err)
{
    size_t length = strlen(header);
    unsigned char *bytes = calloc(1, 8 + length + data);
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)length >> (8 * i));
    memcpy(bytes + 8, header, length);
    mcf_safetensors *file = NULL;
    mcf_status status = mcf_safetensors_open_memory(&file, bytes, 8 + length + data, "mem", err);
    mcf_safetensors_close(file);
    free(bytes);
    return status;
}

static void malformed_is_refused(void **state)
{
    static const struct {
        const char *header;
        size_t data;
        const char *words;
    } cases[] = {
        {"", 0, "no JSON object"},
        {"[]", 0, "no JSON object"},
        {"{", 0, "header:"},
        {"{\"a\":1}", 0, "'a': needs dtype"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "needs dtype"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "two data_offsets"},
        {"{\"a\":{\"dtype\":\"Q4\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown dtype 'Q4'"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "no count"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4, "no count"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "no range"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8, "do not fit"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, "truncated"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0, "overflows"},
        {"{\"a\":{\"dtype\":\"F64\",\"shape\":[2305843009213693952],\"data_offsets\":[0,0]}}", 0, "do not fit"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, "dimensions"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 5, "behind the last"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[1,5]}}", 5, "hole"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}",
         6, "overlaps"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
         8, "duplicate"},
        {"{\"__metadata__\":[]}", 0, "no object"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "more than strings"},
        {"{\"a\":[[[[[[]]]]]]}", 0, "nested"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mcf_error err = {0};
        assert_int_equal(open_text(cases[i].header, cases[i].data, &err), MCF_ERR_FORMAT);
        if (!strstr(err.message, cases[i].words))
            fail_msg("case %zu: '%s' lacks '%s'", i, err.message, cases[i].words);
        assert_non_null(strstr(err.message, "mem: "));
    }
    mcf_error err = {0};
    assert_int_equal(open_text("{}", 0, &err), MCF_OK);
    assert_int_equal(open_text("{\"a\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[0,3]}}   ", 3, &err),
                     MCF_OK);
}

static void lengths_are_checked(void **state)
{
    mcf_error err = {0};
    mcf_safetensors *file = NULL;
    unsigned char bytes[16] = {200};
    assert_int_equal(mcf_safetensors_open_memory(&file, bytes, 5, "mem", &err), MCF_ERR_FORMAT);
    assert_int_equal(mcf_safetensors_open_memory(&file, bytes, 16, "mem", &err), MCF_ERR_FORMAT);
    assert_non_null(strstr(err.message, "truncated"));
    memset(bytes, 255, 8);
    assert_int_equal(mcf_safetensors_open_memory(&file, bytes, 16, "mem", &err), MCF_ERR_FORMAT);
    assert_non_null(strstr(err.message, "100 MB"));
    assert_null(file);
    assert_int_equal(mcf_safetensors_open(&file, "/nowhere/x.safetensors", &err), MCF_ERR_IO);
    assert_non_null(strstr(err.message, "/nowhere/x.safetensors"));
    assert_int_equal(mcf_safetensors_open(&file, "/tmp", &err), MCF_ERR_FORMAT);
}

// A header that would cost gigabytes once parsed.
static void too_many_values(void **state)
{
    size_t n = MCF_SAFETENSORS_MAX_VALUES + 10;
    char *header = malloc(2 * n + 16);
    char *at = stpcpy(header, "{\"a\":[0");
    for (size_t i = 0; i < n; i++)
        at = stpcpy(at, ",0");
    strcpy(at, "]}");
    mcf_error err = {0};
    assert_int_equal(open_text(header, 0, &err), MCF_ERR_FORMAT);
    assert_non_null(strstr(err.message, "too many values"));
    free(header);
}

static void unfinished_leaves_the_old_file(void **state)
{
    mcf_error err;
    float x = 1;
    mcf_shape one = MCF_SHAPE(1);
    assert_int_equal(mcf_file_write(path, "old", 3, &err), MCF_OK);
    mcf_safetensors_writer *writer;
    assert_int_equal(mcf_safetensors_writer_open(&writer, path, &err), MCF_OK);
    assert_int_equal(mcf_safetensors_writer_declare(writer, "a", MCF_F32, &one, &err), MCF_OK);
    assert_int_equal(mcf_safetensors_writer_declare(writer, "a", MCF_F32, &one, &err), MCF_ERR_INTERNAL);
    assert_int_equal(mcf_safetensors_writer_begin(writer, &err), MCF_OK);
    assert_int_equal(mcf_safetensors_writer_finish(writer, NULL, NULL, &err), MCF_ERR_INTERNAL);
    assert_int_equal(mcf_safetensors_writer_open(&writer, path, &err), MCF_OK);
    assert_int_equal(mcf_safetensors_writer_declare(writer, "a", MCF_F32, &one, &err), MCF_OK);
    assert_int_equal(mcf_safetensors_writer_begin(writer, &err), MCF_OK);
    assert_int_equal(mcf_safetensors_writer_write(writer, &x, 4, &err), MCF_OK);
    assert_int_equal(mcf_safetensors_writer_write(writer, &x, 1, &err), MCF_ERR_INTERNAL);
    mcf_safetensors_writer_abort(writer);
    char *bytes;
    size_t size;
    assert_int_equal(mcf_file_read(path, 100, &bytes, &size, &err), MCF_OK);
    assert_string_equal(bytes, "old");
    free(bytes);
    unlink(path);
    assert_int_equal(rmdir(directory), 0); // nothing else was left
    assert_int_equal(mkdir(directory, 0700), 0);
    assert_int_equal(mcf_safetensors_save("/nowhere/at/all", NULL, 0, NULL, NULL, NULL, &err), MCF_ERR_IO);
    assert_non_null(strstr(err.message, "/nowhere/at/all: cannot write: there is no directory"));
}

static void file_helpers(void **state)
{
    mcf_error err;
    char deep[600], *joined, *bytes;
    size_t size;
    snprintf(deep, sizeof(deep), "%s/a/b/c", directory);
    assert_int_equal(mcf_directory_make(deep, &err), MCF_OK);
    assert_int_equal(mcf_directory_make(deep, &err), MCF_OK);
    assert_true(mcf_path_is_directory(deep));
    joined = mcf_path_join(deep, "x");
    assert_int_equal(mcf_file_write(joined, "0123456789", 10, &err), MCF_OK);
    assert_int_equal(mcf_file_read(joined, 9, &bytes, &size, &err), MCF_ERR_FORMAT);
    assert_int_equal(mcf_file_read(joined, 10, &bytes, &size, &err), MCF_OK);
    assert_int_equal(size, 10);
    free(bytes);
    assert_int_equal(mcf_directory_make(joined, &err), MCF_ERR_IO);
    free(joined);
    snprintf(deep, sizeof(deep), "%s/a", directory);
    assert_int_equal(mcf_tree_remove(deep, &err), MCF_OK);
    assert_false(mcf_path_exists(deep));
    assert_int_equal(mcf_tree_remove(deep, &err), MCF_OK);
    static const char *const parents[][2] = {{"a/b", "a"}, {"a", "."}, {"/a", "/"}, {"a//b/", "a"}, {"/", "/"}};
    for (size_t i = 0; i < 5; i++) {
        char *parent = mcf_path_parent(parents[i][0]);
        assert_string_equal(parent, parents[i][1]);
        free(parent);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_is_read_back), cmocka_unit_test(long_tensor_converts_in_pieces),
        cmocka_unit_test(malformed_is_refused), cmocka_unit_test(lengths_are_checked),
        cmocka_unit_test(too_many_values),      cmocka_unit_test(unfinished_leaves_the_old_file),
        cmocka_unit_test(file_helpers),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
