// mcf predict: points or classes of faces in photographs.
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "infer/predict.h"

static void on_progress(void *context, int64_t done, int64_t total)
{
    mcf_bar_update(context, (double)done, (double)total, 0, NULL);
}

static mcf_status run(const mcf_call *call, mcf_error *err)
{
    const char *faces = mcf_call_value(call, "faces"), *detector = mcf_call_value(call, "detector");
    int64_t batch;
    if (faces ? call->argument_count > 0 : call->argument_count == 0)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "predict: give pictures, or --faces FILE, which names its own, and not both");
    if (faces && detector)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "predict: --faces says where the faces are; --detector would look for them");
    bool input = false;
    for (int i = 0; i < call->argument_count; i++)
        input = input || !strcmp(call->arguments[i], "-");
    if (input && call->argument_count > 1)
        return mcf_fail(err, MCF_ERR_USAGE, "predict: - is standard input, which stands alone");
    MCF_TRY(mcf_call_integer(call, "batch", 4, 1, 4096, &batch, err));
    mcf_bar *bar = mcf_bar_start(call->quiet, "img");
    const mcf_predict_options options = {.job = call->job,
                                         .checkpoint = mcf_call_value(call, "checkpoint"),
                                         .paths = (const char *const *)call->arguments,
                                         .path_count = input ? 0 : (size_t)call->argument_count,
                                         .input = input ? stdin : NULL,
                                         .faces = faces,
                                         .detector = detector,
                                         .out = mcf_call_value(call, "out"),
                                         .probabilities = mcf_call_flag(call, "probabilities"),
                                         .batch = (int)batch,
                                         .stop = mcf_interrupt_flag(),
                                         .progress = on_progress,
                                         .notice = mcf_bar_notice,
                                         .context = bar};
    mcf_predict_result result;
    mcf_interrupt_install(MCF_PATIENCE);
    mcf_status status = mcf_predict_pictures(&options, &result, err);
    mcf_bar_end(bar);
    if (status == MCF_OK && !call->quiet)
        mcf_say(stdout, "%lld face%s in %lld picture%s, %lld left out; written to %s", (long long)result.faces,
                result.faces == 1 ? "" : "s", (long long)result.pictures, result.pictures == 1 ? "" : "s",
                (long long)result.broken, options.out);
    if (status == MCF_OK && result.unsupported)
        mcf_say_left_out(0, NULL, result.unsupported, NULL);
    return status;
}

static const mcf_option options[] = {
    {"checkpoint", "FILE", "A run of mcf finetune, its best.safetensors, or a checkpoint", true},
    {"out", "DIR", "Receives NUMBER-NAME.png, .json and, of parsing, .label.png for each picture", true},
    {"faces", "FILE",
     "Where the faces are: a JSON list of {\"image\": .., \"box\": [x1, y1, x2, y2], \"points\": [[x, y], ..]} or a "
     "CSV; "
     "points of 5, 68, 98 or 106 give eyes, nose and mouth",
     false},
    {"detector", "FILE", "Finds the faces: a detector's weights made by mcf import", false},
    {"probabilities", NULL, "Of parsing: each class's mean probability where it was found, into the JSON", false},
    {"batch", "N", "Faces at a time (default 4)", false},
    {0},
};

const mcf_command mcf_command_predict = {
    .name = "predict",
    .arguments = "[IMAGE...]",
    .least = 0,
    .most = -1,
    .summary = "Find the points or the classes of faces in photographs",
    .description =
        "Draws points or coloured masks with a legend on each picture and writes them as JSON, in the pixels of the "
        "picture turned upright. Without --faces and --detector each picture counts as one face that fills it as in "
        "training. IMAGE may be a folder, a shard or a list of paths; - is standard input, a picture or such a "
        "list.\n\n"
        "The crop is the one the network was trained with: around the box, or by eyes, nose and mouth (LaPa's "
        "similarity; FFHQ's square for CelebAMask-HQ).",
    .options = options,
    .common = MCF_TAKES_BACKEND | MCF_TAKES_DEVICES | MCF_TAKES_QUIET,
    .examples = "mcf predict --checkpoint runs/align --out drawn photographs --detector mtcnn.safetensors\n"
                "mcf predict --checkpoint runs/parse/best.safetensors --out drawn face.jpg --probabilities",
    .run = run,
};
