// A folder of synthetic faces in the layouts of the published data sets, so that their readers have something
// to read.
//
//   DIR/images/ID/ID_NNN.jpg   a folder an identity: the label of folder data sets
//   DIR/labels.jsonl           one object a picture with everything: all points [x, y, visible], box, pose,
//                              attributes, classes, split. Written last: where it is, all else is complete
//   DIR/WFLW/                  WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_SPLIT.txt,
//                              face_landmarks_wflw_SPLIT.csv (HRNet), WFLW_images -> ../images
//   DIR/300W/                  face_landmarks_300w_SPLIT.csv (HRNet: points and centres 2 pixels on), images
//   DIR/AFLW/                  aflw19_SPLIT.csv: path, box (x1,y1,x2,y2), 19 points, for data.layout points; images.
//                              The published set's .mat file is not made
//   DIR/LaPa/SPLIT/            images/*.jpg, labels/*.png (class ids), landmarks/*.txt (106)
//   DIR/CelebAMask-HQ/         CelebA-HQ-img/I.jpg, CelebAMask-HQ-mask-anno/(I / 2000)/IIIII_PART.png (parts
//                              that are there, of the picture's size), CelebA-HQ-to-CelebA-mapping.txt,
//                              list_eval_partition.txt (0 train, 2 test)
//
// SPLIT: train or test; identities, not pictures, are divided. Pictures of LaPa and CelebAMask-HQ are hard
// links to those of images/ where the file system has them.
#ifndef MCF_DATA_SYNTH_WRITE_H
#define MCF_DATA_SYNTH_WRITE_H

#include <signal.h>

#include "data/synth/layouts.h"

// "all", "none" or names separated by commas: wflw, 300w, aflw, lapa, celeba.
mcf_status mcf_synth_layouts_parse(const char *text, unsigned *layouts, mcf_error *err);

typedef struct {
    const char *out;
    int64_t count;        // pictures, >= 1
    int64_t per_identity; // pictures of one identity, >= 1
    int size;
    mcf_synth_framing framing;
    uint64_t seed;
    double test_fraction; // of the identities, 0..1
    unsigned layouts;     // MCF_SYNTH_*
    bool force;           // what an earlier set left in `out` is replaced; else it is an error (MCF_ERR_USAGE)
    int workers;          // threads, >= 1; the files do not depend on it
    void (*progress)(void *context, int64_t done, int64_t total); // may be NULL; one thread at a time
    void *context;
    const volatile sig_atomic_t *stop; // may be NULL; MCF_ERR_INTERRUPTED when it becomes nonzero
} mcf_synth_write_options;

// Picture i shows identity i / per_identity. Errors: MCF_ERR_USAGE (DIR has faces already, sizes),
// MCF_ERR_IO with the file's name. After an error the same call writes the same files over what was begun.
mcf_status mcf_synth_write(const mcf_synth_write_options *options, mcf_error *err);

#endif
