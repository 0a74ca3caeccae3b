// Position tables: fixed 2-D sine-cosine (method.md, "Encoder"), and the resize of a table to another grid.
#ifndef MCF_MODEL_POSITION_H
#define MCF_MODEL_POSITION_H

#include <stdint.h>

// Fills table [1 + rows*columns, dim]: a zero row for cls; the first half of the channels encodes the column,
// the second the row; within a half sines then cosines, frequencies 10000^(-2i/(dim/2)). dim is a multiple of
// 4.
void mcf_position_table(float *table, int64_t dim, int64_t rows, int64_t columns);

// Resizes the patch rows of a table [1 + from_rows*from_columns, dim] to another grid, bicubically: a =
// -0.75, centres of cells aligned (align_corners false), edges repeated, no antialiasing. The cls row is
// copied.
void mcf_position_resize(const float *from, int64_t from_rows, int64_t from_columns, float *to, int64_t to_rows,
                         int64_t to_columns, int64_t dim);

#endif
