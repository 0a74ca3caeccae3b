// What a command reads, so that its results go nowhere where they would replace it or be taken for some of it.
#ifndef MCF_RUN_INPUTS_H
#define MCF_RUN_INPUTS_H

#include "data/source.h"
#include "run/config/config.h"

// All are asked before the work, besides run/output.h and what data/source.h has; an output that is refused is
// MCF_ERR_USAGE. Of labelled faces run/input_faces.h has the same.

// A file that the config names: its own files and those it includes, what data.train and data.validation list,
// model.init and the teacher's checkpoint.
mcf_status mcf_check_output_config(const char *out, const mcf_config *config, mcf_error *err);

// A picture for people, `out`: it must not lie among the pictures of data.train and data.validation either, where it would
// be taken for one of them.
mcf_status mcf_check_picture_config(const char *out, const mcf_config *config, mcf_error *err);
mcf_status mcf_check_picture_source(const char *out, const mcf_source *source, mcf_error *err);
// For those who ask the same of other inputs: the folder of a file that is there or not yet, with its last link followed
// (malloc'd, NULL where it has none), and the error of a picture that lies beside the input `name`.
char *mcf_output_folder(const char *out);
mcf_status mcf_fail_among(const char *out, const char *name, mcf_error *err);

#endif
