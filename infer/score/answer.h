// Our definitions applied to given tensors (`mcf score`): anyone can compare theirs with them. Everything is computed in
// double precision on the host.
#ifndef MCF_INFER_SCORE_ANSWER_H
#define MCF_INFER_SCORE_ANSWER_H

#include "base/error.h"

typedef struct {
    const char *name;
    const char *settings; // keys of the file's metadata, in words
    const char *tensors;  // what it must hold, and what comes out
} mcf_answer_kind;

extern const mcf_answer_kind mcf_answer_kinds[]; // ends with a row without name

// Reads `in` (safetensors), whose metadata hold the settings as JSON values, and writes `out`: JSON for scores, else
// safetensors in double. Errors: MCF_ERR_USAGE (no such kind), MCF_ERR_FORMAT (a setting or a tensor is missing or
// wrong, or the values have no answer), MCF_ERR_IO, MCF_ERR_NOMEM. `out` is complete or not there.
mcf_status mcf_answer(const char *kind, const char *in, const char *out, mcf_error *err);

#endif
