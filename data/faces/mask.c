#include "data/faces/mask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/faces/file.h"

// In the order of painting: label i + 1 is painted over labels 1 to i. `l_` is the subject's left, the image's right.
static const char *const celeba_parts[] = {"neck",   "skin",  "cloth", "l_ear", "r_ear", "l_brow",
                                           "r_brow", "l_eye", "r_eye", "nose",  "mouth", "l_lip",
                                           "u_lip",  "hair",  "eye_g", "hat",   "ear_r", "neck_l"};
static const char *const lapa_classes[] = {"face", "left brow", "right brow",  "left eye",  "right eye",
                                           "nose", "upper lip", "inner mouth", "lower lip", "hair"};

enum { PARTS = sizeof celeba_parts / sizeof *celeba_parts };

const char *mcf_face_class_name(const mcf_face_layout *layout, int class_index)
{
    const bool lapa = strcmp(layout->name, "lapa") == 0, celeba = strcmp(layout->name, "celebamask-hq") == 0;
    if (class_index < 0 || !(lapa || celeba) || class_index >= layout->classes)
        return NULL;
    return class_index == 0 ? "background" : lapa ? lapa_classes[class_index - 1] : celeba_parts[class_index - 1];
}

void mcf_mask_scratch_free(mcf_mask_scratch *s)
{
    mcf_bytes_free(&s->file);
    mcf_bytes_free(&s->map);
    mcf_bytes_free(&s->part);
}

// *there is false, and all is well, where the file is not there.
static mcf_status read_map(const char *path, mcf_bytes *file, mcf_bytes *map, int *width, int *height, bool *there,
                           mcf_error *err)
{
    MCF_TRY(mcf_face_read_file(path, file, there, err));
    if (!*there)
        return MCF_OK;
    const mcf_status status = mcf_png_decode_indices(file->data, file->size, map, width, height, err);
    return status == MCF_OK ? MCF_OK : mcf_add_context(err, status, "%s", path);
}

static mcf_status paint_parts(const char *begin, mcf_mask_scratch *s, mcf_face_mask *mask, mcf_error *err)
{
    char path[4096];
    int width, height, found = 0;
    bool there;
    for (int p = 0; p < PARTS; p++) {
        if (snprintf(path, sizeof path, "%s%s.png", begin, celeba_parts[p]) >= (int)sizeof path)
            return mcf_fail(err, MCF_ERR_FORMAT, "%s: is too long a path", begin);
        MCF_TRY(read_map(path, &s->file, &s->part, &width, &height, &there, err));
        if (!there)
            continue;
        const size_t pixels = (size_t)width * (size_t)height;
        if (!found++) {
            mask->width = width;
            mask->height = height;
            MCF_TRY(mcf_bytes_resize(&s->map, pixels, err));
            memset(s->map.data, 0, pixels);
        }
        if (width != mask->width || height != mask->height)
            return mcf_fail(err, MCF_ERR_FORMAT, "%s: is %d x %d, the parts before it are %d x %d", path, width, height,
                            mask->width, mask->height);
        const uint8_t label = (uint8_t)(p + 1), *part = s->part.data;
        uint8_t *map = s->map.data;
        for (size_t i = 0; i < pixels; i++)
            map[i] = part[i] ? label : map[i];
    }
    return found ? MCF_OK : mcf_fail(err, MCF_ERR_IO, "%s*.png: none of the parts of this face is there", begin);
}

mcf_status mcf_face_mask_read(const mcf_face_set *set, int64_t i, int classes, int width, int height,
                              mcf_mask_scratch *s, mcf_face_mask *mask, mcf_error *err)
{
    const char *path = set->faces[i].mask;
    bool there = true, used[256] = {false};
    if (!path)
        return mcf_fail(err, MCF_ERR_INTERNAL, "the layout %s has no label maps", set->layout->name);
    if (strcmp(set->layout->name, "celebamask-hq") == 0)
        MCF_TRY(paint_parts(path, s, mask, err));
    else
        MCF_TRY(read_map(path, &s->file, &s->map, &mask->width, &mask->height, &there, err));
    if (!there)
        return mcf_fail(err, MCF_ERR_IO, "%s: the label map is not there", path);
    mask->labels = s->map.data;
    if (width > 0 && !set->layout->masks_any_size && (mask->width != width || mask->height != height))
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: the label map is %d x %d, its picture %d x %d", path, mask->width,
                        mask->height, width, height);
    for (size_t p = 0, pixels = (size_t)mask->width * (size_t)mask->height; classes > 0 && p < pixels; p++)
        used[mask->labels[p]] = true;
    for (int c = 255; classes > 0 && c >= classes; c--)
        if (used[c])
            return mcf_fail(err, MCF_ERR_FORMAT, "%s: the label map holds %d; there are %d classes, from 0", path, c,
                            classes);
    return MCF_OK;
}
