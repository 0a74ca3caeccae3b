// mcf export: the backbone under timm's names.
#include <stdio.h>

#include "cli/commands.h"
#include "run/export.h"

static mcf_status run(const mcf_call *call, mcf_error *err)
{
    const char *out = mcf_call_value(call, "out");
    int tensors;
    MCF_TRY(mcf_export(call->arguments[0], out, mcf_call_flag(call, "allow-nonfinite"), &tensors, err));
    if (!call->quiet)
        mcf_say(mcf_words_beside(out), "%d tensors written to %s", tensors, out);
    return MCF_OK;
}

static const mcf_option options[] = {
    {"out", "FILE", "Receives the tensors (safetensors)", true},
    MCF_ALLOW_NONFINITE,
    {0},
};

const mcf_command mcf_command_export = {
    .name = "export",
    .arguments = "RUN",
    .least = 1,
    .most = 1,
    .summary = "Write the backbone with timm's names",
    .description =
        "Writes the online encoder of a run directory, checkpoint directory or safetensors file in fp32 with "
        "the "
        "names of timm's vision transformers. The metadata say architecture, image and patch size, mean and "
        "deviation.",
    .options = options,
    .common = MCF_TAKES_QUIET,
    .examples = "mcf export runs/small --out backbone.safetensors",
    .run = run,
};
