// One picture in the layouts of the published data sets.
#ifndef MCF_DATA_SYNTH_LAYOUTS_H
#define MCF_DATA_SYNTH_LAYOUTS_H

#include "data/synth/synth.h"
#include "data/synth/text.h"

enum {
    MCF_SYNTH_WFLW = 1 << 0,
    MCF_SYNTH_300W = 1 << 1,
    MCF_SYNTH_AFLW = 1 << 2,
    MCF_SYNTH_LAPA = 1 << 3,
    MCF_SYNTH_CELEBA = 1 << 4,
    MCF_SYNTH_ALL = 31
};

// Lists that are appended to in the order of the pictures. Those of train and test stand side by side.
typedef enum {
    LIST_WFLW_TRAIN,
    LIST_WFLW_TEST,
    LIST_WFLW_CSV_TRAIN,
    LIST_WFLW_CSV_TEST,
    LIST_300W_TRAIN,
    LIST_300W_TEST,
    LIST_AFLW_TRAIN,
    LIST_AFLW_TEST,
    LIST_MAPPING,
    LIST_PARTITION,
    LIST_LABELS,
    LISTS
} list_kind;

typedef struct {
    const char *path;      // below DIR
    unsigned layout;       // that has it; 0: all
    void (*head)(text *t); // its first line; NULL: none
} list_entry;

extern const list_entry mcf_layout_lists[LISTS];

typedef struct {
    int64_t index; // of the picture
    uint64_t identity;
    uint32_t number;
    bool test;
    int64_t place; // among the pictures of its split
} picture_name;

// Directories below DIR, and the links to images/. pictures: how many there will be.
mcf_status mcf_layout_folders(const char *out, unsigned layouts, int64_t pictures, mcf_error *err);
// The picture's own files.
mcf_status mcf_layout_files(const char *out, unsigned layouts, const picture_name *name, const mcf_synth_face *face,
                            mcf_bytes scratch[2], mcf_error *err);
// Its lines.
void mcf_layout_lines(text lines[LISTS], unsigned layouts, const picture_name *name, const mcf_synth_face *face);

#endif
