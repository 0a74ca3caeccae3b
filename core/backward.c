// Reverse-mode differentiation: walks the values from last to first and appends nodes for their gradients.
#include "core/grad_rules.h"

#include <stdlib.h>

// A value is kept where something outside its recomputed block reads it.
static void find_kept(mcf_backward_context *context)
{
    mcf_graph *graph = context->graph;
    for (int v = 0; v < context->value_count; v++)
        context->kept[v] = graph->values[v].is_output;
    for (int i = 0; i < graph->node_count; i++)
        for (int k = 0; k < graph->nodes[i].n_in; k++) {
            mcf_value in = graph->nodes[i].in[k];
            if (in < 0)
                continue;
            mcf_value base = graph->values[in].base;
            int producer = graph->values[base].node;
            if (producer >= 0 && graph->nodes[producer].recompute != graph->nodes[i].recompute)
                context->kept[base] = true;
        }
}

static void flow_through_view(mcf_backward_context *context, mcf_value value)
{
    mcf_graph *graph = context->graph;
    mcf_graph_value v = graph->values[value];
    mcf_value g = context->gradient[value];
    mcf_shape parent = graph->values[v.parent].shape;
    switch (v.view) {
    case MCF_VIEW_RESHAPE:
        mcf_flow(context, v.parent, mcf_reshape(graph, g, parent), false);
        break;
    case MCF_VIEW_PERMUTE: {
        int inverse[MCF_MAX_RANK];
        for (int i = 0; i < v.shape.rank; i++)
            inverse[v.axes[i]] = i;
        mcf_flow(context, v.parent, mcf_permute(graph, g, inverse), false);
        break;
    }
    case MCF_VIEW_SLICE: {
        int axis = v.axes[0];
        mcf_attr attr = {.pad = {axis, v.begin, parent.dim[axis] - v.begin - v.shape.dim[axis]}};
        mcf_flow(context, v.parent, mcf_emit1(graph, MCF_OP_pad, &attr, &g, 1, mcf_value_dtype(graph, g)), true);
        break;
    }
    case MCF_VIEW_EXPAND: {
        uint32_t axes = 0;
        int added = v.shape.rank - parent.rank;
        for (int i = 0; i < v.shape.rank; i++)
            if (i < added || parent.dim[i - added] != v.shape.dim[i])
                axes |= 1u << i;
        // Sums leave in fp32: trained leaves take that, others are cast.
        mcf_value sum = mcf_reduce_sum(graph, g, axes, 1.0, mcf_statistics_dtype(graph, g));
        mcf_flow(context, v.parent, mcf_reshape(graph, sum, parent), true);
        break;
    }
    case MCF_VIEW_DETACH:
    case MCF_VIEW_NONE:
        break;
    }
}

static void flow_through_node(mcf_backward_context *context, int index)
{
    mcf_graph *graph = context->graph;
    mcf_graph_node node = graph->nodes[index];
    bool arrived = false, wanted = false;
    for (int i = 0; i < node.n_out; i++)
        arrived = arrived || context->gradient[node.out[i]] >= 0;
    for (int i = 0; i < node.n_in; i++)
        wanted = wanted || mcf_wants_gradient(context, node.in[i]);
    if (!arrived || !wanted)
        return;
    mcf_grad_rule rule = mcf_grad_rule_of(node.op);
    if (!rule) {
        mcf_graph_fail(graph, MCF_ERR_INTERNAL, "backward: %s is not differentiable", mcf_op_describe(node.op)->name);
        return;
    }
    rule(context, &node);
}

void mcf_backward(mcf_graph *graph, mcf_value loss, mcf_value seed)
{
    if (!mcf_graph_ok(graph) || loss < 0)
        return;
    mcf_shape shape = graph->values[loss].shape;
    if (mcf_shape_count(&shape) != 1) {
        mcf_graph_fail(graph, MCF_ERR_SHAPE, "backward: the loss must have one element");
        return;
    }
    if (graph->gradients || graph->recompute) {
        mcf_graph_fail(graph, MCF_ERR_INTERNAL, "backward: called twice, or inside a recomputed block");
        return;
    }
    int count = graph->value_count;
    int entries = graph->store ? graph->store->count : 0;
    mcf_backward_context context = {
        .graph = graph,
        .value_count = count,
        .gradient = malloc((size_t)count * sizeof(mcf_value)),
        .again = malloc((size_t)count * sizeof(mcf_value)),
        .kept = calloc((size_t)count, sizeof(bool)),
        .written = calloc((size_t)entries + 1, sizeof(bool)),
    };
    if (context.gradient && context.again && context.kept && context.written) {
        for (int i = 0; i < count; i++)
            context.gradient[i] = context.again[i] = MCF_NO_VALUE;
        find_kept(&context);
        if (seed < 0)
            seed = mcf_fill(graph, graph->values[loss].dtype, shape, 1.0);
        mcf_flow(&context, loss, mcf_reshape(graph, seed, shape), false);
        for (int v = count - 1; v >= 0 && mcf_graph_ok(graph); v--) {
            const mcf_graph_value *value = &graph->values[v];
            if (value->view != MCF_VIEW_NONE) {
                if (context.gradient[v] >= 0)
                    flow_through_view(&context, v);
            } else if (value->node >= 0 && graph->nodes[value->node].out[0] == v) {
                // Its other outputs have higher numbers: all that flows into them has arrived.
                flow_through_node(&context, value->node);
            }
        }
        graph->gradients = context.gradient;
        graph->gradient_count = count;
        context.gradient = NULL;
    } else {
        mcf_graph_fail(graph, MCF_ERR_NOMEM, "graph: out of memory");
    }
    free(context.gradient);
    free(context.again);
    free(context.kept);
    free(context.written);
}

mcf_value mcf_gradient(const mcf_graph *graph, mcf_value leaf)
{
    return leaf >= 0 && leaf < graph->gradient_count ? graph->gradients[leaf] : MCF_NO_VALUE;
}
