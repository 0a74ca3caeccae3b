// Labels drawn on pictures of 3 bytes a pixel: points, boxes, classes in colours.
#ifndef MCF_DATA_FACES_DRAW_H
#define MCF_DATA_FACES_DRAW_H

#include <stddef.h>
#include <stdint.h>

// A picture that is drawn on.
typedef struct {
    int width, height;
    size_t stride; // bytes from a row to the next
    uint8_t *pixels;
} mcf_canvas;

// The colour of a class or of a point's number; neighbours in number differ in hue. Class 0 is the background's grey.
void mcf_draw_colour(int number, uint8_t rgb[3]);
// A filled circle with a dark rim, its centre at pixel coordinates x, y (which may lie outside).
void mcf_draw_point(const mcf_canvas *canvas, double x, double y, double radius, const uint8_t rgb[3]);
// A line of about a pixel's width.
void mcf_draw_line(const mcf_canvas *canvas, double x0, double y0, double x1, double y1, const uint8_t rgb[3]);
// Blends each class's colour over the canvas with this weight, the background left as it is. labels [rows, columns] are
// spread over the whole canvas, nearest.
void mcf_draw_classes(const mcf_canvas *canvas, const uint8_t *labels, int columns, int rows, double weight);

#endif
