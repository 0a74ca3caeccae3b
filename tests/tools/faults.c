// Preloaded by ci/faults: the Nth call of some functions of the C library fails, once or from then on.
//   MCF_FAULT_CALLS   which: "memory" (malloc, calloc, realloc, posix_memalign, aligned_alloc, memalign), or a list of
//                     open,read,pread,write,pwrite,fsync,rename,mkdir,unlink,ftruncate,fwrite,fflush,fclose,thread,dlopen
//   MCF_FAULT_AT      N, from 1; 0 or absent: none fails
//   MCF_FAULT_ALWAYS  set: all later ones fail too
//   MCF_FAULT_ERRNO   errno of the failure (default EIO; memory ENOMEM; short: half the bytes are done)
//   MCF_FAULT_UNDER   only calls on files whose path has this in it
//   MCF_FAULT_FREE    statvfs tells that many free bytes
//   MCF_FAULT_COUNT   a file that receives how many calls there were
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

enum { SHORT = -1 };
static const char *calls, *under;
static long fail_at;
static int always, code, on;
static atomic_long count;

__attribute__((constructor)) static void begin(void)
{
    const char *at = getenv("MCF_FAULT_AT"), *number = getenv("MCF_FAULT_ERRNO");
    calls = getenv("MCF_FAULT_CALLS");
    under = getenv("MCF_FAULT_UNDER");
    always = getenv("MCF_FAULT_ALWAYS") != NULL;
    fail_at = at ? atol(at) : 0;
    code = !number ? 0 : strcmp(number, "short") == 0 ? SHORT : atoi(number);
    on = calls != NULL;
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("MCF_FAULT_COUNT");
    char text[32];
    const int length = snprintf(text, sizeof text, "%ld\n", atomic_load(&count));
    on = 0;
    if (!path)
        return;
    const int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd >= 0 && syscall(SYS_write, fd, text, length) == length)
        syscall(SYS_close, fd);
}

// Whether `name` is a member of the list of calls.
static int listed(const char *name)
{
    const size_t length = strlen(name);
    for (const char *at = calls; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == 0))
            return 1;
    return 0;
}

static int path_counts(const char *path)
{
    return !under || (path && strstr(path, under));
}

static int fd_counts(int fd)
{
    char link[64], path[4096];
    if (!under)
        return 1;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return strstr(path, under) != NULL;
}

// Counts this call; 1 where it fails, with errno set.
static int fails(int usual)
{
    const long here = atomic_fetch_add(&count, 1) + 1;
    if (!fail_at || here < fail_at || (here > fail_at && !always))
        return 0;
    errno = code > 0 ? code : usual;
    return 1;
}

#define MEMORY_FAILS() (on && calls && calls[0] == 'm' && calls[1] == 'e' && fails(ENOMEM))

void *malloc(size_t size)
{
    return MEMORY_FAILS() ? NULL : __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
    return MEMORY_FAILS() ? NULL : __libc_calloc(number, size);
}

void *realloc(void *old, size_t size)
{
    return size && MEMORY_FAILS() ? NULL : __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size)
{
    return MEMORY_FAILS() ? NULL : __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return MEMORY_FAILS() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    if (MEMORY_FAILS())
        return ENOMEM;
    *out = __libc_memalign(alignment, size);
    return *out ? 0 : ENOMEM;
}

static int open_mode(const char *path, int flags, int mode)
{
    if (on && listed("open") && path_counts(path) && fails(EIO))
        return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        va_list args;                                                                                                  \
        va_start(args, flags);                                                                                         \
        const int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, int) : 0;                                        \
        va_end(args);                                                                                                  \
        return open_mode(path, flags, mode);                                                                           \
    }
OPEN(open)
OPEN(open64)

// A transfer that fails, or does half.
#define TRANSFER(name, NUMBER, pointer, ...)                                                                           \
    if (on && listed(#name) && fd_counts(fd) && fails(EIO)) {                                                          \
        if (code != SHORT || size < 2)                                                                                 \
            return -1;                                                                                                 \
        size /= 2;                                                                                                     \
    }                                                                                                                  \
    return syscall(NUMBER, fd, pointer, size, ##__VA_ARGS__)

ssize_t read(int fd, void *bytes, size_t size)
{
    TRANSFER(read, SYS_read, bytes);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    TRANSFER(write, SYS_write, bytes);
}

ssize_t pread(int fd, void *bytes, size_t size, off_t offset)
{
    TRANSFER(pread, SYS_pread64, bytes, offset);
}

ssize_t pread64(int fd, void *bytes, size_t size, off_t offset)
{
    TRANSFER(pread, SYS_pread64, bytes, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    TRANSFER(pwrite, SYS_pwrite64, bytes, offset);
}

int fsync(int fd)
{
    return on && listed("fsync") && fd_counts(fd) && fails(EIO) ? -1 : (int)syscall(SYS_fsync, fd);
}

int ftruncate(int fd, off_t size)
{
    return on && listed("ftruncate") && fd_counts(fd) && fails(EIO) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int rename(const char *from, const char *to)
{
    if (on && listed("rename") && path_counts(to) && fails(EIO))
        return -1;
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int mkdir(const char *path, mode_t mode)
{
    return on && listed("mkdir") && path_counts(path) && fails(EIO) ? -1
                                                                    : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int unlink(const char *path)
{
    return on && listed("unlink") && path_counts(path) && fails(EIO) ? -1
                                                                     : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

size_t fwrite(const void *bytes, size_t size, size_t number, FILE *file)
{
    if (on && listed("fwrite") && fails(EIO))
        return 0;
    return NEXT(fwrite)(bytes, size, number, file);
}

int fflush(FILE *file)
{
    return on && listed("fflush") && fails(EIO) ? EOF : NEXT(fflush)(file);
}

int fclose(FILE *file)
{
    const int failed = on && listed("fclose") && fails(EIO), result = NEXT(fclose)(file);
    if (failed)
        errno = code > 0 ? code : EIO;
    return failed ? EOF : result;
}

int statvfs(const char *path, struct statvfs *disk)
{
    const char *bytes = getenv("MCF_FAULT_FREE");
    const int result = NEXT(statvfs)(path, disk);
    if (bytes)
        disk->f_bavail = disk->f_bfree = (fsblkcnt_t)strtoull(bytes, NULL, 10) / disk->f_frsize;
    return result;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
    if (on && listed("thread") && fails(EAGAIN))
        return EAGAIN;
    return NEXT(pthread_create)(thread, attributes, run, argument);
}

void *dlopen(const char *path, int flags)
{
    return on && listed("dlopen") && fails(ENOENT) ? NULL : NEXT(dlopen)(path, flags);
}
