// What every layout needs to know of points and classes.
#ifndef MCF_DATA_FACES_MARKUP_H
#define MCF_DATA_FACES_MARKUP_H

#include "data/faces/set.h"

// The mirrored point of each of 5, 19, 68, 98 or 106 points; NULL for other numbers.
const int *mcf_face_mirror(int points);
// Writes the mirrored class of each class of a layout; false, and the identity, where the layout has no left and right.
bool mcf_face_mirror_classes(const mcf_face_layout *layout, int classes, uint8_t *mirror);
// The five points (eyes' centres, nose, corners of the mouth) of 5, 68, 98 or 106 points; false for other numbers.
bool mcf_face_five(const double *xy, int points, double five[5][2]);
// The box as HRNet's tables have it, from points that count from `first`: scale = the longer of
// ceil(max) - floor(min) over both axes / 200, centre = (floor(min) + ceil(max)) / 2, box = centre +- 100 scale; then
// `first` is taken off.
void mcf_face_box_of_points(const double *xy, int points, double first, double box[4]);

#endif
