// Parts of the rules for gradients.
#ifndef MCF_CORE_GRAD_PARTS_H
#define MCF_CORE_GRAD_PARTS_H

#include "core/flow.h"

// The words in which rules are written: of a context c and a node n.
#define G mcf_backward_graph(c)
#define RULE(name) static void grad_##name(mcf_backward_context *c, const mcf_graph_node *n)
#define FORWARD(value) mcf_forward(c, value)
#define TYPE(value) mcf_value_dtype(G, value)

// One operation, of which the first output flows into an input of the node.
void mcf_flow_one(mcf_backward_context *context, const mcf_graph_node *node, int input, mcf_op op, const mcf_value *in,
                  int n_in);
mcf_value mcf_input_or_none(const mcf_graph_node *node, int input);
// Gradients of stored weights leave a product in fp32, straight into the store.
mcf_dtype mcf_weight_gradient_type(mcf_backward_context *context, mcf_value weight);
// dy as the products of a gradient read it: in the type of what the forward product of a and b read, where that was 16
// bits.
mcf_value mcf_gradient_operand(mcf_backward_context *context, mcf_value dy, mcf_value a, mcf_value b);
// dy [..., N] summed over all axes but the last, into bias [N].
void mcf_flow_bias(mcf_backward_context *context, mcf_value bias, mcf_value dy);

#endif
