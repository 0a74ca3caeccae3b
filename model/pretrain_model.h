// The networks of pre-training in one store.
#ifndef MCF_MODEL_PRETRAIN_MODEL_H
#define MCF_MODEL_PRETRAIN_MODEL_H

#include "core/inputs.h"
#include "model/decoder.h"
#include "model/network.h"
#include "model/objective.h"
#include "model/projector.h"

// Layers of MoCo-v3's projector and predictor: product without bias, BatchNorm, ReLU, ..., the last BatchNorm without
// affine and nothing behind it.
enum { MCF_MOCO_LAYERS = 3 };
typedef struct {
    int layers;
    mcf_affine linear[MCF_MOCO_LAYERS], norm[MCF_MOCO_LAYERS];
    int mean[MCF_MOCO_LAYERS], var[MCF_MOCO_LAYERS]; // running statistics
} mcf_moco_mlp;

typedef struct mcf_pretrain_model mcf_pretrain_model;

// What MCF (model/mcf.c) and MoCo-v3 (model/moco.c) do each in its way.
typedef struct {
    const char *encoder, *head; // names of the trained encoder and of its head begin so: "online_encoder.", "fc."
    // Checks the options (MCF_ERR_USAGE with the config key to change) and adds the networks.
    mcf_status (*add)(mcf_pretrain_model *model, mcf_error *err);
    // Terms, outputs and averaging.
    void (*describe)(const mcf_pretrain_model *model, mcf_objective *objective);
    void (*init)(const mcf_pretrain_model *model, const mcf_init *init);        // all but the target
    void (*copy_target)(const mcf_pretrain_model *model, const mcf_init *init); // running statistics of its heads
    void (*build)(mcf_graph *graph, const mcf_pretrain_model *model, const mcf_step_graph_options *options);
} mcf_pretrain_method;

// Only what the objective's terms use is in the store: target, heads and predictor with the contrastive term,
// the decoder with pixel or feature, M_1 with feature. With all weights 0 the online encoder is left: what
// `embed` and `export` need.
//   TRAINED  online_encoder, online_encoder.fc (together averaged_count elements), predictor, decoder
//   TARGET   target_encoder, target_encoder.fc
//   FROZEN   position tables, norms and biases of perceptual_loss.model; FROZEN_WEIGHTS: its matrices
//   STATS    running statistics
// MoCo-v3: base_encoder and its head are `online` and TRAINED, momentum_encoder `target`; their patch projection is
// frozen, yet lies in TRAINED, since the average runs over it too.
struct mcf_pretrain_model {
    const mcf_pretrain_method *method;
    mcf_model_options model;
    mcf_objective_options objective;
    bool feature, pixel, contrastive, decodes; // MCF's terms that are on; decodes: feature or pixel
    int64_t patches, visible;                  // L and n of an image of the model's size
    mcf_store store;
    mcf_vit online, target, teacher; // teacher: M_1
    mcf_projector online_head, target_head, predictor;
    mcf_decoder decoder;
    mcf_moco_mlp moco_head, moco_target_head, moco_predictor;
};

#endif
