// A backend that computes nothing and has no memory: it writes down what a runtime asks for. So a step of any size can
// be looked at on any machine, by the code that would run it.
#ifndef MCF_BACKENDS_RECORD_RECORD_H
#define MCF_BACKENDS_RECORD_RECORD_H

#include "backends/backend.h"

typedef enum {
    MCF_RECORDED_LAUNCH,
    MCF_RECORDED_COPY,       // within the device
    MCF_RECORDED_UPLOAD,     // from the host
    MCF_RECORDED_CAPTURE,    // begin of a row of launches that is replayed as one
    MCF_RECORDED_ALL_REDUCE, // of gradients; and collectives of nodes
    MCF_RECORDED_ALL_GATHER,
    MCF_RECORDED_REDUCE_SCATTER,
    MCF_RECORDED_BROADCAST,
    MCF_RECORDED_RECORD, // an event
    MCF_RECORDED_WAIT,   // for an event
} mcf_recorded_kind;

typedef struct {
    mcf_recorded_kind kind;
    int stream;        // in the order of their creation: 0 computes, 1 reduces
    int event;         // of RECORD and WAIT
    double bytes;      // of COPY and UPLOAD; of a member's input to a collective
    mcf_launch launch; // of LAUNCH
} mcf_recorded_call;

typedef struct {
    mcf_recorded_call *calls;
    int count, capacity;
    uint64_t buffers_bytes; // of all buffers that are there
    int streams, events;
} mcf_recording;

// The backend. One recording at a time: device_open takes the one that was set last on this thread.
const mcf_backend *mcf_recording_backend(void);
void mcf_recording_use(mcf_recording *recording);
// Any pointer that stands for a group of devices.
mcf_group *mcf_recording_group(void);
void mcf_recording_clear(mcf_recording *recording); // forgets the calls
void mcf_recording_free(mcf_recording *recording);

#endif
