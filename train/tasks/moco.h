// Pre-training by MoCo-v3: two views of each image, and a momentum that follows the schedule.
#ifndef MCF_TRAIN_TASKS_MOCO_H
#define MCF_TRAIN_TASKS_MOCO_H

#include "train/task.h"

extern const mcf_task mcf_task_moco;

#endif
