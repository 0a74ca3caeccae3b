// What the report computes with a run of alignment or parsing: scores of its validation faces, and drawings of those that
// the runs get best and worst.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/faces/draw.h"
#include "data/samples.h"
#include "report/internal.h"
#include "run/config/faces.h"

const uint8_t mcf_report_truth_colour[3] = {255, 255, 255}, mcf_report_found_colour[3] = {0, 120, 255};

// --- scores of all faces

// A run, and what becomes of its faces.
typedef struct {
    const mcf_report_options *options;
    mcf_report_run *run;
    int64_t room;   // of run->face_score
    bool no_memory; // callbacks cannot fail
} judging;

static void on_progress(void *context, int64_t done, int64_t total)
{
    const judging *j = context;
    if (j->options->progress)
        j->options->progress(j->options->context, done, total);
}

static void take_score(void *context, const mcf_eval_face *face)
{
    judging *j = context;
    mcf_report_run *run = j->run;
    if (face->network != 0 || j->no_memory)
        return;
    if (face->face >= j->room) {
        const int64_t room = 2 * (face->face + 32);
        double *more = realloc(run->face_score, (size_t)room * sizeof *more);
        if (!more) {
            j->no_memory = true;
            return;
        }
        run->face_score = more;
        j->room = room;
    }
    for (; run->face_count <= face->face; run->face_count++)
        run->face_score[run->face_count] = NAN;
    run->face_score[face->face] = face->score;
}

static void take_judged(void *context, const mcf_eval_judged *judged)
{
    judging *j = context;
    mcf_report_run *run = j->run;
    const size_t cells = (size_t)judged->classes * (size_t)judged->classes;
    if (judged->network != 0)
        return;
    run->layout = judged->set->layout;
    run->classes = judged->classes;
    run->threshold = judged->threshold;
    run->error_count = judged->errors ? judged->count : 0;
    snprintf(run->norm, sizeof run->norm, "%s", judged->norm ? judged->norm : "");
    run->errors = malloc((size_t)run->error_count * sizeof *run->errors + 1);
    run->confusion = malloc(cells * sizeof *run->confusion + 1);
    if (!run->errors || !run->confusion) {
        j->no_memory = true;
        return;
    }
    if (judged->errors)
        memcpy(run->errors, judged->errors, (size_t)run->error_count * sizeof *run->errors);
    if (cells)
        memcpy(run->confusion, judged->confusion, cells * sizeof *run->confusion);
}

static mcf_status judge(mcf_report_run *run, const mcf_report_options *options, mcf_error *err)
{
    judging j = {.options = options, .run = run};
    const mcf_eval_options eval = {.job = options->job,
                                   .checkpoint = run->path,
                                   .limit = options->limit,
                                   .look = take_score,
                                   .judged = take_judged,
                                   .stop = options->stop,
                                   .progress = on_progress,
                                   .context = &j};
    run->eval = calloc(1, sizeof *run->eval);
    if (!run->eval)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the scores");
    MCF_TRY(mcf_eval(&run->config, &eval, run->eval, err));
    if (j.no_memory)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the scores of the faces");
    run->judged = true;
    return MCF_OK;
}

mcf_status mcf_report_run_judge(mcf_report_run *run, const mcf_report_options *options, mcf_error *err)
{
    const mcf_path_list *paths = &run->config.data.validation;
    mcf_error reason = {0};
    if (options->quick)
        mcf_fail(&reason, MCF_ERR_USAGE, "left out with --quick");
    else if (run->checkpoint_error[0])
        mcf_fail(&reason, MCF_ERR_IO, "%s", run->checkpoint_error);
    else if (paths->count == 0)
        mcf_fail(&reason, MCF_ERR_USAGE, "the config has no data.validation");
    for (int i = 0; i < paths->count && !reason.message[0]; i++)
        if (!mcf_path_exists(paths->items[i]))
            mcf_fail(&reason, MCF_ERR_IO, "%s is not there; write the report where the config's data.validation is",
                     paths->items[i]);
    for (int i = 0; i < paths->count; i++) {
        const size_t used = strlen(run->source_names);
        snprintf(run->source_names + used, sizeof run->source_names - used, "%s%s", i ? ", " : "", paths->items[i]);
    }
    mcf_status status = reason.message[0] ? MCF_OK : judge(run, options, &reason);
    if (status == MCF_ERR_INTERRUPTED)
        return mcf_fail(err, status, "stopped; no report was written");
    snprintf(run->judge_error, sizeof run->judge_error, "%s", run->judged ? "" : reason.message);
    return MCF_OK;
}

// --- drawings

bool mcf_report_same_faces(const mcf_report_run *a, const mcf_report_run *b)
{
    const mcf_path_list *x = &a->config.data.validation, *y = &b->config.data.validation;
    if (!a->judged || !b->judged || a->group != b->group || a->face_count != b->face_count || x->count != y->count ||
        strcmp(a->config.data.validation_split, b->config.data.validation_split) != 0)
        return false;
    for (int i = 0; i < x->count; i++)
        if (strcmp(x->items[i], y->items[i]) != 0)
            return false;
    return true;
}

typedef struct {
    double score;
    int64_t face;
} ranked;

static int by_score(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? -1 : 1;
    return (x->face > y->face) - (x->face < y->face);
}

// The faces that the runs which are scored on the same ones get best and worst, by the mean of their scores: the best in
// falling order, then the worst, the very worst first.
static mcf_status choose_faces(mcf_report_run *run, const mcf_report_run *runs, int run_count, mcf_error *err)
{
    const bool lower = run->config.task == MCF_TASK_ALIGN;
    ranked *list = malloc((size_t)run->face_count * sizeof *list + 1);
    int64_t count = 0;
    if (!list)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory to rank the faces");
    for (int64_t i = 0; i < run->face_count; i++) {
        ranked *r = &list[count];
        *r = (ranked){0, i};
        for (int k = 0; k < run_count; k++)
            if (&runs[k] == run || mcf_report_same_faces(run, &runs[k]))
                r->score += (lower ? 1 : -1) * runs[k].face_score[i];
        count += isfinite(r->score);
    }
    qsort(list, (size_t)count, sizeof *list, by_score);
    const int64_t half = count / 2 < MCF_REPORT_FACES ? count / 2 : MCF_REPORT_FACES;
    run->best_count = count == 1 ? 1 : (int)half;
    run->drawn_count = run->best_count + (int)half;
    for (int i = 0; i < run->drawn_count; i++)
        run->drawn[i].face = i < run->best_count ? list[i].face : list[count - 1 - (i - run->best_count)].face;
    free(list);
    return MCF_OK;
}

typedef struct {
    mcf_report_run *run;
    const mcf_report_options *options;
    int64_t number[2 * MCF_REPORT_FACES]; // the drawn faces, rising
    mcf_error err;
} drawing;

// The crop at the drawings' size.
static uint8_t *enlarged(drawing *d, const mcf_eval_face *face)
{
    uint8_t *picture = malloc((size_t)MCF_REPORT_FACE_SIDE * MCF_REPORT_FACE_SIDE * 3);
    if (!picture)
        mcf_fail(&d->err, MCF_ERR_NOMEM, "no memory for a picture");
    else if (mcf_samples_resize(face->crop, 1, face->side, picture, MCF_REPORT_FACE_SIDE, &d->err) != MCF_OK) {
        free(picture);
        picture = NULL;
    }
    return picture;
}

static mcf_canvas canvas_of(uint8_t *picture)
{
    return (mcf_canvas){MCF_REPORT_FACE_SIDE, MCF_REPORT_FACE_SIDE, (size_t)MCF_REPORT_FACE_SIDE * 3, picture};
}

static void draw_points(const mcf_canvas *canvas, const mcf_eval_face *face, int count)
{
    const double side = MCF_REPORT_FACE_SIDE, radius = count > 40 ? 1.4 : 2.2;
    for (int pass = 0; pass < 3; pass++)
        for (int i = 0; i < count; i++) {
            const float *t = face->truth + 2 * i, *p = face->points + 2 * i;
            if (pass == 0)
                mcf_draw_line(canvas, t[0] * side - 0.5, t[1] * side - 0.5, p[0] * side - 0.5, p[1] * side - 0.5,
                              mcf_report_found_colour);
            else
                mcf_draw_point(canvas, (pass == 1 ? t : p)[0] * side - 0.5, (pass == 1 ? t : p)[1] * side - 0.5, radius,
                               pass == 1 ? mcf_report_truth_colour : mcf_report_found_colour);
        }
}

static void draw_face(void *context, const mcf_eval_face *face)
{
    drawing *d = context;
    mcf_report_run *run = d->run;
    if (d->err.message[0] || face->network != 0 || face->face >= run->drawn_count)
        return;
    mcf_report_drawn *drawn = NULL;
    for (int i = 0; i < run->drawn_count; i++)
        if (run->drawn[i].face == d->number[face->face])
            drawn = &run->drawn[i];
    drawn->picture = enlarged(d, face);
    drawn->found = enlarged(d, face);
    drawn->truth = face->points ? NULL : enlarged(d, face);
    if (d->err.message[0])
        return;
    const mcf_canvas found = canvas_of(drawn->found), truth = canvas_of(drawn->truth);
    if (face->points) {
        draw_points(&found, face, run->config.dense.head.outputs);
    } else {
        mcf_draw_classes(&found, face->found, face->side, face->side, 0.65);
        mcf_draw_classes(&truth, face->label, face->side, face->side, 0.65);
    }
}

static int by_number(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static mcf_status draw(mcf_report_run *run, const mcf_report_options *options, mcf_error *err)
{
    drawing d = {.run = run, .options = options};
    bool *only = calloc((size_t)run->face_count + 1, sizeof *only);
    mcf_eval_result *result = calloc(1, sizeof *result);
    mcf_status status = only && result ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the drawings");
    for (int i = 0; only && i < run->drawn_count; i++) {
        d.number[i] = run->drawn[i].face;
        only[run->drawn[i].face] = true;
    }
    qsort(d.number, (size_t)run->drawn_count, sizeof *d.number, by_number);
    const mcf_eval_options eval = {.job = options->job,
                                   .checkpoint = run->path,
                                   .limit = options->limit,
                                   .only = only,
                                   .last_only = true,
                                   .draw = true,
                                   .look = draw_face,
                                   .stop = options->stop,
                                   .context = &d};
    if (status == MCF_OK)
        status = mcf_eval(&run->config, &eval, result, err);
    if (status == MCF_OK && d.err.message[0])
        status = mcf_fail(err, MCF_ERR_NOMEM, "%s", d.err.message);
    free(only);
    free(result);
    return status;
}

mcf_status mcf_report_draw_faces(mcf_report_page *page, mcf_error *err)
{
    for (int i = 0; i < page->count; i++) {
        mcf_report_run *run = &page->runs[i];
        mcf_error why = {0};
        if (!run->judged)
            continue;
        mcf_status status = choose_faces(run, page->runs, page->count, &why);
        if (status == MCF_OK && run->drawn_count > 0)
            status = draw(run, page->options, &why);
        if (status == MCF_ERR_INTERRUPTED)
            return mcf_fail(err, status, "stopped; no report was written");
        if (status != MCF_OK) {
            run->drawn_count = 0;
            snprintf(run->draw_error, sizeof run->draw_error, "%s", why.message);
        }
    }
    return MCF_OK;
}

void mcf_report_faces_free(mcf_report_run *run)
{
    free(run->eval);
    free(run->face_score);
    free(run->errors);
    free(run->confusion);
    for (int i = 0; i < 2 * MCF_REPORT_FACES; i++) {
        free(run->drawn[i].picture);
        free(run->drawn[i].truth);
        free(run->drawn[i].found);
    }
}
