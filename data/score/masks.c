#include "data/score/masks.h"

#include <math.h>

mcf_status mcf_confusion_add(int64_t *confusion, int classes, const uint8_t *label, const uint8_t *pred, int64_t pixels,
                             int64_t image, mcf_error *err)
{
    for (int64_t i = 0; i < pixels; i++) {
        if (label[i] >= classes)
            return mcf_fail(err, MCF_ERR_FORMAT, "image %lld: label %d is not a class; there are %d, from 0",
                            (long long)image, label[i], classes);
        if (pred[i] >= classes)
            return mcf_fail(err, MCF_ERR_FORMAT, "image %lld: prediction %d is not a class; there are %d, from 0",
                            (long long)image, pred[i], classes);
    }
    for (int64_t i = 0; i < pixels; i++)
        confusion[label[i] * classes + pred[i]]++;
    return MCF_OK;
}

mcf_f1_mean mcf_f1(const int64_t *confusion, int classes, int background, double *f1)
{
    mcf_f1_mean result = {.mean = 0, .counted = 0};
    for (int c = 0; c < classes; c++) {
        int64_t truth = 0, predicted = 0;
        for (int i = 0; i < classes; i++) {
            truth += confusion[c * classes + i];
            predicted += confusion[i * classes + c];
        }
        f1[c] = truth + predicted ? 2.0 * (double)confusion[c * classes + c] / (double)(truth + predicted) : NAN;
        if (truth + predicted && c != background) {
            result.mean += f1[c];
            result.counted++;
        }
    }
    result.mean = result.counted ? result.mean / result.counted : NAN;
    return result;
}
