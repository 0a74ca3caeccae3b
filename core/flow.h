// What the backward pass knows of a graph, and how gradients flow into values.
#ifndef MCF_CORE_FLOW_H
#define MCF_CORE_FLOW_H

#include "core/graph_internal.h"

typedef struct {
    mcf_graph *graph;
    mcf_value *gradient; // by forward value
    mcf_value *again;    // by forward base: the value computed again, MCF_NO_VALUE: not yet
    bool *kept;          // by forward base: read outside its recomputed block, so it is there anyway
    bool *written;       // by store entry: its gradient has been written in this graph
    int value_count;     // forward values
} mcf_backward_context;

// A forward value as the backward pass may read it: itself, or computed again where its block is recomputed.
mcf_value mcf_forward(mcf_backward_context *context, mcf_value value);
// The gradient that has arrived at an output of the node, contiguous; MCF_NO_VALUE: none.
mcf_value mcf_arrived(mcf_backward_context *context, mcf_value output);
bool mcf_wants_gradient(const mcf_backward_context *context, mcf_value value);
// Adds `gradient` to what flows into `value`. fresh: the gradient was made by a node that nothing else reads, so that
// node may write straight into the store's gradient array.
void mcf_flow(mcf_backward_context *context, mcf_value value, mcf_value gradient, bool fresh);
mcf_graph *mcf_backward_graph(mcf_backward_context *context);

// Whether the value is (a reshaped form of) a tensor of the store with a gradient there.
bool mcf_value_is_stored(const mcf_graph *graph, mcf_value value);
// How gradients flow from a node's outputs into its inputs.
typedef void (*mcf_grad_rule)(mcf_backward_context *context, const mcf_graph_node *node);

#endif
