#include "model/import_names.h"

#include <stdio.h>
#include <string.h>

static bool starts(const char *name, const char *prefix)
{
    return !strncmp(name, prefix, strlen(prefix));
}

static bool any_start(const char *name, const char *const *prefixes)
{
    for (; *prefixes; prefixes++)
        if (starts(name, *prefixes))
            return true;
    return false;
}

static mcf_import_verdict under(const char *name, const char *prefix, const char *head, char to[MCF_IMPORT_NAME])
{
    if (!starts(name, prefix))
        return MCF_NAME_UNKNOWN;
    name += strlen(prefix);
    if (starts(name, head))
        return MCF_NAME_DROPPED;
    return snprintf(to, MCF_IMPORT_NAME, "%s", name) < MCF_IMPORT_NAME ? MCF_NAME_TAKEN : MCF_NAME_UNKNOWN;
}

mcf_import_verdict mcf_clip_name(const char *name, char to[MCF_IMPORT_NAME])
{
    static const struct {
        const char *clip, *timm;
    } whole[] = {{"class_embedding", "cls_token"},
                 {"positional_embedding", "pos_embed"},
                 {"conv1.weight", "patch_embed.proj.weight"},
                 {"ln_pre.weight", "norm_pre.weight"},
                 {"ln_pre.bias", "norm_pre.bias"},
                 {"ln_post.weight", "norm.weight"},
                 {"ln_post.bias", "norm.bias"}},
      parts[] = {{"ln_1.", "norm1."},
                 {"ln_2.", "norm2."},
                 {"attn.in_proj_", "attn.qkv."},
                 {"attn.out_proj.", "attn.proj."},
                 {"mlp.c_fc.", "mlp.fc1."},
                 {"mlp.c_proj.", "mlp.fc2."}};
    if (!starts(name, "visual."))
        return MCF_NAME_DROPPED; // the words' transformer
    name += strlen("visual.");
    if (!strcmp(name, "proj"))
        return MCF_NAME_DROPPED; // into the space shared with words
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (!strcmp(name, whole[i].clip)) {
            snprintf(to, MCF_IMPORT_NAME, "%s", whole[i].timm);
            return MCF_NAME_TAKEN;
        }
    int block, used = 0;
    if (sscanf(name, "transformer.resblocks.%5d.%n", &block, &used) != 1 || !used || block < 0)
        return MCF_NAME_UNKNOWN;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (starts(name + used, parts[i].clip)) {
            int length = snprintf(to, MCF_IMPORT_NAME, "blocks.%d.%s%s", block, parts[i].timm,
                                  name + used + strlen(parts[i].clip));
            return length < MCF_IMPORT_NAME ? MCF_NAME_TAKEN : MCF_NAME_UNKNOWN;
        }
    return MCF_NAME_UNKNOWN;
}

mcf_import_verdict mcf_import_name(const mcf_import_options *options, const char *name, char to[MCF_IMPORT_NAME])
{
    static const char *const of_mcf[] = {"target_encoder.", "predictor.",       "decoder_",
                                         "mask_token",      "perceptual_loss.", NULL};
    static const char *const of_mae[] = {"decoder_", "mask_token", "head.", NULL};
    static const char *const encoders[] = {"base_encoder.", "momentum_encoder."};
    if (starts(name, "module.")) // of a model trained in parallel
        name += strlen("module.");
    switch (options->kind) {
    case MCF_IMPORT_MCF:
        return any_start(name, of_mcf) ? MCF_NAME_DROPPED : under(name, "online_encoder.", "fc.", to);
    case MCF_IMPORT_MOCO_V3:
        if (starts(name, "predictor.") || starts(name, encoders[!options->momentum_encoder]))
            return MCF_NAME_DROPPED;
        return under(name, encoders[options->momentum_encoder], "head.", to);
    case MCF_IMPORT_FARL:
        return mcf_clip_name(name, to);
    case MCF_IMPORT_MAE:
        return any_start(name, of_mae) ? MCF_NAME_DROPPED : under(name, "", "head.", to);
    default:
        return under(name, "", "head.", to);
    }
}
