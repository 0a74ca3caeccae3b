// The ranks that work together as the cluster's thread knows them: signs of life, and how a failure reaches everybody.
// Functions here belong to the cluster's thread but where they say otherwise.
#ifndef MCF_BACKENDS_CLUSTER_PEERS_H
#define MCF_BACKENDS_CLUSTER_PEERS_H

#include <pthread.h>

#include "backends/cluster/transport.h"

enum { MCF_CLUSTER_PARTS = 64, MCF_TAG_NOTICE = 1, MCF_TAG_DATA = 2 };

typedef struct mcf_cluster mcf_cluster;
typedef struct mcf_exchange mcf_exchange;

// What ranks tell each other beside data.
typedef struct {
    int32_t kind, status;
    char text[1000];
} mcf_notice;
enum { MCF_NOTICE_ALIVE = 1, MCF_NOTICE_FAILED, MCF_NOTICE_LEAVES };

typedef struct {
    mcf_notice in, out, last; // `last`: FAILED or LEAVES, beside a sign of life still under way
    mcf_message *receiving, *sending, *sending_last;
    double heard; // when, seconds
    bool lost, left;
} mcf_peer;

struct mcf_cluster {
    const mcf_transport *transport;
    void *context;
    double lost_after, timeout;
    mcf_link *link;
    mcf_seat place;
    char (*hosts)[64];

    pthread_t thread;
    pthread_mutex_t mutex; // guards what follows up to the next line
    pthread_cond_t changed;
    bool joined, leaving, ended;
    bool failing, broken;       // a reason is there; nobody's memory is used any more
    bool followed, own_failure; // the reason came from another rank, from mcf_cluster_abort
    mcf_status status;
    char reason[1000];
    int end_code;               // of `ended`
    mcf_exchange *first, *last; // posted or expected, in order
    uint64_t next_number, part_number[MCF_CLUSTER_PARTS];

    mcf_peer *peers;     // the thread's own from here on
    double beat, pumped; // when signs of life were last sent, and messages looked after
    char *receive;       // sums: the others' pieces
    uint64_t receive_bytes;
};

// Looks after the messages beside data: signs of life and news of failures. Cheap when called often.
mcf_status mcf_cluster_pump(mcf_cluster *c, mcf_error *err);
// Lets time pass between two looks; `looks`: how many so far.
void mcf_cluster_pause(int looks);
// "rank 2 of 4 (node3)"
const char *mcf_cluster_name(const mcf_cluster *c, int rank, char *text, int size);
// Sends the notice to every other rank as this one's last; true when all that still take it have it within `seconds`
// (and where this rank leaves, have left too).
bool mcf_cluster_last_word(mcf_cluster *c, mcf_notice notice, double seconds);

// From any thread, with the mutex held. The first reason stays: later ones follow from it.
void mcf_cluster_note_failure(mcf_cluster *c, mcf_status status, const char *reason, bool followed);
// The reason as an error.
mcf_status mcf_cluster_failure(mcf_cluster *c, mcf_error *err);
// From any thread: whether there is a reason, which becomes the error.
bool mcf_cluster_is_failing(mcf_cluster *c, mcf_error *err);

#endif
