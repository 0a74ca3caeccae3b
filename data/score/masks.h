// How well predicted label maps agree with the true ones (downstream.md, "Scores"). In double.
#ifndef MCF_DATA_SCORE_MASKS_H
#define MCF_DATA_SCORE_MASKS_H

#include <stdint.h>

#include "base/error.h"

// Adds a picture's pixels to confusion [classes, classes]: rows are true classes, columns predicted ones. A value that is
// no class is MCF_ERR_FORMAT; `image` stands in the message. Nothing is added then.
mcf_status mcf_confusion_add(int64_t *confusion, int classes, const uint8_t *label, const uint8_t *pred, int64_t pixels,
                             int64_t image, mcf_error *err);

typedef struct {
    double mean; // over the counted classes; NAN where there is none
    int counted; // classes that occur in truth or prediction, the background aside
} mcf_f1_mean;

// f1 [classes] = 2 TP / (predicted + true); NAN for a class that occurs in neither. background: the class left out of the
// mean; -1: none.
mcf_f1_mean mcf_f1(const int64_t *confusion, int classes, int background, double *f1);

#endif
