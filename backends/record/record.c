#include "backends/record/record.h"

#include <stdlib.h>
#include <string.h>

struct mcf_device {
    mcf_recording *recording;
};
struct mcf_buffer {
    mcf_recording *recording;
    uint64_t bytes;
};
struct mcf_stream {
    mcf_recording *recording;
    int number;
};
struct mcf_event {
    mcf_recording *recording;
    int number;
};
struct mcf_capture {
    mcf_stream *stream;
};
struct mcf_group {
    int unused;
};

static _Thread_local mcf_recording *current;

void mcf_recording_use(mcf_recording *recording)
{
    current = recording;
}

void mcf_recording_clear(mcf_recording *recording)
{
    recording->count = 0;
}

void mcf_recording_free(mcf_recording *recording)
{
    free(recording->calls);
    *recording = (mcf_recording){0};
}

mcf_group *mcf_recording_group(void)
{
    static mcf_group group;
    return &group;
}

static mcf_status add(mcf_recording *r, const mcf_recorded_call *call, mcf_error *err)
{
    if (r->count == r->capacity) {
        const int capacity = 2 * r->capacity + 64;
        mcf_recorded_call *grown = realloc(r->calls, (size_t)capacity * sizeof *grown);
        if (!grown)
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a prediction");
        r->calls = grown;
        r->capacity = capacity;
    }
    r->calls[r->count++] = *call;
    return MCF_OK;
}

// --- devices

static mcf_status probe(mcf_error *err)
{
    return MCF_OK;
}

static int device_count(void)
{
    return 1;
}

static mcf_status device_info(int index, mcf_device_info *info, mcf_error *err)
{
    // The alignment is that of the CUDA backend's buffers.
    *info =
        (mcf_device_info){.name = "none", .alignment = 256, .compute_units = 1, .dtypes = (1u << MCF_DTYPE_COUNT) - 1};
    return MCF_OK;
}

static mcf_status device_open(int index, const mcf_device_options *options, mcf_device **device, mcf_error *err)
{
    *device = calloc(1, sizeof **device);
    if (!*device)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a prediction");
    (*device)->recording = current;
    return MCF_OK;
}

static void device_close(mcf_device *device)
{
    free(device);
}

// --- memory that is not there

static mcf_status buffer_create(mcf_device *device, uint64_t bytes, mcf_buffer **buffer, mcf_error *err)
{
    *buffer = calloc(1, sizeof **buffer);
    if (!*buffer)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a prediction");
    **buffer = (mcf_buffer){device->recording, bytes};
    device->recording->buffers_bytes += bytes;
    return MCF_OK;
}

static void buffer_destroy(mcf_buffer *buffer)
{
    if (buffer)
        buffer->recording->buffers_bytes -= buffer->bytes;
    free(buffer);
}

static void *buffer_host(mcf_buffer *buffer)
{
    return NULL;
}

static mcf_status move(mcf_stream *s, mcf_recorded_kind kind, uint64_t bytes, mcf_error *err)
{
    const mcf_recorded_call call = {.kind = kind, .stream = s->number, .bytes = (double)bytes};
    return add(s->recording, &call, err);
}

static mcf_status upload(mcf_stream *stream, mcf_buffer *to, uint64_t offset, const void *from, uint64_t bytes,
                         mcf_error *err)
{
    return move(stream, MCF_RECORDED_UPLOAD, bytes, err);
}

static mcf_status download(mcf_stream *stream, void *to, mcf_buffer *from, uint64_t offset, uint64_t bytes,
                           mcf_error *err)
{
    memset(to, 0, bytes);
    return MCF_OK;
}

static mcf_status copy(mcf_stream *stream, mcf_buffer *to, uint64_t to_offset, mcf_buffer *from, uint64_t from_offset,
                       uint64_t bytes, mcf_error *err)
{
    return move(stream, MCF_RECORDED_COPY, bytes, err);
}

static mcf_status zero(mcf_stream *stream, mcf_buffer *buffer, uint64_t offset, uint64_t bytes, mcf_error *err)
{
    return MCF_OK;
}

static mcf_status host_create(mcf_device *device, uint64_t bytes, void **memory, mcf_error *err)
{
    *memory = calloc(1, bytes ? bytes : 1);
    return *memory ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for a prediction");
}

static void host_destroy(mcf_device *device, void *memory)
{
    free(memory);
}

// --- streams and events

static mcf_status stream_create(mcf_device *device, mcf_stream **stream, mcf_error *err)
{
    *stream = calloc(1, sizeof **stream);
    if (!*stream)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a prediction");
    **stream = (mcf_stream){device->recording, device->recording->streams++};
    return MCF_OK;
}

static void stream_destroy(mcf_stream *stream)
{
    free(stream);
}

static mcf_status stream_synchronize(mcf_stream *stream, mcf_error *err)
{
    return MCF_OK;
}

static mcf_status event_create(mcf_device *device, mcf_event **event, mcf_error *err)
{
    *event = calloc(1, sizeof **event);
    if (!*event)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a prediction");
    **event = (mcf_event){device->recording, device->recording->events++};
    return MCF_OK;
}

static void event_destroy(mcf_event *event)
{
    free(event);
}

static mcf_status event_record(mcf_stream *stream, mcf_event *event, mcf_error *err)
{
    const mcf_recorded_call call = {.kind = MCF_RECORDED_RECORD, .stream = stream->number, .event = event->number};
    return add(stream->recording, &call, err);
}

static mcf_status event_wait(mcf_stream *stream, mcf_event *event, mcf_error *err)
{
    const mcf_recorded_call call = {.kind = MCF_RECORDED_WAIT, .stream = stream->number, .event = event->number};
    return add(stream->recording, &call, err);
}

static mcf_status event_query(mcf_event *event, bool *done, mcf_error *err)
{
    *done = true;
    return MCF_OK;
}

// --- work

static bool supports(const mcf_device *device, const mcf_launch *launch)
{
    return true;
}

static mcf_status launch(mcf_stream *stream, const mcf_launch *launch, mcf_error *err)
{
    const mcf_recorded_call call = {.kind = MCF_RECORDED_LAUNCH, .stream = stream->number, .launch = *launch};
    return add(stream->recording, &call, err);
}

static mcf_status capture_create(mcf_stream *stream, mcf_capture **capture, mcf_error *err)
{
    *capture = calloc(1, sizeof **capture);
    if (!*capture)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a prediction");
    (*capture)->stream = stream;
    return MCF_OK;
}

static void capture_destroy(mcf_capture *capture)
{
    free(capture);
}

static mcf_status capture_begin(mcf_capture *capture, bool *launch, mcf_error *err)
{
    *launch = true;
    return move(capture->stream, MCF_RECORDED_CAPTURE, 0, err);
}

static mcf_status capture_end(mcf_capture *capture, mcf_error *err)
{
    return MCF_OK;
}

// --- the other members are not there

static mcf_status all_reduce(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                             mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_reduce reduce,
                             mcf_error *err)
{
    return move(stream, MCF_RECORDED_ALL_REDUCE, count * mcf_dtype_size(dtype), err);
}

static mcf_status all_gather(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                             mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_error *err)
{
    return move(stream, MCF_RECORDED_ALL_GATHER, count * mcf_dtype_size(dtype), err);
}

static mcf_status reduce_scatter(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                                 mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype,
                                 mcf_reduce reduce, mcf_error *err)
{
    return move(stream, MCF_RECORDED_REDUCE_SCATTER, count * mcf_dtype_size(dtype), err);
}

static mcf_status broadcast(mcf_group *group, int rank, int root, mcf_stream *stream, mcf_buffer *to,
                            uint64_t to_offset, mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype,
                            mcf_error *err)
{
    return move(stream, MCF_RECORDED_BROADCAST, count * mcf_dtype_size(dtype), err);
}

const mcf_backend *mcf_recording_backend(void)
{
    static const mcf_backend backend = {
        .abi = MCF_BACKEND_ABI,
        .size = sizeof(mcf_backend),
        .name = "prediction",
        .about = "writes down what is asked for",
        .probe = probe,
        .device_count = device_count,
        .device_info = device_info,
        .device_open = device_open,
        .device_close = device_close,
        .buffer_create = buffer_create,
        .buffer_destroy = buffer_destroy,
        .buffer_host = buffer_host,
        .upload = upload,
        .download = download,
        .copy = copy,
        .zero = zero,
        .host_create = host_create,
        .host_destroy = host_destroy,
        .stream_create = stream_create,
        .stream_destroy = stream_destroy,
        .stream_synchronize = stream_synchronize,
        .event_create = event_create,
        .event_destroy = event_destroy,
        .event_record = event_record,
        .event_wait = event_wait,
        .event_query = event_query,
        .supports = supports,
        .launch = launch,
        .all_reduce = all_reduce,
        .all_gather = all_gather,
        .reduce_scatter = reduce_scatter,
        .broadcast = broadcast,
        .capture_create = capture_create,
        .capture_destroy = capture_destroy,
        .capture_begin = capture_begin,
        .capture_end = capture_end,
    };
    return &backend;
}
