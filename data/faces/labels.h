// labels.jsonl of `mcf synth`: which pictures there are, of whom, and where the points of the faces lie. One JSON object
// a line: {"image": PATH, "identity": WHOLE NUMBER, "size": SIDE, "points": {"5": [[X, Y, VISIBLE]...], ...}, ...}.
#ifndef MCF_DATA_FACES_LABELS_H
#define MCF_DATA_FACES_LABELS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct {
    int64_t count;
    int points;    // of each face
    char **images; // paths, relative ones already below the folder
    int32_t *identity;
    float *xy; // [count, points, 2] in shares of the picture's side, x first; points out of sight included
} mcf_labels;

enum {
    MCF_LABELS_MAX_LINE = 1 << 20, // bytes
    MCF_LABELS_MAX_FILE = 1 << 30,
};

// Reads FOLDER/labels.jsonl, keeping the points of the set named by their number ("98"). Errors: MCF_ERR_IO,
// MCF_ERR_FORMAT with file and line, MCF_ERR_NOMEM. *labels is the caller's and freed by mcf_labels_free.
mcf_status mcf_labels_read(mcf_labels *labels, const char *folder, int points, mcf_error *err);
// The same over the file's bytes, which end in a zero byte that `size` does not count; `path` stands in messages.
mcf_status mcf_labels_parse(mcf_labels *labels, const char *bytes, size_t size, const char *folder, const char *path,
                            int points, mcf_error *err);
void mcf_labels_free(mcf_labels *labels); // zeros are fine

#endif
