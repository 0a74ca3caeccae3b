// Collectives among all devices of a job: those of one process by the backend's group, those of several machines by
// the cluster too.
//
// Over machines a sum is made in three steps: the group adds what its devices have; device i of every machine takes
// slice i of that to the host, and the cluster adds those over the ranks; every device brings its slice back, and the
// group hands the slices to all. So each device's own way to the host carries its share, and the order of all sums is
// fixed.
#ifndef MCF_CORE_COLLECTIVES_H
#define MCF_CORE_COLLECTIVES_H

#include "core/runtime_internal.h"

// A collective node, on the runtime's stream.
mcf_status mcf_collective_run(mcf_runtime *runtime, const mcf_launch *launch, mcf_error *err);

// The mean over the job of elements [begin, end) of the gradients, on the stream beside, in two halves: `begin` needs
// the gradients to be enqueued on the runtime's stream, `end` the results. `index`: of the bucket, the same on all
// devices. The cluster works in between.
mcf_status mcf_reduce_begin(mcf_runtime *runtime, int index, int64_t begin, int64_t end, mcf_error *err);
mcf_status mcf_reduce_end(mcf_runtime *runtime, int index, int64_t begin, int64_t end, mcf_error *err);

#endif
