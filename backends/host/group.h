// Collectives among threads of one process on memory of the host: the group of both CPU backends.
//
// Every member calls the same collective in the same order, each from its own thread. A collective returns
// when all members have finished it. Sums are formed in double, in the order of ranks, and rounded once; so
// every member gets the same bits. A member that stays away longer than the timeout, a member that calls
// something else and mcf_host_group_abort break the group: the collective fails on all members, and so does
// every later one.
#ifndef MCF_BACKENDS_HOST_GROUP_H
#define MCF_BACKENDS_HOST_GROUP_H

#include "ops/node.h"

typedef struct mcf_host_group mcf_host_group;

// devices[rank] is the device index that messages name; copied.
mcf_status mcf_host_group_create(const int *devices, int count, double timeout_seconds, mcf_host_group **group,
                                 mcf_error *err);
// After the last collective has returned on every member. NULL is ignored.
void mcf_host_group_destroy(mcf_host_group *group);
int mcf_host_group_size(const mcf_host_group *group);
// From any thread; the reason appears in the errors of all members.
void mcf_host_group_abort(mcf_host_group *group, const char *reason);

// MCF_OK, or the error with which every collective fails since the group broke.
mcf_status mcf_host_group_check(mcf_host_group *group, mcf_error *err);

// `to` and `from` hold count elements; they are the same place or do not overlap.
mcf_status mcf_host_all_reduce(mcf_host_group *group, int rank, void *to, const void *from, uint64_t count,
                               mcf_dtype dtype, mcf_reduce reduce, mcf_error *err);
// `from` holds count elements, `to` count * members; they may overlap.
mcf_status mcf_host_all_gather(mcf_host_group *group, int rank, void *to, const void *from, uint64_t count,
                               mcf_dtype dtype, mcf_error *err);
// `from` holds count * members elements, `to` count; they may overlap.
mcf_status mcf_host_reduce_scatter(mcf_host_group *group, int rank, void *to, const void *from, uint64_t count,
                                   mcf_dtype dtype, mcf_reduce reduce, mcf_error *err);
// `from` is read on the root only; there it is `to` or does not overlap it.
mcf_status mcf_host_broadcast(mcf_host_group *group, int rank, int root, void *to, const void *from, uint64_t count,
                              mcf_dtype dtype, mcf_error *err);
mcf_status mcf_host_barrier(mcf_host_group *group, int rank, mcf_error *err);

#endif
