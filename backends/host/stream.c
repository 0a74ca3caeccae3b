// Nothing is ever pending: what waits returns at once.
#include <stdlib.h>

#include "backends/host/stream.h"

mcf_status mcf_host_stream_create(mcf_device *device, mcf_stream **stream, mcf_error *err)
{
    *stream = malloc(sizeof **stream);
    if (!*stream)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a stream");
    (*stream)->device = device;
    return MCF_OK;
}

void mcf_host_stream_destroy(mcf_stream *stream)
{
    free(stream);
}

mcf_status mcf_host_stream_synchronize(mcf_stream *stream, mcf_error *err)
{
    return MCF_OK;
}

mcf_status mcf_host_event_create(mcf_device *device, mcf_event **event, mcf_error *err)
{
    *event = malloc(sizeof **event);
    if (!*event)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for an event");
    (*event)->device = device;
    return MCF_OK;
}

void mcf_host_event_destroy(mcf_event *event)
{
    free(event);
}

mcf_status mcf_host_event_record(mcf_stream *stream, mcf_event *event, mcf_error *err)
{
    return MCF_OK;
}

mcf_status mcf_host_event_wait(mcf_stream *stream, mcf_event *event, mcf_error *err)
{
    return MCF_OK;
}

mcf_status mcf_host_event_query(mcf_event *event, bool *done, mcf_error *err)
{
    *done = true;
    return MCF_OK;
}
