// Pre-training, by MCF (model/mcf.h) or MoCo-v3 (model/moco.h): the networks in a store, their start, the graph of a
// step. What is computed: docs/method.md.
//
// Everything here is host data and graph building. The order of use:
//   mcf_pretrain_create            networks -> model->store
//   mcf_runtime_create             with &model->store
//   mcf_pretrain_start             first parameters (seed, `init`, teacher) into host arrays, or mcf_params_load
//   mcf_params_upload              host arrays -> runtime
//   mcf_pretrain_graph             -> mcf_program_create
//   mcf_inputs_write, mcf_program_run, mcf_program_read, mcf_runtime_adamw
#ifndef MCF_MODEL_PRETRAIN_H
#define MCF_MODEL_PRETRAIN_H

#include "model/pretrain_model.h"

// Checks the options (MCF_ERR_USAGE with the config key to change) and builds the store. The model must not
// move afterwards: descriptors point at its store.
mcf_status mcf_pretrain_create(const mcf_model_options *model, const mcf_objective_options *objective,
                               mcf_pretrain_model **out, mcf_error *err);
void mcf_pretrain_destroy(mcf_pretrain_model *model); // NULL is fine
// The same as an objective, whose `model` is the mcf_pretrain_model.
mcf_status mcf_pretrain_objective(const mcf_model_options *model, const mcf_objective_options *options,
                                  mcf_objective *objective, mcf_error *err);

// One micro-batch; inputs and outputs: model/mcf.h, model/moco.h. MCF_ERR_USAGE where no term is on.
mcf_status mcf_pretrain_graph(const mcf_pretrain_model *model, const mcf_step_graph_options *options, mcf_graph **graph,
                              mcf_error *err);

// First values of everything (method.md, "Weight initialisation"). M_1 too (what `random` means). The target is left
// for mcf_pretrain_copy_target.
void mcf_pretrain_init(const mcf_pretrain_model *model, uint64_t seed, const mcf_params *params);
// Target = copy of the online encoder and head, position table and running statistics included.
void mcf_pretrain_copy_target(const mcf_pretrain_model *model, const mcf_params *params);
// A run's start: mcf_pretrain_init, then model.init, then M_1 from teacher_checkpoint ("" is an error where
// the feature term is on, "random" keeps the initial values), then the target's copy.
mcf_status mcf_pretrain_start(const mcf_pretrain_model *model, uint64_t seed, const mcf_params *params, mcf_error *err);

// --- export: the timm name of a store entry of the online encoder ("blocks.0.norm1.weight"); NULL for
// others.
const char *mcf_backbone_name(const mcf_pretrain_model *model, int entry);

#endif
