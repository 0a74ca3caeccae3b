// Each command stands in a file of its name.
#ifndef MCF_CLI_COMMANDS_H
#define MCF_CLI_COMMANDS_H

#include "cli/cli.h"

// All in the order of the help; NULL-terminated.
extern const mcf_command *const mcf_commands[];

extern const mcf_command mcf_command_devices;
extern const mcf_command mcf_command_synth;
extern const mcf_command mcf_command_crop;
extern const mcf_command mcf_command_pretrain;
extern const mcf_command mcf_command_finetune;
extern const mcf_command mcf_command_eval;
extern const mcf_command mcf_command_predict;
extern const mcf_command mcf_command_step;
extern const mcf_command mcf_command_embed;
extern const mcf_command mcf_command_probe;
extern const mcf_command mcf_command_reconstruct;
extern const mcf_command mcf_command_report;
extern const mcf_command mcf_command_import;
extern const mcf_command mcf_command_export;
extern const mcf_command mcf_command_score;
extern const mcf_command mcf_command_data;
extern const mcf_command mcf_command_check;
extern const mcf_command mcf_command_bench;
extern const mcf_command mcf_command_help_man;

// cli/train.c: finetune: tasks align and parse; else pretrain.
mcf_status mcf_cli_train(const mcf_call *call, bool finetune, mcf_error *err);

#endif
