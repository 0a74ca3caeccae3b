// The processes of a job that spans machines, one on each: who they are, what they exchange, and the end of all when
// one is lost.
//
// One thread of the cluster's own talks to the transport. Exchanges are made one after another in the order in which
// they were posted, which must be the same on every rank. Sums are formed by the rank that owns a slice, in the order
// of ranks and in double, and rounded once: every rank gets the same bits, in every run.
//
// Ranks send each other a sign of life every second. A rank of which nothing was heard for `lost_after` seconds (it was
// killed, stopped or cut off), one that does not come to an exchange within `timeout`, and one that fails and says so
// end the cluster: every exchange under way and every later one fails on all ranks with the rank's number.
#ifndef MCF_BACKENDS_CLUSTER_CLUSTER_H
#define MCF_BACKENDS_CLUSTER_CLUSTER_H

#include "backends/cluster/part.h"
#include "backends/cluster/transport.h"

typedef struct mcf_cluster mcf_cluster;
typedef struct mcf_exchange mcf_exchange;

enum { MCF_MAX_RANKS = 1024 };
#define MCF_CLUSTER_LOST_AFTER 30.0
#define MCF_CLUSTER_TIMEOUT 300.0

typedef struct {
    const mcf_transport *transport;
    void *context;     // for the transport's join
    double lost_after; // seconds; 0: MCF_CLUSTER_LOST_AFTER
    double timeout;    // seconds; 0: MCF_CLUSTER_TIMEOUT
} mcf_cluster_options;

// Joins the processes started together; returns when all are there, or with MCF_ERR_DEVICE after `timeout`: the process
// must end then, its transport may hang.
mcf_status mcf_cluster_join(mcf_cluster **cluster, const mcf_cluster_options *options, mcf_error *err);

// The end of this process's part, with how its work went (`status`, and *err where it failed). All ranks came to a good
// end, or were asked to stop together: frees, returns `status`. Otherwise all ranks are told, what is returned is a
// failure with *err, and mcf_cluster_end must follow. *tell: whether this rank is the one to report.
mcf_status mcf_cluster_leave(mcf_cluster *cluster, mcf_status status, mcf_error *err, bool *tell, bool *ended);
// After a failure was reported: ends the processes of the job with this exit code, those that hang included. May not
// return.
void mcf_cluster_end(mcf_cluster *cluster, int code);

int mcf_cluster_rank(const mcf_cluster *cluster);
int mcf_cluster_count(const mcf_cluster *cluster);
const char *mcf_cluster_host(const mcf_cluster *cluster, int rank);
// From any thread; the first reason stays and appears, with this rank's number, in the errors of all ranks.
void mcf_cluster_abort(mcf_cluster *cluster, mcf_status status, const char *reason);

// --- exchanges between threads that wait: called by one thread a process while no other exchange is under way.
// `patient`: others may be busy for long (writing a checkpoint); only a lost rank ends the wait.
// `bytes` of each rank, in the order of ranks in `all`.
mcf_status mcf_cluster_gather(mcf_cluster *cluster, const void *own, void *all, uint64_t bytes, bool patient,
                              mcf_error *err);
// The root's bytes on every rank.
mcf_status mcf_cluster_broadcast(mcf_cluster *cluster, int root, void *data, uint64_t bytes, bool patient,
                                 mcf_error *err);

// --- exchanges of devices: each of the `parts` devices of a process posts its part, in the same order of exchanges.
// Does not wait. *exchange must be waited for, by every part.
mcf_status mcf_cluster_post(mcf_cluster *cluster, const mcf_exchange_part *part, mcf_exchange **exchange,
                            mcf_error *err);
// GATHER and ROOT: *result has the bytes, valid until mcf_cluster_done. SUM: they are in each part's data.
mcf_status mcf_cluster_wait(mcf_cluster *cluster, mcf_exchange *exchange, const void **result, mcf_error *err);
// This part has used the result. The last part frees the exchange.
void mcf_cluster_done(mcf_cluster *cluster, mcf_exchange *exchange);

#endif
