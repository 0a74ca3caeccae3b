// Opens what a run left behind: its configuration and its weights.
#ifndef MCF_RUN_WEIGHTS_H
#define MCF_RUN_WEIGHTS_H

#include "core/store.h"
#include "data/formats/safetensors.h"
#include "run/config/config.h"

// Beside a run's checkpoints: the averaged network after the epoch whose validation was the best (align, parse).
#define MCF_RUN_BEST "best.safetensors"

typedef struct {
    mcf_config config;
    mcf_safetensors *file; // weights under their checkpoint names
    int64_t step;          // optimiser steps behind it; -1: not known
    char path[4096];       // of the weights, as found
} mcf_weights;

// path: a RUN (its newest checkpoint), a checkpoint directory, or a safetensors file with its config in the metadata.
mcf_status mcf_weights_open(mcf_weights *weights, const char *path, mcf_error *err);
// The file of weights behind `path`, written into `file`: of a run or checkpoint directory its model.safetensors, else
// the path itself. A checkpoint is checked against its sums. For M_1 and `init`, which read the file alone.
mcf_status mcf_weights_find(const char *path, char *file, size_t size, mcf_error *err);
// The same; `sets`, "key.path=value", are read over the config that is found.
mcf_status mcf_weights_open_set(mcf_weights *weights, const char *path, const char *const *sets, size_t set_count,
                                mcf_error *err);
void mcf_weights_close(mcf_weights *weights); // zeros are fine

#endif
