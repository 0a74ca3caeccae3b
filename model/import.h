// Encoders out of other people's checkpoints: PyTorch files (data/formats/pth.h) and safetensors, brought to timm's names.
// method.md, "Checkpoints of others that must load".
#ifndef MCF_MODEL_IMPORT_H
#define MCF_MODEL_IMPORT_H

#include "data/formats/safetensors.h"
#include "model/options.h"

typedef enum {
    MCF_IMPORT_MCF,     // online_encoder.*; heads, target, predictor, decoder and M_1 are dropped
    MCF_IMPORT_MAE,     // `model`, timm names; the decoder and a classifier are dropped
    MCF_IMPORT_MOCO_V3, // `state_dict`, module.base_encoder.* or module.momentum_encoder.*; heads are dropped
    MCF_IMPORT_TIMM,    // timm names; the classifier is dropped
    MCF_IMPORT_FARL,    // `state_dict`, visual.* with CLIP's names; everything else is dropped
    MCF_IMPORT_KINDS
} mcf_import_kind;

extern const char *const mcf_import_names[MCF_IMPORT_KINDS]; // "mcf", "mae", "moco-v3", "timm", "farl"

typedef struct {
    mcf_import_kind kind;
    bool momentum_encoder; // moco-v3: in place of base_encoder
    int image_size;        // the position table is resized to it; 0: the file's own
    int heads;             // 0: as `own` says, else as published for the shape
    // What the file's own metadata or its run's config say of the network: heads, activation, pre_norm, patch_bias and
    // norm_eps; NULL: nothing.
    const mcf_vit_options *own;
    bool allow_nonfinite; // tensors that hold NaN or infinity pass
} mcf_import_options;

typedef enum {
    MCF_HEADS_GIVEN,     // by the options
    MCF_HEADS_OWN,       // by the file itself
    MCF_HEADS_PUBLISHED, // a published network has this shape (model/published.h), or MoCo-v3's ViT-S
    MCF_HEADS_OF_CLIP    // width / 64, the rule of CLIP's code
} mcf_heads_source;

// An encoder as read; free with mcf_imported_free.
typedef struct {
    mcf_vit_options encoder;
    int image_size, patch_size;
    mcf_heads_source heads_from;
    double mean[3], std[3];    // the kind's own; of timm's, whose networks differ, ImageNet's
    mcf_named_tensor *tensors; // timm names, fp32
    size_t count;
} mcf_imported;

// Errors: MCF_ERR_FORMAT for bytes that are no such file, or hold an object where a tensor is wanted, named;
// MCF_ERR_SHAPE with all missing, unknown and misshapen names; MCF_ERR_USAGE for options that do not fit;
// MCF_ERR_NUMERIC for weights that are not finite, with the tensor's name.
mcf_status mcf_import(const char *path, const mcf_import_options *options, mcf_imported *out, mcf_error *err);
void mcf_imported_free(mcf_imported *imported); // zeros are fine

#endif
