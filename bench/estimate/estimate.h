// Prediction of a pre-training step on cards that are not here.
//
// The step is recorded by the code that runs it (record_step.h), every launch gets a time by a roofline
// (time.h), and the streams of one card are followed through the step: micro-batches, sums of gradients beside
// the last one's backward pass, the update. All cards of a machine do the same at the same time.
#ifndef MCF_BENCH_ESTIMATE_ESTIMATE_H
#define MCF_BENCH_ESTIMATE_ESTIMATE_H

#include "bench/estimate/record_step.h"
#include "bench/estimate/time.h"

enum { MCF_PREDICT_NAME = 80 };

// Launches of one operation, products by shape.
typedef struct {
    char name[MCF_PREDICT_NAME];
    mcf_op op;
    mcf_way way;
    int count;                                     // in a step
    double flops, bytes, compute, memory, seconds; // of all
} mcf_predicted_row;

typedef struct {
    uint64_t parameters; // masters, copies in 16 bits, gradients, moments, the optimiser's tables
    uint64_t arena;      // of the plan
    uint64_t work;       // products' workspaces, scratch of operations, the ring of uploads
    uint64_t driver;     // assumed
    uint64_t total;
} mcf_predicted_memory;

typedef struct {
    mcf_predicted_row *rows; // by time, longest first
    int row_count, row_capacity;
    double step;        // s
    double computing;   // of that, launches and copies
    double waiting;     // of that, for sums of gradients that the backward pass did not cover
    double reducing;    // s on the stream beside, in the last micro-batch
    double contention;  // s that the sums take from the memory of the rest
    double uploading;   // s for a micro-batch's images through the slot, beside
    double host;        // s at the end of a step, where losses and norm are read
    double micro_batch; // s of one in the middle
    double flops;       // of a step on a card, by the table of operations
    double images;      // a second and card
    mcf_predicted_memory memory;
} mcf_prediction;

mcf_status mcf_predict(const mcf_card *card, const mcf_what_if *what, const mcf_recorded_step *record,
                       mcf_prediction *prediction, mcf_error *err);
void mcf_prediction_free(mcf_prediction *prediction);

// s of a sum over `world` cards of `bytes` each.
double mcf_predict_all_reduce(const mcf_card *card, int world, double bytes);

// How hours are counted: the paper's sets and schedule (paper.txt, 4.1: 20 million faces, a tenth, 16 epochs).
enum { MCF_FULL_SET = 20000000, MCF_LIGHT_SET = 2000000, MCF_SET_EPOCHS = 16 };
double mcf_predict_hours(double images_per_second, double images, double epochs);
// Faces that a published set trains on (downstream.md), by the name of its layout; 0: another layout.
int64_t mcf_predict_faces(const char *layout);

#endif
