// Face alignment: points are centroids of heatmaps; docs/method.md, "Alignment".
#include "model/dense.h"

mcf_value mcf_align_build(mcf_graph *graph, const mcf_dense_model *model, const mcf_dense_graph_options *options,
                          mcf_value logits)
{
    const mcf_dense_options *d = &model->dense;
    const mcf_value found = mcf_heatmap_points(graph, logits); // at the network's own size, not at the loss's
    if (options->mode != MCF_DENSE_TRAIN)
        mcf_output(graph, found, "eval.points");
    else if (options->outputs)
        mcf_output(graph, found, "out.points");
    if (options->mode == MCF_DENSE_PREDICT)
        return MCF_NO_VALUE;
    const mcf_value points = mcf_input(graph, "points", MCF_F32, MCF_SHAPE(options->batch, d->head.outputs, 2));
    mcf_value total = MCF_NO_VALUE;
    if (d->coordinate_weight != 0) {
        const mcf_value distance = mcf_point_distance(graph, found, points);
        mcf_output(graph, distance, "loss.coordinate");
        total = mcf_scale(graph, distance, d->coordinate_weight, 0);
    }
    if (d->heatmap_weight != 0) {
        const mcf_value entropy = mcf_heatmap_bce(graph, logits, points, d->heatmap_size, d->heatmap_radius);
        mcf_output(graph, entropy, "loss.heatmap");
        total = total == MCF_NO_VALUE ? mcf_scale(graph, entropy, d->heatmap_weight, 0)
                                      : mcf_axpby(graph, 1, total, d->heatmap_weight, entropy);
    }
    mcf_output(graph, total, "loss");
    return total;
}
