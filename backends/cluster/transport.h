// Messages between the processes of a job that spans machines: what a module `libmcf-transport-NAME.so` offers. The
// arithmetic and the order of things are above it (backends/cluster/cluster.c); here bytes go from one rank to another.
//
// Contract
// - One link a process. All functions but probe are called by one thread, the one that called join.
// - send and receive return at once; memory must stay until test says that the message is done. Messages between two
//   ranks under one tag arrive in the order in which they were sent. Both sides name the same number of bytes.
// - Errors are values. A rank that is gone may show as an error of a message to or from it, or not at all.
#ifndef MCF_BACKENDS_CLUSTER_TRANSPORT_H
#define MCF_BACKENDS_CLUSTER_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum { MCF_TRANSPORT_ABI = 1, MCF_TRANSPORT_MESSAGE = 1 << 26 }; // the longest message, bytes

typedef struct mcf_link mcf_link;
typedef struct mcf_message mcf_message;

typedef struct {
    int rank, count;
    char host[64]; // of this process
} mcf_seat;

typedef struct {
    uint32_t abi;     // MCF_TRANSPORT_ABI
    uint32_t size;    // sizeof(mcf_transport)
    const char *name; // "mpi"
    // Whether it can be used here, and its version in words. Joins nothing.
    mcf_status (*probe)(char *version, int size, mcf_error *err);
    // Finds the other processes that were started together with this one. `context`: the caller's, for a transport
    // that needs telling (those of the tests); NULL else.
    mcf_status (*join)(void *context, mcf_link **link, mcf_seat *place, mcf_error *err);
    mcf_status (*send)(mcf_link *link, int to, int tag, const void *from, uint64_t bytes, mcf_message **message,
                       mcf_error *err);
    mcf_status (*receive)(mcf_link *link, int from, int tag, void *to, uint64_t bytes, mcf_message **message,
                          mcf_error *err);
    // Where it is done (or failed), *message is freed and NULL. Drives the other messages too.
    mcf_status (*test)(mcf_link *link, mcf_message **message, bool *done, mcf_error *err);
    // Ends the link. code 0: all messages are done on all ranks. Else the processes of the job are ended with this
    // exit code, those that do not answer included, and this may not return.
    void (*leave)(mcf_link *link, int code);
} mcf_transport;

// What a module exports under the name "mcf_transport_entry".
typedef const mcf_transport *(*mcf_transport_entry_fn)(void);

// Finds a transport by name and loads its module (backends/modules.h). MCF_ERR_UNSUPPORTED with the reason.
mcf_status mcf_transport_find(const char *name, const mcf_transport **transport, mcf_error *err);

#endif
