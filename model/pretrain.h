// Pre-training of mask contrastive faces: the networks in a store, their start, and the graphs of a step, of
// embedding and of reconstruction. What is computed: method.md; the objective itself: model/mcf.c.
//
// Everything here is host data and graph building. The order of use:
//   mcf_pretrain_create            networks -> model->store
//   mcf_runtime_create             with &model->store
//   mcf_pretrain_start             first parameters (seed, `init`, teacher) into host arrays, or
// mcf_params_load
//   mcf_params_upload              host arrays -> runtime
//   mcf_pretrain_graph             -> mcf_program_create
//   mcf_pretrain_write, mcf_program_run, mcf_program_read, mcf_runtime_adamw
#ifndef MCF_MODEL_PRETRAIN_H
#define MCF_MODEL_PRETRAIN_H

#include "core/graph.h"
#include "core/runtime.h"
#include "core/store.h"
#include "data/formats/safetensors.h"
#include "model/options.h"
#include "model/vit.h"

// ImageNet's, of images in [0, 1].
extern const float mcf_image_mean[3], mcf_image_std[3];
// Those of the options, ImageNet's where they say none.
void mcf_normalisation(const mcf_model_options *options, float mean[3], float std[3]);

// Linear, BatchNorm, ReLU, Linear and, in the heads of encoders, a BatchNorm without affine.
typedef struct {
    mcf_affine linear1, norm1, linear2;
    int mean1, var1; // running statistics of the first BatchNorm
    int mean2, var2; // of the last; -1: there is none
} mcf_projector;

typedef struct {
    mcf_affine embed, norm, pred;
    int mask_token, pos_embed;
    mcf_blocks stack;
} mcf_decoder;

// Layers of MoCo-v3's projector and predictor: product without bias, BatchNorm, ReLU, ..., the last BatchNorm without
// affine and nothing behind it.
enum { MCF_MOCO_LAYERS = 3 };
typedef struct {
    int layers;
    mcf_affine linear[MCF_MOCO_LAYERS], norm[MCF_MOCO_LAYERS];
    int mean[MCF_MOCO_LAYERS], var[MCF_MOCO_LAYERS]; // running statistics
} mcf_moco_mlp;

// Only what the objective's terms use is in the store: target, heads and predictor with the contrastive term,
// the decoder with pixel or feature, M_1 with feature. With all weights 0 the online encoder is left: what
// `embed` and `export` need.
//   TRAINED  online_encoder, online_encoder.fc (together averaged_count elements), predictor, decoder
//   TARGET   target_encoder, target_encoder.fc
//   FROZEN   position tables, norms and biases of perceptual_loss.model; FROZEN_WEIGHTS: its matrices
//   STATS    running statistics
// MoCo-v3 (objective.method): base_encoder and its head are `online` and TRAINED, momentum_encoder `target`; their patch
// projection is frozen, yet lies in TRAINED, since the average runs over it too.
typedef struct {
    mcf_model_options model;
    mcf_objective_options objective;
    bool feature, pixel, contrastive, decodes; // terms that are on; decodes: feature or pixel
    bool moco;                                 // MoCo-v3: none of these terms
    int64_t patches, visible;                  // L and n of an image of the model's size
    mcf_store store;
    mcf_vit online, target, teacher;
    mcf_projector online_head, target_head, predictor;
    mcf_decoder decoder;
    mcf_moco_mlp moco_head, moco_target_head, moco_predictor;
} mcf_pretrain_model;

// Checks the options (MCF_ERR_USAGE with the config key to change) and builds the store. The model must not
// move afterwards: descriptors point at its store.
mcf_status mcf_pretrain_create(const mcf_model_options *model, const mcf_objective_options *objective,
                               mcf_pretrain_model **out, mcf_error *err);
void mcf_pretrain_destroy(mcf_pretrain_model *model); // NULL is fine

// n = floor(L * (1 - mask_ratio)), computed in double precision.
int64_t mcf_visible_count(int64_t patches, double mask_ratio);

// --- graphs
typedef struct {
    int64_t batch;     // B: images of this device in a micro-batch
    int world;         // devices of the job
    mcf_dtype compute; // of products
    bool image_u8;     // inputs image u8 [B,S,S,3] and flip u8 [B]; else image f32 [B,3,S,S], already normalised
    bool outputs;      // out.pred [B,L,P*P*3], out.q and out.k [B,out] (normalised), f32
    bool backward;     // gradients of the trained entries
    bool average;      // the target's average is taken before its forward pass (momentum_update: micro-batch)
} mcf_pretrain_graph_options;

// One micro-batch. Inputs: image (and flip), ids_keep i64 [B,n]; with the decoder ids_restore [B,L]; with
// pixel ids_mask [B,L-n]; with contrastive ids_keep_target [B,n] and labels [B] (own class: rank*B + i); with
// backward loss_scale f32 [1], which multiplies gradients but not the losses. mcf_pretrain_write fills them
// all. Outputs, f32 [1]: loss (weighted total), loss.feature, loss.pixel, loss.contrastive (unweighted, where
// on).
// MoCo-v3: inputs image1, image2 (and flip1, flip2), labels, with average momentum f32 [1]; outputs loss and
// loss.contrastive, with `outputs` out.q1, out.q2, out.k1, out.k2.
mcf_status mcf_pretrain_graph(const mcf_pretrain_model *model, const mcf_pretrain_graph_options *options,
                              mcf_graph **graph, mcf_error *err);

// A batch on the host, in the layouts above. Fields that the graph does not take may be NULL.
typedef struct {
    const void *image;
    const uint8_t *flip;
    const int64_t *ids_shuffle; // [B,L]: a permutation of the patches a row
    const int64_t *ids_shuffle_target;
    const void *image2; // MoCo-v3: the second view
    const uint8_t *flip2;
    float momentum; // MoCo-v3: of this micro-batch's average
    int rank;       // of this device in the job
    float loss_scale;
} mcf_pretrain_batch;
// Checks that rows of ids are permutations. `options` are those that the program's graph was made with.
mcf_status mcf_pretrain_write(const mcf_pretrain_model *model, const mcf_pretrain_graph_options *options,
                              mcf_program *program, const mcf_pretrain_batch *batch, mcf_error *err);

// ids_shuffle [batch,patches] -> keep [batch,visible] (its first columns), mask [batch,patches-visible] (the
// rest), restore [batch,patches] (its inverse). Any output may be NULL.
mcf_status mcf_mask_split(const int64_t *ids_shuffle, int64_t batch, int64_t patches, int64_t visible, int64_t *keep,
                          int64_t *mask, int64_t *restore, mcf_error *err);

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

// Reconstruction: inputs as mcf_pretrain_graph's image (flip), ids_keep, ids_restore. Outputs, f32: out.pred
// [B,L,P*P*3]; pseudo [B,3,S,S], the pseudo image of all patches, in the scale of the normalised image also
// where the decoder was trained on normalised patches. Fails where the objective has no decoder.
typedef struct {
    int64_t batch;
    mcf_dtype compute;
    bool image_u8;
    int world; // devices of the job whose runtime it runs in; 0: 1
} mcf_reconstruct_graph_options;
mcf_status mcf_reconstruct_graph(const mcf_pretrain_model *model, const mcf_reconstruct_graph_options *options,
                                 mcf_graph **graph, mcf_error *err);
mcf_status mcf_reconstruct_write(const mcf_pretrain_model *model, const mcf_reconstruct_graph_options *options,
                                 mcf_program *program, const mcf_pretrain_batch *batch, mcf_error *err);

// --- parameters on the host: one array a role, laid out as the store
typedef struct {
    float *role[MCF_ROLE_COUNT];
} mcf_params;

mcf_status mcf_params_create(const mcf_store *store, mcf_params *params, mcf_error *err); // zeros
void mcf_params_free(mcf_params *params);
float *mcf_params_at(const mcf_params *params, const mcf_store *store, int entry);
// Writes all roles to the runtime and refreshes what follows from them.
mcf_status mcf_params_upload(const mcf_params *params, mcf_runtime *runtime, mcf_error *err);
mcf_status mcf_params_download(const mcf_params *params, mcf_runtime *runtime, mcf_error *err);

// First values of everything (method.md, "Weight initialisation"): the numbers of a tensor depend on the seed
// and its name only. M_1 too (what `random` means). The target is left for mcf_pretrain_copy_target.
void mcf_pretrain_init(const mcf_pretrain_model *model, uint64_t seed, const mcf_params *params);
// Target = copy of the online encoder and head, position table and running statistics included.
void mcf_pretrain_copy_target(const mcf_pretrain_model *model, const mcf_params *params);
// A run's start: mcf_pretrain_init, then model.init, then M_1 from teacher_checkpoint ("" is an error where
// the feature term is on, "random" keeps the initial values), then the target's copy.
mcf_status mcf_pretrain_start(const mcf_pretrain_model *model, uint64_t seed, const mcf_params *params, mcf_error *err);
// What model.init and model.teacher.checkpoint name, into the encoder and into M_1.
mcf_status mcf_pretrain_load_init(const mcf_pretrain_model *model, const mcf_params *params, mcf_error *err);
mcf_status mcf_pretrain_load_teacher(const mcf_pretrain_model *model, const mcf_params *params, mcf_error *err);

// --- loading (model/load.c). All missing, extra and misshapen names are in the message, shortened where
// many.

// Every entry of the store by its checkpoint name. Tensors of parts that the objective does not use (heads,
// predictor, decoder, target, M_1) are passed over; other extra names are errors. Encoders in `elsewhere` (NULL: none;
// its members may be NULL) are left out, but not their heads.
mcf_status mcf_params_load(const mcf_pretrain_model *model, const mcf_safetensors *file,
                           const mcf_vit *const elsewhere[2], const mcf_params *params, mcf_error *err);
// Whether the file has this encoder under the network's own name for it.
bool mcf_vit_in_file(const mcf_store *store, const mcf_vit *vit, const mcf_safetensors *file);
// One encoder from a file with timm names, bare or under a prefix (mcf_vit_prefix). The position table is
// resized where its grid differs. A head (fc.) beside a prefixed encoder is passed over. Heads, eps and activation that
// the file's metadata give have to be the network's: MCF_ERR_USAGE.
mcf_status mcf_vit_load(const mcf_store *store, const mcf_vit *vit, const mcf_safetensors *file, const char *prefer,
                        const mcf_params *params, mcf_error *err);
// The prefix under which the file has an encoder: the first with a cls_token of `prefer` (NULL: none),
// "online_encoder.", "perceptual_loss.model.", "backbone.", "" (bare timm names); NULL: it has none.
const char *mcf_vit_prefix(const mcf_safetensors *file, const char *prefer);
// The encoder's options as the file's shapes say: dim, depth, mlp_ratio, patch_size and image_size (of the
// position table). Heads are not in the shapes: dim/64, at least 1, unless the caller knows better.
mcf_status mcf_vit_describe(const mcf_safetensors *file, const char *prefix, mcf_vit_options *options, int *patch_size,
                            int *image_size, mcf_error *err);

// The mlp_ratio that gives this hidden width, which is dim * mlp_ratio rounded down.
double mcf_vit_mlp_ratio(int64_t hidden, int64_t dim);

// --- export: the timm name of a store entry of the online encoder ("blocks.0.norm1.weight"); NULL for
// others.
const char *mcf_backbone_name(const mcf_pretrain_model *model, int entry);

#endif
