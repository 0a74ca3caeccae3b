// The loop of pre-training; method.md, "Optimisation".
#include "train/pretrain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/rng.h"
#include "train/pretrain_internal.h"
#include "train/schedule.h"

enum { SCALE_GROWS_AFTER = 2000, NAMES_IN_ERROR = 8 };
static const double smallest_scale = 0x1p-24;

void mcf_run_masks(const mcf_run *run, const mcf_batch *batch, uint32_t epoch, int64_t *ids, int64_t *ids_target)
{
    const int64_t patches = run->engine->model->patches;
    for (int i = 0; i < batch->count; i++) {
        const uint64_t sample = (uint64_t)batch->sample[i];
        mcf_rng online = mcf_rng_make(run->config->seed, MCF_RNG_MASK_ONLINE, epoch, sample);
        mcf_rng target = mcf_rng_make(run->config->seed, MCF_RNG_MASK_TARGET, epoch, sample);
        mcf_rng_permutation(&online, ids + i * patches, patches);
        mcf_rng_permutation(&target, ids_target + i * patches, patches);
    }
}

void mcf_run_parts(mcf_run *run, const mcf_batch *batch, uint32_t epoch, double place, mcf_pretrain_batch *parts)
{
    const mcf_config *c = run->config;
    const mcf_engine *e = run->engine;
    const int64_t side = c->model.image_size, share = batch->count / e->world, patches = e->model->patches;
    const int64_t view = (int64_t)batch->count; // rows of a view
    if (e->model->moco) {
        // The momentum rises to 1 by half a cosine.
        const double momentum = 1 - 0.5 * (1 + cos(M_PI * place / c->schedule.epochs)) * (1 - c->objective.momentum);
        for (int i = 0; i < e->world; i++)
            parts[i] = (mcf_pretrain_batch){.image = batch->pixels + i * share * side * side * 3,
                                            .image2 = batch->pixels + (view + i * share) * side * side * 3,
                                            .flip = batch->flip + i * share,
                                            .flip2 = batch->flip + view + i * share,
                                            .momentum = (float)momentum};
        return;
    }
    mcf_run_masks(run, batch, epoch, run->ids, run->ids_target);
    for (int i = 0; i < e->world; i++)
        parts[i] = (mcf_pretrain_batch){.image = batch->pixels + i * share * side * side * 3,
                                        .flip = batch->flip + i * share,
                                        .ids_shuffle = run->ids + i * share * patches,
                                        .ids_shuffle_target = run->ids_target + i * share * patches};
}

// --- one step

static mcf_status bad_loss(const mcf_run *run, const mcf_batch *batch, const mcf_losses *l, mcf_error *err)
{
    char names[640] = "";
    for (int i = 0; i < batch->count && i < NAMES_IN_ERROR; i++) {
        char name[256];
        mcf_source_name(run->source, batch->sample[i], name, sizeof name);
        if (strlen(names) + strlen(name) + 3 < sizeof names)
            sprintf(names + strlen(names), "%s%s", i ? ", " : "", name);
    }
    if (batch->count > NAMES_IN_ERROR)
        sprintf(names + strlen(names), " and %d more", batch->count - NAMES_IN_ERROR);
    char saved[96] = "there is no checkpoint yet";
    if (run->last_saved >= 0)
        snprintf(saved, sizeof saved, "the checkpoint of step %lld stays", (long long)run->last_saved);
    return mcf_fail(err, MCF_ERR_NUMERIC,
                    "step %lld: the loss is %g (feature %g, contrastive %g, pixel %g); %s; a lower optimizer.lr or a "
                    "longer schedule.warmup_epochs may help; images: %s",
                    (long long)run->step + 1, l->total, l->feature, l->contrastive, l->pixel, saved, names);
}

static void add_losses(mcf_losses *sum, const mcf_losses *part, double share)
{
    sum->total += part->total * share;
    sum->feature += part->feature * share;
    sum->contrastive += part->contrastive * share;
    sum->pixel += part->pixel * share;
}

// Gradients of all micro-batches of a step. *end: the schedule is over, nothing was done.
static mcf_status gradients(mcf_run *run, mcf_losses *losses, bool *end, mcf_error *err)
{
    const mcf_config *c = run->config;
    mcf_engine *e = run->engine;
    const int64_t batches = run->steps_per_epoch * c->batch.accumulate;
    const bool per_micro = c->objective.momentum_update == MCF_EMA_MICRO_BATCH;
    *losses = (mcf_losses){0};
    for (int micro = 0; micro < c->batch.accumulate; micro++) {
        const mcf_batch *batch;
        MCF_TRY(mcf_loader_next(run->loader, &batch, err));
        *end = batch == NULL;
        if (*end)
            return MCF_OK;
        MCF_TRY(mcf_run_log_broken(run, err));
        mcf_pretrain_batch parts[MCF_MAX_DEVICES];
        const double place = (double)batch->epoch + (double)batch->index / (double)batches;
        mcf_run_parts(run, batch, (uint32_t)batch->epoch, place, parts);
        if (micro == 0 && e->model->contrastive && !per_micro)
            MCF_TRY(mcf_engine_ema(e, c->objective.momentum, err));
        const mcf_micro_options options = {.batch = c->batch.per_device, .image_u8 = true, .backward = true,
                                           .average = e->model->moco || (e->model->contrastive && per_micro), .accumulate = micro > 0,
                                           .reduce = micro == c->batch.accumulate - 1,
                                           .loss_scale = (float)run->loss_scale};
        mcf_losses part;
        MCF_TRY(mcf_engine_run(e, &options, parts, &part, err));
        if (!isfinite(part.total))
            return bad_loss(run, batch, &part, err);
        add_losses(losses, &part, 1.0 / c->batch.accumulate);
        run->epoch = batch->next_epoch;
        run->index = batch->next_index;
    }
    return MCF_OK;
}

// Clips, updates the weights, and moves the loss scale (fp16).
static mcf_status update(mcf_run *run, mcf_step_record *r, mcf_error *err)
{
    const mcf_config *c = run->config;
    const mcf_optimizer_options *o = &c->optimizer;
    const bool scaled = c->precision == MCF_PRECISION_FP16;
    double norm2, grad_scale = 1 / (c->batch.accumulate * run->loss_scale);
    MCF_TRY(mcf_engine_gradient_norm2(run->engine, &norm2, err));
    r->gradient_norm = sqrt(norm2) * grad_scale;
    r->skipped = !isfinite(norm2);
    if (r->skipped) {
        if (!scaled)
            return mcf_fail(err, MCF_ERR_NUMERIC,
                            "step %lld: the gradients are not finite though the loss is %g; %s", (long long)run->step + 1,
                            r->losses.total, run->last_saved >= 0 ? "the last checkpoint stays" : "no checkpoint yet");
        run->loss_scale /= 2;
        run->good_steps = 0;
        if (run->loss_scale < smallest_scale)
            return mcf_fail(err, MCF_ERR_NUMERIC, "step %lld: the gradients are not finite at any loss scale",
                            (long long)run->step + 1);
        return MCF_OK;
    }
    if (o->clip_norm > 0 && r->gradient_norm > o->clip_norm)
        grad_scale *= o->clip_norm / r->gradient_norm;
    const mcf_adamw_step step = {.lr = r->lr, .beta1 = o->betas[0], .beta2 = o->betas[1], .eps = o->eps,
                                 .weight_decay = o->weight_decay, .step = ++run->updates, .grad_scale = grad_scale,
                                 .rate_factor = {1, 1, 1, 1}};
    MCF_TRY(mcf_engine_adamw(run->engine, &step, err));
    if (scaled && ++run->good_steps == SCALE_GROWS_AFTER) {
        run->loss_scale *= 2;
        run->good_steps = 0;
    }
    return MCF_OK;
}

static void show(const mcf_run *run, const mcf_step_record *r)
{
    if (!run->options->progress)
        return;
    const double rate = mcf_run_rate(run);
    const mcf_train_progress p = {
        .step = run->step, .steps = run->steps,
        .epoch = (int)(run->step - 1) / (int)run->steps_per_epoch + 1, .epochs = run->config->schedule.epochs,
        .loss = r->losses.total, .feature = r->losses.feature, .contrastive = r->losses.contrastive,
        .pixel = r->losses.pixel, .lr = r->lr, .images_per_second = mcf_run_images_per_second(run),
        .seconds_left = rate > 0 ? (double)(run->steps - run->step) / rate : -1, .loss_scale = run->loss_scale,
        .skipped = r->skipped, .broken = run->broken + mcf_loader_get_stats(run->loader)->broken};
    run->options->progress(run->options->context, &p);
}

// --- the run

static bool save_is_due(const mcf_run *run, bool epoch_ends)
{
    const mcf_period every = run->config->checkpoint.every;
    return every.epochs ? epoch_ends && run->epoch % every.count == 0 : run->step % every.count == 0;
}

static mcf_status loop(mcf_run *run, mcf_error *err)
{
    const mcf_config *c = run->config;
    const double peak = mcf_config_peak_rate(c, run->engine->world);
    for (;;) {
        if (run->options->stop && *run->options->stop) {
            if (run->last_saved != run->step)
                MCF_TRY(mcf_run_save(run, err));
            return mcf_fail(err, MCF_ERR_INTERRUPTED, "stopped after step %lld of %lld, saved; go on with --resume",
                            (long long)run->step, (long long)run->steps);
        }
        const int64_t epoch = run->epoch;
        const double place = (double)epoch + (double)run->index / c->batch.accumulate / (double)run->steps_per_epoch;
        mcf_step_record record = {
            .lr = mcf_schedule_rate(place, c->schedule.epochs, c->schedule.warmup_epochs, peak, c->schedule.min_lr)};
        bool end = false;
        MCF_TRY(gradients(run, &record.losses, &end, err));
        if (end)
            break;
        MCF_TRY(update(run, &record, err));
        run->step++;
        const bool epoch_ends = run->epoch != epoch;
        record.epoch = epoch_ends ? (double)epoch + 1
                                  : (double)epoch + (double)run->index / c->batch.accumulate / (double)run->steps_per_epoch;
        mcf_run_pace(run);
        MCF_TRY(mcf_run_log_step(run, &record, err));
        show(run, &record);
        if (epoch_ends && run->validation) {
            mcf_losses losses;
            MCF_TRY(mcf_run_validate(run, &losses, err));
            MCF_TRY(mcf_run_log_validation(run, &losses, err));
        }
        if (save_is_due(run, epoch_ends))
            MCF_TRY(mcf_run_save(run, err));
    }
    return run->last_saved == run->step ? MCF_OK : mcf_run_save(run, err);
}

static mcf_status open_data(mcf_run *run, mcf_error *err)
{
    const mcf_data_options *d = &run->config->data;
    // MCF_FORMAT_* and MCF_SOURCE_* name the same four kinds in the same order.
    const mcf_source_format format = (mcf_source_format)d->format;
    MCF_TRY(mcf_source_open(&run->source, (const char *const *)d->train.items, d->train.count, format, err));
    for (int i = 0; i < mcf_source_note_count(run->source); i++)
        mcf_run_notice(run, "%s", mcf_source_note(run->source, i));
    if (d->fraction < 1)
        MCF_TRY(mcf_source_subset(run->source, d->fraction, run->config->seed, err));
    if (d->validation.count > 0)
        MCF_TRY(mcf_source_open(&run->validation, (const char *const *)d->validation.items, d->validation.count,
                                format, err));
    const bool moco = run->config->objective.method == MCF_METHOD_MOCO_V3;
    const mcf_center_crop_options crop = {.side = run->config->model.image_size, .filter = d->filter,
                                          .fast_decode = d->fast_decode, .flip = true};
    run->crop = run->crop_still = crop;
    run->crop_still.flip = false;
    run->augment = (mcf_augment_options){.side = run->config->model.image_size, .views = moco ? 2 : 1};
    for (int v = 0; v < run->augment.views; v++)
        run->augment.view[v] =
            moco ? mcf_augment_moco(v, d->crop_min, d->filter) : mcf_augment_crop(d->crop_min, d->filter);
    const bool random = moco || d->crop == MCF_CROP_RANDOM;
    run->transform = random ? mcf_transform_augment(&run->augment) : mcf_transform_center_crop(&run->crop);
    run->transform_still = moco ? run->transform : mcf_transform_center_crop(&run->crop_still);
    return MCF_OK;
}

static mcf_status open_loader(mcf_run *run, mcf_error *err)
{
    const mcf_config *c = run->config;
    const mcf_loader_options options = {.seed = c->seed,
                                        .batch = c->batch.per_device * run->engine->world,
                                        .workers = c->data.workers,
                                        .shuffle = true,
                                        .multiple = c->batch.accumulate,
                                        .epoch = run->epoch,
                                        .index = run->index,
                                        .end_epoch = c->schedule.epochs};
    MCF_TRY(mcf_loader_create(&run->loader, run->source, &run->transform, &options, err));
    run->steps_per_epoch = mcf_loader_batches_per_epoch(run->loader) / c->batch.accumulate;
    run->steps = run->step + (c->schedule.epochs - run->epoch) * run->steps_per_epoch - run->index / c->batch.accumulate;
    mcf_run_pace(run);
    const size_t ids = (size_t)options.batch * (size_t)run->engine->model->patches;
    run->ids = malloc(ids * sizeof *run->ids);
    run->ids_target = malloc(ids * sizeof *run->ids_target);
    return run->ids && run->ids_target ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the masks");
}

static mcf_status pretrain(mcf_run *run, mcf_error *err)
{
    MCF_TRY(mcf_engine_check(run->config, err));
    MCF_TRY(mcf_config_check_run(run->config, err));
    MCF_TRY(mcf_run_open(run, err));
    MCF_TRY(open_data(run, err));
    MCF_TRY(mcf_engine_create(&run->engine, run->config, &run->options->job, true, err));
    MCF_TRY(mcf_run_start(run, err));
    if (run->epoch >= run->config->schedule.epochs) {
        mcf_run_notice(run, "%s is complete: %lld steps", run->options->run, (long long)run->step);
        return MCF_OK;
    }
    MCF_TRY(open_loader(run, err));
    if (run->last_saved < 0)
        MCF_TRY(mcf_run_write_config(run, err));
    MCF_TRY(mcf_run_log_open(run, err));
    mcf_run_note_machine(run);
    if (run->step == 0)
        mcf_run_make_pictures(run);
    return loop(run, err);
}

mcf_status mcf_pretrain(const mcf_config *config, const mcf_pretrain_options *options, mcf_error *err)
{
    mcf_run run = {.config = config, .options = options, .lock = -1, .last_saved = -1, .loss_scale = 1};
    if (config->precision == MCF_PRECISION_FP16)
        run.loss_scale = 65536;
    mcf_status status = pretrain(&run, err);
    mcf_tensorboard_close(run.board);
    mcf_log_close(run.log);
    mcf_run_pictures_free(&run);
    mcf_loader_destroy(run.loader);
    mcf_source_close(run.source);
    mcf_source_close(run.validation);
    mcf_engine_destroy(run.engine);
    free(run.ids);
    free(run.ids_target);
    free(run.moment1);
    free(run.moment2);
    if (run.lock >= 0)
        close(run.lock);
    return status;
}
