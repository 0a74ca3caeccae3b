// Checkpoints: directories RUN/checkpoints/step-00001234 that are complete or not there. One holds
//   model.safetensors      parameters and running statistics
//   optimizer.safetensors  moments and what else the optimiser carries
//   config.yaml            as run
//   state.json             format version, step, the loop's own state, size and xxHash64 of the others and of itself
// It is written under a name that starts with ".tmp-", synced, renamed; what a killed run leaves has such
// a name.
#ifndef MCF_RUN_CHECKPOINT_H
#define MCF_RUN_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "data/formats/safetensors.h"
#include "base/error.h"

enum { MCF_CHECKPOINT_VERSION = 2 }; // 1, without the sum of state.json itself, is read too

typedef struct {
    int64_t step;
    const mcf_named_tensor *model;
    size_t model_count;
    const mcf_named_tensor *optimizer;
    size_t optimizer_count;
    const json_t *state;     // an object, borrowed: epoch, index, seed, loss scale, devices, threads, ...
    const char *config_text; // mcf_config_dump
} mcf_checkpoint;

// Saves, then removes the oldest so that `keep` stay (keep >= 1). On failure the earlier checkpoints are as
// they were and nothing else is left. `path` (NULL allowed) receives the malloc'd place.
mcf_status mcf_checkpoint_save(const char *run, const mcf_checkpoint *checkpoint, int keep, char **path,
                               mcf_error *err);

// The newest checkpoint's malloc'd path, or NULL where RUN has none. Reads only.
mcf_status mcf_checkpoint_latest(const char *run, char **path, int64_t *step, mcf_error *err);
// Removes what interrupted savings and deletions left. For the start of a run, when nobody else saves there.
mcf_status mcf_checkpoint_clean(const char *run, mcf_error *err);

// Checks version, sizes, hashes of everything and the step in the directory's name; *state is a new reference. Damage is MCF_ERR_FORMAT.
mcf_status mcf_checkpoint_read_state(const char *path, int64_t *step, json_t **state, mcf_error *err);
// Fill every tensor's memory. The file must have exactly these names, dtypes and shapes: what is missing,
// extra or different is listed in one message.
mcf_status mcf_checkpoint_read_model(const char *path, const mcf_named_tensor *tensors, size_t count, mcf_error *err);
mcf_status mcf_checkpoint_read_optimizer(const char *path, const mcf_named_tensor *tensors, size_t count,
                                         mcf_error *err);

#endif
