// What a run is asked for and what it tells.
#ifndef MCF_TRAIN_OPTIONS_H
#define MCF_TRAIN_OPTIONS_H

#include <signal.h>

#include "core/job.h"
#include "run/config/config.h"
#include "train/losses.h"

// One optimiser step, as shown and logged.
typedef struct {
    int64_t step, steps; // done in all, and to be done in all
    int epoch, epochs;   // current one, counted from 1
    mcf_losses losses;   // means over the step
    double lr;
    double images_per_second; // over the last steps
    double seconds_left;      // negative: not known yet
    double loss_scale;        // 1 unless fp16
    bool skipped;             // fp16: gradients were not finite at this scale
    int64_t broken;           // images replaced so far
    int64_t unsupported;      // of them: not damaged, but of a kind that is not read
} mcf_train_progress;

typedef struct {
    mcf_job_options job;
    const char *run;                   // directory
    bool resume;                       // continue what is there; start where there is nothing yet
    const volatile sig_atomic_t *stop; // NULL, or: non-zero asks to save and stop
    void (*progress)(void *context, const mcf_train_progress *progress); // after every step; NULL: none
    void (*ready)(void *context);                    // before the first step: from here on stopping saves; NULL
    void (*notice)(void *context, const char *line); // what a user should be told, once; NULL: none
    void *context;
} mcf_train_options;

#endif
