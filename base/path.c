#define _GNU_SOURCE
#include "base/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

// The first part of a path that is there and no directory, though more follows; malloc'd, NULL where there is none.
static char *blocking_part(const char *path)
{
    char *copy = strdup(path);
    struct stat info;
    for (char *at = copy; at && (at = strchr(at + (*at == '/'), '/'));) {
        *at = '\0';
        if (*copy && stat(copy, &info) == 0 && !S_ISDIR(info.st_mode))
            return copy;
        *at = '/';
    }
    free(copy);
    return NULL;
}

mcf_status mcf_fail_errno(mcf_error *err, const char *what, const char *path)
{
    int code = errno;
    char text[128];
    if (code == ENOTDIR || code == EEXIST) {
        char *part = blocking_part(path);
        if (!part && code == EEXIST)
            part = strdup(path);
        if (part) {
            mcf_fail(err, MCF_ERR_IO, "%s: cannot %s: %s is a file where a directory is needed; choose another place",
                     path, what, part);
            free(part);
            return MCF_ERR_IO;
        }
    }
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
