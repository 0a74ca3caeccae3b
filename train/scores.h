// What a validation measured: names and numbers.
#ifndef MCF_TRAIN_SCORES_H
#define MCF_TRAIN_SCORES_H

#include <stdbool.h>

enum { MCF_MAX_SCORES = 64, MCF_SCORE_NAME = 48 };

typedef struct {
    int count;
    bool ranked; // the first score tells which epoch's network is the best
    bool lower;  // is better; else higher
    struct {
        char name[MCF_SCORE_NAME]; // "loss.feature", "nme"
        double value;
    } score[MCF_MAX_SCORES];
} mcf_scores;

#endif
