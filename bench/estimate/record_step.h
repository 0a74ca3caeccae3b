// What one device is asked to do in an optimiser step, without a device.
#ifndef MCF_BENCH_ESTIMATE_RECORD_STEP_H
#define MCF_BENCH_ESTIMATE_RECORD_STEP_H

#include "core/runtime.h"
#include "run/config/config.h"
#include "backends/record/record.h"

enum { MCF_PHASES = 4 };

// Micro-batches that do the same are recorded once.
typedef struct {
    int first, end; // calls
    int times;      // in a step
} mcf_phase;

typedef struct {
    uint64_t masters;         // fp32: trained, target, frozen and statistics
    uint64_t low;             // copies in 16 bits, M_1's matrices among them
    uint64_t gradients;       // fp32
    uint64_t moments;         // fp32, two
    uint64_t arena, unshared; // values of a step by the plan; what they would take without reuse
    uint64_t rest;            // the optimiser's tables, kept losses
    uint64_t all;             // buffers that the runtime has: the sum of these
} mcf_step_memory;

typedef struct {
    mcf_recording recording;
    mcf_phase phase[MCF_PHASES]; // the first micro-batch, those between, the last one, the update
    mcf_step_memory memory;
    int64_t batch, trained; // images of a micro-batch; parameters with gradients
    int accumulate, world, nodes;
    double flops, bytes; // of a micro-batch by the table of operations
} mcf_recorded_step;

// batch 0: the config's, else that many images without accumulation, as in mcf_bench_options. The config's precision
// and recompute count.
mcf_status mcf_record_step(const mcf_config *config, int64_t batch, int world, mcf_recorded_step *record,
                           mcf_error *err);
void mcf_record_free(mcf_recorded_step *record);

#endif
