// What frozen features hold: identity retrieval, and a linear probe of facial points.
#ifndef MCF_INFER_PROBE_H
#define MCF_INFER_PROBE_H

#include "infer/embed.h"

typedef struct {
    mcf_embedder_options network;
    const char *fit, *test; // folders of `mcf synth`; the probe is fitted on one and judged on the other
    int points;             // 68 or 98
    int workers;            // decoding threads; 0: as the config says
    void (*progress)(void *context, int64_t done, int64_t total);
    void (*notice)(void *context, const char *line); // NULL, or: what the images' sources have to say
    void *context;
    const volatile sig_atomic_t *stop; // NULL, or: non-zero asks to give up
} mcf_probe_options;

typedef struct {
    int64_t fitted, tested;
    mcf_retrieval cls, mean; // of the test pictures, by class token and by mean of the patch tokens
    // Mean over pictures and points of the distance to the true point, over the root of the area of the box around the
    // true points: of a ridge regression from the class token and the means of the patches in 2 x 2 cells of the picture,
    // and of the mean face of the pictures fitted on.
    double nme, nme_mean_face;
    double penalty; // chosen, see infer/score/ridge.h
    double seconds;
} mcf_probe_result;

mcf_status mcf_probe(const mcf_probe_options *options, mcf_probe_result *result, mcf_error *err);

#endif
