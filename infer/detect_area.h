// Area resizing of parts of a picture into float, and the levels of a pyramid. Output i of m covers input floor(i n/m) ..
// ceil((i + 1) n/m), the latter excluded: the plain mean of whole pixels, rows and columns alike, also where it enlarges
// (PyTorch's interpolate, mode "area"). Sums are whole numbers, so nothing depends on their order. The result is
// (mean - 127.5)/128, as MTCNN's networks want it.
#ifndef MCF_INFER_DETECT_AREA_H
#define MCF_INFER_DETECT_AREA_H

#include "data/image/image.h"
#include "infer/detect_boxes.h"

// Scratch memory, one per thread. Start from {0}.
typedef struct {
    mcf_bytes sums, spans;
} mcf_area_scratch;
void mcf_area_scratch_free(mcf_area_scratch *scratch);

// Of `window` (inside the picture) resized to width x height, the part [part_left, + part_width) x [part_top, +
// part_height) as floats of three channels at `out`, rows out_stride floats apart. Errors: MCF_ERR_NOMEM.
mcf_status mcf_area_resize(mcf_area_scratch *scratch, const mcf_image *image, mcf_window window, int width, int height,
                           mcf_window part, float *out, size_t out_stride, mcf_error *err);

// Level i of a picture: scale 12/min_face times 0.709^i, multiplied level by level in double, while the shorter side
// times it is at least 12. Sides are int(side * scale + 1).
enum { MCF_PYRAMID_MAX = 64 };
typedef struct {
    double scale;
    int width, height;
} mcf_level;
// Returns how many there are; 0 where the shorter side is below min_face.
int mcf_pyramid(int width, int height, double min_face, mcf_level levels[MCF_PYRAMID_MAX]);

#endif
