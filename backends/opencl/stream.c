// Streams are in-order queues; events are markers in them.
#include "backends/opencl/opencl.h"

#include <stdlib.h>

mcf_status ocl_stream_create(mcf_device *device, mcf_stream **stream, mcf_error *err)
{
    mcf_stream *s = calloc(1, sizeof *s);
    if (!s)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a stream");
    cl_int code;
    s->device = device;
    s->queue = clCreateCommandQueue(device->context, device->physical->id, 0, &code);
    if (code != CL_SUCCESS) {
        free(s);
        return ocl_fail(err, code, "queue");
    }
    *stream = s;
    return MCF_OK;
}

void ocl_stream_destroy(mcf_stream *stream)
{
    if (!stream)
        return;
    clFinish(stream->queue);
    for (int i = 0; i < OCL_SCRATCH; i++)
        ocl_buffer_destroy(stream->scratch[i].buffer);
    clReleaseCommandQueue(stream->queue);
    free(stream);
}

mcf_status ocl_stream_synchronize(mcf_stream *stream, mcf_error *err)
{
    OCL_TRY(clFinish(stream->queue), "enqueued work", err);
    return MCF_OK;
}

mcf_status ocl_event_create(mcf_device *device, mcf_event **event, mcf_error *err)
{
    *event = calloc(1, sizeof **event);
    if (!*event)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for an event");
    (*event)->device = device;
    return MCF_OK;
}

void ocl_event_destroy(mcf_event *event)
{
    if (event && event->event)
        clReleaseEvent(event->event);
    free(event);
}

// Flushed, so that another queue that waits for it does not wait for a queue that nobody started.
mcf_status ocl_event_record(mcf_stream *stream, mcf_event *event, mcf_error *err)
{
    if (event->event)
        clReleaseEvent(event->event);
    event->event = NULL;
    OCL_TRY(clEnqueueMarkerWithWaitList(stream->queue, 0, NULL, &event->event), "event", err);
    OCL_TRY(clFlush(stream->queue), "event", err);
    return MCF_OK;
}

mcf_status ocl_event_wait(mcf_stream *stream, mcf_event *event, mcf_error *err)
{
    if (!event->event)
        return MCF_OK;
    OCL_TRY(clEnqueueBarrierWithWaitList(stream->queue, 1, &event->event, NULL), "waiting for an event", err);
    return MCF_OK;
}

mcf_status ocl_event_query(mcf_event *event, bool *done, mcf_error *err)
{
    cl_int state = CL_COMPLETE;
    if (event->event)
        OCL_TRY(clGetEventInfo(event->event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof state, &state, NULL), "event",
                err);
    if (state < 0)
        return mcf_fail(err, MCF_ERR_DEVICE, "enqueued work failed (OpenCL error %d)", (int)state);
    *done = state == CL_COMPLETE;
    return MCF_OK;
}
