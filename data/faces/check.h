// What a set of labelled faces holds: every picture and label map is read once, and some are drawn with their labels.
#ifndef MCF_DATA_FACES_CHECK_H
#define MCF_DATA_FACES_CHECK_H

#include "data/faces/augment.h"

typedef enum {
    MCF_FACE_GOOD = 0,
    MCF_FACE_NO_PICTURE,     // missing
    MCF_FACE_BROKEN_PICTURE, // cannot be decoded
    MCF_FACE_NO_MASK,
    MCF_FACE_BROKEN_MASK, // cannot be decoded, of another size, a value that is no class
    MCF_FACE_NO_CROP,     // its points coincide, or the like
    MCF_FACE_KINDS
} mcf_face_state;

typedef struct {
    int64_t count, states[MCF_FACE_KINDS];
    uint8_t *state;                        // [count]
    char **what;                           // [count] what is wrong, one line with the file; NULL where all is well
    int64_t points_outside, faces_outside; // of the picture, among the good
    int least_side, most_side;             // of the pictures that were decoded
    int64_t class_faces[MCF_FACE_MAX_CLASSES], class_pixels[MCF_FACE_MAX_CLASSES]; // where label maps were read
} mcf_face_check;

typedef struct {
    const mcf_face_augment *augment;
    bool labels; // read label maps
    int classes; // of them; 0: any
    int threads;
    void (*progress)(void *context, int64_t done, int64_t total); // from the calling thread; may be NULL
    void *context;
    const volatile int *stop; // may be NULL: set from elsewhere, ends the check with MCF_ERR_INTERRUPTED
} mcf_face_check_options;

// Reads every face. Errors: MCF_ERR_NOMEM, MCF_ERR_IO (no threads), MCF_ERR_INTERRUPTED. The caller's, freed by
// mcf_face_check_free.
mcf_status mcf_face_check_run(mcf_face_check *check, const mcf_face_set *set, const mcf_face_check_options *options,
                              mcf_error *err);
void mcf_face_check_free(mcf_face_check *check); // zeros are fine

// "missing pictures" and the like, for the plural of a state.
const char *mcf_face_state_name(mcf_face_state state);

// Draws `wanted` good faces, spread evenly over the set, as the network sees them, with their points or classes: cells of
// `cell` pixels, `columns` in a row; where `random` each row is followed by one of the same faces under augmentation (of
// this seed). pixels [*height, *width, 3]. No good face: *height is 0.
mcf_status mcf_face_sheet(const mcf_face_set *set, const mcf_face_check *check, const mcf_face_augment *augment,
                          bool labels, bool random, uint64_t seed, int wanted, int columns, int cell, mcf_bytes *pixels,
                          int *width, int *height, mcf_error *err);

#endif
