// The configuration of a job: YAML in, a checked struct out. The keys are rows of run/config/table.c.
#ifndef MCF_RUN_CONFIG_CONFIG_H
#define MCF_RUN_CONFIG_CONFIG_H

<<<<<<< HEAD
#include "run/config/options.h"
    == == ==
    =
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/image/resize.h"
#include "model/options.h"
#include "ops/types.h"

        typedef enum {
            MCF_TASK_PRETRAIN,
            MCF_TASK_ALIGN,
            MCF_TASK_PARSE
        } mcf_task_kind;
typedef enum { MCF_FORMAT_AUTO, MCF_FORMAT_FOLDER, MCF_FORMAT_SHARDS, MCF_FORMAT_LIST } mcf_data_format;
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
    mcf_data_format format;
    double fraction; // of the training images, a seeded subset
    int workers;
    bool fast_decode;
    mcf_crop crop;
    double crop_min;
    mcf_filter filter; // bilinear or bicubic
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
>>>>>>> a3758ce (Config keys of labelled faces: layout, splits, crop, every strength of the augmentation)

// Reads `path` with all it includes, then applies `sets` ("key.path=value", the last word), checks every key,
// type, range and relation. On success the caller frees with mcf_config_free; on failure nothing is held.
// Wrong content is MCF_ERR_USAGE with file and line.
mcf_status mcf_config_load(mcf_config *config, const char *path, const char *const *sets, size_t set_count,
                           mcf_error *err);
// The same from memory, where `include` is refused. `label` stands for the path in messages.
mcf_status mcf_config_parse(mcf_config *config, const char *text, size_t size, const char *label,
                            const char *const *sets, size_t set_count, mcf_error *err);
// The default value of every key (task pretrain, method mcf).
mcf_status mcf_config_defaults(mcf_config *config, mcf_error *err);
void mcf_config_free(mcf_config *config);

// The resolved configuration as YAML (malloc'd): every key the task uses, exact numbers, no includes.
// Reading it back gives the same struct.
mcf_status mcf_config_dump(const mcf_config *config, char **text, mcf_error *err);
// docs/config.md (malloc'd), from the table of keys.
mcf_status mcf_config_document(char **markdown, mcf_error *err);

// MCF_ERR_USAGE where the config's task is not pretrain.
mcf_status mcf_config_check_task(const mcf_config *config, mcf_error *err);
mcf_dtype mcf_precision_dtype(mcf_precision precision);

// Images of one optimiser step.
int64_t mcf_config_effective_batch(const mcf_config *config, int devices);
// The highest learning rate: optimizer.lr, or base_lr * effective batch / 256.
double mcf_config_peak_rate(const mcf_config *config, int devices);
// Rate factors by mcf_entry.rate_group, to the peak: optimizer.rates as given, 1 elsewhere.
void mcf_config_rate_factors(const mcf_config *config, int devices, double factor[MCF_RATE_GROUPS]);

#endif
