// Label maps of faces: an index PNG, or CelebAMask-HQ's parts painted over each other.
#ifndef MCF_DATA_FACES_MASK_H
#define MCF_DATA_FACES_MASK_H

#include "data/faces/faces.h"
#include "data/image/image.h"

typedef struct {
    int width, height;
    const uint8_t *labels; // [height, width], in the caller's buffer
} mcf_face_mask;

// Working memory, one per thread, reused. Start from {0}.
typedef struct {
    mcf_bytes file, map, part;
} mcf_mask_scratch;

void mcf_mask_scratch_free(mcf_mask_scratch *scratch);

// Reads the label map of face i. A value from `classes` up (0: any byte is fine) is an error that names it. A map of
// another size than `width` x `height` (0: not known) is one where the layout says they are equal. Errors name the file:
// MCF_ERR_IO, MCF_ERR_FORMAT, MCF_ERR_NOMEM. The map lies in the scratch until its next use.
mcf_status mcf_face_mask_read(const mcf_face_set *set, int64_t i, int classes, int width, int height,
                              mcf_mask_scratch *scratch, mcf_face_mask *mask, mcf_error *err);

// Names of the classes of a layout, background first; NULL where they are not known.
const char *mcf_face_class_name(const mcf_face_layout *layout, int class_index);

#endif
