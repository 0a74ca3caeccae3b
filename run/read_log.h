// RUN/log.jsonl as curves. The file may be growing, torn or damaged: whatever is no whole JSON object is counted and
// passed over, and memory stays bounded however long the file is.
#ifndef MCF_RUN_READ_LOG_H
#define MCF_RUN_READ_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { MCF_CURVES_MOST = 48, MCF_CURVE_POINTS = 1 << 18, MCF_BROKEN_KEPT = 8 };

// One key of the log over the steps, in their order. NAN where the log says "nan" or "inf".
typedef struct {
    char name[64]; // "loss.pixel", "validation.loss"
    double *x, *y; // steps, values
    size_t count, capacity;
    size_t stride, skip; // every stride-th value is kept: more than MCF_CURVE_POINTS are thinned
} mcf_curve;

typedef struct {
    bool present; // there is a log
    mcf_curve curves[MCF_CURVES_MOST];
    int count;
    int64_t steps;                        // the last step seen
    double epoch;                         // reached
    int64_t lines, bad_lines;             // bad: not a JSON object with a step; a torn last line is not counted
    bool torn;                            // the last line has no end yet
    int64_t skipped;                      // fp16 steps that moved nothing
    int64_t not_finite;                   // values that are no numbers
    int64_t broken;                       // images replaced
    int64_t unsupported;                  // of them: not damaged, but of a kind that is not read
    char *broken_images[MCF_BROKEN_KEPT]; // the first messages, malloc'd
    int broken_count;
} mcf_run_log;

// A missing file is no error: present is false. Errors: MCF_ERR_IO, MCF_ERR_NOMEM.
mcf_status mcf_run_log_read(mcf_run_log *log, const char *path, mcf_error *err);
void mcf_run_log_free(mcf_run_log *log); // zeros are fine
// NULL where the log has no such key.
const mcf_curve *mcf_run_log_curve(const mcf_run_log *log, const char *name);

#endif
