// What happens to one sample on its way into a batch: encoded bytes in, fixed-size pixels out. The loader's
// workers call a transform through a pointer, so pre-training, two-crop augmentation and labelled crops
// differ only here.
#ifndef MCF_DATA_TRANSFORM_H
#define MCF_DATA_TRANSFORM_H

#include "data/image/resize.h"
#include "data/source.h"

enum { MCF_MAX_VIEWS = 4 };

// Working memory of one thread, reused from sample to sample. Start from {0}.
typedef struct {
    mcf_bytes encoded, decoded, extra[8];
    mcf_resizer resizer;
} mcf_transform_scratch;

void mcf_transform_scratch_free(mcf_transform_scratch *scratch);

// Random draws come from mcf_rng_make(seed, purpose, epoch, sample) only: the result then depends on nothing
// else.
typedef struct {
    const uint8_t *bytes; // the encoded picture
    size_t size;
    uint64_t seed;
    uint32_t epoch;
    int64_t sample;           // index in source
    const mcf_source *source; // for labels and sidecars
    mcf_transform_scratch *scratch;
} mcf_transform_input;

// Where the results of one sample go; the memory is the batch's.
typedef struct {
    uint8_t *pixels; // [height, width, 3] RGB
    uint8_t *flip;   // 1: the device mirrors this view left to right
    // Output pixel to picture as stored, before the flip: x = m[0] u + m[1] v + m[2], y = m[3] u + m[4] v +
    // m[5], pixel centres at +0.5.
    double *inverse; // [6]
} mcf_view;

typedef struct {
    mcf_view view[MCF_MAX_VIEWS];
    int32_t *original; // [2] width, height of the picture as stored
    uint8_t *extra;    // [extra_size] labels, points: whatever the transform defines
} mcf_transform_output;

typedef struct {
    int views, width, height; // 1..MCF_MAX_VIEWS views of width x height
    size_t extra_size;        // bytes per sample
    // Fills all of *out, or fails (MCF_ERR_FORMAT: this sample is broken). Called from many threads at once.
    mcf_status (*apply)(const void *options, const mcf_transform_input *in, mcf_transform_output *out, mcf_error *err);
    const void *options; // the caller's, alive as long as the loader
} mcf_transform;

// Pre-training and evaluation: shorter side to `side`, or to `shorter`, centre crop (mcf_resize_then_crop), flip with
// probability 0.5 where `flip` is set (MCF_RNG_FLIP).
typedef struct {
    int side;    // 1..8192
    int shorter; // from `side` on; 0: side
    mcf_filter filter;
    bool fast_decode; // JPEG at the nearest larger DCT scale
    bool flip;
} mcf_center_crop_options;

// The shorter side before the crop, from timm's crop_pct in (0, 1].
int mcf_shorter_side(int side, double crop_pct);

mcf_transform mcf_transform_center_crop(const mcf_center_crop_options *options);

#endif
