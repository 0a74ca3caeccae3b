// Folders, shards and lists: what is found, in which order, and what happens to tars that are not as they
// should be.
#include "tests/data/helpers.h"

#include <utime.h>

#include "data/source.h"
#include "data/formats/tar_index.h"

static mcf_source *open_one(const char *path, mcf_source_format format)
{
    mcf_source *source;
    mcf_error err = {0};
    if (mcf_source_open(&source, &path, 1, format, &err) != MCF_OK)
        fail_msg("%s: %s", path, err.message);
    return source;
}

static void expect_failure(const char *path, mcf_source_format format, mcf_status status, const char *words)
{
    mcf_source *source;
    mcf_error err = {0};
    assert_int_equal(mcf_source_open(&source, &path, 1, format, &err), status);
    assert_null(source);
    if (!strstr(err.message, words) || !strstr(err.message, path))
        fail_msg("'%s' does not say '%s' and '%s'", err.message, words, path);
}

static void expect_names(const mcf_source *source, const char *prefix, int count, const char *const *names)
{
    assert_int_equal(mcf_source_count(source), count);
    for (int i = 0; i < count; i++) {
        char expected[1024], got[1024];
        snprintf(expected, sizeof expected, "%s%s", prefix, names[i]);
        assert_string_equal(mcf_source_name(source, i, got, sizeof got), expected);
    }
}

static char *join(const char *directory, const char *name)
{
    static char path[2][1024];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", directory, name);
    return path[turn];
}

static void expect_bytes(const mcf_source *source, int64_t i, const char *text)
{
    mcf_bytes bytes = {0};
    mcf_error err = {0};
    if (mcf_source_read(source, i, &bytes, &err) != MCF_OK)
        fail_msg("%s", err.message);
    assert_int_equal(bytes.size, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.size);
    mcf_bytes_free(&bytes);
}

static void folder_order_and_labels(void **state)
{
    (void)state;
    char *dir = make_temp_directory();
    const char *files[] = {"b/2.jpg",     "b/10.JPG",      "a.png",     "B/x.jpeg",
                           "b/notes.txt", ".hidden/y.jpg", "b/._2.jpg", "c/d/e.PNG"};
    for (int i = 0; i < 8; i++)
        write_file(dir, files[i], files[i], strlen(files[i]));
    mcf_source *source = open_one(dir, MCF_SOURCE_AUTO);
    const char *expected[] = {"/B/x.jpeg", "/a.png", "/b/10.JPG", "/b/2.jpg", "/c/d/e.PNG"};
    expect_names(source, dir, 5, expected);
    for (int i = 0; i < 5; i++)
        expect_bytes(source, i, expected[i] + 1);
    uint64_t before = mcf_source_fingerprint(source);
    mcf_source_close(source);
    write_file(dir, "b/11.jpg", "x", 1);
    source = open_one(dir, MCF_SOURCE_FOLDER);
    assert_true(before != mcf_source_fingerprint(source));
    mcf_source_close(source);
    remove_temp_directory(dir);
}

static void lists_are_relative(void **state)
{
    (void)state;
    char *dir = make_temp_directory(), list[2048];
    write_file(dir, "sub/one.jpg", "one", 3);
    write_file(dir, "two.jpg", "two", 3);
    int length = snprintf(list, sizeof list, "sub/one.jpg\r\n\n%s/two.jpg\nmissing.jpg", dir);
    write_file(dir, "list.txt", list, (size_t)length);
    mcf_source *source = open_one(join(dir, "list.txt"), MCF_SOURCE_AUTO);
    const char *expected[] = {"/sub/one.jpg", "/two.jpg", "/missing.jpg"};
    expect_names(source, dir, 3, expected);
    expect_bytes(source, 0, "one");
    expect_bytes(source, 1, "two");
    mcf_bytes bytes = {0};
    mcf_error err = {0};
    assert_int_equal(mcf_source_read(source, 2, &bytes, &err), MCF_ERR_FORMAT);
    assert_non_null(strstr(err.message, "No such file"));
    mcf_source_close(source);
    write_file(dir, "bad.txt", "good.jpg\nbad\0name.jpg\n", 22);
    expect_failure(join(dir, "bad.txt"), MCF_SOURCE_LIST, MCF_ERR_FORMAT, ":2:");
    source = open_one(join(dir, "two.jpg"), MCF_SOURCE_AUTO);
    expect_bytes(source, 0, "two");
    mcf_source_close(source);
    remove_temp_directory(dir);
}

static void nothing_to_read(void **state)
{
    (void)state;
    char *dir = make_temp_directory();
    expect_failure(dir, MCF_SOURCE_AUTO, MCF_ERR_USAGE, "no .jpg");
    expect_failure(join(dir, "nowhere"), MCF_SOURCE_AUTO, MCF_ERR_IO, "No such file");
    write_file(dir, "fake.tar", "this is no tar at all, only words", 33);
    expect_failure(join(dir, "fake.tar"), MCF_SOURCE_AUTO, MCF_ERR_FORMAT, "not a tar");
    write_file(dir, "empty.tar", "", 0);
    expect_failure(join(dir, "empty.tar"), MCF_SOURCE_AUTO, MCF_ERR_FORMAT, "empty");
    expect_failure(join(dir, "fake.tar"), MCF_SOURCE_FOLDER, MCF_ERR_USAGE, "not a directory");
    write_file(dir, "x.jpg", "x", 1);
    expect_failure(dir, MCF_SOURCE_AUTO, MCF_ERR_USAGE, "both");
    expect_failure(dir, MCF_SOURCE_LIST, MCF_ERR_USAGE, "directory");
    remove_temp_directory(dir);
}

// Names of every length around the limits of ustar, pax and GNU headers; captions; non-ASCII.
static void tar_members(void **state)
{
    (void)state;
    const char *const formats[] = {"ustar", "pax", "gnutar", "v7tar"};
    for (int f = 0; f < 4; f++) {
        char *dir = make_temp_directory(), longest[300];
        tar_maker tar = tar_begin(dir, "s.tar", formats[f]);
        tar_add(&tar, "./people/0001.jpg", "picture one", 11);
        tar_add(&tar, "./people/0001.txt", "a caption", 9);
        tar_add(&tar, "./people/0001.json", "{\"a\":1}", 7);
        tar_add(&tar, "people/0002.txt", "before its picture", 18);
        tar_add(&tar, "people/0002.png", "", 0);
        tar_add(&tar, "people/._0002.png", "resource fork", 13);
        tar_add(&tar, "people/0003.v1.jpeg", "three", 5);
        tar_add(&tar, "alone.txt", "no picture", 10);
        int longs = f == 1 || f == 2;
        if (longs) {
            memset(longest, 'n', sizeof longest);
            memcpy(longest, "d\xc3\xa9/", 4);
            strcpy(longest + 280, ".jpg");
            tar_add(&tar, longest, "long name", 9);
        }
        tar_end(&tar);
        for (int round = 0; round < 2; round++) { // scanned, then from the index
            mcf_source *source = open_one(join(dir, "s.tar"), MCF_SOURCE_AUTO);
            assert_int_equal(mcf_source_note_count(source), 1); // 0003 has no plain picture
            assert_non_null(strstr(mcf_source_note(source, 0), "people/0003.v1.jpeg"));
            assert_true(mcf_path_exists(join(dir, "s.tar.idx")));
            char prefix[1024];
            snprintf(prefix, sizeof prefix, "%s/s.tar:", dir);
            const char *expected[] = {"people/0001.jpg", "people/0002.png", "people/0003.v1.jpeg", longest};
            expect_names(source, prefix, 3 + longs, expected);
            expect_bytes(source, 0, "picture one");
            expect_bytes(source, 1, "");
            expect_bytes(source, 2, "three");
            if (longs)
                expect_bytes(source, 3, "long name");
            mcf_bytes text = {0};
            bool found;
            assert_int_equal(mcf_source_read_sidecar(source, 0, MCF_SIDECAR_TEXT, &text, &found, NULL), MCF_OK);
            assert_true(found && text.size == 9 && memcmp(text.data, "a caption", 9) == 0);
            assert_int_equal(mcf_source_read_sidecar(source, 0, MCF_SIDECAR_JSON, &text, &found, NULL), MCF_OK);
            assert_true(found && text.size == 7);
            assert_int_equal(mcf_source_read_sidecar(source, 1, MCF_SIDECAR_TEXT, &text, &found, NULL), MCF_OK);
            assert_true(found && text.size == 18);
            assert_int_equal(mcf_source_read_sidecar(source, 2, MCF_SIDECAR_TEXT, &text, &found, NULL), MCF_OK);
            assert_false(found);
            mcf_bytes_free(&text);
            mcf_source_close(source);
        }
        remove_temp_directory(dir);
    }
}

static void make_shard(const char *dir, const char *name, int count)
{
    tar_maker tar = tar_begin(dir, name, "ustar");
    for (int i = 0; i < count; i++) {
        char key[32], bytes[700];
        snprintf(key, sizeof key, "%03d.jpg", i);
        memset(bytes, 'a' + i, sizeof bytes);
        tar_add(&tar, key, bytes, sizeof bytes);
    }
    tar_end(&tar);
}

// Cut anywhere, a shard keeps exactly the files that are whole, and says so.
static void truncated_tar(void **state)
{
    (void)state;
    char *dir = make_temp_directory();
    make_shard(dir, "s.tar", 4); // each file: 512 + 1024 bytes
    char *bytes, *path = join(dir, "s.tar"), shard[1024];
    size_t size;
    strcpy(shard, path);
    assert_int_equal(mcf_file_read(shard, 1 << 20, &bytes, &size, NULL), MCF_OK);
    assert_true(size >= 4 * 1536 + 1024);
    for (size_t cut = 1; cut <= 4 * 1536; cut += cut % 512 < 2 ? 1 : 170) {
        write_file(dir, "s.tar", bytes, cut);
        int whole = 0;
        while (whole < 4 && (size_t)whole * 1536 + 512 + 700 <= cut)
            whole++;
        mcf_source *source;
        mcf_error err = {0};
        const char *paths[] = {shard};
        mcf_status status = mcf_source_open(&source, paths, 1, MCF_SOURCE_TAR, &err);
        if (whole == 0) {
            assert_true(status == MCF_ERR_FORMAT || status == MCF_ERR_USAGE);
            assert_non_null(strstr(err.message, "s.tar"));
            continue;
        }
        if (status != MCF_OK)
            fail_msg("cut at %zu: %s", cut, err.message);
        if (mcf_source_count(source) != whole)
            fail_msg("cut at %zu: %d files, not %d", cut, (int)mcf_source_count(source), whole);
        assert_int_equal(mcf_source_note_count(source), 1);
        assert_non_null(strstr(mcf_source_note(source, 0), "truncated"));
        mcf_bytes last = {0};
        assert_int_equal(mcf_source_read(source, whole - 1, &last, NULL), MCF_OK);
        assert_int_equal(last.data[699], 'a' + whole - 1);
        mcf_bytes_free(&last);
        mcf_source_close(source);
    }
    free(bytes);
    remove_temp_directory(dir);
}

static void stale_and_broken_indices(void **state)
{
    (void)state;
    char *dir = make_temp_directory(), shard[1024], *bytes;
    make_shard(dir, "s.tar", 3);
    strcpy(shard, join(dir, "s.tar"));
    char index_path[1100];
    snprintf(index_path, sizeof index_path, "%s.idx", shard);
    mcf_source_close(open_one(shard, MCF_SOURCE_AUTO));
    size_t size;
    assert_int_equal(mcf_file_read(index_path, 1 << 20, &bytes, &size, NULL), MCF_OK);

    // Another tar of the same size, as a later time shows.
    struct utimbuf later = {2000000000, 2000000000};
    make_shard(dir, "s.tar", 3);
    assert_int_equal(utime(shard, &later), 0);
    mcf_tar_index index;
    char note[256];
    assert_int_equal(mcf_tar_index_open(shard, &index, note, sizeof note, NULL), MCF_OK);
    assert_int_equal(index.mtime_ns, 2000000000000000000);
    mcf_tar_index_free(&index);
    make_shard(dir, "s.tar", 5);
    mcf_source *source = open_one(shard, MCF_SOURCE_AUTO);
    assert_int_equal(mcf_source_count(source), 5);
    mcf_source_close(source);

    // Every byte of an index matters; a wrong one is noticed and the index made anew.
    assert_int_equal(mcf_tar_index_parse((uint8_t *)bytes, size, &index, NULL), MCF_OK);
    assert_int_equal(index.count, 3);
    mcf_tar_index_free(&index);
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 4;
        assert_int_equal(mcf_tar_index_parse((uint8_t *)bytes, size, &index, NULL), MCF_ERR_FORMAT);
        bytes[i] ^= 4;
        assert_int_equal(mcf_tar_index_parse((uint8_t *)bytes, i, &index, NULL), MCF_ERR_FORMAT);
    }
    write_file(dir, "s.tar.idx", bytes, size / 2); // ours, but damaged
    source = open_one(shard, MCF_SOURCE_AUTO);
    assert_int_equal(mcf_source_count(source), 5);
    mcf_source_close(source);
    free(bytes);
    assert_int_equal(mcf_file_read(index_path, 1 << 20, &bytes, &size, NULL), MCF_OK);
    assert_int_equal(mcf_tar_index_parse((uint8_t *)bytes, size, &index, NULL), MCF_OK);
    mcf_tar_index_free(&index);
    free(bytes);

    // Where a directory stands in its place, it has another, and that is said.
    unlink(index_path);
    assert_int_equal(mkdir(index_path, 0755), 0);
    write_file(index_path, "keep", "", 0);
    source = open_one(shard, MCF_SOURCE_AUTO);
    assert_int_equal(mcf_source_count(source), 5);
    assert_int_equal(mcf_source_note_count(source), 1);
    assert_non_null(strstr(mcf_source_note(source, 0), "s.tar.mcf.idx"));
    mcf_source_close(source);
    remove_temp_directory(dir);
}

static void directory_of_shards_and_fraction(void **state)
{
    (void)state;
    char *dir = make_temp_directory();
    make_shard(dir, "b.tar", 10);
    make_shard(dir, "a.tar", 10);
    mcf_source *source = open_one(dir, MCF_SOURCE_AUTO);
    assert_int_equal(mcf_source_count(source), 20);
    char name[256], other[256];
    assert_non_null(strstr(mcf_source_name(source, 0, name, sizeof name), "a.tar:000.jpg"));
    assert_non_null(strstr(mcf_source_name(source, 19, name, sizeof name), "b.tar:009.jpg"));
    mcf_source *again = open_one(dir, MCF_SOURCE_TAR), *different = open_one(dir, MCF_SOURCE_TAR);
    assert_int_equal(mcf_source_subset(source, 0.35, 3, NULL), MCF_OK);
    assert_int_equal(mcf_source_subset(again, 0.35, 3, NULL), MCF_OK);
    assert_int_equal(mcf_source_subset(different, 0.35, 4, NULL), MCF_OK);
    assert_int_equal(mcf_source_count(source), 7);
    for (int i = 0; i < 7; i++) {
        mcf_source_name(source, i, name, sizeof name);
        assert_string_equal(name, mcf_source_name(again, i, other, sizeof other));
        if (i > 0)
            assert_true(strcmp(mcf_source_name(source, i - 1, other, sizeof other), name) < 0);
        mcf_bytes bytes = {0};
        assert_int_equal(mcf_source_read(source, i, &bytes, NULL), MCF_OK);
        assert_int_equal(bytes.data[0], 'a' + atoi(strstr(name, ".tar:") + 5));
        mcf_bytes_free(&bytes);
    }
    assert_true(mcf_source_fingerprint(source) == mcf_source_fingerprint(again));
    assert_true(mcf_source_fingerprint(source) != mcf_source_fingerprint(different));
    assert_int_equal(mcf_source_subset(source, 1e-9, 0, NULL), MCF_OK);
    assert_int_equal(mcf_source_count(source), 1);
    assert_int_equal(mcf_source_subset(source, 0, 0, NULL), MCF_ERR_USAGE);
    assert_int_equal(mcf_source_subset(source, 1.5, 0, NULL), MCF_ERR_USAGE);
    mcf_source_close(source);
    mcf_source_close(again);
    mcf_source_close(different);
    remove_temp_directory(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folder_order_and_labels),
        cmocka_unit_test(lists_are_relative),
        cmocka_unit_test(nothing_to_read),
        cmocka_unit_test(tar_members),
        cmocka_unit_test(truncated_tar),
        cmocka_unit_test(stale_and_broken_indices),
        cmocka_unit_test(directory_of_shards_and_fraction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
