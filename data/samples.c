#include "data/samples.h"

#include "data/image/resize.h"

enum { TRIES = 8 };

typedef struct {
    mcf_bytes file, decoded;
    mcf_resizer resizer;
} scratch;

static mcf_status read_one(const mcf_source *source, int64_t sample, const mcf_center_crop_options *crop, scratch *s,
                           uint8_t *out, mcf_error *err)
{
    const int shorter = crop->shorter ? crop->shorter : crop->side;
    const mcf_decode_options options = {.channels = 4, .min_side = crop->fast_decode ? shorter : 0};
    mcf_decoded decoded;
    MCF_TRY(mcf_source_read_patiently(source, sample, &s->file, err));
    MCF_TRY(mcf_image_decode(s->file.data, s->file.size, &options, &s->decoded, &decoded, err));
    mcf_resize_plan plan = mcf_resize_then_crop(&decoded, shorter, crop->side, crop->filter);
    return mcf_resize(&s->resizer, &decoded.image, &plan, out, (size_t)crop->side * 3, err);
}

mcf_status mcf_samples_read(const mcf_source *source, int wanted, const mcf_center_crop_options *crop, uint8_t *images,
                            int64_t *samples, int *got, mcf_error *err)
{
    const int64_t total = mcf_source_count(source);
    const size_t side = (size_t)crop->side;
    scratch s = {0};
    mcf_status status = MCF_OK;
    *got = 0;
    if (wanted > total)
        wanted = (int)total;
    for (int i = 0; i < wanted; i++) {
        const int64_t begin = total * i / wanted, end = total * (i + 1) / wanted;
        for (int64_t place = begin; place < end && place < begin + TRIES; place++) {
            status = read_one(source, place, crop, &s, images + (size_t)*got * side * side * 3, err);
            if (status == MCF_OK) {
                samples[(*got)++] = place;
                break;
            }
            if (status == MCF_ERR_NOMEM || status == MCF_ERR_IO)
                goto done;
        }
    }
    status = MCF_OK;
done:
    mcf_bytes_free(&s.file);
    mcf_bytes_free(&s.decoded);
    mcf_resizer_free(&s.resizer);
    return status;
}

mcf_status mcf_samples_resize(const uint8_t *images, int count, int side, uint8_t *out, int to, mcf_error *err)
{
    mcf_resizer resizer = {0};
    mcf_status status = MCF_OK;
    for (int i = 0; i < count && status == MCF_OK; i++) {
        const mcf_image image = {.width = side,
                                 .height = side,
                                 .channels = 3,
                                 .stride = (size_t)side * 3,
                                 .pixels = images + (size_t)i * side * side * 3};
        const mcf_resize_plan plan = mcf_resize_whole(&image, to, to, MCF_FILTER_BILINEAR);
        status = mcf_resize(&resizer, &image, &plan, out + (size_t)i * to * to * 3, (size_t)to * 3, err);
    }
    mcf_resizer_free(&resizer);
    return status;
}
