// What an import is asked for.
#ifndef MCF_MODEL_IMPORT_OPTIONS_H
#define MCF_MODEL_IMPORT_OPTIONS_H

#include <stdbool.h>

#include "model/options.h"

typedef enum {
    MCF_IMPORT_MCF,     // online_encoder.*; heads, target, predictor, decoder and M_1 are dropped
    MCF_IMPORT_MAE,     // `model`, timm names; the decoder and a classifier are dropped
    MCF_IMPORT_MOCO_V3, // `state_dict`, module.base_encoder.* or module.momentum_encoder.*; heads are dropped
    MCF_IMPORT_TIMM,    // timm names; the classifier is dropped
    // `state_dict`, visual.* with CLIP's names; everything else is dropped. Or a network that FaRL's authors have
    // finetuned: backbone.visual.*, backbone.fpns.* and head.*, all of which is read.
    MCF_IMPORT_FARL,
    MCF_IMPORT_KINDS
} mcf_import_kind;

extern const char *const mcf_import_names[MCF_IMPORT_KINDS]; // "mcf", "mae", "moco-v3", "timm", "farl"

typedef enum { MCF_IMPORT_TASK_AUTO, MCF_IMPORT_TASK_ALIGN, MCF_IMPORT_TASK_PARSE } mcf_import_task;

typedef struct {
    mcf_import_kind kind;
    mcf_import_task task;  // of a finetuned network; auto: as its outputs tell, 11 classes, 68 or 98 points
    bool momentum_encoder; // moco-v3: in place of base_encoder
    int image_size;        // the position table is resized to it; 0: the file's own
    int heads;             // 0: as `own` says, else as published for the shape
    // What the file's own metadata or its run's config say of the network: heads, activation, pre_norm, patch_bias and
    // norm_eps; NULL: nothing.
    const mcf_vit_options *own;
    const char *select; // which of several encoders of a file, as `others` and messages name them; NULL: the usual one
    bool allow_nonfinite; // tensors that hold NaN or infinity pass
} mcf_import_options;

#endif
