// Private to group.c and group_reduce.c: a group, and a collective that one member enqueues for all.
#ifndef MCF_BACKENDS_CUDA_GROUP_H
#define MCF_BACKENDS_CUDA_GROUP_H

#include "backends/cuda/cuda.h"

// What a member's stream has done: 0 made its operands ready, 1 summed its slice of its island, 2 summed its part over
// islands, 3 has its whole slice, 4 has read everything.
enum { READY, ISLAND, PART, SLICE, DONE, PHASES, RING = 64 };

// Members by bits, for each member: who shares its island or is next to it in the chain, and who has its number in
// another island. A sum reads from them alone.
typedef struct {
    uint32_t island[CUDA_MEMBERS], across[CUDA_MEMBERS];
} cuda_neighbours;

struct mcf_group {
    mcf_host_group *host;
    cuda_watch watch;
    int count;
    mcf_device *devices[CUDA_MEMBERS];
    cuda_topology topology;
    cuda_plan plan, direct; // direct: each reads from each, peer or not
    cuda_neighbours of_plan, of_direct;
    // Of the last collectives, so that a card that hangs is found though others were enqueued behind.
    cudaEvent_t events[RING][CUDA_MEMBERS][PHASES];
    _Atomic uint64_t number;         // of collectives so far
    cudaStream_t back[CUDA_MEMBERS]; // of a chain: sums come back beside those that go on
    cudaEvent_t sums[CUDA_MEMBERS][CUDA_CHAIN_PIECES], results[CUDA_MEMBERS][CUDA_CHAIN_PIECES];
    // Set by the member that enqueues, read by all after they have met.
    int failed; // member at which it failed; -1: none
    mcf_error failure;
};

// What members tell each other.
typedef struct {
    mcf_stream *stream;
    void *from, *to;
    uint64_t count;
    int kind, dtype, detail;
} cuda_notice;
enum { ALL_REDUCE, ALL_GATHER, REDUCE_SCATTER, BROADCAST };

// A collective of all members.
typedef struct {
    mcf_group *group;
    cuda_notice all[CUDA_MEMBERS];
    size_t size; // of an element
    int at;      // the member for which something is being enqueued
} cuda_work;

// All streams have come to `phase`; what is enqueued from here on by a member waits for those that `of` has for it, or for
// all where that is NULL.
mcf_status cuda_pass(cuda_work *work, int phase, const uint32_t *of, mcf_error *err);
// From `owner`'s memory to `member`'s, on the latter's stream.
mcf_status cuda_fetch(cuda_work *work, int member, void *to, const void *from, int owner, uint64_t bytes,
                      mcf_error *err);
// From several owners at once, where the member sees them; else one after the other.
mcf_status cuda_fetch_all(cuda_work *work, int member, const cuda_parts *parts, const int *owners, int count,
                          mcf_error *err);

typedef struct {
    uint64_t begin, end; // elements
} cuda_range;

// The operands of a sum: whose memory, and where it begins.
typedef struct {
    int count, owner[CUDA_MEMBERS];
    const char *from[CUDA_MEMBERS];
} cuda_operands;

// Elements of all operands, summed by `member` into out[0, end - begin) and divided. Operands of cards that it does not
// see are copied first.
mcf_status cuda_sum(cuda_work *work, int member, const cuda_operands *of, char *out, cuda_range range, int divide,
                    mcf_error *err);
// The all-reduce by the group's plan.
mcf_status cuda_reduce_all(cuda_work *work, mcf_error *err);

#endif
