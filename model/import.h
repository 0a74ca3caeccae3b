// Encoders out of other people's checkpoints: PyTorch files (data/formats/pth.h) and safetensors, brought to timm's names.
// method.md, "Checkpoints of others that must load".
#ifndef MCF_MODEL_IMPORT_H
#define MCF_MODEL_IMPORT_H

#include "data/formats/safetensors.h"
#include "model/import_options.h"

typedef enum {
    MCF_HEADS_GIVEN,     // by the options
    MCF_HEADS_OWN,       // by the file itself
    MCF_HEADS_PUBLISHED, // a published network has this shape (model/published.h), or MoCo-v3's ViT-S
    MCF_HEADS_OF_CLIP    // width / 64, the rule of CLIP's code
} mcf_heads_source;

// An encoder as read, or a finetuned network; free with mcf_imported_free.
typedef struct {
    bool finetuned;
    mcf_dense_options dense; // where finetuned: task, features and head; the rest is zero
    mcf_vit_options encoder;
    int image_size, patch_size;
    mcf_heads_source heads_from;
    double mean[3], std[3];        // the kind's own; of timm's, whose networks differ, ImageNet's
    mcf_named_tensor *tensors;     // timm names, fp32; of a finetuned network backbone.*, fpn.* and head.*
    char chosen[128], others[400]; // where in the file it was, and the other encoders there: "model", "model_ema"
    size_t count;
} mcf_imported;

// Errors: MCF_ERR_FORMAT for bytes that are no such file, or hold an object where a tensor is wanted, named;
// MCF_ERR_SHAPE with all missing, unknown and misshapen names; MCF_ERR_USAGE for options that do not fit;
// MCF_ERR_NUMERIC for weights that are not finite, with the tensor's name.
mcf_status mcf_import(const char *path, const mcf_import_options *options, mcf_imported *out, mcf_error *err);
void mcf_imported_free(mcf_imported *imported); // zeros are fine

#endif
