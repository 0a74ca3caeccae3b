#include "train/tasks/pretrain_run.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "model/contrast.h"
#include "model/mcf.h"
#include "run/weights.h"
#include "train/schedule.h"
#include "run/config/data.h"

// --- data

static mcf_status open_sources(mcf_run *run, mcf_error *err)
{
    const mcf_data_options *d = &run->config->data;
    MCF_TRY(mcf_data_open(&run->source, d, &d->train, err));
    for (int i = 0; i < mcf_source_note_count(run->source); i++)
        mcf_run_notice(run, "%s", mcf_source_note(run->source, i));
    if (d->fraction < 1)
        MCF_TRY(mcf_source_subset(run->source, d->fraction, run->config->seed, err));
    if (d->validation.count > 0)
        MCF_TRY(mcf_data_open(&run->validation, d, &d->validation, err));
    for (int i = 0; run->validation && i < mcf_source_note_count(run->validation); i++)
        mcf_run_notice(run, "%s", mcf_source_note(run->validation, i));
    return MCF_OK;
}

static mcf_status open_one_view(mcf_run *run, mcf_error *err)
{
    const mcf_data_options *d = &run->config->data;
    const int side = run->config->model.image_size;
    MCF_TRY(open_sources(run, err));
    run->crop = run->crop_still = mcf_data_crop(d, side);
    run->crop.flip = true;
    run->augment = (mcf_augment_options){.side = side, .views = 1, .view = {mcf_augment_crop(d->crop_min, d->filter)}};
    run->transform =
        d->crop == MCF_CROP_RANDOM ? mcf_transform_augment(&run->augment) : mcf_transform_center_crop(&run->crop);
    run->transform_still = mcf_transform_center_crop(&run->crop_still);
    return MCF_OK;
}

static mcf_status open_two_views(mcf_run *run, mcf_error *err)
{
    const mcf_data_options *d = &run->config->data;
    MCF_TRY(open_sources(run, err));
    run->augment = (mcf_augment_options){.side = run->config->model.image_size, .views = 2};
    for (int v = 0; v < run->augment.views; v++)
        run->augment.view[v] = mcf_augment_moco(v, d->crop_min, d->filter);
    run->transform = run->transform_still = mcf_transform_augment(&run->augment);
    return MCF_OK;
}

// --- start

// A run or checkpoint directory, of MoCo-v3 for instance, stands for its weights.
static mcf_status find_weights(char path[MCF_MAX_PATH], mcf_error *err)
{
    char found[MCF_MAX_PATH];
    if (!path[0])
        return MCF_OK;
    MCF_TRY(mcf_weights_find(path, found, sizeof found, err));
    strcpy(path, found);
    return MCF_OK;
}

static mcf_status start(mcf_run *run, mcf_error *err)
{
    mcf_engine *e = run->engine;
    mcf_pretrain_model *model = e->objective.model;
    MCF_TRY(find_weights(model->model.init, err));
    if (strcmp(model->model.teacher_checkpoint, "random") != 0)
        MCF_TRY(find_weights(model->model.teacher_checkpoint, err));
    return e->objective.start(&e->objective, run->config->seed, &e->params, err);
}

// --- inputs

// View `view` of a batch as inputs named image, flip with this suffix.
static mcf_status point_view(const mcf_batch *batch, int view, const char *image, const char *flip, mcf_inputs *to,
                             mcf_error *err)
{
    const size_t row = (size_t)batch->width * (size_t)batch->height * 3;
    MCF_TRY(mcf_inputs_point(to, image, batch->pixels + (size_t)(view * batch->count) * row, row, err));
    return mcf_inputs_point(to, flip, batch->flip + view * batch->count, 1, err);
}

static int64_t first_row(const mcf_run *run, const mcf_batch *batch)
{
    return run->engine->first * (int64_t)(batch->count / run->engine->local);
}

// Epoch and sample decide the masks.
static mcf_status masked_inputs(mcf_run *run, const mcf_batch *batch, const mcf_batch_place *place, mcf_inputs *to,
                                mcf_error *err)
{
    const mcf_pretrain_model *model = run->engine->objective.model;
    const int64_t patches = model->patches, rows = batch->count;
    const uint32_t epoch = (uint32_t)place->epoch;
    mcf_inputs_begin(to, rows);
    MCF_TRY(point_view(batch, 0, "image", "flip", to, err));
    int64_t *ids = malloc((size_t)(2 * rows * patches) * sizeof *ids + 1);
    if (!ids)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for masks");
    for (int64_t i = 0; i < rows; i++) {
        const uint64_t sample = (uint64_t)batch->sample[i];
        mcf_rng online = mcf_rng_make(run->config->seed, MCF_RNG_MASK_ONLINE, epoch, sample);
        mcf_rng target = mcf_rng_make(run->config->seed, MCF_RNG_MASK_TARGET, epoch, sample);
        mcf_rng_permutation(&online, ids + i * patches, patches);
        mcf_rng_permutation(&target, ids + (rows + i) * patches, patches);
    }
    mcf_status status = mcf_mcf_inputs(model, ids, ids + rows * patches, first_row(run, batch), to, err);
    free(ids);
    return status;
}

static mcf_status two_views(mcf_run *run, const mcf_batch *batch, const mcf_batch_place *place, mcf_inputs *to,
                            mcf_error *err)
{
    const mcf_config *c = run->config;
    const float momentum = (float)mcf_schedule_momentum(place->place, c->schedule.epochs, c->objective.momentum);
    mcf_inputs_begin(to, batch->count);
    MCF_TRY(point_view(batch, 0, "image1", "flip1", to, err));
    MCF_TRY(point_view(batch, 1, "image2", "flip2", to, err));
    MCF_TRY(mcf_contrastive_labels(first_row(run, batch), to, err));
    return place->training ? mcf_inputs_share(to, "momentum", &momentum, sizeof momentum, err) : MCF_OK;
}

static double cosine(const mcf_config *config, double place, double peak)
{
    const mcf_schedule_options *s = &config->schedule;
    return mcf_schedule_rate(place, s->epochs, s->warmup_epochs, peak, s->min_lr);
}

const mcf_task_run mcf_task_run_pretrain = {
    .open_data = open_one_view,
    .start = start,
    .inputs = masked_inputs,
    .rate = cosine,
    .validate = mcf_run_validate_losses,
    .pictures = mcf_run_make_pictures,
};

const mcf_task_run mcf_task_run_moco = {
    .open_data = open_two_views,
    .start = start,
    .inputs = two_views,
    .rate = cosine,
    .validate = mcf_run_validate_losses,
};
