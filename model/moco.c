// MoCo-v3 (Chen, Xie, He 2021), which makes M_1: two views, a momentum encoder, a symmetric contrastive loss;
// method.md, "MoCo-v3".
#include "model/moco.h"

#include <math.h>
#include <stdio.h>

#include "model/contrast.h"

// --- networks

// Numbers in names are places in the authors' nn.Sequential: product, BatchNorm, ReLU, product, ...
static mcf_status add_mlp(mcf_store *store, const char *prefix, const int64_t *widths, int layers, mcf_role role,
                          mcf_moco_mlp *mlp, mcf_error *err)
{
    char name[128];
    mlp->layers = layers;
    for (int i = 0; i < layers; i++) {
        snprintf(name, sizeof name, "%s.%d", prefix, 3 * i);
        MCF_TRY(mcf_linear_add(store, name, widths[i + 1], widths[i], false, role, &mlp->linear[i], err));
        snprintf(name, sizeof name, "%s.%d", prefix, 3 * i + 1);
        mlp->norm[i] = (mcf_affine){-1, -1};
        if (i < layers - 1)
            MCF_TRY(mcf_norm_add(store, name, widths[i + 1], role, &mlp->norm[i], err));
        MCF_TRY(mcf_statistics_add(store, name, widths[i + 1], &mlp->mean[i], &mlp->var[i], err));
    }
    return MCF_OK;
}

static mcf_status add_encoder(mcf_pretrain_model *model, const char *prefix, mcf_role role, mcf_vit *vit,
                              mcf_moco_mlp *head, mcf_error *err)
{
    const mcf_model_options *m = &model->model;
    const int64_t widths[] = {m->encoder.dim, m->projector_hidden, m->projector_hidden, m->projector_out};
    char name[64];
    MCF_TRY(mcf_vit_add(&model->store, prefix, &m->encoder, m->image_size, m->patch_size, role, vit, err));
    // The patch projection stays at its random start, which the authors found to keep training stable.
    model->store.entries[vit->patch_embed.weight].frozen = true;
    if (vit->patch_embed.bias >= 0)
        model->store.entries[vit->patch_embed.bias].frozen = true;
    snprintf(name, sizeof name, "%s.head", prefix);
    return add_mlp(&model->store, name, widths, 3, role, head, err);
}

static mcf_status add(mcf_pretrain_model *model, mcf_error *err)
{
    const mcf_model_options *m = &model->model;
    const int64_t widths[] = {m->projector_out, m->projector_hidden, m->projector_out};
    mcf_store *store = &model->store;
    MCF_TRY(add_encoder(model, "base_encoder", MCF_ROLE_TRAINED, &model->online, &model->moco_head, err));
    store->averaged_count = store->role_count[MCF_ROLE_TRAINED];
    MCF_TRY(add_encoder(model, "momentum_encoder", MCF_ROLE_TARGET, &model->target, &model->moco_target_head, err));
    if (store->role_count[MCF_ROLE_TARGET] != store->averaged_count)
        return mcf_fail(err, MCF_ERR_INTERNAL, "the momentum encoder's layout is not the base encoder's");
    MCF_TRY(add_mlp(store, "predictor", widths, 2, MCF_ROLE_TRAINED, &model->moco_predictor, err));
    for (int i = 0; i < store->count; i++)
        if (store->entries[i].role == MCF_ROLE_TRAINED)
            store->entries[i].decay = true; // norms and biases too, as the authors have it
    return MCF_OK;
}

// --- graph

static mcf_value mlp_forward(mcf_graph *graph, const mcf_pretrain_model *model, const mcf_moco_mlp *mlp, mcf_value x)
{
    for (int i = 0; i < mlp->layers; i++) {
        if (i > 0)
            x = mcf_relu(graph, x);
        x = mcf_linear_layer(graph, &model->store, mlp->linear[i], x, MCF_F32);
        x = mcf_batch_norm_layer(graph, &model->store, mlp->norm[i], mlp->mean[i], mlp->var[i],
                                 model->model.batchnorm_groups, model->model.sync_batchnorm, x);
    }
    return x;
}

// The cls tokens [2B,D] of both views, in one pass: tokens of images do not meet before the heads.
static mcf_value encode(mcf_graph *graph, const mcf_vit *vit, mcf_value patches, mcf_recompute recompute)
{
    mcf_value x = mcf_encode(graph, vit, patches, MCF_NO_VALUE, recompute);
    int64_t rows = mcf_value_dim(graph, x, 0), dim = mcf_value_dim(graph, x, 2);
    return mcf_reshape(graph, mcf_slice(graph, x, 1, 0, 1), MCF_SHAPE(rows, dim));
}

// Heads see one view at a time: their BatchNorms' statistics are a view's, the first view's come first.
static mcf_value project(mcf_graph *graph, const mcf_pretrain_model *model, const mcf_moco_mlp *head,
                         const mcf_moco_mlp *predictor, mcf_value cls, int view, int64_t batch)
{
    mcf_value x = mlp_forward(graph, model, head, mcf_slice(graph, cls, 0, view * batch, batch));
    if (predictor)
        x = mlp_forward(graph, model, predictor, x);
    return mcf_l2_normalize(graph, x, 1, 1e-12);
}

static void average(mcf_graph *graph, const mcf_store *store)
{
    mcf_value momentum = mcf_input(graph, "momentum", MCF_F32, MCF_SHAPE(1));
    mcf_ema(graph, mcf_role_slice(graph, store, MCF_ROLE_TARGET, 0, store->averaged_count),
            mcf_role_slice(graph, store, MCF_ROLE_TRAINED, 0, store->averaged_count), 0, 1, momentum);
    mcf_refresh_low_precision(graph, store, MCF_ROLE_TARGET);
}

// What needs no gradient runs first, before the base encoder leaves its activations.
static void build(mcf_graph *graph, const mcf_pretrain_model *model, const mcf_step_graph_options *options)
{
    int64_t b = options->batch, side = model->model.image_size, patch = model->model.patch_size;
    mcf_dtype compute = mcf_graph_compute(graph);
    mcf_value first = mcf_image_input(graph, &model->model, "1", b, side, side, options->image_u8);
    mcf_value second = mcf_image_input(graph, &model->model, "2", b, side, side, options->image_u8);
    mcf_value labels = mcf_input(graph, "labels", MCF_I64, MCF_SHAPE(b));
    mcf_value patches =
        mcf_concat(graph, mcf_patchify(graph, first, patch, compute), mcf_patchify(graph, second, patch, compute), 0);
    mcf_value q[2], k[2];
    if (options->average)
        average(graph, &model->store);
    mcf_value target = encode(graph, &model->target, patches, MCF_RECOMPUTE_NONE);
    for (int view = 0; view < 2; view++)
        k[view] = project(graph, model, &model->moco_target_head, NULL, target, view, b);
    mcf_value base = encode(graph, &model->online, patches, model->model.recompute);
    for (int view = 0; view < 2; view++)
        q[view] = project(graph, model, &model->moco_head, &model->moco_predictor, base, view, b);
    double temperature = model->objective.temperature;
    mcf_value loss = mcf_add(graph, mcf_contrastive_loss(graph, q[0], k[1], labels, temperature),
                             mcf_contrastive_loss(graph, q[1], k[0], labels, temperature));
    if (options->outputs) {
        mcf_output(graph, q[0], "out.q1");
        mcf_output(graph, q[1], "out.q2");
        mcf_output(graph, k[0], "out.k1");
        mcf_output(graph, k[1], "out.k2");
    }
    mcf_output(graph, loss, "loss.contrastive");
    mcf_output(graph, loss, "loss");
    if (options->backward)
        mcf_backward(graph, loss, mcf_input(graph, "loss_scale", MCF_F32, MCF_SHAPE(1)));
}

// --- start

// MoCo-v3's own start: the halves of the position table exchanged, cls small, no patch bias, and Q, K, V Xavier each
// for itself: bound sqrt(6/(D + D)).
static void moco_encoder(const mcf_init *c, const mcf_vit *v)
{
    int64_t dim = v->stack.dim, side = v->image_size / v->patch_size;
    mcf_init_vit(c, v);
    mcf_init_normal(c, v->cls_token, 1e-6);
    if (v->patch_embed.bias >= 0)
        mcf_init_fill(c, v->patch_embed.bias, 0);
    for (int i = 0; i < v->stack.depth; i++)
        mcf_init_uniform(c, v->stack.blocks[i].qkv.weight, sqrt(3.0 / (double)dim));
    float *table = mcf_params_at(c->params, c->store, v->pos_embed);
    for (int64_t row = 0; row < 1 + side * side; row++)
        for (int64_t i = 0; i < dim / 2; i++) {
            float *a = table + row * dim + i, *b = a + dim / 2, keep = *a;
            *a = *b;
            *b = keep;
        }
}

static void moco_mlp(const mcf_init *c, const mcf_moco_mlp *mlp)
{
    for (int i = 0; i < mlp->layers; i++) {
        mcf_init_linear(c, mlp->linear[i]);
        if (mlp->norm[i].weight >= 0)
            mcf_init_norm(c, mlp->norm[i]);
        mcf_init_fill(c, mlp->var[i], 1);
    }
}

static void init(const mcf_pretrain_model *model, const mcf_init *c)
{
    moco_encoder(c, &model->online);
    moco_mlp(c, &model->moco_head);
    moco_mlp(c, &model->moco_predictor);
}

static void copy_target(const mcf_pretrain_model *model, const mcf_init *c)
{
    for (int i = 0; i < model->moco_head.layers; i++) {
        mcf_init_copy(c, model->moco_head.mean[i], model->moco_target_head.mean[i]);
        mcf_init_copy(c, model->moco_head.var[i], model->moco_target_head.var[i]);
    }
}

static void describe(const mcf_pretrain_model *model, mcf_objective *objective)
{
    static const char *const outputs[] = {"out.q1", "out.q2", "out.k1", "out.k2", NULL};
    objective->term[objective->term_count++] = (mcf_loss_term){.name = "loss.contrastive"};
    objective->outputs = outputs;
    objective->averaging = MCF_AVERAGE_IN_GRAPH;
}

const mcf_pretrain_method mcf_method_moco = {
    .encoder = "base_encoder.",
    .head = "head.",
    .add = add,
    .describe = describe,
    .init = init,
    .copy_target = copy_target,
    .build = build,
};
