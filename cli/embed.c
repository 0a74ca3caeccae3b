// mcf embed: features of images, and how well they find the same person.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "infer/embed_detect.h"

static void on_progress(void *context, int64_t done, int64_t total)
{
    mcf_bar_update(context, (double)done, (double)total, 0, NULL);
}

// --detect takes the usual weights, --detector FILE others.
static const char *options_detector(const mcf_call *call)
{
    const char *file = mcf_call_value(call, "detector");
    return file ? file : mcf_call_flag(call, "detect") ? "weights/mtcnn.safetensors" : NULL;
}

static void print(const mcf_call *call, const mcf_embed_result *r)
{
    const char *out = mcf_call_value(call, "out");
    bool retrieval = mcf_call_flag(call, "retrieval");
    if (mcf_call_flag(call, "json")) {
        json_t *json =
            json_pack("{s:I, s:I, s:I, s:i, s:f}", "images", (json_int_t)r->images, "broken", (json_int_t)r->broken,
                      "unsupported", (json_int_t)r->unsupported, "dim", r->dim, "seconds", r->seconds);
        if (retrieval)
            json_object_set_new(json, "retrieval",
                                json_pack("{s:f, s:f, s:I, s:I}", "rank1", r->retrieval.rank1, "map", r->retrieval.map,
                                          "queries", (json_int_t)r->retrieval.queries, "people",
                                          (json_int_t)r->retrieval.people));
        if (options_detector(call)) {
            json_object_set_new(json, "faces", json_integer(r->faces));
            json_object_set_new(json, "without_face", json_integer(r->without_face));
        }
        json_dumpf(json, stdout, JSON_REAL_PRECISION(9));
        putchar('\n');
        json_decref(json);
        return;
    }
    if (options_detector(call)) {
        if (!call->quiet)
            mcf_say(mcf_words_beside(out),
                    "%lld face%s in %lld image%s, %lld without any; %d features each, written to %s",
                    (long long)r->faces, r->faces == 1 ? "" : "s", (long long)r->images, r->images == 1 ? "" : "s",
                    (long long)r->without_face, r->dim, out);
        return;
    }
    if (!call->quiet || !retrieval)
        mcf_say(mcf_words_beside(out), "%lld image%s, %d features each%s%s", (long long)r->images,
                r->images == 1 ? "" : "s", r->dim, out ? ", written to " : "", out ? out : "");
    if (retrieval)
        printf("retrieval: rank 1 %.2f %%, mAP %.2f %% (%lld queries, %lld people)\n", 100 * r->retrieval.rank1,
               100 * r->retrieval.map, (long long)r->retrieval.queries, (long long)r->retrieval.people);
}

static mcf_status run(const mcf_call *call, mcf_error *err)
{
    const char *path = mcf_call_value(call, "config");
    mcf_config config;
    mcf_embed_result result = {0};
    int64_t batch, workers;
    bool retrieval = mcf_call_flag(call, "retrieval"), workers_given = mcf_call_value(call, "workers") != NULL;

    if (!mcf_call_value(call, "checkpoint") == !path)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "embed: give either --checkpoint FILE or, for the untrained network, --config FILE");
    if (!mcf_call_value(call, "out") && !retrieval)
        return mcf_fail(err, MCF_ERR_USAGE, "embed: --out FILE is missing (it may be left out only with --retrieval)");
    if (!path)
        MCF_TRY(mcf_call_sets_of_data(call, err));
    if (options_detector(call) && (retrieval || workers_given))
        return mcf_fail(err, MCF_ERR_USAGE, "embed: --%s does not go with --detect; crop the faces with mcf crop first",
                        retrieval ? "retrieval" : "workers");
    MCF_TRY(mcf_call_integer(call, "batch", 0, 1, 65536, &batch, err));
    MCF_TRY(mcf_call_integer(call, "workers", 0, 1, 1024, &workers, err));
    if (path)
        MCF_TRY(mcf_config_load(&config, path, call->sets, call->set_count, err));

    mcf_bar *progress = mcf_bar_start(call->quiet, "img");
    mcf_embed_options options = {
        .network = {.job = call->job,
                    .checkpoint = mcf_call_value(call, "checkpoint"),
                    .config = path ? &config : NULL,
                    .sets = call->sets,
                    .set_count = path ? 0 : call->set_count,
                    .allow_nonfinite = mcf_call_flag(call, "allow-nonfinite"),
                    .batch = (int)batch},
        .paths = (const char *const *)call->arguments,
        .path_count = (size_t)call->argument_count,
        .workers = (int)workers,
        .out = mcf_call_value(call, "out"),
        .detector = options_detector(call),
        .retrieval = retrieval,
        .progress = on_progress,
        .notice = mcf_bar_notice,
        .context = progress,
        .stop = mcf_interrupt_flag(),
    };
    mcf_interrupt_install(MCF_PATIENCE);
    mcf_status status = (options.detector ? mcf_embed_detected : mcf_embed)(&options, &result, err);
    mcf_bar_end(progress);
    if (status == MCF_OK && path && config.model.init[0])
        mcf_say(stderr, "mcf: --config: the network is untrained, model.init is not read; --checkpoint takes its file");
    if (path)
        mcf_config_free(&config);
    if (status == MCF_OK) {
        mcf_say_left_out(result.broken, result.first_broken, result.unsupported, result.first_unsupported);
        print(call, &result);
    }
    free(result.first_broken);
    free(result.first_unsupported);
    return status;
}

static const mcf_option options[] = {
    {"checkpoint", "FILE", "Run directory, checkpoint directory or safetensors file", false},
    {"config", "FILE", "In place of --checkpoint: the config's network as it starts, untrained", false},
    {"out", "FILE", "Receives cls [N,D], mean [N,D] and the images' names (safetensors)", false},
    {"retrieval", NULL,
     "Judge the cls features: an image's folder is the person's name, every image asks for the "
     "others of its person; prints rank 1 and mAP",
     false},
    {"detect", NULL,
     "The images are photographs: embed each face in them, aligned as mcf crop does it; box, points and score are "
     "written too",
     false},
    {"detector", "FILE",
     "As --detect, with these weights (default weights/mtcnn.safetensors; ci/detector-weights makes it)", false},
    {"batch", "N", "Images at once (default 32)", false},
    {"workers", "N", "Decoding threads (default: the config's data.workers)", false},
    {"json", NULL, "Print JSON", false},
    MCF_ALLOW_NONFINITE,
    {0},
};

const mcf_command mcf_command_embed = {
    .name = "embed",
    .arguments = "IMAGE...",
    .least = 1,
    .most = -1,
    .summary = "Compute features of images",
    .description = "Runs the encoder, without masks, over images, folders, tar shards or lists and writes "
                   "two features an "
                   "image: the class token and the mean of the patch tokens, both after the final norm. "
                   "Images that cannot be "
                   "read are left out, counted, and the first is named.",
    .options = options,
    .common = MCF_TAKES_SET | MCF_TAKES_BACKEND | MCF_TAKES_DEVICES | MCF_TAKES_QUIET,
    .examples = "mcf embed --checkpoint runs/small --out features.safetensors face.jpg folder/\n"
                "mcf embed --checkpoint runs/small --out features.safetensors --detect photographs/\n"
                "mcf embed --checkpoint runs/small --retrieval faces/\n"
                "mcf embed --config configs/small/faces96.yaml --retrieval faces/",
    .run = run,
};
