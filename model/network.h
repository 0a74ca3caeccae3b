// What networks over images begin with.
#ifndef MCF_MODEL_NETWORK_H
#define MCF_MODEL_NETWORK_H

#include "model/options.h"
#include "model/vit.h"

// ImageNet's, of images in [0, 1].
extern const float mcf_image_mean[3], mcf_image_std[3];
// Those of the options, ImageNet's where they say none.
void mcf_normalisation(const mcf_model_options *options, float mean[3], float std[3]);

// An input image as f32 [B,H,W,3]: a view of an input `image` f32 [B,3,H,W] as files and other programs have it, or
// inputs `image` u8 [B,H,W,3] and `flip` u8 [B], normalised by the model's mean and deviation. `view`: "" or what is put behind both names.
mcf_value mcf_image_input(mcf_graph *graph, const mcf_model_options *options, const char *view, int64_t batch,
                          int64_t height, int64_t width, bool image_u8);
// Visible tokens of patches through an encoder and its final norm: [B,1+n,D] in compute type.
mcf_value mcf_encode(mcf_graph *graph, const mcf_vit *vit, mcf_value patches, mcf_value ids_keep,
                     mcf_recompute recompute);

#endif
