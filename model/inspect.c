#include "model/inspect.h"

#include "model/network.h"

mcf_status mcf_inspect_graph(const mcf_pretrain_model *model, int64_t batch, mcf_dtype compute, mcf_graph **graph,
                             mcf_error *err)
{
    const mcf_vit *vit = &model->online;
    const mcf_blocks *stack = &vit->stack;
    const int64_t side = model->model.image_size;
    mcf_value taps[MCF_MAX_DEPTH];
    *graph = NULL;
    mcf_graph *g = mcf_graph_create(1, compute);
    if (!g)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a graph");
    mcf_value image = mcf_image_input(g, &model->model, "", batch, side, side, false);
    mcf_value start =
        mcf_vit_tokens(g, vit, mcf_patchify(g, image, vit->patch_size, compute), MCF_NO_VALUE, MCF_NO_VALUE);
    mcf_value tokens = mcf_blocks_forward(g, stack, start, stack->depth, vit->norm, MCF_F32, MCF_RECOMPUTE_NONE, taps);
    // The last block's own norm and projection once more: the stack does not hand them out.
    const mcf_block *last = &stack->blocks[stack->depth - 1];
    mcf_value x = stack->depth > 1 ? taps[stack->depth - 2] : start;
    mcf_value y = mcf_layer_norm(g, x, mcf_param(g, stack->store, last->norm1.weight),
                                 mcf_param(g, stack->store, last->norm1.bias), stack->norm_eps, compute);
    mcf_output(g, mcf_linear_layer(g, stack->store, last->qkv, y, MCF_F32), "qkv");
    mcf_output(g, tokens, "tokens");
    return mcf_graph_finish(g, graph, "the encoder to look at", err);
}
