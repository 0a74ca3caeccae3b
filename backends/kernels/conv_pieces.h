// How many rows of columns a convolution makes at a time: for the kernels' host side, and for predictions.
#ifndef MCF_BACKENDS_KERNELS_CONV_PIECES_H
#define MCF_BACKENDS_KERNELS_CONV_PIECES_H

#include <stdint.h>

// Of `total` rows with `depth` elements of `size` bytes. group: items that share a line, 1 on processors, which stay near
// their caches; other devices need long products.
static inline int64_t dev_conv_piece(int group, int64_t total, int64_t depth, int64_t size)
{
    const int64_t bytes = (int64_t)(group > 1 ? 256 : 32) << 20, rows = bytes / (depth * size);
    return rows < 64 ? 64 < total ? 64 : total : rows < total ? rows : total;
}

#endif
