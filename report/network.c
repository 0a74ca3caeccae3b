// What the report computes with a run's newest checkpoint: a look inside on a few images, and a search among many.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "report/internal.h"
#include "data/samples.h"
#include "run/config/data.h"

enum { BATCH = 16 };

typedef struct {
    const mcf_report_options *options;
    mcf_report_run *run;
    mcf_embedder *trained, *untrained;
    mcf_image_set set;
    int side, dim;
    float *features, *features_untrained; // [limit, dim]
    char **names;                         // of the labels
    int32_t name_count;
} search;

// --- images

// The paths to look at: those given, else what the config names.
static void choose_images(mcf_report_run *run, const mcf_report_options *options, const char *const **paths,
                          size_t *count)
{
    const mcf_data_options *d = &run->config.data;
    if (options->images) {
        *paths = options->images;
        *count = options->image_count;
    } else {
        run->from_training = d->validation.count == 0;
        const mcf_path_list *list = run->from_training ? &d->train : &d->validation;
        *paths = (const char *const *)list->items;
        *count = (size_t)list->count;
    }
    for (size_t i = 0; i < *count; i++) {
        const size_t used = strlen(run->source_names);
        snprintf(run->source_names + used, sizeof run->source_names - used, "%s%s", i ? ", " : "", (*paths)[i]);
    }
}

static mcf_source_format format_of(const mcf_report_run *run, const mcf_report_options *options)
{
    return options->images ? MCF_SOURCE_AUTO : run->config.data.format;
}

// --- a look inside

static mcf_status look(mcf_report_run *run, const mcf_report_options *options, const char *const *paths, size_t count,
                       mcf_error *err)
{
    mcf_inference network = {0};
    mcf_source *source = NULL;
    int64_t samples[MCF_REPORT_LOOKS];
    int got = 0;
    const mcf_data_options *data = &run->config.data;
    mcf_status status = mcf_source_open_keys(&source, paths, (int)count, format_of(run, options),
                                             (const char *const *)data->image_keys.items, data->image_keys.count, err);
    if (status == MCF_OK)
        status =
            mcf_inference_open(&network, &(mcf_inference_options){.job = options->job, .checkpoint = run->checkpoint},
                               MCF_PART_ENCODER, err);
    if (status == MCF_OK) {
        const size_t side = (size_t)network.config.model.image_size;
        const mcf_center_crop_options crop = mcf_data_crop(&network.config.data, (int)side);
        run->look_images = malloc(MCF_REPORT_LOOKS * side * side * 3);
        status = run->look_images
                     ? mcf_samples_read(source, MCF_REPORT_LOOKS, &crop, run->look_images, samples, &got, err)
                     : mcf_fail(err, MCF_ERR_NOMEM, "no memory for images");
    }
    if (status == MCF_OK && got == 0)
        status = mcf_fail(err, MCF_ERR_FORMAT, "%s: none of the images tried can be read", run->source_names);
    if (status == MCF_OK)
        status = mcf_look_run(&network, run->look_images, got, &run->look, err);
    run->looked = status == MCF_OK;
    mcf_inference_close(&network);
    mcf_source_close(source);
    return status;
}

// --- a search

static int32_t label_number(search *s, const char *name)
{
    for (int32_t i = s->name_count; i > 0; i--) // a person's pictures stand together
        if (strcmp(s->names[i - 1], name) == 0)
            return i - 1;
    s->names[s->name_count] = strdup(name);
    return s->names[s->name_count] ? s->name_count++ : -1;
}

static mcf_status take_batch(search *s, const mcf_batch *batch, int rows, mcf_error *err)
{
    mcf_report_run *run = s->run;
    const int64_t at = run->search_images;
    MCF_TRY(mcf_embedder_run(s->trained, batch->pixels, rows, s->features + at * s->dim, NULL, err));
    MCF_TRY(mcf_embedder_run(s->untrained, batch->pixels, rows, s->features_untrained + at * s->dim, NULL, err));
    MCF_TRY(mcf_samples_resize(batch->pixels, rows, s->side,
                               run->search_thumb + (size_t)at * MCF_REPORT_THUMB * MCF_REPORT_THUMB * 3,
                               MCF_REPORT_THUMB, err));
    for (int i = 0; i < rows; i++) {
        char *label = mcf_source_identity(s->set.source, batch->sample[i]);
        run->search_label[at + i] = label ? label_number(s, label) : -1;
        free(label);
        if (run->search_label[at + i] < 0)
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
    }
    run->search_images += rows;
    return MCF_OK;
}

static mcf_status embed_images(search *s, int64_t limit, mcf_error *err)
{
    mcf_report_run *run = s->run;
    while (run->search_images < limit) {
        const mcf_batch *batch;
        int rows;
        MCF_TRY(mcf_image_set_next(&s->set, &batch, &rows, err));
        if (!batch)
            break;
        if (rows > limit - run->search_images)
            rows = (int)(limit - run->search_images);
        if (rows > 0)
            MCF_TRY(take_batch(s, batch, rows, err));
        if (s->options->progress)
            s->options->progress(s->options->context, run->search_images, limit);
        if (s->options->stop && *s->options->stop)
            return mcf_fail(err, MCF_ERR_INTERRUPTED, "stopped; no report was written");
    }
    run->search_broken = s->set.broken;
    run->search_unsupported = s->set.unsupported;
    return MCF_OK;
}

static float cosine(const float *a, const float *b, int dim)
{
    double ab = 0, aa = 0, bb = 0;
    for (int d = 0; d < dim; d++) {
        ab += (double)a[d] * b[d];
        aa += (double)a[d] * a[d];
        bb += (double)b[d] * b[d];
    }
    return aa > 0 && bb > 0 ? (float)(ab / sqrt(aa * bb)) : 0;
}

static void find_nearest(const search *s, mcf_report_query *q)
{
    for (int64_t j = 0; j < s->run->search_images; j++) {
        if (j == q->query)
            continue;
        const float similarity = cosine(s->features + q->query * s->dim, s->features + j * s->dim, s->dim);
        int at = q->found;
        while (at > 0 && q->similarity[at - 1] < similarity)
            at--;
        if (at == MCF_REPORT_NEAREST)
            continue;
        q->found += q->found < MCF_REPORT_NEAREST;
        for (int k = q->found - 1; k > at; k--) {
            q->similarity[k] = q->similarity[k - 1];
            q->nearest[k] = q->nearest[k - 1];
        }
        q->similarity[at] = similarity;
        q->nearest[at] = j;
    }
}

// Queries evenly over the images whose person has another one: not by how well they go.
static void choose_queries(const search *s)
{
    mcf_report_run *run = s->run;
    int64_t passed = 0;
    for (int64_t i = 0; i < run->search_images && run->query_count < MCF_REPORT_QUERIES; i++) {
        bool other = false;
        for (int64_t j = 0; j < run->search_images && !other; j++)
            other = j != i && run->search_label[j] == run->search_label[i];
        if (!other)
            continue;
        // The k-th query is the one in the middle of the k-th of equal parts.
        const int64_t wanted = run->found.queries * (2 * run->query_count + 1) / (2 * MCF_REPORT_QUERIES);
        if (passed++ < wanted)
            continue;
        mcf_report_query *q = &run->queries[run->query_count++];
        *q = (mcf_report_query){.query = i};
        find_nearest(s, q);
    }
}

static mcf_status run_search(search *s, const char *const *paths, size_t count, mcf_error *err)
{
    mcf_report_run *run = s->run;
    const mcf_report_options *options = s->options;
    int64_t limit = options->limit > 0 ? options->limit : MCF_REPORT_LIMIT;
    const mcf_embedder_options trained = {.job = options->job, .checkpoint = run->checkpoint, .batch = BATCH},
                               untrained = {.job = options->job, .config = &run->config, .batch = BATCH};
    MCF_TRY(mcf_embedder_open(&s->trained, &trained, err));
    MCF_TRY(mcf_embedder_open(&s->untrained, &untrained, err));
    s->side = mcf_embedder_size(s->trained);
    s->dim = mcf_embedder_dim(s->trained);
    if (mcf_embedder_size(s->untrained) != s->side || mcf_embedder_dim(s->untrained) != s->dim)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: config.yaml is not that of the checkpoint", run->path);
    const mcf_image_set_options images = {.paths = paths,
                                          .count = count,
                                          .data = &run->config.data,
                                          .format = format_of(run, options),
                                          .side = s->side,
                                          .batch = BATCH,
                                          .notice = options->notice,
                                          .context = options->context};
    MCF_TRY(mcf_image_set_open(&s->set, &images, err));
    run->search_total = mcf_source_count(s->set.source);
    limit = limit < run->search_total ? limit : run->search_total;
    s->features = malloc((size_t)limit * (size_t)s->dim * sizeof *s->features);
    s->features_untrained = malloc((size_t)limit * (size_t)s->dim * sizeof *s->features);
    s->names = calloc((size_t)limit, sizeof *s->names);
    run->search_label = malloc((size_t)limit * sizeof *run->search_label);
    run->search_thumb = malloc((size_t)limit * MCF_REPORT_THUMB * MCF_REPORT_THUMB * 3);
    if (!s->features || !s->features_untrained || !s->names || !run->search_label || !run->search_thumb)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory to search among %lld images", (long long)limit);
    MCF_TRY(embed_images(s, limit, err));
    MCF_TRY(
        mcf_retrieve(s->features, run->search_label, run->search_images, s->dim, s->options->stop, &run->found, err));
    MCF_TRY(mcf_retrieve(s->features_untrained, run->search_label, run->search_images, s->dim, s->options->stop,
                         &run->found_untrained, err));
    if (run->found.queries == 0 || run->found.people < 2)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "%s: a search needs a folder for each of at least two people, with two images or more in one; "
                        "found %lld images of %lld; give such a folder with --images",
                        run->source_names, (long long)run->search_images, (long long)run->found.people);
    choose_queries(s);
    run->searched = true;
    return MCF_OK;
}

static mcf_status search_images(mcf_report_run *run, const mcf_report_options *options, const char *const *paths,
                                size_t count, mcf_error *err)
{
    search s = {.options = options, .run = run};
    mcf_status status = run_search(&s, paths, count, err);
    for (int32_t i = 0; i < s.name_count; i++)
        free(s.names[i]);
    free(s.names);
    free(s.features);
    free(s.features_untrained);
    mcf_image_set_close(&s.set);
    mcf_embedder_close(s.trained);
    mcf_embedder_close(s.untrained);
    return status;
}

mcf_status mcf_report_run_compute(mcf_report_run *run, const mcf_report_options *options, mcf_error *err)
{
    if (mcf_report_is_dense(run))
        return mcf_report_run_judge(run, options, err);
    const char *const *paths = NULL, *why = NULL;
    size_t count = 0;
    mcf_error reason = {0};
    if (options->quick)
        why = "left out with --quick";
    else if (run->config_error[0])
        why = run->config_error;
    else if (run->checkpoint_error[0])
        why = run->checkpoint_error;
    if (!why) {
        choose_images(run, options, &paths, &count);
        if (count == 0)
            why = "the config names no images; give some with --images PATH";
    }
    for (size_t i = 0; i < count && !why; i++)
        if (!mcf_path_exists(paths[i])) {
            mcf_fail(&reason, MCF_ERR_IO, "%s is not there any more; give other images with --images PATH", paths[i]);
            why = reason.message;
        }
    if (why) {
        snprintf(run->look_error, sizeof run->look_error, "%s", why);
        snprintf(run->search_error, sizeof run->search_error, "%s", why);
        return MCF_OK;
    }
    if (look(run, options, paths, count, &reason) != MCF_OK)
        snprintf(run->look_error, sizeof run->look_error, "%s", reason.message);
    mcf_status status = search_images(run, options, paths, count, &reason);
    if (status == MCF_ERR_INTERRUPTED)
        return mcf_fail(err, status, "%s", reason.message);
    if (status != MCF_OK)
        snprintf(run->search_error, sizeof run->search_error, "%s", reason.message);
    return MCF_OK;
}
