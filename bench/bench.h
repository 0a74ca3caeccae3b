// Measurements: operations, training steps, the loader.
#ifndef MCF_BENCH_BENCH_H
#define MCF_BENCH_BENCH_H

#include <signal.h>

#include "bench/report.h"
#include "core/job.h"
#include "run/config/config.h"

typedef struct {
    mcf_job_options job;
    int steps;                         // bench step: measured steps, after `warmup`; 0: 5
    int warmup;                        // 0: 2
    int batch;                         // images of a device, without accumulation; 0: as the config says
    double seconds;                    // bench ops, data: time spent per measurement; 0: 0.5 and 5
    const char *op;                    // bench ops: only this operation (ops.def's name); NULL: all
    const char *card;                  // prediction: whose
    bool plan;                         // bench step: the plan of a micro-batch in place of measurements
    const volatile sig_atomic_t *stop; // NULL, or: non-zero asks to give up
} mcf_bench_options;

// Optimiser steps of the config on random images: images/s, FLOPs per image, FLOP/s, peak resident memory, arena, and
// time, FLOPs, bytes and rates by operation (from a further step, each operation waited for). On a card that predictions
// know, what they say of it. With options->plan: each node of a micro-batch with its operands, where they lie and how long
// they live; nothing is measured.
mcf_status mcf_bench_step(const mcf_config *config, const mcf_bench_options *options, mcf_bench_report *report,
                          mcf_error *err);
// What a step of the config would take on options->card (bench/estimate/cards.c), of which none is needed here: time by
// operation, images/s, hours for the paper's sets, memory, what would make it faster, other cards, every assumption.
// job.device_count: cards of one machine, 0: 8. MCF_ERR_USAGE with the known cards where there is no such card.
mcf_status mcf_bench_predict(const mcf_config *config, const mcf_bench_options *options, mcf_bench_report *report,
                             mcf_error *err);
// Each operation at the shapes it has in the config's step, which is recorded for that, and how often it comes there:
// GFLOP/s and GB/s. Those that the step does not have are measured at the largest shapes of the check's cases.
mcf_status mcf_bench_ops(const mcf_config *config, const mcf_bench_options *options, mcf_bench_report *report,
                         mcf_error *err);
// The loader on data.train: images/s and images/s per worker.
mcf_status mcf_bench_data(const mcf_config *config, const mcf_bench_options *options, mcf_bench_report *report,
                          mcf_error *err);
// {"fp32_gflops": ..., "bf16_gflops": ...}: best rate of the backend's own matrix product at ViT-B shapes with weights
// that do not change.
mcf_status mcf_bench_yardstick(const mcf_bench_options *options, mcf_bench_report *report, mcf_error *err);

// One of the functions above on the backends named in options->job.backend, "cpu,opencl": a column each.
typedef mcf_status (*mcf_bench_function)(const mcf_config *config, const mcf_bench_options *options,
                                         mcf_bench_report *report, mcf_error *err);
mcf_status mcf_bench_backends(mcf_bench_function function, const mcf_config *config, const mcf_bench_options *options,
                              mcf_bench_report *report, mcf_error *err);
// Lets the backend measure what suits the device best and keep it (in the user's cache folder). The table says what was
// measured and chosen. Fails with MCF_ERR_UNSUPPORTED where the backend has nothing to tune.
mcf_status mcf_bench_tune(const mcf_bench_options *options, mcf_bench_report *report, mcf_error *err);

#endif
