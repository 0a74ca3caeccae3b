// Box arithmetic of MTCNN (Zhang et al. 2016), all of it in float32: in double some faces move or vanish, because the
// published networks' users (facenet-pytorch) floor and truncate float32 values. Pixels, x right, y down.
#ifndef MCF_INFER_DETECT_BOXES_H
#define MCF_INFER_DETECT_BOXES_H

#include <stdbool.h>
#include <stddef.h>

// A candidate: the box, its score, the offsets a network gave it (in shares of the box's sides), and, after O-Net, five
// points (left eye, right eye, nose, left and right corner of the mouth, left and right as seen in the picture).
typedef struct {
    float x1, y1, x2, y2, score;
    float offset[4];
    float points[5][2];
} mcf_candidate;

// Candidates in the order in which they were found. Start from {0}.
typedef struct {
    mcf_candidate *items;
    int count, room;
} mcf_candidates;

bool mcf_candidates_add(mcf_candidates *list, const mcf_candidate *one); // false: out of memory
void mcf_candidates_free(mcf_candidates *list);

// p = e1/(e0 + e1), e = exp(l - max(l)), every step rounded to float32, so that saturated scores tie.
float mcf_face_probability(float logit_other, float logit_face);

// A cell of P-Net's map on a level of scale s (rounded to float32): sides floor((2 cell + 1)/s), floor((2 cell + 12)/s),
// quotients in float32 before the floor.
void mcf_cell_box(int column, int row, float scale, mcf_candidate *box);

typedef enum {
    MCF_OVERLAP_UNION, // inter/(a + b - inter), sides x2 - x1
    MCF_OVERLAP_LEAST  // inter/min(a, b), sides x2 - x1 + 1
} mcf_overlap;

// Keeps list[from..count) greedily by falling score: what overlaps a kept one by more than `limit` goes. The kept ones
// stand in falling score afterwards. Equal scores: the earlier in the list first, with MCF_OVERLAP_LEAST the later.
// False: out of memory.
bool mcf_suppress(mcf_candidates *list, int from, mcf_overlap overlap, float limit);

// Adds the offsets times (side + extra) to the four sides.
void mcf_move_box(mcf_candidate *box, float extra);
// The square of the longer side about the same centre.
void mcf_square_box(mcf_candidate *box);

// The pixels a network sees of a box: sides truncated toward zero, x1, y1 at least 1, x2, y2 at most the picture's,
// then columns x1 - 1 .. x2 - 1 and rows alike. False: empty.
typedef struct {
    int left, top, width, height;
} mcf_window;
bool mcf_box_window(const mcf_candidate *box, int width, int height, mcf_window *window);

#endif
