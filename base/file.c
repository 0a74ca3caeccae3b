#define _GNU_SOURCE
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/output.h"

enum { BUFFER_SIZE = 1 << 20 };

static mcf_status no_memory(mcf_error *err, const char *path)
{
    return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", path);
}

const char *mcf_file_kind(unsigned mode)
{
    return S_ISDIR(mode)    ? "a directory"
           : S_ISFIFO(mode) ? "a pipe"
           : S_ISSOCK(mode) ? "a socket"
           : S_ISREG(mode)  ? "a file"
                            : "a device";
}

mcf_status mcf_file_open(const char *path, int *fd, uint64_t *size, mcf_error *err)
{
    struct stat info;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); // a pipe without a writer would never open
    if (*fd < 0 && (errno == ENXIO || errno == ENODEV) && stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: is %s, not a file; save its contents in one", path,
                        mcf_file_kind(info.st_mode));
    if (*fd < 0)
        return mcf_fail_errno(err, "open", path);
    mcf_status status = MCF_OK;
    if (fstat(*fd, &info) != 0)
        status = mcf_fail_errno(err, "open", path);
    else if (!S_ISREG(info.st_mode))
        status = mcf_fail(err, MCF_ERR_FORMAT, "%s: is %s, not a file%s", path, mcf_file_kind(info.st_mode),
                          S_ISDIR(info.st_mode) ? "" : "; save its contents in one");
    else if (size)
        *size = (uint64_t)info.st_size;
    if (status != MCF_OK) {
        close(*fd);
        *fd = -1;
    }
    return status;
}

// Of the process itself: open already, so that nobody waits for it.
static bool is_own_descriptor(const char *path)
{
    return !strcmp(path, "/dev/stdin") || !strncmp(path, "/dev/fd/", 8) || !strncmp(path, "/proc/self/fd/", 14);
}

mcf_status mcf_file_read_at(int fd, void *bytes, size_t size, uint64_t offset, const char *path, mcf_error *err)
{
    char *at = bytes;
    while (size > 0) {
        ssize_t got = pread(fd, at, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return mcf_fail_errno(err, "read", path);
        if (got == 0)
            return mcf_fail(err, MCF_ERR_FORMAT, "%s: ends at byte %llu, too early: the file is truncated", path,
                            (unsigned long long)offset);
        at += got;
        size -= (size_t)got;
        offset += (uint64_t)got;
    }
    return MCF_OK;
}

mcf_status mcf_file_write_all(int fd, const void *bytes, size_t size, const char *path, mcf_error *err)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t done = write(fd, at, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return mcf_fail_errno(err, "write", path);
        at += done;
        size -= (size_t)done;
    }
    return MCF_OK;
}

mcf_status mcf_file_read(const char *path, size_t limit, char **bytes, size_t *size, mcf_error *err)
{
    *bytes = NULL;
    *size = 0;
    int fd;
    if (!is_own_descriptor(path))
        MCF_TRY(mcf_file_open(path, &fd, NULL, err));
    else if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return mcf_fail_errno(err, "open", path);
    // Grown while reading, since pipes and /proc have no size to ask for.
    size_t room = 4096, used = 0;
    char *buffer = malloc(room + 1);
    mcf_status status = buffer ? MCF_OK : no_memory(err, path);
    while (status == MCF_OK) {
        ssize_t got = read(fd, buffer + used, room - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            status = mcf_fail_errno(err, "read", path);
            break;
        }
        if (got == 0)
            break;
        used += (size_t)got;
        if (used > limit) {
            status = mcf_fail(err, MCF_ERR_FORMAT, "%s: longer than %zu bytes, the most allowed here", path, limit);
        } else if (used == room) {
            char *grown = realloc(buffer, 2 * room + 1);
            if (grown) {
                buffer = grown;
                room *= 2;
            } else {
                status = no_memory(err, path);
            }
        }
    }
    close(fd);
    if (status != MCF_OK) {
        free(buffer);
        return status;
    }
    buffer[used] = '\0';
    *bytes = buffer;
    *size = used;
    return MCF_OK;
}

uint64_t mcf_bytes_hash(const void *bytes, size_t size)
{
    return XXH64(bytes, size, 0);
}

mcf_status mcf_file_hash(const char *path, uint64_t *hash, uint64_t *size, mcf_error *err)
{
    int fd;
    MCF_TRY(mcf_file_open(path, &fd, NULL, err));
    XXH64_state_t *state = XXH64_createState();
    char *buffer = malloc(BUFFER_SIZE);
    mcf_status status = state && buffer ? MCF_OK : no_memory(err, path);
    *size = 0;
    if (status == MCF_OK)
        XXH64_reset(state, 0);
    while (status == MCF_OK) {
        ssize_t got = read(fd, buffer, BUFFER_SIZE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status = mcf_fail_errno(err, "read", path);
        if (got <= 0)
            break;
        XXH64_update(state, buffer, (size_t)got);
        *size += (uint64_t)got;
    }
    if (status == MCF_OK)
        *hash = XXH64_digest(state);
    XXH64_freeState(state);
    free(buffer);
    close(fd);
    return status;
}

mcf_status mcf_directory_make(const char *path, mcf_error *err)
{
    char *copy = strdup(path);
    if (!copy)
        return no_memory(err, path);
    mcf_status status = MCF_OK;
    for (char *at = copy; status == MCF_OK && at;) {
        while (*at == '/')
            at++;
        at = strchr(at, '/');
        if (at)
            *at = '\0';
        int made = mkdir(copy, 0777), why = errno;
        if (made != 0 && !mcf_path_is_directory(copy)) {
            char target[PATH_MAX];
            const ssize_t length = why == EEXIST ? readlink(copy, target, sizeof target) : -1;
            if (length > 0)
                status = mcf_fail(err, MCF_ERR_IO,
                                  "%s: cannot make the directory: %s is a link to %.*s, which is not there; make that "
                                  "folder first, or name another",
                                  path, copy, (int)length, target);
        }
        if (status == MCF_OK && made != 0 && !mcf_path_is_directory(copy)) {
            errno = why;
            status = mcf_fail_errno(err, "make the directory", copy);
        }
        if (at)
            *at++ = '/';
    }
    free(copy);
    return status;
}

mcf_status mcf_directory_sync(const char *path, mcf_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return mcf_fail_errno(err, "open", path);
    mcf_status status = MCF_OK;
    // Some file systems cannot sync directories and say EINVAL: nothing more can be done there.
    if (fsync(fd) != 0 && errno != EINVAL)
        status = mcf_fail_errno(err, "sync", path);
    close(fd);
    return status;
}

static mcf_status remove_inside(int fd, const char *path, mcf_error *err)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return mcf_fail_errno(err, "list", path);
    }
    mcf_status status = MCF_OK;
    struct dirent *entry;
    while (status == MCF_OK && (entry = readdir(dir))) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        if (unlinkat(dirfd(dir), name, 0) == 0)
            continue;
        if (errno != EISDIR && errno != EPERM) {
            status = mcf_fail_errno(err, "remove what is in", path);
            break;
        }
        int child = openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        status = child < 0 ? mcf_fail_errno(err, "remove what is in", path) : remove_inside(child, path, err);
        if (status == MCF_OK && unlinkat(dirfd(dir), name, AT_REMOVEDIR) != 0)
            status = mcf_fail_errno(err, "remove what is in", path);
    }
    closedir(dir);
    return status;
}

mcf_status mcf_tree_remove(const char *path, mcf_error *err)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return MCF_OK;
    if (errno != EISDIR && errno != EPERM)
        return mcf_fail_errno(err, "remove", path);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return mcf_fail_errno(err, "remove", path);
    MCF_TRY(remove_inside(fd, path, err));
    if (rmdir(path) != 0)
        return mcf_fail_errno(err, "remove", path);
    return MCF_OK;
}

struct mcf_file_writer {
    int fd;
    char *path;  // as it was given, for messages
    char *aside; // NULL: written straight into its place
    mcf_output_place place;
    char *buffer;
    size_t used;
    uint64_t total;
    XXH64_state_t *hash;
};

static mcf_status open_stream(mcf_file_writer *writer, mcf_error *err)
{
    writer->fd = open(writer->path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
    if (writer->fd < 0 && errno == EINTR) // only a signal that asks to stop is handled
        return mcf_fail(err, MCF_ERR_INTERRUPTED, "%s: stopped while nobody read from it", writer->path);
    return writer->fd < 0 ? mcf_fail_errno(err, "write", writer->path) : MCF_OK;
}

static mcf_status open_aside(mcf_file_writer *writer, mcf_error *err)
{
    static atomic_uint counter; // two writers of one process never share a name
    if (asprintf(&writer->aside, "%s.tmp-%d-%u", writer->place.path, (int)getpid(), atomic_fetch_add(&counter, 1u)) <
        0) {
        writer->aside = NULL;
        return no_memory(err, writer->path);
    }
    writer->fd = open(writer->aside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (writer->fd < 0)
        return mcf_fail_errno(err, "write", writer->path);
    const struct stat *old = &writer->place.info;
    if (writer->place.kind != MCF_OUTPUT_REPLACE)
        return MCF_OK;
    // Only root may give a file away; who may not keeps the mode alone.
    const bool given = fchown(writer->fd, old->st_uid, old->st_gid) == 0;
    if (fchmod(writer->fd, old->st_mode & (given ? 07777 : 0777)) != 0 && errno != EPERM && errno != ENOTSUP)
        return mcf_fail_errno(err, "keep the mode of", writer->path);
    return MCF_OK;
}

mcf_status mcf_file_writer_open(mcf_file_writer **out, const char *path, mcf_error *err)
{
    *out = NULL;
    mcf_file_writer *writer = calloc(1, sizeof(*writer));
    if (!writer)
        return no_memory(err, path);
    writer->fd = -1;
    writer->path = strdup(path);
    writer->buffer = malloc(BUFFER_SIZE);
    writer->hash = XXH64_createState();
    if (!writer->path || !writer->buffer || !writer->hash) {
        mcf_file_writer_abort(writer);
        return no_memory(err, path);
    }
    XXH64_reset(writer->hash, 0);
    mcf_status status = mcf_output_find(path, &writer->place, err);
    if (status == MCF_OK)
        status = writer->place.kind == MCF_OUTPUT_STREAM ? open_stream(writer, err) : open_aside(writer, err);
    if (status != MCF_OK) {
        mcf_file_writer_abort(writer);
        return status;
    }
    *out = writer;
    return MCF_OK;
}

static mcf_status writer_flush(mcf_file_writer *writer, mcf_error *err)
{
    MCF_TRY(mcf_file_write_all(writer->fd, writer->buffer, writer->used, writer->path, err));
    writer->used = 0;
    return MCF_OK;
}

mcf_status mcf_file_writer_write(mcf_file_writer *writer, const void *bytes, size_t size, mcf_error *err)
{
    if (size == 0)
        return MCF_OK;
    XXH64_update(writer->hash, bytes, size);
    writer->total += size;
    if (size > BUFFER_SIZE - writer->used)
        MCF_TRY(writer_flush(writer, err));
    if (size > BUFFER_SIZE)
        return mcf_file_write_all(writer->fd, bytes, size, writer->path, err);
    memcpy(writer->buffer + writer->used, bytes, size);
    writer->used += size;
    return MCF_OK;
}

// The name a complete file gets, and its directory synced.
static mcf_status put_in_place(mcf_file_writer *writer, mcf_error *err)
{
    if (rename(writer->aside, writer->place.path) != 0)
        return mcf_fail_errno(err, "put in place", writer->path);
    free(writer->aside);
    writer->aside = NULL;
    char *parent = mcf_path_parent(writer->place.path);
    mcf_status status = parent ? mcf_directory_sync(parent, err) : no_memory(err, writer->path);
    free(parent);
    return status;
}

mcf_status mcf_file_writer_commit(mcf_file_writer *writer, uint64_t *hash, uint64_t *total, mcf_error *err)
{
    mcf_status status = writer_flush(writer, err);
    // Pipes and most devices have nothing to sync.
    if (status == MCF_OK && fsync(writer->fd) != 0 && (writer->aside || (errno != EINVAL && errno != EROFS)))
        status = mcf_fail_errno(err, "sync", writer->path);
    // Network file systems report a full disk only here.
    int closed = close(writer->fd);
    writer->fd = -1;
    if (status == MCF_OK && closed != 0)
        status = mcf_fail_errno(err, "close", writer->path);
    if (status == MCF_OK && writer->aside)
        status = put_in_place(writer, err);
    if (status == MCF_OK && hash)
        *hash = XXH64_digest(writer->hash);
    if (status == MCF_OK && total)
        *total = writer->total;
    mcf_file_writer_abort(writer);
    return status;
}

void mcf_file_writer_abort(mcf_file_writer *writer)
{
    if (!writer)
        return;
    if (writer->fd >= 0)
        close(writer->fd);
    if (writer->aside)
        unlink(writer->aside);
    XXH64_freeState(writer->hash);
    mcf_output_place_free(&writer->place);
    free(writer->path);
    free(writer->aside);
    free(writer->buffer);
    free(writer);
}

mcf_status mcf_file_check_place(const char *path, mcf_error *err)
{
    mcf_output_place place;
    MCF_TRY(mcf_output_find(path, &place, err));
    mcf_output_place_free(&place);
    return MCF_OK;
}

mcf_status mcf_file_write(const char *path, const void *bytes, size_t size, mcf_error *err)
{
    mcf_file_writer *writer;
    MCF_TRY(mcf_file_writer_open(&writer, path, err));
    mcf_status status = mcf_file_writer_write(writer, bytes, size, err);
    if (status != MCF_OK) {
        mcf_file_writer_abort(writer);
        return status;
    }
    return mcf_file_writer_commit(writer, NULL, NULL, err);
}
