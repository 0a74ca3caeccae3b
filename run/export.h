// The backbone for other programs.
#ifndef MCF_RUN_EXPORT_H
#define MCF_RUN_EXPORT_H

#include <stdbool.h>

#include "base/error.h"

// Writes the online encoder of a RUN, checkpoint directory or safetensors as safetensors with timm's names
// (cls_token, pos_embed, patch_embed.proj, blocks.i..., norm) in fp32; metadata: format "pt", architecture, image and
// patch size, mean and deviation, step, config. `tensors` (NULL allowed) receives how many were written.
mcf_status mcf_export(const char *checkpoint, const char *out, bool allow_nonfinite, int *tensors, mcf_error *err);

#endif
