// mcf probe: what frozen features know of faces whose labels are known.
#include <jansson.h>
#include <stdio.h>

#include "cli/commands.h"
#include "infer/probe.h"

static void on_progress(void *context, int64_t done, int64_t total)
{
    mcf_bar_update(context, (double)done, (double)total, 0, NULL);
}

static json_t *retrieval_json(const mcf_retrieval *r)
{
    return json_pack("{s:f, s:f, s:I, s:I}", "rank1", r->rank1, "map", r->map, "queries", (json_int_t)r->queries,
                     "people", (json_int_t)r->people);
}

static void print(const mcf_call *call, int points, const mcf_probe_result *r)
{
    if (mcf_call_flag(call, "json")) {
        json_t *json = json_pack("{s:o, s:o, s:i, s:f, s:f, s:f, s:I, s:I, s:f}", "cls", retrieval_json(&r->cls),
                                 "mean", retrieval_json(&r->mean), "points", points, "nme", r->nme, "nme_mean_face",
                                 r->nme_mean_face, "penalty", r->penalty, "fitted", (json_int_t)r->fitted, "tested",
                                 (json_int_t)r->tested, "seconds", r->seconds);
        json_dumpf(json, stdout, JSON_REAL_PRECISION(9));
        putchar('\n');
        json_decref(json);
        return;
    }
    const mcf_retrieval *both[] = {&r->cls, &r->mean};
    for (int i = 0; i < 2; i++)
        printf("retrieval by %s: rank 1 %.2f %%, mAP %.2f %% (%lld queries, %lld people)\n",
               i ? "mean of the patches" : "class token", 100 * both[i]->rank1, 100 * both[i]->map,
               (long long)both[i]->queries, (long long)both[i]->people);
    printf("%d points by a linear probe: NME %.2f %%; the mean face: %.2f %% (fitted on %lld pictures, "
           "judged on %lld, "
           "penalty %g)\n",
           points, 100 * r->nme, 100 * r->nme_mean_face, (long long)r->fitted, (long long)r->tested, r->penalty);
}

static mcf_status run(const mcf_call *call, mcf_error *err)
{
    const char *path = mcf_call_value(call, "config");
    mcf_config config;
    mcf_probe_result result;
    int64_t batch, workers, points;

    if (!mcf_call_value(call, "checkpoint") == !path)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "probe: give either --checkpoint FILE or, for the untrained network, --config FILE");
    if (!path)
        MCF_TRY(mcf_call_sets_of_data(call, err));
    MCF_TRY(mcf_call_integer(call, "points", 98, 1, 1000, &points, err));
    MCF_TRY(mcf_call_integer(call, "batch", 0, 1, 65536, &batch, err));
    MCF_TRY(mcf_call_integer(call, "workers", 0, 1, 1024, &workers, err));
    if (path)
        MCF_TRY(mcf_config_load(&config, path, call->sets, call->set_count, err));

    mcf_bar *progress = mcf_bar_start(call->quiet, "img");
    const mcf_probe_options options = {
        .network = {.job = call->job,
                    .checkpoint = mcf_call_value(call, "checkpoint"),
                    .config = path ? &config : NULL,
                    .sets = call->sets,
                    .set_count = path ? 0 : call->set_count,
                    .allow_nonfinite = mcf_call_flag(call, "allow-nonfinite"),
                    .batch = (int)batch},
        .fit = mcf_call_value(call, "fit"),
        .test = mcf_call_value(call, "test"),
        .points = (int)points,
        .workers = (int)workers,
        .progress = on_progress,
        .notice = mcf_bar_notice,
        .context = progress,
        .stop = mcf_interrupt_flag(),
    };
    mcf_interrupt_install(MCF_PATIENCE);
    const mcf_status status = mcf_probe(&options, &result, err);
    mcf_bar_end(progress);
    if (status == MCF_OK && path && config.model.init[0])
        mcf_say(stderr, "mcf: --config: the network is untrained, model.init is not read; --checkpoint takes its file");
    if (path)
        mcf_config_free(&config);
    if (status == MCF_OK)
        print(call, (int)points, &result);
    return status;
}

static const mcf_option options[] = {
    {"checkpoint", "FILE", "Run directory, checkpoint directory or safetensors file", false},
    {"config", "FILE", "In place of --checkpoint: the config's network as it starts, untrained", false},
    {"fit", "FACES", "Folder of `mcf synth` that the linear probe is fitted on", true},
    {"test", "FACES", "Folder of `mcf synth`, of other people, that everything is judged on", true},
    {"points", "N", "98 (default) or 68", false},
    {"batch", "N", "Images at once (default 32)", false},
    {"workers", "N", "Decoding threads (default: the config's data.workers)", false},
    {"json", NULL, "Print JSON", false},
    MCF_ALLOW_NONFINITE,
    {0},
};

const mcf_command mcf_command_probe = {
    .name = "probe",
    .arguments = "",
    .least = 0,
    .most = 0,
    .summary = "Identity retrieval and a linear probe of facial points, from frozen features",
    .description = "Retrieval: every test picture asks for the others of its person, by the class token and "
                   "by the mean of the "
                   "patch tokens; rank 1 and mAP.\n\n"
                   "Linear probe: a ridge regression from the class token and the means of the patch tokens "
                   "in 2 x 2 cells of the "
                   "picture to the points of the face, fitted on one folder with the penalty of the least "
                   "leave-one-out error and judged on the other by the normalised mean error: the "
                   "mean distance to the true points over the root of the area of the box around them. The "
                   "error of the mean face "
                   "stands beside it. The network itself does not change.",
    .options = options,
    .common = MCF_TAKES_SET | MCF_TAKES_BACKEND | MCF_TAKES_DEVICES | MCF_TAKES_QUIET,
    .examples = "mcf probe --checkpoint runs/small --fit faces --test others\n"
                "mcf probe --config configs/small/base.yaml --set seed=1 --fit faces --test others --points 68",
    .run = run,
};
