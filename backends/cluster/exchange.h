// Exchanges of data between ranks, made by the cluster's thread.
#ifndef MCF_BACKENDS_CLUSTER_EXCHANGE_H
#define MCF_BACKENDS_CLUSTER_EXCHANGE_H

#include "backends/cluster/part.h"
#include "backends/cluster/peers.h"

struct mcf_exchange {
    mcf_exchange *next;
    uint64_t number;
    int parts, posted, taken;
    mcf_exchange_part part[MCF_CLUSTER_PARTS];
    double limit; // seconds for others to come; 0: none
    bool done;
    char *result;
};

// Makes one exchange of which all parts are posted.
mcf_status mcf_cluster_make(mcf_cluster *c, mcf_exchange *x, mcf_error *err);
// The first exchange of all, made with join: who is where.
mcf_status mcf_cluster_tell_hosts(mcf_cluster *c, mcf_error *err);

#endif
