// What a place is made of, before light falls on it.
#ifndef MCF_DATA_SYNTH_MATERIAL_H
#define MCF_DATA_SYNTH_MATERIAL_H

#include "data/synth/shade.h"

typedef struct {
    v3 colour;
    float gloss, sharp; // strength and exponent of the highlight
    float scatter;      // light that bleeds under skin
    float dim;          // of all light: creases
    uint8_t label;
} material;

// Skin of the head at a rest position; pixel: cm.
material mcf_head_material(const builder *b, v3 at, float pixel);

#endif
