// Host memory of the backend: buffers and scratch.
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "backends/cpu/cpu.h"

enum { ALIGNMENT = 64, LARGE_PAGE = 1 << 21 };

// From the size of a large page on, pages come from the system: zero, untouched until used, and aligned so that the
// system may back them with large ones (products over hundreds of megabytes live on few translations).
void *mcf_cpu_allocate(size_t bytes)
{
    if (bytes > PTRDIFF_MAX - 2 * (size_t)LARGE_PAGE)
        return NULL;
    if (bytes < LARGE_PAGE) {
        size_t rounded = (bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT;
        void *memory = aligned_alloc(ALIGNMENT, rounded);
        if (memory)
            memset(memory, 0, rounded);
        return memory;
    }
    size_t room = bytes + LARGE_PAGE;
    unsigned char *mapped = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED)
        return NULL;
    // What lies outside the aligned part goes back.
    size_t page = 4096, before = (LARGE_PAGE - (uintptr_t)mapped % LARGE_PAGE) % LARGE_PAGE;
    size_t used = (bytes + page - 1) / page * page;
    if (before)
        munmap(mapped, before);
    if (room > before + used)
        munmap(mapped + before + used, (room - before - used) / page * page);
    madvise(mapped + before, used, MADV_HUGEPAGE);
    return mapped + before;
}

mcf_status mcf_cpu_check_room(size_t bytes, mcf_error *err)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return MCF_OK;
    void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return mcf_fail(
            err, MCF_ERR_NOMEM,
            "out of memory: %zu MB more are needed than the limit of the address space (ulimit -v, %llu MB) "
            "leaves; raise it, or take a smaller batch or fewer --threads",
            bytes >> 20, (unsigned long long)limit.rlim_cur >> 20);
    munmap(room, bytes);
    return MCF_OK;
}

void mcf_cpu_release(void *memory, size_t bytes)
{
    if (!memory)
        return;
    if (bytes < LARGE_PAGE)
        free(memory);
    else
        munmap(memory, (bytes + 4095) / 4096 * 4096);
}

mcf_status mcf_cpu_scratch(mcf_device *device, size_t bytes, void **memory, mcf_error *err)
{
    if (bytes > device->scratch_bytes) {
        mcf_cpu_release(device->scratch, device->scratch_bytes);
        device->scratch_bytes = 0;
        device->scratch = mcf_cpu_allocate(bytes);
        if (!device->scratch)
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %zu bytes of scratch", bytes);
        device->scratch_bytes = bytes;
    }
    *memory = device->scratch;
    return MCF_OK;
}
