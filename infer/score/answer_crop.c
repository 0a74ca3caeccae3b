// Crops and warps.
#include <math.h>
#include <string.h>

#include "data/faces/warp.h"
#include "infer/score/answer_internal.h"

static mcf_status give_matrix(mcf_question *q, const mcf_face_affine *a, mcf_error *err)
{
    double *matrix = mcf_question_give(q, "matrix", MCF_SHAPE(3, 3), err);
    if (!matrix)
        return err->status;
    memcpy(matrix, a->m, sizeof a->m);
    matrix[8] = 1;
    return MCF_OK;
}

// box and points of a question, and what the map makes of the points.
static mcf_status crop_points(mcf_question *q, int size, double scale, double angle, const double shift[2],
                              bool normalised, mcf_error *err)
{
    const double *box, *points;
    mcf_shape shape, box_shape;
    mcf_face_affine whole, crop;
    MCF_TRY(mcf_question_tensor(q, "box", 1, &box, &box_shape, err));
    if (box_shape.dim[0] != 4)
        return mcf_fail(err, MCF_ERR_FORMAT, "tensor box has %lld values, not 4", (long long)box_shape.dim[0]);
    MCF_TRY(mcf_question_points(q, "points", 2, 2, &points, &shape, err));
    MCF_TRY(mcf_crop_from_box(box, size, 1, &whole, err));
    const mcf_face_affine change = mcf_crop_random(size, scale, angle, shift);
    crop = mcf_face_affine_then(&whole, &change);
    MCF_TRY(give_matrix(q, &crop, err));
    double *out = mcf_question_give(q, "crop_points", shape, err);
    if (!out)
        return err->status;
    for (int64_t i = 0; i < shape.dim[0]; i++)
        mcf_face_affine_apply(&crop, points[2 * i], points[2 * i + 1], out + 2 * i);
    if (!normalised)
        return MCF_OK;
    double *share = mcf_question_give(q, "normalised", shape, err);
    if (!share)
        return err->status;
    for (int64_t i = 0; i < 2 * shape.dim[0]; i++)
        share[i] = (out[i] + 0.5) / size;
    return MCF_OK;
}

mcf_status mcf_answer_box_crop(mcf_question *q, mcf_error *err)
{
    int size;
    double scale;
    MCF_TRY(mcf_question_integer(q, "size", 1, 65536, &size, err));
    MCF_TRY(mcf_question_number(q, "scale", 1e-6, 1e6, &scale, err));
    return crop_points(q, size, scale, 0, (double[2]){0, 0}, true, err);
}

mcf_status mcf_answer_random_crop(mcf_question *q, mcf_error *err)
{
    int size;
    double scale, angle, shift[2];
    MCF_TRY(mcf_question_integer(q, "size", 1, 65536, &size, err));
    MCF_TRY(mcf_question_number(q, "scale", 1e-6, 1e6, &scale, err));
    MCF_TRY(mcf_question_number(q, "angle", -1e6, 1e6, &angle, err));
    MCF_TRY(mcf_question_pair(q, "shift", -1e6, 1e6, shift, err));
    return crop_points(q, size, scale, angle, shift, false, err);
}

mcf_status mcf_answer_points_crop(mcf_question *q, mcf_error *err)
{
    int size;
    double scale, target[5][2];
    const double *points;
    mcf_shape shape;
    mcf_face_affine crop;
    MCF_TRY(mcf_question_integer(q, "size", 1, 65536, &size, err));
    MCF_TRY(mcf_question_number(q, "face_scale", 1e-6, 1e6, &scale, err));
    MCF_TRY(mcf_question_points(q, "points", 2, 2, &points, &shape, err));
    if (shape.dim[0] != 5)
        return mcf_fail(err, MCF_ERR_FORMAT, "tensor points has %lld points, not 5", (long long)shape.dim[0]);
    MCF_TRY(mcf_crop_from_points((const double(*)[2])points, size, scale, &crop, err));
    MCF_TRY(give_matrix(q, &crop, err));
    mcf_crop_template(size, scale, target);
    double *out = mcf_question_give(q, "target", shape, err);
    if (!out)
        return err->status;
    memcpy(out, target, sizeof target);
    return MCF_OK;
}

// --- warp

// Bilinear, with zeros beyond the picture's pixels.
static void sample(const double *image, int64_t h, int64_t w, int64_t channels, const double at[2], double *out)
{
    const double x0 = floor(at[0]), y0 = floor(at[1]), fx = at[0] - x0, fy = at[1] - y0;
    memset(out, 0, (size_t)channels * sizeof *out);
    for (int tap = 0; tap < 4; tap++) {
        const double x = x0 + (tap & 1), y = y0 + (tap >> 1);
        const double weight = (tap & 1 ? fx : 1 - fx) * (tap >> 1 ? fy : 1 - fy);
        if (x >= 0 && x < (double)w && y >= 0 && y < (double)h)
            for (int64_t c = 0; c < channels; c++)
                out[c] += weight * image[((int64_t)y * w + (int64_t)x) * channels + c];
    }
}

typedef struct {
    mcf_face_map map;
    double centre;
    int64_t h, w, original_h, original_w;
} warp;

// The crop as the network sees it: where each of its pixels lies in the picture, and picture and label there.
static mcf_status warp_in(mcf_question *q, const warp *g, const double *image, int64_t channels, const double *label,
                          mcf_error *err)
{
    double *map = mcf_question_give(q, "warp_map", MCF_SHAPE(g->h, g->w, 2), err);
    double *warped = map ? mcf_question_give(q, "warped_image", MCF_SHAPE(g->h, g->w, channels), err) : NULL;
    double *labels = warped ? mcf_question_give(q, "warped_label", MCF_SHAPE(g->h, g->w), err) : NULL;
    if (!labels)
        return err->status;
    for (int64_t y = 0; y < g->h; y++)
        for (int64_t x = 0; x < g->w; x++) {
            const int64_t i = y * g->w + x;
            double *at = map + 2 * i;
            mcf_face_map_back(&g->map, (double)x + g->centre, (double)y + g->centre, at);
            sample(image, g->original_h, g->original_w, channels, at, warped + i * channels);
            const double u = floor(at[0] + 0.5), v = floor(at[1] + 0.5);
            if (u >= 0 && u < (double)g->original_w && v >= 0 && v < (double)g->original_h)
                labels[i] = label[(int64_t)v * g->original_w + (int64_t)u];
        }
    return MCF_OK;
}

// Back to the picture: where each of its pixels lies in the crop, the logits there, and the class.
static mcf_status warp_out(mcf_question *q, const warp *g, const double *logits, int64_t classes, mcf_error *err)
{
    const mcf_shape shape = MCF_SHAPE(g->original_h, g->original_w);
    double *map = mcf_question_give(q, "unwarp_map", MCF_SHAPE(g->original_h, g->original_w, 2), err);
    double *out =
        map ? mcf_question_give(q, "unwarped_logits", MCF_SHAPE(g->original_h, g->original_w, classes), err) : NULL;
    double *best = out ? mcf_question_give(q, "prediction", shape, err) : NULL;
    if (!best)
        return err->status;
    for (int64_t i = 0; i < g->original_h * g->original_w; i++) {
        double *at = map + 2 * i, *row = out + i * classes;
        mcf_face_map_forward(&g->map, (double)(i % g->original_w) + g->centre, (double)(i / g->original_w) + g->centre,
                             at);
        sample(logits, g->h, g->w, classes, at, row);
        int64_t first = 0;
        for (int64_t c = 1; c < classes; c++)
            first = row[c] > row[first] ? c : first;
        best[i] = (double)first;
    }
    return MCF_OK;
}

mcf_status mcf_answer_warp(mcf_question *q, mcf_error *err)
{
    const double *matrix, *image, *label, *logits, *points;
    mcf_shape square, shape, flat, deep, list;
    double size[2], original[2], factor;
    warp g;
    MCF_TRY(mcf_question_pair(q, "shape", 1, 65536, size, err));
    MCF_TRY(mcf_question_pair(q, "original", 1, 65536, original, err));
    MCF_TRY(mcf_question_number(q, "factor", 0, 1, &factor, err));
    MCF_TRY(mcf_question_number(q, "centre", -1, 1, &g.centre, err));
    g.h = (int64_t)size[0], g.w = (int64_t)size[1];
    g.original_h = (int64_t)original[0], g.original_w = (int64_t)original[1];
    MCF_TRY(mcf_question_points(q, "matrix", 2, 3, &matrix, &square, err));
    if (square.dim[0] != 3 || matrix[6] != 0 || matrix[7] != 0 || matrix[8] != 1)
        return mcf_fail(err, MCF_ERR_FORMAT, "tensor matrix is no 3 x 3 matrix with 0, 0, 1 as its last row");
    MCF_TRY(mcf_question_tensor(q, "image", 3, &image, &shape, err));
    MCF_TRY(mcf_question_tensor(q, "label", 2, &label, &flat, err));
    MCF_TRY(mcf_question_tensor(q, "logits", 3, &logits, &deep, err));
    MCF_TRY(mcf_question_points(q, "points", 2, 2, &points, &list, err));
    if (shape.dim[0] != g.original_h || shape.dim[1] != g.original_w || flat.dim[0] != g.original_h ||
        flat.dim[1] != g.original_w || deep.dim[0] != g.h || deep.dim[1] != g.w)
        return mcf_fail(err, MCF_ERR_FORMAT, "image or label is not of the size `original`, or logits not of `shape`");
    mcf_face_affine crop;
    memcpy(crop.m, matrix, sizeof crop.m);
    MCF_TRY(mcf_face_map_make(&crop, factor, (int)g.w, (int)g.h, &g.map, err));
    MCF_TRY(warp_in(q, &g, image, shape.dim[2], label, err));
    MCF_TRY(warp_out(q, &g, logits, deep.dim[2], err));
    double *there = mcf_question_give(q, "warped_points", list, err);
    double *back = there ? mcf_question_give(q, "returned_points", list, err) : NULL;
    if (!back)
        return err->status;
    for (int64_t i = 0; i < list.dim[0]; i++) {
        mcf_face_map_forward(&g.map, points[2 * i], points[2 * i + 1], there + 2 * i);
        mcf_face_map_back(&g.map, there[2 * i], there[2 * i + 1], back + 2 * i);
    }
    return MCF_OK;
}
