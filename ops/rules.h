// Parts of mcf_infer_shapes that the backends and the check use as well.
#ifndef MCF_OPS_RULES_H
#define MCF_OPS_RULES_H

#include "ops/node.h"

// Types of an operation's inputs and outputs, a letter for each type of ops.def:
//   f  float;  s  f32;  i  i64;  u  u8;  a  any;  =  same
const char *mcf_op_input_types(mcf_op op);
const char *mcf_op_output_types(mcf_op op);

// While a graph is built there are no buffers: an absent input has rank 0, which no optional input has
// otherwise.
bool mcf_input_is_present(const mcf_launch *launch, int input);
// An output that is not wanted has no buffer while the first one has; its type means nothing.
bool mcf_output_is_wanted(const mcf_launch *launch, int output);

// Checks the element types of the inputs, sets those of the outputs that the operation fixes and checks the
// others.
mcf_status mcf_infer_types(mcf_launch *launch, mcf_error *err);

// --- what every backend asks of a launch

// Whether the element types are those of the table; `wide`: f64 may be among them.
bool mcf_types_are_allowed(const mcf_launch *launch, bool wide);
// Fails with the numbers where bytes offset to offset + bytes do not lie in a buffer of `size`.
mcf_status mcf_check_range(uint64_t size, uint64_t offset, uint64_t bytes, const char *what, mcf_error *err);
// Every operand is aligned to its element and lies in its buffer, of which `size` says the bytes; none is missing.
mcf_status mcf_check_operands(const mcf_launch *launch, uint64_t (*size)(const mcf_buffer *buffer), mcf_error *err);

#endif
