#define _GNU_SOURCE // qsort_r
#include "infer/embed.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/output.h"
#include "base/printable.h"
#include "infer/network.h"
#include "model/embed.h"
#include "run/inputs.h"
#include "run/output.h"

enum { USUAL_BATCH = 32 };

struct mcf_embedder {
    mcf_inference network;
    int batch;
    uint8_t *flip; // zeros
};

mcf_status mcf_embedder_open(mcf_embedder **out, const mcf_embedder_options *options, mcf_error *err)
{
    *out = NULL;
    mcf_embedder *e = calloc(1, sizeof *e);
    if (!e)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for an embedder");
    e->batch = options->batch > 0 ? options->batch : USUAL_BATCH;
    e->flip = calloc((size_t)e->batch, 1);
    const mcf_inference_options network = {.job = options->job,
                                           .checkpoint = options->checkpoint,
                                           .config = options->config,
                                           .sets = options->sets,
                                           .set_count = options->set_count,
                                           .allow_nonfinite = options->allow_nonfinite};
    mcf_status status = e->flip ? mcf_inference_open(&e->network, &network, MCF_PART_ENCODER, err)
                                : mcf_fail(err, MCF_ERR_NOMEM, "no memory for an embedder");
    if (status != MCF_OK) {
        free(e->flip);
        free(e);
        return status;
    }
    *out = e;
    return MCF_OK;
}

void mcf_embedder_close(mcf_embedder *e)
{
    if (!e)
        return;
    mcf_inference_close(&e->network);
    free(e->flip);
    free(e);
}

int mcf_embedder_size(const mcf_embedder *e)
{
    return e->network.config.model.image_size;
}

int mcf_embedder_dim(const mcf_embedder *e)
{
    return e->network.config.model.encoder.dim;
}

const mcf_config *mcf_embedder_config(const mcf_embedder *e)
{
    return &e->network.config;
}

typedef struct {
    mcf_embedder *embedder;
    const uint8_t *images;
    int64_t count;
    float *cls, *mean, *tokens;
} run_task;

static mcf_status program_for(mcf_embedder *e, int64_t batch, bool tokens, mcf_program **program, mcf_error *err)
{
    const mcf_inference *n = &e->network;
    char key[64];
    snprintf(key, sizeof key, "embed%s b%lld", tokens ? " tokens" : "", (long long)batch);
    *program = mcf_runtime_cached(n->device.runtime, key);
    if (*program)
        return MCF_OK;
    const int side = n->config.model.image_size;
    const mcf_embed_graph_options options = {.batch = batch,
                                             .height = side,
                                             .width = side,
                                             .compute = n->device.compute,
                                             .image_u8 = true,
                                             .tokens = tokens};
    mcf_graph *graph;
    MCF_TRY(mcf_embed_graph(n->model, &options, &graph, err));
    MCF_TRY(mcf_program_create(n->device.runtime, graph, program, err));
    return mcf_runtime_cache(n->device.runtime, key, *program, err);
}

static mcf_status run(int rank, void *context, mcf_error *err)
{
    run_task *t = context;
    mcf_embedder *e = t->embedder;
    if (rank != 0)
        return MCF_OK;
    const int64_t side = mcf_embedder_size(e), dim = mcf_embedder_dim(e), all = (1 + e->network.model->patches) * dim;
    for (int64_t at = 0; at < t->count;) {
        const int64_t rows = t->count - at < e->batch ? t->count - at : e->batch;
        mcf_program *program;
        MCF_TRY(program_for(e, rows, t->tokens != NULL, &program, err));
        MCF_TRY(mcf_program_write(program, "image", t->images + at * side * side * 3, (size_t)(rows * side * side * 3),
                                  err));
        MCF_TRY(mcf_program_write(program, "flip", e->flip, (size_t)rows, err));
        MCF_TRY(mcf_program_run(program, false, false, err));
        if (t->cls)
            MCF_TRY(mcf_program_read(program, "cls", t->cls + at * dim, rows * dim, err));
        if (t->mean)
            MCF_TRY(mcf_program_read(program, "mean", t->mean + at * dim, rows * dim, err));
        if (t->tokens)
            MCF_TRY(mcf_program_read(program, "tokens", t->tokens + at * all, rows * all, err));
        at += rows;
    }
    return MCF_OK;
}

mcf_status mcf_embedder_run(mcf_embedder *e, const uint8_t *images, int64_t count, float *cls, float *mean,
                            mcf_error *err)
{
    return mcf_embedder_tokens(e, images, count, cls, mean, NULL, err);
}

mcf_status mcf_embedder_tokens(mcf_embedder *e, const uint8_t *images, int64_t count, float *cls, float *mean,
                               float *tokens, mcf_error *err)
{
    run_task task = {e, images, count, cls, mean, tokens};
    return mcf_job_run(e->network.device.job, run, &task, err);
}

// --- a set of images

typedef struct {
    mcf_embedder *embedder;
    mcf_image_set set;
    float *cls, *mean; // [count of the source, dim]
    int64_t *sample;   // of each row
    int64_t rows;
} embed_job;

static mcf_status embed_all(embed_job *j, const mcf_embed_options *options, mcf_error *err)
{
    const int64_t dim = mcf_embedder_dim(j->embedder), total = mcf_source_count(j->set.source);
    j->cls = malloc((size_t)(total * dim) * sizeof *j->cls + 1);
    j->mean = malloc((size_t)(total * dim) * sizeof *j->mean + 1);
    j->sample = malloc((size_t)total * sizeof *j->sample + 1);
    if (!j->cls || !j->mean || !j->sample)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the features of %lld images", (long long)total);
    for (;;) {
        const mcf_batch *batch;
        int rows;
        MCF_TRY(mcf_image_set_next(&j->set, &batch, &rows, err));
        if (!batch)
            return MCF_OK;
        MCF_TRY(
            mcf_embedder_run(j->embedder, batch->pixels, rows, j->cls + j->rows * dim, j->mean + j->rows * dim, err));
        memcpy(j->sample + j->rows, batch->sample, (size_t)rows * sizeof *j->sample);
        j->rows += rows;
        if (options->progress)
            options->progress(options->context, j->set.place, total);
        if (options->stop && *options->stop)
            return mcf_fail(err, MCF_ERR_INTERRUPTED, "stopped after %lld of %lld images; nothing was written",
                            (long long)j->rows, (long long)total);
    }
}

// Bytes of a name in the header: JSON in a string of JSON.
static size_t bytes_in_header(const char *stored)
{
    size_t bytes = 2 * 2 + 1;
    for (const unsigned char *at = (const unsigned char *)stored; *at; at++)
        bytes += *at < ' ' ? 7 : *at == '"' || *at == '\\' ? 4 : 1;
    return bytes;
}

// Asked before the work: all names stand in the file's header, which has a most; and the disk has to hold the file.
static mcf_status check_size(const embed_job *j, const char *out, mcf_error *err)
{
    const int64_t count = mcf_source_count(j->set.source);
    size_t bytes = 4096, header = 0;
    for (int64_t i = 0; i < count; i++) {
        char name[4096];
        char *stored = mcf_name_as_utf8(mcf_source_name(j->set.source, i, name, sizeof name));
        if (!stored)
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the names");
        bytes += bytes_in_header(stored);
        free(stored);
    }
    header = bytes;
    bytes += (size_t)count * (size_t)mcf_embedder_dim(j->embedder) * 2 * sizeof(float);
    if (header <= MCF_SAFETENSORS_MAX_HEADER)
        return mcf_output_check_room(out, bytes, bytes, err);
    return mcf_fail(
        err, MCF_ERR_USAGE,
        "%s: the names of %lld images take %zu MB, and a safetensors header holds %d; embed them in parts, or "
        "from a folder nearer to them (shorter paths)",
        out, (long long)count, header / 1000000, MCF_SAFETENSORS_MAX_HEADER / 1000000);
}

static mcf_status save(const embed_job *j, const char *path, mcf_error *err)
{
    json_t *names = json_array();
    for (int64_t i = 0; i < j->rows; i++) {
        char name[4096];
        mcf_source_name(j->set.source, j->sample[i], name, sizeof name);
        char *stored = mcf_name_as_utf8(name); // JSON has no place for other bytes
        json_array_append_new(names, stored ? json_string(stored) : NULL);
        free(stored);
    }
    char *list = names ? json_dumps(names, JSON_COMPACT) : NULL;
    json_decref(names);
    if (!list)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the names");
    const int64_t dim = mcf_embedder_dim(j->embedder);
    const mcf_named_tensor tensors[] = {{"cls", MCF_F32, MCF_SHAPE(j->rows, dim), j->cls},
                                        {"mean", MCF_F32, MCF_SHAPE(j->rows, dim), j->mean}};
    const char *const metadata[] = {"names", list, NULL};
    mcf_status status = mcf_safetensors_save(path, tensors, 2, metadata, NULL, NULL, err);
    free(list);
    return status;
}

static int by_label(const void *a, const void *b, void *labels)
{
    return strcmp(((char **)labels)[*(const int64_t *)a], ((char **)labels)[*(const int64_t *)b]);
}

// Numbers the people: equal labels get equal numbers.
static mcf_status number_labels(const embed_job *j, int32_t *numbers, mcf_error *err)
{
    char **labels = calloc((size_t)j->rows + 1, sizeof *labels);
    int64_t *order = malloc((size_t)j->rows * sizeof *order + 1);
    mcf_status status = labels && order ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
    for (int64_t i = 0; i < j->rows && status == MCF_OK; i++) {
        order[i] = i;
        labels[i] = mcf_source_identity(j->set.source, j->sample[i]);
        if (!labels[i])
            status = mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
    }
    if (status == MCF_OK) {
        qsort_r(order, (size_t)j->rows, sizeof *order, by_label, labels);
        int32_t number = 0;
        for (int64_t i = 0; i < j->rows; i++) {
            number += i > 0 && strcmp(labels[order[i]], labels[order[i - 1]]) != 0;
            numbers[order[i]] = number;
        }
    }
    for (int64_t i = 0; labels && i < j->rows; i++)
        free(labels[i]);
    free(labels);
    free(order);
    return status;
}

static mcf_status retrieval(const embed_job *j, const volatile sig_atomic_t *stop, mcf_retrieval *result,
                            mcf_error *err)
{
    int32_t *numbers = malloc((size_t)j->rows * sizeof *numbers + 1);
    mcf_status status =
        numbers ? number_labels(j, numbers, err) : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
    if (status == MCF_OK)
        status = mcf_retrieve(j->cls, numbers, j->rows, mcf_embedder_dim(j->embedder), stop, result, err);
    free(numbers);
    if (status == MCF_OK && (result->queries == 0 || result->people < 2))
        return mcf_fail(err, MCF_ERR_USAGE,
                        "retrieval needs a folder for each of at least two people, with two images or more in one: "
                        "found %lld images of %lld people",
                        (long long)j->rows, (long long)result->people);
    return status;
}

static mcf_status embed(embed_job *j, const mcf_embed_options *options, mcf_embed_result *result, mcf_error *err)
{
    const double begin = mcf_now();
    if (options->out) {
        MCF_TRY(mcf_check_output(options->out, options->paths, options->path_count, err));
        MCF_TRY(mcf_check_output(options->out, &options->network.checkpoint, 1, err));
        if (options->network.config)
            MCF_TRY(mcf_check_output_config(options->out, options->network.config, err));
    }
    MCF_TRY(mcf_embedder_open(&j->embedder, &options->network, err));
    const mcf_config *c = &j->embedder->network.config;
    const mcf_image_set_options images = {.paths = options->paths,
                                          .count = options->path_count,
                                          .data = &c->data,
                                          .format = options->format,
                                          .side = c->model.image_size,
                                          .batch = j->embedder->batch,
                                          .workers = options->workers,
                                          .notice = options->notice,
                                          .context = options->context};
    MCF_TRY(mcf_image_set_open(&j->set, &images, err));
    if (options->out)
        MCF_TRY(mcf_source_check_output(j->set.source, options->out, err));
    if (options->out)
        MCF_TRY(check_size(j, options->out, err));
    MCF_TRY(embed_all(j, options, err));
    MCF_TRY(mcf_image_set_check(&j->set, j->rows, err));
    result->images = j->rows;
    result->broken = j->set.broken;
    result->dim = mcf_embedder_dim(j->embedder);
    if (options->retrieval)
        MCF_TRY(retrieval(j, options->stop, &result->retrieval, err));
    if (options->out)
        MCF_TRY(save(j, options->out, err));
    result->seconds = mcf_now() - begin;
    result->unsupported = j->set.unsupported;
    result->first_unsupported = j->set.first_unsupported;
    j->set.first_unsupported = NULL;
    result->first_broken = j->set.first_broken;
    j->set.first_broken = NULL;
    return MCF_OK;
}

mcf_status mcf_embed(const mcf_embed_options *options, mcf_embed_result *result, mcf_error *err)
{
    *result = (mcf_embed_result){0};
    embed_job j = {0};
    mcf_status status = embed(&j, options, result, err);
    mcf_image_set_close(&j.set);
    mcf_embedder_close(j.embedder);
    free(j.cls);
    free(j.mean);
    free(j.sample);
    return status;
}
