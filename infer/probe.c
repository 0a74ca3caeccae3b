#include "infer/probe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "data/faces/labels.h"
#include "infer/network.h"
#include "infer/score/ridge.h"

enum { CELLS = 2 }; // the patches' grid is cut into at most CELLS x CELLS

// Features of one folder. The mean of all patches has forgotten what lies where, so points are sought in the class token
// and the means of the patches in each cell of a coarse grid.
typedef struct {
    mcf_labels labels;
    float *cls, *mean; // [count, dim]
    float *cells;      // [count, 1 + cells * cells, dim]
} known_faces;

static int cells_of(const mcf_config *c)
{
    const int grid = c->model.image_size / c->model.patch_size;
    return grid < CELLS ? grid : CELLS;
}

// tokens [1 + grid * grid, dim] -> out [1 + cells * cells, dim]
static void pool_cells(const float *tokens, int grid, int cells, int dim, float *out)
{
    memcpy(out, tokens, (size_t)dim * sizeof *out);
    for (int row = 0; row < cells; row++)
        for (int column = 0; column < cells; column++) {
            const int top = row * grid / cells, bottom = (row + 1) * grid / cells;
            const int left = column * grid / cells, right = (column + 1) * grid / cells;
            float *cell = out + (size_t)(1 + row * cells + column) * dim;
            for (int d = 0; d < dim; d++) {
                double sum = 0;
                for (int y = top; y < bottom; y++)
                    for (int x = left; x < right; x++)
                        sum += tokens[(size_t)(1 + y * grid + x) * dim + d];
                cell[d] = (float)(sum / ((bottom - top) * (right - left)));
            }
        }
}

static mcf_status embed_set(mcf_embedder *e, mcf_image_set *set, known_faces *f, float *tokens,
                            const mcf_probe_options *o, int64_t before, int64_t total, mcf_error *err)
{
    const mcf_config *c = mcf_embedder_config(e);
    const int dim = mcf_embedder_dim(e), grid = c->model.image_size / c->model.patch_size, cells = cells_of(c);
    int64_t done = 0;
    for (;;) {
        const mcf_batch *batch;
        int rows;
        MCF_TRY(mcf_image_set_next(set, &batch, &rows, err));
        if (set->broken)
            return mcf_fail(err, MCF_ERR_FORMAT, "%s; a probe needs every picture of labels.jsonl", set->first_broken);
        if (!batch)
            return MCF_OK;
        MCF_TRY(mcf_embedder_tokens(e, batch->pixels, rows, f->cls + done * dim, f->mean + done * dim, tokens, err));
        for (int i = 0; i < rows; i++)
            pool_cells(tokens + (int64_t)i * (1 + grid * grid) * dim, grid, cells, dim,
                       f->cells + (done + i) * (1 + cells * cells) * dim);
        done += rows;
        if (o->progress)
            o->progress(o->context, before + done, total);
        if (o->stop && *o->stop)
            return mcf_fail(err, MCF_ERR_INTERRUPTED, "stopped after %lld of %lld pictures", (long long)(before + done),
                            (long long)total);
    }
}

static mcf_status embed_folder(mcf_embedder *e, const mcf_config *c, known_faces *f, const mcf_probe_options *o,
                               int64_t before, int64_t total, mcf_error *err)
{
    const int cells = cells_of(c), grid = c->model.image_size / c->model.patch_size;
    const int batch = o->network.batch > 0 ? o->network.batch : 32;
    const size_t values = (size_t)f->labels.count * (size_t)mcf_embedder_dim(e);
    float *tokens = malloc((size_t)batch * (size_t)(1 + grid * grid) * (size_t)mcf_embedder_dim(e) * sizeof *tokens);
    f->cls = malloc(values * sizeof *f->cls);
    f->mean = malloc(values * sizeof *f->mean);
    f->cells = malloc(values * (size_t)(1 + cells * cells) * sizeof *f->cells);
    if (!f->cls || !f->mean || !f->cells || !tokens) {
        free(tokens);
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the features of %lld pictures", (long long)f->labels.count);
    }
    // Every picture is a path of its own, so that rows come in the order of the labels.
    mcf_image_set set = {0};
    const mcf_image_set_options images = {.paths = (const char *const *)f->labels.images,
                                          .count = (size_t)f->labels.count,
                                          .data = &c->data,
                                          .format = MCF_SOURCE_AUTO,
                                          .side = mcf_embedder_size(e),
                                          .batch = batch,
                                          .workers = o->workers,
                                          .notice = o->notice,
                                          .context = o->context};
    mcf_status status = mcf_image_set_open(&set, &images, err);
    if (status == MCF_OK)
        status = embed_set(e, &set, f, tokens, o, before, total, err);
    mcf_image_set_close(&set);
    free(tokens);
    return status;
}

// Mean over faces and points of |guess - truth| / sqrt(w h), w x h the box around the true points; guess [count or 1,
// points, 2]. Not the distance of the eyes: it shrinks to nothing in a profile, and few pictures would count for all.
static mcf_status normalised_mean_error(const mcf_labels *l, const float *guess, bool one_for_all, double *nme,
                                        mcf_error *err)
{
    const int n = l->points;
    double sum = 0;
    for (int64_t i = 0; i < l->count; i++) {
        const float *truth = l->xy + i * n * 2, *g = guess + (one_for_all ? 0 : i * n * 2);
        double least[2] = {truth[0], truth[1]}, most[2] = {truth[0], truth[1]}, distance = 0;
        for (int p = 0; p < n; p++) {
            distance += hypot(g[2 * p] - truth[2 * p], g[2 * p + 1] - truth[2 * p + 1]);
            for (int axis = 0; axis < 2; axis++) {
                least[axis] = fmin(least[axis], truth[2 * p + axis]);
                most[axis] = fmax(most[axis], truth[2 * p + axis]);
            }
        }
        const double area = (most[0] - least[0]) * (most[1] - least[1]);
        if (!(area > 0))
            return mcf_fail(err, MCF_ERR_FORMAT, "%s: its points span no box", l->images[i]);
        sum += distance / n / sqrt(area);
    }
    *nme = sum / (double)l->count;
    return MCF_OK;
}

static mcf_status judge_points(const known_faces *fit, const known_faces *test, int features, mcf_probe_result *r,
                               mcf_error *err)
{
    const int targets = fit->labels.points * 2;
    mcf_ridge ridge;
    MCF_TRY(mcf_ridge_fit(&ridge, fit->cells, fit->labels.xy, fit->labels.count, features, targets, err));
    float *guess = malloc((size_t)test->labels.count * (size_t)targets * sizeof *guess);
    mcf_status status = guess ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the guesses");
    if (status == MCF_OK) {
        mcf_ridge_predict(&ridge, test->cells, test->labels.count, guess);
        status = normalised_mean_error(&test->labels, guess, false, &r->nme, err);
    }
    if (status == MCF_OK) {
        for (int c = 0; c < targets; c++)
            guess[c] = (float)ridge.offset[c];
        status = normalised_mean_error(&test->labels, guess, true, &r->nme_mean_face, err);
    }
    r->penalty = ridge.penalty;
    free(guess);
    mcf_ridge_free(&ridge);
    return status;
}

static mcf_status probe(mcf_embedder *e, known_faces *fit, known_faces *test, const mcf_probe_options *o,
                        mcf_probe_result *r, mcf_error *err)
{
    const mcf_config *c = mcf_embedder_config(e);
    const int dim = mcf_embedder_dim(e);
    const int64_t total = fit->labels.count + test->labels.count;
    MCF_TRY(embed_folder(e, c, fit, o, 0, total, err));
    MCF_TRY(embed_folder(e, c, test, o, fit->labels.count, total, err));
    r->fitted = fit->labels.count;
    r->tested = test->labels.count;
    MCF_TRY(mcf_retrieve(test->cls, test->labels.identity, r->tested, dim, o->stop, &r->cls, err));
    MCF_TRY(mcf_retrieve(test->mean, test->labels.identity, r->tested, dim, o->stop, &r->mean, err));
    const int cells = cells_of(c);
    return judge_points(fit, test, (1 + cells * cells) * dim, r, err);
}

mcf_status mcf_probe(const mcf_probe_options *o, mcf_probe_result *result, mcf_error *err)
{
    *result = (mcf_probe_result){0};
    const double begin = mcf_now();
    if (o->points != 68 && o->points != 98)
        return mcf_fail(err, MCF_ERR_USAGE, "probe: 68 or 98 points, not %d", o->points);
    known_faces fit = {0}, test = {0};
    mcf_embedder *e = NULL;
    mcf_status status = mcf_labels_read(&fit.labels, o->fit, o->points, err);
    if (status == MCF_OK)
        status = mcf_labels_read(&test.labels, o->test, o->points, err);
    if (status == MCF_OK)
        status = mcf_embedder_open(&e, &o->network, err);
    if (status == MCF_OK)
        status = probe(e, &fit, &test, o, result, err);
    mcf_embedder_close(e);
    known_faces *both[] = {&fit, &test};
    for (int i = 0; i < 2; i++) {
        mcf_labels_free(&both[i]->labels);
        free(both[i]->cls);
        free(both[i]->mean);
        free(both[i]->cells);
    }
    result->seconds = mcf_now() - begin;
    return status;
}
