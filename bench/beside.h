// What was predicted for a step, beside what was measured.
#ifndef MCF_BENCH_BESIDE_H
#define MCF_BENCH_BESIDE_H

#include "bench/report.h"
#include "run/config/config.h"

// A measured step, for mcf_bench_beside.
typedef struct {
    const char *device; // name, as the driver says
    int64_t batch;      // as in mcf_bench_options
    int world;
    double images;         // a second, of all devices
    const double *seconds; // of a step by operation
} mcf_bench_beside_step;
// Adds what is predicted for it, in all and by operation, where the device is a known card (bench/estimate/cards.h);
// else nothing.
mcf_status mcf_bench_beside(const mcf_config *config, const mcf_bench_beside_step *step, mcf_text *table, json_t *root,
                            mcf_error *err);

#endif
