// host_create and host_destroy of backends whose downloads take any memory.
#ifndef MCF_BACKENDS_HOST_MEMORY_H
#define MCF_BACKENDS_HOST_MEMORY_H

#include "backends/backend.h"

mcf_status mcf_host_memory_create(mcf_device *device, uint64_t bytes, void **memory, mcf_error *err);
void mcf_host_memory_destroy(mcf_device *device, void *memory);

#endif
