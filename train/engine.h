// What training, `mcf step`, `mcf bench step`, predictions and the GPU check share: the networks of a config on each device
// of a job, micro-batches and what an optimiser does with their gradients. One optimiser step: train/optimise.h.
#ifndef MCF_TRAIN_ENGINE_H
#define MCF_TRAIN_ENGINE_H

#include "core/inputs.h"
#include "core/job.h"
#include "run/config/config.h"
#include "train/losses.h"
#include "train/task.h"

typedef struct {
    const mcf_task *task;
    mcf_job *job;         // NULL: one device, in the caller's thread
    mcf_cluster *cluster; // NULL: one process
    int world;            // devices of the job
    int local, first;     // devices of this process, and the first one's place among all
    mcf_objective objective;
    mcf_dtype compute;
    mcf_params params; // host arrays; meet the devices in upload and download only
    mcf_runtime *runtime[MCF_MAX_DEVICES];
    const mcf_config *config; // the caller's
} mcf_engine;

// Starts the job, builds the model and its runtimes. Parameters are zeros. `config` must stay. Errors: those of the
// parts; MCF_ERR_UNSUPPORTED where the device does not compute in the config's precision.
mcf_status mcf_engine_create(mcf_engine **engine, const mcf_config *config, const mcf_job_options *job, bool training,
                             mcf_error *err);
// The same on one device of the caller's, in the caller's thread: a step is recorded so. No host arrays.
mcf_status mcf_engine_create_on(mcf_engine **engine, const mcf_config *config, const mcf_runtime_options *device,
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
// The first device's averaged running statistics on all devices, each of which has averaged its own. To be called before
// the evaluation network runs; training does not read them.
mcf_status mcf_engine_share_statistics(mcf_engine *engine, mcf_error *err);
// Makes copies in low precision follow arrays written with mcf_engine_write_role.
mcf_status mcf_engine_refresh(mcf_engine *engine, mcf_error *err);

typedef struct {
    int64_t batch;                             // images of each device
    bool image_u8, outputs, backward, average; // as mcf_step_graph_options
    bool evaluate;                             // the evaluation graph: the averaged network
    bool accumulate;                           // gradients add to what is there
    bool reduce;                               // gradients are averaged over the devices
    float loss_scale;
    int number; // of the micro-batch in its step, from 0: its losses are kept under it
} mcf_micro_options;

// One micro-batch on every device, whose inputs are the rows of `inputs` in order. Programs are made once per runtime and
// shape. Does not wait.
mcf_status mcf_engine_run(mcf_engine *engine, const mcf_micro_options *options, const mcf_inputs *inputs,
                          mcf_error *err);
// Losses over the whole job of the micro-batches with numbers from 0 to count - 1. Waits for the devices.
mcf_status mcf_engine_losses(mcf_engine *engine, int count, mcf_losses *losses, mcf_error *err);
// The program of a device for these options, made if it is not there yet.
mcf_status mcf_engine_program(mcf_engine *engine, int rank, const mcf_micro_options *options, mcf_program **program,
                              mcf_error *err);
// The shape of an output, of all devices together (its first axis is images); rank -1 where the graph has none of this
// name.
mcf_status mcf_engine_output_shape(mcf_engine *engine, const mcf_micro_options *options, const char *name,
                                   mcf_shape *shape, mcf_error *err);
// An output of the last run, the rows of all devices of the job joined in order: the elements of that shape.
mcf_status mcf_engine_output(mcf_engine *engine, const mcf_micro_options *options, const char *name, float *values,
                             mcf_error *err);
// The same of this process's devices alone, without a word to the others: its rows, which are local / world of that shape.
mcf_status mcf_engine_output_own(mcf_engine *engine, const mcf_micro_options *options, const char *name, float *values,
                                 mcf_error *err);

// On every device, without waiting. norm2: as mcf_runtime_gradient_norm2, of the first device's gradients, which after
// `reduce` are everybody's.
mcf_status mcf_engine_adamw(mcf_engine *engine, const mcf_adamw_step *step, mcf_error *err);
mcf_status mcf_engine_ema(mcf_engine *engine, double momentum, mcf_error *err);
mcf_status mcf_engine_gradient_norm2(mcf_engine *engine, double *norm2, mcf_error *err);

#endif
