// A task, as the engine of steps, `mcf step`, `mcf bench step`, predictions and the GPU check see it: which networks and
// losses a config asks for, and what the graph of a step is given. What a run does besides (data, validation, pictures)
// is train/run_state.h's mcf_task_run.
#ifndef MCF_TRAIN_TASK_H
#define MCF_TRAIN_TASK_H

#include "base/rng.h"
#include "core/inputs.h"
#include "model/objective.h"
#include "run/config/config.h"

typedef struct {
    const char *name;
    // The networks in a store, and the objective; the caller ends it with objective->destroy(objective->model). The
    // config must stay.
    mcf_status (*add)(const mcf_config *config, mcf_objective *objective, mcf_error *err);
    // Inputs of a training step on random u8 images, `rows` of them, the first of which is the `first`th of the job:
    // any that the graph accepts.
    mcf_status (*random)(const mcf_config *config, const mcf_objective *objective, mcf_rng *rng, int64_t rows,
                         int64_t first, mcf_inputs *to, mcf_error *err);
    // Inputs of a training step from a file of `mcf step`, all its images, f32: missing and extra names and wrong shapes
    // are listed (MCF_ERR_FORMAT, MCF_ERR_SHAPE).
    mcf_status (*read)(const mcf_config *config, const mcf_objective *objective, mcf_safetensors *file, mcf_inputs *to,
                       mcf_error *err);
} mcf_task;

#endif
