// Removes what nothing reads, and fuses activations into the products before them.
#include "core/graph_internal.h"

#include <stdlib.h>

static int *count_uses(const mcf_graph *graph)
{
    int *uses = calloc((size_t)graph->value_count + 1, sizeof *uses);
    for (int i = 0; uses && i < graph->node_count; i++)
        for (int k = 0; k < graph->nodes[i].n_in; k++)
            if (graph->nodes[i].in[k] >= 0)
                uses[graph->values[graph->nodes[i].in[k]].base]++;
    return uses;
}

// `from`, a base, becomes a reshaped form of the base `to`.
static void become_view(mcf_graph *graph, mcf_value from, mcf_value to)
{
    for (int v = 0; v < graph->value_count; v++)
        if (graph->values[v].base == from)
            graph->values[v].base = to;
    graph->values[from].view = MCF_VIEW_RESHAPE;
    graph->values[from].parent = to;
    graph->values[from].node = -1;
    graph->values[to].is_output = graph->values[to].is_output || graph->values[from].is_output;
}

static void fuse_activations(mcf_graph *graph, int *uses)
{
    for (int i = 0; i < graph->node_count; i++) {
        mcf_graph_node *node = &graph->nodes[i];
        // In a recomputed block the product comes again unfused, and must come out with the same bits.
        if ((node->op != MCF_OP_gelu && node->op != MCF_OP_relu) || node->recompute)
            continue;
        const mcf_graph_value *in = &graph->values[node->in[ELEMENTWISE_IN_a]];
        mcf_value base = in->base;
        const mcf_graph_value *product = &graph->values[base];
        if (product->node < 0 || product->place != MCF_PLACE_ARENA || product->is_output || uses[base] != 1 ||
            product->dtype != graph->values[node->out[ELEMENTWISE_OUT]].dtype ||
            mcf_shape_count(&in->shape) != mcf_shape_count(&product->shape))
            continue;
        mcf_graph_node *matmul = &graph->nodes[product->node];
        if (matmul->op != MCF_OP_matmul || matmul->attr.matmul.activation != MCF_ACT_NONE)
            continue;
        matmul->attr.matmul.activation = node->op == MCF_OP_gelu ? MCF_ACT_GELU : MCF_ACT_RELU;
        uses[base] = uses[node->out[ELEMENTWISE_OUT]];
        become_view(graph, node->out[ELEMENTWISE_OUT], base);
        node->n_out = 0;
        node->n_in = 0; // dead: removed below
    }
}

static void remove_dead(mcf_graph *graph)
{
    bool *read = calloc((size_t)graph->value_count + 1, sizeof *read);
    bool *live = calloc((size_t)graph->node_count + 1, sizeof *live);
    if (!read || !live) {
        mcf_graph_fail(graph, MCF_ERR_NOMEM, "graph: out of memory");
        free(read);
        free(live);
        return;
    }
    for (int i = graph->node_count - 1; i >= 0; i--) {
        const mcf_graph_node *node = &graph->nodes[i];
        live[i] = node->effect;
        for (int k = 0; k < node->n_out; k++)
            if (node->out[k] >= 0)
                live[i] = live[i] || read[node->out[k]] || graph->values[node->out[k]].is_output;
        for (int k = 0; live[i] && k < node->n_in; k++)
            if (node->in[k] >= 0)
                read[graph->values[node->in[k]].base] = true;
    }
    int kept = 0;
    for (int i = 0; i < graph->node_count; i++) {
        if (!live[i])
            continue;
        mcf_graph_node node = graph->nodes[i];
        for (int k = 0; k < node.n_out; k++) {
            if (node.out[k] < 0)
                continue; // dropped before
            mcf_graph_value *out = &graph->values[node.out[k]];
            out->node = kept;
            if (k > 0 && !read[node.out[k]] && !out->is_output && out->place == MCF_PLACE_ARENA)
                node.out[k] = MCF_NO_VALUE;
        }
        graph->nodes[kept++] = node;
    }
    graph->node_count = kept;
    free(read);
    free(live);
}

void mcf_graph_simplify(mcf_graph *graph)
{
    if (!mcf_graph_ok(graph))
        return;
    remove_dead(graph);
    int *uses = count_uses(graph);
    if (!uses) {
        mcf_graph_fail(graph, MCF_ERR_NOMEM, "graph: out of memory");
        return;
    }
    fuse_activations(graph, uses);
    free(uses);
    remove_dead(graph);
}
