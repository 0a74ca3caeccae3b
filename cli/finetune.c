// mcf finetune
#include "cli/commands.h"

static mcf_status run(const mcf_call *call, mcf_error *err)
{
    return mcf_cli_train(call, true, err);
}

static const mcf_option options[] = {
    {"out", "RUN", "Directory of the run: checkpoints, best.safetensors, log.jsonl, TensorBoard events, config.yaml",
     true},
    {"resume", NULL, "Go on from the newest checkpoint of RUN; start where there is none yet", false},
    {0},
};

const mcf_command mcf_command_finetune = {
    .name = "finetune",
    .arguments = "CONFIG",
    .least = 1,
    .most = 1,
    .summary = "Train face alignment or face parsing as a config says",
    .description =
        "Trains the network of a config whose task is align or parse on the labelled faces of `data.train`, from the "
        "encoder that `model.init` names (a file, a run or a checkpoint of `mcf pretrain`). After every epoch the "
        "averaged network is scored on `data.validation`; the best is kept as RUN/best.safetensors, the last in RUN's "
        "newest checkpoint. `mcf eval` scores both in full, `mcf predict` uses them on photographs.\n\n"
        "Signals and `--resume` are those of `mcf pretrain`: an interrupted run goes on with the same bits.",
    .options = options,
    .common = MCF_TAKES_SET | MCF_TAKES_BACKEND | MCF_TAKES_DEVICES | MCF_TAKES_QUIET | MCF_TAKES_MACHINES,
    .examples = "mcf finetune configs/small/align_synth.yaml --out runs/align --set model.init=runs/faces\n"
                "mcf finetune configs/small/align_synth.yaml --out runs/align --resume",
    .run = run,
};
