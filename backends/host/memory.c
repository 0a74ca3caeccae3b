#include "backends/host/memory.h"

#include <stdlib.h>

mcf_status mcf_host_memory_create(mcf_device *device, uint64_t bytes, void **memory, mcf_error *err)
{
    (void)device;
    *memory = bytes < PTRDIFF_MAX - 64 ? aligned_alloc(64, (bytes / 64 + 1) * 64) : NULL;
    return *memory
               ? MCF_OK
               : mcf_fail(err, MCF_ERR_NOMEM, "no memory for %llu bytes beside a device", (unsigned long long)bytes);
}

void mcf_host_memory_destroy(mcf_device *device, void *memory)
{
    (void)device;
    free(memory);
}
