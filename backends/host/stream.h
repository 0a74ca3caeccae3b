// Streams and events of backends whose calls have done their work when they return.
#ifndef MCF_BACKENDS_HOST_STREAM_H
#define MCF_BACKENDS_HOST_STREAM_H

#include "backends/backend.h"

struct mcf_stream {
    mcf_device *device;
};

struct mcf_event {
    mcf_device *device;
};

mcf_status mcf_host_stream_create(mcf_device *device, mcf_stream **stream, mcf_error *err);
void mcf_host_stream_destroy(mcf_stream *stream);
mcf_status mcf_host_stream_synchronize(mcf_stream *stream, mcf_error *err);
mcf_status mcf_host_event_create(mcf_device *device, mcf_event **event, mcf_error *err);
void mcf_host_event_destroy(mcf_event *event);
mcf_status mcf_host_event_record(mcf_stream *stream, mcf_event *event, mcf_error *err);
mcf_status mcf_host_event_wait(mcf_stream *stream, mcf_event *event, mcf_error *err);
mcf_status mcf_host_event_query(mcf_event *event, bool *done, mcf_error *err);

#endif
