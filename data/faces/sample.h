// A set of faces behind the loader (data/loader.h): sample s of the source is face s % set->count, so a longer source
// repeats the set from its start.
#ifndef MCF_DATA_FACES_SAMPLE_H
#define MCF_DATA_FACES_SAMPLE_H

#include "data/faces/augment.h"
#include "data/transform.h"

// A source of `length` samples over the set's pictures.
mcf_status mcf_face_source(const mcf_face_set *set, int64_t length, mcf_source **source, mcf_error *err);

// What stands in mcf_batch.extra of each sample, at mcf_face_extra_size bytes a sample: this head, then float points
// [points, 2] in shares of the crop where the set's points are asked for, else labels [size, size] of a byte.
typedef struct {
    double crop[6];        // picture to crop, before the tanh warp (mcf_face_map_make)
    int32_t width, height; // of the picture
    int32_t flipped;       // 0 or 1
    int32_t face;          // its number in the set
} mcf_face_extra;

typedef struct {
    const mcf_face_set *set;
    mcf_face_augment augment;
    bool random; // draws from MCF_RNG_AUGMENT1, keyed by seed, epoch and sample; else mcf_face_augment_still
    bool labels; // label maps, else points
    int classes; // a label from here up is refused; 0: any byte is fine
} mcf_face_sample_options;

size_t mcf_face_extra_size(const mcf_face_sample_options *options);
// One view of augment.out_size. The options must outlive the loader. mcf_view.flip stays 0: the pixels are mirrored here.
mcf_transform mcf_face_transform(const mcf_face_sample_options *options);

#endif
