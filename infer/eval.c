#include "infer/eval.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/faces/sample.h"
#include "data/loader.h"
#include "data/score/faces.h"
#include "infer/dense.h"
#include "run/config/faces.h"

typedef struct {
    const mcf_config *config;
    const mcf_eval_options *options;
    mcf_face_set set;
    mcf_dense_inference network;
    mcf_face_judge judge;
    double *pixels;  // align: [faces, points, 2], the points found
    int64_t *before; // parse: the confusion without the face being judged
    mcf_bytes found; // parse: its classes in the crop
    int number;      // of the network
    int64_t done;
} evaluation;

static void add(mcf_eval_network *to, double value, const char *name, const char *more)
{
    if (to->count == MCF_EVAL_MOST)
        return;
    mcf_eval_score *score = &to->score[to->count++];
    snprintf(score->name, sizeof score->name, "%.38s%s%.23s", name, more ? "." : "", more ? more : "");
    score->value = 100 * value;
}

// --- points

// The errors of a subset's faces under a normaliser; *count of them. Faces that were not judged are left out.
static mcf_status errors_of(const evaluation *e, const char *norm_name, int subset, double *errors, int64_t *count,
                            mcf_error *err)
{
    const mcf_face_set *set = &e->set;
    const mcf_norm *norm = mcf_norm_find(set->points, norm_name);
    if (!norm)
        return mcf_fail(err, MCF_ERR_USAGE, "%d points have no normaliser %s", set->points, norm_name);
    *count = 0;
    for (int64_t i = 0; i < set->count; i++) {
        if (isnan(e->judge.errors[i]) || (subset >= 0 && !(set->faces[i].subsets >> subset & 1)))
            continue;
        MCF_TRY(mcf_point_errors(e->pixels + i * set->points * 2, set->xy + i * set->points * 2, set->faces[i].box, 1,
                                 set->points, norm, &errors[(*count)++], err));
    }
    return MCF_OK;
}

static mcf_status score_norm(const evaluation *e, const char *norm, bool curve, double *errors, mcf_eval_network *to,
                             mcf_error *err)
{
    char name[MCF_EVAL_NAME];
    mcf_point_score score;
    int64_t count;
    for (int subset = -1; subset < e->set.subset_count; subset++) {
        MCF_TRY(errors_of(e, norm, subset, errors, &count, err));
        if (count == 0)
            continue;
        MCF_TRY(mcf_point_score_make(errors, count, 0, &score, err));
        snprintf(name, sizeof name, "nme.%s", norm);
        add(to, score.nme, name, subset < 0 ? NULL : e->set.subset_names[subset]);
    }
    if (!curve)
        return MCF_OK;
    const bool aflw = strcmp(e->set.layout->name, "aflw-19") == 0;
    const double threshold = e->options->threshold > 0 ? e->options->threshold : aflw ? 0.07 : 0.1;
    MCF_TRY(errors_of(e, norm, -1, errors, &count, err));
    MCF_TRY(mcf_point_score_make(errors, count, threshold, &score, err));
    add(to, e->options->exact_auc ? score.fr_exact : score.fr_farl, "fr", NULL);
    add(to, e->options->exact_auc ? score.auc_exact : score.auc_farl, "auc", NULL);
    const mcf_eval_judged judged = {
        .network = e->number, .set = &e->set, .errors = errors, .count = count, .norm = norm, .threshold = threshold};
    if (e->options->judged)
        e->options->judged(e->options->context, &judged);
    return MCF_OK;
}

// AFLW-19's papers have two normalisers, the curve over the box; the others one.
static mcf_status score_points(const evaluation *e, mcf_eval_network *to, mcf_error *err)
{
    const bool aflw = strcmp(e->set.layout->name, "aflw-19") == 0 && !e->options->normaliser;
    const char *usual = e->options->normaliser ? e->options->normaliser : mcf_face_norm_name(e->set.points);
    double *errors = malloc((size_t)e->set.count * sizeof *errors + 1);
    mcf_status status = errors ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the errors");
    if (status == MCF_OK)
        status = score_norm(e, usual, !aflw, errors, to, err);
    if (status == MCF_OK && aflw)
        status = score_norm(e, "box", true, errors, to, err);
    free(errors);
    return status;
}

// --- masks

static void score_masks(const evaluation *e, mcf_eval_network *to)
{
    double f1[MCF_FACE_MAX_CLASSES];
    const int classes = e->judge.classes;
    add(to, mcf_f1(e->judge.confusion, classes, 0, f1).mean, "f1", NULL);
    for (int c = 0; c < classes; c++) {
        char number[16];
        const char *name = mcf_face_class_name(e->set.layout, c);
        snprintf(number, sizeof number, "%d", c);
        if (!isnan(f1[c]))
            add(to, f1[c], "f1", name ? name : number);
    }
    const mcf_eval_judged judged = {
        .network = e->number, .set = &e->set, .confusion = e->judge.confusion, .classes = classes};
    if (e->options->judged)
        e->options->judged(e->options->context, &judged);
}

// --- one network

// The mean F1 of a face's classes, from what it has added to the confusion.
static double face_f1(evaluation *e)
{
    const int classes = e->judge.classes;
    double f1[MCF_FACE_MAX_CLASSES];
    for (int i = 0; i < classes * classes; i++)
        e->before[i] = e->judge.confusion[i] - e->before[i];
    const double mean = mcf_f1(e->before, classes, 0, f1).mean;
    memcpy(e->before, e->judge.confusion, (size_t)(classes * classes) * sizeof *e->before);
    return mean;
}

// The largest of the logits [classes, side, side] at each pixel of the crop.
static mcf_status find_classes(evaluation *e, const float *logits, mcf_error *err)
{
    const int64_t pixels = (int64_t)e->judge.still.size * e->judge.still.size;
    MCF_TRY(mcf_bytes_resize(&e->found, (size_t)pixels, err));
    for (int64_t i = 0; i < pixels; i++) {
        int best = 0;
        for (int c = 1; c < e->judge.classes; c++)
            if (logits[c * pixels + i] > logits[best * pixels + i])
                best = c;
        e->found.data[i] = (uint8_t)best;
    }
    return MCF_OK;
}

// extra: behind its head stand the true points, or the label map of the crop where it was asked for.
static mcf_status show(evaluation *e, const mcf_batch *batch, int row, const uint8_t *extra, int64_t face,
                       const float *out, mcf_error *err)
{
    const bool align = e->config->task == MCF_TASK_ALIGN;
    mcf_eval_face one = {.network = e->number,
                         .face = face,
                         .score = align ? e->judge.errors[face] : face_f1(e),
                         .side = batch->width,
                         .crop = batch->pixels + (size_t)row * (size_t)batch->width * (size_t)batch->height * 3};
    if (align) {
        one.points = out;
        one.truth = (const void *)(extra + sizeof(mcf_face_extra));
    } else if (e->options->draw) {
        MCF_TRY(find_classes(e, out, err));
        one.found = e->found.data;
        one.label = extra + sizeof(mcf_face_extra);
    }
    e->options->look(e->options->context, &one);
    return MCF_OK;
}

static mcf_status judge(evaluation *e, const mcf_batch *batch, size_t stride, const float *out, mcf_eval_network *to,
                        mcf_error *err)
{
    const bool align = e->config->task == MCF_TASK_ALIGN;
    for (int row = 0; row < batch->count; row++) {
        mcf_face_extra extra;
        const float *of = out + row * e->network.row;
        if (batch->sample[row] < 0) {
            to->broken++;
            continue;
        }
        memcpy(&extra, batch->extra + (size_t)row * stride, sizeof extra);
        if (align)
            MCF_TRY(mcf_face_judge_points(&e->judge, extra.face, extra.width, extra.height, of,
                                          e->pixels + (int64_t)extra.face * e->set.points * 2, err));
        else
            MCF_TRY(mcf_face_judge_logits(&e->judge, extra.face, extra.width, extra.height, of, NULL, err));
        to->faces++;
        if (e->options->look)
            MCF_TRY(show(e, batch, row, batch->extra + (size_t)row * stride, extra.face, of, err));
    }
    return MCF_OK;
}

static void note_broken(const mcf_loader *loader, const mcf_source *source, mcf_eval_network *to)
{
    const mcf_loader_stats *stats = mcf_loader_get_stats(loader);
    to->unsupported = stats->unsupported;
    if (to->first_broken[0] || stats->recent_count == 0)
        return;
    char name[200];
    snprintf(to->first_broken, sizeof to->first_broken, "%s: %.280s",
             mcf_source_name(source, stats->recent[0].sample, name, sizeof name), stats->recent[0].error.message);
}

static mcf_status judge_all(evaluation *e, mcf_loader *loader, const mcf_source *source, size_t stride, float *out,
                            mcf_eval_network *to, mcf_error *err)
{
    for (;;) {
        const mcf_batch *batch;
        MCF_TRY(mcf_loader_next(loader, &batch, err));
        if (!batch)
            break;
        MCF_TRY(mcf_dense_run(&e->network, batch->pixels, batch->count, out, err));
        MCF_TRY(judge(e, batch, stride, out, to, err));
        e->done += batch->count;
        if (e->options->progress)
            e->options->progress(e->options->context, e->done, e->set.count);
        if (e->options->stop && *e->options->stop)
            return mcf_fail(err, MCF_ERR_INTERRUPTED, "stopped after %lld faces", (long long)e->done);
    }
    note_broken(loader, source, to);
    return to->faces ? MCF_OK
                     : mcf_fail(err, MCF_ERR_FORMAT, "none of the %lld pictures can be read; the first: %s",
                                (long long)e->set.count, to->first_broken);
}

// Config and checkpoint must be of one kind: the crop that the config lays is what the network sees.
static mcf_status check(const evaluation *e, const char *checkpoint, mcf_error *err)
{
    const mcf_config *c = e->config, *of = mcf_dense_config(&e->network);
    if (c->task != of->task || c->dense.head.outputs != of->dense.head.outputs)
        return mcf_fail(err, MCF_ERR_USAGE, "%s: task %s with %d outputs; the config's is %s with %d", checkpoint,
                        of->task == MCF_TASK_ALIGN ? "align" : "parse", of->dense.head.outputs,
                        c->task == MCF_TASK_ALIGN ? "align" : "parse", c->dense.head.outputs);
    if (c->data.crop_size != of->data.crop_size)
        return mcf_fail(err, MCF_ERR_USAGE, "%s: trained with data.crop_size %d; the config says %d", checkpoint,
                        of->data.crop_size, c->data.crop_size);
    return MCF_OK;
}

// same: NULL, or the scores of another network of the run, which are these where it is of the same step.
static mcf_status evaluate(evaluation *e, const char *checkpoint, const mcf_eval_network *same, mcf_eval_network *to,
                           mcf_error *err)
{
    const bool align = e->config->task == MCF_TASK_ALIGN;
    const int batch = e->options->batch ? e->options->batch : 8;
    const mcf_face_augment augment = mcf_config_face_augment(e->config);
    const mcf_face_sample_options sample = {.set = &e->set,
                                            .augment = mcf_face_augment_still(&augment),
                                            .labels = !align && e->options->draw,
                                            .classes = align ? 0 : e->config->dense.head.outputs};
    const mcf_transform transform = mcf_face_transform(&sample);
    const mcf_loader_options options = {.batch = batch,
                                        .workers = e->config->data.workers,
                                        .keep_last = true,
                                        .keep_broken = true,
                                        .end_epoch = 1,
                                        .broken_min = INT64_MAX};
    mcf_source *source = NULL;
    mcf_loader *loader = NULL;
    float *out = NULL;
    mcf_status status = mcf_dense_open(&e->network, &e->options->job, checkpoint, batch, err);
    if (status == MCF_OK && same && same->step >= 0 && same->step == e->network.weights.step) {
        *to = *same; // the last network is the best one
        mcf_dense_close(&e->network);
        return MCF_OK;
    }
    if (status == MCF_OK)
        status = check(e, checkpoint, err);
    if (status == MCF_OK)
        status = mcf_face_judge_open(&e->judge, &e->set, &augment, e->options->normaliser,
                                     align ? 0 : e->config->dense.head.outputs, err);
    if (status == MCF_OK)
        status = mcf_face_source(&e->set, e->set.count, &source, err);
    if (status == MCF_OK)
        status = mcf_loader_create(&loader, source, &transform, &options, err);
    const size_t cells = (size_t)e->judge.classes * (size_t)e->judge.classes;
    if (status == MCF_OK && (!(out = malloc((size_t)(batch * e->network.row) * sizeof *out)) ||
                             !(e->before = calloc(cells + 1, sizeof *e->before))))
        status = mcf_fail(err, MCF_ERR_NOMEM, "no memory for a batch");
    if (status == MCF_OK)
        status = judge_all(e, loader, source, mcf_face_extra_size(&sample), out, to, err);
    if (status == MCF_OK && align)
        status = score_points(e, to, err);
    else if (status == MCF_OK)
        score_masks(e, to);
    to->step = e->network.weights.step;
    free(out);
    free(e->before);
    e->before = NULL;
    mcf_loader_destroy(loader);
    mcf_source_close(source);
    mcf_face_judge_close(&e->judge);
    mcf_dense_close(&e->network);
    e->done = 0;
    return status;
}

mcf_status mcf_eval(const mcf_config *config, const mcf_eval_options *options, mcf_eval_result *result, mcf_error *err)
{
    evaluation e = {.config = config, .options = options};
    char best[4096];
    *result = (mcf_eval_result){.image_size = config->model.image_size};
    if (config->task == MCF_TASK_PRETRAIN)
        return mcf_fail(err, MCF_ERR_USAGE, "task: pretrain; mcf eval scores align and parse");
    MCF_TRY(mcf_config_faces_read(&e.set, config, true, err));
    result->layout = e.set.layout->name;
    mcf_face_set_tell(&e.set, "data.validation", options->notice, options->context);
    mcf_status status = MCF_OK;
    if (options->limit > 0)
        status = mcf_face_set_subset(&e.set, (double)options->limit / (double)e.set.count, 0, err);
    if (status == MCF_OK && options->only)
        mcf_face_set_keep(&e.set, options->only);
    if (status == MCF_OK && config->task == MCF_TASK_ALIGN &&
        !(e.pixels = calloc((size_t)(e.set.count * e.set.points * 2) + 1, sizeof *e.pixels)))
        status = mcf_fail(err, MCF_ERR_NOMEM, "no memory for the points");
    snprintf(best, sizeof best, "%s/%s", options->checkpoint, MCF_RUN_BEST);
    const bool run = mcf_path_exists(best);
    snprintf(result->network[0].network, sizeof result->network[0].network, "%s", run ? "last" : "given");
    if (status == MCF_OK)
        status = evaluate(&e, options->checkpoint, NULL, &result->network[result->count++], err);
    if (status == MCF_OK && run && !options->last_only) {
        e.number = 1;
        status = evaluate(&e, best, &result->network[0], &result->network[result->count++], err);
        snprintf(result->network[1].network, sizeof result->network[1].network, "best");
    }
    free(e.pixels);
    mcf_bytes_free(&e.found);
    mcf_face_set_free(&e.set);
    return status;
}
