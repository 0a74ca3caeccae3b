#include "model/pretrain.h"

#include <stdlib.h>
#include <string.h>

#include "model/check.h"
#include "model/load.h"
#include "model/masks.h"
#include "model/mcf.h"
#include "model/moco.h"

static const mcf_pretrain_method *method_of(mcf_method method)
{
    return method == MCF_METHOD_MOCO_V3 ? &mcf_method_moco : &mcf_method_mcf;
}

mcf_status mcf_pretrain_create(const mcf_model_options *options, const mcf_objective_options *objective,
                               mcf_pretrain_model **out, mcf_error *err)
{
    *out = NULL;
    mcf_pretrain_model *model = calloc(1, sizeof *model);
    if (!model)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a model");
    model->model = *options;
    model->objective = *objective;
    if (model->model.teacher_image_size == 0)
        model->model.teacher_image_size = options->image_size;
    model->method = method_of(objective->method);
    int64_t side = options->patch_size > 0 ? options->image_size / options->patch_size : 0;
    model->patches = side * side;
    model->visible = mcf_visible_count(model->patches, objective->mask_ratio);
    mcf_store_init(&model->store);
    mcf_status status = mcf_pretrain_check(options, objective, err);
    if (status == MCF_OK)
        status = model->method->add(model, err);
    if (status != MCF_OK) {
        mcf_pretrain_destroy(model);
        return status;
    }
    *out = model;
    return MCF_OK;
}

void mcf_pretrain_destroy(mcf_pretrain_model *model)
{
    if (!model)
        return;
    mcf_vit_free(&model->online);
    mcf_vit_free(&model->target);
    mcf_vit_free(&model->teacher);
    mcf_blocks_free(&model->decoder.stack);
    mcf_store_free(&model->store);
    free(model);
}

const char *mcf_backbone_name(const mcf_pretrain_model *model, int entry)
{
    const mcf_pretrain_method *method = model->method;
    const char *name = model->store.entries[entry].name;
    const size_t length = strlen(method->encoder);
    if (strncmp(name, method->encoder, length) || !strncmp(name + length, method->head, strlen(method->head)))
        return NULL;
    return name + length;
}

// --- start

void mcf_pretrain_init(const mcf_pretrain_model *model, uint64_t seed, const mcf_params *params)
{
    const mcf_init init = {&model->store, params, seed};
    for (int role = 0; role < MCF_ROLE_COUNT; role++)
        memset(params->role[role], 0, (size_t)model->store.role_count[role] * sizeof(float));
    model->method->init(model, &init);
}

void mcf_pretrain_copy_target(const mcf_pretrain_model *model, const mcf_params *params)
{
    const mcf_init init = {.store = &model->store, .params = params};
    if (!model->store.averaged_count)
        return;
    memcpy(params->role[MCF_ROLE_TARGET], params->role[MCF_ROLE_TRAINED],
           (size_t)model->store.averaged_count * sizeof(float));
    mcf_init_copy(&init, model->online.pos_embed, model->target.pos_embed);
    model->method->copy_target(model, &init);
}

static mcf_status load_encoder(const mcf_pretrain_model *model, const mcf_vit *v, const char *path, const char *key,
                               const char *prefer, const mcf_params *params, mcf_error *err)
{
    mcf_safetensors *file = NULL;
    mcf_status status = mcf_safetensors_open(&file, path, err);
    if (status == MCF_OK)
        status = mcf_vit_load(&model->store, v, file, prefer, params, err);
    mcf_safetensors_close(file);
    return status == MCF_OK ? MCF_OK : mcf_add_context(err, status, "%s", key);
}

static mcf_status load_init(const mcf_pretrain_model *model, const mcf_params *params, mcf_error *err)
{
    return load_encoder(model, &model->online, model->model.init, "model.init", NULL, params, err);
}

static mcf_status load_teacher(const mcf_pretrain_model *model, const mcf_params *params, mcf_error *err)
{
    return load_encoder(model, &model->teacher, model->model.teacher_checkpoint, "model.teacher.checkpoint",
                        "perceptual_loss.model.", params, err);
}

mcf_status mcf_pretrain_start(const mcf_pretrain_model *model, uint64_t seed, const mcf_params *params, mcf_error *err)
{
    const mcf_model_options *options = &model->model;
    if (model->feature && !options->teacher_checkpoint[0])
        return mcf_fail(err, MCF_ERR_USAGE,
                        "model.teacher.checkpoint: the feature term needs M_1's weights; name a "
                        "safetensors file, or `random` to go without trained ones");
    mcf_pretrain_init(model, seed, params);
    if (options->init[0])
        MCF_TRY(load_init(model, params, err));
    if (model->feature && strcmp(options->teacher_checkpoint, "random"))
        MCF_TRY(load_teacher(model, params, err));
    mcf_pretrain_copy_target(model, params);
    return MCF_OK;
}

// All of the file; the encoder and M_1 from model.init and model.teacher.checkpoint where it has none of them.
static mcf_status load_all(const mcf_pretrain_model *model, const mcf_safetensors *file, const mcf_params *params,
                           mcf_error *err)
{
    const bool init = model->model.init[0] && !mcf_vit_in_file(&model->store, &model->online, file);
    const bool teacher = model->feature && model->model.teacher_checkpoint[0] &&
                         strcmp(model->model.teacher_checkpoint, "random") &&
                         !mcf_vit_in_file(&model->store, &model->teacher, file);
    const mcf_vit *const elsewhere[2] = {init ? &model->online : NULL, teacher ? &model->teacher : NULL};
    MCF_TRY(mcf_params_load(model, file, elsewhere, params, err));
    if (init)
        MCF_TRY(load_init(model, params, err));
    return teacher ? load_teacher(model, params, err) : MCF_OK;
}

// --- the objective

mcf_status mcf_pretrain_graph(const mcf_pretrain_model *model, const mcf_step_graph_options *options, mcf_graph **graph,
                              mcf_error *err)
{
    mcf_objective objective = {0};
    *graph = NULL;
    model->method->describe(model, &objective);
    if (objective.term_count == 0)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "objective: all weights are 0; set feature.weight, pixel.weight or "
                        "contrastive.weight");
    mcf_graph *g = mcf_graph_create(options->world, options->compute);
    if (!g)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a graph");
    model->method->build(g, model, options);
    return mcf_graph_finish(g, graph, "the pre-training step", err);
}

static mcf_status objective_build(const mcf_objective *objective, const mcf_step_graph_options *options,
                                  mcf_graph **graph, mcf_error *err)
{
    return mcf_pretrain_graph(objective->model, options, graph, err);
}

static void objective_init(const mcf_objective *objective, uint64_t seed, const mcf_params *params)
{
    mcf_pretrain_init(objective->model, seed, params);
    mcf_pretrain_copy_target(objective->model, params);
}

static mcf_status objective_start(const mcf_objective *objective, uint64_t seed, const mcf_params *params,
                                  mcf_error *err)
{
    return mcf_pretrain_start(objective->model, seed, params, err);
}

static mcf_status objective_load(const mcf_objective *objective, const mcf_safetensors *file, const mcf_params *params,
                                 mcf_error *err)
{
    return load_all(objective->model, file, params, err);
}

static void objective_destroy(void *model)
{
    mcf_pretrain_destroy(model);
}

mcf_status mcf_pretrain_objective(const mcf_model_options *model, const mcf_objective_options *options,
                                  mcf_objective *objective, mcf_error *err)
{
    mcf_pretrain_model *made;
    MCF_TRY(mcf_pretrain_create(model, options, &made, err));
    *objective = (mcf_objective){
        .model = made,
        .store = &made->store,
        .momentum = options->momentum,
        .build = objective_build,
        .init = objective_init,
        .start = objective_start,
        .load = objective_load,
        .destroy = objective_destroy,
    };
    made->method->describe(made, objective);
    return MCF_OK;
}
