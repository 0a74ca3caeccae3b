// What is said of a network beside its tensors.
#ifndef MCF_RUN_IMPORT_FACTS_H
#define MCF_RUN_IMPORT_FACTS_H

#include "model/import.h"

typedef struct {
    bool has_encoder; // `encoder` is from the file's own config: heads, activation, pre_norm, patch_bias, norm_eps
    mcf_vit_options encoder;
    int heads; // of the published network named; 0: none is
    bool has_mean;
    double mean[3], std[3];
    char mean_from[160]; // "of timm's vit_base_patch16_224.dino"
    char filter[16];     // of its makers' resize; "": not known
    double crop_pct;
} mcf_import_facts;

// Looks in this order: the metadata of the file, if it is ours; config.yaml beside a checkpoint of ours; `model`, a name of
// model/published.h (NULL: none); timm's config.json beside the file; a published name in the file's own path. For kinds
// other than timm the makers' resize is the kind's own.
mcf_status mcf_import_find_facts(const char *path, mcf_import_kind kind, const char *model, mcf_import_facts *facts,
                                 mcf_error *err);

#endif
