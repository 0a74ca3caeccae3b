#include "model/dense.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/network.h"

// --- options
static mcf_status check(const mcf_dense_model *model, mcf_error *err)
{
    const mcf_model_options *m = &model->model;
    const mcf_dense_options *d = &model->dense;
    if (m->patch_size < 1 || m->image_size < m->patch_size || m->image_size % m->patch_size || m->image_size > 1 << 14)
        return mcf_fail(err, MCF_ERR_USAGE, "model.image_size is %d; it must be a multiple of model.patch_size, %d",
                        m->image_size, m->patch_size);
    if (m->image_size / m->patch_size < 2)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "model.image_size is %d, a single patch; the pyramid halves the map: give at least %d",
                        m->image_size, 2 * m->patch_size);
    if (d->feature_count != MCF_LEVELS)
        return mcf_fail(err, MCF_ERR_USAGE, "model.features must name 4 blocks, one for each level of the pyramid");
    for (int i = 0; i < MCF_LEVELS; i++)
        if (d->features[i] < 1 || d->features[i] > m->encoder.depth)
            return mcf_fail(err, MCF_ERR_USAGE, "model.features names block %d; model.encoder has blocks 1 to %d",
                            d->features[i], m->encoder.depth);
    return MCF_OK;
}

static int deepest(const mcf_dense_model *model)
{
    int last = 0;
    for (int i = 0; i < MCF_LEVELS; i++)
        last = model->dense.features[i] > last ? model->dense.features[i] : last;
    return last;
}

// --- networks
static mcf_status add_network(mcf_dense_model *model, const char *prefix, mcf_role role, mcf_dense_network *network,
                              mcf_error *err)
{
    const mcf_model_options *m = &model->model;
    mcf_store *store = &model->store;
    char name[64];
#define AT(part) (snprintf(name, sizeof name, "%s%s", prefix, part), name)
    MCF_TRY(mcf_vit_add_backbone(store, AT("backbone"), &m->encoder, m->image_size, m->patch_size, role,
                                 &network->backbone, err));
    MCF_TRY(mcf_pyramid_add(store, AT("fpn"), m->encoder.dim, role, &network->pyramid, err));
    return mcf_upernet_add(store, AT("head"), m->encoder.dim, &model->dense.head, role, &network->head, err);
#undef AT
}

static bool starts(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

// What the optimiser does with each tensor. Blocks behind the last one that is used have no gradient.
static void mark(mcf_dense_model *model)
{
    const int last = deepest(model);
    for (int i = 0; i < model->store.count; i++) {
        mcf_entry *entry = &model->store.entries[i];
        if (entry->role != MCF_ROLE_TRAINED)
            continue;
        const bool backbone = starts(entry->name, "backbone.");
        int block = -1;
        const bool unused = sscanf(entry->name, "backbone.blocks.%d.", &block) == 1 && block >= last;
        entry->decay = true;
        entry->frozen = unused || (backbone && model->dense.freeze_backbone);
        entry->rate_group = backbone ? MCF_RATE_BACKBONE : starts(entry->name, "fpn.") ? MCF_RATE_FPN : MCF_RATE_HEAD;
    }
}

static mcf_status add_networks(mcf_dense_model *model, mcf_error *err)
{
    mcf_store *store = &model->store;
    if (!model->trains)
        return add_network(model, "", MCF_ROLE_FROZEN, &model->average, err);
    MCF_TRY(add_network(model, "", MCF_ROLE_TRAINED, &model->network, err));
    store->averaged_count = store->role_count[MCF_ROLE_TRAINED];
    store->averaged_stats = store->role_count[MCF_ROLE_STATS];
    mark(model);
    MCF_TRY(add_network(model, "ema.", MCF_ROLE_TARGET, &model->average, err));
    if (store->role_count[MCF_ROLE_TARGET] != store->averaged_count ||
        store->role_count[MCF_ROLE_TARGET_STATS] != store->averaged_stats)
        return mcf_fail(err, MCF_ERR_INTERNAL, "the average's layout is not the network's");
    return MCF_OK;
}

mcf_status mcf_dense_create(const mcf_model_options *options, const mcf_dense_options *dense, bool trains,
                            mcf_dense_model **out, mcf_error *err)
{
    *out = NULL;
    mcf_dense_model *model = calloc(1, sizeof *model);
    if (!model)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a model");
    model->model = *options;
    model->dense = *dense;
    model->trains = trains;
    model->crop = options->image_size;
    mcf_store_init(&model->store);
    mcf_status status = check(model, err);
    if (status == MCF_OK)
        status = add_networks(model, err);
    if (status != MCF_OK) {
        mcf_dense_destroy(model);
        return status;
    }
    *out = model;
    return MCF_OK;
}

void mcf_dense_destroy(mcf_dense_model *model)
{
    if (!model)
        return;
    mcf_vit_free(&model->network.backbone);
    mcf_vit_free(&model->average.backbone);
    mcf_store_free(&model->store);
    free(model);
}

// --- graphs

// The image, normalised. From bytes of another size: bilinear without antialiasing, as the networks
// compared with were trained; normalising first changes nothing, since the weights of a place sum to one.
static mcf_value network_image(mcf_graph *graph, const mcf_dense_model *model, const mcf_dense_graph_options *options)
{
    const int64_t side = model->model.image_size, b = options->batch;
    if (!options->image_u8)
        return mcf_image_input(graph, &model->model, "", b, side, side, false);
    mcf_value image = mcf_image_input(graph, &model->model, "", b, model->crop, model->crop, true);
    return mcf_resize_bilinear(graph, image, side, side);
}

// Outputs of the tapped blocks without cls, [B,s,s,D] in compute type.
static void feature_maps(mcf_graph *graph, const mcf_dense_model *model, const mcf_dense_network *network,
                         mcf_value image, mcf_recompute recompute, mcf_value maps[MCF_LEVELS])
{
    const mcf_vit *vit = &network->backbone;
    const int64_t side = vit->image_size / vit->patch_size, b = mcf_value_dim(graph, image, 0), dim = vit->stack.dim;
    mcf_value taps[MCF_MAX_DEPTH];
    mcf_value patches = mcf_patchify(graph, image, vit->patch_size, mcf_graph_compute(graph));
    mcf_value x = mcf_vit_tokens(graph, vit, patches, MCF_NO_VALUE, MCF_NO_VALUE);
    mcf_blocks_forward(graph, &vit->stack, x, deepest(model), (mcf_affine){-1, -1}, MCF_F32, recompute, taps);
    for (int i = 0; i < MCF_LEVELS; i++) {
        mcf_value map = mcf_slice(graph, taps[model->dense.features[i] - 1], 1, 1, side * side);
        map = mcf_copy(graph, map, mcf_graph_compute(graph));
        maps[i] = mcf_reshape(graph, map, MCF_SHAPE(b, side, side, dim));
    }
}

// Logits f32 [B,4s,4s,N].
static mcf_value forward(mcf_graph *graph, const mcf_dense_model *model, const mcf_dense_graph_options *options)
{
    const bool training = options->mode == MCF_DENSE_TRAIN;
    const mcf_dense_network *network = training ? &model->network : &model->average;
    const mcf_conv_mode mode = {&model->store, training, model->model.sync_batchnorm};
    mcf_value maps[MCF_LEVELS], levels[MCF_LEVELS], keep = MCF_NO_VALUE;
    // Given in validation too, so that the same inputs serve, but of no effect.
    if (options->mode != MCF_DENSE_PREDICT && model->dense.head.dropout > 0)
        keep = mcf_input(graph, "keep", MCF_F32, MCF_SHAPE(options->batch, model->dense.head.channels));
    feature_maps(graph, model, network, network_image(graph, model, options),
                 training ? model->model.recompute : MCF_RECOMPUTE_NONE, maps);
    mcf_pyramid_forward(graph, &mode, &network->pyramid, maps, levels);
    return mcf_upernet_forward(graph, &mode, &network->head, levels, training ? keep : MCF_NO_VALUE);
}

mcf_status mcf_dense_graph(const mcf_dense_model *model, const mcf_dense_graph_options *options, mcf_graph **out,
                           mcf_error *err)
{
    *out = NULL;
    if (options->mode == MCF_DENSE_TRAIN && !model->trains)
        return mcf_fail(err, MCF_ERR_INTERNAL, "this model was made to be asked, not to be trained");
    mcf_graph *graph = mcf_graph_create(options->world, options->compute);
    if (!graph)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a graph");
    const mcf_value logits = forward(graph, model, options);
    const mcf_value loss =
        (model->dense.task == MCF_DENSE_ALIGN ? mcf_align_build : mcf_parse_build)(graph, model, options, logits);
    if (options->mode == MCF_DENSE_TRAIN && options->backward)
        mcf_backward(graph, loss, mcf_input(graph, "loss_scale", MCF_F32, MCF_SHAPE(1)));
    return mcf_graph_finish(
        graph, out, model->dense.task == MCF_DENSE_ALIGN ? "the alignment network" : "the parsing network", err);
}

// --- the objective

static mcf_status objective_build(const mcf_objective *objective, const mcf_step_graph_options *step, mcf_graph **graph,
                                  mcf_error *err)
{
    const mcf_dense_graph_options options = {.mode = step->evaluate ? MCF_DENSE_VALIDATE : MCF_DENSE_TRAIN,
                                             .batch = step->batch,
                                             .world = step->world,
                                             .compute = step->compute,
                                             .image_u8 = step->image_u8,
                                             .outputs = step->outputs,
                                             .backward = step->backward};
    return mcf_dense_graph(objective->model, &options, graph, err);
}

static void objective_init(const mcf_objective *objective, uint64_t seed, const mcf_params *params)
{
    mcf_dense_init(objective->model, seed, params);
}

static mcf_status objective_start(const mcf_objective *objective, uint64_t seed, const mcf_params *params,
                                  mcf_error *err)
{
    return mcf_dense_start(objective->model, seed, params, err);
}

static mcf_status objective_load(const mcf_objective *objective, const mcf_safetensors *file, const mcf_params *params,
                                 mcf_error *err)
{
    return mcf_dense_load(objective->model, file, params, err);
}

static void objective_destroy(void *model)
{
    mcf_dense_destroy(model);
}

static void add_term(mcf_objective *objective, const char *name, double weight)
{
    if (weight != 0)
        objective->term[objective->term_count++] = (mcf_loss_term){name, true};
}

mcf_status mcf_dense_objective(const mcf_model_options *options, const mcf_dense_options *dense,
                               mcf_objective *objective, mcf_error *err)
{
    static const char *const points[] = {"out.points", NULL}, *const logits[] = {"out.logits", NULL};
    static const char *const found[] = {"eval.points", NULL}, *const classes[] = {"eval.logits", NULL};
    const bool align = dense->task == MCF_DENSE_ALIGN;
    mcf_dense_model *model;
    MCF_TRY(mcf_dense_create(options, dense, true, &model, err));
    *objective = (mcf_objective){
        .model = model,
        .store = &model->store,
        .outputs = align ? points : logits,
        .evaluation = align ? found : classes,
        .averaging = MCF_AVERAGE_AFTER_STEP,
        .momentum = dense->ema,
        .build = objective_build,
        .init = objective_init,
        .start = objective_start,
        .load = objective_load,
        .destroy = objective_destroy,
    };
    add_term(objective, "loss.coordinate", align ? dense->coordinate_weight : 0);
    add_term(objective, "loss.heatmap", align ? dense->heatmap_weight : 0);
    add_term(objective, "loss.cross_entropy", align ? 0 : dense->cross_entropy_weight);
    return MCF_OK;
}
