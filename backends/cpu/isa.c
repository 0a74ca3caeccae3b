// Which kernels this processor can run.
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "backends/cpu/kernels.h"

static bool runs_avx2(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

static bool runs_avx512(void)
{
#if defined(__x86_64__)
    return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
    return false;
#endif
}

static bool runs_avx512_bf16(void)
{
#if defined(__x86_64__)
    unsigned a, b, c, d;
    return runs_avx512() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1);
#else
    return false;
#endif
}

// The matrix unit's registers have to be saved by the system, and a process has to ask for them.
static bool runs_amx(void)
{
#if defined(__x86_64__) && defined(__linux__)
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; // arch_prctl's ARCH_REQ_XCOMP_PERM and its feature
    unsigned a, b, c, d;
    if (!runs_avx512_bf16() || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> 22 & 1) || !(d >> 24 & 1))
        return false;
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return false;
#endif
}

const mcf_cpu_kernels *mcf_cpu_choose_kernels(void)
{
    const char *wish = getenv("MCF_CPU_ISA");
    bool any = !wish || !*wish;
#if defined(__x86_64__)
    if ((any || !strcmp(wish, "amx")) && runs_amx())
        return &mcf_cpu_kernels_amx;
    if ((any || !strcmp(wish, "avx512_bf16")) && runs_avx512_bf16())
        return &mcf_cpu_kernels_avx512_bf16;
    if ((any || !strcmp(wish, "avx512")) && runs_avx512())
        return &mcf_cpu_kernels_avx512;
    if ((any || !strcmp(wish, "avx2")) && runs_avx2())
        return &mcf_cpu_kernels_avx2;
#endif
    return any || !strcmp(wish, "portable") ? &mcf_cpu_kernels_portable : NULL;
}
