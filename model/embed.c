#include "model/embed.h"

#include <stdlib.h>

#include "model/position.h"

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
    return mcf_graph_finish(g, graph, "the embedding", err);
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
