// One optimiser step: micro-batches, the averages that go with them, and the update. Every step of the program is made
// here, in training, `mcf step`, `mcf bench step`, predictions and the GPU check.
#ifndef MCF_TRAIN_OPTIMISE_H
#define MCF_TRAIN_OPTIMISE_H

#include "train/engine.h"

typedef struct {
    int micro_batches;
    int64_t batch;          // images of each device in a micro-batch
    bool image_u8, outputs; // as mcf_step_graph_options
    double loss_scale;
    double lr;      // of the common group; the others' rates keep their ratio to it
    int64_t number; // of the update, from 1
} mcf_step_plan;

// Inputs of a micro-batch of the step; they must stay until the next one is asked for. *inputs NULL: there are none left,
// and the step is not made.
typedef mcf_status (*mcf_micro_source)(void *context, int number, const mcf_inputs **inputs, mcf_error *err);

// Enqueues the step. Does not wait. The devices see for themselves whether the gradients are finite: what became of the
// step say mcf_engine_losses and mcf_engine_gradient_norm2. *made: false where the source had no inputs.
mcf_status mcf_optimise(mcf_engine *engine, const mcf_step_plan *plan, mcf_micro_source source, void *context,
                        bool *made, mcf_error *err);
// Its two halves: the gradients of all micro-batches, the update.
mcf_status mcf_optimise_gradients(mcf_engine *engine, const mcf_step_plan *plan, mcf_micro_source source, void *context,
                                  bool *made, mcf_error *err);
mcf_status mcf_optimise_update(mcf_engine *engine, const mcf_step_plan *plan, mcf_error *err);
// What the gradients of the step are multiplied with before they count: 1/(micro-batches * loss scale).
double mcf_step_gradient_scale(const mcf_step_plan *plan);
// How the step runs its micro-batch of this number.
mcf_micro_options mcf_step_micro(const mcf_engine *engine, const mcf_step_plan *plan, int number);

// Makes the step and waits. In fp16 it is made again at half the loss scale until the gradients are finite; averages and
// running statistics go back to where they were, so that attempts leave no trace. *plan keeps the scale that counted,
// *attempts (NULL allowed) grows by one for each that did not. `losses`: means over the micro-batches. Errors:
// MCF_ERR_NUMERIC where a loss, or at every scale a gradient, is not finite.
mcf_status mcf_optimise_until_finite(mcf_engine *engine, mcf_step_plan *plan, mcf_micro_source source, void *context,
                                     mcf_losses *losses, int *attempts, mcf_error *err);

#endif
