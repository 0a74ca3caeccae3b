// Names of tensors in others' checkpoints, brought to timm's: which belong to the encoder, which are dropped.
#ifndef MCF_MODEL_IMPORT_NAMES_H
#define MCF_MODEL_IMPORT_NAMES_H

#include "model/import_options.h"

enum { MCF_IMPORT_NAME = 256 };
typedef enum { MCF_NAME_TAKEN, MCF_NAME_DROPPED, MCF_NAME_UNKNOWN } mcf_import_verdict;

// The timm name of a tensor of a file of the options' kind; `to` is set where it is taken.
mcf_import_verdict mcf_import_name(const mcf_import_options *options, const char *name, char to[MCF_IMPORT_NAME]);
// CLIP's names of the picture's transformer, `visual.*`, to timm's.
mcf_import_verdict mcf_clip_name(const char *name, char to[MCF_IMPORT_NAME]);

#endif
