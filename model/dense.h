// Networks for alignment and parsing: ViT backbone, feature pyramid, UperNet head; docs/method.md, "Downstream
// network".
//
// Beside the network that is trained stands its average (weights and running statistics), which is what is evaluated.
#ifndef MCF_MODEL_DENSE_H
#define MCF_MODEL_DENSE_H

#include "model/objective.h"
#include "model/options.h"
#include "model/upernet.h"
#include "model/vit.h"

// Names in the store: PREFIXbackbone.*, PREFIXfpn.*, PREFIXhead.*.
typedef struct {
    mcf_vit backbone;
    mcf_pyramid pyramid;
    mcf_upernet head;
} mcf_dense_network;

// TRAINED  backbone, pyramid, head; decay on all; with freeze_backbone the backbone's entries are marked frozen
// STATS    their running statistics
// TARGET, TARGET_STATS  the average of both, names with "ema." in front
// A model that does not train has `average` alone, in FROZEN and STATS, names without "ema.".
typedef struct {
    mcf_model_options model;
    mcf_dense_options dense;
    bool trains;
    mcf_store store;
    mcf_dense_network network, average;
    int64_t label_height, label_width; // parse: of labels, and of the logits that come out; set before graphs are built
    int64_t crop;                      // side of images in bytes, which are resized to image_size on the device
} mcf_dense_model;

// Checks the options (MCF_ERR_USAGE with the key to change). The model must not move afterwards.
mcf_status mcf_dense_create(const mcf_model_options *model, const mcf_dense_options *dense, bool trains,
                            mcf_dense_model **out, mcf_error *err);
void mcf_dense_destroy(mcf_dense_model *model); // NULL is fine
// A model that trains, as an objective, whose `model` is the mcf_dense_model.
mcf_status mcf_dense_objective(const mcf_model_options *model, const mcf_dense_options *dense, mcf_objective *objective,
                               mcf_error *err);

// --- model/dense_start.c: parameters
// First values: the backbone as in pre-training; Kaiming-normal, fan out, for convolutions; PyTorch's defaults for
// conv_seg and transposed convolutions. The average is a copy.
void mcf_dense_init(const mcf_dense_model *model, uint64_t seed, const mcf_params *params);
// A run's start: the same, then the backbone from model.init.
mcf_status mcf_dense_start(const mcf_dense_model *model, uint64_t seed, const mcf_params *params, mcf_error *err);
// The whole network by its checkpoint names; a position table of another grid is resized. A backbone that the file has
// not is taken from model.init. A model that trains makes its average a copy; one that does not takes the names with
// "ema." in front where the file has them.
mcf_status mcf_dense_load(const mcf_dense_model *model, const mcf_safetensors *file, const mcf_params *params,
                          mcf_error *err);

// --- graphs
typedef enum {
    MCF_DENSE_TRAIN,    // the network by the batch's statistics, with losses
    MCF_DENSE_VALIDATE, // the average by its running statistics, with losses
    MCF_DENSE_PREDICT   // the same without
} mcf_dense_mode;

typedef struct {
    mcf_dense_mode mode;
    int64_t batch;
    int world;
    mcf_dtype compute;
    bool image_u8; // image u8 [B,crop,crop,3] and flip u8 [B]; else image f32 [B,3,S,S], already normalised
    bool outputs;  // MCF_DENSE_TRAIN: its result is an output
    bool backward; // MCF_DENSE_TRAIN: gradients
} mcf_dense_graph_options;

// Inputs: image (flip); with losses points f32 [B,N,2] (align; in parts of the image's sides) or label i64
// [B,label_height,label_width] (parse); in training with dropout keep f32 [B,channels]; with backward loss_scale f32 [1].
// Outputs, f32: loss [1] and its unweighted terms loss.coordinate, loss.heatmap (align), loss.cross_entropy (parse);
// out.points [B,N,2] or out.logits [B,N,label_height,label_width], in the other modes eval.points or eval.logits.
mcf_status mcf_dense_graph(const mcf_dense_model *model, const mcf_dense_graph_options *options, mcf_graph **graph,
                           mcf_error *err);

// --- model/align.c, model/parse.c: outputs, and the weighted loss [1], from logits f32 [B,h,w,N]; MCF_NO_VALUE where the
// mode has none.
mcf_value mcf_align_build(mcf_graph *graph, const mcf_dense_model *model, const mcf_dense_graph_options *options,
                          mcf_value logits);
mcf_value mcf_parse_build(mcf_graph *graph, const mcf_dense_model *model, const mcf_dense_graph_options *options,
                          mcf_value logits);

#endif
