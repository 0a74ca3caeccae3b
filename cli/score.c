// mcf score: our definitions applied to given tensors.
#include <stdio.h>

#include "cli/commands.h"
#include "infer/score/answer.h"
#include "run/output.h"

static mcf_status run(const mcf_call *call, mcf_error *err)
{
    const char *in = mcf_call_value(call, "in"), *out = mcf_call_value(call, "out");
    MCF_TRY(mcf_check_output(out, &in, 1, err));
    return mcf_answer(call->arguments[0], in, out, err);
}

static const mcf_option options[] = {
    {"in", "FILE", "Safetensors file with the tensors; its metadata hold the settings", true},
    {"out", "FILE", "Receives the answer: JSON for align_score and parse_score, else safetensors (float64)", true},
    {0},
};

const mcf_command mcf_command_score = {
    .name = "score",
    .arguments = "KIND",
    .least = 1,
    .most = 1,
    .summary = "Apply our scores, crops, warps and targets to given tensors",
    .description =
        "Computes one definition of the downstream tasks from tensors that you give, in double precision: a way to "
        "compare another program's scores, crops, warps, decoding and targets with ours. Settings are JSON values in "
        "the file's metadata.\n\n"
        "KIND is one of: align_score (normalizer, threshold; pred, points, box), parse_score (classes, background; "
        "label.0, pred.0, ...), box_crop (size, scale; box, points), points_crop (size, face_scale; points), "
        "random_crop (size, scale, angle, shift; box, points), warp (shape, original, factor, centre; matrix, image, "
        "label, logits, points), decode and target (heatmap_size, heatmap_radius; logits, points), pool (bins; x), "
        "resize (size; x), table (grid; pos_embed).\n\n"
        "Values that have no answer (a box without area, points that coincide, a label that is no class, numbers that "
        "are not finite) are refused with one line.",
    .options = options,
    .examples = "mcf score align_score --in faces.safetensors --out score.json\n"
                "mcf score warp --in warp.safetensors --out warped.safetensors",
    .run = run,
};
