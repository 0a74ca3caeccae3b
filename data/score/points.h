// How far predicted points lie from the true ones, over the size of the face (downstream.md, "Scores"). In double.
#ifndef MCF_DATA_SCORE_POINTS_H
#define MCF_DATA_SCORE_POINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

typedef enum {
    MCF_NORM_POINTS,   // distance of the means of two groups of points
    MCF_NORM_BOX,      // sqrt(width height)
    MCF_NORM_DIAGONAL, // of the box
} mcf_norm_kind;

enum { MCF_NORM_MOST = 32 };

// What the distances of a face are divided by.
typedef struct {
    mcf_norm_kind kind;
    int left_count, right_count;
    int left[MCF_NORM_MOST], right[MCF_NORM_MOST]; // MCF_NORM_POINTS: indices from 0
} mcf_norm;

// A set's normalisers by their names: "diagonal", "box", "inter-ocular", "inter-pupil" for 19, 68 and 98 points.
// NULL: a set of so many points has no such one.
const mcf_norm *mcf_norm_find(int points, const char *name);

// Error of each face: the mean distance of its points over the normaliser. pred and truth [faces, points, 2], box
// [faces, 4] as x1, y1, x2, y2 (used by box and diagonal; else NULL is fine). A number that is not finite, a box without
// area and corners of the eyes that coincide are MCF_ERR_FORMAT and name the face, counted from 0.
mcf_status mcf_point_errors(const double *pred, const double *truth, const double *box, int64_t faces, int points,
                            const mcf_norm *norm, double *errors, mcf_error *err);

typedef struct {
    double nme;               // mean error
    double auc_farl, fr_farl; // as FaRL computes them
    double auc_exact, fr_exact;
    int64_t grid; // points of FaRL's grid
} mcf_point_score;

// FaRL: the grid is numpy.arange(0, t + 0.0001, 0.0001); its cumulative curve (share of errors <= x) is integrated by
// Simpson's rule (for an even number of points by the mean of both one-sided forms) and divided by t; FR is 1 - the
// curve's last value. Exact: mean(max(0, 1 - e/t)) and the share of errors above t.
// threshold <= 0: only nme is set. No faces are MCF_ERR_USAGE.
mcf_status mcf_point_score_make(const double *errors, int64_t faces, double threshold, mcf_point_score *score,
                                mcf_error *err);

#endif
