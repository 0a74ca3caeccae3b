#include "train/tasks/moco.h"

#include "model/contrast.h"
#include "model/pretrain.h"
#include "train/tasks/batch.h"

static mcf_status add(const mcf_config *config, mcf_objective *objective, mcf_error *err)
{
    return mcf_pretrain_objective(&config->model, &config->objective, objective, err);
}

static mcf_status add_momentum(const mcf_config *config, mcf_inputs *to, mcf_error *err)
{
    const float momentum = (float)config->objective.momentum;
    return mcf_inputs_share(to, "momentum", &momentum, sizeof momentum, err);
}

static mcf_status draw(const mcf_config *config, const mcf_objective *objective, mcf_rng *rng, int64_t rows,
                       int64_t first, mcf_inputs *to, mcf_error *err)
{
    mcf_inputs_begin(to, rows);
    MCF_TRY(mcf_batch_random_images("image1", "flip1", config->model.image_size, rng, to, err));
    MCF_TRY(mcf_batch_random_images("image2", "flip2", config->model.image_size, rng, to, err));
    MCF_TRY(mcf_contrastive_labels(first, to, err));
    return add_momentum(config, to, err);
}

static mcf_status read_batch(const mcf_config *config, const mcf_objective *objective, mcf_safetensors *file,
                             mcf_inputs *to, mcf_error *err)
{
    const mcf_batch_name names[] = {{"image1", true}, {"image2", true}};
    MCF_TRY(mcf_batch_check_names(file, names, 2, "image1 and image2", err));
    mcf_inputs_begin(to, mcf_batch_rows(file, "image1"));
    MCF_TRY(mcf_batch_read_images(file, "image1", config->model.image_size, to, err));
    MCF_TRY(mcf_batch_read_images(file, "image2", config->model.image_size, to, err));
    MCF_TRY(mcf_contrastive_labels(0, to, err));
    return add_momentum(config, to, err);
}

const mcf_task mcf_task_moco = {.name = "moco-v3", .add = add, .random = draw, .read = read_batch};
