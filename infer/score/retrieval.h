// Identity retrieval.
#ifndef MCF_INFER_SCORE_RETRIEVAL_H
#define MCF_INFER_SCORE_RETRIEVAL_H

#include <signal.h>
#include <stdint.h>

#include "base/error.h"

typedef struct {
    double rank1;    // share of queries whose nearest other image is the same person's
    double map;      // mean average precision
    int64_t queries; // images whose person has another image
    int64_t people;
} mcf_retrieval;

// Leave-one-out retrieval by cosine similarity of features [n,dim] with labels [n]. Ties are broken by index. stop: NULL,
// or non-zero asks to end (MCF_ERR_INTERRUPTED).
mcf_status mcf_retrieve(const float *features, const int32_t *labels, int64_t n, int dim,
                        const volatile sig_atomic_t *stop, mcf_retrieval *result, mcf_error *err);

#endif
