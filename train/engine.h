// What step, pretrain and bench share: a job with the pre-training model on each of its devices.
#ifndef MCF_TRAIN_ENGINE_H
#define MCF_TRAIN_ENGINE_H

#include "model/pretrain.h"
#include "run/config/config.h"
#include "core/job.h"

enum { MCF_LOSS_TERMS = 4 }; // loss, feature, contrastive, pixel

typedef struct {
    mcf_job *job;
    mcf_cluster *cluster; // NULL: one process
    int world;            // devices of the job
    int local, first;     // devices of this process, and the first one's place among all
    mcf_pretrain_model *model;
    mcf_dtype compute;
    mcf_params params; // host arrays; meet the devices in upload and download only
    mcf_runtime *runtime[MCF_MAX_DEVICES];
    const mcf_config *config;      // the caller's
    bool has_term[MCF_LOSS_TERMS]; // which losses the last micro-batch had
} mcf_engine;

mcf_dtype mcf_precision_dtype(mcf_precision precision);
// MCF_ERR_USAGE with the reason where this build cannot train the config's task.
mcf_status mcf_engine_check(const mcf_config *config, mcf_error *err);

// Starts the job, builds the model and its runtimes. Parameters are zeros. `config` must stay. Errors: those of the
// parts; MCF_ERR_UNSUPPORTED where the device does not compute in the config's precision.
mcf_status mcf_engine_create(mcf_engine **engine, const mcf_config *config, const mcf_job_options *job, bool training,
                             mcf_error *err);
void mcf_engine_destroy(mcf_engine *engine); // NULL is fine

// Rank 0's host arrays to every device; from the first device to the host arrays.
mcf_status mcf_engine_upload(mcf_engine *engine, mcf_error *err);
mcf_status mcf_engine_download(mcf_engine *engine, mcf_error *err);
// One array of a role: all devices get it, the first device's is read. `values` as mcf_runtime_write_role.
mcf_status mcf_engine_write_role(mcf_engine *engine, mcf_array which, mcf_role role, const float *values,
                                 mcf_error *err);
mcf_status mcf_engine_read_role(mcf_engine *engine, mcf_array which, mcf_role role, float *values, mcf_error *err);
// Rank 0's values on every rank.
mcf_status mcf_engine_share(const mcf_engine *engine, void *values, uint64_t bytes, mcf_error *err);
// Makes copies in low precision follow arrays written with mcf_engine_write_role.
mcf_status mcf_engine_refresh(mcf_engine *engine, mcf_error *err);

typedef struct {
    double total, feature, contrastive, pixel; // means over the devices; NAN where a term is off
    int bad_device; // of the job: the one whose losses are not finite; -1: none, or not one more than others
} mcf_losses;

typedef struct {
    int64_t batch;                             // images of each device
    bool image_u8, outputs, backward, average; // as mcf_pretrain_graph_options
    bool accumulate;                           // gradients add to what is there
    bool reduce;                               // gradients are averaged over the devices
    float loss_scale;
    int number; // of the micro-batch in its step, from 0: its losses are kept under it
} mcf_micro_options;

// One micro-batch on every device: batches of this process's; rank and loss_scale in them are set here. Programs are
// made once per runtime and shape. `losses`: of this micro-batch over the whole job, which waits for the devices; NULL
// does not wait.
mcf_status mcf_engine_run(mcf_engine *engine, const mcf_micro_options *options, const mcf_pretrain_batch *batches,
                          mcf_losses *losses, mcf_error *err);
// Losses of the micro-batches with numbers from 0 to count - 1. Waits for the devices.
mcf_status mcf_engine_losses(mcf_engine *engine, int count, mcf_losses *losses, mcf_error *err);
// The program of a device for these options, made if it is not there yet.
mcf_status mcf_engine_program(mcf_engine *engine, int rank, const mcf_micro_options *options, mcf_program **program,
                              mcf_error *err);
// An output of the last run, the rows of all devices of the job joined in order: `count` elements a device. False in *present where
// the graph has none of this name.
mcf_status mcf_engine_output(mcf_engine *engine, const mcf_micro_options *options, const char *name, int64_t count,
                             float *values, bool *present, mcf_error *err);

// On every device, without waiting. norm2: as mcf_runtime_gradient_norm2, of the first device's gradients, which after
// `reduce` are everybody's.
mcf_status mcf_engine_adamw(mcf_engine *engine, const mcf_adamw_step *step, mcf_error *err);
mcf_status mcf_engine_ema(mcf_engine *engine, double momentum, mcf_error *err);
mcf_status mcf_engine_gradient_norm2(mcf_engine *engine, double *norm2, mcf_error *err);

#endif
