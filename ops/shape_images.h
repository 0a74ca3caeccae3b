// Shape rules that shape_rules.c's table takes from shape_images.c.
#ifndef MCF_OPS_SHAPE_IMAGES_H
#define MCF_OPS_SHAPE_IMAGES_H

#include "ops/node.h"

mcf_status shape_conv2d(mcf_launch *l, int world, mcf_error *err);
mcf_status shape_conv2d_grad_x(mcf_launch *l, int world, mcf_error *err);
mcf_status shape_conv2d_grad_weight(mcf_launch *l, int world, mcf_error *err);
mcf_status shape_max_pool(mcf_launch *l, int world, mcf_error *err);
mcf_status shape_max_pool_grad(mcf_launch *l, int world, mcf_error *err);
mcf_status shape_adaptive_avg_pool(mcf_launch *l, int world, mcf_error *err);
mcf_status shape_adaptive_avg_pool_grad(mcf_launch *l, int world, mcf_error *err);
mcf_status shape_resize_bilinear(mcf_launch *l, int world, mcf_error *err);
mcf_status shape_resize_bilinear_grad(mcf_launch *l, int world, mcf_error *err);
mcf_status shape_prelu(mcf_launch *l, int world, mcf_error *err);
mcf_status shape_prelu_grad(mcf_launch *l, int world, mcf_error *err);
mcf_status shape_heatmap_points(mcf_launch *l, int world, mcf_error *err);
mcf_status shape_heatmap_points_grad(mcf_launch *l, int world, mcf_error *err);
mcf_status shape_point_distance(mcf_launch *l, int world, mcf_error *err);
mcf_status shape_point_distance_grad(mcf_launch *l, int world, mcf_error *err);
mcf_status shape_heatmap_bce(mcf_launch *l, int world, mcf_error *err);
mcf_status shape_heatmap_bce_grad(mcf_launch *l, int world, mcf_error *err);
mcf_status shape_pixel_cross_entropy(mcf_launch *l, int world, mcf_error *err);
mcf_status shape_pixel_cross_entropy_grad(mcf_launch *l, int world, mcf_error *err);

#endif
