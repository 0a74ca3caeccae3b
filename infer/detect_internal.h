// Private to infer/detect*.c.
#ifndef MCF_INFER_DETECT_INTERNAL_H
#define MCF_INFER_DETECT_INTERNAL_H

#include "infer/device.h"
#include "infer/detect.h"
#include "infer/detect_area.h"
#include "infer/detect_boxes.h"
#include "model/mtcnn.h"
#include "model/yunet.h"

struct mcf_detector {
    mcf_detector_options options; // with the defaults filled in
    mcf_detector_kind kind;
    char sha256[65];
    mcf_inference_device device;
    mcf_store store;
    mcf_mtcnn mtcnn; // of YuNet O alone, where its file has one
    mcf_yunet yunet;
    int r_batch, o_batch; // windows at once
    int canvas;           // longest side of a canvas of P
    mcf_area_scratch area;
    mcf_bytes image, edge; // inputs of a network
    mcf_bytes out;         // its output
    mcf_detector_times spent;
};

// One picture's way through the stages.
typedef struct {
    const mcf_image *image;
    mcf_candidates boxes;
} mcf_detection;

// Stage 1 of MTCNN: candidates of one picture after both suppressions, moved and squared.
mcf_status mcf_detect_p(mcf_detector *detector, mcf_detection *picture, mcf_error *err);
// Windows of all candidates of all pictures through R (offsets and scores replaced, those at or below the threshold gone)
// or O (points filled from the box before its offsets, too). Candidates without pixels go.
mcf_status mcf_detect_windows(mcf_detector *detector, mcf_detection *pictures, int count, bool last, double threshold,
                              mcf_error *err);
// All of YuNet for one picture.
mcf_status mcf_detect_yunet(mcf_detector *detector, mcf_detection *picture, mcf_error *err);

#endif
