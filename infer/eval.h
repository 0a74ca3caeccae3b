// Scores of alignment and parsing networks on a set of labelled faces: `mcf eval`.
#ifndef MCF_INFER_EVAL_H
#define MCF_INFER_EVAL_H

#include <signal.h>

#include "core/job.h"
#include "data/faces/faces.h"
#include "run/config/config.h"

enum { MCF_EVAL_NAME = 64, MCF_EVAL_MOST = 300 };

typedef struct {
    char name[MCF_EVAL_NAME]; // "nme.inter-ocular.pose", "fr", "auc", "f1.nose"
    double value;             // percent
} mcf_eval_score;

typedef struct {
    char network[32];       // "last", "best on the validation" or "given"
    int64_t step;           // optimiser steps behind it; -1: not known
    int64_t faces;          // judged
    int64_t broken;         // pictures that cannot be read
    int64_t unsupported;    // of them: not damaged, but of a kind that is not read
    char first_broken[512]; // "NAME: reason"; "": none
    int count;
    mcf_eval_score score[MCF_EVAL_MOST];
} mcf_eval_network;

typedef struct {
    int count; // 1 or 2
    mcf_eval_network network[2];
    const char *layout; // of the set, as mcf_published_of knows it
    int image_size;     // of the network's input
} mcf_eval_result;

// A face that a network has been asked about. What it points to lasts until the call returns.
typedef struct {
    int network;  // 0 or 1: of the result
    int64_t face; // its number among those asked for
    // Points: the error in parts of the normaliser. Classes: the mean F1 of those that occur but the background; NAN
    // where there is none.
    double score;
    int side;             // of the crop
    const uint8_t *crop;  // RGB [side, side, 3]
    const float *points;  // [N, 2] in parts of the crop's sides; NULL: classes
    const float *truth;   // the same
    const uint8_t *found; // [side, side] classes in the crop; NULL: points, or `draw` is not set
    const uint8_t *label; // the same
} mcf_eval_face;

// All that a network has been asked, before it is put into scores.
typedef struct {
    int network;
    const mcf_face_set *set;
    const double *errors; // points: what fr and auc are taken of, in parts of `norm`; NULL: classes
    int64_t count;
    const char *norm;
    double threshold;
    const int64_t *confusion; // [classes, classes], true by predicted
    int classes;
} mcf_eval_judged;

typedef struct {
    mcf_job_options job;
    const char
        *checkpoint; // a run: its newest checkpoint, and the best network where it kept one; a checkpoint; a file
    const char *normaliser; // points; NULL: those of the set's papers
    double threshold;       // of fr and auc in parts of the normaliser; 0: 0.07 of the box for AFLW-19, else 0.1
    bool exact_auc;         // else as FaRL computes fr and auc
    int batch;              // 0: 8
    int64_t limit;          // 0: all faces; else a part of so many, drawn at random, always the same one
    const bool *only;       // NULL, or: of these, the faces i with only[i]
    bool last_only;         // a run's best network is left out
    bool draw;              // classes of the crops are made for `look`; a face without label map counts as broken
    // NULL, or called for each face, and for each network when all are judged. A run's best network that is the last one
    // is not asked again.
    void (*look)(void *context, const mcf_eval_face *face);
    void (*judged)(void *context, const mcf_eval_judged *judged);
    const volatile sig_atomic_t *stop;
    void (*progress)(void *context, int64_t done, int64_t total);
    void (*notice)(void *context, const char *line); // NULL, or: of what the labels leave out
    void *context;
} mcf_eval_options;

// The set is data.validation of the config, with its layout, split and crop; the network is the checkpoint's. Errors:
// MCF_ERR_USAGE where task, outputs or crop size of both differ.
mcf_status mcf_eval(const mcf_config *config, const mcf_eval_options *options, mcf_eval_result *result, mcf_error *err);

#endif
