// What the paper prints for face alignment and parsing (Tables 2 to 6 and 9 to 15), to stand beside our own scores.
#ifndef MCF_INFER_PUBLISHED_H
#define MCF_INFER_PUBLISHED_H

enum { MCF_PUBLISHED_MEASURES = 20 };

typedef struct {
    const char *name; // "Scratch", "FaRL", "Ours_0.1", "Ours", "Ours_+IN1K&Freeze", "Ours_+IN1K"; "FaRL, last epoch"
    int size;         // of the network's input: 224, 448; 0: FaRL's last epochs at 448
    double value[MCF_PUBLISHED_MEASURES]; // percent, by mcf_published.measures; 0: not printed
} mcf_published_row;

typedef struct {
    const char *layout;                               // as mcf_face_layouts names it
    const char *measures[MCF_PUBLISHED_MEASURES + 1]; // as mcf_eval names scores; NULL at the end
    const mcf_published_row *rows;
    int row_count;
} mcf_published;

// NULL: the paper has no such set.
const mcf_published *mcf_published_of(const char *layout);

#endif
