#include "data/source.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/rng.h"
#include "base/file.h"
#include "data/source_internal.h"

mcf_status mcf_source_add_container(mcf_source *source, const char *path, bool tar, uint32_t *index, mcf_error *err)
{
    if (source->container_count == source->container_room) {
        source->container_room = source->container_room ? source->container_room * 2 : 16;
        source_container *grown = realloc(source->containers, source->container_room * sizeof *grown);
        if (!grown)
            return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for %zu shards", source->container_room);
        source->containers = grown;
    }
    char *copy = strdup(path);
    if (!copy)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for a path");
    *index = (uint32_t)source->container_count;
    source->containers[source->container_count++] = (source_container){copy, tar, -1};
    return MCF_OK;
}

mcf_status mcf_source_add_sample(mcf_source *source, uint32_t container, const char *name, uint64_t offset,
                                 uint32_t size, mcf_error *err)
{
    size_t length = strlen(name) + 1;
    if (source->count == source->room) {
        int64_t room = source->room ? source->room * 2 : 1024;
        source_sample *grown = realloc(source->samples, (size_t)room * sizeof *grown);
        if (!grown)
            return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for %lld samples", (long long)room);
        source->samples = grown;
        if (source->sidecars) {
            void *more = realloc(source->sidecars, (size_t)room * sizeof *source->sidecars);
            if (!more)
                return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for captions of %lld samples", (long long)room);
            source->sidecars = more;
            memset(source->sidecars + source->room, 0, (size_t)(room - source->room) * sizeof *source->sidecars);
        }
        source->room = room;
    }
    if (source->names_room - source->names_size < length) {
        uint64_t room = source->names_room * 2 + length + 16384;
        char *grown = realloc(source->names, room);
        if (!grown)
            return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for names");
        source->names = grown;
        source->names_room = room;
    }
    memcpy(source->names + source->names_size, name, length);
    source->samples[source->count++] = (source_sample){source->names_size, offset, size, container};
    source->names_size += length;
    return MCF_OK;
}

mcf_status mcf_source_add_note(mcf_source *source, const char *note, mcf_error *err)
{
    char **grown = realloc(source->notes, (size_t)(source->note_count + 1) * sizeof *grown);
    if (grown)
        source->notes = grown;
    char *copy = grown ? strdup(note) : NULL;
    if (!copy)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for a note");
    source->notes[source->note_count++] = copy;
    return MCF_OK;
}

void mcf_source_close(mcf_source *source)
{
    if (!source)
        return;
    for (size_t i = 0; i < source->container_count; i++) {
        if (source->containers[i].fd >= 0)
            close(source->containers[i].fd);
        free(source->containers[i].path);
    }
    for (int i = 0; i < source->note_count; i++)
        free(source->notes[i]);
    free(source->containers);
    free(source->samples);
    free(source->sidecars);
    free(source->names);
    free(source->notes);
    free(source);
}

static int compare_int64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

mcf_status mcf_source_subset(mcf_source *source, double fraction, uint64_t seed, mcf_error *err)
{
    if (!(fraction > 0 && fraction <= 1))
        return mcf_fail(err, MCF_ERR_USAGE, "data.fraction: %g is not in (0, 1]", fraction);
    int64_t keep = (int64_t)llround(fraction * (double)source->count);
    keep = keep < 1 ? 1 : keep;
    if (keep >= source->count)
        return MCF_OK;
    int64_t *order = malloc((size_t)source->count * sizeof *order);
    if (!order)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for a permutation of %lld", (long long)source->count);
    mcf_rng rng = mcf_rng_make(seed, MCF_RNG_FRACTION, 0, 0);
    mcf_rng_permutation(&rng, order, source->count);
    qsort(order, (size_t)keep, sizeof *order, compare_int64);
    for (int64_t i = 0; i < keep; i++) { // order[i] >= i: nothing is overwritten before it is moved
        source->samples[i] = source->samples[order[i]];
        if (source->sidecars)
            memmove(source->sidecars[i], source->sidecars[order[i]], sizeof source->sidecars[i]);
    }
    source->count = keep;
    free(order);
    return MCF_OK;
}

int64_t mcf_source_count(const mcf_source *source)
{
    return source->count;
}

int mcf_source_note_count(const mcf_source *source)
{
    return source->note_count;
}

const char *mcf_source_note(const mcf_source *source, int i)
{
    return source->notes[i];
}

// Both parts of a sample's name; an absolute line of a list, or a single file, stands for itself.
static const char *sample_name(const mcf_source *source, int64_t i, const source_container **container)
{
    *container = &source->containers[source->samples[i].container];
    return source->names + source->samples[i].name;
}

static int write_path(const source_container *container, const char *name, char *buffer, size_t size)
{
    size_t length = strlen(container->path);
    if (length == 0 || name[0] == '/')
        return snprintf(buffer, size, "%s", name);
    return snprintf(buffer, size, container->path[length - 1] == '/' ? "%s%s" : "%s/%s", container->path, name);
}

char *mcf_source_name(const mcf_source *source, int64_t i, char *buffer, size_t size)
{
    const source_container *container;
    const char *name = sample_name(source, i, &container);
    if (container->tar)
        snprintf(buffer, size, "%s:%s", container->path, name);
    else
        write_path(container, name, buffer, size);
    return buffer;
}

char *mcf_source_label(const mcf_source *source, int64_t i, char *buffer, size_t size)
{
    const source_container *container;
    const char *name = sample_name(source, i, &container);
    char path[8192];
    if (container->tar)
        snprintf(path, sizeof path, "%s", name);
    else
        write_path(container, name, path, sizeof path);
    char *slash = strrchr(path, '/');
    if (!slash) {
        snprintf(buffer, size, "%s", "");
        return buffer;
    }
    *slash = 0;
    slash = strrchr(path, '/');
    snprintf(buffer, size, "%s", slash ? slash + 1 : path);
    return buffer;
}

uint64_t mcf_source_fingerprint(const mcf_source *source)
{
    XXH64_state_t state;
    XXH64_reset(&state, 0);
    for (int64_t i = 0; i < source->count; i++) {
        const source_sample *sample = &source->samples[i];
        const char *name = source->names + sample->name;
        XXH64_update(&state, name, strlen(name) + 1);
        XXH64_update(&state, &sample->size, sizeof sample->size);
    }
    return XXH64_digest(&state);
}

// What is wrong with this file stays MCF_ERR_FORMAT, so that another may take its place; what is wrong with the system
// at this moment is MCF_ERR_IO or MCF_ERR_NOMEM, and is tried again.
static mcf_status fail_open(int code, mcf_error *err)
{
    static const int own[] = {ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG, EISDIR, ENXIO, ENODEV};
    mcf_status status = code == ENOMEM ? MCF_ERR_NOMEM : MCF_ERR_IO;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (code == own[i])
            status = MCF_ERR_FORMAT;
    return mcf_fail(err, status, "cannot be opened: %s", strerror(code));
}

static mcf_status read_file(const char *path, mcf_bytes *out, mcf_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_open(errno, err);
    struct stat info;
    mcf_status status = MCF_OK;
    if (fstat(fd, &info) != 0)
        status = mcf_fail(err, MCF_ERR_IO, "%s", strerror(errno));
    else if (!S_ISREG(info.st_mode))
        status = mcf_fail(err, MCF_ERR_FORMAT, "not a regular file");
    else if (info.st_size > MCF_SOURCE_MAX_FILE)
        status = mcf_fail(err, MCF_ERR_FORMAT, "%lld bytes are more than the limit of %d for a picture",
                          (long long)info.st_size, (int)MCF_SOURCE_MAX_FILE);
    if (status == MCF_OK)
        status = mcf_bytes_resize(out, (size_t)info.st_size, err);
    if (status == MCF_OK)
        status = mcf_file_read_at(fd, out->data, out->size, 0, path, err);
    close(fd);
    return status;
}

static mcf_status read_member(const source_container *container, uint64_t offset, uint32_t size, mcf_bytes *out,
                              mcf_error *err)
{
    if (size > MCF_SOURCE_MAX_FILE)
        return mcf_fail(err, MCF_ERR_FORMAT, "%u bytes are more than the limit of %d for a picture", size,
                        (int)MCF_SOURCE_MAX_FILE);
    MCF_TRY(mcf_bytes_resize(out, size, err));
    if (container->fd >= 0)
        return mcf_file_read_at(container->fd, out->data, size, offset, container->path, err);
    int fd = open(container->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_open(errno, err);
    mcf_status status = mcf_file_read_at(fd, out->data, size, offset, container->path, err);
    close(fd);
    return status;
}

mcf_status mcf_source_read(const mcf_source *source, int64_t i, mcf_bytes *out, mcf_error *err)
{
    const source_container *container;
    const source_sample *sample = &source->samples[i];
    const char *name = sample_name(source, i, &container);
    if (container->tar)
        return read_member(container, sample->offset, sample->size, out, err);
    char path[8192];
    if (write_path(container, name, path, sizeof path) >= (int)sizeof path)
        return mcf_fail(err, MCF_ERR_FORMAT, "its path is too long");
    return read_file(path, out, err);
}

mcf_status mcf_source_read_sidecar(const mcf_source *source, int64_t i, mcf_sidecar kind, mcf_bytes *out, bool *found,
                                   mcf_error *err)
{
    const source_container *container;
    const char *name = sample_name(source, i, &container);
    *found = false;
    if (container->tar) {
        source_piece piece = source->sidecars ? source->sidecars[i][kind] : (source_piece){0};
        *found = piece.size > 0;
        return *found ? read_member(container, piece.offset, piece.size, out, err) : MCF_OK;
    }
    char path[8192];
    if (write_path(container, name, path, sizeof path - 8) >= (int)sizeof path - 8)
        return mcf_fail(err, MCF_ERR_IO, "its path is too long");
    char *dot = strrchr(path, '.');
    if (!dot || strchr(dot, '/'))
        return MCF_OK;
    strcpy(dot, kind == MCF_SIDECAR_JSON ? ".json" : ".txt");
    *found = mcf_path_exists(path);
    return *found ? read_file(path, out, err) : MCF_OK;
}
