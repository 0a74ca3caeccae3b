// Vision transformer (Dosovitskiy et al. 2021), pre-norm, timm parameter names: its entries in a store and
// its graph.
#ifndef MCF_MODEL_VIT_H
#define MCF_MODEL_VIT_H

#include "model/layers.h"
#include "model/options.h"

#define MCF_VIT_NORM_EPS 1e-6 // of every LayerNorm, unless the options say otherwise
enum { MCF_MAX_DEPTH = 256 };

typedef struct {
    mcf_affine norm1, qkv, proj, norm2, fc1, fc2;
} mcf_block;

// A stack of blocks: of an encoder, or of the decoder.
typedef struct {
    const mcf_store *store;
    int dim, depth, heads;
    mcf_mlp_activation activation;
    double norm_eps;
    mcf_block *blocks; // depth of them; owned
} mcf_blocks;

typedef struct {
    mcf_blocks stack;
    int image_size, patch_size;
    int cls_token, pos_embed;
    mcf_affine patch_embed;
    mcf_affine norm;     // behind the last block; {-1, -1}: there is none
    mcf_affine norm_pre; // {-1, -1}: there is none
} mcf_vit;

// Adds the entries under `prefix` ("online_encoder") to the store; trainable ones in `role`, the position
// table in FROZEN. The store must stay at its place. Free with mcf_vit_free.
mcf_status mcf_vit_add(mcf_store *store, const char *prefix, const mcf_vit_options *options, int image_size,
                       int patch_size, mcf_role role, mcf_vit *vit, mcf_error *err);
// The same for alignment and parsing: the position table in `role` too, and no final norm (`norm` is {-1, -1}).
mcf_status mcf_vit_add_backbone(mcf_store *store, const char *prefix, const mcf_vit_options *options, int image_size,
                                int patch_size, mcf_role role, mcf_vit *vit, mcf_error *err);
void mcf_vit_free(mcf_vit *vit);
mcf_status mcf_blocks_add(mcf_store *store, const char *prefix, const mcf_vit_options *options, mcf_role role,
                          mcf_blocks *blocks, mcf_error *err);
void mcf_blocks_free(mcf_blocks *blocks);
// --- graphs

// Image [B,H,W,3] to patches [B,L,3*p*p] of type `dtype`, each ordered channel, row, column as the kernel of
// patch_embed is stored.
mcf_value mcf_patchify(mcf_graph *graph, mcf_value image, int64_t patch, mcf_dtype dtype);
// The same, each patch ordered row, column, channel as the decoder predicts it; f32.
mcf_value mcf_patchify_pixels(mcf_graph *graph, mcf_value image, int64_t patch);
// Prediction [B,L,p*p*3] (row, column, channel) to an image [B,rows*p,columns*p,3].
mcf_value mcf_unpatchify(mcf_graph *graph, mcf_value pixels, int64_t patch, int64_t rows, int64_t columns);
// Prediction to the order of mcf_patchify, without going through an image.
mcf_value mcf_pixels_to_patches(mcf_graph *graph, mcf_value pixels, int64_t patch, mcf_dtype dtype);

// Tokens that enter the blocks, f32: patches [B,L,3*p*p] projected, position added, cls in front. `ids_keep`
// i64 [B,n]: only these are embedded, [B,1+n,D]; MCF_NO_VALUE: all, [B,1+L,D]. `position` [1,1+L,D]: in place
// of the stored table; MCF_NO_VALUE: the stored one.
mcf_value mcf_vit_tokens(mcf_graph *graph, const mcf_vit *vit, mcf_value patches, mcf_value ids_keep,
                         mcf_value position);
// Blocks over tokens x f32 [B,N,D], `count` of them from the first; each block's sum is fused with the norm
// that follows. `last`: the norm after the last block, whose output is returned, in type `out`; {-1, -1}: the
// sum itself (f32) is returned. taps (NULL allowed): taps[i] receives block i's output, f32.
mcf_value mcf_blocks_forward(mcf_graph *graph, const mcf_blocks *blocks, mcf_value x, int count, mcf_affine last,
                             mcf_dtype out, mcf_recompute recompute, mcf_value *taps);

#endif
