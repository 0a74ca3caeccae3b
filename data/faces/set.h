// A set of labelled faces in memory.
#ifndef MCF_DATA_FACES_SET_H
#define MCF_DATA_FACES_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
    MCF_FACE_MAX_POINTS = 4096,
    MCF_FACE_MAX_CLASSES = 256,
    MCF_FACE_SUBSETS = 8,
    MCF_FACE_MAX_FILE = 1 << 30, // bytes of a label file
};

// How the crop is found where the config does not say.
typedef enum { MCF_CROP_OF_BOX, MCF_CROP_OF_POINTS, MCF_CROP_OF_IMAGE } mcf_face_crop;

typedef struct {
    char *image;      // path of the picture
    char *mask;       // index PNG, or what the paths of CelebAMask-HQ's parts begin with; NULL: points only
    double box[4];    // x1, y1, x2, y2; all 0 where the layout has none and no points to make it from
    uint32_t subsets; // bit i: in the subset subset_names[i]
    int32_t file;     // of its label: an index of files; -1: the picture itself
    int32_t line;     // in that file, counted from 1; 0: the whole file
} mcf_face;

// What was left out, and why.
typedef struct {
    int32_t file, line;
    char *what;
} mcf_face_fault;

typedef struct mcf_face_layout mcf_face_layout;

typedef struct {
    const mcf_face_layout *layout;
    int points;  // of each face; 0: the layout has none
    int classes; // of the layout's label maps; 0: not said by the layout, or no maps
    bool has_masks;
    int64_t count;
    int64_t whole; // as read, before mcf_face_set_subset
    mcf_face *faces;
    double *xy; // [count, points, 2]
    int subset_count;
    const char *subset_names[MCF_FACE_SUBSETS];
    int32_t file_count;
    char **files; // label files read
    int64_t fault_count;
    mcf_face_fault *faults;
    int64_t room, fault_room; // private
} mcf_face_set;

struct mcf_face_layout {
    const char *name;
    const char *splits;  // separated by blanks, the first is the default; "": none
    int points, classes; // 0: any number
    bool has_masks;
    mcf_face_crop crop;
    double scale;             // of the face in the crop: mu
    double warp;              // factor of the tanh warp
    bool masks_any_size;      // label maps need not have the picture's size
    const char *subset_names; // separated by blanks
    const char *train, *test; // splits of training and of evaluation; "" for the plain ones
    mcf_status (*read)(mcf_face_set *set, const char *path, const char *split, mcf_error *err);
    const char *doc; // what a path is
};

// "FILE: line N" or "FILE" of a face's label; returns buffer.
char *mcf_face_where(const mcf_face_set *set, int32_t file, int32_t line, char *buffer, size_t size);

#endif
