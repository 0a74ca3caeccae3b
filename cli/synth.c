// mcf synth: labelled synthetic faces.
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/commands.h"
#include "data/synth/write.h"

static void on_progress(void *context, int64_t done, int64_t total)
{
    mcf_bar_update(context, (double)done, (double)total, 0, NULL);
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static mcf_status run(const mcf_call *call, mcf_error *err)
{
    int64_t count, seed, size, per_identity, workers;
    mcf_synth_write_options o = {
        .out = mcf_call_value(call, "out"), .layouts = MCF_SYNTH_ALL, .stop = mcf_interrupt_flag()};
    const char *layouts = mcf_call_value(call, "layouts"), *framing = mcf_call_value(call, "framing");
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    MCF_TRY(mcf_call_integer(call, "count", 0, 1, (int64_t)1 << 40, &count, err));
    MCF_TRY(mcf_call_integer(call, "seed", 0, 0, INT64_MAX, &seed, err));
    MCF_TRY(mcf_call_integer(call, "size", 256, MCF_SYNTH_MIN_SIZE, MCF_SYNTH_MAX_SIZE, &size, err));
    MCF_TRY(mcf_call_integer(call, "per-identity", 8, 1, MCF_SYNTH_MAX_NUMBER, &per_identity, err));
    MCF_TRY(mcf_call_integer(call, "workers", processors > 0 ? processors : 1, 1, 1024, &workers, err));
    MCF_TRY(mcf_call_number(call, "test-fraction", 0.2, 0, 1, &o.test_fraction, err));
    if (framing && strcmp(framing, "close") == 0)
        o.framing = MCF_SYNTH_CLOSE;
    else if (framing && strcmp(framing, "portrait") != 0)
        return mcf_fail(err, MCF_ERR_USAGE, "--framing %s is neither portrait nor close", framing);
    if (layouts)
        MCF_TRY(mcf_synth_layouts_parse(layouts, &o.layouts, err));
    o.count = count;
    o.per_identity = per_identity;
    o.size = (int)size;
    o.seed = (uint64_t)seed;
    o.workers = (int)workers;
    o.force = mcf_call_flag(call, "force");

    mcf_bar *progress = mcf_bar_start(call->quiet, "img");
    o.progress = on_progress;
    o.context = progress;
    mcf_interrupt_install(MCF_PATIENCE);
    double began = seconds(CLOCK_MONOTONIC), used = seconds(CLOCK_PROCESS_CPUTIME_ID);
    mcf_status status = mcf_synth_write(&o, err);
    double wall = seconds(CLOCK_MONOTONIC) - began;
    used = seconds(CLOCK_PROCESS_CPUTIME_ID) - used;
    mcf_bar_end(progress);
    if (status != MCF_OK)
        return status;
    if (!call->quiet)
        mcf_say(stdout,
                "%lld faces of %lld people in %s, labels in %s/labels.jsonl; %.1f a second, %.1f a second and "
                "core",
                (long long)count, (long long)((count + per_identity - 1) / per_identity), o.out, o.out,
                (double)count / wall, (double)count / used);
    return MCF_OK;
}

static const mcf_option options[] = {
    {"out", "DIR", "Receives images/, labels.jsonl and the layouts", true},
    {"count", "N", "Pictures", true},
    {"seed", "S", "Other faces (default 0)", false},
    {"size", "P", "Pixels a side, 32 to 1024 (default 256)", false},
    {"framing", "HOW", "portrait (default: the face takes half of the picture) or close, as detectors crop", false},
    {"per-identity", "K", "Pictures of each person, in a folder of their own (default 8)", false},
    {"test-fraction", "F", "Share of the people whose pictures are for testing (default 0.2)", false},
    {"layouts", "NAMES", "all (default), none, or some of wflw,300w,aflw,lapa,celeba", false},
    {"force", NULL, "Replace the faces that are in DIR", false},
    {"workers", "N", "Drawing threads (default: all processors); the files are the same", false},
    {0},
};

const mcf_command mcf_command_synth = {
    .name = "synth",
    .arguments = "",
    .summary = "Make labelled synthetic faces",
    .description = "Draws faces of made-up people with a small 3-D head: pose, expression, light and shadow, "
                   "hair, beards, glasses, "
                   "hats, jewellery, things in the way, backgrounds, blur and noise. Every picture comes "
                   "with 5, 19, 68, 98 and 106 "
                   "points and whether they can be seen, CelebAMask-HQ's 19 and LaPa's 11 classes, and a "
                   "box. A seed always gives the "
                   "same files.\n\n"
                   "images/PERSON/*.jpg is what pretrain and embed read. labels.jsonl has all labels; the "
                   "same labels stand in the "
                   "files of the published sets: WFLW's lists, HRNet's tables of WFLW and 300W, LaPa's "
                   "folders, CelebAMask-HQ's parts, "
                   "and tables of AFLW's 19 points for `data.layout: points` (AFLW's .mat file is not made).",
    .options = options,
    .common = MCF_TAKES_QUIET,
    .examples = "mcf synth --out faces --count 2000\n"
                "mcf synth --out faces --count 800 --size 96 --per-identity 20 --layouts none --seed 1",
    .run = run,
};
