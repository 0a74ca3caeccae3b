// The decoder M_0: from visible tokens to the pixels of all patches.
#ifndef MCF_MODEL_DECODER_H
#define MCF_MODEL_DECODER_H

#include "model/init.h"

typedef struct {
    mcf_affine embed, norm, pred;
    int mask_token, pos_embed;
    mcf_blocks stack;
} mcf_decoder;

mcf_status mcf_decoder_add(mcf_store *store, const mcf_vit_options *options, int64_t in, int64_t patch, int64_t side,
                           mcf_decoder *decoder, mcf_error *err);
void mcf_decoder_init(const mcf_init *init, const mcf_decoder *decoder, int64_t side);
// latent [B,1+n,D] and ids_restore i64 [B,L] -> f32 [B,L,P*P*3], cls dropped.
mcf_value mcf_decoder_forward(mcf_graph *graph, const mcf_decoder *decoder, mcf_value latent, mcf_value ids_restore,
                              mcf_recompute recompute);

#endif
