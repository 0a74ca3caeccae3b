#define _GNU_SOURCE // vasprintf
#include "data/source.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/rng.h"
#include "base/file.h"
#include "base/output.h"
#include "base/printable.h"
#include "data/formats/tar_index.h"
#include "data/source_internal.h"

mcf_status mcf_source_add_container(mcf_source *source, const char *path, const char *root, bool tar, uint32_t *index,
                                    mcf_error *err)
{
    if (source->container_count == source->container_room) {
        source->container_room = source->container_room ? source->container_room * 2 : 16;
        source_container *grown = realloc(source->containers, source->container_room * sizeof *grown);
        if (!grown)
            return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for %zu shards", source->container_room);
        source->containers = grown;
    }
    source_container container = {.path = strdup(path), .root = strdup(root), .tar = tar, .fd = -1};
    if (!container.path || !container.root) {
        free(container.path);
        free(container.root);
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for a path");
    }
    *index = (uint32_t)source->container_count;
    source->containers[source->container_count++] = container;
    return MCF_OK;
}

mcf_status mcf_source_add_sample(mcf_source *source, uint32_t container, const char *name, const source_piece *piece,
                                 mcf_error *err)
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
    source_sample sample = {.name = source->names_size, .container = container};
    if (piece) {
        sample.offset = piece->offset;
        sample.header = piece->header;
        sample.size = piece->size;
    }
    source->samples[source->count++] = sample;
    source->names_size += length;
    return MCF_OK;
}

mcf_status mcf_source_add_note(mcf_source *source, const char *format, ...)
{
    char *text = NULL, *note = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) >= 0)
        note = mcf_printable_copy(text);
    va_end(args);
    free(text);
    char **grown = note ? realloc(source->notes, (size_t)(source->note_count + 1) * sizeof *grown) : NULL;
    if (grown) {
        source->notes = grown;
        source->notes[source->note_count++] = note;
        return MCF_OK;
    }
    free(note);
    return MCF_ERR_NOMEM;
}

void mcf_source_close(mcf_source *source)
{
    if (!source)
        return;
    for (size_t i = 0; i < source->container_count; i++) {
        if (source->containers[i].fd >= 0)
            close(source->containers[i].fd);
        free(source->containers[i].path);
        free(source->containers[i].root);
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

bool mcf_has_extension(const char *name, const char *extension)
{
    size_t length = strlen(name), tail = strlen(extension);
    return length > tail && strcasecmp(name + length - tail, extension) == 0;
}

bool mcf_has_picture_extension(const char *name)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".jpe", ".jfif", ".mpo", ".webp"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (mcf_has_extension(name, endings[i]))
            return true;
    return false;
}

bool mcf_has_packed_extension(const char *name)
{
    static const char *const endings[] = {".tar.gz", ".tgz",     ".tar.bz2", ".tbz2",    ".tar.xz",
                                          ".txz",    ".tar.zst", ".tzst",    ".tar.lz4", ".tar.Z"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (mcf_has_extension(name, endings[i]))
            return true;
    return false;
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

void mcf_source_tell(const mcf_source *source, void (*notice)(void *context, const char *line), void *context)
{
    for (int i = 0; notice && i < source->note_count; i++)
        notice(context, source->notes[i]);
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

static bool uses(const mcf_source *source, const char *path)
{
    struct stat info;
    char name[8192];
    if (stat(path, &info) != 0)
        return false;
    for (size_t i = 0; i < source->container_count; i++)
        if (source->containers[i].tar && mcf_same_file(source->containers[i].path, path))
            return true;
    for (int64_t i = 0; i < source->count; i++)
        if (!source->containers[source->samples[i].container].tar &&
            mcf_same_file(mcf_source_name(source, i, name, sizeof name), path))
            return true;
    return false;
}

// Whether the file lies in the folder; `before` [size] keeps its directory, so that files of one cost one question.
static bool lies_in(const char *file, const char *folder, char *before, size_t size)
{
    char *parent = mcf_path_parent(file);
    const bool new = parent &&strcmp(parent, before) != 0, in = new &&mcf_same_file(parent, folder);
    if (new)
        snprintf(before, size, "%s", parent);
    free(parent);
    return in;
}

bool mcf_source_lies_in(const mcf_source *source, const char *folder, bool shards, char *name, size_t size)
{
    char before[8192] = "";
    for (size_t i = 0; shards && i < source->container_count; i++)
        if (source->containers[i].tar && lies_in(source->containers[i].path, folder, before, sizeof before)) {
            snprintf(name, size, "%s", source->containers[i].path);
            return true;
        }
    for (int64_t i = 0; i < source->count; i++)
        if (!source->containers[source->samples[i].container].tar &&
            lies_in(mcf_source_name(source, i, name, size), folder, before, sizeof before))
            return true;
    return false;
}

mcf_status mcf_source_check_output(const mcf_source *source, const char *out, mcf_error *err)
{
    return uses(source, out) ? mcf_fail(err, MCF_ERR_USAGE,
                                        "%s: is one of the pictures or shards that are read, which would be lost; name "
                                        "another output",
                                        out)
                             : MCF_OK;
}

mcf_status mcf_source_check_folder(const mcf_source *source, const char *folder, mcf_error *err)
{
    char name[4096];
    return mcf_source_lies_in(source, folder, true, name, sizeof name)
               ? mcf_fail(err, MCF_ERR_USAGE,
                          "%s: the image %s lies in it and might be replaced; name another folder for the results",
                          folder, name)
               : MCF_OK;
}

char *mcf_source_identity(const mcf_source *source, int64_t i)
{
    const source_container *container;
    const char *name = sample_name(source, i, &container);
    char path[8192], *identity = NULL;
    if (container->tar)
        snprintf(path, sizeof path, "%s:%s", container->root, name);
    else
        write_path(container, name, path, sizeof path);
    char *slash = strrchr(path, '/'), *colon = container->tar ? path + strlen(container->root) : NULL;
    if (colon && colon < path + sizeof path && (!slash || slash < colon))
        slash = colon;
    if (slash)
        *slash = '\0';
    else
        strcpy(path, "");
    // "a//b" and "a/./b" are one place, however the root was written.
    char *to = path;
    for (const char *at = path; *at;) {
        const bool start = at == path || at[-1] == '/';
        if (start && at[0] == '.' && (at[1] == '/' || at[1] == '\0'))
            at += at[1] ? 2 : 1;
        else if (at[0] == '/' && to > path && to[-1] == '/')
            at++;
        else
            *to++ = *at++;
    }
    while (to > path + 1 && to[-1] == '/')
        to--;
    *to = '\0';
    // Of files the same folder by whatever way; names inside a tar have no other.
    if (!container->tar)
        identity = realpath(*path ? path : ".", NULL);
    return identity ? identity : strdup(path);
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

uint64_t mcf_source_contents(const mcf_source *source)
{
    enum { READ = 256 };
    XXH64_state_t state;
    mcf_bytes bytes = {0};
    XXH64_reset(&state, 0);
    for (int64_t i = 0; i < source->count; i++) {
        const source_sample *sample = &source->samples[i];
        const uint64_t number = source->containers[sample->container].tar ? sample->header : sample->offset;
        char text[24]; // as text: the compiler takes eight bytes at a time for more than there are
        XXH64_update(&state, text, (size_t)snprintf(text, sizeof text, "%llx,", (unsigned long long)number));
    }
    for (int64_t i = 0; i < READ && i < source->count; i++) {
        const int64_t at = source->count <= READ ? i : source->count * i / READ;
        const bool read = mcf_source_read_patiently(source, at, &bytes, NULL) == MCF_OK;
        XXH64_update(&state, read ? (const void *)bytes.data : "unread", read ? bytes.size : 6);
    }
    mcf_bytes_free(&bytes);
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
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); // a pipe without a writer would never open
    if (fd < 0)
        return fail_open(errno, err);
    mcf_status status = MCF_OK;
    if (fstat(fd, &info) != 0)
        status = mcf_fail(err, MCF_ERR_IO, "%s", strerror(errno));
    else if (!S_ISREG(info.st_mode))
        status = mcf_fail(err, MCF_ERR_FORMAT, "is %s, not a file", mcf_file_kind(info.st_mode));
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

// The file's own header in front of it shows that it is still the one that was indexed.
static mcf_status read_piece(int fd, const char *path, const source_piece *piece, mcf_bytes *out, mcf_error *err)
{
    uint8_t header[MCF_TAR_BLOCK];
    MCF_TRY(mcf_file_read_at(fd, header, sizeof header, piece->offset - sizeof header, path, err));
    if (mcf_tar_header_hash(header) != piece->header)
        return mcf_fail(
            err, MCF_ERR_FORMAT,
            "its header no longer stands where the index says: the tar was changed or replaced since; start "
            "again, and remove %s.idx where that does not help",
            path);
    return mcf_file_read_at(fd, out->data, piece->size, piece->offset, path, err);
}

static mcf_status read_member(const source_container *container, const source_piece *piece, mcf_bytes *out,
                              mcf_error *err)
{
    if (piece->size > MCF_SOURCE_MAX_FILE)
        return mcf_fail(err, MCF_ERR_FORMAT, "%u bytes are more than the limit of %d for a picture", piece->size,
                        (int)MCF_SOURCE_MAX_FILE);
    MCF_TRY(mcf_bytes_resize(out, piece->size, err));
    if (container->fd >= 0)
        return read_piece(container->fd, container->path, piece, out, err);
    int fd = open(container->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fail_open(errno, err);
    mcf_status status = read_piece(fd, container->path, piece, out, err);
    close(fd);
    return status;
}

mcf_status mcf_source_read(const mcf_source *source, int64_t i, mcf_bytes *out, mcf_error *err)
{
    const source_container *container;
    const source_sample *sample = &source->samples[i];
    const char *name = sample_name(source, i, &container);
    if (container->tar) {
        const source_piece piece = {.offset = sample->offset, .header = sample->header, .size = sample->size};
        return read_member(container, &piece, out, err);
    }
    char path[8192];
    if (write_path(container, name, path, sizeof path) >= (int)sizeof path)
        return mcf_fail(err, MCF_ERR_FORMAT, "its path is too long");
    return read_file(path, out, err);
}

mcf_status mcf_source_read_patiently(const mcf_source *source, int64_t i, mcf_bytes *out, mcf_error *err)
{
    enum { TRIES = 4 };
    mcf_status status = mcf_source_read(source, i, out, err);
    for (int try = 1; try < TRIES && (status == MCF_ERR_IO || status == MCF_ERR_NOMEM); try++) {
        const struct timespec pause = {0, 50000000L << try};
        nanosleep(&pause, NULL);
        status = mcf_source_read(source, i, out, err);
    }
    return status;
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
        return *found ? read_member(container, &piece, out, err) : MCF_OK;
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
