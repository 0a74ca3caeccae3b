// Instructions of the shared kernels that work on maps, pixels and batch statistics, which are bound by them on most cards:
// they divide 64-bit indices, and gradients look through all pixels that reach theirs.
//
// From sm_70's machine code (CUDA 11.8, cuobjdump of backends/cuda/instances), without the branch of division that 32-bit
// values never take; other branches count as if all were taken, loops by their trips.
#include <math.h>

#include "bench/estimate/time.h"

static double count_of(const mcf_operand *operand)
{
    return (double)mcf_shape_count(&operand->shape);
}

// Pixels along one side of the larger map that reach a pixel of the smaller one, in bilinear interpolation.
static double reach(int64_t large, int64_t small)
{
    return 2 * ceil((double)large / (double)small);
}

// Of the smaller map's kernel, an item a value: `begin`, `line` for each row of pixels that reach it, `pixel` for each.
static double gathered(const mcf_operand *small, const int64_t *large, double begin, double line, double pixel)
{
    const int64_t *dim = small->shape.dim;
    const double rows = reach(large[1], dim[1]), columns = reach(large[2], dim[2]);
    return count_of(small) * (begin + rows * (line + columns * pixel));
}

static double pooled(const mcf_operand *bins, const int64_t *large)
{
    const int64_t *dim = bins->shape.dim;
    const double rows = ceil((double)large[1] / (double)dim[1]), columns = ceil((double)large[2] / (double)dim[2]);
    return count_of(bins) * (312 + rows * (174 + columns * 86));
}

double mcf_map_instructions(const mcf_launch *l)
{
    const mcf_operand *in = &l->in[0], *out = &l->out[0];
    switch (l->op) {
    case MCF_OP_batch_norm:
        return 155 * count_of(out);
    case MCF_OP_batch_norm_grad:
        return 168 * count_of(out);
    case MCF_OP_max_pool:
        return 533 * count_of(out);
    case MCF_OP_max_pool_grad:
        return 585 * count_of(out);
    case MCF_OP_adaptive_avg_pool:
        return pooled(out, in->shape.dim);
    case MCF_OP_adaptive_avg_pool_grad: // bins overlap by one at most
        return (341 + 2 * (400 + 2 * 447)) * count_of(out);
    case MCF_OP_resize_bilinear:
        return 374 * count_of(out);
    case MCF_OP_resize_bilinear_grad:
        return gathered(out, in->shape.dim, 437, 398, 339);
    case MCF_OP_heatmap_points:
        return 66 * count_of(in);
    case MCF_OP_heatmap_points_grad:
        return 270 * count_of(out);
    case MCF_OP_heatmap_bce:
        return 126 * count_of(in);
    case MCF_OP_heatmap_bce_grad:
        return 255 * count_of(out);
    case MCF_OP_pixel_cross_entropy:
        return (480 + 190 * (double)in->shape.dim[3]) * count_of(&l->in[PIXEL_CROSS_ENTROPY_IN_labels]);
    case MCF_OP_pixel_cross_entropy_grad:
        return gathered(out, l->in[PIXEL_CROSS_ENTROPY_GRAD_IN_labels].shape.dim, 356, 109, 198);
    default:
        return 0;
    }
}
