// Aligned crops of 256 x 256 out of photographs: the similarity that brings five points to a template, sampling, and what
// is measured on a crop. Pixels with centres at whole numbers; definitions: docs/crop.md.
#ifndef MCF_DATA_FACES_CROP_FACE_H
#define MCF_DATA_FACES_CROP_FACE_H

#include <stdint.h>

#include "data/image/image.h"

enum { MCF_CROP_SIDE = 256 };

typedef enum {
    MCF_TEMPLATE_LAPA = 0, // as LaPa's faces lie, so that pre-training and parsing see them alike
    MCF_TEMPLATE_FFHQ,     // Karras et al. 2019: an oriented square around eyes and mouth
    MCF_TEMPLATE_ARCFACE,  // Deng et al. 2019, its 112 scaled to 256
    MCF_TEMPLATE_COUNT
} mcf_face_template;
extern const char *const mcf_template_names[MCF_TEMPLATE_COUNT]; // "lapa", "ffhq", "arcface"

typedef enum { MCF_BORDER_BLACK = 0, MCF_BORDER_EDGE, MCF_BORDER_REFLECT, MCF_BORDER_COUNT } mcf_border;
extern const char *const mcf_border_names[MCF_BORDER_COUNT]; // "black", "edge", "reflect"

// A similarity x' = a x - b y + tx, y' = b x + a y + ty from the picture to the crop.
typedef struct {
    double a, b, tx, ty;
} mcf_similarity;

// Least squares over n points (Umeyama 1991 without reflection): with centred points s, d: a = sum s.d / sum |s|^2,
// b = sum (sx dy - sy dx) / sum |s|^2. MCF_ERR_NUMERIC where the points coincide, are not finite, or a = b = 0.
mcf_status mcf_similarity_fit(const double (*from)[2], const double (*to)[2], int n, mcf_similarity *fit,
                              mcf_error *err);
// The similarity of a template for a face's five points (left eye, right eye, nose, mouth's left and right corner).
mcf_status mcf_template_fit(mcf_face_template name, const float points[5][2], mcf_similarity *fit, mcf_error *err);
// Mean distance of the aligned points to the template's, pixels of the crop; -1: a template without points (ffhq).
double mcf_template_residual(mcf_face_template name, const float points[5][2], const mcf_similarity *fit);
// Side of the square of the picture that the crop shows, pixels of the picture.
double mcf_similarity_side(const mcf_similarity *fit);
void mcf_similarity_apply(const mcf_similarity *fit, const double from[2], double to[2]);

// Fills out [256,256,3]: each pixel the mean of k x k bilinear samples at offsets (i + 0.5)/k - 0.5, k = ceil of the
// picture's pixels per crop's, 1..8; one rounding at the end. Outside the picture: black (blended bilinearly), the nearest
// pixel, or mirrored without repeating the edge.
void mcf_crop_sample(const mcf_image *image, const mcf_similarity *fit, mcf_border border, uint8_t *out);

// Share of a 64 x 64 grid over the crop that lies inside a picture of that size.
double mcf_crop_inside(const mcf_similarity *fit, int width, int height);
// Variance of the 4-neighbour Laplacian of the grey crop (0.299 R + 0.587 G + 0.114 B).
double mcf_crop_sharpness(const uint8_t *crop);
// 64 bits: grey means of 9 columns x 8 rows; a bit is 1 where a cell is darker than its right neighbour. Rows from the top,
// the first bit is the highest.
uint64_t mcf_crop_dhash(const uint8_t *crop);

#endif
