// mcf reconstruct: pictures of masked input, pseudo image and original.
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "infer/reconstruct.h"

static void on_progress(void *context, int64_t done, int64_t total)
{
    mcf_bar_update(context, (double)done, (double)total, 0, NULL);
}

static mcf_status run(const mcf_call *call, mcf_error *err)
{
    mcf_reconstruct_result result;
    int64_t limit;
    MCF_TRY(mcf_call_sets_of_data(call, err));
    MCF_TRY(mcf_call_integer(call, "limit", 0, 1, INT64_MAX, &limit, err));
    mcf_bar *progress = mcf_bar_start(call->quiet, "img");
    mcf_reconstruct_options options = {
        .job = call->job,
        .checkpoint = mcf_call_value(call, "checkpoint"),
        .sets = call->sets,
        .set_count = call->set_count,
        .allow_nonfinite = mcf_call_flag(call, "allow-nonfinite"),
        .out = mcf_call_value(call, "out"),
        .paths = (const char *const *)call->arguments,
        .path_count = (size_t)call->argument_count,
        .limit = limit,
        .progress = on_progress,
        .notice = mcf_bar_notice,
        .context = progress,
        .stop = mcf_interrupt_flag(),
    };
    mcf_interrupt_install(MCF_PATIENCE);
    mcf_status status = mcf_reconstruct(&options, &result, err);
    mcf_bar_end(progress);
    if (status != MCF_OK)
        return status;
    mcf_say_left_out(result.broken, result.first_broken, result.unsupported, result.first_unsupported);
    free(result.first_broken);
    free(result.first_unsupported);
    if (!call->quiet)
        mcf_say(stdout, "%lld picture%s in %s; masked patches differ by %.4g (mean square, normalised units)",
                (long long)result.images, result.images == 1 ? "" : "s", options.out, result.pixel_mse);
    return MCF_OK;
}

static const mcf_option options[] = {
    {"checkpoint", "FILE", "Run directory, checkpoint directory or safetensors file with the decoder", true},
    {"out", "DIR", "Receives one PNG an image", true},
    {"limit", "N", "At most this many images", false},
    MCF_ALLOW_NONFINITE,
    {0},
};

const mcf_command mcf_command_reconstruct = {
    .name = "reconstruct",
    .arguments = "IMAGE...",
    .least = 1,
    .most = -1,
    .summary = "Draw what a network makes of masked images",
    .description = "Writes one PNG an image with the masked input, the pseudo image of the decoder and the original "
                   "side by "
                   "side. The mask follows from the config's seed. IMAGE may be images, folders, tar shards or lists.",
    .options = options,
    .common = MCF_TAKES_SET | MCF_TAKES_BACKEND | MCF_TAKES_DEVICES | MCF_TAKES_QUIET,
    .examples = "mcf reconstruct --checkpoint runs/small --out pictures --limit 8 faces/",
    .run = run,
};
