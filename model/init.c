// First values of parameters (method.md, "Weight initialisation").
#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "base/rng.h"
#include "model/position.h"
#include "model/pretrain.h"

typedef struct {
    const mcf_store *store;
    const mcf_params *params;
    uint64_t seed;
} init_context;

// A stream is named by the tensor, so a network's numbers do not depend on what else is built.
static mcf_rng stream(const init_context *c, int entry)
{
    const char *name = c->store->entries[entry].name;
    return mcf_rng_make(c->seed, MCF_RNG_INIT, 0, XXH64(name, strlen(name), 0) >> 8);
}

static void uniform(const init_context *c, int entry, double bound)
{
    mcf_rng rng = stream(c, entry);
    float *at = mcf_params_at(c->params, c->store, entry);
    for (int64_t i = 0; i < c->store->entries[entry].count; i++)
        at[i] = (float)(bound * (2.0 * (double)mcf_rng_float(&rng) - 1));
}

static void normal(const init_context *c, int entry, double deviation)
{
    mcf_rng rng = stream(c, entry);
    float *at = mcf_params_at(c->params, c->store, entry);
    for (int64_t i = 0; i < c->store->entries[entry].count; i++)
        at[i] = (float)(deviation * mcf_rng_normal(&rng));
}

static void fill(const init_context *c, int entry, float value)
{
    float *at = mcf_params_at(c->params, c->store, entry);
    for (int64_t i = 0; i < c->store->entries[entry].count; i++)
        at[i] = value;
}

// Xavier-uniform (Glorot & Bengio 2010, eq. 16); kernels count as matrices [out, in*h*w]. Bias zero.
static void linear(const init_context *c, mcf_affine affine)
{
    const mcf_entry *e = &c->store->entries[affine.weight];
    double out = (double)e->shape.dim[0], in = (double)e->count / out;
    uniform(c, affine.weight, sqrt(6 / (in + out)));
    if (affine.bias >= 0)
        fill(c, affine.bias, 0);
}

static void norm(const init_context *c, mcf_affine affine)
{
    fill(c, affine.weight, 1);
    fill(c, affine.bias, 0);
}

static void blocks(const init_context *c, const mcf_blocks *stack)
{
    for (int i = 0; i < stack->depth; i++) {
        const mcf_block *block = &stack->blocks[i];
        norm(c, block->norm1);
        linear(c, block->qkv);
        linear(c, block->proj);
        norm(c, block->norm2);
        linear(c, block->fc1);
        linear(c, block->fc2);
    }
}

static void vit(const init_context *c, const mcf_vit *v)
{
    int64_t side = v->image_size / v->patch_size;
    if (v->norm_pre.weight >= 0)
        norm(c, v->norm_pre);
    normal(c, v->cls_token, 0.02);
    mcf_position_table(mcf_params_at(c->params, c->store, v->pos_embed), v->stack.dim, side, side);
    linear(c, v->patch_embed);
    if (v->patch_embed.bias >= 0)
        uniform(c, v->patch_embed.bias, 1 / sqrt(3.0 * v->patch_size * v->patch_size));
    blocks(c, &v->stack);
    norm(c, v->norm);
}

static void projector(const init_context *c, const mcf_projector *p)
{
    linear(c, p->linear1);
    norm(c, p->norm1);
    fill(c, p->var1, 1);
    linear(c, p->linear2);
    if (p->var2 >= 0)
        fill(c, p->var2, 1);
}

static void decoder(const init_context *c, const mcf_pretrain_model *model)
{
    const mcf_decoder *d = &model->decoder;
    int64_t side = model->model.image_size / model->model.patch_size;
    linear(c, d->embed);
    normal(c, d->mask_token, 0.02);
    mcf_position_table(mcf_params_at(c->params, c->store, d->pos_embed), d->stack.dim, side, side);
    blocks(c, &d->stack);
    norm(c, d->norm);
    linear(c, d->pred);
}

// MoCo-v3's own start: the halves of the position table exchanged, cls small, no patch bias, and Q, K, V Xavier each
// for itself: bound sqrt(6/(D + D)).
static void moco_encoder(const init_context *c, const mcf_vit *v)
{
    int64_t dim = v->stack.dim, side = v->image_size / v->patch_size;
    vit(c, v);
    normal(c, v->cls_token, 1e-6);
    if (v->patch_embed.bias >= 0)
        fill(c, v->patch_embed.bias, 0);
    for (int i = 0; i < v->stack.depth; i++)
        uniform(c, v->stack.blocks[i].qkv.weight, sqrt(3.0 / (double)dim));
    float *table = mcf_params_at(c->params, c->store, v->pos_embed);
    for (int64_t row = 0; row < 1 + side * side; row++)
        for (int64_t i = 0; i < dim / 2; i++) {
            float *a = table + row * dim + i, *b = a + dim / 2, keep = *a;
            *a = *b;
            *b = keep;
        }
}

static void moco_mlp(const init_context *c, const mcf_moco_mlp *mlp)
{
    for (int i = 0; i < mlp->layers; i++) {
        linear(c, mlp->linear[i]);
        if (mlp->norm[i].weight >= 0)
            norm(c, mlp->norm[i]);
        fill(c, mlp->var[i], 1);
    }
}

void mcf_pretrain_init(const mcf_pretrain_model *model, uint64_t seed, const mcf_params *params)
{
    init_context c = {&model->store, params, seed};
    for (int role = 0; role < MCF_ROLE_COUNT; role++)
        memset(params->role[role], 0, (size_t)model->store.role_count[role] * sizeof(float));
    if (model->moco) {
        moco_encoder(&c, &model->online);
        moco_mlp(&c, &model->moco_head);
        moco_mlp(&c, &model->moco_predictor);
        return;
    }
    vit(&c, &model->online);
    if (model->contrastive) {
        projector(&c, &model->online_head);
        projector(&c, &model->predictor);
    }
    if (model->decodes)
        decoder(&c, model);
    if (model->feature)
        vit(&c, &model->teacher);
}

static void copy(const mcf_pretrain_model *model, const mcf_params *params, int from, int to)
{
    if (from >= 0)
        memcpy(mcf_params_at(params, &model->store, to), mcf_params_at(params, &model->store, from),
               (size_t)model->store.entries[from].count * sizeof(float));
}

void mcf_pretrain_copy_target(const mcf_pretrain_model *model, const mcf_params *params)
{
    if (!model->contrastive && !model->moco)
        return;
    memcpy(params->role[MCF_ROLE_TARGET], params->role[MCF_ROLE_TRAINED],
           (size_t)model->store.averaged_count * sizeof(float));
    copy(model, params, model->online.pos_embed, model->target.pos_embed);
    for (int i = 0; i < model->moco_head.layers; i++) {
        copy(model, params, model->moco_head.mean[i], model->moco_target_head.mean[i]);
        copy(model, params, model->moco_head.var[i], model->moco_target_head.var[i]);
    }
    if (model->moco)
        return;
    copy(model, params, model->online_head.mean1, model->target_head.mean1);
    copy(model, params, model->online_head.var1, model->target_head.var1);
    copy(model, params, model->online_head.mean2, model->target_head.mean2);
    copy(model, params, model->online_head.var2, model->target_head.var2);
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

mcf_status mcf_pretrain_load_init(const mcf_pretrain_model *model, const mcf_params *params, mcf_error *err)
{
    return load_encoder(model, &model->online, model->model.init, "model.init", NULL, params, err);
}

mcf_status mcf_pretrain_load_teacher(const mcf_pretrain_model *model, const mcf_params *params, mcf_error *err)
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
        MCF_TRY(mcf_pretrain_load_init(model, params, err));
    if (model->feature && strcmp(options->teacher_checkpoint, "random"))
        MCF_TRY(mcf_pretrain_load_teacher(model, params, err));
    mcf_pretrain_copy_target(model, params);
    return MCF_OK;
}
