// Features of images.
#ifndef MCF_MODEL_EMBED_H
#define MCF_MODEL_EMBED_H

#include "model/pretrain_model.h"

// Embedding: the online encoder over all patches, no gradient. Inputs image f32 [B,3,H,W] or, with image_u8,
// image u8 [B,H,W,3] and flip u8 [B]; H and W are multiples of the patch. Where H or W differ from the
// model's size there is an input pos_embed f32 [1,1+L,D], from mcf_embed_position. Outputs after the final
// norm, f32: cls [B,D], mean [B,D] (of the patch tokens) and, with tokens, tokens [B,1+L,D] (all, cls first).
typedef struct {
    int64_t batch, height, width;
    mcf_dtype compute;
    bool image_u8, tokens;
} mcf_embed_graph_options;
mcf_status mcf_embed_graph(const mcf_pretrain_model *model, const mcf_embed_graph_options *options, mcf_graph **graph,
                           mcf_error *err);
bool mcf_embed_needs_position(const mcf_pretrain_model *model, const mcf_embed_graph_options *options);
// Resizes the runtime's position table for these options and writes it into the program's pos_embed input.
mcf_status mcf_embed_position(const mcf_pretrain_model *model, const mcf_embed_graph_options *options,
                              mcf_runtime *runtime, mcf_program *program, mcf_error *err);

#endif
