// Preloaded by tests/backends/opencl.sh: the process dies while it writes an entry of the cache of kernels. The file has half of
// its bytes by then and is not renamed yet.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int rename(const char *from, const char *to)
{
    struct stat s;
    if (strstr(to, "/mcf/opencl-") && stat(from, &s) == 0 && truncate(from, s.st_size / 2) == 0)
        kill(getpid(), SIGKILL);
    return (int)syscall(SYS_renameat2, -100 /* the current folder */, from, -100, to, 0);
}
