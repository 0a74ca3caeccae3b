// heatmap_points, point_distance, heatmap_bce and their gradients.
#include "backends/kernels/host.h"

#define NONE DEV_NONE

mcf_status dev_op_heatmap_points(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[HEATMAP_POINTS_IN_logits];
    const int64_t *dim = x->shape.dim, batch = dim[0], height = dim[1], width = dim[2], points = dim[3];
    const bool wanted = dev_wanted(l, HEATMAP_POINTS_OUT_mass);
    mcf_operand part;
    dev_call call;
    if (!batch)
        return MCF_OK;
    MCF_TRY(dev_scratch(stream, 0, (uint64_t)(batch * height * 2 * points), &part, err));
    dev_kernel_key rows = {"heatmap.cl", "heatmap_rows", x->dtype, NONE, NONE, NONE, "-DMCF_HEATMAP_POINTS", 0};
    MCF_TRY(dev_begin(&call, stream, &rows, err));
    dev_operand(&call, x);
    dev_operand(&call, &part);
    dev_int64(&call, height);
    dev_int64(&call, width);
    dev_int64(&call, points);
    MCF_TRY(dev_run_items(&call, points, height, batch, err));
    dev_kernel_key key = {"heatmap.cl", "heatmap_centroids", x->dtype, NONE, NONE, NONE, "-DMCF_HEATMAP_POINTS", 0};
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, &part);
    dev_operand(&call, &l->out[HEATMAP_POINTS_OUT_points]);
    dev_operand(&call, wanted ? &l->out[HEATMAP_POINTS_OUT_mass] : NULL);
    dev_int64(&call, height);
    dev_int64(&call, width);
    dev_int64(&call, points);
    dev_int(&call, wanted);
    return dev_run_items(&call, points, batch, 1, err);
}

mcf_status dev_op_heatmap_points_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[HEATMAP_POINTS_GRAD_IN_logits], *dx = &l->out[HEATMAP_POINTS_GRAD_OUT_dlogits];
    const int64_t *dim = x->shape.dim;
    dev_kernel_key key = {"heatmap.cl", "heatmap_points_grad",       x->dtype, NONE, NONE,
                          dx->dtype,    "-DMCF_HEATMAP_POINTS_GRAD", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, x);
    dev_operand(&call, &l->in[HEATMAP_POINTS_GRAD_IN_points]);
    dev_operand(&call, &l->in[HEATMAP_POINTS_GRAD_IN_mass]);
    dev_operand(&call, &l->in[HEATMAP_POINTS_GRAD_IN_dpoints]);
    dev_operand(&call, dx);
    dev_int64(&call, dim[1]);
    dev_int64(&call, dim[2]);
    dev_int64(&call, dim[3]);
    return dev_run_items(&call, dim[2] * dim[3], dim[1], dim[0], err);
}

mcf_status dev_op_point_distance(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const int64_t count = mcf_shape_count(&l->in[POINT_DISTANCE_IN_a].shape) / 2;
    mcf_operand part;
    dev_call call;
    MCF_TRY(dev_scratch(stream, 0, (uint64_t)count, &part, err));
    dev_kernel_key key = {"heatmap.cl", "point_distance", NONE, NONE, NONE, NONE, "-DMCF_POINT_DISTANCE", 0};
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, &l->in[POINT_DISTANCE_IN_a]);
    dev_operand(&call, &l->in[POINT_DISTANCE_IN_b]);
    dev_operand(&call, &part);
    dev_int64(&call, count);
    MCF_TRY(dev_run_items(&call, count, 1, 1, err));
    return dev_sum(stream, &part, 1, count, 1, 1 / (double)count, &l->out[POINT_DISTANCE_OUT_distance], false, err);
}

mcf_status dev_op_point_distance_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const int64_t count = mcf_shape_count(&l->in[POINT_DISTANCE_GRAD_IN_a].shape) / 2;
    dev_kernel_key key = {"heatmap.cl", "point_distance_grad", NONE, NONE, NONE, NONE, "-DMCF_POINT_DISTANCE", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, &l->in[POINT_DISTANCE_GRAD_IN_a]);
    dev_operand(&call, &l->in[POINT_DISTANCE_GRAD_IN_b]);
    dev_operand(&call, &l->in[POINT_DISTANCE_GRAD_IN_dloss]);
    dev_operand(&call, &l->out[POINT_DISTANCE_GRAD_OUT_da]);
    dev_int64(&call, count);
    return dev_run_items(&call, count, 1, 1, err);
}

mcf_status dev_op_heatmap_bce(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[HEATMAP_BCE_IN_logits];
    const int64_t batch = x->shape.dim[0], size = x->shape.dim[1], points = x->shape.dim[3];
    mcf_operand part;
    dev_call call;
    MCF_TRY(dev_scratch(stream, 0, (uint64_t)(batch * size * points), &part, err));
    dev_kernel_key key = {"heatmap.cl", "heatmap_bce", x->dtype, NONE, NONE, NONE, "-DMCF_HEATMAP_BCE", 0};
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, x);
    dev_operand(&call, &l->in[HEATMAP_BCE_IN_points]);
    dev_operand(&call, &part);
    dev_int64(&call, size);
    dev_int64(&call, points);
    dev_float(&call, l->attr.heatmap.radius);
    MCF_TRY(dev_run_items(&call, points, size, batch, err));
    return dev_sum(stream, &part, 1, batch * size * points, 1, 1 / (double)mcf_shape_count(&x->shape),
                   &l->out[HEATMAP_BCE_OUT_loss], false, err);
}

mcf_status dev_op_heatmap_bce_grad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[HEATMAP_BCE_GRAD_IN_logits], *dx = &l->out[HEATMAP_BCE_GRAD_OUT_dlogits];
    const int64_t size = x->shape.dim[1], points = x->shape.dim[3];
    dev_kernel_key key = {"heatmap.cl", "heatmap_bce_grad",       x->dtype, NONE, NONE,
                          dx->dtype,    "-DMCF_HEATMAP_BCE_GRAD", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, x);
    dev_operand(&call, &l->in[HEATMAP_BCE_GRAD_IN_points]);
    dev_operand(&call, &l->in[HEATMAP_BCE_GRAD_IN_dloss]);
    dev_operand(&call, dx);
    dev_int64(&call, size);
    dev_int64(&call, points);
    dev_float(&call, l->attr.heatmap.radius);
    dev_float(&call, 1 / (double)mcf_shape_count(&x->shape));
    return dev_run_items(&call, size * points, size, x->shape.dim[0], err);
}
