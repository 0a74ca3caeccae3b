// Others' encoders as files of ours.
#ifndef MCF_RUN_IMPORT_H
#define MCF_RUN_IMPORT_H

#include "model/import.h"

typedef struct {
    mcf_import_options read;  // `own` is found by mcf_import_file
    const double *mean, *std; // [3]; NULL: the file's own, the published network's, or the kind's
    const char *model;        // the published network's name in timm, with its tag; NULL: looked for beside the file
} mcf_import_file_options;

enum { MCF_IMPORT_LINES = 4 };

typedef struct {
    int tensors, image_size;
    mcf_vit_options encoder;
    // Where what the tensors do not say was taken from: of heads, mean and deviation, resizing. One line each.
    char said[MCF_IMPORT_LINES][640]; // "": nothing
} mcf_import_result;

// Reads `in` (of a run or checkpoint directory its weights) and writes its encoder to `out` (safetensors) under timm's
// names; of a network that FaRL's authors have finetuned all of it, under ours, with a config of its task. The metadata hold the kind, what the network is (image and patch size, heads, activation, norm_eps, pre_norm,
// mean, std) and a config, so that `embed` knows it. What the network is, is read where it is said: the metadata of our
// own files, a run's config.yaml, a config.json of timm's beside the file, a published network's name (given, or the
// file's or its folder's). Errors: as mcf_import, of writing, and MCF_ERR_USAGE for a network that nothing here can run.
mcf_status mcf_import_file(const char *in, const mcf_import_file_options *options, const char *out,
                           mcf_import_result *result, mcf_error *err);

#endif
