#include "infer/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/load.h"
#include "run/config/data.h"

// --- the network

static mcf_status load(mcf_runtime *runtime, void *context, mcf_error *err)
{
    mcf_inference *in = context;
    mcf_params params;
    MCF_TRY(mcf_params_create(&in->model->store, &params, err));
    params.allow_nonfinite = in->allow_nonfinite || in->config.model.allow_nonfinite;
    mcf_status status = MCF_OK;
    if (!in->weights.file)
        mcf_pretrain_init(in->model, in->config.seed, &params);
    else if (in->model->decodes)
        status = mcf_params_load(in->model, in->weights.file, NULL, &params, err);
    else
        status = mcf_vit_load(&in->model->store, &in->model->online, in->weights.file, "online_encoder.", &params, err);
    if (status == MCF_OK)
        status = mcf_params_upload(&params, runtime, err);
    mcf_params_free(&params);
    return status;
}

static mcf_status open_network(mcf_inference *in, const mcf_inference_options *options, mcf_part part, mcf_error *err)
{
    const char *checkpoint = options->checkpoint;
    if (checkpoint) {
        MCF_TRY(mcf_weights_open_set(&in->weights, checkpoint, options->sets, options->set_count, err));
        in->config = in->weights.config;
    } else {
        in->config = *options->config;
    }
    in->allow_nonfinite = options->allow_nonfinite;
    MCF_TRY(mcf_config_check_task(&in->config, err));
    mcf_objective_options *o = &in->config.objective;
    if (part == MCF_PART_DECODER && o->method == MCF_METHOD_MOCO_V3)
        return mcf_fail(err, MCF_ERR_USAGE, "%s: trained by MoCo-v3, so it has no decoder",
                        checkpoint ? checkpoint : "the config");
    if (part == MCF_PART_DECODER && o->feature_weight <= 0 && o->pixel_weight <= 0)
        return mcf_fail(err, MCF_ERR_USAGE, "%s: trained on the contrastive term alone, so it has no decoder",
                        checkpoint ? checkpoint : "the config");
    if (o->pixel_weight <= 0)
        o->per_patch_norm = false;
    o->pixel_weight = part == MCF_PART_DECODER ? 1 : 0;
    o->feature_weight = 0;
    o->contrastive_weight = 0;
    // A trained encoder is read by itself. An untrained one of MoCo-v3 keeps its heads, and with them its own start.
    if (checkpoint)
        o->method = MCF_METHOD_MCF;
    MCF_TRY(mcf_pretrain_create(&in->config.model, o, &in->model, err));
    return mcf_inference_device_open(&in->device, &options->job, &in->model->store,
                                     mcf_precision_dtype(in->config.precision), load, in, err);
}

mcf_status mcf_inference_open(mcf_inference *in, const mcf_inference_options *options, mcf_part part, mcf_error *err)
{
    *in = (mcf_inference){0};
    mcf_status status = open_network(in, options, part, err);
    if (status != MCF_OK)
        mcf_inference_close(in);
    return status;
}

void mcf_inference_close(mcf_inference *in)
{
    mcf_inference_device_close(&in->device);
    mcf_pretrain_destroy(in->model);
    mcf_weights_close(&in->weights);
    *in = (mcf_inference){0};
}

// --- the images

mcf_status mcf_image_set_open(mcf_image_set *set, const mcf_image_set_options *o, mcf_error *err)
{
    const mcf_data_options *data = o->data;
    *set = (mcf_image_set){0};
    set->crop = mcf_data_crop(data, o->side);
    set->transform = mcf_transform_center_crop(&set->crop);
    mcf_status status = mcf_source_open_keys(&set->source, o->paths, (int)o->count, o->format,
                                             (const char *const *)data->image_keys.items, data->image_keys.count, err);
    if (status == MCF_OK) {
        mcf_source_tell(set->source, o->notice, o->context);
        const mcf_loader_options options = {.batch = o->batch,
                                            .workers = o->workers > 0 ? o->workers : data->workers,
                                            .keep_last = true,
                                            .keep_broken = true,
                                            .end_epoch = 1,
                                            .broken_min = INT64_MAX};
        status = mcf_loader_create(&set->loader, set->source, &set->transform, &options, err);
    }
    if (status != MCF_OK)
        mcf_image_set_close(set);
    return status;
}

void mcf_image_set_close(mcf_image_set *set)
{
    mcf_loader_destroy(set->loader);
    mcf_source_close(set->source);
    free(set->first_broken);
    free(set->first_unsupported);
    *set = (mcf_image_set){0};
}

static void remember_first(mcf_image_set *set)
{
    const mcf_loader_stats *stats = mcf_loader_get_stats(set->loader);
    set->unsupported = stats->unsupported;
    for (int i = 0; i < stats->recent_count; i++) {
        const bool kind = stats->recent[i].error.status == MCF_ERR_UNSUPPORTED;
        if (set->first_broken && (set->first_unsupported || !kind))
            continue;
        char name[1024], text[2200];
        mcf_source_name(set->source, stats->recent[i].sample, name, sizeof name);
        snprintf(text, sizeof text, "%s: %s", name, stats->recent[i].error.message);
        if (!set->first_broken)
            set->first_broken = strdup(text);
        if (kind && !set->first_unsupported)
            set->first_unsupported = strdup(text);
    }
}

mcf_status mcf_image_set_next(mcf_image_set *set, const mcf_batch **batch, int *rows, mcf_error *err)
{
    *rows = 0;
    MCF_TRY(mcf_loader_next(set->loader, batch, err));
    if (!*batch)
        return MCF_OK;
    const mcf_batch *b = *batch;
    const size_t image = (size_t)b->width * (size_t)b->height * 3;
    for (int i = 0; i < b->count; i++) {
        if (b->sample[i] < 0) {
            set->broken++;
            continue;
        }
        if (*rows != i) {
            memmove(b->pixels + (size_t)*rows * image, b->pixels + (size_t)i * image, image);
            b->flip[*rows] = b->flip[i];
            b->sample[*rows] = b->sample[i];
        }
        ++*rows;
    }
    set->place += b->count;
    if (set->broken)
        remember_first(set);
    return MCF_OK;
}

mcf_status mcf_image_set_check(const mcf_image_set *set, int64_t images, mcf_error *err)
{
    if (images > 0 || set->broken == 0)
        return MCF_OK;
    if (set->broken == 1)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s", set->first_broken);
    return mcf_fail(err, MCF_ERR_FORMAT, "none of the %lld images can be read; the first: %s", (long long)set->broken,
                    set->first_broken);
}
