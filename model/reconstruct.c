#include "model/reconstruct.h"

#include <math.h>

#include "model/masks.h"

// A decoder trained on normalised patches predicts them: back to the image's scale with the real patches'
// mean and deviation, to look at.
static mcf_value denormalised(mcf_graph *graph, mcf_value pred, mcf_value target)
{
    int64_t n = mcf_value_dim(graph, pred, 2);
    mcf_shape shape = mcf_value_shape(graph, pred);
    mcf_value mean = mcf_expand(graph, mcf_mean(graph, target, 4), shape);
    mcf_value centred = mcf_axpby(graph, 1, target, -1, mean);
    // |centred| = centred^2 / (centred/|centred|): the deviation without a square root of its own.
    mcf_value unit = mcf_l2_normalize(graph, centred, 2, 1e-6);
    mcf_value norm = mcf_reduce_sum(graph, mcf_mul(graph, centred, unit), 4, 1 / sqrt((double)(n - 1)), MCF_F32);
    return mcf_add(graph, mcf_mul(graph, pred, mcf_expand(graph, norm, shape)), mean);
}

mcf_status mcf_reconstruct_graph(const mcf_pretrain_model *model, const mcf_reconstruct_graph_options *options,
                                 mcf_graph **graph, mcf_error *err)
{
    int64_t p = model->model.patch_size, side = model->model.image_size / p, b = options->batch;
    *graph = NULL;
    if (!model->decodes)
        return mcf_fail(err, MCF_ERR_USAGE, "this network was trained without a decoder: nothing can be reconstructed");
    mcf_graph *g = mcf_graph_create(options->world ? options->world : 1, options->compute);
    if (!g)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a graph");
    mcf_value image =
        mcf_image_input(g, &model->model, "", b, model->model.image_size, model->model.image_size, options->image_u8);
    mcf_value ids_keep = mcf_input(g, "ids_keep", MCF_I64, MCF_SHAPE(b, model->visible));
    mcf_value ids_restore = mcf_input(g, "ids_restore", MCF_I64, MCF_SHAPE(b, model->patches));
    mcf_value patches = mcf_patchify(g, image, p, options->compute);
    mcf_value latent = mcf_encode(g, &model->online, patches, ids_keep, MCF_RECOMPUTE_NONE);
    mcf_value pred = mcf_decoder_forward(g, &model->decoder, latent, ids_restore, MCF_RECOMPUTE_NONE);
    mcf_output(g, pred, "out.pred");
    if (model->pixel && model->objective.per_patch_norm)
        pred = denormalised(g, pred, mcf_patchify_pixels(g, image, p));
    mcf_output(g, mcf_unpatchify(g, pred, p, side, side), "pseudo");
    return mcf_graph_finish(g, graph, "the reconstruction", err);
}

mcf_status mcf_reconstruct_inputs(const mcf_pretrain_model *model, const int64_t *ids_shuffle, mcf_inputs *to,
                                  mcf_error *err)
{
    return mcf_mask_inputs(ids_shuffle, model->patches, model->visible, true, false, to, err);
}
