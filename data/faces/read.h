// Private to data/faces: what the readers of label files share.
#ifndef MCF_DATA_FACES_READ_H
#define MCF_DATA_FACES_READ_H

#include "data/faces/markup.h"
#include "data/faces/set.h"

// A text being read line by line; its bytes end in a zero byte and are changed.
typedef struct {
    char *at, *end;
    int32_t line; // of the text given last, from 1
} mcf_lines;

mcf_lines mcf_lines_make(char *bytes, size_t size); // passes a byte order mark
// The next line without its end (either kind), as a string; NULL behind the last. A zero byte in a line ends it.
char *mcf_lines_next(mcf_lines *lines);
// The next number before blanks or `separator` (0: blanks alone), which are passed; false where there is none that is
// finite.
bool mcf_take_number(char **at, char separator, double *value);

// Registers a label file; its number, or -1 without memory.
int32_t mcf_face_file(mcf_face_set *set, const char *path);
// Fails with "FILE: line N: ..."; line 0 is left away.
mcf_status mcf_face_wrong(const mcf_face_set *set, int32_t file, int32_t line, mcf_error *err, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
// Fixes the number of points by the first face, or holds a face to it.
mcf_status mcf_face_hold_points(mcf_face_set *set, int points, int32_t file, int32_t line, mcf_error *err);
// Appends a face whose picture is at folder/name (name alone where folder is ""); xy [points, 2] is copied, NULL for sets
// without points. `mask` is taken over (malloc'd, NULL: none). A box without area makes a fault instead.
mcf_status mcf_face_add(mcf_face_set *set, const char *folder, const char *name, char *mask, const double box[4],
                        const double *xy, uint32_t subsets, int32_t file, int32_t line, mcf_error *err);

// A file's text; the caller frees.
mcf_status mcf_face_text(mcf_face_set *set, const char *path, char **bytes, size_t *size, int32_t *file,
                         mcf_error *err);
// The first of the names (ended by NULL) that is a directory below root, as a malloc'd path; root itself where none is.
char *mcf_face_folder(const char *root, const char *const *names);

// Parsers of whole texts (fuzz/fuzz_faces.c). `bytes` ends in a zero byte and is changed.
// .pts of iBUG: version, n_points, {, one point a line, }. xy: room for most points, as written.
mcf_status mcf_pts_parse(char *bytes, size_t size, const char *path, int most, double *xy, int *points, mcf_error *err);
// Comma-separated: HRNet's (image_name, scale, center_w, center_h, points) by its header, or image and points. `first` is
// taken off points and centres; folder is where the pictures are.
mcf_status mcf_csv_parse(mcf_face_set *set, char *bytes, size_t size, int32_t file, const char *folder, double first,
                         mcf_error *err);
// {"image": .., "points": [[x, y], ..], "box": [x1, y1, x2, y2]} or a list of them; image NULL: `name` is meant.
mcf_status mcf_face_json_parse(mcf_face_set *set, const char *bytes, size_t size, int32_t file, const char *folder,
                               const char *name, mcf_error *err);
// WFLW's list: 196 coordinates, box, 6 attributes, path.
mcf_status mcf_wflw_parse(mcf_face_set *set, char *bytes, size_t size, int32_t file, const char *folder,
                          mcf_error *err);
// LaPa's landmarks: a number, then as many lines of x and y.
mcf_status mcf_lapa_parse(char *bytes, size_t size, const char *path, int most, double *xy, int *points,
                          mcf_error *err);
// CelebA's partition: "NAME.jpg P"; parts[number in the name] = P. CelebAMask-HQ's mapping: "ID ID NAME.jpg", with or
// without a header; number[id] = number in the name, -1 where there is none.
mcf_status mcf_partition_parse(char *bytes, size_t size, const char *path, int8_t *parts, int most, mcf_error *err);
mcf_status mcf_mapping_parse(char *bytes, size_t size, const char *path, int32_t *number, int most, mcf_error *err);

mcf_status mcf_read_plain_points(mcf_face_set *set, const char *path, const char *split, mcf_error *err);
mcf_status mcf_read_plain_masks(mcf_face_set *set, const char *path, const char *split, mcf_error *err);
mcf_status mcf_read_300w(mcf_face_set *set, const char *path, const char *split, mcf_error *err);
mcf_status mcf_read_wflw(mcf_face_set *set, const char *path, const char *split, mcf_error *err);
mcf_status mcf_read_aflw(mcf_face_set *set, const char *path, const char *split, mcf_error *err);
mcf_status mcf_read_lapa(mcf_face_set *set, const char *path, const char *split, mcf_error *err);
mcf_status mcf_read_celebamask(mcf_face_set *set, const char *path, const char *split, mcf_error *err);

// Every .pts (and picture with a .json of points) below folder/below, pictures beside them; nothing there is no error.
mcf_status mcf_read_pts_folder(mcf_face_set *set, const char *folder, const char *below, uint32_t subsets,
                               mcf_error *err);

#endif
