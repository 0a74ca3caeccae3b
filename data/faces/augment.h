// What a labelled face becomes on its way into a batch: crop, random transform, occlusion, noise, grey, gamma, blur
// (downstream.md, "Alignment" and "Parsing"), with its points or label map following exactly.
#ifndef MCF_DATA_FACES_AUGMENT_H
#define MCF_DATA_FACES_AUGMENT_H

#include "base/rng.h"
#include "data/faces/faces.h"
#include "data/faces/warp.h"
#include "data/image/image.h"

// Strengths of 0 switch a part off.
typedef struct {
    int size;     // side of the crop in pixels; all that follows happens there
    int out_size; // side of the picture that is given: a bilinear resize (align_corners false, no antialiasing); size: none
    mcf_face_crop crop;
    double face_scale; // mu
    double warp;       // factor of the tanh warp
    // Random transform about the crop's centre. Uniform: scale in mu +- scale, angle in +- rotation. Normal: these are
    // standard deviations, of a scale about mu. The shift is uniform, in shares of size.
    bool normal;
    double scale, rotation, shift;
    // A black rectangle with this probability: integer centre 0..size - 2, sides 2 (int(size r / 2) / 2) + 1, r in
    // occlusion_range for the height, that +- occlusion_aspect for the width.
    double occlusion, occlusion_range[2], occlusion_aspect;
    double noise, noise_weight; // probability of a blend with uniform noise; its weight is uniform up to the second
    double grey;                // probability
    double gamma, gamma_power;  // probability of x^gamma_power or x^(1 / gamma_power), half each
    double blur; // box of int(size U(0, blur)) pixels, where over 1; borders mirrored without the edge pixel
    double flip; // probability of a mirrored picture
    uint8_t mirror[MCF_FACE_MAX_CLASSES]; // the mirrored class of each class
} mcf_face_augment;

// FaRL's strengths at 512 for the two tasks; crop, scale and warp are the layout's. Classes are mirrored as the layout
// says. Only evaluation: mcf_face_augment_still.
mcf_face_augment mcf_face_augment_align(const mcf_face_layout *layout);
mcf_face_augment mcf_face_augment_parse(const mcf_face_layout *layout);
// The same crop without anything random.
mcf_face_augment mcf_face_augment_still(const mcf_face_augment *augment);

// What was drawn.
typedef struct {
    double scale;           // of the face in the crop, mu included
    double angle, shift[2]; // radians; pixels
    bool flip, grey;
    int occlusion[4]; // left, top, right, bottom (exclusive); empty: none
    double noise;     // weight
    double gamma;     // exponent
    int blur;         // side of the box; 0 and 1: none
    uint64_t seed;    // of the noise
} mcf_face_draws;

mcf_face_draws mcf_face_draw(const mcf_face_augment *augment, mcf_rng *rng);

// From a picture of width x height to the crop of face i under these draws (NULL: nothing random). Errors:
// MCF_ERR_FORMAT (a box without area, points that coincide), MCF_ERR_USAGE (the crop wants what the layout has not).
mcf_status mcf_face_map_of(const mcf_face_set *set, int64_t i, const mcf_face_augment *augment,
                           const mcf_face_draws *draws, int width, int height, mcf_face_map *map, mcf_error *err);

// Points of face i in shares of the crop, ((x + 0.5) / size, (y + 0.5) / size): out [points, 2]. A flipped face gives each
// point's mirrored one; MCF_ERR_USAGE where the set's mirrored points are not known.
mcf_status mcf_face_points_of(const mcf_face_set *set, int64_t i, const mcf_face_map *map, bool flip, float *out,
                              mcf_error *err);
// Shares of the crop back to pixels of the picture. points [count, 2] both.
void mcf_face_points_back(const mcf_face_map *map, const float *shares, int64_t count, double *pixels);

// Working memory, one per thread, reused. Start from {0}.
typedef struct {
    mcf_bytes crop, blur, noise, table;
} mcf_face_scratch;

void mcf_face_scratch_free(mcf_face_scratch *scratch);

// The picture's crop: out [out_size, out_size, 3]. image: 3 or 4 channels, 4 being faster. Outside is black.
mcf_status mcf_face_pixels(const mcf_face_augment *augment, const mcf_face_map *map, const mcf_face_draws *draws,
                           const mcf_image *image, mcf_face_scratch *scratch, uint8_t *out, mcf_error *err);
// The label map's crop, nearest, outside 0: out [size, size]. `labels` covers the whole picture of width x height, in
// label_width x label_height pixels.
mcf_status mcf_face_labels(const mcf_face_augment *augment, const mcf_face_map *map, bool flip, const uint8_t *labels,
                           int label_width, int label_height, int width, int height, mcf_face_scratch *scratch,
                           uint8_t *out, mcf_error *err);

// Logits [h, w, classes] over the crop back to the picture's pixels and to classes there: pred [height, width], the first
// of the largest; outside the crop all logits are 0. `shift`: 0, or 0.5 (facer's scoring, at centres). The logits' grid
// is the map's (width = w).
void mcf_face_unwarp(const mcf_face_map *map, const float *logits, int h, int w, int classes, double shift, int width,
                     int height, uint8_t *pred);

#endif
