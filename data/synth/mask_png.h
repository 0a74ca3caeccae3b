// Masks as grey PNG: one bit (set or not) or eight (class numbers).
#ifndef MCF_DATA_SYNTH_PNG_H
#define MCF_DATA_SYNTH_PNG_H

#include "data/image/image.h"

// pixels [size, size]. value >= 0: one bit a pixel, white where pixels equal it; -1: the bytes themselves.
mcf_status mcf_synth_png(const uint8_t *pixels, int size, int value, mcf_bytes *out, mcf_error *err);

#endif
