// What a network and an objective are made of; train/config.c fills these from YAML.
#ifndef MCF_MODEL_OPTIONS_H
#define MCF_MODEL_OPTIONS_H

#include <stdbool.h>

enum { MCF_MAX_TEACHER_BLOCKS = 32, MCF_MAX_PATH = 1024 };

typedef struct {
    int dim, depth, heads;
    double mlp_ratio;
} mcf_vit_options;

typedef enum { MCF_TOKENS_CLS, MCF_TOKENS_PATCH } mcf_contrast_tokens;
typedef enum { MCF_EMA_MICRO_BATCH, MCF_EMA_STEP } mcf_ema_update;
typedef enum { MCF_RECOMPUTE_NONE, MCF_RECOMPUTE_BLOCKS } mcf_recompute;
typedef enum { MCF_PRECISION_FP32, MCF_PRECISION_FP16, MCF_PRECISION_BF16 } mcf_precision;

typedef struct {
    int image_size, patch_size;
    char init[MCF_MAX_PATH]; // "" : none
    mcf_vit_options encoder;
    mcf_vit_options decoder; // M_0
    mcf_vit_options teacher; // M_1
    int teacher_image_size; // 0: image_size
    int teacher_blocks[MCF_MAX_TEACHER_BLOCKS], teacher_block_count; // counted from 1
    char teacher_checkpoint[MCF_MAX_PATH]; // "": none given; "random"
    int projector_hidden, projector_out;
    bool sync_batchnorm;
    int batchnorm_groups; // statistics over this many equal groups of a device's batch; 1: the whole batch
    mcf_recompute recompute;
} mcf_model_options;

// Weights of 0 switch a term off: it is not built.
typedef struct {
    double mask_ratio;
    double feature_weight;
    double pixel_weight;
    bool per_patch_norm;
    double contrastive_weight;
    mcf_contrast_tokens tokens;
    double temperature;
    double momentum;
    mcf_ema_update momentum_update;
} mcf_objective_options;

#endif
