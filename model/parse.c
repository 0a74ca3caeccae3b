// Face parsing: a class for every pixel; docs/method.md, "Parsing".
#include "model/dense.h"

mcf_value mcf_parse_build(mcf_graph *graph, const mcf_dense_model *model, const mcf_dense_graph_options *options,
                          mcf_value logits)
{
    const int64_t height = model->label_height, width = model->label_width;
    const bool train = options->mode == MCF_DENSE_TRAIN;
    if (options->outputs || !train) {
        const mcf_value large = mcf_resize_bilinear(graph, logits, height, width);
        mcf_output(graph, mcf_copy(graph, mcf_permute(graph, large, (int[]){0, 3, 1, 2}), MCF_F32),
                   train ? "out.logits" : "eval.logits");
    }
    if (options->mode == MCF_DENSE_PREDICT)
        return MCF_NO_VALUE;
    const mcf_value label = mcf_input(graph, "label", MCF_I64, MCF_SHAPE(options->batch, height, width));
    const mcf_value entropy = mcf_pixel_cross_entropy(graph, logits, label);
    mcf_output(graph, entropy, "loss.cross_entropy");
    const mcf_value total = mcf_scale(graph, entropy, model->dense.cross_entropy_weight, 0);
    mcf_output(graph, total, "loss");
    return total;
}
