// Graphs without gradient: embedding and reconstruction.
#include <math.h>
#include <stdlib.h>

#include "model/parts.h"
#include "model/position.h"

static mcf_status finish(mcf_graph *graph, mcf_graph **out, const char *what, mcf_error *err)
{
    mcf_status status = mcf_graph_status(graph, err);
    if (status != MCF_OK) {
        mcf_graph_destroy(graph);
        return mcf_add_context(err, status, "building %s", what);
    }
    *out = graph;
    return MCF_OK;
}

bool mcf_embed_needs_position(const mcf_pretrain_model *model, const mcf_embed_graph_options *options)
{
    return options->height != model->model.image_size || options->width != model->model.image_size;
}

mcf_status mcf_embed_graph(const mcf_pretrain_model *model, const mcf_embed_graph_options *options, mcf_graph **graph,
                           mcf_error *err)
{
    int64_t p = model->model.patch_size, b = options->batch, dim = model->online.stack.dim;
    *graph = NULL;
    if (options->height < p || options->width < p || options->height % p || options->width % p)
        return mcf_fail(err, MCF_ERR_SHAPE,
                        "images of %lld x %lld pixels: both sides must be multiples of the "
                        "patch size, %lld",
                        (long long)options->width, (long long)options->height, (long long)p);
    mcf_graph *g = mcf_graph_create(1, options->compute);
    if (!g)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a graph");
    int64_t count = (options->height / p) * (options->width / p);
    mcf_value image = mcf_image_input(g, &model->model, "", b, options->height, options->width, options->image_u8);
    mcf_value position = MCF_NO_VALUE;
    if (mcf_embed_needs_position(model, options))
        position = mcf_input(g, "pos_embed", MCF_F32, MCF_SHAPE(1, 1 + count, dim));
    mcf_value x = mcf_patchify(g, image, p, options->compute);
    x = mcf_vit_tokens(g, &model->online, x, MCF_NO_VALUE, position);
    x = mcf_blocks_forward(g, &model->online.stack, x, model->online.stack.depth, model->online.norm, MCF_F32,
                           MCF_RECOMPUTE_NONE, NULL);
    if (options->tokens)
        mcf_output(g, x, "tokens");
    mcf_output(g, mcf_reshape(g, mcf_slice(g, x, 1, 0, 1), MCF_SHAPE(b, dim)), "cls");
    mcf_output(g, mcf_reshape(g, mcf_mean(g, mcf_slice(g, x, 1, 1, count), 2), MCF_SHAPE(b, dim)), "mean");
    return finish(g, graph, "the embedding", err);
}

mcf_status mcf_embed_position(const mcf_pretrain_model *model, const mcf_embed_graph_options *options,
                              mcf_runtime *runtime, mcf_program *program, mcf_error *err)
{
    int64_t p = model->model.patch_size, side = model->model.image_size / p, dim = model->online.stack.dim;
    int64_t rows = options->height / p, columns = options->width / p;
    size_t bytes = (size_t)((1 + rows * columns) * dim) * sizeof(float);
    float *from = malloc((size_t)((1 + side * side) * dim) * sizeof(float)), *to = malloc(bytes);
    mcf_status status = from && to ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for a position table");
    if (status == MCF_OK)
        status = mcf_runtime_read(runtime, MCF_ARRAY_MASTER, model->online.pos_embed, from, err);
    if (status == MCF_OK) {
        mcf_position_resize(from, side, side, to, rows, columns, dim);
        status = mcf_program_write(program, "pos_embed", to, bytes, err);
    }
    free(from);
    free(to);
    return status;
}

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
    mcf_value pred = mcf_decoder_forward(g, model, latent, ids_restore);
    mcf_output(g, pred, "out.pred");
    if (model->pixel && model->objective.per_patch_norm)
        pred = denormalised(g, pred, mcf_patchify_pixels(g, image, p));
    mcf_output(g, mcf_unpatchify(g, pred, p, side, side), "pseudo");
    return finish(g, graph, "the reconstruction", err);
}
