// Points or classes of faces in photographs: `mcf predict`.
#ifndef MCF_INFER_PREDICT_H
#define MCF_INFER_PREDICT_H

#include <signal.h>
#include <stdio.h>

#include "core/job.h"
#include "base/error.h"

typedef struct {
    mcf_job_options job;
    const char *checkpoint;   // a run, its best.safetensors, a checkpoint
    const char *const *paths; // pictures, folders, shards, lists; none with `faces`
    size_t path_count;
    FILE *input;          // NULL, or in place of paths: a picture, or a list of paths, to its end
    const char *faces;    // NULL, or a CSV or JSON list of pictures with points and boxes (the layout `points`)
    const char *detector; // NULL, or a detector's weights
    const char *out;      // a folder
    bool probabilities;   // parse: each class's mean probability where it was found
    int batch;            // faces at a time; 0: 4
    const volatile sig_atomic_t *stop;
    void (*progress)(void *context, int64_t done, int64_t total);
    void (*notice)(void *context, const char *line); // a picture that cannot be used
    void *context;
} mcf_predict_options;

typedef struct {
    int64_t pictures, faces, broken;
    int64_t unsupported; // of the broken: not damaged, but of a kind that is not read
} mcf_predict_result;

// Without faces and detector the whole picture counts as one face. For each picture NUMBER-NAME.png (drawn upon),
// NUMBER-NAME.json (in the picture's own pixels, upright) and, of parsing, NUMBER-NAME.label.png (the classes) are
// written. Errors: MCF_ERR_FORMAT where no picture can be read.
mcf_status mcf_predict_pictures(const mcf_predict_options *options, mcf_predict_result *result, mcf_error *err);

// --- infer/predict_detect.c
typedef struct {
    double box[4];
    bool has_five;
    double five[5][2];
    const char *from; // "whole picture", "given", "detector"
} mcf_predict_face;

typedef struct mcf_predict_detector mcf_predict_detector;
mcf_status mcf_predict_detector_open(mcf_predict_detector **detector, const char *path, const mcf_job_options *job,
                                     mcf_error *err);
void mcf_predict_detector_close(mcf_predict_detector *detector); // NULL is fine
// The faces of a picture, RGB [height, width, 3]; malloc'd.
mcf_status mcf_predict_detect(mcf_predict_detector *detector, const uint8_t *pixels, int width, int height,
                              mcf_predict_face **faces, int *count, mcf_error *err);

#endif
