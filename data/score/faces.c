#include "data/score/faces.h"

#include <math.h>
#include <stdlib.h>

const char *mcf_face_norm_name(int points)
{
    return points == 68 || points == 98 ? "inter-ocular" : points == 19 ? "diagonal" : "box";
}

mcf_status mcf_face_judge_open(mcf_face_judge *judge, const mcf_face_set *set, const mcf_face_augment *augment,
                               const char *norm_name, int classes, mcf_error *err)
{
    *judge = (mcf_face_judge){.set = set,
                              .still = mcf_face_augment_still(augment),
                              .norm_name = norm_name ? norm_name : mcf_face_norm_name(set->points),
                              .classes = classes};
    judge->still.out_size = judge->still.size;
    if (classes == 0 && !(judge->norm = mcf_norm_find(set->points, judge->norm_name)))
        return mcf_fail(err, MCF_ERR_USAGE, "%d points have no normaliser %s", set->points, judge->norm_name);
    judge->errors = malloc((size_t)set->count * sizeof *judge->errors + 1);
    judge->confusion = calloc((size_t)(classes * classes) + 1, sizeof *judge->confusion);
    if (!judge->errors || !judge->confusion) {
        mcf_face_judge_close(judge);
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the scores of %lld faces", (long long)set->count);
    }
    for (int64_t i = 0; i < set->count; i++)
        judge->errors[i] = NAN;
    return MCF_OK;
}

void mcf_face_judge_close(mcf_face_judge *judge)
{
    free(judge->errors);
    free(judge->confusion);
    mcf_mask_scratch_free(&judge->mask);
    mcf_bytes_free(&judge->maps);
    mcf_bytes_free(&judge->pred);
    *judge = (mcf_face_judge){0};
}

mcf_status mcf_face_judge_points(mcf_face_judge *judge, int64_t face, int width, int height, const float *shares,
                                 double *pixels, mcf_error *err)
{
    const mcf_face_set *set = judge->set;
    double own[MCF_FACE_MAX_POINTS * 2];
    double *found = pixels ? pixels : own;
    mcf_face_map map;
    MCF_TRY(mcf_face_map_of(set, face, &judge->still, NULL, width, height, &map, err));
    mcf_face_points_back(&map, shares, set->points, found);
    mcf_status status = mcf_point_errors(found, set->xy + face * set->points * 2, set->faces[face].box, 1, set->points,
                                         judge->norm, &judge->errors[face], err);
    if (status != MCF_OK)
        return mcf_add_context(err, status, "%s", set->faces[face].image);
    judge->judged++;
    return MCF_OK;
}

mcf_status mcf_face_judge_logits(mcf_face_judge *judge, int64_t face, int width, int height, const float *logits,
                                 const uint8_t **pred, mcf_error *err)
{
    const int64_t side = judge->still.size, classes = judge->classes;
    mcf_face_mask mask;
    mcf_face_map map;
    MCF_TRY(mcf_face_mask_read(judge->set, face, (int)classes, judge->set->layout->masks_any_size ? 0 : width,
                               judge->set->layout->masks_any_size ? 0 : height, &judge->mask, &mask, err));
    // A label map of another size than its picture covers the same field: the crop is laid in its own pixels.
    MCF_TRY(mcf_face_map_of(judge->set, face, &judge->still, NULL, mask.width, mask.height, &map, err));
    MCF_TRY(mcf_bytes_resize(&judge->maps, (size_t)(classes * side * side) * sizeof(float), err));
    MCF_TRY(mcf_bytes_resize(&judge->pred, (size_t)mask.width * (size_t)mask.height, err));
    float *inner = (void *)judge->maps.data; // [side, side, classes]
    for (int64_t c = 0; c < classes; c++)
        for (int64_t i = 0; i < side * side; i++)
            inner[i * classes + c] = logits[c * side * side + i];
    mcf_face_unwarp(&map, inner, (int)side, (int)side, (int)classes, 0, mask.width, mask.height, judge->pred.data);
    MCF_TRY(mcf_confusion_add(judge->confusion, (int)classes, mask.labels, judge->pred.data,
                              (int64_t)mask.width * mask.height, face, err));
    if (pred)
        *pred = judge->pred.data;
    judge->judged++;
    return MCF_OK;
}
