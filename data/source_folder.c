// Finds the pictures and shards below a directory.
#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "data/source_internal.h"

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

// What is passed over, counted by kind, with the first of each.
typedef enum { DANGLING, CIRCLE, FORBIDDEN, UNREADABLE, NO_FILE, PACKED, PASSED_KINDS } passed_kind;
static const char *const passed_words[PASSED_KINDS] = {
    "links that lead nowhere are passed over",
    "links to a directory above themselves are passed over",
    "directories that may not be read are passed over",
    "entries that cannot be looked at are passed over",
    "pipes, sockets or devices with a picture's name are passed over",
    "compressed tars are passed over; they cannot be read at random: unpack them (gunzip, zstd -d, xz -d)"};

typedef struct {
    mcf_source *source;
    const char *root;
    size_t root_length;
    uint32_t container;
    path_list shards;
    int64_t passed[PASSED_KINDS];
    char *first[PASSED_KINDS];
} walker;

static void pass(walker *w, passed_kind kind, const char *path)
{
    if (w->passed[kind]++ == 0)
        w->first[kind] = strdup(path);
}

static bool of_interest(const char *name)
{
    return mcf_has_picture_extension(name) || mcf_has_extension(name, ".tar");
}

// One entry: pictures become samples, shards are collected.
static mcf_status visit(walker *w, const FTSENT *entry, mcf_error *err)
{
    switch (entry->fts_info) {
    case FTS_F: {
        const char *relative = entry->fts_path + w->root_length;
        while (*relative == '/')
            relative++;
        if (mcf_has_picture_extension(entry->fts_name)) {
            const source_piece found = {.offset = entry->fts_statp ? (uint64_t)entry->fts_statp->st_size : 0};
            return mcf_source_add_sample(w->source, w->container, relative, &found, err);
        }
        if (mcf_has_extension(entry->fts_name, ".tar"))
            return remember(&w->shards, entry->fts_path, err);
        if (mcf_has_packed_extension(entry->fts_name))
            pass(w, PACKED, entry->fts_path);
        return MCF_OK;
    }
    case FTS_SLNONE:
        if (of_interest(entry->fts_name))
            pass(w, DANGLING, entry->fts_path);
        return MCF_OK;
    case FTS_DC:
        pass(w, CIRCLE, entry->fts_path);
        return MCF_OK;
    case FTS_DEFAULT:
        if (of_interest(entry->fts_name))
            pass(w, NO_FILE, entry->fts_path);
        return MCF_OK;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS: {
        const int why = entry->fts_errno;
        const bool forbidden = why == EACCES || why == EPERM;
        if (entry->fts_level == 0 || (!forbidden && why != ENOENT && why != ELOOP))
            return mcf_fail(err, MCF_ERR_IO, "%s: %s", entry->fts_path, strerror(why));
        pass(w, forbidden && entry->fts_info == FTS_DNR ? FORBIDDEN : UNREADABLE, entry->fts_path);
        return MCF_OK;
    }
    default: // directories
        return MCF_OK;
    }
}

static mcf_status walk(walker *w, FTS *tree, mcf_error *err)
{
    FTSENT *entry;
    for (errno = 0; (entry = fts_read(tree)); errno = 0) {
        if (entry->fts_level > 0 && entry->fts_name[0] == '.') {
            fts_set(tree, entry, FTS_SKIP);
            continue;
        }
        MCF_TRY(visit(w, entry, err));
    }
    return errno ? mcf_fail(err, MCF_ERR_IO, "%s: %s", w->root, strerror(errno)) : MCF_OK;
}

static mcf_status tell_passed(walker *w, mcf_error *err)
{
    for (int k = 0; k < PASSED_KINDS; k++) {
        if (!w->passed[k])
            continue;
        const mcf_status status =
            mcf_source_add_note(w->source, "%s: %lld %s (%s%s)", w->root, (long long)w->passed[k], passed_words[k],
                                w->first[k] ? w->first[k] : "", w->passed[k] > 1 ? ", ..." : "");
        if (status != MCF_OK)
            return mcf_fail(err, status, "out of memory for a note");
    }
    return MCF_OK;
}

// `mcf synth` keeps its pictures in images/; the layouts beside it are the same pictures again, and masks.
static char *pictures_of_synth(const char *path)
{
    char *labels = mcf_path_join(path, "labels.jsonl"), *images = mcf_path_join(path, "images");
    const bool is = labels && images && mcf_path_exists(labels) && mcf_path_is_directory(images);
    free(labels);
    if (is)
        return images;
    free(images);
    return NULL;
}

static mcf_status add_folder(mcf_source *source, const char *path, mcf_source_format format, mcf_error *err)
{
    walker w = {.source = source, .root = path, .root_length = strlen(path)};
    MCF_TRY(mcf_source_add_container(source, path, path, false, &w.container, err));
    char *roots[] = {(char *)path, NULL};
    FTS *tree = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_bytes);
    if (!tree)
        return mcf_fail(err, MCF_ERR_IO, "%s: %s", path, strerror(errno));
    const int64_t before = source->count;
    mcf_status status = walk(&w, tree, err);
    fts_close(tree);
    if (status == MCF_OK && format == MCF_SOURCE_AUTO && source->count > before && w.shards.count > 0)
        status = mcf_fail(err, MCF_ERR_USAGE,
                          "%s: holds both pictures and tar shards (%s); set data.format to folder "
                          "or shards",
                          path, w.shards.paths[0]);
    if (format == MCF_SOURCE_TAR)
        source->count = before;
    if (format != MCF_SOURCE_FOLDER && (format == MCF_SOURCE_TAR || source->count == before))
        for (size_t i = 0; status == MCF_OK && i < w.shards.count; i++)
            status = mcf_source_add_tar(source, w.shards.paths[i], path, err);
    if (status == MCF_OK && source->count == before && w.passed[PACKED])
        status =
            mcf_fail(err, MCF_ERR_FORMAT,
                     "%s: holds compressed tars (%s), which cannot be read at random; unpack them (gunzip, zstd -d, "
                     "xz -d)",
                     path, w.first[PACKED]);
    if (status == MCF_OK)
        status = tell_passed(&w, err);
    for (size_t i = 0; i < w.shards.count; i++)
        free(w.shards.paths[i]);
    free(w.shards.paths);
    for (int k = 0; k < PASSED_KINDS; k++)
        free(w.first[k]);
    return status;
}

mcf_status mcf_source_add_folder(mcf_source *source, const char *path, mcf_source_format format, mcf_error *err)
{
    char *images = pictures_of_synth(path);
    mcf_status status = add_folder(source, images ? images : path, format, err);
    free(images);
    return status;
}
