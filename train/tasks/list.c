#include "train/tasks/list.h"

#include "train/tasks/moco.h"
#include "train/tasks/pretrain.h"

mcf_status mcf_task_of(const mcf_config *config, const mcf_task **task, mcf_error *err)
{
    *task = NULL;
    MCF_TRY(mcf_config_check_task(config, err));
    *task = config->objective.method == MCF_METHOD_MOCO_V3 ? &mcf_task_moco : &mcf_task_pretrain;
    return MCF_OK;
}
