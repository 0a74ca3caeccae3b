// Private to data/resize*.c: the two passes of a separable resize and the weights they share.
#ifndef MCF_DATA_IMAGE_RESIZE_PASSES_H
#define MCF_DATA_IMAGE_RESIZE_PASSES_H

#include "data/image/resize.h"

typedef struct {
    int outputs;     // how many positions
    int taps, pairs; // room per position
    int *first;      // [outputs] first input
    int *count;      // [outputs] inputs used
    int32_t *weight; // [outputs][taps] multiples of 2^-22
    // [outputs][pairs][2]: two taps as {high 16 bits each, low 8 bits each}, weight = 256 high + low.
    int32_t *pair;
} mcf_resize_weights;

typedef struct {
    const char *name;
    // Rows first_row.. of image to `rows` rows of w->outputs RGB pixels; may write 16 bytes past each.
    // Vector code takes 4-channel images only.
    void (*horizontal)(const mcf_image *image, int first_row, int rows, const mcf_resize_weights *w, uint8_t *out,
                       size_t out_stride);
    // Columns of `bytes` bytes; `in` begins at input row first_row. Writes exactly `bytes` bytes a row.
    void (*vertical)(const uint8_t *in, size_t in_stride, int first_row, size_t bytes, const mcf_resize_weights *w,
                     uint8_t *out, size_t out_stride);
} mcf_resize_passes;

// NULL where the processor or the build has no AVX2.
const mcf_resize_passes *mcf_resize_avx2(void);
// NULL without AVX-512 BW, VL, VBMI and VNNI.
const mcf_resize_passes *mcf_resize_avx512(void);

#endif
