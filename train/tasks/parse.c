// Parsing: an image and the class of each of its pixels.
#include "train/tasks/batch.h"
#include "train/tasks/dense.h"

static mcf_status draw(const mcf_config *config, const mcf_objective *objective, mcf_rng *rng, int64_t rows,
                       int64_t first, mcf_inputs *to, mcf_error *err)
{
    const int64_t pixels = (int64_t)config->data.crop_size * config->data.crop_size;
    mcf_inputs_begin(to, rows);
    MCF_TRY(mcf_batch_random_images("image", "flip", config->data.crop_size, rng, to, err));
    int64_t *label = mcf_inputs_take(to, "label", (size_t)pixels * sizeof *label, err);
    if (!label)
        return MCF_ERR_NOMEM;
    for (int64_t i = 0; i < rows * pixels; i++)
        label[i] = (int64_t)mcf_rng_below(rng, (uint64_t)config->dense.head.outputs);
    return mcf_dense_keep(config, 0, NULL, first, to, err);
}

// Labels of any size: the logits are resized to it.
static mcf_status read_labels(const mcf_config *config, mcf_dense_model *model, mcf_safetensors *file, mcf_inputs *to,
                              mcf_error *err)
{
    const char *path = mcf_safetensors_path(file);
    const mcf_safetensors_entry *found = mcf_safetensors_find(file, "label");
    char text[128];
    if (found->shape.rank != 3 || found->shape.dim[0] != to->rows || found->count < 1)
        return mcf_fail(err, MCF_ERR_SHAPE, "%s: label is %s; it must be [%lld, height, width]", path,
                        mcf_shape_print(&found->shape, text, sizeof text), (long long)to->rows);
    model->label_height = found->shape.dim[1];
    model->label_width = found->shape.dim[2];
    const int64_t pixels = model->label_height * model->label_width;
    int64_t *label = mcf_inputs_take(to, "label", (size_t)pixels * sizeof *label, err);
    if (!label)
        return MCF_ERR_NOMEM;
    MCF_TRY(mcf_safetensors_read_exact(file, "label", MCF_I64, &found->shape, label, err));
    for (int64_t i = 0; i < to->rows * pixels; i++)
        if (label[i] < 0 || label[i] >= config->dense.head.outputs)
            return mcf_fail(err, MCF_ERR_FORMAT,
                            "%s: label: class %lld in image %lld; model.head.outputs gives 0 to %d", path,
                            (long long)label[i], (long long)(i / pixels), config->dense.head.outputs - 1);
    return MCF_OK;
}

static mcf_status read_batch(const mcf_config *config, const mcf_objective *objective, mcf_safetensors *file,
                             mcf_inputs *to, mcf_error *err)
{
    const mcf_batch_name names[] = {{"image", true}, {"label", true}};
    MCF_TRY(mcf_batch_check_names(file, names, 2, "image and label", err));
    mcf_inputs_begin(to, mcf_batch_rows(file, "image"));
    MCF_TRY(mcf_batch_read_images(file, "image", config->model.image_size, to, err));
    MCF_TRY(read_labels(config, objective->model, file, to, err));
    return mcf_dense_keep(config, 0, NULL, 0, to, err);
}

const mcf_task mcf_task_parse = {.name = "parse", .add = mcf_dense_task_add, .random = draw, .read = read_batch};
