// The losses of a micro-batch, a step or a validation: the total and the terms that are on, by name.
#ifndef MCF_TRAIN_LOSSES_H
#define MCF_TRAIN_LOSSES_H

#include <stddef.h>

#include "model/objective.h"

enum { MCF_MAX_LOSSES = 1 + MCF_MAX_LOSS_TERMS };

typedef struct {
    int count;
    const char *name[MCF_MAX_LOSSES]; // "loss", then the objective's terms: "loss.feature", ...
    double value[MCF_MAX_LOSSES];     // means over the devices; terms are unweighted
    int bad_device; // of the job: the one whose losses are not finite; -1: none, or not one more than others
} mcf_losses;

// The names of an objective with zeros.
mcf_losses mcf_losses_of(const mcf_objective *objective);
// sum += scale * losses, of the same objective.
void mcf_losses_add(mcf_losses *sum, const mcf_losses *losses, double scale);
// A term's name without "loss.".
const char *mcf_losses_short(const char *name);
// "2.5 (feature 0.1, pixel 2.4)"; returns text.
const char *mcf_losses_print(const mcf_losses *losses, char *text, size_t size);

#endif
