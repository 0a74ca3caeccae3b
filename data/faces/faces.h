// Sets of labelled faces: which pictures there are, and of each its points or label map, its box and its subsets. Read
// from the files as published, or from plain layouts of people's own (docs/data.md, "Labelled faces").
//
// Coordinates are pixels with centres at whole numbers from 0; what a format counts otherwise is taken off on reading.
#ifndef MCF_DATA_FACES_FACES_H
#define MCF_DATA_FACES_FACES_H

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

typedef struct {
    const char *layout;       // a name of mcf_face_layouts
    const char *const *paths; // roots of the published tree, or folders and files of the plain layouts
    int path_count;
    const char *split; // one of the layout's; "" for its first. Plain layouts have none
    int points;        // how many points there must be; 0: as many as the first face has
} mcf_face_query;

// Reads a set. Errors: MCF_ERR_USAGE (no such layout or split, nothing found), MCF_ERR_IO, MCF_ERR_FORMAT (a label file is
// not what it should be: file and line), MCF_ERR_NOMEM. Single faces without use (a box without area) are left out and
// stand in `faults`. Whether pictures and masks are there is not looked at. On failure *set is empty. The caller's, freed
// by mcf_face_set_free.
mcf_status mcf_face_set_read(mcf_face_set *set, const mcf_face_query *query, mcf_error *err);
void mcf_face_set_free(mcf_face_set *set); // zeros are fine
// Keeps a seeded subset of max(1, round(fraction * count)) faces in their order (as mcf_source_subset).
mcf_status mcf_face_set_subset(mcf_face_set *set, double fraction, uint64_t seed, mcf_error *err);
// "FILE: line N" or "FILE" of a face's label; returns buffer.
char *mcf_face_where(const mcf_face_set *set, int32_t file, int32_t line, char *buffer, size_t size);

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

extern const mcf_face_layout mcf_face_layouts[]; // ends with a row without name
// NULL: none of this name.
const mcf_face_layout *mcf_face_layout_find(const char *name);

// The mirrored point of each of 5, 19, 68, 98 or 106 points; NULL for other numbers.
const int *mcf_face_mirror(int points);
// Writes the mirrored class of each class of a layout; false, and the identity, where the layout has no left and right.
bool mcf_face_mirror_classes(const mcf_face_layout *layout, int classes, uint8_t *mirror);
// The five points (eyes' centres, nose, corners of the mouth) of 5, 68, 98 or 106 points; false for other numbers.
bool mcf_face_five(const double *xy, int points, double five[5][2]);
// The box as HRNet's tables have it, from points that count from `first`: scale = the longer of
// ceil(max) - floor(min) over both axes / 200, centre = (floor(min) + ceil(max)) / 2, box = centre +- 100 scale; then
// `first` is taken off.
void mcf_face_box_of_points(const double *xy, int points, double first, double box[4]);

#endif
