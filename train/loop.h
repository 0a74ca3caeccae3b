// The training loop.
#ifndef MCF_TRAIN_LOOP_H
#define MCF_TRAIN_LOOP_H

#include "train/options.h"

// Runs to the end of the schedule. Errors besides those of the system:
// MCF_ERR_USAGE        method or task that this build does not train; a run is there already and resume is not set;
//                      resume with another config than the run's
// MCF_ERR_NUMERIC      non-finite loss: names step, loss and images; the last checkpoint stays
// MCF_ERR_INTERRUPTED  *stop was set; a checkpoint has been written
mcf_status mcf_train(const mcf_config *config, const mcf_train_options *options, mcf_error *err);

#endif
