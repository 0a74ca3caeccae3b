// Gradient rules of operations on images with channels innermost, heatmaps and pixels.
#include "core/grad_images.h"

#include "core/grad_parts.h"

#define DY mcf_arrived(c, n->out[0])

RULE(conv2d)
{
    const mcf_value x = n->in[CONV2D_IN_x], weight = n->in[CONV2D_IN_weight], dy = DY;
    const bool wants_x = mcf_wants_gradient(c, x), wants_weight = mcf_wants_gradient(c, weight);
    const mcf_value dp = wants_x || wants_weight ? mcf_gradient_operand(c, dy, x, weight) : dy;
    mcf_attr attr = n->attr;
    if (wants_x) {
        attr.conv2d.height = mcf_value_dim(G, x, 1);
        attr.conv2d.width = mcf_value_dim(G, x, 2);
        const mcf_value in[] = {[CONV2D_GRAD_X_IN_dy] = dp, [CONV2D_GRAD_X_IN_weight] = FORWARD(weight)};
        mcf_flow(c, x, mcf_emit1(G, MCF_OP_conv2d_grad_x, &attr, in, CONV2D_GRAD_X_INPUTS, TYPE(x)), true);
    }
    if (wants_weight) {
        attr.conv2d.height = mcf_value_dim(G, weight, 2);
        attr.conv2d.width = mcf_value_dim(G, weight, 3);
        const mcf_value in[] = {[CONV2D_GRAD_WEIGHT_IN_x] = FORWARD(x), [CONV2D_GRAD_WEIGHT_IN_dy] = dp};
        mcf_flow(c, weight,
                 mcf_emit1(G, MCF_OP_conv2d_grad_weight, &attr, in, CONV2D_GRAD_WEIGHT_INPUTS,
                           mcf_weight_gradient_type(c, weight)),
                 true);
    }
    mcf_flow_bias(c, mcf_input_or_none(n, CONV2D_IN_bias), dy);
}

RULE(max_pool)
{
    const mcf_value in[] = {[MAX_POOL_GRAD_IN_x] = FORWARD(n->in[MAX_POOL_IN_x]), [MAX_POOL_GRAD_IN_dy] = DY};
    mcf_flow_one(c, n, MAX_POOL_IN_x, MCF_OP_max_pool_grad, in, MAX_POOL_GRAD_INPUTS);
}

// A resizing's gradient has the input's size.
static void flow_resized(mcf_backward_context *c, const mcf_graph_node *n, mcf_value x, mcf_op op)
{
    const mcf_attr attr = {.resize = {mcf_value_dim(G, x, 1), mcf_value_dim(G, x, 2)}};
    const mcf_value dy = DY;
    mcf_flow(c, x, mcf_emit1(G, op, &attr, &dy, 1, TYPE(x)), true);
}

RULE(adaptive_avg_pool)
{
    flow_resized(c, n, n->in[ADAPTIVE_AVG_POOL_IN_x], MCF_OP_adaptive_avg_pool_grad);
}
RULE(resize_bilinear)
{
    flow_resized(c, n, n->in[RESIZE_BILINEAR_IN_x], MCF_OP_resize_bilinear_grad);
}

RULE(prelu)
{
    const mcf_value x = n->in[PRELU_IN_x], slope = n->in[PRELU_IN_slope];
    const mcf_value in[] = {
        [PRELU_GRAD_IN_x] = FORWARD(x), [PRELU_GRAD_IN_slope] = FORWARD(slope), [PRELU_GRAD_IN_dy] = DY};
    int node = mcf_emit(G, MCF_OP_prelu_grad, NULL, in, PRELU_GRAD_INPUTS, TYPE(x));
    if (node < 0)
        return;
    const mcf_value dx = G->nodes[node].out[PRELU_GRAD_OUT_dx], dslope = G->nodes[node].out[PRELU_GRAD_OUT_dslope];
    mcf_flow(c, slope, dslope, true);
    mcf_flow(c, x, dx, false);
}

RULE(heatmap_points)
{
    const mcf_value in[] = {
        [HEATMAP_POINTS_GRAD_IN_logits] = FORWARD(n->in[HEATMAP_POINTS_IN_logits]),
        [HEATMAP_POINTS_GRAD_IN_points] = FORWARD(n->out[HEATMAP_POINTS_OUT_points]),
        [HEATMAP_POINTS_GRAD_IN_mass] = FORWARD(n->out[HEATMAP_POINTS_OUT_mass]),
        [HEATMAP_POINTS_GRAD_IN_dpoints] = DY,
    };
    mcf_flow_one(c, n, HEATMAP_POINTS_IN_logits, MCF_OP_heatmap_points_grad, in, HEATMAP_POINTS_GRAD_INPUTS);
}

RULE(point_distance)
{
    const mcf_value in[] = {
        [POINT_DISTANCE_GRAD_IN_a] = FORWARD(n->in[POINT_DISTANCE_IN_a]),
        [POINT_DISTANCE_GRAD_IN_b] = FORWARD(n->in[POINT_DISTANCE_IN_b]),
        [POINT_DISTANCE_GRAD_IN_dloss] = DY,
    };
    mcf_flow_one(c, n, POINT_DISTANCE_IN_a, MCF_OP_point_distance_grad, in, POINT_DISTANCE_GRAD_INPUTS);
}

RULE(heatmap_bce)
{
    const mcf_value in[] = {
        [HEATMAP_BCE_GRAD_IN_logits] = FORWARD(n->in[HEATMAP_BCE_IN_logits]),
        [HEATMAP_BCE_GRAD_IN_points] = FORWARD(n->in[HEATMAP_BCE_IN_points]),
        [HEATMAP_BCE_GRAD_IN_dloss] = DY,
    };
    mcf_flow_one(c, n, HEATMAP_BCE_IN_logits, MCF_OP_heatmap_bce_grad, in, HEATMAP_BCE_GRAD_INPUTS);
}

RULE(pixel_cross_entropy)
{
    const mcf_value in[] = {
        [PIXEL_CROSS_ENTROPY_GRAD_IN_logits] = FORWARD(n->in[PIXEL_CROSS_ENTROPY_IN_logits]),
        [PIXEL_CROSS_ENTROPY_GRAD_IN_labels] = FORWARD(n->in[PIXEL_CROSS_ENTROPY_IN_labels]),
        [PIXEL_CROSS_ENTROPY_GRAD_IN_lse] = FORWARD(n->out[PIXEL_CROSS_ENTROPY_OUT_lse]),
        [PIXEL_CROSS_ENTROPY_GRAD_IN_dloss] = DY,
    };
    mcf_flow_one(c, n, PIXEL_CROSS_ENTROPY_IN_logits, MCF_OP_pixel_cross_entropy_grad, in,
                 PIXEL_CROSS_ENTROPY_GRAD_INPUTS);
}

mcf_grad_rule mcf_grad_rule_of_images(mcf_op op)
{
    static const mcf_grad_rule rules[MCF_OP_COUNT] = {
        [MCF_OP_conv2d] = grad_conv2d,
        [MCF_OP_max_pool] = grad_max_pool,
        [MCF_OP_adaptive_avg_pool] = grad_adaptive_avg_pool,
        [MCF_OP_resize_bilinear] = grad_resize_bilinear,
        [MCF_OP_prelu] = grad_prelu,
        [MCF_OP_heatmap_points] = grad_heatmap_points,
        [MCF_OP_point_distance] = grad_point_distance,
        [MCF_OP_heatmap_bce] = grad_heatmap_bce,
        [MCF_OP_pixel_cross_entropy] = grad_pixel_cross_entropy,
    };
    return rules[op];
}
