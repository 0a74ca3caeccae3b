// The parameter store: every tensor that outlives a step, in a few flat arrays.
//
// A role is one flat fp32 array; trained ones have gradient and moment arrays of the same layout, and in bf16 or fp16
// runs a low-precision copy beside. Entries start at multiples of MCF_STORE_ALIGN elements. The table here is host
// data without memory of its own; core/runtime.h gives it buffers on a device.
#ifndef MCF_CORE_STORE_H
#define MCF_CORE_STORE_H

#include "ops/types.h"

typedef enum {
    MCF_ROLE_TRAINED,        // what the optimiser moves
    MCF_ROLE_TARGET,         // the averaged copy of the first entries of TRAINED, in the same order and layout
    MCF_ROLE_FROZEN,         // tables; of M_1 what is used in fp32
    MCF_ROLE_FROZEN_WEIGHTS, // M_1's matrices: in bf16 and fp16 runs only their low-precision copy exists
    MCF_ROLE_STATS,          // running statistics
    MCF_ROLE_TARGET_STATS,   // the averaged copy of the first entries of STATS, in the same order and layout
    MCF_ROLE_COUNT
} mcf_role;

enum { MCF_STORE_ALIGN = 16 }; // elements

typedef struct {
    char *name; // checkpoint name; owned
    mcf_shape shape;
    mcf_role role;
    int64_t offset;     // elements from the start of the role's array
    int64_t count;      // elements
    bool decay;         // weight decay applies: by convention tensors of more than one dimension
    bool frozen;        // of TRAINED: has no gradient and is not moved, but TARGET follows it
    int rate_group;     // index into the optimiser's rate factors (0: base rate)
    bool low_precision; // used in products: has a low-precision copy in bf16 and fp16 runs
} mcf_entry;

typedef struct {
    mcf_entry *entries;
    int count, capacity;
    int64_t role_count[MCF_ROLE_COUNT]; // elements in use, padding included
    int64_t averaged_count;             // elements of TRAINED that TARGET follows; 0: no target
    int64_t averaged_stats;             // elements of STATS that TARGET_STATS follows; 0: none
} mcf_store;

void mcf_store_init(mcf_store *store);
void mcf_store_free(mcf_store *store);
// Adds an entry at the end of its role; returns its index, or -1 (out of memory, or the name is taken).
int mcf_store_add(mcf_store *store, const char *name, mcf_shape shape, mcf_role role, bool low_precision);
int mcf_store_find(const mcf_store *store, const char *name); // -1: none
// Whether a role has entries with a low-precision copy.
bool mcf_store_has_low(const mcf_store *store, mcf_role role);

// A contiguous run of TRAINED reduced over devices at once. Buckets follow the order in which the backward pass
// finishes them: from the end of the array to its start.
typedef struct {
    int64_t begin, end; // elements
} mcf_bucket;
// Writes at most `capacity` buckets of about `target_elements`; returns how many there are. Borders lie between entries.
int mcf_store_buckets(const mcf_store *store, int64_t target_elements, mcf_bucket *buckets, int capacity);

#endif
