// Where a face's crop lies in its picture, and the tanh warp of LaPa (downstream.md, "Alignment" and "Parsing").
//
// Coordinates have pixel centres at whole numbers, x to the right, y downwards; edges of a picture of n pixels lie at
// -0.5 and n - 0.5. A crop of `size` pixels has its centre at (size - 1) / 2.
#ifndef MCF_DATA_FACES_WARP_H
#define MCF_DATA_FACES_WARP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

// x' = m[0] x + m[1] y + m[2], y' = m[3] x + m[4] y + m[5].
typedef struct {
    double m[6];
} mcf_face_affine;

static inline void mcf_face_affine_apply(const mcf_face_affine *a, double x, double y, double out[2])
{
    out[0] = a->m[0] * x + a->m[1] * y + a->m[2];
    out[1] = a->m[3] * x + a->m[4] * y + a->m[5];
}

// First `first`, then `then`.
mcf_face_affine mcf_face_affine_then(const mcf_face_affine *first, const mcf_face_affine *then);
// Fails with MCF_ERR_FORMAT where there is no inverse or a number is not finite.
mcf_status mcf_face_affine_invert(const mcf_face_affine *a, mcf_face_affine *inverse, mcf_error *err);

// Scale and rotation (radians, from x towards y) about the centre of a crop of `size`, then a shift in crop pixels.
mcf_face_affine mcf_crop_random(int size, double scale, double angle, const double shift[2]);
// Box x1, y1, x2, y2, each axis scaled for itself, to the whole crop: x' = (x - x1) size / (x2 - x1) - 0.5; then
// `scale` about the centre. A box without area is MCF_ERR_FORMAT.
mcf_status mcf_crop_from_box(const double box[4], int size, double scale, mcf_face_affine *out, mcf_error *err);
// Where LaPa's five points (eyes' centres, nose, corners of the mouth, all in the order of image left, image right)
// stand in a crop; `scale` about the centre.
void mcf_crop_template(int size, double scale, double target[5][2]);
// The similarity (one scale, never a reflection) that takes five points nearest to that template in the sense of least
// squares. Points that coincide or are not finite are MCF_ERR_FORMAT.
mcf_status mcf_crop_from_points(const double points[5][2], int size, double scale, mcf_face_affine *out,
                                mcf_error *err);

// The tanh warp of one axis: u, -1 to 1 over the crop, is unchanged for |u| <= 1 - factor and becomes
// sign(u) (1 - factor + factor tanh((|u| - 1 + factor) / factor)) beyond. factor 0: the identity.
// Lin, Yang, Chen, Zeng, Wen, Yuan: Face Parsing with RoI Tanh-Warping, CVPR 2019.
double mcf_tanh_warp(double u, double factor);
// Its inverse, with the argument of artanh held within +-0.999.
double mcf_tanh_unwarp(double v, double factor);

// From a picture to what a network sees of it: the affine map, then the tanh warp over width x height with
// u = 2 x / width - 1.
typedef struct {
    mcf_face_affine crop, inverse;
    double factor; // 0: no warp
    int width, height;
} mcf_face_map;

mcf_status mcf_face_map_make(const mcf_face_affine *crop, double factor, int width, int height, mcf_face_map *map,
                             mcf_error *err);
// Picture to crop, crop to picture.
void mcf_face_map_forward(const mcf_face_map *map, double x, double y, double out[2]);
void mcf_face_map_back(const mcf_face_map *map, double x, double y, double out[2]);

// The inverse warp of a row or column of n whole crop coordinates, plus `shift` (0, or 0.5 as facer's scoring does):
// table[i] is what mcf_tanh_unwarp makes of i + shift, again in pixels. crop -> picture is then inverse(table_x[x],
// table_y[y]).
void mcf_face_map_table(double factor, int n, double shift, double *table);

#endif
