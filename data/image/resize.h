// Antialiased resizing, bit for bit as PIL's Image.resize (its "resample" on 8-bit channels).
//
// A separable filter h of support s (bilinear: triangle, s = 1; bicubic: a = -0.5, s = 2) is stretched by the
// reduction f = max(1, source / target). Output x takes the inputs i with |i + 0.5 - c| < s f around its
// centre c = start + (x + 0.5) source / target, weights h((i + 0.5 - c) / f) normalised to sum 1 and rounded
// to multiples of 2^-22. Rows are filtered first and rounded to bytes, then columns. An axis whose size does
// not change is left alone. (PIL 13 takes columns first where the height shrinks much more than the width;
// there bilinear results differ by a grey level. With the aspect kept, as in pre-training, every PIL gives
// these bytes.)
#ifndef MCF_DATA_IMAGE_RESIZE_H
#define MCF_DATA_IMAGE_RESIZE_H

#include "data/image/image.h"

typedef enum { MCF_FILTER_BILINEAR = 0, MCF_FILTER_BICUBIC, MCF_FILTER_BOX } mcf_filter;

// The source box (in source pixels, may be fractional) is resized to full_width x full_height, of which only
// the window starting at (left, top) of out_width x out_height is computed: a resize followed by a crop.
typedef struct {
    mcf_filter filter;
    double box_left, box_top, box_width, box_height;
    int full_width, full_height;
    int left, top, out_width, out_height;
} mcf_resize_plan;

// Scratch memory, one per thread, reused. Start from {0}.
typedef struct {
    mcf_bytes rows;       // after the horizontal pass
    mcf_bytes weights[2]; // horizontal, vertical
} mcf_resizer;

void mcf_resizer_free(mcf_resizer *resizer);

// Whole picture to width x height.
mcf_resize_plan mcf_resize_whole(const mcf_image *image, int width, int height, mcf_filter filter);

// torchvision's Resize(side) and CenterCrop(side): the shorter side becomes `side`, the longer
// (int)(side * longer / shorter), then the middle is cut out at round-half-even((size - side) / 2).
// decoded gives the grid the pixels are on (fast_decode) and the size the rule is applied to.
mcf_resize_plan mcf_resize_center_crop(const mcf_decoded *decoded, int side, mcf_filter filter);
// The same with Resize(shorter), shorter >= side, before CenterCrop(side).
mcf_resize_plan mcf_resize_then_crop(const mcf_decoded *decoded, int shorter, int side, mcf_filter filter);

// Writes out_height rows of out_width RGB pixels (3 bytes) at out, rows out_stride bytes apart.
// image: 3 or 4 channels, 4 being faster. The same bytes on every processor.
// Errors: MCF_ERR_SHAPE for a plan that lies outside the image or is empty, MCF_ERR_NOMEM.
mcf_status mcf_resize(mcf_resizer *resizer, const mcf_image *image, const mcf_resize_plan *plan, uint8_t *out,
                      size_t out_stride, mcf_error *err);

// Where an output pixel comes from: x_source = m[0] x + m[1] y + m[2], y_source = m[3] x + m[4] y + m[5] in
// continuous coordinates (a pixel's centre is at +0.5), in pixels of the picture as stored (before any DCT
// scale). The flip is not part of it.
void mcf_resize_inverse(const mcf_decoded *decoded, const mcf_resize_plan *plan, double m[6]);

// "avx512", "avx2" or "plain": which code this processor runs.
const char *mcf_resize_isa(void);
// For tests and benchmarks: one of these names, NULL for the best. False, and the best, where this processor
// lacks it. Not while another thread resizes.
bool mcf_resize_force_isa(const char *name);

#endif
