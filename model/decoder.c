#include "model/decoder.h"

#include "model/position.h"

mcf_status mcf_decoder_add(mcf_store *store, const mcf_vit_options *options, int64_t in, int64_t patch, int64_t side,
                           mcf_decoder *decoder, mcf_error *err)
{
    int64_t dim = options->dim;
    MCF_TRY(mcf_linear_add(store, "decoder_embed", dim, in, true, MCF_ROLE_TRAINED, &decoder->embed, err));
    decoder->mask_token = mcf_store_add(store, "mask_token", MCF_SHAPE(1, 1, dim), MCF_ROLE_TRAINED, false);
    decoder->pos_embed =
        mcf_store_add(store, "decoder_pos_embed", MCF_SHAPE(1, 1 + side * side, dim), MCF_ROLE_FROZEN, false);
    if (decoder->mask_token < 0 || decoder->pos_embed < 0)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the decoder's tokens");
    MCF_TRY(mcf_blocks_add(store, "decoder_blocks", options, MCF_ROLE_TRAINED, &decoder->stack, err));
    MCF_TRY(mcf_norm_add(store, "decoder_norm", dim, MCF_ROLE_TRAINED, &decoder->norm, err));
    return mcf_linear_add(store, "decoder_pred", 3 * patch * patch, dim, true, MCF_ROLE_TRAINED, &decoder->pred, err);
}

void mcf_decoder_init(const mcf_init *init, const mcf_decoder *d, int64_t side)
{
    mcf_init_linear(init, d->embed);
    mcf_init_normal(init, d->mask_token, 0.02);
    mcf_position_table(mcf_params_at(init->params, init->store, d->pos_embed), d->stack.dim, side, side);
    mcf_init_blocks(init, &d->stack);
    mcf_init_norm(init, d->norm);
    mcf_init_linear(init, d->pred);
}

mcf_value mcf_decoder_forward(mcf_graph *graph, const mcf_decoder *decoder, mcf_value latent, mcf_value ids_restore,
                              mcf_recompute recompute)
{
    const mcf_store *store = decoder->stack.store;
    int64_t b = mcf_value_dim(graph, latent, 0), n = mcf_value_dim(graph, latent, 1) - 1;
    int64_t count = mcf_value_dim(graph, ids_restore, 1), dim = decoder->stack.dim;

    mcf_value x = mcf_linear_layer(graph, store, decoder->embed, latent, MCF_F32);
    mcf_value cls = mcf_slice(graph, x, 1, 0, 1), patches = mcf_slice(graph, x, 1, 1, n);
    if (count > n) {
        mcf_value mask = mcf_param(graph, store, decoder->mask_token);
        patches = mcf_concat(graph, patches, mcf_expand(graph, mask, MCF_SHAPE(b, count - n, dim)), 1);
    }
    patches = mcf_gather_rows(graph, patches, ids_restore);
    x = mcf_concat(graph, cls, patches, 1);
    x = mcf_add(graph, x, mcf_param(graph, store, decoder->pos_embed));
    x = mcf_blocks_forward(graph, &decoder->stack, x, decoder->stack.depth, decoder->norm, mcf_graph_compute(graph),
                           recompute, NULL);
    // cls is dropped here and not after the product: the copy that makes rows contiguous is narrower.
    return mcf_linear_layer(graph, store, decoder->pred, mcf_slice(graph, x, 1, 1, count), MCF_F32);
}
