// Whether networks can be built from the options.
#ifndef MCF_MODEL_CHECK_H
#define MCF_MODEL_CHECK_H

#include "base/error.h"
#include "model/options.h"

// All: MCF_ERR_USAGE with the config key to change.
mcf_status mcf_pretrain_check(const mcf_model_options *model, const mcf_objective_options *objective, mcf_error *err);
// The encoder and its image alone.
mcf_status mcf_encoder_check(const mcf_model_options *model, mcf_error *err);
// Blocks of `of`, which is `depth` deep, by their numbers from 1; name: the key.
mcf_status mcf_blocks_check(const char *name, const int *blocks, int count, const char *of, int depth, mcf_error *err);

#endif
