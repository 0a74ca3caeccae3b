// Whether the networks of pre-training can be built from the options.
#ifndef MCF_MODEL_CHECK_H
#define MCF_MODEL_CHECK_H

#include "base/error.h"
#include "model/options.h"

// MCF_ERR_USAGE with the config key to change.
mcf_status mcf_pretrain_check(const mcf_model_options *model, const mcf_objective_options *objective, mcf_error *err);

#endif
