// The objective of mask contrastive faces: equations (5) and (6) of the paper, MAE's pixel loss, and their
// sum.
#include "model/mcf.h"

#include <math.h>

#include "model/contrast.h"
#include "model/masks.h"

// M_1: outputs of its tapped blocks, f32 [B,1+L,D'] each, for patches of an image taken as normalised.
static void m1(mcf_graph *graph, const mcf_pretrain_model *model, mcf_value patches, mcf_recompute recompute,
               mcf_value *features)
{
    mcf_value taps[MCF_MAX_DEPTH];
    int deepest = 0;
    for (int j = 0; j < model->model.teacher_block_count; j++)
        if (model->model.teacher_blocks[j] > deepest)
            deepest = model->model.teacher_blocks[j];
    mcf_value x = mcf_vit_tokens(graph, &model->teacher, patches, MCF_NO_VALUE, MCF_NO_VALUE);
    mcf_blocks_forward(graph, &model->teacher.stack, x, deepest, (mcf_affine){-1, -1}, MCF_F32, recompute, taps);
    for (int j = 0; j < model->model.teacher_block_count; j++)
        features[j] = taps[model->model.teacher_blocks[j] - 1];
}

// Equation (5), with the authors' code: L_mim = sum_j mean((a_j/|a_j| - b_j/|b_j|)^2), a_j and b_j block j of
// M_1 on the pseudo and on the real image, norms along the tokens.
static mcf_value l_mim(mcf_graph *graph, const mcf_pretrain_model *model, const mcf_value *pseudo,
                       const mcf_value *real)
{
    mcf_value sum = MCF_NO_VALUE;
    for (int j = 0; j < model->model.teacher_block_count; j++) {
        mcf_value term = mcf_token_mse(graph, pseudo[j], real[j], 1e-12);
        sum = j ? mcf_add(graph, sum, term) : term;
    }
    return sum;
}

// MAE (He et al. 2022): mean squared error of the removed patches, the target's patches normalised if wanted.
static mcf_value l_2(mcf_graph *graph, const mcf_pretrain_model *model, mcf_value pred, mcf_value image,
                     mcf_value ids_mask)
{
    int64_t n = mcf_value_dim(graph, pred, 2);
    mcf_value target = mcf_patchify_pixels(graph, image, model->model.patch_size);
    target = mcf_gather_rows(graph, target, ids_mask);
    if (model->objective.per_patch_norm) {
        // (x - m)/sqrt(v n/(n-1) + 1e-6), v the biased variance, as a layer norm: sqrt((n-1)/n) goes to gamma
        // and into eps.
        double unbiased = (double)(n - 1) / (double)n;
        mcf_value gamma = mcf_fill(graph, MCF_F32, MCF_SHAPE(n), sqrt(unbiased));
        mcf_value beta = mcf_fill(graph, MCF_F32, MCF_SHAPE(n), 0);
        target = mcf_layer_norm(graph, target, gamma, beta, 1e-6 * unbiased, MCF_F32);
    }
    mcf_value error = mcf_axpby(graph, 1, mcf_gather_rows(graph, pred, ids_mask), -1, target);
    return mcf_reshape(graph, mcf_mean(graph, mcf_mul(graph, error, error), 7), MCF_SHAPE(1));
}

// What the heads see: the cls token (MCF), or the mean of the visible patch tokens (Con_p). [B,D]
static mcf_value pooled(mcf_graph *graph, const mcf_pretrain_model *model, mcf_value latent)
{
    int64_t b = mcf_value_dim(graph, latent, 0), n = mcf_value_dim(graph, latent, 1) - 1;
    mcf_value token = model->objective.tokens == MCF_TOKENS_CLS ? mcf_slice(graph, latent, 1, 0, 1)
                                                                : mcf_mean(graph, mcf_slice(graph, latent, 1, 1, n), 2);
    return mcf_reshape(graph, token, MCF_SHAPE(b, model->online.stack.dim));
}

// k: the averaged encoder and head on the target's mask. Everything here is without gradient and leaves
// nothing.
static mcf_value key(mcf_graph *graph, const mcf_pretrain_model *model, mcf_value patches, mcf_value ids_keep,
                     bool average)
{
    const mcf_store *store = &model->store;
    if (average) {
        mcf_ema(graph, mcf_role_slice(graph, store, MCF_ROLE_TARGET, 0, store->averaged_count),
                mcf_role_slice(graph, store, MCF_ROLE_TRAINED, 0, store->averaged_count), model->objective.momentum, 1,
                MCF_NO_VALUE);
        mcf_refresh_low_precision(graph, store, MCF_ROLE_TARGET);
    }
    mcf_value latent = mcf_encode(graph, &model->target, patches, ids_keep, MCF_RECOMPUTE_NONE);
    mcf_value k =
        mcf_projector_forward(graph, &model->store, &model->model, &model->target_head, pooled(graph, model, latent));
    return mcf_l2_normalize(graph, k, 1, 1e-12);
}

static mcf_value query(mcf_graph *graph, const mcf_pretrain_model *model, mcf_value latent)
{
    mcf_value q =
        mcf_projector_forward(graph, &model->store, &model->model, &model->online_head, pooled(graph, model, latent));
    return mcf_l2_normalize(graph, mcf_projector_forward(graph, &model->store, &model->model, &model->predictor, q), 1,
                            1e-12);
}

// Patches of M_1's own image, from an image of the model's size.
static mcf_value teacher_patches(mcf_graph *graph, const mcf_pretrain_model *model, mcf_value image)
{
    int64_t side = model->teacher.image_size;
    if (side != model->model.image_size)
        image = mcf_resize_nearest(graph, image, side, side);
    return mcf_patchify(graph, image, model->teacher.patch_size, mcf_graph_compute(graph));
}

static mcf_value pseudo_patches(mcf_graph *graph, const mcf_pretrain_model *model, mcf_value pred)
{
    int64_t patch = model->model.patch_size, side = model->model.image_size / patch;
    if (model->teacher.image_size == model->model.image_size)
        return mcf_pixels_to_patches(graph, pred, patch, mcf_graph_compute(graph));
    return teacher_patches(graph, model, mcf_unpatchify(graph, pred, patch, side, side));
}

static mcf_value add_term(mcf_graph *graph, mcf_value total, mcf_value term, double weight, const char *name)
{
    mcf_output(graph, term, name);
    return total == MCF_NO_VALUE ? mcf_scale(graph, term, weight, 0) : mcf_axpby(graph, 1, total, weight, term);
}

// The order matters for memory: what needs no gradient runs first, before the online encoder leaves its
// activations.
static void build(mcf_graph *graph, const mcf_pretrain_model *model, const mcf_step_graph_options *options)
{
    int64_t b = options->batch, count = model->patches, n = model->visible;
    const mcf_objective_options *objective = &model->objective;
    mcf_value image = mcf_image_input(graph, &model->model, "", b, model->model.image_size, model->model.image_size,
                                      options->image_u8);
    mcf_value patches = mcf_patchify(graph, image, model->model.patch_size, mcf_graph_compute(graph));
    mcf_value real[MCF_MAX_TEACHER_BLOCKS], pseudo[MCF_MAX_TEACHER_BLOCKS], total = MCF_NO_VALUE;
    mcf_value k = MCF_NO_VALUE, labels = MCF_NO_VALUE;

    if (model->contrastive) {
        labels = mcf_input(graph, "labels", MCF_I64, MCF_SHAPE(b));
        mcf_value ids = mcf_input(graph, "ids_keep_target", MCF_I64, MCF_SHAPE(b, n));
        k = key(graph, model, patches, ids, options->average);
    }
    if (model->feature) {
        bool same = model->teacher.image_size == model->model.image_size;
        m1(graph, model, same ? patches : teacher_patches(graph, model, image), MCF_RECOMPUTE_NONE, real);
    }
    mcf_value ids_keep = mcf_input(graph, "ids_keep", MCF_I64, MCF_SHAPE(b, n));
    mcf_value latent = mcf_encode(graph, &model->online, patches, ids_keep, model->model.recompute);
    if (model->contrastive) {
        mcf_value q = query(graph, model, latent);
        total = add_term(graph, total, mcf_contrastive_loss(graph, q, k, labels, objective->temperature),
                         objective->contrastive_weight, "loss.contrastive");
        if (options->outputs) {
            mcf_output(graph, q, "out.q");
            mcf_output(graph, k, "out.k");
        }
    }
    if (model->decodes) {
        mcf_value ids_restore = mcf_input(graph, "ids_restore", MCF_I64, MCF_SHAPE(b, count));
        mcf_value pred = mcf_decoder_forward(graph, &model->decoder, latent, ids_restore, model->model.recompute);
        if (options->outputs)
            mcf_output(graph, pred, "out.pred");
        if (model->pixel) {
            mcf_value ids_mask = mcf_input(graph, "ids_mask", MCF_I64, MCF_SHAPE(b, count - n));
            total =
                add_term(graph, total, l_2(graph, model, pred, image, ids_mask), objective->pixel_weight, "loss.pixel");
        }
        if (model->feature) {
            m1(graph, model, pseudo_patches(graph, model, pred), model->model.recompute, pseudo);
            total =
                add_term(graph, total, l_mim(graph, model, pseudo, real), objective->feature_weight, "loss.feature");
        }
    }
    mcf_output(graph, total, "loss");
    if (options->backward)
        mcf_backward(graph, total, mcf_input(graph, "loss_scale", MCF_F32, MCF_SHAPE(1)));
}

// --- networks

static mcf_status add_encoders(mcf_pretrain_model *model, mcf_error *err)
{
    const mcf_model_options *m = &model->model;
    mcf_store *store = &model->store;
    int64_t dim = m->encoder.dim, hidden = m->projector_hidden, out = m->projector_out;
    MCF_TRY(mcf_vit_add(store, "online_encoder", &m->encoder, m->image_size, m->patch_size, MCF_ROLE_TRAINED,
                        &model->online, err));
    if (!model->contrastive)
        return MCF_OK;
    MCF_TRY(mcf_projector_add(store, "online_encoder.fc", dim, hidden, out, true, MCF_ROLE_TRAINED, &model->online_head,
                              err));
    store->averaged_count = store->role_count[MCF_ROLE_TRAINED];
    MCF_TRY(mcf_vit_add(store, "target_encoder", &m->encoder, m->image_size, m->patch_size, MCF_ROLE_TARGET,
                        &model->target, err));
    MCF_TRY(mcf_projector_add(store, "target_encoder.fc", dim, hidden, out, true, MCF_ROLE_TARGET, &model->target_head,
                              err));
    if (store->role_count[MCF_ROLE_TARGET] != store->averaged_count)
        return mcf_fail(err, MCF_ERR_INTERNAL, "the target's layout is not the online encoder's");
    return mcf_projector_add(store, "predictor", out, hidden, out, false, MCF_ROLE_TRAINED, &model->predictor, err);
}

static mcf_status add(mcf_pretrain_model *model, mcf_error *err)
{
    const mcf_model_options *m = &model->model;
    const mcf_objective_options *o = &model->objective;
    model->feature = o->feature_weight != 0;
    model->pixel = o->pixel_weight != 0;
    model->contrastive = o->contrastive_weight != 0;
    model->decodes = model->feature || model->pixel;
    MCF_TRY(add_encoders(model, err));
    if (model->decodes)
        MCF_TRY(mcf_decoder_add(&model->store, &m->decoder, m->encoder.dim, m->patch_size,
                                m->image_size / m->patch_size, &model->decoder, err));
    if (model->feature)
        MCF_TRY(mcf_vit_add(&model->store, "perceptual_loss.model", &m->teacher, m->teacher_image_size, m->patch_size,
                            MCF_ROLE_FROZEN, &model->teacher, err));
    return MCF_OK;
}

static void init(const mcf_pretrain_model *model, const mcf_init *c)
{
    mcf_init_vit(c, &model->online);
    if (model->contrastive) {
        mcf_projector_init(c, &model->online_head);
        mcf_projector_init(c, &model->predictor);
    }
    if (model->decodes)
        mcf_decoder_init(c, &model->decoder, model->model.image_size / model->model.patch_size);
    if (model->feature)
        mcf_init_vit(c, &model->teacher);
}

static void copy_target(const mcf_pretrain_model *model, const mcf_init *c)
{
    mcf_init_copy(c, model->online_head.mean1, model->target_head.mean1);
    mcf_init_copy(c, model->online_head.var1, model->target_head.var1);
    mcf_init_copy(c, model->online_head.mean2, model->target_head.mean2);
    mcf_init_copy(c, model->online_head.var2, model->target_head.var2);
}

static void describe(const mcf_pretrain_model *model, mcf_objective *objective)
{
    static const char *const outputs[] = {"out.pred", "out.q", "out.k", NULL};
    if (model->feature)
        objective->term[objective->term_count++] = (mcf_loss_term){.name = "loss.feature", .local = true};
    if (model->contrastive)
        objective->term[objective->term_count++] = (mcf_loss_term){.name = "loss.contrastive"};
    if (model->pixel)
        objective->term[objective->term_count++] = (mcf_loss_term){.name = "loss.pixel", .local = true};
    objective->outputs = outputs;
    objective->given = "perceptual_loss.";
    if (model->contrastive)
        objective->averaging =
            model->objective.momentum_update == MCF_EMA_MICRO_BATCH ? MCF_AVERAGE_IN_GRAPH : MCF_AVERAGE_BEFORE_STEP;
}

const mcf_pretrain_method mcf_method_mcf = {
    .encoder = "online_encoder.",
    .head = "fc.",
    .add = add,
    .describe = describe,
    .init = init,
    .copy_target = copy_target,
    .build = build,
};

// --- batches

mcf_status mcf_mcf_inputs(const mcf_pretrain_model *model, const int64_t *ids_shuffle,
                          const int64_t *ids_shuffle_target, int64_t first, mcf_inputs *to, mcf_error *err)
{
    MCF_TRY(mcf_mask_inputs(ids_shuffle, model->patches, model->visible, model->decodes, model->pixel, to, err));
    if (!model->contrastive)
        return MCF_OK;
    int64_t *keep = mcf_inputs_take(to, "ids_keep_target", (size_t)model->visible * sizeof *keep, err);
    if (!keep)
        return MCF_ERR_NOMEM;
    MCF_TRY(mcf_mask_split(ids_shuffle_target, to->rows, model->patches, model->visible, keep, NULL, NULL, err));
    return mcf_contrastive_labels(first, to, err);
}
