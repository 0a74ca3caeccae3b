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
// In the order of the words of crop.from and augment.draw.
typedef enum { MCF_FROM_AUTO, MCF_FROM_BOX, MCF_FROM_POINTS, MCF_FROM_IMAGE } mcf_crop_from;
typedef enum { MCF_DRAW_AUTO, MCF_DRAW_UNIFORM, MCF_DRAW_NORMAL } mcf_draw_choice;
typedef enum { MCF_OPTIMIZER_ADAMW } mcf_optimizer_name;

enum { MCF_MAX_MILESTONES = 16, MCF_MAX_MIRRORED = 64 };

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
    int layout;        // align, parse: 0 auto, else 1 + a row of mcf_face_layouts
    char train_split[MCF_MAX_PATH], validation_split[MCF_MAX_PATH];
} mcf_data_options;

// align, parse. Negative numbers: not given, the layout's or the task's (run/config/faces.h).
typedef struct {
    mcf_crop_from from;
    double scale, warp;
} mcf_crop_keys;

typedef struct {
    mcf_draw_choice draw;
    double scale, rotation, shift;
    double occlusion, occlusion_range[2], occlusion_aspect;
    double noise, noise_weight;
    double grey;
    double gamma, gamma_power;
    double blur;
    double flip;
    int mirrored[MCF_MAX_MIRRORED], mirrored_count;
} mcf_augment_keys;

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
    mcf_path_list files; // read for it: the config's own, and what it includes
    mcf_task_kind task;
    uint64_t seed;
    mcf_precision precision;
    mcf_data_options data;
    mcf_crop_keys crop;
    mcf_augment_keys augment;
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
