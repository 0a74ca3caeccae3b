// mcf report: one page about one run or several.
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "report/report.h"

static void on_progress(void *context, int64_t done, int64_t total)
{
    mcf_bar_update(context, (double)done, (double)total, 0, NULL);
}

static mcf_status run(const mcf_call *call, mcf_error *err)
{
    const char *images = mcf_call_value(call, "images"), *out = mcf_call_value(call, "out");
    mcf_report_result result;
    int64_t limit;
    MCF_TRY(mcf_call_integer(call, "limit", 0, 2, 1000000, &limit, err));
    mcf_bar *progress = mcf_bar_start(call->quiet, "img");
    mcf_report_options options = {
        .job = call->job,
        .runs = (const char *const *)call->arguments,
        .run_count = (size_t)call->argument_count,
        .out = out,
        .images = images ? &images : NULL,
        .image_count = images ? 1 : 0,
        .limit = limit,
        .quick = mcf_call_flag(call, "quick"),
        .progress = on_progress,
        .notice = mcf_bar_notice,
        .context = progress,
        .stop = mcf_interrupt_flag(),
    };
    mcf_interrupt_install(MCF_PATIENCE);
    mcf_status status = mcf_report(&options, &result, err);
    mcf_bar_end(progress);
    if (status != MCF_OK || call->quiet)
        return status;
    char size[32];
    char *path = realpath(out, NULL);
    mcf_say(mcf_words_beside(out), "%s (%s)", path ? path : out,
            mcf_format_bytes(size, sizeof size, (double)result.bytes));
    free(path);
    if (result.missing)
        mcf_say(stderr, "mcf: %d part%s could not be made and the page says why; the first: %s", result.missing,
                result.missing > 1 ? "s" : "", result.first);
    return MCF_OK;
}

static const mcf_option options[] = {
    {"out", "FILE", "Receives the page, one self-contained HTML file", true},
    {"images", "PATH",
     "Of pre-training: pictures to look at and to search in, best a folder for each person (default: the config's "
     "validation images, else its training images)",
     false},
    {"limit", "N",
     "Search among at most this many images (default 600); score at most this many labelled faces (default: all)",
     false},
    {"quick", NULL, "Compute nothing: leave out attention, features, retrieval, scores and drawn faces", false},
    {0},
};

const mcf_command mcf_command_report = {
    .name = "report",
    .arguments = "RUN...",
    .least = 1,
    .most = MCF_REPORT_RUNS,
    .summary = "Write one page about a run, or several side by side",
    .description =
        "Writes an HTML page that needs nothing else: loss curves, rate and speed, reconstructions over "
        "time, attention and feature maps, retrieval, the paper's scores, the config, the machine and how to "
        "go on. A run may still be going. What is missing is said in its place on the page.\n\n"
        "Runs of `mcf finetune` are scored on their config's data.validation as by `mcf eval`: tables by subset and "
        "class beside the paper's rows, cumulative errors, the confusion of classes, and the best and worst faces "
        "drawn. Several of one task stand in one table, their curves in one picture, and on the same faces.",
    .options = options,
    .common = MCF_TAKES_BACKEND | MCF_TAKES_DEVICES | MCF_TAKES_QUIET,
    .examples = "mcf report runs/small --out report.html\n"
                "mcf report runs/a runs/b --images faces/ --out report.html\n"
                "mcf report runs/going --quick --out report.html\n"
                "mcf report runs/wflw_scratch runs/wflw_mae runs/wflw_mcf --out starts.html",
    .run = run,
};
