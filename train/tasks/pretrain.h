// Pre-training by MCF and every mix of its terms: one view of each image, and masks.
#ifndef MCF_TRAIN_TASKS_PRETRAIN_H
#define MCF_TRAIN_TASKS_PRETRAIN_H

#include "train/task.h"

extern const mcf_task mcf_task_pretrain;

#endif
