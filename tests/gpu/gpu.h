// gpu-check: what ci/gpu-check runs on cards. The program is linked from the floors up to train/ without the libraries
// that a bare machine lacks; the cuda backend is its module as ever.
//
// A part prints what it does, a line each; its last line begins with "= " and goes to the page.
#ifndef MCF_TESTS_GPU_GPU_H
#define MCF_TESTS_GPU_GPU_H

#include <stdbool.h>

#include "backends/backend.h"
#include "run/config/config.h"

typedef struct {
    const mcf_backend *backend;
    int devices;         // that it has
    int device;          // operations: which
    int steps;           // training
    bool tiny;           // the least of everything: for the emulator, the sanitizers and tests
    const char *source;  // the repository
    const char *scratch; // where results may lie
} gpu_options;

typedef enum { GPU_PASSED, GPU_FAILED, GPU_ABSENT } gpu_verdict; // ABSENT: there is nothing here to try it on

// A failure to run at all is a status; what is found wrong is a verdict.
typedef mcf_status (*gpu_part)(const gpu_options *options, gpu_verdict *verdict, mcf_error *err);
mcf_status gpu_operations(const gpu_options *options, gpu_verdict *verdict, mcf_error *err);
mcf_status gpu_goldens(const gpu_options *options, gpu_verdict *verdict, mcf_error *err);
mcf_status gpu_graphs(const gpu_options *options, gpu_verdict *verdict, mcf_error *err);
mcf_status gpu_training(const gpu_options *options, gpu_verdict *verdict, mcf_error *err);
mcf_status gpu_cards(const gpu_options *options, gpu_verdict *verdict, mcf_error *err);
mcf_status gpu_speed(const gpu_options *options, gpu_verdict *verdict, mcf_error *err);

// --- goldens.c, shared by goldens and cards
typedef struct {
    int tensors, off;
    double worst; // error over its bound
    char worst_name[128];
} gpu_golden;
// One case of tests/golden on the first `devices` devices; set, precision: changes of its config, NULL: none. out: the
// file of results, which stays.
mcf_status gpu_golden_run(const gpu_options *options, const char *name, int devices, const char *precision,
                          const char *set, const char *out, gpu_golden *result, mcf_error *err);

// Whether the device computes in the type; bf16 by way of fp32 does not count.
bool gpu_computes(const gpu_options *options, mcf_dtype dtype);

#endif
