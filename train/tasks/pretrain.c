#include "train/tasks/pretrain.h"

#include <stdlib.h>

#include "model/mcf.h"
#include "model/pretrain.h"
#include "train/tasks/batch.h"

static mcf_status add(const mcf_config *config, mcf_objective *objective, mcf_error *err)
{
    return mcf_pretrain_objective(&config->model, &config->objective, objective, err);
}

// Two permutations of the patches for each row, in one block; NULL: no memory.
static int64_t *new_masks(int64_t rows, int64_t patches, mcf_error *err)
{
    int64_t *ids = calloc((size_t)(2 * rows * patches) + 1, sizeof *ids);
    if (!ids)
        mcf_fail(err, MCF_ERR_NOMEM, "no memory for the masks of %lld images", (long long)rows);
    return ids;
}

static mcf_status draw(const mcf_config *config, const mcf_objective *objective, mcf_rng *rng, int64_t rows,
                       int64_t first, mcf_inputs *to, mcf_error *err)
{
    const mcf_pretrain_model *model = objective->model;
    mcf_inputs_begin(to, rows);
    MCF_TRY(mcf_batch_random_images("image", "flip", config->model.image_size, rng, to, err));
    int64_t *ids = new_masks(rows, model->patches, err);
    if (!ids)
        return MCF_ERR_NOMEM;
    for (int64_t i = 0; i < 2 * rows; i++)
        mcf_rng_permutation(rng, ids + i * model->patches, model->patches);
    mcf_status status = mcf_mcf_inputs(model, ids, ids + rows * model->patches, first, to, err);
    free(ids);
    return status;
}

static mcf_status read_masks(const mcf_pretrain_model *model, mcf_safetensors *file, mcf_inputs *to, int64_t *ids,
                             mcf_error *err)
{
    const mcf_shape shape = MCF_SHAPE(to->rows, model->patches);
    int64_t *target = ids + to->rows * model->patches;
    MCF_TRY(mcf_safetensors_read_exact(file, "ids_shuffle", MCF_I64, &shape, ids, err));
    if (mcf_safetensors_find(file, "ids_shuffle_target"))
        MCF_TRY(mcf_safetensors_read_exact(file, "ids_shuffle_target", MCF_I64, &shape, target, err));
    mcf_status status = mcf_mcf_inputs(model, ids, target, 0, to, err);
    return status == MCF_OK ? status : mcf_add_context(err, status, "%s", mcf_safetensors_path(file));
}

static mcf_status read_batch(const mcf_config *config, const mcf_objective *objective, mcf_safetensors *file,
                             mcf_inputs *to, mcf_error *err)
{
    const mcf_pretrain_model *model = objective->model;
    const mcf_batch_name names[] = {{"image", true}, {"ids_shuffle", true}, {"ids_shuffle_target", model->contrastive}};
    MCF_TRY(mcf_batch_check_names(
        file, names, 3, model->contrastive ? "image, ids_shuffle and ids_shuffle_target" : "image, ids_shuffle", err));
    mcf_inputs_begin(to, mcf_batch_rows(file, "image"));
    MCF_TRY(mcf_batch_read_images(file, "image", config->model.image_size, to, err));
    int64_t *ids = new_masks(to->rows, model->patches, err);
    if (!ids)
        return MCF_ERR_NOMEM;
    mcf_status status = read_masks(model, file, to, ids, err);
    free(ids);
    return status;
}

const mcf_task mcf_task_pretrain = {.name = "pretrain", .add = add, .random = draw, .read = read_batch};
