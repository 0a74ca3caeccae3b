#include "model/network.h"

#include <stdio.h>

const float mcf_image_mean[3] = {0.485f, 0.456f, 0.406f};
const float mcf_image_std[3] = {0.229f, 0.224f, 0.225f};

void mcf_normalisation(const mcf_model_options *options, float mean[3], float std[3])
{
    for (int c = 0; c < 3; c++) {
        mean[c] = options->std[c] > 0 ? (float)options->mean[c] : mcf_image_mean[c];
        std[c] = options->std[c] > 0 ? (float)options->std[c] : mcf_image_std[c];
    }
}

mcf_value mcf_image_input(mcf_graph *graph, const mcf_model_options *options, const char *view, int64_t batch,
                          int64_t height, int64_t width, bool image_u8)
{
    char image_name[16], flip_name[16];
    snprintf(image_name, sizeof image_name, "image%s", view);
    snprintf(flip_name, sizeof flip_name, "flip%s", view);
    if (!image_u8)
        return mcf_permute(graph, mcf_input(graph, image_name, MCF_F32, MCF_SHAPE(batch, 3, height, width)),
                           (int[]){0, 2, 3, 1});
    mcf_value image = mcf_input(graph, image_name, MCF_U8, MCF_SHAPE(batch, height, width, 3));
    mcf_value flip = mcf_input(graph, flip_name, MCF_U8, MCF_SHAPE(batch));
    float mean[3], std[3];
    mcf_normalisation(options, mean, std);
    return mcf_normalize_image(graph, image, flip, mean, std);
}

mcf_value mcf_encode(mcf_graph *graph, const mcf_vit *vit, mcf_value patches, mcf_value ids_keep,
                     mcf_recompute recompute)
{
    mcf_value x = mcf_vit_tokens(graph, vit, patches, ids_keep, MCF_NO_VALUE);
    return mcf_blocks_forward(graph, &vit->stack, x, vit->stack.depth, vit->norm, mcf_graph_compute(graph), recompute,
                              NULL);
}
