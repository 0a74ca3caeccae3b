// What runtime.c, program.c and optimizer.c share.
#ifndef MCF_CORE_RUNTIME_INTERNAL_H
#define MCF_CORE_RUNTIME_INTERNAL_H

#include "core/graph_internal.h"
#include "core/runtime.h"

typedef struct {
    char *key;
    mcf_program *program;
    void (*destroy)(mcf_program *program);
} mcf_cached_program;

struct mcf_runtime {
    const mcf_store *store;
    const mcf_backend *backend;
    mcf_device *device;
    bool owns_device;
    mcf_device_info info;
    mcf_member member;
    mcf_dtype low_precision;
    bool training;
    mcf_stream *stream;
    mcf_stream *reduce_stream;  // the all-reduce of gradients, beside the backward pass
    mcf_event *ready, *reduced; // order between the two
    mcf_buffer *master[MCF_ROLE_COUNT];
    mcf_buffer *low[MCF_ROLE_COUNT];
    mcf_buffer *gradient, *moment1, *moment2; // of TRAINED
    uint64_t version[MCF_ROLE_COUNT];         // of the contents of master and low
    uint64_t last_version;
    mcf_buffer *ranges, *rates, *scalars; // adamw's inputs
    int range_count;
    double rates_of[5]; // weight decay and rate factors now in `rates`
    mcf_buffer *kept;   // by mcf_program_keep
    int kept_capacity;
    mcf_buffer **arena; // pieces of arena_piece bytes, the last may be smaller
    int arena_count;
    uint64_t arena_piece; // 0: the arena is one buffer
    uint64_t arena_bytes;
    uint64_t arena_generation;
    struct mcf_collectives *collectives; // core/collectives.c; NULL until needed
    void (*collectives_free)(mcf_runtime *runtime);
    mcf_cached_program *cache;
    int cache_count, cache_capacity;
};

// The contents of a role changed.
void mcf_runtime_touch(mcf_runtime *runtime, mcf_role role);
mcf_status mcf_runtime_reserve_kept(mcf_runtime *runtime, int count, mcf_error *err);
mcf_status mcf_runtime_reserve_arena(mcf_runtime *runtime, uint64_t bytes, mcf_error *err);
// The buffer of an offset into the arena; *offset becomes one into the buffer.
mcf_buffer *mcf_runtime_arena(const mcf_runtime *runtime, uint64_t *offset);
uint64_t mcf_runtime_alignment(const mcf_runtime *runtime);

#endif
