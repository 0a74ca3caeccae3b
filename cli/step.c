// mcf step: optimiser steps on given tensors with every result dumped.
#include <stdio.h>

#include "cli/commands.h"
#include "train/trace.h"

static mcf_status run(const mcf_call *call, mcf_error *err)
{
    mcf_config config;
    mcf_step_result result;
    int64_t steps;
    MCF_TRY(mcf_call_integer(call, "steps", 1, 1, 1000000, &steps, err));
    MCF_TRY(mcf_config_load(&config, call->arguments[0], call->sets, call->set_count, err));
    mcf_step_options options = {
        .job = call->job,
        .init = mcf_call_value(call, "init"),
        .batch = mcf_call_value(call, "batch"),
        .out = mcf_call_value(call, "out"),
        .steps = (int)steps,
    };
    mcf_status status = mcf_step(&config, &options, &result, err);
    mcf_config_free(&config);
    if (status == MCF_OK && !call->quiet)
        mcf_say(mcf_words_beside(options.out), "loss %.9g after %lld step%s on %lld images, written to %s", result.loss,
                (long long)steps, steps == 1 ? "" : "s", (long long)result.batch, options.out);
    return status;
}

static const mcf_option options[] = {
    {"init", "FILE", "Parameters under their checkpoint names (safetensors)", true},
    {"batch", "FILE", "image [B,3,S,S] normalised, ids_shuffle and ids_shuffle_target [B,L] int64 (safetensors)", true},
    {"out", "FILE", "Receives loss*, out.*, grad.* and param.* (safetensors)", true},
    {"steps", "N", "Optimiser steps, all on the same batch (default 1)", false},
    {0},
};

const mcf_command mcf_command_step = {
    .name = "step",
    .arguments = "CONFIG",
    .least = 1,
    .most = 1,
    .summary = "Run optimiser steps on given tensors and dump every result",
    .description =
        "The way to compare backends, machines and other programs: losses, outputs, gradients and updated "
        "parameters "
        "of one or more AdamW steps on the tensors given, without augmentation. The rate is the config's "
        "`optimizer.lr`, constant. Results are those of the last step.\n\n"
        "The parameters are those of the whole network, M_1's included. An encoder or an M_1 that FILE has not is "
        "taken from the config's `model.init` or `model.teacher.checkpoint`.",
    .options = options,
    .common = MCF_TAKES_SET | MCF_TAKES_BACKEND | MCF_TAKES_DEVICES | MCF_TAKES_QUIET | MCF_TAKES_MACHINES,
    .examples = "mcf step config.yaml --init params.safetensors --batch batch.safetensors --out got.safetensors\n"
                "mcf step config.yaml --init params.safetensors --batch batch.safetensors --out got.safetensors "
                "--backend cpu-reference --steps 3",
    .run = run,
};
