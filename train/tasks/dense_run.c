#include "train/tasks/dense_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/faces/sample.h"
#include "data/score/faces.h"
#include "run/config/faces.h"
#include "run/weights.h"
#include "train/schedule.h"
#include "train/tasks/dense.h"

struct mcf_run_faces {
    mcf_face_set train, validation;
    mcf_face_sample_options random, still;
};

// --- data

static void tell(void *context, const char *line)
{
    mcf_run_notice(context, "%s", line);
}

static mcf_face_sample_options sample_options(const mcf_config *config, const mcf_face_set *set, bool random)
{
    const bool labels = config->task == MCF_TASK_PARSE;
    const mcf_face_augment augment = mcf_config_face_augment(config);
    return (mcf_face_sample_options){.set = set,
                                     .augment = random ? augment : mcf_face_augment_still(&augment),
                                     .random = random,
                                     .labels = labels,
                                     .classes = labels ? config->dense.head.outputs : 0};
}

static mcf_status open_data(mcf_run *run, mcf_error *err)
{
    const mcf_config *c = run->config;
    struct mcf_run_faces *faces = run->faces = calloc(1, sizeof *faces);
    if (!faces)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the faces");
    MCF_TRY(mcf_config_faces_read(&faces->train, c, false, err));
    mcf_face_set_tell(&faces->train, "data.train", tell, run);
    MCF_TRY(mcf_face_source(&faces->train, faces->train.whole, &run->source, err));
    faces->random = sample_options(c, &faces->train, true);
    run->transform = mcf_face_transform(&faces->random);
    if (c->data.validation.count == 0)
        return MCF_OK;
    MCF_TRY(mcf_config_faces_read(&faces->validation, c, true, err));
    mcf_face_set_tell(&faces->validation, "data.validation", tell, run);
    MCF_TRY(mcf_face_source(&faces->validation, faces->validation.count, &run->validation, err));
    faces->still = sample_options(c, &faces->validation, false);
    run->transform_still = mcf_face_transform(&faces->still);
    return MCF_OK;
}

static void close_data(mcf_run *run)
{
    if (!run->faces)
        return;
    mcf_face_set_free(&run->faces->train);
    mcf_face_set_free(&run->faces->validation);
    free(run->faces);
    run->faces = NULL;
}

static mcf_status start(mcf_run *run, mcf_error *err)
{
    mcf_engine *e = run->engine;
    mcf_dense_model *model = e->objective.model;
    char found[MCF_MAX_PATH];
    if (model->model.init[0]) {
        MCF_TRY(mcf_weights_find(model->model.init, found, sizeof found, err));
        strcpy(model->model.init, found);
    }
    return e->objective.start(&e->objective, run->config->seed, &e->params, err);
}

static double milestones(const mcf_config *config, double place, double peak)
{
    const mcf_schedule_options *s = &config->schedule;
    return mcf_schedule_milestones(place, s->milestones, s->milestone_count, peak, s->factor);
}

// --- inputs

static const uint8_t *extra_of(const mcf_run *run, const mcf_batch *batch, int row, bool training)
{
    const size_t stride = mcf_face_extra_size(training ? &run->faces->random : &run->faces->still);
    return batch->extra + (size_t)row * stride;
}

static bool is_there(const mcf_batch *batch, int row)
{
    return row < batch->count && batch->sample[row] >= 0;
}

// The row that is given in place of one that is not there (behind the last face, or broken), so that a batch's losses are
// those of faces, if some count twice; -1: there is none.
static int stand_in(const mcf_batch *batch, int row)
{
    for (int k = 0; k < batch->count; k++)
        if (is_there(batch, (row + k) % batch->count))
            return (row + k) % batch->count;
    return -1;
}

static mcf_status add_images(const mcf_batch *batch, mcf_inputs *to, mcf_error *err)
{
    const size_t image = (size_t)batch->width * (size_t)batch->height * 3;
    bool all = true;
    for (int row = 0; row < to->rows; row++)
        all = all && is_there(batch, row);
    if (all)
        return mcf_inputs_point(to, "image", batch->pixels, image, err);
    uint8_t *pixels = mcf_inputs_take(to, "image", image, err);
    if (!pixels)
        return MCF_ERR_NOMEM;
    for (int row = 0; row < to->rows; row++) {
        const int from = stand_in(batch, row);
        if (from >= 0)
            memcpy(pixels + (size_t)row * image, batch->pixels + (size_t)from * image, image);
        else
            memset(pixels + (size_t)row * image, 0, image);
    }
    return MCF_OK;
}

static mcf_status add_points(mcf_run *run, const mcf_batch *batch, bool training, mcf_inputs *to, mcf_error *err)
{
    const size_t row_bytes = (size_t)run->config->dense.head.outputs * 2 * sizeof(float);
    uint8_t *points = mcf_inputs_take(to, "points", row_bytes, err);
    if (!points)
        return MCF_ERR_NOMEM;
    memset(points, 0, (size_t)to->rows * row_bytes);
    for (int row = 0; row < to->rows; row++) {
        const int from = stand_in(batch, row);
        if (from >= 0)
            memcpy(points + (size_t)row * row_bytes, extra_of(run, batch, from, training) + sizeof(mcf_face_extra),
                   row_bytes);
    }
    return MCF_OK;
}

static mcf_status add_labels(mcf_run *run, const mcf_batch *batch, bool training, mcf_inputs *to, mcf_error *err)
{
    const int64_t pixels = (int64_t)run->config->data.crop_size * run->config->data.crop_size;
    int64_t *label = mcf_inputs_take(to, "label", (size_t)pixels * sizeof *label, err);
    if (!label)
        return MCF_ERR_NOMEM;
    memset(label, 0, (size_t)(to->rows * pixels) * sizeof *label);
    for (int row = 0; row < to->rows; row++) {
        const int from = stand_in(batch, row);
        const uint8_t *bytes = from >= 0 ? extra_of(run, batch, from, training) + sizeof(mcf_face_extra) : NULL;
        for (int64_t i = 0; bytes && i < pixels; i++)
            label[row * pixels + i] = bytes[i];
    }
    return MCF_OK;
}

static mcf_status inputs(mcf_run *run, const mcf_batch *batch, const mcf_batch_place *place, mcf_inputs *to,
                         mcf_error *err)
{
    const mcf_config *c = run->config;
    mcf_inputs_begin(to, (int64_t)c->batch.per_device * run->engine->local);
    MCF_TRY(add_images(batch, to, err));
    MCF_TRY(mcf_inputs_point(to, "flip", batch->flip, 1, err));
    MCF_TRY((c->task == MCF_TASK_ALIGN ? add_points : add_labels)(run, batch, place->training, to, err));
    return mcf_dense_keep(c, (uint32_t)place->epoch, place->training ? batch->sample : NULL, 0, to, err);
}

// --- validation

typedef struct {
    mcf_face_judge judge;
    mcf_micro_options micro;
    const char *output;
    float *values;     // of a batch, of this process's devices: the ranks exchange what they have counted, not outputs
    int64_t row;       // elements of one image
    int64_t broken;    // pictures of this rank that cannot be read
    int64_t given;     // faces of the batches so far, of all ranks
    mcf_losses losses; // sums over the faces weighed
    int64_t weighed;
} validation;

// Adds a batch's losses. They are means over the devices, so the last batch, which may leave some rank with fewer faces or
// with none, counts only where there is a single process.
static mcf_status add_losses(mcf_run *run, validation *v, mcf_error *err)
{
    const mcf_engine *e = run->engine;
    const int64_t batch = v->micro.batch * e->world, left = run->faces->validation.count - v->given;
    const int64_t weight = left >= batch ? batch : e->world == e->local ? left : 0;
    mcf_losses losses;
    MCF_TRY(mcf_engine_losses(run->engine, 1, &losses, err));
    if (weight > 0)
        mcf_losses_add(&v->losses, &losses, (double)weight);
    v->weighed += weight;
    v->given += batch;
    return MCF_OK;
}

static mcf_status judge_batch(mcf_run *run, validation *v, const mcf_batch *batch, mcf_error *err)
{
    mcf_engine *e = run->engine;
    const mcf_batch_place place = {.training = false};
    MCF_TRY(inputs(run, batch, &place, &run->inputs, err));
    MCF_TRY(mcf_engine_run(e, &v->micro, &run->inputs, err));
    MCF_TRY(mcf_engine_output_own(e, &v->micro, v->output, v->values, err));
    MCF_TRY(add_losses(run, v, err));
    for (int row = 0; row < batch->count; row++) {
        mcf_face_extra extra;
        if (!is_there(batch, row)) {
            v->broken++;
            continue;
        }
        memcpy(&extra, extra_of(run, batch, row, false), sizeof extra);
        if (run->config->task == MCF_TASK_ALIGN)
            MCF_TRY(mcf_face_judge_points(&v->judge, extra.face, extra.width, extra.height, v->values + row * v->row,
                                          NULL, err));
        else
            MCF_TRY(mcf_face_judge_logits(&v->judge, extra.face, extra.width, extra.height, v->values + row * v->row,
                                          NULL, err));
    }
    return MCF_OK;
}

// All faces, whether or not a stop is asked for: the best epoch depends on the score.
static mcf_status judge_all(mcf_run *run, validation *v, mcf_loader *loader, mcf_error *err)
{
    mcf_shape shape;
    MCF_TRY(mcf_engine_share_statistics(run->engine, err));
    MCF_TRY(mcf_engine_output_shape(run->engine, &v->micro, v->output, &shape, err));
    v->row = mcf_shape_count(&shape) / shape.dim[0];
    const int64_t faces = v->micro.batch * run->engine->local;
    v->values = malloc((size_t)(faces * v->row) * sizeof *v->values);
    if (!v->values)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the outputs of %lld faces", (long long)faces);
    for (;;) {
        const mcf_batch *batch;
        MCF_TRY(mcf_loader_next(loader, &batch, err));
        if (!batch)
            return MCF_OK;
        MCF_TRY(judge_batch(run, v, batch, err));
    }
}

// What the ranks have found, each of its own faces, becomes everybody's: `count` elements of 8 bytes from each rank, joined
// by `join` (all of an element: one from each rank) into `own`.
static mcf_status join_ranks(const mcf_run *run, void *own, int64_t count,
                             void (*join)(void *to, const void *all, int64_t count, int ranks), mcf_error *err)
{
    mcf_cluster *cluster = run->options->job.cluster;
    if (!cluster)
        return MCF_OK;
    const int ranks = mcf_cluster_count(cluster);
    void *all = malloc((size_t)count * 8 * (size_t)ranks + 1);
    if (!all)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the scores of %d ranks", ranks);
    mcf_status status = mcf_cluster_gather(cluster, own, all, (uint64_t)count * 8, true, err);
    if (status == MCF_OK)
        join(own, all, count, ranks);
    free(all);
    return status;
}

static void add_counts(void *to, const void *all, int64_t count, int ranks)
{
    int64_t *sum = to;
    const int64_t *of = all;
    for (int64_t i = 0; i < count; i++) {
        sum[i] = 0;
        for (int r = 0; r < ranks; r++)
            sum[i] += of[r * count + i];
    }
}

static void take_numbers(void *to, const void *all, int64_t count, int ranks)
{
    double *found = to;
    const double *of = all;
    for (int64_t i = 0; i < count; i++)
        for (int r = 0; r < ranks; r++)
            if (!isnan(of[r * count + i]))
                found[i] = of[r * count + i];
}

static void add_score(mcf_scores *scores, const char *name, double value)
{
    if (scores->count == MCF_MAX_SCORES)
        return;
    snprintf(scores->score[scores->count].name, MCF_SCORE_NAME, "%s", name);
    scores->score[scores->count++].value = value;
}

// Behind the first score, by which networks are ranked.
static void loss_scores(const validation *v, mcf_scores *scores)
{
    for (int i = 0; v->weighed > 0 && i < v->losses.count; i++)
        add_score(scores, v->losses.name[i], v->losses.value[i] / (double)v->weighed);
}

// NME of all faces, the losses, NME of each subset; errors in parts of the normaliser.
static mcf_status point_scores(const mcf_run *run, validation *v, mcf_scores *scores, mcf_error *err)
{
    const mcf_face_set *set = v->judge.set;
    scores->lower = true;
    MCF_TRY(join_ranks(run, v->judge.errors, set->count, take_numbers, err));
    for (int subset = -1; subset < set->subset_count; subset++) {
        double sum = 0;
        int64_t count = 0;
        for (int64_t i = 0; i < set->count; i++) {
            const bool in = subset < 0 || set->faces[i].subsets >> subset & 1;
            if (!in || isnan(v->judge.errors[i]))
                continue;
            sum += v->judge.errors[i];
            count++;
        }
        char name[MCF_SCORE_NAME];
        snprintf(name, sizeof name, subset < 0 ? "nme" : "nme.%s", subset < 0 ? "" : set->subset_names[subset]);
        if (count)
            add_score(scores, name, sum / (double)count);
        if (subset < 0)
            loss_scores(v, scores);
    }
    return MCF_OK;
}

static mcf_status mask_scores(const mcf_run *run, validation *v, mcf_scores *scores, mcf_error *err)
{
    const int classes = v->judge.classes;
    double f1[MCF_FACE_MAX_CLASSES];
    MCF_TRY(join_ranks(run, v->judge.confusion, (int64_t)classes * classes, add_counts, err));
    add_score(scores, "f1", mcf_f1(v->judge.confusion, classes, 0, f1).mean);
    loss_scores(v, scores);
    for (int c = 0; c < classes; c++) {
        char name[MCF_SCORE_NAME];
        snprintf(name, sizeof name, "f1.%d", c);
        if (!isnan(f1[c]))
            add_score(scores, name, f1[c]);
    }
    return MCF_OK;
}

static mcf_status validate(mcf_run *run, mcf_scores *scores, mcf_error *err)
{
    const mcf_config *c = run->config;
    const mcf_engine *e = run->engine;
    const bool align = c->task == MCF_TASK_ALIGN;
    const mcf_loader_options options = {.seed = c->seed,
                                        .batch = c->batch.per_device * e->local,
                                        .rank = mcf_run_rank(run),
                                        .world = e->world / e->local,
                                        .workers = c->data.workers,
                                        .keep_last = true,
                                        .keep_broken = true,
                                        .end_epoch = 1};
    validation v = {.micro = {.batch = c->batch.per_device, .image_u8 = true, .evaluate = true},
                    .output = align ? "eval.points" : "eval.logits",
                    .losses = mcf_losses_of(&e->objective)};
    mcf_loader *loader = NULL;
    mcf_status status = mcf_face_judge_open(&v.judge, &run->faces->validation, &run->faces->still.augment, NULL,
                                            align ? 0 : c->dense.head.outputs, err);
    if (status == MCF_OK)
        status = mcf_loader_create(&loader, run->validation, &run->transform_still, &options, err);
    if (status == MCF_OK)
        status = judge_all(run, &v, loader, err);
    if (status == MCF_OK)
        status = (align ? point_scores : mask_scores)(run, &v, scores, err);
    scores->ranked = true;
    if (status == MCF_OK && v.broken)
        mcf_run_notice(run, "data.validation: %lld pictures cannot be read and are left out of the scores",
                       (long long)v.broken);
    const int64_t unsupported = loader ? mcf_loader_get_stats(loader)->unsupported : 0;
    if (status == MCF_OK && unsupported)
        mcf_run_notice(run, "data.validation: %lld of them are not damaged but of a kind that is not read",
                       (long long)unsupported);
    mcf_loader_destroy(loader);
    mcf_face_judge_close(&v.judge);
    free(v.values);
    return status;
}

const mcf_task_run mcf_task_run_align = {
    .open_data = open_data,
    .start = start,
    .inputs = inputs,
    .rate = milestones,
    .validate = validate,
    .close = close_data,
    .whole_epochs = true,
};

const mcf_task_run mcf_task_run_parse = {
    .open_data = open_data,
    .start = start,
    .inputs = inputs,
    .rate = milestones,
    .validate = validate,
    .close = close_data,
    .whole_epochs = true,
};
