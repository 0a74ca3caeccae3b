// Faces in photographs: boxes, scores and five points. Two detectors, told apart by their weight file: MTCNN (model/mtcnn.h,
// the default of the paper's kind) and YuNet (model/yunet.h). What is computed: docs/crop.md.
//
// The answer for a picture does not depend on the other pictures of a call, on `batch` or on threads: networks run over
// batches and canvases of fixed sizes, and a picture's canvases are its own.
#ifndef MCF_INFER_DETECT_H
#define MCF_INFER_DETECT_H

#include "core/job.h"
#include "data/image/image.h"
#include "run/import_detector.h"

// Pixels of the picture, centres at whole numbers, x right, y down.
typedef struct {
    float box[4]; // x1, y1, x2, y2; may leave the picture
    float score;
    float points[5][2]; // left eye, right eye, nose, left and right corner of the mouth, as seen in the picture
} mcf_face;

typedef struct {
    mcf_face *faces; // falling score
    int count;
} mcf_faces;
void mcf_faces_free(mcf_faces *faces); // zeros are fine

typedef struct {
    const char *path;    // safetensors made by mcf import; NULL is an error that says how to get one
    mcf_job_options job; // the first device works
    double min_face;     // px, at least 12; 0: 20
    double threshold[3]; // of the three stages (YuNet: of the first); 0: the detector's own
} mcf_detector_options;

typedef struct mcf_detector mcf_detector;

// Errors: MCF_ERR_IO, MCF_ERR_FORMAT, MCF_ERR_SHAPE of the file; MCF_ERR_USAGE of options; of the backend.
mcf_status mcf_detector_open(mcf_detector **detector, const mcf_detector_options *options, mcf_error *err);
void mcf_detector_close(mcf_detector *detector); // NULL is fine
mcf_detector_kind mcf_detector_kind_of(const mcf_detector *detector);
// SHA-256 of the weight file in hexadecimal; belongs to the detector.
const char *mcf_detector_sha256(const mcf_detector *detector);

// The faces of each of `count` pictures (RGB, 3 or 4 channels, upright). faces[i] is filled, the caller frees each; on an
// error all are empty. Windows of all pictures share batches: several at once are faster. One thread at a time.
mcf_status mcf_detector_run(mcf_detector *detector, const mcf_image *pictures, int count, mcf_faces *faces,
                            mcf_error *err);

// Seconds spent so far: resizing on the host, each network, the rest.
typedef struct {
    double resize, p, r, o, other;
    int64_t cells, r_windows, o_windows; // computed, batches' empty rows not counted
} mcf_detector_times;
mcf_detector_times mcf_detector_spent(const mcf_detector *detector);

#endif
