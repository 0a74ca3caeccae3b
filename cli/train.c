// What mcf pretrain and mcf finetune do: training as a config says, into a run directory.
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
        used += (size_t)snprintf(text + used, sizeof text - used, "  %lld broken", (long long)p->broken);
    if (p->unsupported && used < sizeof text)
        snprintf(text + used, sizeof text - used, " (%lld of kinds not read)", (long long)p->unsupported);
    // the rate in steps that gives the loop's own estimate of the time left
    double rate = p->seconds_left > 0 ? (double)(p->steps - p->step) / p->seconds_left : 0;
    mcf_bar_update(context, (double)p->step, (double)p->steps, rate, text);
}

// Until now there is nothing to save, and a signal ends what takes long: a million files to find, weights to read.
static void on_ready(void *context)
{
    (void)context;
    mcf_interrupt_install(0);
}

static void on_notice(void *context, const char *line)
{
    mcf_bar_say(context, "mcf: %s", line);
}

mcf_status mcf_cli_train(const mcf_call *call, bool finetune, mcf_error *err)
{
    mcf_config config;
    MCF_TRY(mcf_config_load(&config, call->arguments[0], call->sets, call->set_count, err));
    if (finetune != (config.task != MCF_TASK_PRETRAIN)) {
        mcf_config_free(&config);
        return mcf_fail(err, MCF_ERR_USAGE, "%s: task is %s; train it with `mcf %s`", call->arguments[0],
                        finetune ? "pretrain" : "align or parse", finetune ? "pretrain" : "finetune");
    }
    mcf_bar *progress = mcf_bar_start(call->quiet, "steps");
    mcf_train_options options = {
        .job = call->job,
        .run = mcf_call_value(call, "out"),
        .resume = mcf_call_flag(call, "resume"),
        .stop = mcf_interrupt_flag(),
        .progress = on_step,
        .ready = on_ready,
        .notice = on_notice,
        .context = progress,
    };
    if (!call->quiet)
        mcf_interrupt_answer(isatty(STDERR_FILENO)
                                 ? "\nmcf: saving after this step; once more stops at once, without saving\n"
                                 : "mcf: saving after this step; once more stops at once, without saving\n");
    mcf_interrupt_install(MCF_PATIENCE);
    mcf_status status = mcf_train(&config, &options, err);
    mcf_bar_end(progress);
    mcf_config_free(&config);
    return status;
}
