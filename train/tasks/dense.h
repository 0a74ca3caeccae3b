// What alignment and parsing share: networks, images and channel dropout.
#ifndef MCF_TRAIN_TASKS_DENSE_H
#define MCF_TRAIN_TASKS_DENSE_H

#include "model/dense.h"
#include "train/task.h"

mcf_status mcf_dense_task_add(const mcf_config *config, mcf_objective *objective, mcf_error *err);
// The input keep, where the config has dropout: which maps of the head's last layer stay (1/(1-p)) and which are
// dropped (0). Epoch and sample decide; samples NULL: rows are numbered from `first` on.
mcf_status mcf_dense_keep(const mcf_config *config, uint32_t epoch, const int64_t *samples, int64_t first,
                          mcf_inputs *to, mcf_error *err);

extern const mcf_task mcf_task_align, mcf_task_parse;

#endif
