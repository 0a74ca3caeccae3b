// mcf pretrain: trains as a config says, into a run directory.
#include <stdio.h>
#include <unistd.h>

#include "cli/commands.h"
#include "train/loop.h"

static void on_step(void *context, const mcf_train_progress *p)
{
    char text[160];
    size_t used =
        (size_t)snprintf(text, sizeof text, "epoch %d/%d  loss %.4g", p->epoch, p->epochs, p->losses.value[0]);
    for (int i = 1; i < p->losses.count && used < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "  %s %.4g", mcf_losses_short(p->losses.name[i]),
                                 p->losses.value[i]);
    if (used < sizeof text)
        used += (size_t)snprintf(text + used, sizeof text - used, "  %.1f img/s", p->images_per_second);
    if (p->broken && used < sizeof text)
        snprintf(text + used, sizeof text - used, "  %lld broken", (long long)p->broken);
    // the rate in steps that gives the loop's own estimate of the time left
    double rate = p->seconds_left > 0 ? (double)(p->steps - p->step) / p->seconds_left : 0;
    mcf_bar_update(context, (double)p->step, (double)p->steps, rate, text);
}

static void on_notice(void *context, const char *line)
{
    mcf_bar_say(context, "mcf: %s", line);
}

static mcf_status run(const mcf_call *call, mcf_error *err)
{
    mcf_config config;
    MCF_TRY(mcf_config_load(&config, call->arguments[0], call->sets, call->set_count, err));
    mcf_bar *progress = mcf_bar_start(call->quiet, "steps");
    mcf_train_options options = {
        .job = call->job,
        .run = mcf_call_value(call, "out"),
        .resume = mcf_call_flag(call, "resume"),
        .stop = mcf_interrupt_flag(),
        .progress = on_step,
        .notice = on_notice,
        .context = progress,
    };
    if (!call->quiet)
        mcf_interrupt_answer(isatty(STDERR_FILENO)
                                 ? "\nmcf: saving after this step; once more stops at once, without saving\n"
                                 : "mcf: saving after this step; once more stops at once, without saving\n");
    mcf_interrupt_install(0);
    mcf_status status = mcf_train(&config, &options, err);
    mcf_bar_end(progress);
    mcf_config_free(&config);
    return status;
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
