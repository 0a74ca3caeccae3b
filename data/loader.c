// A ring of batches. Rows are handed to workers one by one in order; a batch whose rows are all done waits
// for the consumer, who gives its slot back with the next call. One mutex guards everything but the rows in
// work.
#include "data/loader.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/printable.h"
#include "base/rng.h"

typedef struct {
    mcf_broken_sample sample;
    int row, attempt;
} broken_event;

typedef struct {
    mcf_batch batch;
    int pending; // rows not done
    broken_event *events;
    int event_count, event_room;
    mcf_status status; // of the first row (in row order) that failed for good
    int failed_row;
    mcf_error error;
} batch_slot;

struct mcf_loader {
    const mcf_source *source;
    mcf_transform transform;
    mcf_loader_options options;
    int64_t samples, batches; // per epoch

    pthread_mutex_t mutex;
    pthread_cond_t work, ready; // a slot became free; a batch became whole
    pthread_t *threads;
    int thread_count;
    bool stop;

    batch_slot *slots;
    int slot_count;
    int64_t made, given;         // batches begun by workers, given to the consumer (both from 0)
    bool held;                   // the consumer still uses batch given - 1
    int64_t epoch, index;        // position of the batch being made
    int row;                     // next row of it to hand out; batch `made` is open when row > 0
    int64_t *order, order_epoch; // permutation of order_epoch, -1: none yet

    // The consumer's own.
    mcf_transform_scratch scratch; // workers == 0
    mcf_loader_stats stats;
    uint8_t *seen_broken; // bit per sample
    mcf_status failed;
    mcf_error failure;
};

typedef struct {
    batch_slot *slot;
    int row;
    int64_t sample, epoch;
} row_work;

static int rows_of(const mcf_loader *loader, int64_t index)
{
    const mcf_loader_options *o = &loader->options;
    if (o->fill)
        return o->batch;
    int64_t global = (int64_t)o->batch * o->world,
            rest = loader->samples - index * global - (int64_t)o->rank * o->batch;
    return (int)(rest < 0 ? 0 : rest > o->batch ? o->batch : rest);
}

static bool at_end(const mcf_loader *loader)
{
    return loader->options.end_epoch > 0 && loader->epoch >= loader->options.end_epoch;
}

static void advance(const mcf_loader *loader, int64_t *epoch, int64_t *index)
{
    if (++*index >= loader->batches) {
        *index = 0;
        ++*epoch;
    }
}

static void make_order(mcf_loader *loader)
{
    if (!loader->order || loader->order_epoch == loader->epoch)
        return;
    mcf_rng rng = mcf_rng_make(loader->options.seed, MCF_RNG_SHUFFLE, (uint32_t)loader->epoch, 0);
    mcf_rng_permutation(&rng, loader->order, loader->samples);
    loader->order_epoch = loader->epoch;
}

// Opens the slot of the next batch. Needs the mutex and a free slot.
static void open_batch(mcf_loader *loader)
{
    batch_slot *slot = &loader->slots[loader->made % loader->slot_count];
    slot->batch.epoch = slot->batch.next_epoch = loader->epoch;
    slot->batch.index = slot->batch.next_index = loader->index;
    advance(loader, &slot->batch.next_epoch, &slot->batch.next_index);
    slot->batch.count = slot->pending = rows_of(loader, loader->index);
    slot->event_count = 0;
    slot->status = MCF_OK;
    make_order(loader);
}

static void close_batch(mcf_loader *loader)
{
    advance(loader, &loader->epoch, &loader->index);
    loader->row = 0;
    loader->made++;
}

// Takes the next row to work on; false when there is none for now. Needs the mutex.
static bool take_row(mcf_loader *loader, row_work *work)
{
    const mcf_loader_options *o = &loader->options;
    for (;;) {
        if (loader->row == 0) {
            int64_t in_use = loader->made - loader->given + (loader->held ? 1 : 0);
            if (at_end(loader) || in_use >= loader->slot_count)
                return false;
            open_batch(loader);
        }
        batch_slot *slot = &loader->slots[loader->made % loader->slot_count];
        if (slot->batch.count == 0) { // keep_last: nothing for this rank
            close_batch(loader);
            pthread_cond_signal(&loader->ready);
            continue;
        }
        const int64_t place = ((loader->index * o->world + o->rank) * o->batch + loader->row) % loader->samples;
        *work = (row_work){slot, loader->row, loader->order ? loader->order[place] : place, loader->epoch};
        if (++loader->row == slot->batch.count)
            close_batch(loader);
        return true;
    }
}

static mcf_status note_broken(mcf_loader *loader, const row_work *work, int64_t sample, int attempt,
                              const mcf_error *error)
{
    pthread_mutex_lock(&loader->mutex);
    batch_slot *slot = work->slot;
    mcf_status status = MCF_OK;
    if (slot->event_count == slot->event_room) {
        int room = slot->event_room ? slot->event_room * 2 : 8;
        broken_event *grown = realloc(slot->events, (size_t)room * sizeof *grown);
        if (grown) {
            slot->events = grown;
            slot->event_room = room;
        } else {
            status = MCF_ERR_NOMEM;
        }
    }
    if (status == MCF_OK)
        slot->events[slot->event_count++] =
            (broken_event){{sample, -1, slot->batch.epoch, slot->batch.index, *error}, work->row, attempt};
    pthread_mutex_unlock(&loader->mutex);
    return status;
}

static mcf_status fill_row(mcf_loader *loader, const row_work *work, int64_t sample, mcf_transform_scratch *scratch,
                           mcf_error *err)
{
    const mcf_transform *transform = &loader->transform;
    mcf_batch *batch = &work->slot->batch;
    MCF_TRY(mcf_source_read(loader->source, sample, &scratch->encoded, err));
    mcf_transform_input in = {.bytes = scratch->encoded.data,
                              .size = scratch->encoded.size,
                              .seed = loader->options.seed,
                              .epoch = (uint32_t)work->epoch,
                              .sample = sample,
                              .source = loader->source,
                              .scratch = scratch};
    mcf_transform_output out = {.original = batch->original + 2 * work->row,
                                .extra = batch->extra + (size_t)work->row * transform->extra_size};
    size_t picture = (size_t)transform->width * (size_t)transform->height * 3;
    for (int v = 0; v < transform->views; v++) {
        size_t place = (size_t)v * (size_t)loader->options.batch + (size_t)work->row;
        out.view[v] = (mcf_view){batch->pixels + place * picture, batch->flip + place, batch->inverse + 6 * place};
    }
    return transform->apply(transform->options, &in, &out, err);
}

enum { READ_TRIES = 4 };

// A read error that passes must not change what a run learns from: it is tried again after 0.1, 0.2 and 0.4 s.
static mcf_status fill_row_patiently(mcf_loader *loader, const row_work *work, int64_t sample,
                                     mcf_transform_scratch *scratch, mcf_error *err)
{
    mcf_status status = fill_row(loader, work, sample, scratch, err);
    for (int try = 1; try < READ_TRIES && (status == MCF_ERR_IO || status == MCF_ERR_NOMEM); try++) {
        const struct timespec pause = {0, 50000000L << try};
        nanosleep(&pause, NULL);
        status = fill_row(loader, work, sample, scratch, err);
    }
    return status;
}

// A row is the sample it asks for, or the next of the source that is whole.
static mcf_status make_row(mcf_loader *loader, const row_work *work, mcf_transform_scratch *scratch, mcf_error *err)
{
    int64_t sample = work->sample;
    int attempt = 0;
    mcf_error why = {0}, first = {0};
    work->slot->batch.sample[work->row] = -1;
    for (; attempt < MCF_REPLACE_LIMIT && attempt < loader->samples; attempt++) {
        mcf_status status = fill_row_patiently(loader, work, sample, scratch, &why);
        if (status == MCF_OK) {
            work->slot->batch.sample[work->row] = sample;
            return MCF_OK;
        }
        if (status == MCF_ERR_NOMEM || status == MCF_ERR_IO) {
            char name[512];
            return mcf_fail(err, status, "%s: %s, also when tried again; the picture is not taken for a broken one",
                            mcf_source_name(loader->source, sample, name, sizeof name), why.message);
        }
        if (note_broken(loader, work, sample, attempt, &why) != MCF_OK)
            return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for the names of broken samples");
        if (loader->options.keep_broken)
            return MCF_OK;
        if (attempt == 0)
            first = why;
        sample = (sample + 1) % loader->samples;
    }
    char name[512];
    mcf_source_name(loader->source, work->sample, name, sizeof name);
    return mcf_fail(err, MCF_ERR_FORMAT, "%s: %s; with it %d samples in a row are broken", name, first.message,
                    attempt);
}

static void work_on(mcf_loader *loader, const row_work *work, mcf_transform_scratch *scratch)
{
    mcf_error error = {0};
    mcf_status status = make_row(loader, work, scratch, &error);
    pthread_mutex_lock(&loader->mutex);
    batch_slot *slot = work->slot;
    if (status != MCF_OK && (slot->status == MCF_OK || work->row < slot->failed_row)) {
        slot->status = status;
        slot->failed_row = work->row;
        slot->error = error;
    }
    if (--slot->pending == 0)
        pthread_cond_signal(&loader->ready);
    pthread_mutex_unlock(&loader->mutex);
}

static void *worker_main(void *argument)
{
    mcf_loader *loader = argument;
    mcf_transform_scratch scratch = {0};
    pthread_mutex_lock(&loader->mutex);
    while (!loader->stop) {
        row_work work;
        if (!take_row(loader, &work)) {
            pthread_cond_wait(&loader->work, &loader->mutex);
            continue;
        }
        pthread_mutex_unlock(&loader->mutex);
        work_on(loader, &work, &scratch);
        pthread_mutex_lock(&loader->mutex);
    }
    pthread_mutex_unlock(&loader->mutex);
    mcf_transform_scratch_free(&scratch);
    return NULL;
}

static int compare_events(const void *a, const void *b)
{
    const broken_event *x = a, *y = b;
    return x->row != y->row ? (x->row > y->row) - (x->row < y->row)
                            : (x->attempt > y->attempt) - (x->attempt < y->attempt);
}

// Counts what was broken in a batch in row order, whichever worker met it first.
static void count_broken(mcf_loader *loader, batch_slot *slot)
{
    mcf_loader_stats *stats = &loader->stats;
    if (slot->event_count > 1)
        qsort(slot->events, (size_t)slot->event_count, sizeof *slot->events, compare_events);
    for (int i = 0; i < slot->event_count; i++) {
        mcf_broken_sample broken = slot->events[i].sample;
        broken.replacement = slot->batch.sample[slot->events[i].row];
        stats->broken++;
        stats->unsupported += broken.error.status == MCF_ERR_UNSUPPORTED;
        uint8_t *byte = &loader->seen_broken[broken.sample / 8], bit = (uint8_t)(1u << broken.sample % 8);
        stats->broken_distinct += !(*byte & bit);
        *byte |= bit;
        if (stats->recent_count == MCF_BROKEN_NAMES)
            memmove(stats->recent, stats->recent + 1, (MCF_BROKEN_NAMES - 1) * sizeof *stats->recent);
        else
            stats->recent_count++;
        stats->recent[stats->recent_count - 1] = broken;
    }
}

static mcf_status judge_broken(mcf_loader *loader, const batch_slot *slot, mcf_error *err)
{
    const mcf_loader_options *o = &loader->options;
    mcf_loader_stats *stats = &loader->stats;
    if (slot->status != MCF_OK) {
        *err = slot->error;
        return slot->status;
    }
    double share = o->broken_share * (double)stats->samples;
    int64_t limit = o->broken_min < 0 ? 0 : share > (double)o->broken_min ? (int64_t)share : o->broken_min;
    if (stats->broken_distinct <= limit)
        return MCF_OK;
    char last[960];
    mcf_broken_describe(loader->source, &stats->recent[stats->recent_count - 1], last, sizeof last);
    return mcf_fail(err, MCF_ERR_FORMAT,
                    "%lld of %lld samples are broken, more than the %lld allowed; the last one: %s",
                    (long long)stats->broken_distinct, (long long)stats->samples, (long long)limit, last);
}

// Waits until batch `given` is whole; NULL at the end. Needs the mutex, may let go of it meanwhile.
static batch_slot *wait_for_batch(mcf_loader *loader)
{
    batch_slot *slot = &loader->slots[loader->given % loader->slot_count];
    double start = 0;
    for (;;) {
        if (loader->made > loader->given && slot->pending == 0)
            break;
        if (loader->made == loader->given && loader->row == 0 && at_end(loader)) {
            slot = NULL;
            break;
        }
        if (start == 0)
            start = mcf_now();
        if (loader->thread_count > 0) {
            pthread_cond_wait(&loader->ready, &loader->mutex);
            continue;
        }
        row_work work;
        bool any = take_row(loader, &work);
        pthread_mutex_unlock(&loader->mutex);
        if (any)
            work_on(loader, &work, &loader->scratch);
        pthread_mutex_lock(&loader->mutex);
    }
    if (start != 0)
        loader->stats.wait_seconds += mcf_now() - start;
    return slot;
}

mcf_status mcf_loader_next(mcf_loader *loader, const mcf_batch **batch, mcf_error *err)
{
    *batch = NULL;
    if (loader->failed != MCF_OK)
        return mcf_fail(err, loader->failed, "%s", loader->failure.message);
    pthread_mutex_lock(&loader->mutex);
    if (loader->held) {
        loader->held = false;
        pthread_cond_broadcast(&loader->work);
    }
    batch_slot *slot = wait_for_batch(loader);
    if (slot) {
        loader->given++;
        loader->held = true;
    }
    pthread_mutex_unlock(&loader->mutex);
    if (!slot)
        return MCF_OK;
    loader->stats.batches++;
    loader->stats.samples += slot->batch.count;
    count_broken(loader, slot);
    loader->failed = judge_broken(loader, slot, &loader->failure);
    if (loader->failed != MCF_OK)
        return mcf_fail(err, loader->failed, "%s", loader->failure.message);
    *batch = &slot->batch;
    return MCF_OK;
}

int64_t mcf_loader_batches_per_epoch(const mcf_loader *loader)
{
    return loader->batches;
}

const mcf_loader_stats *mcf_loader_get_stats(const mcf_loader *loader)
{
    return &loader->stats;
}

// The last part of a name that is too long, which tells it from its neighbours.
static const char *shortened(const mcf_source *source, int64_t sample, char *name, size_t size)
{
    char path[8192], text[8192 + 4];
    mcf_source_name(source, sample, path, sizeof path);
    const size_t length = strlen(path), most = size / 2; // escaping makes it longer
    const char *begin = path + (length > most ? length - most : 0);
    while (begin > path && (*begin & 0xc0) == 0x80)
        begin++;
    snprintf(text, sizeof text, "%s%s", begin > path ? "..." : "", begin);
    return mcf_printable(name, size, text);
}

char *mcf_broken_describe(const mcf_source *source, const mcf_broken_sample *broken, char *buffer, size_t size)
{
    enum { NAME = 480 };
    char name[NAME], text[2 * NAME + sizeof broken->error.message + 32];
    snprintf(text, sizeof text, "%s: %s", shortened(source, broken->sample, name, sizeof name), broken->error.message);
    if (broken->replacement >= 0) {
        const size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "; %s takes its place",
                 shortened(source, broken->replacement, name, sizeof name));
    }
    return mcf_printable(buffer, size, text); // cut at a whole character
}

static mcf_status check_options(mcf_loader *loader, mcf_error *err)
{
    mcf_loader_options *o = &loader->options;
    const mcf_transform *t = &loader->transform;
    o->world = o->world > 0 ? o->world : 1;
    o->ahead = o->ahead > 0 ? o->ahead : 2;
    o->multiple = o->multiple > 0 ? o->multiple : 1;
    if (o->broken_min == 0 && o->broken_share == 0) {
        o->broken_min = MCF_BROKEN_MIN;
        o->broken_share = MCF_BROKEN_SHARE;
    }
    if (o->batch < 1 || o->workers < 0 || o->rank < 0 || o->rank >= o->world || o->epoch < 0 || o->epoch > UINT32_MAX ||
        o->index < 0 || t->views < 1 || t->views > MCF_MAX_VIEWS || t->width < 1 || t->height < 1 || t->width > 8192 ||
        t->height > 8192)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "loader: batch %d, workers %d, rank %d of %d, epoch %lld, batch index %lld, "
                        "%d views of %dx%d are not possible",
                        o->batch, o->workers, o->rank, o->world, (long long)o->epoch, (long long)o->index, t->views,
                        t->width, t->height);
    int64_t global = (int64_t)o->batch * o->world;
    loader->samples = mcf_source_count(loader->source);
    const int64_t step = global * o->multiple;
    loader->batches = o->fill        ? (loader->samples + step - 1) / step * o->multiple
                      : o->keep_last ? (loader->samples + global - 1) / global
                                     : loader->samples / global / o->multiple * o->multiple;
    if (loader->batches < 1)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "%lld samples are fewer than one step of %lld (batch %d, %d devices, %lld "
                        "micro-batches); use a smaller batch",
                        (long long)loader->samples, (long long)(global * o->multiple), o->batch, o->world,
                        (long long)o->multiple);
    if (o->index >= loader->batches)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "batch %lld lies past the end of an epoch of %lld batches: the data has "
                        "changed",
                        (long long)o->index, (long long)loader->batches);
    return MCF_OK;
}

static mcf_status allocate(mcf_loader *loader, mcf_error *err)
{
    const mcf_loader_options *o = &loader->options;
    const mcf_transform *t = &loader->transform;
    size_t rows = (size_t)o->batch, views = (size_t)t->views * rows;
    loader->slot_count = o->ahead + 1;
    loader->slots = calloc((size_t)loader->slot_count, sizeof *loader->slots);
    loader->seen_broken = calloc((size_t)loader->samples / 8 + 1, 1);
    loader->order_epoch = -1;
    bool whole = loader->slots && loader->seen_broken;
    if (o->shuffle)
        whole = (loader->order = malloc((size_t)loader->samples * sizeof *loader->order)) && whole;
    for (int i = 0; whole && i < loader->slot_count; i++) {
        mcf_batch *batch = &loader->slots[i].batch;
        *batch = (mcf_batch){.views = t->views, .width = t->width, .height = t->height};
        batch->pixels = malloc(views * (size_t)t->width * (size_t)t->height * 3);
        batch->flip = malloc(views);
        batch->inverse = malloc(views * 6 * sizeof(double));
        batch->original = malloc(rows * 2 * sizeof(int32_t));
        batch->extra = malloc(rows * t->extra_size + 1);
        batch->sample = malloc(rows * sizeof(int64_t));
        whole = batch->pixels && batch->flip && batch->inverse && batch->original && batch->extra && batch->sample;
    }
    return whole ? MCF_OK
                 : mcf_fail(err, MCF_ERR_NOMEM, "out of memory for %d batches of %d pictures of %dx%d",
                            loader->slot_count, o->batch, t->width, t->height);
}

// Signals stay with the threads that expect them.
static mcf_status start_threads(mcf_loader *loader, mcf_error *err)
{
    int workers = loader->options.workers;
    loader->threads = calloc((size_t)workers + 1, sizeof *loader->threads);
    if (!loader->threads)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for %d workers", workers);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = 0;
    while (!failed && loader->thread_count < workers) {
        failed = pthread_create(&loader->threads[loader->thread_count], NULL, worker_main, loader);
        loader->thread_count += !failed;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? mcf_fail(err, MCF_ERR_IO, "a loader thread could not be started: %s", strerror(failed)) : MCF_OK;
}

mcf_status mcf_loader_create(mcf_loader **out, const mcf_source *source, const mcf_transform *transform,
                             const mcf_loader_options *options, mcf_error *err)
{
    *out = NULL;
    mcf_loader *loader = calloc(1, sizeof *loader);
    if (!loader)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for a loader");
    loader->source = source;
    loader->transform = *transform;
    loader->options = *options;
    pthread_mutex_init(&loader->mutex, NULL);
    pthread_cond_init(&loader->work, NULL);
    pthread_cond_init(&loader->ready, NULL);
    mcf_status status = check_options(loader, err);
    loader->epoch = loader->options.epoch;
    loader->index = loader->options.index;
    if (status == MCF_OK)
        status = allocate(loader, err);
    if (status == MCF_OK)
        status = start_threads(loader, err);
    if (status != MCF_OK) {
        mcf_loader_destroy(loader);
        return status;
    }
    *out = loader;
    return MCF_OK;
}

void mcf_loader_destroy(mcf_loader *loader)
{
    if (!loader)
        return;
    pthread_mutex_lock(&loader->mutex);
    loader->stop = true;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->mutex);
    for (int i = 0; i < loader->thread_count; i++)
        pthread_join(loader->threads[i], NULL);
    for (int i = 0; loader->slots && i < loader->slot_count; i++) {
        mcf_batch *batch = &loader->slots[i].batch;
        free(batch->pixels);
        free(batch->flip);
        free(batch->inverse);
        free(batch->original);
        free(batch->extra);
        free(batch->sample);
        free(loader->slots[i].events);
    }
    mcf_transform_scratch_free(&loader->scratch);
    pthread_cond_destroy(&loader->ready);
    pthread_cond_destroy(&loader->work);
    pthread_mutex_destroy(&loader->mutex);
    free(loader->threads);
    free(loader->slots);
    free(loader->seen_broken);
    free(loader->order);
    free(loader);
}
