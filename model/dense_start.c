// First values of the networks of alignment and parsing, and their parameters from files.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/dense.h"
#include "model/init.h"
#include "model/load.h"
#include "model/position.h"

// --- first values

static void norm_2d(const mcf_init *init, const mcf_norm_2d *norm)
{
    mcf_init_norm(init, norm->affine);
    mcf_init_fill(init, norm->var, 1);
}

// Kaiming-normal (He et al. 2015), fan out, for ReLU.
static void conv(const mcf_init *init, const mcf_conv_layer *layer)
{
    const mcf_shape kernel = init->store->entries[layer->weight].shape;
    mcf_init_normal(init, layer->weight, sqrt(2.0 / (double)(kernel.dim[0] * kernel.dim[2] * kernel.dim[3])));
    norm_2d(init, &layer->norm);
}

// PyTorch's default of convolutions, transposed ones too: uniform within 1/sqrt(n), n the size of a weight's second axis
// times the kernel's.
static void uniform(const mcf_init *init, mcf_affine affine)
{
    const mcf_entry *e = &init->store->entries[affine.weight];
    const double bound = 1 / sqrt((double)(e->count / e->shape.dim[0]));
    mcf_init_uniform(init, affine.weight, bound);
    mcf_init_uniform(init, affine.bias, bound);
}

static void copy_average(const mcf_dense_model *model, const mcf_params *params)
{
    const mcf_store *store = &model->store;
    memcpy(params->role[MCF_ROLE_TARGET], params->role[MCF_ROLE_TRAINED],
           (size_t)store->averaged_count * sizeof(float));
    memcpy(params->role[MCF_ROLE_TARGET_STATS], params->role[MCF_ROLE_STATS],
           (size_t)store->averaged_stats * sizeof(float));
}

void mcf_dense_init(const mcf_dense_model *model, uint64_t seed, const mcf_params *params)
{
    const mcf_init init = {&model->store, params, seed};
    const mcf_dense_network *n = model->trains ? &model->network : &model->average;
    for (int role = 0; role < MCF_ROLE_COUNT; role++)
        memset(params->role[role], 0, (size_t)model->store.role_count[role] * sizeof(float));
    mcf_init_vit(&init, &n->backbone);
    uniform(&init, n->pyramid.up1);
    norm_2d(&init, &n->pyramid.norm);
    uniform(&init, n->pyramid.up2);
    uniform(&init, n->pyramid.up);
    for (int i = 0; i < n->head.scales; i++)
        conv(&init, &n->head.pool[i]);
    conv(&init, &n->head.bottleneck);
    for (int i = 0; i < MCF_LEVELS - 1; i++) {
        conv(&init, &n->head.lateral[i]);
        conv(&init, &n->head.fpn[i]);
    }
    conv(&init, &n->head.fpn_bottleneck);
    uniform(&init, n->head.conv_seg);
    copy_average(model, params);
}

// --- files

static mcf_status load_backbone(const mcf_dense_model *model, const mcf_params *params, mcf_error *err)
{
    const mcf_dense_network *n = model->trains ? &model->network : &model->average;
    mcf_safetensors *file = NULL;
    mcf_status status = mcf_safetensors_open(&file, model->model.init, err);
    if (status == MCF_OK)
        status = mcf_vit_load(&model->store, &n->backbone, file, NULL, params, err);
    mcf_safetensors_close(file);
    return status == MCF_OK ? MCF_OK : mcf_add_context(err, status, "model.init");
}

mcf_status mcf_dense_start(const mcf_dense_model *model, uint64_t seed, const mcf_params *params, mcf_error *err)
{
    mcf_dense_init(model, seed, params);
    if (model->model.init[0])
        MCF_TRY(load_backbone(model, params, err));
    copy_average(model, params);
    return MCF_OK;
}

static bool starts(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

// Names under `prefix` in the file into the network that has no prefix in the store. skip_backbone: it comes from
// elsewhere.
static mcf_status load_network(const mcf_dense_model *model, const mcf_safetensors *file, const char *prefix,
                               bool skip_backbone, const mcf_params *params, mcf_error *err)
{
    const mcf_store *store = &model->store;
    const mcf_dense_network *n = model->trains ? &model->network : &model->average;
    mcf_load_report report = {0};
    char name[512];
    for (int i = 0; i < store->count; i++) {
        const mcf_entry *entry = &store->entries[i];
        if (starts(entry->name, "ema.") || (skip_backbone && starts(entry->name, "backbone.")))
            continue;
        snprintf(name, sizeof name, "%s%s", prefix, entry->name);
        const mcf_safetensors_entry *found = mcf_safetensors_find(file, name);
        float *to = mcf_params_at(params, store, i);
        if (!found)
            mcf_load_missing(&report, name);
        else if (mcf_shape_equal(&found->shape, &entry->shape))
            MCF_TRY(mcf_load_tensor(file, found, params, to, err));
        else if (i == n->backbone.pos_embed)
            MCF_TRY(mcf_load_position(file, found, entry, to, &report, err));
        else
            mcf_load_misshapen(&report, name, &found->shape, &entry->shape);
    }
    for (size_t i = 0; i < mcf_safetensors_count(file); i++) {
        const char *there = mcf_safetensors_at(file, i)->name;
        const bool other = starts(there, "ema.") != starts(prefix, "ema.");
        if (!other && mcf_store_find(store, there + strlen(prefix)) < 0)
            mcf_load_extra(&report, there);
    }
    return mcf_load_conclude(&report, mcf_safetensors_path(file), err);
}

mcf_status mcf_dense_load(const mcf_dense_model *model, const mcf_safetensors *file, const mcf_params *params,
                          mcf_error *err)
{
    const bool elsewhere = model->trains && model->model.init[0] && !mcf_safetensors_find(file, "backbone.cls_token");
    const bool averaged = !model->trains && mcf_safetensors_find(file, "ema.backbone.cls_token");
    MCF_TRY(load_network(model, file, averaged ? "ema." : "", elsewhere, params, err));
    if (elsewhere)
        MCF_TRY(load_backbone(model, params, err));
    copy_average(model, params);
    return MCF_OK;
}
