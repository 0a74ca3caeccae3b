// Private to train/: the state of a run and its parts.
#ifndef MCF_TRAIN_RUN_STATE_H
#define MCF_TRAIN_RUN_STATE_H

#include "data/augment.h"
#include "data/loader.h"
#include "run/log.h"
#include "run/tensorboard.h"
#include "train/engine.h"
#include "train/options.h"
#include "train/scores.h"

// What a step adds to the log.
typedef struct {
    mcf_losses losses;
    double lr, gradient_norm, epoch;
    bool skipped;             // a gradient was not finite
    int64_t nonfinite;        // how many were
    const char *nonfinite_in; // first tensor with one; NULL: none
} mcf_step_record;

enum { MCF_PACE_WINDOW = 32 };

// Rate over the last steps, so that a slow start or a pause does not count for ever.
typedef struct {
    int64_t step[MCF_PACE_WINDOW];
    double seconds[MCF_PACE_WINDOW];
    int count, next;
} mcf_pace;

// Where a batch of the loader stands.
typedef struct {
    int64_t epoch;
    double place;  // in epochs, as the schedule counts
    bool training; // else validation
} mcf_batch_place;

typedef struct mcf_run mcf_run;

// A task as a run sees it, beside train/task.h's mcf_task.
typedef struct {
    // Opens run->source and run->validation, sets their transforms.
    mcf_status (*open_data)(mcf_run *run, mcf_error *err);
    // A run's first parameters, into the engine's host arrays.
    mcf_status (*start)(mcf_run *run, mcf_error *err);
    // What the graph of a step is given for a batch of the loader, u8 images.
    mcf_status (*inputs)(mcf_run *run, const mcf_batch *batch, const mcf_batch_place *place, mcf_inputs *to,
                         mcf_error *err);
    // The rate at `place`, in epochs; peak: the highest.
    double (*rate)(const mcf_config *config, double place, double peak);
    // What is measured on run->validation after an epoch; training goes on as if it had not been.
    mcf_status (*validate)(mcf_run *run, mcf_scores *scores, mcf_error *err);
    // Pictures at this step, into RUN/pictures; does not fail. NULL: none.
    void (*pictures)(mcf_run *run);
    // Frees run->faces; NULL: the task has none.
    void (*close)(mcf_run *run);
    // An epoch shows every image: its last batches are filled from the start of its order, and a part of the images
    // (data.fraction) is repeated to the full length. Else the last incomplete batch is left out.
    bool whole_epochs;
} mcf_task_run;

struct mcf_run {
    const mcf_config *config;
    const mcf_task_run *task;
    const mcf_train_options *options;
    int lock; // file descriptor that holds the run directory; -1: none
    mcf_engine *engine;
    mcf_source *source, *validation;
    mcf_center_crop_options crop, crop_still; // training; validation without flips
    mcf_augment_options augment;              // random crops; MoCo-v3's two views, in validation too
    mcf_transform transform, transform_still;
    struct mcf_run_faces *faces; // align, parse
    mcf_loader *loader;
    mcf_inputs inputs;        // of a micro-batch
    int64_t *samples;         // of the step being made [accumulate, rows]
    mcf_losses *losses;       // [accumulate]
    float *moment1, *moment2; // host arrays of TRAINED; NULL until the first checkpoint

    // position: what a checkpoint holds besides tensors
    int64_t step;         // optimiser steps done, skipped ones included
    int64_t updates;      // steps that moved the weights
    int64_t epoch, index; // of the next global batch
    double loss_scale;
    int64_t good_steps;                   // since the scale last changed
    int64_t skips, nonfinite;             // steps left out, and gradients that were not finite in them
    int64_t broken;                       // replaced in the parts of the run before this start
    int64_t broken_now;                   // and since, on all ranks
    int64_t unsupported, unsupported_now; // of them: not damaged, but of a kind that is not read
    double best;                          // highest-ranked score of a validation; NAN: none yet
    int64_t best_epoch;                   // after this epoch
    uint64_t contents[2];                 // of data.train and data.validation; 0: not asked yet
    char changes[512];                    // what differs from the start before; "": nothing

    int64_t steps_per_epoch, steps;
    int64_t last_saved;  // step of the newest checkpoint; -1: none
    int64_t broken_seen; // of the loader's, already told
    mcf_log *log;
    mcf_tensorboard *board;
    mcf_pace pace;
    struct mcf_run_pictures *pictures; // NULL until the first
};

// --- train/ranks.c: what the processes of a run do together. Rank 0 alone writes the directory.
int mcf_run_rank(const mcf_run *run);
// Waits until all are here, however long one needs.
mcf_status mcf_run_meet(mcf_run *run, mcf_error *err);
// Whether any rank was asked to stop: the same answer on all.
mcf_status mcf_run_asked_to_stop(mcf_run *run, bool *stop, mcf_error *err);
// Rank 0's position, parameters and moments on all ranks and their devices.
mcf_status mcf_run_share_start(mcf_run *run, mcf_error *err);
// The descriptions of samples replaced since the last call, those of all ranks on rank 0: *count texts of
// MCF_BROKEN_TEXT bytes, malloc'ed. Counts them in broken_now.
enum { MCF_BROKEN_TEXT = 1024 };
mcf_status mcf_run_gather_broken(mcf_run *run, char **texts, int *count, mcf_error *err);

// Host arrays for the moments.
mcf_status mcf_run_moments(mcf_run *run, mcf_error *err);

// --- train/directory.c
// Claims the directory; refuses one with a run in it unless resuming. Writes nothing else.
mcf_status mcf_run_open(mcf_run *run, mcf_error *err);
// Fills parameters and position, from the newest checkpoint or as a run starts. Before the loader exists.
mcf_status mcf_run_start(mcf_run *run, mcf_error *err);
// From here on the directory holds a run.
mcf_status mcf_run_write_config(const mcf_run *run, mcf_error *err);
mcf_status mcf_run_save(mcf_run *run, mcf_error *err);
// The averaged network as RUN/best.safetensors, under the network's own names.
mcf_status mcf_run_save_best(mcf_run *run, mcf_error *err);

// --- train/step.c
// One optimiser step: run->step counts it, and run->epoch and index move on. record->lr is the rate; the rest of it but
// `epoch` is filled in. *end: the schedule is over, nothing was done.
mcf_status mcf_run_step(mcf_run *run, mcf_step_record *record, bool *end, mcf_error *err);

// --- train/progress.c
// Formats a line for options->notice.
void mcf_run_notice(const mcf_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
mcf_status mcf_run_log_open(mcf_run *run, mcf_error *err);
mcf_status mcf_run_log_step(mcf_run *run, const mcf_step_record *record, mcf_error *err);
mcf_status mcf_run_log_validation(mcf_run *run, const mcf_scores *scores, mcf_error *err);
// Says in the log what differs from the start before.
mcf_status mcf_run_log_changes(mcf_run *run, mcf_error *err);
// Tells and logs samples that were replaced since the last call, on any rank.
mcf_status mcf_run_log_broken(mcf_run *run, mcf_error *err);

// Notes that run->step steps lie behind now.
void mcf_run_pace(mcf_run *run);
// Steps a second; 0: not known yet.
double mcf_run_rate(const mcf_run *run);
double mcf_run_images_per_second(const mcf_run *run);

// --- train/pictures.c, for tasks
// Reconstructions of a few images at this step, into RUN/pictures; nothing where there is no decoder. Does not fail.
void mcf_run_make_pictures(mcf_run *run);
// Whether the run decodes and the picture of its present step is not there.
bool mcf_run_lacks_picture(const mcf_run *run);
void mcf_run_pictures_free(mcf_run *run);

// --- train/machine.c
// Adds this start to RUN/machine.json. Does not fail.
void mcf_run_note_machine(const mcf_run *run);

// --- train/validate.c, for tasks
// Mean losses over data.validation, with the inputs of place 0; running statistics stay as they were.
mcf_status mcf_run_validate_losses(mcf_run *run, mcf_scores *scores, mcf_error *err);

#endif
