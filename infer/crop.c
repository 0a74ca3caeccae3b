// The job: workers look at a few pictures at a time, one writer takes their results in order.
#include "infer/crop.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "data/formats/tar_write.h"
#include "infer/crop_internal.h"

// --- a unit's pictures by several workers, in order

// Groups of pictures in flight. A slot holds group g = slot + k * slots; `ready` when a worker is through with it.
typedef struct {
    crop_result result;
    mcf_status status;
    mcf_error error;
    bool ready;
} slot;

typedef struct {
    const crop_unit *unit;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    slot *slots;
    int slot_count, batch;
    int64_t groups, next, written; // to be taken, to be written
    bool failed;
} pipeline;

typedef struct {
    pipeline *line;
    crop_worker *worker;
} worker_call;

static void *work(void *context)
{
    const worker_call *call = context;
    pipeline *l = call->line;
    pthread_mutex_lock(&l->lock);
    for (;;) {
        while (!l->failed && l->next < l->groups && l->next >= l->written + l->slot_count)
            pthread_cond_wait(&l->changed, &l->lock);
        if (l->failed || l->next >= l->groups)
            break;
        const int64_t group = l->next++;
        slot *s = &l->slots[group % l->slot_count];
        pthread_mutex_unlock(&l->lock);
        const int64_t begin = l->unit->begin + group * l->batch, end = begin + l->batch;
        s->status =
            crop_pictures(call->worker, l->unit, begin, end < l->unit->end ? end : l->unit->end, &s->result, &s->error);
        pthread_mutex_lock(&l->lock);
        s->ready = true;
        pthread_cond_broadcast(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

// What the writer does with a result, in the order of the pictures.
typedef mcf_status (*crop_sink)(void *context, const crop_result *result, mcf_error *err);

static mcf_status take_in_order(pipeline *l, crop_sink sink, void *context, mcf_error *err)
{
    for (int64_t group = 0; group < l->groups; group++) {
        slot *s = &l->slots[group % l->slot_count];
        pthread_mutex_lock(&l->lock);
        while (!s->ready)
            pthread_cond_wait(&l->changed, &l->lock);
        pthread_mutex_unlock(&l->lock);
        mcf_status status = s->status;
        if (status != MCF_OK)
            mcf_fail(err, status, "%s", s->error.message);
        else
            status = sink(context, &s->result, err);
        crop_result_free(&s->result);
        pthread_mutex_lock(&l->lock);
        s->ready = false;
        l->written = group + 1;
        l->failed = status != MCF_OK;
        pthread_cond_broadcast(&l->changed);
        pthread_mutex_unlock(&l->lock);
        MCF_TRY(status);
    }
    return MCF_OK;
}

static mcf_status run_unit(const crop_unit *unit, crop_worker *workers, int count, int batch, crop_sink sink,
                           void *context, mcf_error *err)
{
    pipeline l = {.unit = unit, .slot_count = 2 * count + 2, .batch = batch};
    l.groups = (unit->end - unit->begin + batch - 1) / batch;
    l.slots = calloc((size_t)l.slot_count, sizeof *l.slots);
    worker_call *calls = calloc((size_t)count, sizeof *calls);
    pthread_t *threads = calloc((size_t)count, sizeof *threads);
    mcf_status status =
        l.slots && calls && threads ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "out of memory for workers");
    pthread_mutex_init(&l.lock, NULL);
    pthread_cond_init(&l.changed, NULL);
    int started = 0;
    for (; status == MCF_OK && started < count; started++) {
        calls[started] = (worker_call){&l, &workers[started]};
        if (pthread_create(&threads[started], NULL, work, &calls[started]) != 0)
            break;
    }
    if (status == MCF_OK && started == 0)
        status = mcf_fail(err, MCF_ERR_NOMEM, "no thread could be started");
    if (status == MCF_OK)
        status = take_in_order(&l, sink, context, err);
    pthread_mutex_lock(&l.lock);
    l.failed = l.failed || status != MCF_OK;
    pthread_cond_broadcast(&l.changed);
    pthread_mutex_unlock(&l.lock);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; l.slots && i < l.slot_count; i++)
        crop_result_free(&l.slots[i].result);
    pthread_cond_destroy(&l.changed);
    pthread_mutex_destroy(&l.lock);
    free(l.slots);
    free(calls);
    free(threads);
    return status;
}

// --- sinks

typedef struct {
    const mcf_crop_options *options;
    mcf_crop_result *result;
    int64_t total;
    mcf_file_writer *writer;
    mcf_crop_counts counts; // of this unit
    crop_failure *failures;
    int failure_count;
    uint64_t *hashes; // of the faces, with dedup
    int64_t hash_count, hash_room;
    bool first; // detections
} unit_output;

static void report(const unit_output *o)
{
    if (o->options->progress)
        o->options->progress(o->options->context, o->result->counts.pictures + o->counts.pictures, o->total,
                             o->result->counts.kept + o->counts.kept);
}

// Failures are kept until the unit's statistics are written.
static mcf_status keep_failures(unit_output *o, const crop_result *r, mcf_error *err)
{
    if (r->failure_count == 0)
        return MCF_OK;
    crop_failure *grown = realloc(o->failures, (size_t)(o->failure_count + r->failure_count) * sizeof *grown);
    if (!grown)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for the list of failures");
    o->failures = grown;
    for (int i = 0; i < r->failure_count; i++) {
        crop_failure *f = &o->failures[o->failure_count++];
        *f = (crop_failure){strdup(r->failures[i].source), strdup(r->failures[i].reason),
                            strdup(r->failures[i].message)};
        if (!f->source || !f->reason || !f->message)
            return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for the list of failures");
    }
    return MCF_OK;
}

static void free_output(unit_output *o)
{
    mcf_file_writer_abort(o->writer);
    for (int i = 0; i < o->failure_count; i++) {
        free(o->failures[i].source);
        free(o->failures[i].reason);
        free(o->failures[i].message);
    }
    free(o->failures);
    free(o->hashes);
}

static mcf_status write_record(mcf_file_writer *writer, const crop_record *r, bool png, mcf_error *err)
{
    char name[CROP_KEY + 32];
    snprintf(name, sizeof name, "%.100s.%s", r->key, png ? "png" : "jpg");
    MCF_TRY(mcf_tar_add(writer, name, r->image.data, r->image.size, err));
    if (r->caption) {
        snprintf(name, sizeof name, "%.100s.txt", r->key);
        MCF_TRY(mcf_tar_add(writer, name, r->caption, r->caption_size, err));
    }
    snprintf(name, sizeof name, "%.100s.json", r->key);
    return mcf_tar_add(writer, name, r->json, strlen(r->json), err);
}

static mcf_status keep_hashes(unit_output *o, const crop_result *r, mcf_error *err)
{
    if (!o->options->dedup)
        return MCF_OK;
    if (o->hash_count + r->record_count > o->hash_room) {
        o->hash_room = 2 * (o->hash_count + r->record_count);
        uint64_t *grown = realloc(o->hashes, (size_t)o->hash_room * sizeof *grown);
        if (!grown)
            return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for %lld hashes", (long long)o->hash_room);
        o->hashes = grown;
    }
    for (int i = 0; i < r->record_count; i++)
        o->hashes[o->hash_count++] = r->records[i].dhash;
    return MCF_OK;
}

static mcf_status to_shard(void *context, const crop_result *r, mcf_error *err)
{
    unit_output *o = context;
    for (int i = 0; i < r->record_count; i++)
        MCF_TRY(write_record(o->writer, &r->records[i], o->options->png, err));
    MCF_TRY(keep_failures(o, r, err));
    MCF_TRY(keep_hashes(o, r, err));
    mcf_crop_counts_add(&o->counts, &r->counts);
    report(o);
    return MCF_OK;
}

static mcf_status to_detections(void *context, const crop_result *r, mcf_error *err)
{
    unit_output *o = context;
    if (r->detections_size > 0) {
        if (!o->first)
            MCF_TRY(mcf_file_writer_write(o->writer, ",\n", 2, err));
        MCF_TRY(mcf_file_writer_write(o->writer, r->detections, r->detections_size, err));
        o->first = false;
    }
    mcf_crop_counts_add(&o->counts, &r->counts);
    report(o);
    return MCF_OK;
}

// --- jobs

typedef struct {
    const mcf_crop_options *options; // with the defaults filled in
    crop_inputs *inputs;
    crop_worker *workers;
    int worker_count;
    mcf_crop_result *result;
} crop_job;

static mcf_status write_unit(crop_job *j, const crop_unit *unit, unit_output *o, mcf_error *err)
{
    char path[4400];
    const bool dedup = j->options->dedup;
    crop_unit_path(j->options->out, unit->number, dedup ? ".candidates" : ".tar", path, sizeof path);
    MCF_TRY(mcf_file_writer_open(&o->writer, path, err));
    MCF_TRY(run_unit(unit, j->workers, j->worker_count, j->options->batch, to_shard, o, err));
    MCF_TRY(mcf_tar_end(o->writer, err));
    mcf_file_writer *writer = o->writer;
    o->writer = NULL;
    MCF_TRY(mcf_file_writer_commit(writer, NULL, NULL, err));
    json_t *stats = crop_stats_json(unit->number, &o->counts, o->failures, o->failure_count);
    if (!stats)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for a unit's statistics");
    if (dedup) {
        crop_unit_path(j->options->out, unit->number, ".hashes.json", path, sizeof path);
        return crop_write_hashes(path, stats, o->hashes, o->hash_count, err);
    }
    mcf_status status = crop_index_shard(j->options, path, o->counts.kept, err);
    if (status != MCF_OK) {
        json_decref(stats);
        return status;
    }
    crop_unit_path(j->options->out, unit->number, ".stats.json", path, sizeof path);
    return crop_write_json(path, stats, err);
}

static mcf_status do_unit(crop_job *j, int64_t number, mcf_error *err)
{
    int lock;
    MCF_TRY(crop_claim(j->options->out, number, &lock, err));
    if (lock < 0 || crop_unit_is_done(j->options, number)) {
        *(lock < 0 ? &j->result->others : &j->result->done_before) += 1;
        crop_release(lock);
        return MCF_OK;
    }
    crop_sweep(j->options->out, number);
    crop_unit unit;
    unit_output o = {.options = j->options, .result = j->result, .total = crop_inputs_pictures(j->inputs)};
    mcf_status status = crop_unit_open(j->inputs, number, &unit, err);
    if (status == MCF_OK)
        status = write_unit(j, &unit, &o, err);
    if (status == MCF_OK) {
        mcf_crop_counts_add(&j->result->counts, &o.counts);
        char path[4400];
        crop_unit_path(j->options->out, number, ".lock", path, sizeof path);
        unlink(path);
    }
    free_output(&o);
    crop_unit_close(&unit);
    crop_release(lock);
    return status;
}

static mcf_status do_units(crop_job *j, mcf_error *err)
{
    const mcf_crop_options *o = j->options;
    const int64_t units = crop_inputs_units(j->inputs), step = o->shards > 0 ? o->shards : 1;
    int64_t failed = 0;
    mcf_error first = {0};
    for (int64_t n = o->shards > 0 ? o->shard : 0; n < units; n += step) {
        j->result->units++;
        if (crop_unit_is_done(o, n)) {
            j->result->done_before++;
            continue;
        }
        mcf_error why = {0};
        const mcf_status status = do_unit(j, n, &why);
        if (status == MCF_OK)
            continue;
        // A shard that cannot be read keeps no other from being done; anything else would meet the next as well.
        if (status != MCF_ERR_FORMAT || n >= units)
            return mcf_fail(err, status, "%s", why.message);
        if (failed++ == 0)
            first = why;
    }
    if (failed)
        return mcf_fail(err, first.status, "%lld of %lld shards could not be read, the first: %.800s",
                        (long long)failed, (long long)j->result->units, first.message);
    return MCF_OK;
}

static mcf_status detect_all(crop_job *j, mcf_error *err)
{
    unit_output o = {
        .options = j->options, .result = j->result, .total = crop_inputs_pictures(j->inputs), .first = true};
    mcf_status status = mcf_file_writer_open(&o.writer, j->options->out, err);
    if (status == MCF_OK)
        status = mcf_file_writer_write(o.writer, "{\n", 2, err);
    for (int64_t n = 0; n < crop_inputs_units(j->inputs) && status == MCF_OK; n++) {
        crop_unit unit;
        j->result->units++;
        status = crop_unit_open(j->inputs, n, &unit, err);
        if (status == MCF_OK)
            status = run_unit(&unit, j->workers, j->worker_count, j->options->batch, to_detections, &o, err);
        crop_unit_close(&unit);
    }
    if (status == MCF_OK)
        status = mcf_file_writer_write(o.writer, "\n}\n", 3, err);
    if (status == MCF_OK) {
        mcf_file_writer *writer = o.writer;
        o.writer = NULL;
        status = mcf_file_writer_commit(writer, NULL, NULL, err);
    }
    mcf_crop_counts_add(&j->result->counts, &o.counts);
    free_output(&o);
    return status;
}

static mcf_status open_workers(crop_job *j, mcf_error *err)
{
    const int count = j->options->threads;
    j->workers = calloc((size_t)count, sizeof *j->workers);
    if (!j->workers)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for %d workers", count);
    for (; j->worker_count < count; j->worker_count++)
        MCF_TRY(crop_worker_open(&j->workers[j->worker_count], j->options, err));
    return MCF_OK;
}

static void close_workers(crop_job *j)
{
    for (int i = 0; i < j->worker_count; i++) {
        crop_worker *w = &j->workers[i];
        const mcf_detector_times t = mcf_detector_spent(w->detector);
        mcf_detector_times *sum = &j->result->times;
        sum->resize += t.resize;
        sum->p += t.p;
        sum->r += t.r;
        sum->o += t.o;
        sum->other += t.other;
        sum->cells += t.cells;
        sum->r_windows += t.r_windows;
        sum->o_windows += t.o_windows;
        j->result->decode += w->decode;
        j->result->sample += w->sample;
        crop_worker_close(w);
    }
    free(j->workers);
}

static mcf_status run_job(crop_job *j, mcf_error *err)
{
    const mcf_crop_options *o = j->options;
    MCF_TRY(crop_inputs_open(&j->inputs, o, err));
    MCF_TRY(crop_inputs_check_out(j->inputs, o, err));
    MCF_TRY(open_workers(j, err));
    if (o->detect_only)
        return detect_all(j, err);
    MCF_TRY(crop_prepare_out(o, j->inputs, mcf_detector_sha256(j->workers[0].detector), err));
    mcf_status status = do_units(j, err);
    if (o->dedup && (status == MCF_OK || status == MCF_ERR_FORMAT)) {
        // where a shard could not be read, what stands before it is settled all the same
        mcf_error why = {0};
        const mcf_status settled =
            crop_settle_units(o, j->inputs, status == MCF_OK && o->detector.job.cluster, j->result, &why);
        if (status == MCF_OK && settled != MCF_OK)
            status = mcf_fail(err, settled, "%s", why.message);
    }
    MCF_TRY(status);
    return crop_write_sheet(o, j->inputs, err);
}

static mcf_status check(const mcf_crop_options *o, mcf_error *err)
{
    if (o->shards > 0 && (o->shard < 0 || o->shard >= o->shards))
        return mcf_fail(err, MCF_ERR_USAGE, "shard %d of %d: the first number runs from 0 to %d", o->shard, o->shards,
                        o->shards - 1);
    if (o->dedup_bits < 0 || o->dedup_bits > MCF_DEDUP_MOST)
        return mcf_fail(err, MCF_ERR_USAGE, "dedup within %d bits: 0 to %d are possible", o->dedup_bits,
                        MCF_DEDUP_MOST);
    if (o->dedup && o->retry)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "faces that a retry brings in would make later ones duplicates; crop the refused pictures into "
                        "a folder of their own");
    if (o->dedup && o->detect_only)
        return mcf_fail(err, MCF_ERR_USAGE, "duplicates are found by their crops; detections alone make none");
    if (o->filters.max_residual > 0 && o->face_template == MCF_TEMPLATE_FFHQ)
        return mcf_fail(err, MCF_ERR_USAGE, "the template ffhq has no points, so there is no distance to them");
    return MCF_OK;
}

mcf_status mcf_crop(const mcf_crop_options *options, mcf_crop_result *result, mcf_error *err)
{
    mcf_crop_options filled = *options;
    const double begin = mcf_now();
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    *result = (mcf_crop_result){0};
    MCF_TRY(check(options, err));
    filled.threads = options->threads > 0 ? options->threads : processors > 0 ? (int)processors : 1;
    filled.batch = options->batch > 0 ? options->batch : 16;
    filled.shard_size = options->shard_size > 0 ? options->shard_size : 10000;
    crop_job job = {.options = &filled, .result = result};
    mcf_status status = run_job(&job, err);
    close_workers(&job);
    crop_inputs_close(job.inputs);
    result->seconds = mcf_now() - begin;
    return status;
}
