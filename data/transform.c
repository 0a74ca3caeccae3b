#include "data/transform.h"

#include <math.h>

#include "base/rng.h"

void mcf_transform_scratch_free(mcf_transform_scratch *scratch)
{
    mcf_bytes_free(&scratch->encoded);
    mcf_bytes_free(&scratch->decoded);
    for (size_t i = 0; i < sizeof scratch->extra / sizeof *scratch->extra; i++)
        mcf_bytes_free(&scratch->extra[i]);
    mcf_resizer_free(&scratch->resizer);
}

static mcf_status center_crop(const void *user, const mcf_transform_input *in, mcf_transform_output *out,
                              mcf_error *err)
{
    const mcf_center_crop_options *options = user;
    const int shorter = options->shorter ? options->shorter : options->side;
    mcf_decode_options decode = {.channels = 4, .min_side = options->fast_decode ? shorter : 0};
    mcf_decoded decoded;
    MCF_TRY(mcf_image_decode(in->bytes, in->size, &decode, &in->scratch->decoded, &decoded, err));
    mcf_resize_plan plan = mcf_resize_then_crop(&decoded, shorter, options->side, options->filter);
    MCF_TRY(
        mcf_resize(&in->scratch->resizer, &decoded.image, &plan, out->view[0].pixels, (size_t)options->side * 3, err));
    mcf_resize_inverse(&decoded, &plan, out->view[0].inverse);
    out->original[0] = decoded.original_width;
    out->original[1] = decoded.original_height;
    mcf_rng rng = mcf_rng_make(in->seed, MCF_RNG_FLIP, in->epoch, (uint64_t)in->sample);
    *out->view[0].flip = options->flip ? (uint8_t)(mcf_rng_u32(&rng) >> 31) : 0;
    return MCF_OK;
}

int mcf_shorter_side(int side, double crop_pct)
{
    // 224 / 0.875 is 256 exactly, 224 / 0.9 is 248.9; a quotient a rounding below a whole number means that number
    const double shorter = floor(side / crop_pct + 1e-9);
    return shorter >= side ? (int)fmin(shorter, 1 << 20) : side;
}

mcf_transform mcf_transform_center_crop(const mcf_center_crop_options *options)
{
    return (mcf_transform){
        .views = 1, .width = options->side, .height = options->side, .apply = center_crop, .options = options};
}
