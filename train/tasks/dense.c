#include "train/tasks/dense.h"

#include "base/rng.h"

mcf_status mcf_dense_task_add(const mcf_config *config, mcf_objective *objective, mcf_error *err)
{
    MCF_TRY(mcf_dense_objective(&config->model, &config->dense, objective, err));
    mcf_dense_model *model = objective->model;
    model->crop = model->label_height = model->label_width = config->data.crop_size;
    return MCF_OK;
}

mcf_status mcf_dense_keep(const mcf_config *config, uint32_t epoch, const int64_t *samples, int64_t first,
                          mcf_inputs *to, mcf_error *err)
{
    const mcf_head_options *head = &config->dense.head;
    if (head->dropout <= 0)
        return MCF_OK;
    const int64_t channels = head->channels;
    float *keep = mcf_inputs_take(to, "keep", (size_t)channels * sizeof *keep, err);
    if (!keep)
        return MCF_ERR_NOMEM;
    for (int64_t row = 0; row < to->rows; row++) {
        const uint64_t sample = (uint64_t)(samples ? samples[row] : first + row);
        mcf_rng rng = mcf_rng_make(config->seed, MCF_RNG_DROPOUT, epoch, sample);
        for (int64_t c = 0; c < channels; c++)
            keep[row * channels + c] = mcf_rng_double(&rng) < head->dropout ? 0 : (float)(1 / (1 - head->dropout));
    }
    return MCF_OK;
}
