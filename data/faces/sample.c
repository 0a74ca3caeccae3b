#include "data/faces/sample.h"

#include <stdlib.h>
#include <string.h>

#include "data/faces/mask.h"

mcf_status mcf_face_source(const mcf_face_set *set, int64_t length, mcf_source **source, mcf_error *err)
{
    const char **paths = malloc((size_t)(length > 0 ? length : 1) * sizeof *paths);
    *source = NULL;
    if (!paths)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the pictures of %lld samples", (long long)length);
    for (int64_t i = 0; i < length; i++)
        paths[i] = set->faces[i % set->count].image;
    mcf_status status = mcf_source_open_files(source, paths, length, err);
    free(paths);
    return status;
}

size_t mcf_face_extra_size(const mcf_face_sample_options *o)
{
    const size_t size = (size_t)o->augment.size;
    const size_t labels = o->labels ? size * size : (size_t)o->set->points * 2 * sizeof(float);
    return sizeof(mcf_face_extra) + (labels + 7) / 8 * 8; // so that every head is aligned
}

// The scratch of the loader's threads in the shape that the functions of faces want; its buffers go back afterwards.
typedef struct {
    mcf_face_scratch face;
    mcf_mask_scratch mask;
} buffers;

static buffers borrow(mcf_transform_scratch *s)
{
    return (buffers){.face = {.crop = s->extra[0], .blur = s->extra[1], .noise = s->extra[2], .table = s->extra[3]},
                     .mask = {.file = s->extra[4], .map = s->extra[5], .part = s->extra[6]}};
}

static void give_back(mcf_transform_scratch *s, const buffers *b)
{
    s->extra[0] = b->face.crop;
    s->extra[1] = b->face.blur;
    s->extra[2] = b->face.noise;
    s->extra[3] = b->face.table;
    s->extra[4] = b->mask.file;
    s->extra[5] = b->mask.map;
    s->extra[6] = b->mask.part;
}

static mcf_status make(const mcf_face_sample_options *o, const mcf_transform_input *in, const mcf_decoded *decoded,
                       buffers *b, mcf_transform_output *out, mcf_error *err)
{
    const int64_t face = in->sample % o->set->count;
    const int width = decoded->image.width, height = decoded->image.height;
    mcf_rng rng = mcf_rng_make(in->seed, MCF_RNG_AUGMENT1, in->epoch, (uint64_t)in->sample);
    const mcf_face_draws drawn = mcf_face_draw(&o->augment, &rng), *draws = o->random ? &drawn : NULL;
    const bool flip = draws && draws->flip;
    mcf_face_map map;
    MCF_TRY(mcf_face_map_of(o->set, face, &o->augment, draws, width, height, &map, err));
    MCF_TRY(mcf_face_pixels(&o->augment, &map, draws, &decoded->image, &b->face, out->view[0].pixels, err));
    mcf_face_extra head = {.width = width, .height = height, .flipped = flip, .face = (int32_t)face};
    memcpy(head.crop, map.crop.m, sizeof head.crop);
    memcpy(out->extra, &head, sizeof head);
    uint8_t *label = out->extra + sizeof head;
    if (o->labels) {
        mcf_face_mask mask;
        MCF_TRY(mcf_face_mask_read(o->set, face, o->classes, width, height, &b->mask, &mask, err));
        MCF_TRY(mcf_face_labels(&o->augment, &map, flip, mask.labels, mask.width, mask.height, width, height, &b->face,
                                label, err));
    } else {
        MCF_TRY(mcf_face_points_of(o->set, face, &map, flip, (float *)(void *)label, err));
    }
    // The loader's convention has centres at + 0.5; the tanh warp is not part of it.
    const double *m = map.inverse.m, step = (double)o->augment.size / o->augment.out_size;
    double *v = out->view[0].inverse;
    for (int axis = 0; axis < 2; axis++) {
        const double *r = m + 3 * axis;
        v[3 * axis] = r[0] * step;
        v[3 * axis + 1] = r[1] * step;
        v[3 * axis + 2] = r[2] + 0.5 - 0.5 * (r[0] + r[1]);
    }
    return MCF_OK;
}

static mcf_status apply(const void *user, const mcf_transform_input *in, mcf_transform_output *out, mcf_error *err)
{
    const mcf_face_sample_options *o = user;
    mcf_decode_options decode = {.channels = 4};
    mcf_decoded decoded;
    MCF_TRY(mcf_image_decode(in->bytes, in->size, &decode, &in->scratch->decoded, &decoded, err));
    out->original[0] = decoded.original_width;
    out->original[1] = decoded.original_height;
    *out->view[0].flip = 0;
    buffers b = borrow(in->scratch);
    mcf_status status = make(o, in, &decoded, &b, out, err);
    give_back(in->scratch, &b);
    return status;
}

mcf_transform mcf_face_transform(const mcf_face_sample_options *o)
{
    return (mcf_transform){.views = 1,
                           .width = o->augment.out_size,
                           .height = o->augment.out_size,
                           .extra_size = mcf_face_extra_size(o),
                           .apply = apply,
                           .options = o};
}
