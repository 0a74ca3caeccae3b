// What the files of model/ share about the parts of pre-training beside the encoder.
#ifndef MCF_MODEL_PARTS_H
#define MCF_MODEL_PARTS_H

#include "model/pretrain.h"

// Heads of encoders and the predictor: in -> hidden -> out, no biases in the products. out_norm: a last
// BatchNorm without affine follows.
mcf_status mcf_projector_add(mcf_store *store, const char *prefix, int64_t in, int64_t hidden, int64_t out,
                             bool out_norm, mcf_role role, mcf_projector *projector, mcf_error *err);
// x [B,in] -> f32 [B,out]. Between the products everything is f32: over a small batch BatchNorm magnifies
// rounding.
mcf_value mcf_projector_forward(mcf_graph *graph, const mcf_pretrain_model *model, const mcf_projector *projector,
                                mcf_value x);

mcf_status mcf_decoder_add(mcf_store *store, const mcf_vit_options *options, int64_t in, int64_t patch, int64_t side,
                           mcf_decoder *decoder, mcf_error *err);
// latent [B,1+n,D] and ids_restore i64 [B,L] -> f32 [B,L,P*P*3], cls dropped.
mcf_value mcf_decoder_forward(mcf_graph *graph, const mcf_pretrain_model *model, mcf_value latent,
                              mcf_value ids_restore);

// BatchNorm of x [B,C] by the batch, as the model's options say; affine {-1, -1}: without. mean and var: entries of
// the running statistics, which move.
mcf_value mcf_batch_norm_layer(mcf_graph *graph, const mcf_pretrain_model *model, mcf_affine affine, int mean, int var,
                               mcf_value x);
// Running statistics [dim] under `name`.
mcf_status mcf_statistics_add(mcf_store *store, const char *name, int64_t dim, int *mean, int *var, mcf_error *err);

// MoCo-v3's part of the model (model/moco.c).
mcf_status mcf_moco_add(mcf_pretrain_model *model, mcf_error *err);
void mcf_moco_build(mcf_graph *graph, const mcf_pretrain_model *model, const mcf_pretrain_graph_options *options);
mcf_status mcf_moco_write(const mcf_pretrain_model *model, const mcf_pretrain_graph_options *options,
                          mcf_program *program, const mcf_pretrain_batch *batch, mcf_error *err);

// L_con of method.md: q, k [B,out] normalised, k of this device; labels i64 [B] say which row of the gathered k is
// the own one. f32 [1].
mcf_value mcf_contrastive_loss(mcf_graph *graph, mcf_value q, mcf_value k, mcf_value labels, double temperature);

// An input image as f32 [B,3,H,W]: an input `image` of that shape, or u8 [B,H,W,3] and `flip` u8 [B], normalised by
// the model's mean and deviation. `view`: "" or what is put behind both names.
mcf_value mcf_image_input(mcf_graph *graph, const mcf_model_options *options, const char *view, int64_t batch,
                          int64_t height, int64_t width, bool image_u8);
// Visible tokens of patches through an encoder and its final norm: [B,1+n,D] in compute type.
mcf_value mcf_encode(mcf_graph *graph, const mcf_vit *vit, mcf_value patches, mcf_value ids_keep,
                     mcf_recompute recompute);

#endif
