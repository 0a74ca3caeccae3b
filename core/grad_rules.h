// Gradients of operations, written with the builders that models use.
#ifndef MCF_CORE_GRAD_RULES_H
#define MCF_CORE_GRAD_RULES_H

#include "core/flow.h"

// NULL where the operation is not differentiable.
mcf_grad_rule mcf_grad_rule_of(mcf_op op);

#endif
