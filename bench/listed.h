// An operation that a config's step does not have, at the largest shape that the check's list of cases has for it.
#ifndef MCF_BENCH_LISTED_H
#define MCF_BENCH_LISTED_H

#include "backends/backend.h"

// Fills the launch with shapes, types and buffers; float operands that have a choice are `type`. The inputs hold what the
// check draws for the case. MCF_ERR_USAGE where the list has none. Buffers made so far stay the caller's after a failure.
mcf_status mcf_bench_listed(const mcf_backend *backend, mcf_device *device, mcf_stream *stream, mcf_op op,
                            mcf_dtype type, mcf_launch *launch, mcf_error *err);

#endif
