#include "run/config/faces.h"

#include <string.h>

const mcf_face_layout *mcf_config_face_layout(const mcf_config *config)
{
    if (config->data.layout > 0)
        return &mcf_face_layouts[config->data.layout - 1];
    return mcf_face_layout_find(config->task == MCF_TASK_PARSE ? "masks" : "points");
}

static void set_if_given(double *to, double value)
{
    if (value >= 0)
        *to = value;
}

mcf_face_augment mcf_config_face_augment(const mcf_config *config)
{
    const mcf_augment_keys *o = &config->augment;
    const mcf_face_layout *layout = mcf_config_face_layout(config);
    mcf_face_augment a =
        config->task == MCF_TASK_PARSE ? mcf_face_augment_parse(layout) : mcf_face_augment_align(layout);
    a.size = a.out_size = config->data.crop_size;
    if (config->crop.from != MCF_FROM_AUTO)
        a.crop = config->crop.from == MCF_FROM_BOX      ? MCF_CROP_OF_BOX
                 : config->crop.from == MCF_FROM_POINTS ? MCF_CROP_OF_POINTS
                                                        : MCF_CROP_OF_IMAGE;
    set_if_given(&a.face_scale, config->crop.scale);
    set_if_given(&a.warp, config->crop.warp);
    if (o->draw != MCF_DRAW_AUTO)
        a.normal = o->draw == MCF_DRAW_NORMAL;
    set_if_given(&a.scale, o->scale);
    set_if_given(&a.rotation, o->rotation);
    set_if_given(&a.shift, o->shift);
    set_if_given(&a.occlusion, o->occlusion);
    memcpy(a.occlusion_range, o->occlusion_range, sizeof a.occlusion_range);
    a.occlusion_aspect = o->occlusion_aspect;
    set_if_given(&a.noise, o->noise);
    a.noise_weight = o->noise_weight;
    a.grey = o->grey;
    a.gamma = o->gamma;
    a.gamma_power = o->gamma_power;
    a.blur = o->blur;
    a.flip = o->flip;
    for (int i = 0; i + 1 < o->mirrored_count; i += 2) {
        a.mirror[o->mirrored[i]] = (uint8_t)o->mirrored[i + 1];
        a.mirror[o->mirrored[i + 1]] = (uint8_t)o->mirrored[i];
    }
    return a;
}

static mcf_status check(const mcf_face_set *set, const mcf_config *config, mcf_error *err)
{
    const mcf_face_layout *layout = set->layout;
    const int outputs = config->dense.head.outputs;
    uint8_t mirror[MCF_FACE_MAX_CLASSES];
    if (config->task == MCF_TASK_PARSE) {
        if (!set->has_masks)
            return mcf_fail(err, MCF_ERR_USAGE, "task parse wants label maps, and the layout %s has none",
                            layout->name);
        if (set->classes && set->classes != outputs)
            return mcf_fail(err, MCF_ERR_USAGE, "model.head.outputs is %d, but %s has %d classes", outputs,
                            layout->name, set->classes);
        if (config->augment.flip > 0 && config->augment.mirrored_count == 0 &&
            !mcf_face_mirror_classes(layout, MCF_FACE_MAX_CLASSES, mirror))
            return mcf_fail(
                err, MCF_ERR_USAGE,
                "augment.flip is on, but which classes of the layout %s are left and right is not known; give "
                "augment.mirrored_classes, or 0",
                layout->name);
        return MCF_OK;
    }
    if (set->points != outputs)
        return mcf_fail(err, MCF_ERR_USAGE, "model.head.outputs is %d, but the faces have %d points", outputs,
                        set->points);
    if (config->augment.flip > 0 && !mcf_face_mirror(set->points))
        return mcf_fail(err, MCF_ERR_USAGE,
                        "augment.flip is on, but the mirrored points of %d are not known; set it to 0", set->points);
    return MCF_OK;
}

mcf_status mcf_config_faces_read(mcf_face_set *set, const mcf_config *config, bool validation, mcf_error *err)
{
    const mcf_face_layout *layout = mcf_config_face_layout(config);
    const mcf_path_list *paths = validation ? &config->data.validation : &config->data.train;
    const char *split = validation ? config->data.validation_split : config->data.train_split;
    mcf_face_query query = {.layout = layout->name,
                            .paths = (const char *const *)paths->items,
                            .path_count = paths->count,
                            .split = split[0]     ? split
                                     : validation ? layout->test
                                                  : layout->train};
    *set = (mcf_face_set){0};
    if (paths->count == 0)
        return mcf_fail(err, MCF_ERR_USAGE, "%s names no faces; a path of layout %s is %s",
                        validation ? "data.validation" : "data.train", layout->name, layout->doc);
    MCF_TRY(mcf_face_set_read(set, &query, err));
    mcf_status status = check(set, config, err);
    if (status == MCF_OK && !validation)
        status = mcf_face_set_subset(set, config->data.fraction, config->seed, err);
    if (status != MCF_OK)
        mcf_face_set_free(set);
    return status;
}
