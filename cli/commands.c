// The list of commands.
#include "cli/commands.h"

const mcf_command *const mcf_commands[] = {
    &mcf_command_devices,     &mcf_command_synth,   &mcf_command_crop,   &mcf_command_pretrain, &mcf_command_finetune,
    &mcf_command_eval,        &mcf_command_predict, &mcf_command_step,   &mcf_command_embed,    &mcf_command_probe,
    &mcf_command_reconstruct, &mcf_command_report,  &mcf_command_import, &mcf_command_export,   &mcf_command_score,
    &mcf_command_data,        &mcf_command_check,   &mcf_command_bench,  &mcf_command_help_man, NULL,
};
