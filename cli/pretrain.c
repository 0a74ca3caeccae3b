// mcf pretrain
#include "cli/commands.h"

static mcf_status run(const mcf_call *call, mcf_error *err)
{
    return mcf_cli_train(call, false, err);
}

static const mcf_option options[] = {
    {"out", "RUN", "Directory of the run: checkpoints, log.jsonl, TensorBoard events, config.yaml", true},
    {"resume", NULL, "Go on from the newest checkpoint of RUN; start where there is none yet", false},
    {0},
};

const mcf_command mcf_command_pretrain = {
    .name = "pretrain",
    .arguments = "CONFIG",
    .least = 1,
    .most = 1,
    .summary = "Pre-train an encoder as a config says",
    .description = "Trains on the images that `data.train` of the config names and writes checkpoints, a log and "
                   "TensorBoard "
                   "events into RUN. docs/config.md describes every key of a config.\n\n"
                   "SIGINT, SIGTERM and SIGHUP (a terminal that closes; `nohup` is left alone) save a checkpoint and "
                   "exit with 130; a second one ends at once. However a run ended, `--resume` goes on from its newest "
                   "checkpoint, with the same bits as if it had not stopped.",
    .options = options,
    .common = MCF_TAKES_SET | MCF_TAKES_BACKEND | MCF_TAKES_DEVICES | MCF_TAKES_QUIET | MCF_TAKES_MACHINES,
    .examples = "mcf pretrain configs/small/faces96.yaml --out runs/small --set data.train=[faces]\n"
                "mcf pretrain configs/small/faces96.yaml --out runs/small --resume",
    .run = run,
};
