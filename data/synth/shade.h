// Colour and class of a place of a part, from the same functions of the part's own coordinates.
#ifndef MCF_DATA_SYNTH_SHADE_H
#define MCF_DATA_SYNTH_SHADE_H

#include "data/synth/synth.h"
#include "data/synth/parts.h"
#include "data/synth/raster.h"

typedef struct {
    const part *part;
    v3 at, p, n, along;
    float light; // of the surroundings
    float pixel; // cm a pixel covers here
} surface;

typedef struct {
    v3 colour;     // linear, before exposure
    uint8_t label; // MCF_SYNTH_*
} shaded;

shaded mcf_shade(const builder *b, const shadow_map *shadow, const surface *s);
// Mirror and tint of a lens over what is behind.
v3 mcf_shade_lens(const builder *b, const surface *s, v3 behind);

#endif
