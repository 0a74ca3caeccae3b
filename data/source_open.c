// Finds the samples of a folder, a shard or a list.
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "data/source_internal.h"
#include "data/formats/tar_index.h"

static bool has_extension(const char *name, const char *extension)
{
    size_t length = strlen(name), tail = strlen(extension);
    return length > tail && strcasecmp(name + length - tail, extension) == 0;
}

static bool is_picture(const char *name)
{
    return has_extension(name, ".jpg") || has_extension(name, ".jpeg") || has_extension(name, ".png") ||
           has_extension(name, ".webp");
}

static int by_bytes(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

typedef struct {
    char **paths;
    size_t count, room;
} path_list;

static mcf_status remember(path_list *list, const char *path, mcf_error *err)
{
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 64;
        char **grown = realloc(list->paths, list->room * sizeof *grown);
        if (!grown)
            return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for %zu paths", list->room);
        list->paths = grown;
    }
    list->paths[list->count] = strdup(path);
    if (!list->paths[list->count])
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for a path");
    list->count++;
    return MCF_OK;
}

// Pictures become samples of `container`, shards are collected.
static mcf_status walk(mcf_source *source, FTS *tree, size_t root_length, uint32_t container, path_list *shards,
                       mcf_error *err)
{
    FTSENT *entry;
    for (errno = 0; (entry = fts_read(tree)); errno = 0) {
        if (entry->fts_level > 0 && entry->fts_name[0] == '.') {
            fts_set(tree, entry, FTS_SKIP);
            continue;
        }
        switch (entry->fts_info) {
        case FTS_F: {
            const char *relative = entry->fts_path + root_length;
            while (*relative == '/')
                relative++;
            if (is_picture(entry->fts_name))
                MCF_TRY(mcf_source_add_sample(source, container, relative, 0, 0, err));
            else if (has_extension(entry->fts_name, ".tar"))
                MCF_TRY(remember(shards, entry->fts_path, err));
            break;
        }
        case FTS_DNR:
        case FTS_ERR:
        case FTS_NS:
            return mcf_fail(err, MCF_ERR_IO, "%s: %s", entry->fts_path, strerror(entry->fts_errno));
        default: // directories, dangling links, a link back to a directory above
            break;
        }
    }
    return errno ? mcf_fail(err, MCF_ERR_IO, "%s", strerror(errno)) : MCF_OK;
}

static size_t key_length(const char *name)
{
    const char *dot = strrchr(name, '.'), *slash = strrchr(name, '/');
    return dot && (!slash || dot > slash) ? (size_t)(dot - name) : strlen(name);
}

static bool same_key(const char *a, const char *b)
{
    size_t length = key_length(a);
    return length == key_length(b) && memcmp(a, b, length) == 0;
}

static bool is_hidden(const char *name)
{
    const char *slash = strrchr(name, '/');
    return (slash ? slash + 1 : name)[0] == '.';
}

// Grows the sidecar table to the room of the samples; samples that have none stay zero.
static mcf_status set_sidecars(mcf_source *source, int64_t first, const source_piece pieces[2], mcf_error *err)
{
    if (!source->sidecars) {
        source->sidecars = calloc((size_t)source->room, sizeof *source->sidecars);
        if (!source->sidecars)
            return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for captions of %lld samples", (long long)source->room);
    }
    for (int64_t i = first; i < source->count; i++)
        memcpy(source->sidecars[i], pieces, sizeof source->sidecars[i]);
    return MCF_OK;
}

// Files of one key stand next to each other.
static mcf_status add_members(mcf_source *source, const mcf_tar_index *index, uint32_t container, mcf_error *err)
{
    for (uint64_t start = 0, end; start < index->count; start = end) {
        const char *key = index->names + index->entries[start].name;
        int64_t first = source->count;
        source_piece pieces[2] = {{0}, {0}};
        for (end = start; end < index->count && same_key(key, index->names + index->entries[end].name); end++) {
            const mcf_tar_entry *entry = &index->entries[end];
            const char *name = index->names + entry->name;
            if (is_hidden(name))
                continue;
            uint32_t size = entry->size > UINT32_MAX ? UINT32_MAX : (uint32_t)entry->size;
            if (is_picture(name))
                MCF_TRY(mcf_source_add_sample(source, container, name, entry->offset, size, err));
            else if (has_extension(name, ".txt"))
                pieces[MCF_SIDECAR_TEXT] = (source_piece){entry->offset, size};
            else if (has_extension(name, ".json"))
                pieces[MCF_SIDECAR_JSON] = (source_piece){entry->offset, size};
        }
        if (source->count > first && (pieces[0].size || pieces[1].size))
            MCF_TRY(set_sidecars(source, first, pieces, err));
    }
    return MCF_OK;
}

static mcf_status add_tar(mcf_source *source, const char *path, mcf_error *err)
{
    char note[1200];
    mcf_tar_index index;
    uint32_t container;
    MCF_TRY(mcf_source_add_container(source, path, true, &container, err));
    MCF_TRY(mcf_tar_index_open(path, &index, note, sizeof note, err));
    mcf_status status = add_members(source, &index, container, err);
    mcf_tar_index_free(&index);
    if (status == MCF_OK && note[0])
        status = mcf_source_add_note(source, note, err);
    if (status == MCF_OK && source->open_files < source->open_limit) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return mcf_fail(err, MCF_ERR_IO, "%s: %s", path, strerror(errno));
        source->containers[container].fd = fd;
        source->open_files++;
    }
    return status;
}

static mcf_status add_lines(mcf_source *source, FILE *file, const char *path, uint32_t container, mcf_error *err)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    int64_t number = 0;
    mcf_status status = MCF_OK;
    while (status == MCF_OK && (length = getline(&line, &room, file)) >= 0) {
        number++;
        while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
            line[--length] = 0;
        if (length == 0)
            continue;
        if (length >= 4096 || (size_t)length != strlen(line))
            status = mcf_fail(err, MCF_ERR_FORMAT, "%s:%lld: not a path; a list has one path a line", path,
                              (long long)number);
        else
            status = mcf_source_add_sample(source, container, line, 0, 0, err);
    }
    if (status == MCF_OK && ferror(file))
        status = mcf_fail(err, MCF_ERR_IO, "%s: %s", path, strerror(errno));
    free(line);
    return status;
}

static mcf_status add_list(mcf_source *source, const char *path, mcf_error *err)
{
    char *directory = mcf_path_parent(path);
    if (!directory)
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", path);
    uint32_t container;
    mcf_status status = mcf_source_add_container(source, directory, false, &container, err);
    free(directory);
    MCF_TRY(status);
    FILE *file = fopen(path, "re");
    if (!file)
        return mcf_fail(err, MCF_ERR_IO, "%s: %s", path, strerror(errno));
    status = add_lines(source, file, path, container, err);
    fclose(file);
    return status;
}

static mcf_status add_folder(mcf_source *source, const char *path, mcf_source_format format, mcf_error *err)
{
    uint32_t container;
    MCF_TRY(mcf_source_add_container(source, path, false, &container, err));
    char *roots[] = {(char *)path, NULL};
    FTS *tree = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_bytes);
    if (!tree)
        return mcf_fail(err, MCF_ERR_IO, "%s: %s", path, strerror(errno));
    path_list shards = {0};
    int64_t before = source->count;
    mcf_status status = walk(source, tree, strlen(path), container, &shards, err);
    fts_close(tree);
    if (status == MCF_OK && format == MCF_SOURCE_AUTO && source->count > before && shards.count > 0)
        status = mcf_fail(err, MCF_ERR_USAGE,
                          "%s: holds both pictures and tar shards (%s); set data.format to folder "
                          "or shards",
                          path, shards.paths[0]);
    if (format == MCF_SOURCE_TAR)
        source->count = before;
    if (format != MCF_SOURCE_FOLDER && (format == MCF_SOURCE_TAR || source->count == before))
        for (size_t i = 0; status == MCF_OK && i < shards.count; i++)
            status = add_tar(source, shards.paths[i], err);
    for (size_t i = 0; i < shards.count; i++)
        free(shards.paths[i]);
    free(shards.paths);
    return status;
}

static mcf_status add_path(mcf_source *source, const char *path, mcf_source_format format, mcf_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return mcf_fail(err, MCF_ERR_IO, "%s: %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode)) {
        if (format == MCF_SOURCE_LIST)
            return mcf_fail(err, MCF_ERR_USAGE, "%s: a directory, but data.format is list", path);
        return add_folder(source, path, format, err);
    }
    if (format == MCF_SOURCE_FOLDER)
        return mcf_fail(err, MCF_ERR_USAGE, "%s: not a directory, but data.format is folder", path);
    if (format == MCF_SOURCE_TAR || (format == MCF_SOURCE_AUTO && has_extension(path, ".tar")))
        return add_tar(source, path, err);
    if (format == MCF_SOURCE_AUTO && is_picture(path)) {
        uint32_t container;
        MCF_TRY(mcf_source_add_container(source, "", false, &container, err));
        return mcf_source_add_sample(source, container, path, 0, 0, err);
    }
    return add_list(source, path, err);
}

mcf_status mcf_source_open(mcf_source **out, const char *const *paths, int path_count, mcf_source_format format,
                           mcf_error *err)
{
    *out = NULL;
    mcf_source *source = calloc(1, sizeof *source);
    if (!source)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for a data source");
    // Shards are kept open, but never so many that the rest of the program runs out of descriptors.
    struct rlimit limit;
    source->open_limit = getrlimit(RLIMIT_NOFILE, &limit) != 0 ? 64
                         : limit.rlim_cur == RLIM_INFINITY     ? 4096
                         : limit.rlim_cur / 2 > 4096           ? 4096
                                                               : (int)(limit.rlim_cur / 2);
    mcf_status status = MCF_OK;
    for (int i = 0; status == MCF_OK && i < path_count; i++) {
        int64_t before = source->count;
        status = add_path(source, paths[i], format, err);
        if (status == MCF_OK && source->count == before)
            status = mcf_fail(err, MCF_ERR_USAGE, "%s: no .jpg, .jpeg, .png or .webp found in it", paths[i]);
    }
    if (status == MCF_OK && path_count < 1)
        status = mcf_fail(err, MCF_ERR_USAGE, "no data given: data.train is empty");
    if (status != MCF_OK) {
        mcf_source_close(source);
        return status;
    }
    *out = source;
    return MCF_OK;
}
