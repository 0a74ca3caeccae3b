// Which task a config is about.
#ifndef MCF_TRAIN_TASKS_LIST_H
#define MCF_TRAIN_TASKS_LIST_H

#include "train/task.h"

// MCF_ERR_USAGE with the reason where this build cannot train the config's task.
mcf_status mcf_task_of(const mcf_config *config, const mcf_task **task, mcf_error *err);

#endif
