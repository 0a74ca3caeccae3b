// The backbone for other programs.
#ifndef MCF_RUN_EXPORT_H
#define MCF_RUN_EXPORT_H

#include <stdbool.h>

#include "base/error.h"

// Writes the online encoder of a RUN, checkpoint directory or safetensors as safetensors with timm's names
// (cls_token, pos_embed, patch_embed.proj, blocks.i..., norm) in fp32; metadata: format "pt", architecture, image and
// patch size, mean and deviation, step, config. `tensors` (NULL allowed) receives how many were written.
mcf_status mcf_export(const char *checkpoint, const char *out, bool allow_nonfinite, int *tensors, mcf_error *err);

// --- run/export_onnx.c
typedef struct {
    int side;          // of the square images that go in, pixels
    const char *task;  // "embed", "align" or "parse"
    const char *gives; // names and shapes of the outputs
} mcf_export_onnx_result;

// Writes the network of a RUN, checkpoint directory or safetensors as ONNX (core/onnx/onnx.h): an encoder's features, or
// the whole network of alignment or parsing (the averaged one where the file has it). Input `image` f32 [batch,3,S,S],
// RGB from 0 to 1; S is model.image_size, of alignment and parsing data.crop_size. Outputs: cls and mean [batch,D] and
// tokens [batch,1+L,D]; points [batch,N,2] in parts of the crop's sides; logits [batch,classes,S,S]. The metadata say what
// `docs/finetune.md` lists. MCF_ERR_UNSUPPORTED where the file would pass 2 GiB; no weight has been read then.
mcf_status mcf_export_onnx(const char *checkpoint, const char *out, bool allow_nonfinite,
                           mcf_export_onnx_result *result, mcf_error *err);

#endif
