// The networks of pre-training in one store, and the host's side of a batch.
#include "model/pretrain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/parts.h"

const float mcf_image_mean[3] = {0.485f, 0.456f, 0.406f};
const float mcf_image_std[3] = {0.229f, 0.224f, 0.225f};

void mcf_normalisation(const mcf_model_options *options, float mean[3], float std[3])
{
    for (int c = 0; c < 3; c++) {
        mean[c] = options->std[c] > 0 ? (float)options->mean[c] : mcf_image_mean[c];
        std[c] = options->std[c] > 0 ? (float)options->std[c] : mcf_image_std[c];
    }
}

int64_t mcf_visible_count(int64_t patches, double mask_ratio)
{
    return (int64_t)floor((double)patches * (1 - mask_ratio));
}

// --- options
static mcf_status check_vit(const char *key, const mcf_vit_options *vit, mcf_error *err)
{
    if (vit->dim < 4 || vit->dim % 4 || vit->dim > 1 << 16)
        return mcf_fail(err, MCF_ERR_USAGE, "%s.dim is %d; it must be a multiple of 4 up to 65536 (sine-cosine table)",
                        key, vit->dim);
    if (vit->heads < 1 || vit->dim % vit->heads)
        return mcf_fail(err, MCF_ERR_USAGE, "%s.heads is %d; it must divide %s.dim, which is %d", key, vit->heads, key,
                        vit->dim);
    if (vit->depth < 1 || vit->depth > MCF_MAX_DEPTH)
        return mcf_fail(err, MCF_ERR_USAGE, "%s.depth is %d; it must be 1 to %d", key, vit->depth, MCF_MAX_DEPTH);
    if (!(vit->mlp_ratio * vit->dim >= 1) || vit->mlp_ratio > 64)
        return mcf_fail(err, MCF_ERR_USAGE, "%s.mlp_ratio is %g; it must give 1 to 64 times %s.dim hidden units", key,
                        vit->mlp_ratio, key);
    return MCF_OK;
}

static mcf_status check_size(const char *key, int size, int patch, mcf_error *err)
{
    if (patch < 1 || size < patch || size % patch || size > 1 << 14)
        return mcf_fail(err, MCF_ERR_USAGE, "%s is %d; it must be a multiple of model.patch_size, which is %d", key,
                        size, patch);
    return MCF_OK;
}

static mcf_status check_teacher(const mcf_pretrain_model *model, mcf_error *err)
{
    const mcf_model_options *m = &model->model;
    MCF_TRY(check_vit("model.teacher", &m->teacher, err));
    MCF_TRY(check_size("model.teacher.image_size", m->teacher_image_size, m->patch_size, err));
    if (m->teacher_block_count < 1 || m->teacher_block_count > MCF_MAX_TEACHER_BLOCKS)
        return mcf_fail(err, MCF_ERR_USAGE, "model.teacher.blocks: name 1 to %d blocks", MCF_MAX_TEACHER_BLOCKS);
    for (int j = 0; j < m->teacher_block_count; j++)
        if (m->teacher_blocks[j] < 1 || m->teacher_blocks[j] > m->teacher.depth)
            return mcf_fail(err, MCF_ERR_USAGE,
                            "model.teacher.blocks: there is no block %d; blocks are counted from 1 to "
                            "model.teacher.depth, which is %d",
                            m->teacher_blocks[j], m->teacher.depth);
    return MCF_OK;
}

static mcf_status check_heads(const mcf_pretrain_model *model, mcf_error *err)
{
    const mcf_model_options *m = &model->model;
    if (m->projector_hidden < 1 || m->projector_out < 1)
        return mcf_fail(err, MCF_ERR_USAGE, "model.projector: hidden is %d and out is %d; both must be at least 1",
                        m->projector_hidden, m->projector_out);
    if (!(model->objective.temperature > 0))
        return mcf_fail(err, MCF_ERR_USAGE, "objective.contrastive.temperature is %g; it must be above 0",
                        model->objective.temperature);
    return MCF_OK;
}

static mcf_status check(const mcf_pretrain_model *model, mcf_error *err)
{
    const mcf_model_options *m = &model->model;
    const mcf_objective_options *o = &model->objective;
    MCF_TRY(check_size("model.image_size", m->image_size, m->patch_size, err));
    MCF_TRY(check_vit("model.encoder", &m->encoder, err));
    if (model->moco)
        return check_heads(model, err);
    if (!(o->mask_ratio >= 0 && o->mask_ratio < 1) || model->visible < 1)
        return mcf_fail(err, MCF_ERR_USAGE, "objective.mask_ratio is %g; it must leave at least one of %lld patches",
                        o->mask_ratio, (long long)model->patches);
    if (model->pixel && model->visible == model->patches)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "objective.mask_ratio is %g: no patch is removed, so objective.pixel has "
                        "nothing to compare; raise the ratio",
                        o->mask_ratio);
    if (model->decodes)
        MCF_TRY(check_vit("model.decoder", &m->decoder, err));
    if (model->contrastive)
        MCF_TRY(check_heads(model, err));
    return model->feature ? check_teacher(model, err) : MCF_OK;
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

static mcf_status add_networks(mcf_pretrain_model *model, mcf_error *err)
{
    const mcf_model_options *m = &model->model;
    if (model->moco)
        return mcf_moco_add(model, err);
    MCF_TRY(add_encoders(model, err));
    if (model->decodes)
        MCF_TRY(mcf_decoder_add(&model->store, &m->decoder, m->encoder.dim, m->patch_size,
                                m->image_size / m->patch_size, &model->decoder, err));
    if (model->feature)
        MCF_TRY(mcf_vit_add(&model->store, "perceptual_loss.model", &m->teacher, m->teacher_image_size, m->patch_size,
                            MCF_ROLE_FROZEN, &model->teacher, err));
    return MCF_OK;
}

mcf_status mcf_pretrain_create(const mcf_model_options *options, const mcf_objective_options *objective,
                               mcf_pretrain_model **out, mcf_error *err)
{
    *out = NULL;
    mcf_pretrain_model *model = calloc(1, sizeof *model);
    if (!model)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a model");
    model->model = *options;
    model->objective = *objective;
    if (model->model.teacher_image_size == 0)
        model->model.teacher_image_size = options->image_size;
    model->moco = objective->method == MCF_METHOD_MOCO_V3;
    model->feature = !model->moco && objective->feature_weight != 0;
    model->pixel = !model->moco && objective->pixel_weight != 0;
    model->contrastive = !model->moco && objective->contrastive_weight != 0;
    model->decodes = model->feature || model->pixel;
    int64_t side = options->patch_size > 0 ? options->image_size / options->patch_size : 0;
    model->patches = side * side;
    model->visible = mcf_visible_count(model->patches, objective->mask_ratio);
    mcf_store_init(&model->store);
    mcf_status status = check(model, err);
    if (status == MCF_OK)
        status = add_networks(model, err);
    if (status != MCF_OK) {
        mcf_pretrain_destroy(model);
        return status;
    }
    *out = model;
    return MCF_OK;
}

void mcf_pretrain_destroy(mcf_pretrain_model *model)
{
    if (!model)
        return;
    mcf_vit_free(&model->online);
    mcf_vit_free(&model->target);
    mcf_vit_free(&model->teacher);
    mcf_blocks_free(&model->decoder.stack);
    mcf_store_free(&model->store);
    free(model);
}

const char *mcf_backbone_name(const mcf_pretrain_model *model, int entry)
{
    const char *prefix = model->moco ? "base_encoder." : "online_encoder.";
    const char *name = model->store.entries[entry].name;
    size_t length = strlen(prefix);
    if (strncmp(name, prefix, length) || !strncmp(name + length, model->moco ? "head." : "fc.", model->moco ? 5 : 3))
        return NULL;
    return name + length;
}

// --- parts of graphs
mcf_value mcf_image_input(mcf_graph *graph, const mcf_model_options *options, const char *view, int64_t batch,
                          int64_t height, int64_t width, bool image_u8)
{
    char image_name[16], flip_name[16];
    snprintf(image_name, sizeof image_name, "image%s", view);
    snprintf(flip_name, sizeof flip_name, "flip%s", view);
    if (!image_u8)
        return mcf_input(graph, image_name, MCF_F32, MCF_SHAPE(batch, 3, height, width));
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

// --- batches
mcf_status mcf_mask_split(const int64_t *ids_shuffle, int64_t batch, int64_t patches, int64_t visible, int64_t *keep,
                          int64_t *mask, int64_t *restore, mcf_error *err)
{
    bool *seen = malloc((size_t)patches + 1);
    if (!seen)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a mask");
    mcf_status status = MCF_OK;
    int64_t removed = patches - visible;
    for (int64_t b = 0; b < batch && status == MCF_OK; b++) {
        const int64_t *row = ids_shuffle + b * patches;
        memset(seen, 0, (size_t)patches);
        for (int64_t i = 0; i < patches; i++) {
            if (row[i] < 0 || row[i] >= patches || seen[row[i]]) {
                status = mcf_fail(err, MCF_ERR_FORMAT,
                                  "mask of image %lld: %lld at place %lld; each row must be a "
                                  "permutation of 0..%lld",
                                  (long long)b, (long long)row[i], (long long)i, (long long)patches - 1);
                break;
            }
            seen[row[i]] = true;
            if (restore)
                restore[b * patches + row[i]] = i;
        }
        if (keep)
            memcpy(keep + b * visible, row, (size_t)visible * sizeof *row);
        if (mask)
            memcpy(mask + b * removed, row + visible, (size_t)removed * sizeof *row);
    }
    free(seen);
    return status;
}

static mcf_status write_image(const mcf_pretrain_model *model, int64_t batch, bool image_u8, mcf_program *program,
                              const mcf_pretrain_batch *from, mcf_error *err)
{
    size_t side = (size_t)model->model.image_size, pixels = (size_t)batch * side * side * 3;
    MCF_TRY(mcf_program_write(program, "image", from->image, image_u8 ? pixels : pixels * sizeof(float), err));
    return image_u8 ? mcf_program_write(program, "flip", from->flip, (size_t)batch, err) : MCF_OK;
}

static mcf_status write_ids(mcf_program *program, const char *name, const int64_t *ids, int64_t rows, int64_t columns,
                            mcf_error *err)
{
    return mcf_program_write(program, name, ids, (size_t)(rows * columns) * sizeof *ids, err);
}

// Inputs that follow from ids_shuffle; `space` holds 2*B*L elements.
static mcf_status write_masks(const mcf_pretrain_model *model, int64_t b, mcf_program *program,
                              const mcf_pretrain_batch *batch, bool restore, bool mask, int64_t *space, mcf_error *err)
{
    int64_t count = model->patches, n = model->visible;
    int64_t *keep = space, *removed = space + b * n, *order = space + b * count;
    MCF_TRY(mcf_mask_split(batch->ids_shuffle, b, count, n, keep, removed, order, err));
    MCF_TRY(write_ids(program, "ids_keep", keep, b, n, err));
    if (restore)
        MCF_TRY(write_ids(program, "ids_restore", order, b, count, err));
    return mask ? write_ids(program, "ids_mask", removed, b, count - n, err) : MCF_OK;
}

static mcf_status write_contrast(const mcf_pretrain_model *model, int64_t b, mcf_program *program,
                                 const mcf_pretrain_batch *batch, int64_t *space, mcf_error *err)
{
    MCF_TRY(mcf_mask_split(batch->ids_shuffle_target, b, model->patches, model->visible, space, NULL, NULL, err));
    MCF_TRY(write_ids(program, "ids_keep_target", space, b, model->visible, err));
    for (int64_t i = 0; i < b; i++)
        space[i] = batch->rank * b + i;
    return write_ids(program, "labels", space, b, 1, err);
}

mcf_status mcf_pretrain_write(const mcf_pretrain_model *model, const mcf_pretrain_graph_options *options,
                              mcf_program *program, const mcf_pretrain_batch *batch, mcf_error *err)
{
    int64_t b = options->batch;
    if (model->moco)
        return mcf_moco_write(model, options, program, batch, err);
    int64_t *space = malloc((size_t)(2 * b * model->patches + 1) * sizeof *space);
    if (!space)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for masks");
    mcf_status status = write_image(model, b, options->image_u8, program, batch, err);
    if (status == MCF_OK)
        status = write_masks(model, b, program, batch, model->decodes, model->pixel, space, err);
    if (status == MCF_OK && model->contrastive)
        status = write_contrast(model, b, program, batch, space, err);
    if (status == MCF_OK && options->backward)
        status = mcf_program_write(program, "loss_scale", &batch->loss_scale, sizeof batch->loss_scale, err);
    free(space);
    return status;
}

mcf_status mcf_reconstruct_write(const mcf_pretrain_model *model, const mcf_reconstruct_graph_options *options,
                                 mcf_program *program, const mcf_pretrain_batch *batch, mcf_error *err)
{
    int64_t b = options->batch;
    int64_t *space = malloc((size_t)(2 * b * model->patches + 1) * sizeof *space);
    if (!space)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for masks");
    mcf_status status = write_image(model, b, options->image_u8, program, batch, err);
    if (status == MCF_OK)
        status = write_masks(model, b, program, batch, true, false, space, err);
    free(space);
    return status;
}
