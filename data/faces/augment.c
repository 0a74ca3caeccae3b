#include "data/faces/augment.h"

#include <math.h>
#include <string.h>

static mcf_face_augment defaults(const mcf_face_layout *layout)
{
    mcf_face_augment a = {.size = 512,
                          .out_size = 512,
                          .crop = layout->crop,
                          .face_scale = layout->scale,
                          .warp = layout->warp,
                          .scale = 0.1,
                          .occlusion_range = {0.2, 0.8},
                          .occlusion_aspect = 0.2,
                          .noise_weight = 0.5,
                          .grey = 0.1,
                          .gamma = 2.0 / 3,
                          .gamma_power = 2,
                          .blur = 0.01};
    mcf_face_mirror_classes(layout, MCF_FACE_MAX_CLASSES, a.mirror);
    return a;
}

mcf_face_augment mcf_face_augment_align(const mcf_face_layout *layout)
{
    mcf_face_augment a = defaults(layout);
    a.rotation = 0.174;
    a.shift = 0.05;
    a.occlusion = 1;
    a.noise = 0.5;
    return a;
}

mcf_face_augment mcf_face_augment_parse(const mcf_face_layout *layout)
{
    mcf_face_augment a = defaults(layout);
    a.normal = true;
    a.rotation = 0.314;
    a.shift = 0.01;
    return a;
}

mcf_face_augment mcf_face_augment_still(const mcf_face_augment *augment)
{
    mcf_face_augment a = *augment;
    a.scale = a.rotation = a.shift = a.occlusion = a.noise = a.grey = a.gamma = a.blur = a.flip = 0;
    return a;
}

static double between(mcf_rng *rng, double low, double high)
{
    return low + (high - low) * mcf_rng_double(rng);
}

static int clip(int x, int low, int high)
{
    return x < low ? low : x > high ? high : x;
}

static void draw_occlusion(const mcf_face_augment *a, mcf_rng *rng, int out[4])
{
    const bool wanted = mcf_rng_double(rng) < a->occlusion;
    const int x = (int)mcf_rng_below(rng, a->size > 1 ? (uint64_t)a->size - 1 : 1);
    const int y = (int)mcf_rng_below(rng, a->size > 1 ? (uint64_t)a->size - 1 : 1);
    const double high = between(rng, a->occlusion_range[0], a->occlusion_range[1]);
    const double wide = high + between(rng, -a->occlusion_aspect, a->occlusion_aspect);
    // Half sides; the sides are odd.
    const int h = (int)fmax(a->size / 2 * high, 0) / 2, w = (int)fmax(a->size / 2 * wide, 0) / 2;
    const int box[4] = {clip(x - w, 0, a->size), clip(y - h, 0, a->size), clip(x + w + 1, 0, a->size),
                        clip(y + h + 1, 0, a->size)};
    for (int i = 0; i < 4; i++)
        out[i] = wanted ? box[i] : 0;
}

// Every number is drawn whatever the strengths: switching a part off changes no other.
mcf_face_draws mcf_face_draw(const mcf_face_augment *a, mcf_rng *rng)
{
    mcf_face_draws d = {.gamma = 1};
    const double scale[2] = {between(rng, -1, 1), mcf_rng_normal(rng)};
    const double angle[2] = {between(rng, -1, 1), mcf_rng_normal(rng)};
    // A normal deviation has no bound; a face a tenth of its size is still one.
    d.scale = fmax(a->face_scale + a->scale * scale[a->normal], 0.1 * a->face_scale);
    d.angle = a->rotation * angle[a->normal];
    for (int axis = 0; axis < 2; axis++)
        d.shift[axis] = a->size * a->shift * between(rng, -1, 1);
    draw_occlusion(a, rng, d.occlusion);
    const bool noise = mcf_rng_double(rng) < a->noise;
    const double weight = between(rng, 0, a->noise_weight);
    d.noise = noise ? weight : 0;
    d.grey = mcf_rng_double(rng) < a->grey;
    const double gamma = mcf_rng_double(rng);
    if (gamma < a->gamma)
        d.gamma = gamma < a->gamma / 2 ? 1 / a->gamma_power : a->gamma_power;
    d.blur = (int)(a->size * between(rng, 0, a->blur));
    d.flip = mcf_rng_double(rng) < a->flip;
    d.seed = mcf_rng_u64(rng);
    return d;
}

mcf_status mcf_face_map_of(const mcf_face_set *set, int64_t i, const mcf_face_augment *a, const mcf_face_draws *d,
                           int width, int height, mcf_face_map *map, mcf_error *err)
{
    static const double none[2] = {0, 0};
    mcf_face_affine crop;
    double five[5][2];
    switch (a->crop) {
    case MCF_CROP_OF_BOX:
        MCF_TRY(mcf_crop_from_box(set->faces[i].box, a->size, 1, &crop, err));
        break;
    case MCF_CROP_OF_POINTS:
        if (!set->points || !mcf_face_five(set->xy + i * set->points * 2, set->points, five))
            return mcf_fail(err, MCF_ERR_USAGE,
                            "crop.from is points, but the eyes, nose and mouth of %d points are not known; use box or "
                            "image",
                            set->points);
        MCF_TRY(mcf_crop_from_points((const double(*)[2])five, a->size, 1, &crop, err));
        break;
    default: {
        const double whole[4] = {-0.5, -0.5, width - 0.5, height - 0.5};
        MCF_TRY(mcf_crop_from_box(whole, a->size, 1, &crop, err));
    }
    }
    if (d && d->flip) {
        const mcf_face_affine mirror = {{-1, 0, a->size - 1, 0, 1, 0}};
        crop = mcf_face_affine_then(&crop, &mirror);
    }
    const mcf_face_affine change =
        mcf_crop_random(a->size, d ? d->scale : a->face_scale, d ? d->angle : 0, d ? d->shift : none);
    crop = mcf_face_affine_then(&crop, &change);
    return mcf_face_map_make(&crop, a->warp, a->size, a->size, map, err);
}

mcf_status mcf_face_points_of(const mcf_face_set *set, int64_t i, const mcf_face_map *map, bool flip, float *out,
                              mcf_error *err)
{
    const int *mirror = flip ? mcf_face_mirror(set->points) : NULL;
    const double *xy = set->xy + i * set->points * 2;
    if (flip && !mirror)
        return mcf_fail(err, MCF_ERR_USAGE, "augment.flip: the mirrored points of %d points are not known; set it to 0",
                        set->points);
    for (int p = 0; p < set->points; p++) {
        const int from = flip ? mirror[p] : p;
        double at[2];
        mcf_face_map_forward(map, xy[2 * from], xy[2 * from + 1], at);
        out[2 * p] = (float)((at[0] + 0.5) / map->width);
        out[2 * p + 1] = (float)((at[1] + 0.5) / map->height);
    }
    return MCF_OK;
}

void mcf_face_points_back(const mcf_face_map *map, const float *shares, int64_t count, double *pixels)
{
    for (int64_t i = 0; i < count; i++)
        mcf_face_map_back(map, (double)shares[2 * i] * map->width - 0.5, (double)shares[2 * i + 1] * map->height - 0.5,
                          pixels + 2 * i);
}
