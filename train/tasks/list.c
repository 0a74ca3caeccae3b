#include "train/tasks/list.h"

#include "train/tasks/dense.h"
#include "train/tasks/moco.h"
#include "train/tasks/pretrain.h"

const mcf_task *mcf_task_of(const mcf_config *config)
{
    switch (config->task) {
    case MCF_TASK_ALIGN:
        return &mcf_task_align;
    case MCF_TASK_PARSE:
        return &mcf_task_parse;
    default:
        return config->objective.method == MCF_METHOD_MOCO_V3 ? &mcf_task_moco : &mcf_task_pretrain;
    }
}
