#include "model/vit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME = 256 };

// --- entries
mcf_status mcf_blocks_add(mcf_store *store, const char *prefix, const mcf_vit_options *options, mcf_role role,
                          mcf_blocks *blocks, mcf_error *err)
{
    int64_t dim = options->dim, hidden = (int64_t)(options->dim * options->mlp_ratio);
    *blocks = (mcf_blocks){.store = store,
                           .dim = options->dim,
                           .depth = options->depth,
                           .heads = options->heads,
                           .activation = options->activation,
                           .norm_eps = options->norm_eps > 0 ? options->norm_eps : MCF_VIT_NORM_EPS};
    blocks->blocks = calloc((size_t)options->depth, sizeof *blocks->blocks);
    if (!blocks->blocks)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %d blocks of %s", options->depth, prefix);
    for (int i = 0; i < options->depth; i++) {
        mcf_block *block = &blocks->blocks[i];
        char name[NAME];
#define AT(part) (snprintf(name, sizeof name, "%s.%d.%s", prefix, i, part), name)
        MCF_TRY(mcf_norm_add(store, AT("norm1"), dim, role, &block->norm1, err));
        MCF_TRY(mcf_linear_add(store, AT("attn.qkv"), 3 * dim, dim, true, role, &block->qkv, err));
        MCF_TRY(mcf_linear_add(store, AT("attn.proj"), dim, dim, true, role, &block->proj, err));
        MCF_TRY(mcf_norm_add(store, AT("norm2"), dim, role, &block->norm2, err));
        MCF_TRY(mcf_linear_add(store, AT("mlp.fc1"), hidden, dim, true, role, &block->fc1, err));
        MCF_TRY(mcf_linear_add(store, AT("mlp.fc2"), dim, hidden, true, role, &block->fc2, err));
#undef AT
    }
    return MCF_OK;
}

void mcf_blocks_free(mcf_blocks *blocks)
{
    free(blocks->blocks);
    blocks->blocks = NULL;
}

// backbone: the position table is trained with the rest, and there is no norm behind the last block.
static mcf_status add_vit(mcf_store *store, const char *prefix, const mcf_vit_options *options, int image_size,
                          int patch_size, mcf_role role, bool backbone, mcf_vit *vit, mcf_error *err)
{
    int64_t dim = options->dim, p = patch_size, side = image_size / patch_size;
    char name[NAME];
    vit->image_size = image_size;
    vit->patch_size = patch_size;
    MCF_TRY(mcf_entry_add(store, prefix, ".cls_token", MCF_SHAPE(1, 1, dim), role, false, &vit->cls_token, err));
    MCF_TRY(mcf_entry_add(store, prefix, ".pos_embed", MCF_SHAPE(1, 1 + side * side, dim),
                          backbone ? role : MCF_ROLE_FROZEN, false, &vit->pos_embed, err));
    MCF_TRY(mcf_entry_add(store, prefix, ".patch_embed.proj.weight", MCF_SHAPE(dim, 3, p, p), role, true,
                          &vit->patch_embed.weight, err));
    vit->patch_embed.bias = -1;
    if (options->patch_bias == MCF_PATCH_BIAS)
        MCF_TRY(mcf_entry_add(store, prefix, ".patch_embed.proj.bias", MCF_SHAPE(dim), role, false,
                              &vit->patch_embed.bias, err));
    vit->norm_pre = (mcf_affine){-1, -1};
    snprintf(name, sizeof name, "%s.norm_pre", prefix);
    if (options->pre_norm)
        MCF_TRY(mcf_norm_add(store, name, dim, role, &vit->norm_pre, err));
    snprintf(name, sizeof name, "%s.blocks", prefix);
    MCF_TRY(mcf_blocks_add(store, name, options, role, &vit->stack, err));
    vit->norm = (mcf_affine){-1, -1};
    if (backbone)
        return MCF_OK;
    snprintf(name, sizeof name, "%s.norm", prefix);
    return mcf_norm_add(store, name, dim, role, &vit->norm, err);
}

mcf_status mcf_vit_add(mcf_store *store, const char *prefix, const mcf_vit_options *options, int image_size,
                       int patch_size, mcf_role role, mcf_vit *vit, mcf_error *err)
{
    return add_vit(store, prefix, options, image_size, patch_size, role, false, vit, err);
}

mcf_status mcf_vit_add_backbone(mcf_store *store, const char *prefix, const mcf_vit_options *options, int image_size,
                                int patch_size, mcf_role role, mcf_vit *vit, mcf_error *err)
{
    return add_vit(store, prefix, options, image_size, patch_size, role, true, vit, err);
}

void mcf_vit_free(mcf_vit *vit)
{
    mcf_blocks_free(&vit->stack);
}

// --- patches. An axis each: image, row of patches, row in a patch, column of patches, column in a patch,
// channel.
static mcf_value split_image(mcf_graph *graph, mcf_value image, int64_t patch)
{
    int64_t b = mcf_value_dim(graph, image, 0), h = mcf_value_dim(graph, image, 1), w = mcf_value_dim(graph, image, 2);
    return mcf_reshape(graph, image, MCF_SHAPE(b, h / patch, patch, w / patch, patch, 3));
}

static mcf_value as_patches(mcf_graph *graph, mcf_value split, const int axes[6], mcf_dtype dtype)
{
    mcf_value x = mcf_copy(graph, mcf_permute(graph, split, axes), dtype);
    mcf_shape s = mcf_value_shape(graph, x);
    return mcf_reshape(graph, x, MCF_SHAPE(s.dim[0], s.dim[1] * s.dim[2], s.dim[3] * s.dim[4] * s.dim[5]));
}

mcf_value mcf_patchify(mcf_graph *graph, mcf_value image, int64_t patch, mcf_dtype dtype)
{
    return as_patches(graph, split_image(graph, image, patch), (int[]){0, 1, 3, 5, 2, 4}, dtype);
}

mcf_value mcf_patchify_pixels(mcf_graph *graph, mcf_value image, int64_t patch)
{
    return as_patches(graph, split_image(graph, image, patch), (int[]){0, 1, 3, 2, 4, 5}, MCF_F32);
}

mcf_value mcf_unpatchify(mcf_graph *graph, mcf_value pixels, int64_t patch, int64_t rows, int64_t columns)
{
    int64_t b = mcf_value_dim(graph, pixels, 0);
    mcf_value x = mcf_reshape(graph, pixels, MCF_SHAPE(b, rows, columns, patch, patch, 3));
    x = mcf_copy(graph, mcf_permute(graph, x, (int[]){0, 1, 3, 2, 4, 5}), MCF_F32);
    return mcf_reshape(graph, x, MCF_SHAPE(b, rows * patch, columns * patch, 3));
}

mcf_value mcf_pixels_to_patches(mcf_graph *graph, mcf_value pixels, int64_t patch, mcf_dtype dtype)
{
    int64_t b = mcf_value_dim(graph, pixels, 0), count = mcf_value_dim(graph, pixels, 1);
    mcf_value x = mcf_reshape(graph, pixels, MCF_SHAPE(b, count, patch, patch, 3));
    x = mcf_copy(graph, mcf_permute(graph, x, (int[]){0, 1, 4, 2, 3}), dtype);
    return mcf_reshape(graph, x, MCF_SHAPE(b, count, 3 * patch * patch));
}

// --- blocks
mcf_value mcf_vit_tokens(mcf_graph *graph, const mcf_vit *vit, mcf_value patches, mcf_value ids_keep,
                         mcf_value position)
{
    const mcf_store *store = vit->stack.store;
    int64_t b = mcf_value_dim(graph, patches, 0), count = mcf_value_dim(graph, patches, 1), dim = vit->stack.dim;
    if (position == MCF_NO_VALUE)
        position = mcf_param(graph, store, vit->pos_embed);
    mcf_value places = mcf_slice(graph, position, 1, 1, count);
    if (ids_keep != MCF_NO_VALUE) {
        patches = mcf_gather_rows(graph, patches, ids_keep);
        places = mcf_gather_rows(graph, mcf_expand(graph, places, MCF_SHAPE(b, count, dim)), ids_keep);
    }
    mcf_value x = mcf_linear_layer(graph, store, vit->patch_embed, patches, MCF_F32);
    x = mcf_add(graph, x, places);
    mcf_value cls = mcf_param(graph, store, vit->cls_token);
    cls = mcf_add(graph, cls, mcf_slice(graph, position, 1, 0, 1));
    x = mcf_concat(graph, mcf_expand(graph, cls, MCF_SHAPE(b, 1, dim)), x, 1);
    if (vit->norm_pre.weight < 0)
        return x;
    return mcf_layer_norm(graph, x, mcf_param(graph, store, vit->norm_pre.weight),
                          mcf_param(graph, store, vit->norm_pre.bias), vit->stack.norm_eps, MCF_F32);
}

static mcf_value attend(mcf_graph *graph, const mcf_blocks *blocks, const mcf_block *block, mcf_value y)
{
    mcf_dtype compute = mcf_graph_compute(graph);
    int64_t b = mcf_value_dim(graph, y, 0), n = mcf_value_dim(graph, y, 1), heads = blocks->heads;
    int64_t width = blocks->dim / blocks->heads;
    mcf_value qkv = mcf_linear_layer(graph, blocks->store, block->qkv, y, compute);
    qkv = mcf_reshape(graph, qkv, MCF_SHAPE(b, n, 3, heads, width));
    mcf_value mixed = mcf_attention(graph, qkv, 1 / sqrt((double)width));
    mixed = mcf_reshape(graph, mixed, MCF_SHAPE(b, n, blocks->dim));
    return mcf_linear_layer(graph, blocks->store, block->proj, mixed, compute);
}

static mcf_value perceive(mcf_graph *graph, const mcf_blocks *blocks, const mcf_block *block, mcf_value y)
{
    mcf_dtype compute = mcf_graph_compute(graph);
    mcf_value hidden = mcf_linear_layer(graph, blocks->store, block->fc1, y, compute);
    if (blocks->activation == MCF_MLP_QUICK_GELU)
        hidden = mcf_mul(graph, hidden, mcf_sigmoid(graph, mcf_scale(graph, hidden, 1.702, 0)));
    else
        hidden = mcf_gelu(graph, hidden);
    return mcf_linear_layer(graph, blocks->store, block->fc2, hidden, compute);
}

// x = x + r, returns norm(x).
static mcf_value residual_norm(mcf_graph *graph, const mcf_blocks *blocks, mcf_affine norm, mcf_value *x, mcf_value r,
                               mcf_dtype out)
{
    mcf_value gamma = mcf_param(graph, blocks->store, norm.weight), beta = mcf_param(graph, blocks->store, norm.bias);
    return mcf_add_layer_norm(graph, *x, r, gamma, beta, blocks->norm_eps, out, x);
}

mcf_value mcf_blocks_forward(mcf_graph *graph, const mcf_blocks *blocks, mcf_value x, int count, mcf_affine last,
                             mcf_dtype out, mcf_recompute recompute, mcf_value *taps)
{
    mcf_dtype compute = mcf_graph_compute(graph);
    const mcf_block *block = blocks->blocks;
    mcf_value r = MCF_NO_VALUE, y;
    for (int i = 0; i < count; i++, block++) {
        // A recomputed block begins with the sum and norm that end the block before, so that a block keeps only x and
        // r.
        if (recompute == MCF_RECOMPUTE_BLOCKS)
            mcf_recompute_begin(graph);
        if (i == 0)
            y = mcf_layer_norm(graph, x, mcf_param(graph, blocks->store, block->norm1.weight),
                               mcf_param(graph, blocks->store, block->norm1.bias), blocks->norm_eps, compute);
        else
            y = residual_norm(graph, blocks, block->norm1, &x, r, compute);
        if (taps && i > 0)
            taps[i - 1] = x;
        y = residual_norm(graph, blocks, block->norm2, &x, attend(graph, blocks, block, y), compute);
        r = perceive(graph, blocks, block, y);
        if (recompute == MCF_RECOMPUTE_BLOCKS)
            mcf_recompute_end(graph);
    }
    if (last.weight >= 0)
        y = residual_norm(graph, blocks, last, &x, r, out);
    else
        y = x = mcf_add(graph, x, r);
    if (taps)
        taps[count - 1] = x;
    return y;
}
