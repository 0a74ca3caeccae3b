// `mcf step`: optimiser steps on given tensors with every result written out; spec: contract.md, "mcf step".
#ifndef MCF_TRAIN_TRACE_H
#define MCF_TRAIN_TRACE_H

#include "run/config/config.h"
#include "core/job.h"

typedef struct {
    mcf_job_options job; // with several devices the batch is split evenly among them, in order
    const char *init;    // parameters under their checkpoint names, M_1 included
    const char *batch;   // what the task reads, images normalised: image, image1, ids_shuffle, ...
    const char *out;     // receives loss*, out.*, grad.*, param.*, ema.*, eval.* (safetensors, fp32)
    int steps;           // 0: 1
} mcf_step_options;

typedef struct {
    double loss;       // total, of the last step
    double loss_scale; // at which the last step counted; 1 unless fp16
    int64_t batch;     // images
} mcf_step_result;

// result may be NULL. Errors: missing or extra names and wrong shapes are listed (MCF_ERR_SHAPE, MCF_ERR_FORMAT);
// a non-finite loss is MCF_ERR_NUMERIC and writes nothing.
mcf_status mcf_step(const mcf_config *config, const mcf_step_options *options, mcf_step_result *result, mcf_error *err);

#endif
