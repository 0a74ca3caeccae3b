// What each path given is, and the lines of lists.
#define _GNU_SOURCE // getline
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "data/image/image.h"
#include "data/impostor.h"
#include "data/source_internal.h"

mcf_looks mcf_source_look(const uint8_t *bytes, size_t size, const char **packer)
{
    static const struct {
        const char *bytes, *name;
        size_t size;
    } starts[] = {
        {"\x1f\x8b", "gzip", 2},
        {"\xfd"
         "7zXZ",
         "xz", 5},
        {"\x28\xb5\x2f\xfd", "zstd", 4},
        {"\x04\x22\x4d\x18", "lz4", 4},
        {"LZIP", "lzip", 4},
        {"\x1f\x9d", "compress", 2},
        {"PK\3\4", "zip", 4},
        {"7z\xbc\xaf", "7z", 4},
        {"Rar!", "rar", 4},
    };
    if (mcf_image_format_of(bytes, size) != MCF_IMAGE_UNKNOWN)
        return MCF_LOOKS_PICTURE;
    if (size >= 262 && !memcmp(bytes + 257, "ustar", 5))
        return MCF_LOOKS_TAR;
    if (size >= 12 && !memcmp(bytes, "RIFF", 4) && !memcmp(bytes + 8, "WEBP", 4)) // also where it is not built in
        return MCF_LOOKS_PICTURE;
    if (size >= 10 && !memcmp(bytes, "BZh", 3) && !memcmp(bytes + 4, "1AY&SY", 6)) {
        *packer = "bzip2";
        return MCF_LOOKS_PACKED;
    }
    const bool text = size == 0 || !memchr(bytes, 0, size);
    if (!text && mcf_image_other(bytes, size)) // named as what it is when it is decoded
        return MCF_LOOKS_PICTURE;
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (size >= starts[i].size && !memcmp(bytes, starts[i].bytes, starts[i].size)) {
            *packer = starts[i].name;
            return MCF_LOOKS_PACKED;
        }
    return text ? MCF_LOOKS_TEXT : MCF_LOOKS_OTHER;
}

static mcf_status add_lines(mcf_source *source, FILE *file, const char *path, uint32_t container, mcf_error *err)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    int64_t number = 0;
    mcf_status status = MCF_OK;
    while (status == MCF_OK && (length = getline(&line, &room, file)) >= 0) {
        char *at = line;
        if (++number == 1 && length >= 3 && !memcmp(line, "\xef\xbb\xbf", 3)) { // a byte-order mark
            at += 3;
            length -= 3;
        }
        while (length > 0 && (at[length - 1] == '\n' || at[length - 1] == '\r'))
            at[--length] = 0;
        if (length == 0)
            continue;
        if (length >= 4096 || (size_t)length != strlen(at))
            status = mcf_fail(err, MCF_ERR_FORMAT, "%s:%lld: not a path; a list has one path a line", path,
                              (long long)number);
        else
            status = mcf_source_add_sample(source, container, at, NULL, err);
    }
    if (status == MCF_OK && ferror(file))
        status = mcf_fail(err, MCF_ERR_IO, "%s: %s", path, strerror(errno));
    free(line);
    return status;
}

mcf_status mcf_source_add_list(mcf_source *source, const char *path, mcf_error *err)
{
    char *directory = mcf_path_parent(path);
    if (!directory)
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", path);
    uint32_t container;
    mcf_status status = mcf_source_add_container(source, directory, directory, false, &container, err);
    free(directory);
    MCF_TRY(status);
    int fd;
    MCF_TRY(mcf_file_open(path, &fd, NULL, err));
    FILE *file = fdopen(fd, "r");
    if (!file) {
        close(fd);
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", path);
    }
    status = add_lines(source, file, path, container, err);
    fclose(file);
    return status;
}

static mcf_status add_picture(mcf_source *source, const char *path, mcf_error *err)
{
    uint32_t container;
    MCF_TRY(mcf_source_add_container(source, "", "", false, &container, err));
    return mcf_source_add_sample(source, container, path, NULL, err);
}

static mcf_status fail_packed(const char *path, const char *packer, mcf_error *err)
{
    return mcf_fail(
        err, MCF_ERR_FORMAT,
        "%s: compressed (%s), so it cannot be read at random; unpack it first and give the tar or the folder", path,
        packer);
}

// The first bytes tell what a file is; the name only where they do not: an empty or damaged picture, a tar without magic.
static mcf_status add_file(mcf_source *source, const char *path, mcf_source_format format, mcf_error *err)
{
    uint8_t first[512];
    int fd;
    const char *packer = NULL;
    MCF_TRY(mcf_file_open(path, &fd, NULL, err));
    const ssize_t got = pread(fd, first, sizeof first, 0);
    close(fd);
    if (got < 0)
        return mcf_fail_errno(err, "read", path);
    const char *impostor = format == MCF_SOURCE_LIST ? NULL : mcf_impostor(first, (size_t)got);
    if (impostor)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: is %s", path, impostor);
    const mcf_looks looks = mcf_source_look(first, (size_t)got, &packer);
    if (looks == MCF_LOOKS_PACKED && format != MCF_SOURCE_LIST && !mcf_has_picture_extension(path))
        return fail_packed(path, packer, err);
    if (format == MCF_SOURCE_TAR)
        return mcf_source_add_tar(source, path, path, err);
    if (format == MCF_SOURCE_LIST)
        return mcf_source_add_list(source, path, err);
    if (looks == MCF_LOOKS_PICTURE)
        return add_picture(source, path, err);
    if (looks == MCF_LOOKS_TAR || mcf_has_extension(path, ".tar"))
        return mcf_source_add_tar(source, path, path, err);
    if (mcf_has_picture_extension(path))
        return add_picture(source, path, err);
    if (looks == MCF_LOOKS_OTHER)
        return mcf_fail(err, MCF_ERR_FORMAT,
                        got >= 2 && (!memcmp(first, "\xff\xfe", 2) || !memcmp(first, "\xfe\xff", 2))
                            ? "%s: text in UTF-16; save the list as UTF-8"
                            : "%s: neither a picture, nor a tar, nor a list of paths",
                        path);
    return mcf_source_add_list(source, path, err);
}

static mcf_status add_path(mcf_source *source, const char *path, mcf_source_format format, mcf_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return mcf_fail(err, MCF_ERR_IO, "%s: %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode)) {
        if (format == MCF_SOURCE_LIST)
            return mcf_fail(err, MCF_ERR_USAGE, "%s: a directory, but data.format is list", path);
        return mcf_source_add_folder(source, path, format, err);
    }
    if (!S_ISREG(info.st_mode))
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: is %s, not a picture, a tar, a list or a folder", path,
                        mcf_file_kind(info.st_mode));
    if (format == MCF_SOURCE_FOLDER)
        return mcf_fail(err, MCF_ERR_USAGE, "%s: not a directory, but data.format is folder", path);
    return add_file(source, path, format, err);
}

static mcf_source *new_source(void)
{
    mcf_source *source = calloc(1, sizeof *source);
    // Shards are kept open, but never so many that the rest of the program runs out of descriptors.
    struct rlimit limit;
    if (source)
        source->open_limit = getrlimit(RLIMIT_NOFILE, &limit) != 0 ? 64
                             : limit.rlim_cur == RLIM_INFINITY     ? 4096
                             : limit.rlim_cur / 2 > 4096           ? 4096
                                                                   : (int)(limit.rlim_cur / 2);
    return source;
}

mcf_status mcf_source_open_files(mcf_source **out, const char *const *paths, int64_t count, mcf_error *err)
{
    uint32_t container;
    mcf_source *source = new_source();
    *out = NULL;
    mcf_status status = source ? mcf_source_add_container(source, "", "", false, &container, err)
                               : mcf_fail(err, MCF_ERR_NOMEM, "out of memory for a data source");
    for (int64_t i = 0; status == MCF_OK && i < count; i++)
        status = mcf_source_add_sample(source, container, paths[i], NULL, err);
    if (status == MCF_OK && count < 1)
        status = mcf_fail(err, MCF_ERR_USAGE, "no pictures are given");
    if (status == MCF_OK)
        *out = source;
    else
        mcf_source_close(source);
    return status;
}

mcf_status mcf_source_open(mcf_source **out, const char *const *paths, int path_count, mcf_source_format format,
                           mcf_error *err)
{
    return mcf_source_open_keys(out, paths, path_count, format, NULL, 0, err);
}

mcf_status mcf_source_open_keys(mcf_source **out, const char *const *paths, int path_count, mcf_source_format format,
                                const char *const *keys, int key_count, mcf_error *err)
{
    *out = NULL;
    mcf_source *source = new_source();
    if (!source)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for a data source");
    source->keys = keys;
    source->key_count = key_count;
    mcf_status status = MCF_OK;
    for (int i = 0; status == MCF_OK && i < path_count; i++) {
        int64_t before = source->count;
        status = add_path(source, paths[i], format, err);
        if (status == MCF_OK && source->count == before)
            status = mcf_fail(err, MCF_ERR_USAGE, "%s: no %s found in it%s%s", paths[i],
                              key_count ? "picture of data.image_keys" : ".jpg, .jpeg, .png or .webp",
                              source->note_count ? "; " : "",
                              source->note_count ? source->notes[source->note_count - 1] : "");
    }
    if (status == MCF_OK && path_count < 1)
        status = mcf_fail(err, MCF_ERR_USAGE, "no data given: data.train is empty");
    source->keys = NULL;
    if (status != MCF_OK) {
        mcf_source_close(source);
        return status;
    }
    *out = source;
    return MCF_OK;
}
