// A device's part of an exchange between processes.
#ifndef MCF_BACKENDS_CLUSTER_PART_H
#define MCF_BACKENDS_CLUSTER_PART_H

#include "ops/node.h"

typedef enum {
    MCF_EXCHANGE_SUM,    // data: count elements, replaced by their sum over ranks, part by part, divided by `divide`
    MCF_EXCHANGE_GATHER, // data: bytes of each part; the result holds those of all ranks and parts in their order
    MCF_EXCHANGE_ROOT    // data: of part `root % parts` of rank `root / parts`, elsewhere not read
} mcf_exchange_kind;

typedef struct {
    mcf_exchange_kind kind;
    int part, parts;
    void *data;      // stays until the exchange has been waited for
    uint64_t count;  // SUM: elements of this part; others: bytes, the same for all parts
    mcf_dtype dtype; // SUM
    double divide;   // SUM
    int root;        // ROOT
    // NULL, or: whether `data` is there; asked by the cluster's thread again and again until it is.
    mcf_status (*ready)(void *context, bool *done, mcf_error *err);
    void *context;
} mcf_exchange_part;

#endif
