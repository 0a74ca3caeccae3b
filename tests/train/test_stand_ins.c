// What ci/gpu-check is linked with in place of libraries says the same as they do: Philox, XXH64, the header of
// safetensors and YAML. The libraries answer through this program's own functions.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <glob.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/file.h"
#include "data/formats/safetensors.h"
#include "tests/gpu/libraries/Random123/philox.h"
#include "tests/gpu/libraries/jansson.h"
#include "tests/gpu/libraries/xxhash.h"
#include "tests/gpu/plain_yaml.h"
#include "run/config/table.h"

static void philox(void **state)
{
    mcf_rng rng = mcf_rng_make(0x123456789abcdef0, MCF_RNG_TEST, 77, 0xabcdef012345);
    for (uint32_t block = 0; block < 1000; block++) {
        const philox4x32_ctr_t counter = {{block, 77, 0xef012345, (uint32_t)MCF_RNG_TEST << 24 | 0xabcd}};
        const philox4x32_ctr_t words = philox4x32_R(10, counter, (philox4x32_key_t){{0x9abcdef0, 0x12345678}});
        for (int i = 0; i < 4; i++)
            assert_int_equal(words.v[i], mcf_rng_u32(&rng));
    }
}

static void xxh64(void **state)
{
    char path[] = "/tmp/mcf-stand-in-XXXXXX";
    unsigned char bytes[300];
    mcf_rng rng = mcf_rng_make(1, MCF_RNG_TEST, 0, 0);
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)mcf_rng_u32(&rng);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        uint64_t hash, total;
        if (size > 0)
            assert_int_equal(pwrite(fd, bytes + size - 1, 1, (off_t)size - 1), 1);
        assert_int_equal(mcf_file_hash(path, &hash, &total, NULL), MCF_OK);
        assert_int_equal(total, size);
        assert_true(XXH64(bytes, size, 0) == hash);
        XXH64_state_t parts;
        XXH64_reset(&parts, 0);
        for (size_t at = 0, part; at < size; at += part) {
            part = 1 + mcf_rng_below(&rng, 50);
            part = part < size - at ? part : size - at;
            XXH64_update(&parts, bytes + at, part);
        }
        assert_true(XXH64_digest(&parts) == hash);
    }
    close(fd);
    unlink(path);
}

static void for_each(const char *pattern, void (*look)(const char *path), int least)
{
    char full[1000];
    glob_t found;
    snprintf(full, sizeof full, "%s/%s", MCF_SOURCE_DIR, pattern);
    assert_int_equal(glob(full, 0, NULL, &found), 0);
    assert_true((int)found.gl_pathc >= least);
    for (size_t i = 0; i < found.gl_pathc; i++)
        look(found.gl_pathv[i]);
    globfree(&found);
}

static void same_header(const char *path)
{
    char *bytes;
    size_t size;
    uint64_t length;
    json_error_t error;
    mcf_safetensors *file;
    assert_int_equal(mcf_safetensors_open(&file, path, NULL), MCF_OK);
    assert_int_equal(mcf_file_read(path, 1 << 26, &bytes, &size, NULL), MCF_OK);
    memcpy(&length, bytes, 8);
    json_t *header = json_loadb(bytes + 8, length, JSON_REJECT_DUPLICATES, &error);
    if (!header)
        fail_msg("%s: %s at %d", path, error.text, error.position);
    size_t others = json_object_get(header, "__metadata__") ? 1 : 0;
    assert_int_equal(json_object_size(header), mcf_safetensors_count(file) + others);
    for (size_t i = 0; i < mcf_safetensors_count(file); i++) {
        const mcf_safetensors_entry *entry = mcf_safetensors_at(file, i);
        const json_t *tensor = json_object_get(header, entry->name), *shape = json_object_get(tensor, "shape");
        assert_string_equal(json_string_value(json_object_get(tensor, "dtype")), entry->stored);
        assert_int_equal(json_array_size(shape), entry->shape.rank);
        for (int k = 0; k < entry->shape.rank; k++)
            assert_int_equal(json_integer_value(json_array_get(shape, (size_t)k)), entry->shape.dim[k]);
        const json_t *offsets = json_object_get(tensor, "data_offsets");
        assert_int_equal(json_integer_value(json_array_get(offsets, 0)) + 8 + (int64_t)length, entry->offset);
    }
    // What is written reads the same.
    char *text = json_dumps(header, JSON_COMPACT);
    json_t *again = json_loadb(text, strlen(text), JSON_REJECT_DUPLICATES, &error);
    char *twice = json_dumps(again, JSON_COMPACT);
    assert_string_equal(text, twice);
    free(text);
    free(twice);
    free(bytes);
    json_decref(header);
    json_decref(again);
    mcf_safetensors_close(file);
}

static void headers(void **state)
{
    for_each("tests/golden/*/*.safetensors", same_header, 60);
}

static void json_refuses(void **state)
{
    static const char *const wrong[] = {"",      "{",          "{\"a\"}", "{\"a\":1,\"a\":2}", "{\"a\":1.5}", "[1,]",
                                        "[1] 2", "{\"a\":-1}", "{a:1}",   "[\"\\n\"]",         "[true]",      "[\"a"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        json_error_t error;
        json_t *j = json_loadb(wrong[i], strlen(wrong[i]), JSON_REJECT_DUPLICATES, &error);
        if (j)
            fail_msg("read: %s", wrong[i]);
    }
    json_t *packed = json_pack("{s:s, s:o, s:[I,I], s:i, s:f}", "dtype", "F32", "shape", json_array(), "data_offsets",
                               (json_int_t)4, (json_int_t)8, "n", 3, "x", 1.5);
    char *text = json_dumps(packed, JSON_COMPACT);
    assert_string_equal(text, "{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[4,8],\"n\":3,\"x\":1.5}");
    free(text);
    json_decref(packed);
}

static void same_tree(const mcf_yaml_node *a, const mcf_yaml_node *b, const char *path)
{
    if (!a || !b) {
        assert_true(!a && !b);
        return;
    }
    if (a->kind != b->kind || a->count != b->count || a->line != b->line)
        fail_msg("%s:%d and %d: kind %d and %d, %zu and %zu items", path, a->line, b->line, a->kind, b->kind, a->count,
                 b->count);
    if (a->kind == MCF_YAML_SCALAR) {
        assert_string_equal(a->text, b->text);
        assert_int_equal(a->plain, b->plain);
    }
    for (size_t i = 0; i < a->count; i++) {
        if (a->kind == MCF_YAML_MAP)
            assert_string_equal(a->items[i].key, b->items[i].key);
        same_tree(a->items[i].value, b->items[i].value, path);
    }
}

static void parse_both(const char *text, size_t size, const char *label, bool lines)
{
    mcf_yaml_node *plain, *library;
    mcf_error err = {0};
    if (mcf_plain_yaml_parse(&plain, text, size, label, lines, &err) != MCF_OK)
        fail_msg("%s", err.message);
    assert_int_equal(mcf_yaml_parse(&library, text, size, label, lines, NULL), MCF_OK);
    same_tree(plain, library, label);
    mcf_yaml_free(plain);
    mcf_yaml_free(library);
}

static void same_config(const char *path)
{
    char *text;
    size_t size;
    assert_int_equal(mcf_file_read(path, 1 << 20, &text, &size, NULL), MCF_OK);
    parse_both(text, size, path, true);
    free(text);
}

static void yaml(void **state)
{
    for_each("tests/golden/*/config.yaml", same_config, 21);
    for_each("configs/*/*.yaml", same_config, 20);
    for_each("tests/gpu/*.yaml", same_config, 1);
    for (size_t i = 0; i < mcf_config_key_count; i++)
        if (mcf_config_keys[i].standard)
            parse_both(mcf_config_keys[i].standard, strlen(mcf_config_keys[i].standard), "default", false);
    static const char odd[] = "a: 'x: y' # z\n\nb:\n  c:\n  d: [1,\n      2, # two\n  3]\ne: {f: {g: h}}\n";
    parse_both(odd, strlen(odd), "odd", true);
}

static void yaml_refuses(void **state)
{
    static const char *const wrong[] = {"a: b: c",    "a: [1",    "a:\n  b: 1\n   c: 2", "- a",     "a: &x 1",
                                        "a: *x",      "a: |\n b", "a: 1\na: 2",          "a: 1\nb", "a: [1] 2",
                                        "a: \"\\n\"", "a: {b"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        mcf_yaml_node *root;
        mcf_error err = {0};
        if (mcf_plain_yaml_parse(&root, wrong[i], strlen(wrong[i]), "w", true, &err) != MCF_ERR_USAGE)
            fail_msg("read: %s", wrong[i]);
        assert_null(root);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox),       cmocka_unit_test(xxh64), cmocka_unit_test(headers),
        cmocka_unit_test(json_refuses), cmocka_unit_test(yaml),  cmocka_unit_test(yaml_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
