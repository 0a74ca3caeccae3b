// Runs of alignment and parsing: labelled faces, and scores of the averaged network after every epoch.
#ifndef MCF_TRAIN_TASKS_DENSE_RUN_H
#define MCF_TRAIN_TASKS_DENSE_RUN_H

#include "train/run_state.h"

extern const mcf_task_run mcf_task_run_align, mcf_task_run_parse;

#endif
