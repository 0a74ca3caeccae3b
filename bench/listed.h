// Operations on a device alone: what their inputs hold comes from the check's list of cases, so that an operation that is
// in the list can be measured without being told about here.
#ifndef MCF_BENCH_LISTED_H
#define MCF_BENCH_LISTED_H

#include "backends/check/cases.h"

// The largest case of the list in which every output is wanted; float operands that have a choice are `type`,
// or fp32 where the list has no others. MCF_ERR_USAGE where it has none.
mcf_status mcf_bench_listed(mcf_op op, mcf_dtype type, mcf_launch *launch, mcf_error *err);

// Gives a launch that has shapes, strides and types buffers of the device, and the inputs the kind of values that the
// list has for them. Operands without a buffer are absent if `recorded`, else all of the shape rule are there. Buffers made
// so far stay after a failure: mcf_bench_release.
mcf_status mcf_bench_give(const mcf_backend *backend, mcf_device *device, mcf_stream *stream, mcf_launch *launch,
                          bool recorded, mcf_error *err);
void mcf_bench_release(const mcf_backend *backend, mcf_launch *launch);

#endif
