// The configuration of a job as a checked struct. The keys are rows of run/config/table.c.
#ifndef MCF_RUN_CONFIG_OPTIONS_H
#define MCF_RUN_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/image/resize.h"
#include "data/source.h"
#include "model/options.h"
#include "ops/types.h"

typedef enum { MCF_TASK_PRETRAIN, MCF_TASK_ALIGN, MCF_TASK_PARSE } mcf_task_kind;
typedef enum { MCF_CROP_CENTER, MCF_CROP_RANDOM } mcf_crop;
typedef enum { MCF_OPTIMIZER_ADAMW } mcf_optimizer_name;

enum { MCF_MAX_MILESTONES = 16 };

typedef struct {
    int count;
    char **items; // owned
} mcf_path_list;

typedef struct {
    int64_t count;
    bool epochs; // else optimiser steps
} mcf_period;

typedef struct {
    mcf_path_list train, validation;
    mcf_path_list image_keys; // extensions of a key's picture in shards; none: see data/source.h
    mcf_source_format format;
    double fraction; // of the training images, a seeded subset
    int workers;
    bool fast_decode;
    mcf_crop crop;
    double crop_min;
    mcf_filter filter; // bilinear or bicubic
    double crop_pct;   // of the centre crop: image_size over the resized picture's shorter side
    int crop_size;     // align, parse: side of a face's crop, and of parsing's labels
} mcf_data_options;

typedef struct {
    mcf_optimizer_name name;
    double base_lr;                            // per 256 images
    double lr;                                 // absolute; negative: not given, base_lr counts
    double rate_backbone, rate_fpn, rate_head; // absolute; negative: not given, the common rate counts
    double betas[2];
    double eps, weight_decay;
    double clip_norm; // global norm of the gradients; 0: off
} mcf_optimizer_options;

typedef struct {
    int epochs;
    int milestones[MCF_MAX_MILESTONES], milestone_count; // align, parse: epochs done when the rate falls, rising
    double factor;                                       // it is multiplied by this then
    double warmup_epochs;
    double min_lr; // absolute
} mcf_schedule_options;

typedef struct {
    mcf_task_kind task;
    uint64_t seed;
    mcf_precision precision;
    mcf_data_options data;
    mcf_model_options model;
    mcf_dense_options dense; // align, parse
    mcf_objective_options objective;
    mcf_optimizer_options optimizer;
    mcf_schedule_options schedule;
    struct {
        int per_device, accumulate;
    } batch;
    struct {
        mcf_period every;
        int keep;
    } checkpoint;
} mcf_config;

#endif
