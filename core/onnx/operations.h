// The operations of evaluation graphs in ONNX's terms.
#ifndef MCF_CORE_ONNX_OPERATIONS_H
#define MCF_CORE_ONNX_OPERATIONS_H

#include "core/onnx/values.h"

// Adds what computes the node's outputs. An operation that has no form here, or a failure, stays in the builder.
void mcf_onnx_operation(mcf_onnx_values *values, const mcf_graph_node *node);

#endif
