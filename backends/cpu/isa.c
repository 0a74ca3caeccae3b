// Which kernels this processor can run.
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
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

const mcf_cpu_kernels *mcf_cpu_choose_kernels(void)
{
    const char *wish = getenv("MCF_CPU_ISA");
    bool any = !wish || !*wish;
#if defined(__x86_64__)
    if ((any || !strcmp(wish, "avx512_bf16")) && runs_avx512_bf16())
        return &mcf_cpu_kernels_avx512_bf16;
    if ((any || !strcmp(wish, "avx512")) && runs_avx512())
        return &mcf_cpu_kernels_avx512;
    if ((any || !strcmp(wish, "avx2")) && runs_avx2())
        return &mcf_cpu_kernels_avx2;
#endif
    return any || !strcmp(wish, "portable") ? &mcf_cpu_kernels_portable : NULL;
}
