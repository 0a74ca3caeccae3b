#include "core/flow.h"

mcf_graph *mcf_backward_graph(mcf_backward_context *context)
{
    return context->graph;
}

bool mcf_wants_gradient(const mcf_backward_context *context, mcf_value value)
{
    return value >= 0 && context->graph->values[value].requires_grad;
}

mcf_value mcf_arrived(mcf_backward_context *context, mcf_value output)
{
    if (output < 0 || context->gradient[output] < 0)
        return MCF_NO_VALUE;
    return mcf_contiguous(context->graph, context->gradient[output]);
}

// --- recomputation

// Whether a base is made a second time for the backward pass instead of being kept: in a recomputed block, and
// results of gelu everywhere, since its input is kept for gelu_grad and one more pass over it is cheap.
static bool is_made_again(const mcf_backward_context *context, mcf_value base)
{
    int node = context->graph->values[base].node;
    if (node < 0)
        return false;
    if (context->graph->nodes[node].op == MCF_OP_gelu && !context->graph->values[base].is_output)
        return true;
    return !context->kept[base] && context->graph->nodes[node].recompute != 0;
}

static void compute_again(mcf_backward_context *context, int index)
{
    mcf_graph *graph = context->graph;
    mcf_graph_node node = graph->nodes[index];
    if (node.effect) {
        mcf_graph_fail(graph, MCF_ERR_INTERNAL, "recompute: %s changes the store and cannot run twice",
                       mcf_op_describe(node.op)->name);
        return;
    }
    for (int i = 0; i < node.n_in; i++)
        node.in[i] = mcf_forward(context, node.in[i]);
    for (int i = 0; i < node.n_out; i++) {
        mcf_graph_value value = graph->values[node.out[i]];
        value.node = graph->node_count;
        value.is_output = false;
        value.requires_grad = false;
        mcf_value fresh = mcf_new_value(graph, &value);
        context->again[node.out[i]] = fresh;
        node.out[i] = fresh;
    }
    node.recompute = 0;
    if (!mcf_grow(&graph->nodes, graph->node_count, &graph->node_capacity, sizeof *graph->nodes)) {
        mcf_graph_fail(graph, MCF_ERR_NOMEM, "graph: out of memory");
        return;
    }
    graph->nodes[graph->node_count++] = node;
}

mcf_value mcf_forward(mcf_backward_context *context, mcf_value value)
{
    mcf_graph *graph = context->graph;
    if (value < 0 || value >= context->value_count || !mcf_graph_ok(graph))
        return value;
    mcf_value base = graph->values[value].base;
    if (!is_made_again(context, base))
        return value;
    if (context->again[base] < 0)
        compute_again(context, graph->values[base].node);
    if (!mcf_graph_ok(graph) || value == base)
        return context->again[base];
    mcf_graph_value view = graph->values[value];
    view.base = context->again[base];
    view.parent = context->again[base];
    view.requires_grad = false;
    return mcf_new_value(graph, &view);
}

// --- flow

// The trained leaf a value is (a reshaped form of), or MCF_NO_VALUE.
static mcf_value trained_leaf(const mcf_graph *graph, mcf_value value)
{
    while (graph->values[value].view == MCF_VIEW_RESHAPE)
        value = graph->values[value].parent;
    const mcf_graph_value *v = &graph->values[value];
    bool stored = v->place == MCF_PLACE_MASTER || v->place == MCF_PLACE_LOW;
    return v->view == MCF_VIEW_NONE && v->node < 0 && stored && v->entry >= 0 ? value : MCF_NO_VALUE;
}

bool mcf_value_is_stored(const mcf_graph *graph, mcf_value value)
{
    return trained_leaf(graph, value) >= 0;
}

// Makes the node that produced `gradient` write into the store; false where it cannot.
static bool redirect(mcf_backward_context *context, mcf_value leaf, mcf_value gradient)
{
    mcf_graph *graph = context->graph;
    mcf_graph_value *g = &graph->values[gradient];
    mcf_graph_value *base = &graph->values[g->base];
    if (base->node < 0 || base->dtype != MCF_F32 || base->place != MCF_PLACE_ARENA ||
        mcf_shape_count(&g->shape) != mcf_shape_count(&base->shape) || !mcf_value_is_contiguous(graph, gradient))
        return false;
    mcf_graph_node *node = &graph->nodes[base->node];
    for (int i = 0; i < node->n_out; i++) {
        if (node->out[i] != g->base)
            continue;
        if (!(mcf_op_describe(node->op)->accumulates >> i & 1u))
            return false;
        const mcf_graph_value *target = &graph->values[leaf];
        base->place = MCF_PLACE_GRADIENT;
        base->role = target->role;
        base->role_offset = target->role_offset;
        base->entry = target->entry;
        node->accumulate[i] = context->written[target->entry] ? MCF_ACC_ALWAYS : MCF_ACC_RUN;
        node->effect = true;
        context->written[target->entry] = true;
        return true;
    }
    return false;
}

void mcf_flow(mcf_backward_context *context, mcf_value value, mcf_value gradient, bool fresh)
{
    mcf_graph *graph = context->graph;
    if (!mcf_graph_ok(graph) || gradient < 0 || !mcf_wants_gradient(context, value))
        return;
    mcf_value leaf = trained_leaf(graph, value);
    if (leaf >= 0) {
        if (!fresh || !redirect(context, leaf, gradient)) {
            gradient = mcf_copy(graph, gradient, MCF_F32);
            if (gradient >= 0 && !redirect(context, leaf, gradient))
                mcf_graph_fail(graph, MCF_ERR_INTERNAL, "backward: a gradient cannot be stored");
        }
        context->gradient[leaf] = gradient;
        return;
    }
    gradient = mcf_cast(graph, gradient, graph->values[value].dtype);
    if (context->gradient[value] < 0)
        context->gradient[value] = gradient;
    else
        context->gradient[value] = mcf_add(graph, context->gradient[value], gradient);
}
