// What a network and an objective are made of; run/config/config.c fills these from YAML.
//
// Shape letters in model/ (docs/method.md, "Shapes"): B images of a micro-batch on one device; S side of the image and
// P of a patch, in pixels; L = (S/P)^2 patches of an image, n of them visible; D width of a network (D' of M_1); N tokens
// of a block, 1 + n or 1 + L with cls, or points of a face; H heads of attention of width d, H d = D; K classes; [B,H,W,C]
// images and maps of features, channels last. M_0 is the decoder, M_1 the frozen network that judges it, E_b the online
// encoder, E_o the target encoder.
#ifndef MCF_MODEL_OPTIONS_H
#define MCF_MODEL_OPTIONS_H

#include <stdbool.h>

enum { MCF_MAX_TEACHER_BLOCKS = 32, MCF_MAX_PATH = 1024 };

typedef enum { MCF_MLP_GELU, MCF_MLP_QUICK_GELU } mcf_mlp_activation; // quick: x sigmoid(1.702 x)
typedef enum { MCF_PATCH_BIAS, MCF_NO_PATCH_BIAS } mcf_patch_bias;

// Zeros in the last four are the transformer of method.md; CLIP's and FaRL's encoders differ in them.
typedef struct {
    int dim, depth, heads;
    double mlp_ratio;
    mcf_mlp_activation activation;
    bool pre_norm; // a LayerNorm of the tokens before the first block: timm's norm_pre
    mcf_patch_bias patch_bias;
    double norm_eps; // of every LayerNorm; 0: 1e-6
} mcf_vit_options;

typedef enum { MCF_METHOD_MCF, MCF_METHOD_MOCO_V3 } mcf_method;
typedef enum { MCF_TOKENS_CLS, MCF_TOKENS_PATCH } mcf_contrast_tokens;
typedef enum { MCF_EMA_MICRO_BATCH, MCF_EMA_STEP } mcf_ema_update;
typedef enum { MCF_RECOMPUTE_NONE, MCF_RECOMPUTE_BLOCKS } mcf_recompute;
typedef enum { MCF_PRECISION_FP32, MCF_PRECISION_FP16, MCF_PRECISION_BF16 } mcf_precision;

typedef struct {
    int image_size, patch_size;
    double mean[3], std[3];  // of images in [0, 1]; zeros: ImageNet's
    char init[MCF_MAX_PATH]; // "" : none
    bool allow_nonfinite;    // of weights that are read
    mcf_vit_options encoder;
    mcf_vit_options decoder;                                         // M_0
    mcf_vit_options teacher;                                         // M_1
    int teacher_image_size;                                          // 0: image_size
    int teacher_blocks[MCF_MAX_TEACHER_BLOCKS], teacher_block_count; // counted from 1
    char teacher_checkpoint[MCF_MAX_PATH];                           // "": none given; "random"
    int projector_hidden, projector_out;
    bool sync_batchnorm;
    int batchnorm_groups; // statistics over this many equal groups of a device's batch; 1: the whole batch
    mcf_recompute recompute;
} mcf_model_options;

// Which rate of the optimiser an entry of the store has: mcf_entry.rate_group.
enum { MCF_RATE_COMMON, MCF_RATE_BACKBONE, MCF_RATE_FPN, MCF_RATE_HEAD, MCF_RATE_GROUPS };

enum { MCF_MAX_FEATURES = 4, MCF_MAX_POOL_SCALES = 8 };

typedef struct {
    int channels;
    int pool_scales[MCF_MAX_POOL_SCALES], pool_scale_count;
    double dropout;
    int outputs; // points or classes
} mcf_head_options;

typedef enum { MCF_DENSE_ALIGN, MCF_DENSE_PARSE } mcf_dense_task;

// Alignment and parsing. Weights of 0 switch a term off.
typedef struct {
    mcf_dense_task task;
    int features[MCF_MAX_FEATURES], feature_count; // blocks, counted from 1
    mcf_head_options head;
    bool freeze_backbone;
    double coordinate_weight, heatmap_weight; // align
    int heatmap_size;                         // side of the maps in that loss
    double heatmap_radius;                    // in its pixels
    double cross_entropy_weight;              // parse
    double ema;                               // of the averaged network
} mcf_dense_options;

// Weights of 0 switch a term off: it is not built. MoCo-v3 uses temperature and momentum only.
typedef struct {
    mcf_method method;
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
