// Whether a command may write its result where it was told to.
#ifndef MCF_RUN_OUTPUT_H
#define MCF_RUN_OUTPUT_H

#include <stddef.h>

#include "base/error.h"

// Asked before long work. Refuses what base/output.h refuses, an output that is one of the inputs (NULL among them is
// passed over), an existing YAML file, picture or tar (a config, what one includes, a part of a data set), a picture's or a
// tar's name in a folder of inputs, where it would be taken for one of them, and what a run keeps for itself: its config,
// log, events and machine, everything below its checkpoints and pictures, and the files of a checkpoint directory
// wherever it lies. Errors: MCF_ERR_IO, MCF_ERR_USAGE.
mcf_status mcf_check_output(const char *out, const char *const *inputs, size_t count, mcf_error *err);
// The same of a picture for people, which may replace a picture; run/inputs.h tells whether it is one of the inputs.
mcf_status mcf_check_output_picture(const char *out, const char *const *inputs, size_t count, mcf_error *err);

// Refuses a folder for results that is, or lies in, one of the folders of pictures: the results would be taken for
// inputs, the next time or this time.
mcf_status mcf_check_output_folder(const char *out, const char *const *inputs, size_t count, mcf_error *err);

#endif
