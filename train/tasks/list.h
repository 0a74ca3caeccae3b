// Which task a config is about.
#ifndef MCF_TRAIN_TASKS_LIST_H
#define MCF_TRAIN_TASKS_LIST_H

#include "train/task.h"

const mcf_task *mcf_task_of(const mcf_config *config);

#endif
