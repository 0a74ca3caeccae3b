// Files in the user's cache folder: a header with a checksum, then the bytes. Written beside and renamed, so that
// readers see a whole entry or none. What a process that was killed while it wrote left behind is removed an hour later.
#include "backends/opencl/opencl.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

enum { PATH_SIZE = 4096, ENTRY_MAX = 256 << 20 };

typedef struct {
    char magic[8];
    uint64_t bytes, checksum;
} header;

static const char magic[8] = "MCFOCL1\n";
static pthread_once_t swept = PTHREAD_ONCE_INIT;

static bool make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        bool made = mkdir(path, 0700) == 0 || errno == EEXIST;
        *slash = '/';
        if (!made)
            return false;
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

bool ocl_cache_folder(char *path, size_t size)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int written = cache && *cache == '/' ? snprintf(path, size, "%s/mcf", cache)
                  : home && *home == '/' ? snprintf(path, size, "%s/.cache/mcf", home)
                                         : -1;
    return written > 0 && (size_t)written < size && make_folders(path);
}

static bool entry_path(const char *name, char path[PATH_SIZE])
{
    if (!ocl_cache_folder(path, PATH_SIZE))
        return false;
    size_t used = strlen(path);
    return (size_t)snprintf(path + used, PATH_SIZE - used, "/%s", name) < PATH_SIZE - used;
}

static void *read_entry(FILE *file, size_t *bytes)
{
    header h;
    if (fread(&h, sizeof h, 1, file) != 1 || memcmp(h.magic, magic, sizeof magic) || !h.bytes || h.bytes > ENTRY_MAX)
        return NULL;
    char *data = malloc(h.bytes + 1);
    if (data && (fread(data, 1, h.bytes, file) != h.bytes || XXH64(data, h.bytes, 0) != h.checksum)) {
        free(data);
        return NULL;
    }
    if (data)
        data[h.bytes] = '\0';
    *bytes = h.bytes;
    return data;
}

void *ocl_cache_read(const char *name, size_t *bytes)
{
    char path[PATH_SIZE];
    if (!entry_path(name, path))
        return NULL;
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    void *data = read_entry(file, bytes);
    fclose(file);
    return data;
}

// Unfinished files of others (NAME.bin.XXXXXX) that nobody writes any more.
static void sweep(void)
{
    enum { OLD_SECONDS = 3600 };
    char folder[PATH_SIZE], path[PATH_SIZE + 256 + 2];
    DIR *entries = ocl_cache_folder(folder, sizeof folder) ? opendir(folder) : NULL;
    for (struct dirent *e; entries && (e = readdir(entries));) {
        const char *dot = strrchr(e->d_name, '.');
        struct stat s;
        if (strncmp(e->d_name, "opencl-", 7) || !dot || strlen(dot) != 7)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (stat(path, &s) == 0 && s.st_mtime + OLD_SECONDS < time(NULL))
            unlink(path);
    }
    if (entries)
        closedir(entries);
}

bool ocl_cache_write(const char *name, const void *data, size_t bytes)
{
    char path[PATH_SIZE], beside[PATH_SIZE + 16];
    if (!entry_path(name, path))
        return false;
    pthread_once(&swept, sweep);
    snprintf(beside, sizeof beside, "%s.XXXXXX", path);
    int descriptor = mkstemp(beside);
    if (descriptor < 0)
        return false;
    header h = {.bytes = bytes, .checksum = XXH64(data, bytes, 0)};
    memcpy(h.magic, magic, sizeof magic);
    FILE *file = fdopen(descriptor, "wb");
    bool good = file && fwrite(&h, sizeof h, 1, file) == 1 && fwrite(data, 1, bytes, file) == bytes;
    if (file)
        good = fclose(file) == 0 && good;
    else
        close(descriptor);
    if (good && rename(beside, path) == 0)
        return true;
    unlink(beside);
    return false;
}
