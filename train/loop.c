// The loop of a run; method.md, "Optimisation".
#include "train/loop.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "run/config/check.h"
#include "train/run_state.h"
#include "train/tasks/dense_run.h"
#include "train/tasks/pretrain_run.h"

static void show(const mcf_run *run, const mcf_step_record *r)
{
    if (!run->options->progress || mcf_run_rank(run) > 0)
        return;
    const double rate = mcf_run_rate(run);
    const mcf_train_progress p = {.step = run->step,
                                  .steps = run->steps,
                                  .epoch = (int)run->epoch +
                                           (run->index > 0), // at the end of one the place is the next one's start
                                  .epochs = run->config->schedule.epochs,
                                  .losses = r->losses,
                                  .lr = r->lr,
                                  .images_per_second = mcf_run_images_per_second(run),
                                  .seconds_left = rate > 0 ? (double)(run->steps - run->step) / rate : -1,
                                  .loss_scale = run->loss_scale,
                                  .skipped = r->skipped,
                                  .broken = run->broken + run->broken_now,
                                  .unsupported = run->unsupported + run->unsupported_now};
    run->options->progress(run->options->context, &p);
}

// --- the run

static bool save_is_due(const mcf_run *run, bool epoch_ends)
{
    const mcf_period every = run->config->checkpoint.every;
    return every.epochs ? epoch_ends && run->epoch % every.count == 0 : run->step % every.count == 0;
}

static mcf_status validate(mcf_run *run, mcf_error *err)
{
    mcf_scores scores = {0};
    MCF_TRY(run->task->validate(run, &scores, err));
    MCF_TRY(mcf_run_log_validation(run, &scores, err));
    if (!scores.ranked || scores.count == 0)
        return MCF_OK;
    const double score = scores.score[0].value;
    mcf_run_notice(run, "epoch %lld: %s %.5g on data.validation", (long long)run->epoch, scores.score[0].name, score);
    if (!(isnan(run->best) || (scores.lower ? score < run->best : score > run->best)) || isnan(score))
        return MCF_OK;
    run->best = score;
    run->best_epoch = run->epoch;
    return mcf_run_rank(run) == 0 ? mcf_run_save_best(run, err) : MCF_OK;
}

static mcf_status loop(mcf_run *run, mcf_error *err)
{
    const mcf_config *c = run->config;
    const double peak = mcf_config_peak_rate(c, run->engine->world);
    for (;;) {
        bool stop;
        MCF_TRY(mcf_run_asked_to_stop(run, &stop, err));
        if (stop) {
            if (run->last_saved != run->step)
                MCF_TRY(mcf_run_save(run, err));
            return mcf_fail(err, MCF_ERR_INTERRUPTED, "stopped after step %lld of %lld, saved; go on with --resume",
                            (long long)run->step, (long long)run->steps);
        }
        const int64_t epoch = run->epoch;
        const double place = (double)epoch + (double)run->index / c->batch.accumulate / (double)run->steps_per_epoch;
        mcf_step_record record = {.lr = run->task->rate(c, place, peak)};
        bool end = false;
        MCF_TRY(mcf_run_step(run, &record, &end, err));
        if (end)
            break;
        const bool epoch_ends = run->epoch != epoch;
        record.epoch = epoch_ends
                           ? (double)epoch + 1
                           : (double)epoch + (double)run->index / c->batch.accumulate / (double)run->steps_per_epoch;
        mcf_run_pace(run);
        MCF_TRY(mcf_run_log_step(run, &record, err));
        show(run, &record);
        if (epoch_ends && run->validation)
            MCF_TRY(validate(run, err));
        if (save_is_due(run, epoch_ends))
            MCF_TRY(mcf_run_save(run, err));
    }
    return run->last_saved == run->step ? MCF_OK : mcf_run_save(run, err);
}

// Rank 0 first: what it writes beside shards, the others find. All must see the same images in the same places.
static mcf_status open_data_in_turn(mcf_run *run, mcf_error *err)
{
    mcf_cluster *cluster = run->options->job.cluster;
    const int rank = mcf_run_rank(run);
    if (rank == 0)
        MCF_TRY(run->task->open_data(run, err));
    if (!cluster)
        return MCF_OK;
    MCF_TRY(mcf_run_meet(run, err));
    if (rank > 0)
        MCF_TRY(run->task->open_data(run, err));
    struct {
        uint64_t fingerprint;
        int64_t images;
    } own = {mcf_source_fingerprint(run->source), mcf_source_count(run->source)}, all[MCF_MAX_RANKS];
    MCF_TRY(mcf_cluster_gather(cluster, &own, all, sizeof own, true, err));
    for (int r = 0; r < mcf_cluster_count(cluster); r++)
        if (all[r].fingerprint != all[0].fingerprint)
            return mcf_fail(err, MCF_ERR_USAGE,
                            "data.train: rank %d (%s) sees %lld images and rank 0 (%s) %lld, or other ones: all ranks "
                            "need the same files in the same places",
                            r, mcf_cluster_host(cluster, r), (long long)all[r].images, mcf_cluster_host(cluster, 0),
                            (long long)all[0].images);
    return MCF_OK;
}

// Of lists and linked folders only now is known where their pictures lie; RUN/pictures is the run's own.
static mcf_status check_pictures(const mcf_run *run, mcf_error *err)
{
    const mcf_source *const sources[] = {run->source, run->validation};
    char name[4096], *own = mcf_path_join(run->options->run, "pictures");
    mcf_status status = own ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for a path");
    for (int i = 0; status == MCF_OK && i < 2 && sources[i] && mcf_run_rank(run) == 0; i++)
        if (mcf_source_lies_in(sources[i], run->options->run, false, name, sizeof name) ||
            mcf_source_lies_in(sources[i], own, false, name, sizeof name))
            status =
                mcf_fail(err, MCF_ERR_USAGE, "%s: the image %s lies in it and might be replaced; give another --out",
                         run->options->run, name);
    free(own);
    return status;
}

static mcf_status open_loader(mcf_run *run, mcf_error *err)
{
    const mcf_config *c = run->config;
    const mcf_loader_options options = {.seed = c->seed,
                                        .batch = c->batch.per_device * run->engine->local,
                                        .rank = mcf_run_rank(run),
                                        .world = run->engine->world / run->engine->local,
                                        .workers = c->data.workers,
                                        .shuffle = true,
                                        .fill = run->task->whole_epochs,
                                        .multiple = c->batch.accumulate,
                                        .epoch = run->epoch,
                                        .index = run->index,
                                        .end_epoch = c->schedule.epochs};
    MCF_TRY(mcf_loader_create(&run->loader, run->source, &run->transform, &options, err));
    run->steps_per_epoch = mcf_loader_batches_per_epoch(run->loader) / c->batch.accumulate;
    run->steps =
        run->step + (c->schedule.epochs - run->epoch) * run->steps_per_epoch - run->index / c->batch.accumulate;
    mcf_run_pace(run);
    run->samples = malloc((size_t)options.batch * (size_t)c->batch.accumulate * sizeof *run->samples);
    run->losses = malloc((size_t)c->batch.accumulate * sizeof *run->losses);
    return run->samples && run->losses ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for a step");
}

static const mcf_task_run *task_of(const mcf_config *config)
{
    switch (config->task) {
    case MCF_TASK_ALIGN:
        return &mcf_task_run_align;
    case MCF_TASK_PARSE:
        return &mcf_task_run_parse;
    default:
        return config->objective.method == MCF_METHOD_MOCO_V3 ? &mcf_task_run_moco : &mcf_task_run_pretrain;
    }
}

static mcf_status train(mcf_run *run, mcf_error *err)
{
    run->task = task_of(run->config);
    MCF_TRY(mcf_config_check_run(run->config, err));
    if (mcf_run_rank(run) == 0)
        MCF_TRY(mcf_run_open(run, err));
    MCF_TRY(open_data_in_turn(run, err));
    MCF_TRY(check_pictures(run, err));
    MCF_TRY(mcf_engine_create(&run->engine, run->config, &run->options->job, true, err));
    MCF_TRY(mcf_run_start(run, err));
    if (run->epoch >= run->config->schedule.epochs) {
        mcf_run_notice(run, "%s is complete: %lld steps", run->options->run, (long long)run->step);
        return MCF_OK;
    }
    MCF_TRY(open_loader(run, err));
    if (mcf_run_rank(run) == 0) {
        if (run->last_saved < 0)
            MCF_TRY(mcf_run_write_config(run, err));
        MCF_TRY(mcf_run_log_open(run, err));
        MCF_TRY(mcf_run_log_changes(run, err));
        mcf_run_note_machine(run);
        if (run->task->pictures && (run->step == 0 || mcf_run_lacks_picture(run)))
            run->task->pictures(run); // a kill may have come between a checkpoint and its picture
    }
    MCF_TRY(mcf_run_meet(run, err));
    if (run->options->ready)
        run->options->ready(run->options->context);
    return loop(run, err);
}

mcf_status mcf_train(const mcf_config *config, const mcf_train_options *options, mcf_error *err)
{
    mcf_run run = {.config = config, .options = options, .lock = -1, .last_saved = -1, .loss_scale = 1, .best = NAN};
    if (config->precision == MCF_PRECISION_FP16)
        run.loss_scale = 65536;
    mcf_status status = train(&run, err);
    mcf_tensorboard_close(run.board);
    mcf_log_close(run.log);
    mcf_run_pictures_free(&run);
    mcf_loader_destroy(run.loader);
    mcf_source_close(run.source);
    mcf_source_close(run.validation);
    if (run.task && run.task->close)
        run.task->close(&run);
    mcf_engine_destroy(run.engine);
    mcf_inputs_free(&run.inputs);
    free(run.samples);
    free(run.losses);
    free(run.moment1);
    free(run.moment2);
    if (run.lock >= 0)
        close(run.lock);
    return status;
}
