// Shared by the tests of data/: temporary directories, small pictures, tars.
#ifndef MCF_TESTS_DATA_HELPERS_H
#define MCF_TESTS_DATA_HELPERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>

#include "base/file.h"
#include "data/image/image.h"

#define UNUSED __attribute__((unused))

typedef struct {
    int width, height;
    uint8_t *pixels; // RGB
} ppm;

// tests/data/image/NAME.ppm, as tests/data/make_image_fixtures.py writes them.
UNUSED static ppm read_ppm(const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/data/image/%s.ppm", MCF_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    ppm p;
    assert_int_equal(fscanf(file, "P6 %d %d 255", &p.width, &p.height), 2);
    assert_int_equal(fgetc(file), '\n');
    size_t size = (size_t)p.width * (size_t)p.height * 3;
    p.pixels = malloc(size);
    assert_int_equal(fread(p.pixels, 1, size, file), size);
    fclose(file);
    return p;
}

UNUSED static mcf_bytes read_fixture(const char *name)
{
    char path[1024], *bytes;
    mcf_bytes b = {0};
    snprintf(path, sizeof path, "%s/tests/data/image/%s", MCF_SOURCE_DIR, name);
    assert_int_equal(mcf_file_read(path, 1 << 20, &bytes, &b.size, NULL), MCF_OK);
    b.data = (uint8_t *)bytes;
    b.capacity = b.size;
    return b;
}

UNUSED static char *make_temp_directory(void)
{
    char *path = strdup("/tmp/mcf-test-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

UNUSED static void remove_temp_directory(char *path)
{
    assert_int_equal(mcf_tree_remove(path, NULL), MCF_OK);
    free(path);
}

UNUSED static void write_file(const char *directory, const char *name, const void *bytes, size_t size)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    char *slash = strrchr(path, '/');
    *slash = 0;
    assert_int_equal(mcf_directory_make(path, NULL), MCF_OK);
    *slash = '/';
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

// A PNG of one colour that names sample `id`: (id, 7 id, 255 - id) mod 256.
UNUSED static mcf_bytes make_png(int id, int width, int height)
{
    size_t count = (size_t)width * (size_t)height;
    uint8_t *pixels = malloc(count * 3);
    for (size_t i = 0; i < count; i++) {
        pixels[3 * i] = (uint8_t)id;
        pixels[3 * i + 1] = (uint8_t)(7 * id);
        pixels[3 * i + 2] = (uint8_t)(255 - id);
    }
    mcf_image image = {width, height, 3, (size_t)width * 3, pixels};
    mcf_bytes out = {0};
    assert_int_equal(mcf_image_encode_png(&image, &out, NULL), MCF_OK);
    free(pixels);
    return out;
}

// Writes DIRECTORY/00i.png for i in 0..count-1.
UNUSED static void make_folder(const char *directory, int count)
{
    for (int i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "%03d.png", i);
        mcf_bytes png = make_png(i, 9 + i % 5, 9 + i % 3);
        write_file(directory, name, png.data, png.size);
        mcf_bytes_free(&png);
    }
}

typedef struct {
    struct archive *archive;
} tar_maker;

UNUSED static tar_maker tar_begin(const char *directory, const char *name, const char *format)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    tar_maker tar = {archive_write_new()};
    assert_int_equal(archive_write_set_format_by_name(tar.archive, format), ARCHIVE_OK);
    archive_write_set_bytes_in_last_block(tar.archive, 1);
    assert_int_equal(archive_write_open_filename(tar.archive, path), ARCHIVE_OK);
    return tar;
}

UNUSED static void tar_add(tar_maker *tar, const char *name, const void *bytes, size_t size)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_size(entry, (la_int64_t)size);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    assert_true(archive_write_header(tar->archive, entry) >= ARCHIVE_WARN);
    assert_int_equal(archive_write_data(tar->archive, bytes, size), size);
    archive_entry_free(entry);
}

UNUSED static void tar_end(tar_maker *tar)
{
    assert_int_equal(archive_write_close(tar->archive), ARCHIVE_OK);
    archive_write_free(tar->archive);
}

#endif
