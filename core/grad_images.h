// Gradients of operations of 2-D networks.
#ifndef MCF_CORE_GRAD_IMAGES_H
#define MCF_CORE_GRAD_IMAGES_H

#include "core/flow.h"

// NULL where the operation is not one of them, or not differentiable.
mcf_grad_rule mcf_grad_rule_of_images(mcf_op op);

#endif
