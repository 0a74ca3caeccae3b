// The check of memory functions and of collectives.
#ifndef MCF_CHECK_GROUP_H
#define MCF_CHECK_GROUP_H

#include "backends/backend.h"

// Memory functions, and collectives over 1 to `members` devices; a result each through `report`.
typedef struct {
    const mcf_backend *backend;
    int device_index;
    uint64_t seed;
    int members; // most devices in a group; 0: 4
    bool tiny;
    uint32_t dtypes;
    void (*report)(void *context, const char *op, const char *text, double error, double tolerance,
                   const char *message);
    void *context;
} mcf_check_job;
mcf_status mcf_check_memory(const mcf_check_job *job, mcf_device *device, mcf_error *err);
mcf_status mcf_check_group(const mcf_check_job *job, mcf_op only, mcf_error *err);

#endif
