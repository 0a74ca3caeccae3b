// mcf export: the backbone under timm's names, or the whole network as ONNX.
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "run/export.h"

static mcf_status run(const mcf_call *call, mcf_error *err)
{
    const char *out = mcf_call_value(call, "out"), *format = mcf_call_value(call, "format");
    const bool allow_nonfinite = mcf_call_flag(call, "allow-nonfinite");
    if (format && strcmp(format, "onnx") == 0) {
        mcf_export_onnx_result r;
        MCF_TRY(mcf_export_onnx(call->arguments[0], out, allow_nonfinite, &r, err));
        if (!call->quiet)
            mcf_say(mcf_words_beside(out), "%s: image [batch,3,%d,%d], RGB from 0 to 1, gives %s; written to %s",
                    r.task, r.side, r.side, r.gives, out);
        return MCF_OK;
    }
    if (format && strcmp(format, "safetensors"))
        return mcf_fail(err, MCF_ERR_USAGE, "export: --format '%s' is neither safetensors nor onnx", format);
    int tensors;
    MCF_TRY(mcf_export(call->arguments[0], out, allow_nonfinite, &tensors, err));
    if (!call->quiet)
        mcf_say(mcf_words_beside(out), "%d tensors written to %s", tensors, out);
    return MCF_OK;
}

static const mcf_option options[] = {
    {"out", "FILE", "Receives the tensors or the network", true},
    {"format", "NAME", "safetensors (the default) or onnx", false},
    MCF_ALLOW_NONFINITE,
    {0},
};

const mcf_command mcf_command_export = {
    .name = "export",
    .arguments = "RUN",
    .least = 1,
    .most = 1,
    .summary = "Write the backbone with timm's names, or the whole network as ONNX",
    .description =
        "Writes the online encoder of a run directory, checkpoint directory or safetensors file in fp32 with "
        "the "
        "names of timm's vision transformers. The metadata say architecture, image and patch size, mean and "
        "deviation.\n\n"
        "With --format onnx the whole network is written for programs that run ONNX (opset 13, IR version 7): of a "
        "pre-trained encoder its features (cls, mean, tokens), of a run of `finetune`, its best.safetensors or an "
        "imported "
        "network of alignment or parsing the averaged network with pyramid and head (points or logits). The "
        "input `image` is float [batch,3,S,S], RGB from 0 to 1, for any batch; mean and deviation are taken off "
        "inside. "
        "Points are in parts of the crop's sides; logits have the crop's size. The metadata say how a crop is "
        "made; examples/onnx_faces.py runs such a file without mcf. Files of more than 2 GiB are refused.",
    .options = options,
    .common = MCF_TAKES_QUIET,
    .examples = "mcf export runs/small --out backbone.safetensors\n"
                "mcf export runs/align/best.safetensors --format onnx --out align.onnx",
    .run = run,
};
