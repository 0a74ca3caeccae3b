// Runs of pre-training: one view of each image and masks (MCF), or two views (MoCo-v3).
#ifndef MCF_TRAIN_TASKS_PRETRAIN_RUN_H
#define MCF_TRAIN_TASKS_PRETRAIN_RUN_H

#include "train/run_state.h"

extern const mcf_task_run mcf_task_run_pretrain, mcf_task_run_moco;

#endif
