// Others' encoders as files of ours.
#ifndef MCF_TRAIN_IMPORT_H
#define MCF_TRAIN_IMPORT_H

#include "model/import.h"

typedef struct {
    mcf_import_options read;
    const double *mean, *std; // [3]; NULL: the kind's own
} mcf_import_file_options;

typedef struct {
    int tensors, image_size;
    mcf_vit_options encoder;
} mcf_import_result;

// Reads `in` and writes its encoder to `out` (safetensors) under timm's names. The metadata hold the kind, what the
// network is (image and patch size, heads, activation, norm_eps, pre_norm, mean, std) and a config, so that `embed`
// knows it. Errors: as mcf_import, and of writing.
mcf_status mcf_import_file(const char *in, const mcf_import_file_options *options, const char *out,
                           mcf_import_result *result, mcf_error *err);

#endif
