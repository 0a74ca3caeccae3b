// Scores of alignment and parsing networks on a set of labelled faces: `mcf eval`.
#ifndef MCF_INFER_EVAL_H
#define MCF_INFER_EVAL_H

#include <signal.h>

#include "core/job.h"
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

typedef struct {
    mcf_job_options job;
    const char
        *checkpoint; // a run: its newest checkpoint, and the best network where it kept one; a checkpoint; a file
    const char *normaliser; // points; NULL: those of the set's papers
    double threshold;       // of fr and auc in parts of the normaliser; 0: 0.07 of the box for AFLW-19, else 0.1
    bool exact_auc;         // else as FaRL computes fr and auc
    int batch;              // 0: 8
    const volatile sig_atomic_t *stop;
    void (*progress)(void *context, int64_t done, int64_t total);
    void *context;
} mcf_eval_options;

// The set is data.validation of the config, with its layout, split and crop; the network is the checkpoint's. Errors:
// MCF_ERR_USAGE where task, outputs or crop size of both differ.
mcf_status mcf_eval(const mcf_config *config, const mcf_eval_options *options, mcf_eval_result *result, mcf_error *err);

#endif
