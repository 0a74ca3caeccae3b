// What a validation measured: names and numbers.
#ifndef MCF_TRAIN_SCORES_H
#define MCF_TRAIN_SCORES_H

enum { MCF_MAX_SCORES = 64, MCF_SCORE_NAME = 48 };

typedef struct {
    int count;
    struct {
        char name[MCF_SCORE_NAME]; // "loss.feature", "nme"
        double value;
    } score[MCF_MAX_SCORES];
} mcf_scores;

#endif
