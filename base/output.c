#define _GNU_SOURCE
#include "base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/path.h"

enum { MAX_LINKS = 40 }; // as Linux

static mcf_status no_memory(const char *path, mcf_error *err)
{
    return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", path);
}

// Replaces *at, a link, by what it points to.
static mcf_status follow(char **at, const char *path, mcf_error *err)
{
    char target[PATH_MAX];
    const ssize_t length = readlink(*at, target, sizeof target - 1);
    if (length < 0)
        return mcf_fail(err, MCF_ERR_IO, "%s: cannot be followed: %s", path, strerror(errno));
    target[length] = '\0';
    char *parent = mcf_path_parent(*at);
    char *next = parent ? mcf_path_join(parent, target) : NULL;
    free(parent);
    if (!next)
        return no_memory(path, err);
    free(*at);
    *at = next;
    return MCF_OK;
}

// The path behind all links, also where the last one dangles: its target is then made.
static mcf_status resolve(const char *path, char **out, mcf_error *err)
{
    char *at = strdup(path);
    struct stat info;
    mcf_status status = at ? MCF_OK : no_memory(path, err);
    for (int links = 0; status == MCF_OK && lstat(at, &info) == 0 && S_ISLNK(info.st_mode); links++)
        status = links < MAX_LINKS ? follow(&at, path, err)
                                   : mcf_fail(err, MCF_ERR_IO, "%s: links in a circle; name another place", path);
    if (status != MCF_OK) {
        free(at);
        return status;
    }
    *out = at;
    return MCF_OK;
}

// The files behind /dev/stdout and /proc/self/fd/N are open already: their contents are another's to order.
static bool is_descriptor(const char *path)
{
    char *parent = mcf_path_parent(path);
    char *real = parent ? realpath(parent, NULL) : NULL;
    const bool is = real && !strncmp(real, "/proc/", 6);
    free(parent);
    free(real);
    return is;
}

static bool leads_to_descriptor(const char *path, mcf_error *err)
{
    struct stat info;
    char *at = strdup(path);
    bool is = false;
    for (int links = 0; at && links < MAX_LINKS && !(is = is_descriptor(at)); links++)
        if (lstat(at, &info) != 0 || !S_ISLNK(info.st_mode) || follow(&at, path, err) != MCF_OK)
            break;
    free(at);
    return is;
}

// That files can be made in the directory of `path`.
static mcf_status check_parent(const char *path, mcf_error *err)
{
    const size_t length = strlen(path);
    if (length == 0)
        return mcf_fail(err, MCF_ERR_IO, "the output has no name; name a file");
    if (path[length - 1] == '/')
        return mcf_fail(err, MCF_ERR_IO, "%s: the name of a directory; name a file in it", path);
    char *parent = mcf_path_parent(path);
    if (!parent)
        return no_memory(path, err);
    mcf_status status = MCF_OK;
    struct stat info;
    if (stat(parent, &info) != 0)
        status = errno == ENOENT ? mcf_fail(err, MCF_ERR_IO,
                                            "%s: cannot write: there is no directory %s; make it first", path, parent)
                                 : mcf_fail_errno(err, "write", path);
    else if (!S_ISDIR(info.st_mode)) {
        errno = ENOTDIR;
        status = mcf_fail_errno(err, "write", path);
    } else if (faccessat(AT_FDCWD, parent, W_OK | X_OK, AT_EACCESS) != 0)
        status = mcf_fail(err, MCF_ERR_IO, "%s: cannot write: %s; check the permissions of %s or choose another place",
                          path, strerror(errno), parent);
    free(parent);
    return status;
}

mcf_status mcf_output_find(const char *path, mcf_output_place *place, mcf_error *err)
{
    *place = (mcf_output_place){.kind = MCF_OUTPUT_NEW};
    const bool there = stat(path, &place->info) == 0;
    if (!there && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
        return mcf_fail(err, MCF_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
    const mode_t mode = place->info.st_mode;
    if (there && S_ISDIR(mode))
        return mcf_fail(err, MCF_ERR_IO, "%s: cannot write: it is a directory; name a file in it", path);
    if (there && S_ISSOCK(mode))
        return mcf_fail(err, MCF_ERR_IO, "%s: cannot write: it is a socket; name a file or a pipe", path);
    if (there && (!S_ISREG(mode) || leads_to_descriptor(path, err))) {
        place->kind = MCF_OUTPUT_STREAM;
        return MCF_OK;
    }
    MCF_TRY(resolve(path, &place->path, err));
    mcf_status status = check_parent(place->path, err);
    if (status == MCF_OK && there) {
        place->kind = MCF_OUTPUT_REPLACE;
        if (faccessat(AT_FDCWD, place->path, W_OK, AT_EACCESS) != 0)
            status = mcf_fail(err, MCF_ERR_IO, "%s: is protected against writing (%s); name another file", path,
                              strerror(errno));
    }
    if (status != MCF_OK)
        mcf_output_place_free(place);
    return status;
}

void mcf_output_place_free(mcf_output_place *place)
{
    free(place->path);
    place->path = NULL;
}

// The directory that `path` is, or the nearest above it that is there; malloc'd.
static char *directory_of(const char *path)
{
    struct stat info;
    char *at = strdup(path);
    while (at && !(stat(at, &info) == 0 && S_ISDIR(info.st_mode))) {
        char *parent = mcf_path_parent(at);
        const bool top = parent && strcmp(parent, at) == 0;
        free(at);
        at = parent;
        if (top)
            break;
    }
    return at;
}

// As people read them: "12.3 MB".
static const char *in_words(char text[32], uint64_t bytes)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    int unit = 0;
    for (; value >= 1000 && unit < 4; unit++)
        value /= 1000;
    snprintf(text, 32, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}

bool mcf_output_room(const char *path, uint64_t *bytes)
{
    struct statvfs disk;
    char *directory = directory_of(path);
    // Disks of some network file systems tell no size.
    const bool told = directory && statvfs(directory, &disk) == 0 && disk.f_blocks > 0;
    if (told)
        *bytes = (uint64_t)(geteuid() == 0 ? disk.f_bfree : disk.f_bavail) * disk.f_frsize;
    free(directory);
    return told;
}

mcf_status mcf_output_check_room(const char *path, uint64_t bytes, uint64_t largest, mcf_error *err)
{
    mcf_output_place place = {0};
    struct rlimit limit;
    char need[32], have[32];
    uint64_t room;
    if (mcf_output_find(path, &place, NULL) == MCF_OK && place.kind == MCF_OUTPUT_STREAM)
        return MCF_OK;
    const bool known = mcf_output_room(place.path ? place.path : path, &room);
    mcf_output_place_free(&place);
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && largest > limit.rlim_cur)
        return mcf_fail(err, MCF_ERR_IO,
                        "%s: would take %s in one file, and files may have %s here (ulimit -f); raise the limit", path,
                        in_words(need, largest), in_words(have, limit.rlim_cur));
    if (known && bytes > room)
        return mcf_fail(err, MCF_ERR_IO,
                        "%s: would take %s, and its disk has %s left; make room there or choose another place", path,
                        in_words(need, bytes), in_words(have, room));
    return MCF_OK;
}

bool mcf_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

mcf_status mcf_output_differs(const char *path, const char *const *inputs, size_t count, mcf_error *err)
{
    struct stat out;
    if (stat(path, &out) != 0 || !S_ISREG(out.st_mode))
        return MCF_OK;
    for (size_t i = 0; i < count; i++) {
        struct stat in;
        if (inputs[i] && stat(inputs[i], &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino)
            return mcf_fail(err, MCF_ERR_USAGE,
                            "%s: the output is the same file as the input %s, which would be lost; name another output",
                            path, inputs[i]);
    }
    return MCF_OK;
}
