// Random augmentations of pre-training, each equal to PIL's or torchvision's on the same drawn parameters (of PIL's
// resize, rows before columns, as until version 12; see data/image/resize.h).
//
// In order: random resized crop, colour jitter, greyscale, Gaussian blur, solarise, flip (by the device).
#ifndef MCF_DATA_AUGMENT_H
#define MCF_DATA_AUGMENT_H

#include "base/rng.h"
#include "data/transform.h"

// How one view is drawn. Probabilities of 0 switch a part off.
typedef struct {
    double scale_min; // least part of the picture's area in the crop, most is 1; the aspect is 3/4 to 4/3
    mcf_filter filter;
    double jitter_p, brightness, contrast, saturation, hue; // factors 1 +- x; hue +- x of a full turn
    double grey_p;
    double blur_p, sigma_min, sigma_max; // pixels
    double solarise_p;                   // bytes from 128 up are inverted
} mcf_augment_view;

// MoCo-v3's two views (method.md, "MoCo-v3"), of crops of at least scale_min; only the crop and the flip (MAE).
mcf_augment_view mcf_augment_moco(int view, double scale_min, mcf_filter filter);
mcf_augment_view mcf_augment_crop(double scale_min, mcf_filter filter);

typedef enum { MCF_JITTER_BRIGHTNESS, MCF_JITTER_CONTRAST, MCF_JITTER_SATURATION, MCF_JITTER_HUE } mcf_jitter;

// What was drawn.
typedef struct {
    int left, top, width, height; // of the crop, in pixels of the picture
    bool jitter;
    mcf_jitter order[4];
    double brightness, contrast, saturation, hue; // factors; hue: turns
    bool grey;
    double sigma; // 0: no blur
    bool solarise, flip;
} mcf_augment_draws;

mcf_augment_draws mcf_augment_draw(const mcf_augment_view *view, mcf_rng *rng, int width, int height);

// Everything but the flip: image to `side` x `side` RGB (3 bytes) at out. scratch: of the calling thread.
mcf_status mcf_augment_apply(const mcf_augment_draws *draws, mcf_filter filter, const mcf_image *image, int side,
                             mcf_transform_scratch *scratch, uint8_t *out, mcf_error *err);

// One or two views of a sample; their numbers come from MCF_RNG_AUGMENT1 and 2. The picture is decoded whole.
typedef struct {
    int side, views;
    mcf_augment_view view[2];
} mcf_augment_options;
mcf_transform mcf_transform_augment(const mcf_augment_options *options);

#endif
