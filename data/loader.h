// Batches, made ahead of time by worker threads, in an order that nothing but (seed, epoch) decides.
//
// Order: an epoch is a permutation of all samples (MCF_RNG_SHUFFLE). Global batch g of an epoch holds places
// g*world*batch .. +world*batch-1; rank r has rows r*batch .. of it, so `world` loaders together see what one
// loader with world*batch sees. The last incomplete global batch is dropped, or filled from the start of the order. Neither the number of workers
// nor the point at which a run is taken up again changes anything.
//
// Broken samples: one that cannot be read or decoded is replaced by the next of the source that can (the same
// in every run), named and counted. More than max(MCF_BROKEN_MIN, MCF_BROKEN_SHARE of the samples seen)
// different ones stop the loader with an error: then the data, not a sample, is at fault.
#ifndef MCF_DATA_LOADER_H
#define MCF_DATA_LOADER_H

#include "data/transform.h"

enum { MCF_BROKEN_MIN = 10, MCF_BROKEN_NAMES = 32, MCF_REPLACE_LIMIT = 64 };
#define MCF_BROKEN_SHARE 0.01

typedef struct mcf_loader mcf_loader;

typedef struct {
    uint64_t seed;
    int batch;            // B: rows of this rank in a batch, >= 1
    int workers;          // threads; 0: the caller's own thread works inside mcf_loader_next
    int ahead;            // batches kept ready beside the one in use; 0: 2
    bool shuffle;         // false: the order of the source
    bool keep_last;       // give the last, smaller batch too (evaluation); count may then be 0 on some ranks
    bool fill;            // the last batches of an epoch are filled from the start of its order: nothing is dropped
    bool keep_broken;     // no replacement: the row of a broken sample has sample -1 and undefined pixels
    int64_t multiple;     // whole epochs of this many batches: the rest is dropped (accumulation); 0: 1
    int64_t epoch, index; // first batch given: position of a resumed run
    int64_t end_epoch;    // stop before this epoch; 0: never
    int rank, world;      // world 0 means 1
    // Most distinct broken samples: max(broken_min, broken_share * seen). Both 0: the constants above;
    // broken_min < 0: none at all.
    int64_t broken_min;
    double broken_share;
} mcf_loader_options;

// One rank's part of a global batch. Valid until the next mcf_loader_next or mcf_loader_destroy.
typedef struct {
    int64_t epoch, index; // this batch; index counts global batches within the epoch
    // The position to save once this batch is used up: where the next one begins.
    int64_t next_epoch, next_index;
    int count; // rows; B but for the last batch under keep_last
    int views, width, height;
    uint8_t *pixels;   // [views, B, height, width, 3] RGB; rows past count are undefined
    uint8_t *flip;     // [views, B]
    double *inverse;   // [views, B, 6], see mcf_view
    int32_t *original; // [B, 2] width, height
    uint8_t *extra;    // [B, extra_size]
    int64_t *sample;   // [B] index in the source, of the replacement where there was one; -1: keep_broken
} mcf_batch;

typedef struct {
    int64_t sample;       // in the source
    int64_t replacement;  // what stands in its place; -1: nothing could
    int64_t epoch, index; // the batch it was met in
    mcf_error error;
} mcf_broken_sample;

// Counts cover the batches given out so far, so they too are the same in every run.
typedef struct {
    int64_t batches, samples;
    int64_t broken;          // replacements made
    int64_t broken_distinct; // different samples among them
    int64_t unsupported;     // of `broken`: not damaged, but of a kind that is not read
    double wait_seconds;     // spent in mcf_loader_next for want of a batch
    int recent_count;        // the last MCF_BROKEN_NAMES of them, oldest first
    mcf_broken_sample recent[MCF_BROKEN_NAMES];
} mcf_loader_stats;

// Starts the workers. source and what transform points to must outlive the loader; *options is copied.
// Errors: MCF_ERR_USAGE (fewer samples than a global batch, a position outside the epoch), MCF_ERR_NOMEM,
// MCF_ERR_IO (no threads).
mcf_status mcf_loader_create(mcf_loader **loader, const mcf_source *source, const mcf_transform *transform,
                             const mcf_loader_options *options, mcf_error *err);
// Stops the workers after their current sample, whatever state the loader is in. NULL is fine.
void mcf_loader_destroy(mcf_loader *loader);

// Global batches in an epoch.
int64_t mcf_loader_batches_per_epoch(const mcf_loader *loader);

// Gives up the previous batch and waits for the next; *batch is NULL at the end (end_epoch). One thread only.
// Errors: MCF_ERR_FORMAT when too many samples are broken, or MCF_REPLACE_LIMIT in a row; MCF_ERR_NOMEM. An
// error is final: later calls return it again.
mcf_status mcf_loader_next(mcf_loader *loader, const mcf_batch **batch, mcf_error *err);

// From the thread that calls mcf_loader_next; valid until the next call.
const mcf_loader_stats *mcf_loader_get_stats(const mcf_loader *loader);

// "name: reason; NAME takes its place", for a log: UTF-8 without control characters, whatever the names hold, cut at a
// whole character. Returns buffer.
char *mcf_broken_describe(const mcf_source *source, const mcf_broken_sample *broken, char *buffer, size_t size);

#endif
