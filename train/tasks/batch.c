#include "train/tasks/batch.h"

#include <stdio.h>
#include <string.h>

mcf_status mcf_batch_random_images(const char *image, const char *flip, int side, mcf_rng *rng, mcf_inputs *to,
                                   mcf_error *err)
{
    const size_t row = (size_t)side * (size_t)side * 3;
    uint8_t *pixels = mcf_inputs_take(to, image, row, err);
    uint8_t *flips = pixels ? mcf_inputs_take(to, flip, 1, err) : NULL;
    if (!flips)
        return MCF_ERR_NOMEM;
    const size_t bytes = (size_t)to->rows * row;
    for (size_t i = 0; i < bytes; i += sizeof(uint32_t)) {
        const uint32_t four = mcf_rng_u32(rng);
        memcpy(pixels + i, &four, bytes - i < sizeof four ? bytes - i : sizeof four);
    }
    for (int64_t i = 0; i < to->rows; i++)
        flips[i] = (uint8_t)(i & 1);
    return MCF_OK;
}

mcf_status mcf_batch_check_names(const mcf_safetensors *file, const mcf_batch_name *names, int count, const char *holds,
                                 mcf_error *err)
{
    char missing[256] = "", extra[512] = "";
    for (int i = 0; i < count; i++)
        if (names[i].needed && !mcf_safetensors_find(file, names[i].name))
            snprintf(missing + strlen(missing), sizeof missing - strlen(missing), " %s", names[i].name);
    for (size_t i = 0; i < mcf_safetensors_count(file); i++) {
        const char *name = mcf_safetensors_at(file, i)->name;
        bool found = false;
        for (int k = 0; k < count; k++)
            found = found || strcmp(name, names[k].name) == 0;
        if (!found && strlen(extra) + strlen(name) + 6 < sizeof extra)
            sprintf(extra + strlen(extra), " %s", name);
        else if (!found && strlen(extra) > 4 && strcmp(extra + strlen(extra) - 4, " ...") != 0)
            strcat(extra, " ...");
    }
    if (missing[0] || extra[0])
        return mcf_fail(err, MCF_ERR_FORMAT, "%s:%s%s%s%s%s; the batch holds %s", mcf_safetensors_path(file),
                        missing[0] ? " missing:" : "", missing, missing[0] && extra[0] ? ";" : "",
                        extra[0] ? " extra:" : "", extra, holds);
    return MCF_OK;
}

int64_t mcf_batch_rows(const mcf_safetensors *file, const char *name)
{
    const mcf_safetensors_entry *image = mcf_safetensors_find(file, name);
    return image && image->shape.rank > 0 ? image->shape.dim[0] : 0;
}

mcf_status mcf_batch_read_images(mcf_safetensors *file, const char *name, int side, mcf_inputs *to, mcf_error *err)
{
    const mcf_safetensors_entry *image = mcf_safetensors_find(file, name);
    const mcf_shape expected = MCF_SHAPE(to->rows, 3, side, side);
    char got[128], want[128];
    if (!mcf_shape_equal(&image->shape, &expected) || to->rows < 1)
        return mcf_fail(err, MCF_ERR_SHAPE, "%s: %s is %s; model.image_size asks for %s", mcf_safetensors_path(file),
                        name, mcf_shape_print(&image->shape, got, sizeof got),
                        mcf_shape_print(&expected, want, sizeof want));
    float *pixels = mcf_inputs_take(to, name, (size_t)(3 * side * side) * sizeof *pixels, err);
    return pixels ? mcf_safetensors_read_f32(file, image, pixels, err) : MCF_ERR_NOMEM;
}
