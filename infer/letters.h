// Words on pictures, for legends.
#ifndef MCF_INFER_LETTERS_H
#define MCF_INFER_LETTERS_H

#include "data/faces/draw.h"

// Small letters, digits, '-' and '_' of 5 x 7 cells, `scale` pixels a cell; all else is a gap. x, y: the left upper corner.
void mcf_draw_text(const mcf_canvas *canvas, int x, int y, int scale, const char *text, const uint8_t rgb[3]);
// Pixels that a text takes.
int mcf_text_width(const char *text, int scale);

#endif
