// Alignment: an image and where its points lie.
#include <math.h>

#include "train/tasks/batch.h"
#include "train/tasks/dense.h"

static size_t row_of(const mcf_config *config)
{
    return (size_t)config->dense.head.outputs * 2 * sizeof(float);
}

static mcf_status draw(const mcf_config *config, const mcf_objective *objective, mcf_rng *rng, int64_t rows,
                       int64_t first, mcf_inputs *to, mcf_error *err)
{
    mcf_inputs_begin(to, rows);
    MCF_TRY(mcf_batch_random_images("image", "flip", config->data.crop_size, rng, to, err));
    float *points = mcf_inputs_take(to, "points", row_of(config), err);
    if (!points)
        return MCF_ERR_NOMEM;
    for (int64_t i = 0; i < rows * config->dense.head.outputs * 2; i++)
        points[i] = mcf_rng_float(rng);
    return mcf_dense_keep(config, 0, NULL, first, to, err);
}

static mcf_status read_batch(const mcf_config *config, const mcf_objective *objective, mcf_safetensors *file,
                             mcf_inputs *to, mcf_error *err)
{
    const mcf_batch_name names[] = {{"image", true}, {"points", true}};
    const int outputs = config->dense.head.outputs;
    MCF_TRY(mcf_batch_check_names(file, names, 2, "image and points", err));
    mcf_inputs_begin(to, mcf_batch_rows(file, "image"));
    MCF_TRY(mcf_batch_read_images(file, "image", config->model.image_size, to, err));
    const mcf_shape shape = MCF_SHAPE(to->rows, outputs, 2);
    float *points = mcf_inputs_take(to, "points", row_of(config), err);
    if (!points)
        return MCF_ERR_NOMEM;
    MCF_TRY(mcf_safetensors_read_exact(file, "points", MCF_F32, &shape, points, err));
    for (int64_t i = 0; i < to->rows * outputs * 2; i++)
        if (!isfinite(points[i]))
            return mcf_fail(err, MCF_ERR_FORMAT, "%s: points: point %lld of image %lld is not finite",
                            mcf_safetensors_path(file), (long long)(i / 2 % outputs), (long long)(i / 2 / outputs));
    return mcf_dense_keep(config, 0, NULL, 0, to, err);
}

const mcf_task mcf_task_align = {.name = "align", .add = mcf_dense_task_add, .random = draw, .read = read_batch};
