// What a network says of the faces of a set, held against their labels in the pictures' own pixels.
#ifndef MCF_DATA_SCORE_FACES_H
#define MCF_DATA_SCORE_FACES_H

#include "data/faces/augment.h"
#include "data/faces/mask.h"
#include "data/score/masks.h"
#include "data/score/points.h"

typedef struct {
    const mcf_face_set *set; // the caller's
    mcf_face_augment still;  // the crop that the network sees
    const char *norm_name;
    const mcf_norm *norm; // points
    int classes;          // masks
    double *errors;       // [count] points: the faces' errors; NAN: not judged
    int64_t *confusion;   // [classes, classes] masks: true by predicted
    int64_t judged;
    mcf_mask_scratch mask;
    mcf_bytes maps, pred;
} mcf_face_judge;

// The usual normaliser of so many points: inter-ocular for 68 and 98, diagonal for 19, else box.
const char *mcf_face_norm_name(int points);
// norm_name: NULL for the usual. classes: 0 for points. Errors: MCF_ERR_USAGE (no such normaliser), MCF_ERR_NOMEM.
mcf_status mcf_face_judge_open(mcf_face_judge *judge, const mcf_face_set *set, const mcf_face_augment *augment,
                               const char *norm_name, int classes, mcf_error *err);
void mcf_face_judge_close(mcf_face_judge *judge); // zeros are fine

// One face. width, height: of its picture. shares [points, 2]: in parts of the crop's sides. pixels [points, 2] (NULL
// allowed) receives the points in the picture.
mcf_status mcf_face_judge_points(mcf_face_judge *judge, int64_t face, int width, int height, const float *shares,
                                 double *pixels, mcf_error *err);
// logits [classes, size, size] over the crop. They are brought to the label map's pixels before the largest is taken.
// pred (NULL allowed): receives the classes [height, width] of the label map, valid until the next call.
mcf_status mcf_face_judge_logits(mcf_face_judge *judge, int64_t face, int width, int height, const float *logits,
                                 const uint8_t **pred, mcf_error *err);

#endif
