// What would make a predicted step faster.
#ifndef MCF_BENCH_ESTIMATE_CHANGES_H
#define MCF_BENCH_ESTIMATE_CHANGES_H

#include "bench/estimate/estimate.h"

enum { MCF_CHANGES_MAX = 16 };

typedef struct {
    const char *what;
    double images;  // a second and card
    bool same_step; // the training stays what it is, but for rounding
} mcf_predicted_change;

typedef struct {
    mcf_predicted_change change[MCF_CHANGES_MAX];
    int count;
    mcf_predicted_change outcome[MCF_CHANGES_MAX]; // what a first run may find, from the worst to the best
    int outcome_count;
    double low, high; // images a second and card: all that may be worse; attention's pipes all overlapped
    double wanted;    // images a second and card
    double share,
        share_all;    // of the card's peak that products must reach for it, with nothing and with all else changed;
                      // above 1: out of reach
    double share_now; // what they reach as it is, flops by seconds
} mcf_predicted_changes;

// `now`: the prediction of `record` without changes.
mcf_status mcf_predict_changes(const mcf_card *card, const mcf_config *config, const mcf_recorded_step *record,
                               const mcf_prediction *now, double wanted, mcf_predicted_changes *changes,
                               mcf_error *err);

// Four times what the authors' 4 days for 16 epochs of 20 million faces on 8 cards are: a day.
#define MCF_WANTED_IMAGES 465.0
#define MCF_AUTHORS_IMAGES (20e6 * 16 / (4 * 86400.0) / 8)

#endif
