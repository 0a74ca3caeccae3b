#define _GNU_SOURCE
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

enum { BUFFER_SIZE = 1 << 20 };

// strerror_r as a value; the words to act on for the refusals users meet.
static mcf_status fail_errno(mcf_error *err, const char *what, const char *path)
{
    int code = errno;
    char text[128];
    const char *words = strerror_r(code, text, sizeof(text));
    const char *remedy = "";
    if (code == ENOSPC || code == EDQUOT)
        remedy = "; free some space or choose another place";
    else if (code == EACCES || code == EPERM || code == EROFS)
        remedy = "; check the permissions or choose another place";
    else if (code == EFBIG)
        remedy = "; the file size limit of the process (ulimit -f) or file system is reached";
    return mcf_fail(err, code == ENOMEM ? MCF_ERR_NOMEM : MCF_ERR_IO, "%s: cannot %s: %s%s", path, what, words, remedy);
}

static mcf_status no_memory(mcf_error *err, const char *path)
{
    return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", path);
}

mcf_status mcf_file_read_at(int fd, void *bytes, size_t size, uint64_t offset, const char *path, mcf_error *err)
{
    char *at = bytes;
    while (size > 0) {
        ssize_t got = pread(fd, at, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_errno(err, "read", path);
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
            return fail_errno(err, "write", path);
        at += done;
        size -= (size_t)done;
    }
    return MCF_OK;
}

mcf_status mcf_file_read(const char *path, size_t limit, char **bytes, size_t *size, mcf_error *err)
{
    *bytes = NULL;
    *size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(err, "open", path);
    // Grown while reading, since pipes and /proc have no size to ask for.
    size_t room = 4096, used = 0;
    char *buffer = malloc(room + 1);
    mcf_status status = buffer ? MCF_OK : no_memory(err, path);
    while (status == MCF_OK) {
        ssize_t got = read(fd, buffer + used, room - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            status = fail_errno(err, "read", path);
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
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(err, "open", path);
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
            status = fail_errno(err, "read", path);
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

bool mcf_path_exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

bool mcf_path_is_directory(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

char *mcf_path_join(const char *a, const char *b)
{
    size_t length = strlen(a);
    char *path;
    if (length == 0 || b[0] == '/')
        return strdup(b);
    if (asprintf(&path, a[length - 1] == '/' ? "%s%s" : "%s/%s", a, b) < 0)
        return NULL;
    return path;
}

char *mcf_path_parent(const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    while (length > 0 && path[length - 1] != '/')
        length--;
    while (length > 1 && path[length - 1] == '/')
        length--;
    return length > 0 ? strndup(path, length) : strdup(".");
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
            errno = why == EEXIST ? ENOTDIR : why;
            status = fail_errno(err, "make the directory", copy);
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
        return fail_errno(err, "open", path);
    mcf_status status = MCF_OK;
    // Some file systems cannot sync directories and say EINVAL: nothing more can be done there.
    if (fsync(fd) != 0 && errno != EINVAL)
        status = fail_errno(err, "sync", path);
    close(fd);
    return status;
}

static mcf_status remove_inside(int fd, const char *path, mcf_error *err)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return fail_errno(err, "list", path);
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
            status = fail_errno(err, "remove what is in", path);
            break;
        }
        int child = openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        status = child < 0 ? fail_errno(err, "remove what is in", path) : remove_inside(child, path, err);
        if (status == MCF_OK && unlinkat(dirfd(dir), name, AT_REMOVEDIR) != 0)
            status = fail_errno(err, "remove what is in", path);
    }
    closedir(dir);
    return status;
}

mcf_status mcf_tree_remove(const char *path, mcf_error *err)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return MCF_OK;
    if (errno != EISDIR && errno != EPERM)
        return fail_errno(err, "remove", path);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(err, "remove", path);
    MCF_TRY(remove_inside(fd, path, err));
    if (rmdir(path) != 0)
        return fail_errno(err, "remove", path);
    return MCF_OK;
}

struct mcf_file_writer {
    int fd;
    char *path, *aside;
    char *buffer;
    size_t used;
    uint64_t total;
    XXH64_state_t *hash;
};

mcf_status mcf_file_writer_open(mcf_file_writer **out, const char *path, mcf_error *err)
{
    static atomic_uint counter; // two writers of one process never share a name
    *out = NULL;
    mcf_file_writer *writer = calloc(1, sizeof(*writer));
    if (!writer)
        return no_memory(err, path);
    writer->fd = -1;
    writer->path = strdup(path);
    writer->buffer = malloc(BUFFER_SIZE);
    writer->hash = XXH64_createState();
    if (asprintf(&writer->aside, "%s.tmp-%d-%u", path, (int)getpid(), atomic_fetch_add(&counter, 1u)) < 0)
        writer->aside = NULL;
    if (!writer->path || !writer->aside || !writer->buffer || !writer->hash) {
        mcf_file_writer_abort(writer);
        return no_memory(err, path);
    }
    XXH64_reset(writer->hash, 0);
    writer->fd = open(writer->aside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (writer->fd < 0) {
        mcf_status status = fail_errno(err, "write", path);
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

mcf_status mcf_file_writer_commit(mcf_file_writer *writer, uint64_t *hash, uint64_t *total, mcf_error *err)
{
    mcf_status status = writer_flush(writer, err);
    if (status == MCF_OK && fsync(writer->fd) != 0)
        status = fail_errno(err, "sync", writer->path);
    // Network file systems report a full disk only here.
    int closed = close(writer->fd);
    writer->fd = -1;
    if (status == MCF_OK && closed != 0)
        status = fail_errno(err, "close", writer->path);
    if (status == MCF_OK && rename(writer->aside, writer->path) != 0)
        status = fail_errno(err, "put in place", writer->path);
    if (status != MCF_OK) {
        mcf_file_writer_abort(writer);
        return status;
    }
    if (hash)
        *hash = XXH64_digest(writer->hash);
    if (total)
        *total = writer->total;
    char *parent = mcf_path_parent(writer->path);
    status = parent ? mcf_directory_sync(parent, err) : no_memory(err, writer->path);
    free(parent);
    free(writer->aside);
    writer->aside = NULL;
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
    free(writer->path);
    free(writer->aside);
    free(writer->buffer);
    free(writer);
}

mcf_status mcf_file_check_place(const char *path, mcf_error *err)
{
    char *parent = mcf_path_parent(path);
    if (!parent)
        return no_memory(err, path);
    int refused = faccessat(AT_FDCWD, parent, W_OK | X_OK, AT_EACCESS);
    free(parent);
    if (refused == 0 && mcf_path_is_directory(path)) {
        errno = EISDIR;
        refused = -1;
    }
    return refused ? fail_errno(err, "write", path) : MCF_OK;
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
