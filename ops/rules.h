// Parts of mcf_infer_shapes; private to ops/.
#ifndef MCF_OPS_RULES_H
#define MCF_OPS_RULES_H

#include "ops/node.h"

bool mcf_input_is_present(const mcf_launch *launch, int input);

// Checks the element types of the inputs, sets those of the outputs that the operation fixes and checks the
// others.
mcf_status mcf_infer_types(mcf_launch *launch, mcf_error *err);

#endif
