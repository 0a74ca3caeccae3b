// Sets of labelled faces: which pictures there are, and of each its points or label map, its box and its subsets. Read
// from the files as published, or from plain layouts of people's own (docs/data.md, "Labelled faces").
//
// Coordinates are pixels with centres at whole numbers from 0; what a format counts otherwise is taken off on reading.
#ifndef MCF_DATA_FACES_FACES_H
#define MCF_DATA_FACES_FACES_H

#include "data/faces/markup.h"
#include "data/faces/set.h"

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
// Whether `path` is one of the set's label files, pictures or label maps, by whatever name or link; of CelebAMask-HQ's
// parts, whether it lies beside them.
bool mcf_face_set_uses(const mcf_face_set *set, const char *path);
// Whether one of its pictures, label maps or label files lies in the folder itself; `name` [size] receives the first.
bool mcf_face_set_lies_in(const mcf_face_set *set, const char *folder, char *name, size_t size);
// A line each about what was left out, at most twenty, `key` in front of them; where there is somebody to tell.
void mcf_face_set_tell(const mcf_face_set *set, const char *key, void (*notice)(void *context, const char *line),
                       void *context);
// Keeps the faces with kept[i], [count], in their order.
void mcf_face_set_keep(mcf_face_set *set, const bool *kept);
extern const mcf_face_layout mcf_face_layouts[]; // ends with a row without name
// NULL: none of this name.
const mcf_face_layout *mcf_face_layout_find(const char *name);

#endif
