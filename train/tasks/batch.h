// What tasks share about the inputs of a step: random images, and tensors of `mcf step`'s files.
#ifndef MCF_TRAIN_TASKS_BATCH_H
#define MCF_TRAIN_TASKS_BATCH_H

#include "train/task.h"

// u8 images [rows,side,side,3] under `image` and flips u8 [rows] under `flip`.
mcf_status mcf_batch_random_images(const char *image, const char *flip, int side, mcf_rng *rng, mcf_inputs *to,
                                   mcf_error *err);

// A tensor that a batch may hold.
typedef struct {
    const char *name;
    bool needed;
} mcf_batch_name;
// MCF_ERR_FORMAT with the names that the file lacks and those nobody asked for. holds: "image and points".
mcf_status mcf_batch_check_names(const mcf_safetensors *file, const mcf_batch_name *names, int count, const char *holds,
                                 mcf_error *err);
// The images of a file, f32 [B,3,side,side], as the input of the same name. The first call says how many rows there are:
// begin with mcf_inputs_begin(to, mcf_batch_rows(file, name)).
int64_t mcf_batch_rows(const mcf_safetensors *file, const char *name);
mcf_status mcf_batch_read_images(mcf_safetensors *file, const char *name, int side, mcf_inputs *to, mcf_error *err);

#endif
