// The interface every backend implements, and all that the floors above know of one.
//
// Contract
// - A backend is one struct of functions, in a module `libmcf-backend-NAME.so` that exports
//   `mcf_backend_entry`, or linked in (cpu-reference).
// - Work is asynchronous: functions that take a stream only enqueue. Errors of enqueued work come back from a
//   later call on that stream, at the latest from stream_synchronize. A backend may as well do the work at once.
// - Work on one stream runs in order; between streams only events order it.
// - Errors are values with a message; nothing exits or prints.
// - Threads: functions on different devices may run at the same time; functions on one device are called by one
//   thread at a time. group_abort and event_query may be called from any thread.
// - Sizes and offsets are bytes in 64 bits. Host memory given to upload may be reused when the call returns (a backend
//   that copies later stages it); memory given to download must stay valid until the stream has been synchronised.
// - The same launches with the same inputs, device count and thread count give the same bits.
#ifndef MCF_BACKENDS_BACKEND_H
#define MCF_BACKENDS_BACKEND_H

#include "ops/node.h"

enum { MCF_BACKEND_ABI = 2 };

typedef struct mcf_device mcf_device;
typedef struct mcf_stream mcf_stream;
typedef struct mcf_event mcf_event;
typedef struct mcf_group mcf_group;
typedef struct mcf_capture mcf_capture;

typedef struct {
    char name[128];        // as the driver says
    char detail[256];      // instruction set, driver version, ...
    uint64_t memory_total; // bytes; 0 where unknown
    uint64_t memory_free;
    uint64_t allocation_max; // largest single buffer; 0: no limit but the memory
    uint64_t alignment;      // of buffer offsets, bytes
    int compute_units;       // cores or multiprocessors
    uint32_t dtypes;         // bit per mcf_dtype it can compute in
    bool emulated_bf16;      // bf16 works but products run at fp32 speed
    bool emulated_fp16;      // fp16 likewise
} mcf_device_info;

typedef struct {
    int threads; // CPU: worker threads of this device; 0: all cores / opened devices
    int opened;  // devices that this job opens in this process, at least 1
} mcf_device_options;

typedef struct {
    uint32_t abi;      // MCF_BACKEND_ABI
    uint32_t size;     // sizeof(mcf_backend)
    const char *name;  // "cpu"
    const char *about; // one line for `mcf devices`

    // -- devices
    // Fails with the reason why this backend is not usable here (no driver, no device); then nothing else is called.
    mcf_status (*probe)(mcf_error *err);
    int (*device_count)(void);
    mcf_status (*device_info)(int index, mcf_device_info *info, mcf_error *err);
    mcf_status (*device_open)(int index, const mcf_device_options *options, mcf_device **device, mcf_error *err);
    void (*device_close)(mcf_device *device);

    // -- memory. New buffers hold zeros. 64-byte aligned or more.
    mcf_status (*buffer_create)(mcf_device *device, uint64_t bytes, mcf_buffer **buffer, mcf_error *err);
    void (*buffer_destroy)(mcf_buffer *buffer);
    // Address for the host where the host can use the memory directly (after synchronising); else NULL.
    void *(*buffer_host)(mcf_buffer *buffer);
    mcf_status (*upload)(mcf_stream *stream, mcf_buffer *to, uint64_t offset, const void *from, uint64_t bytes,
                         mcf_error *err);
    mcf_status (*download)(mcf_stream *stream, void *to, mcf_buffer *from, uint64_t offset, uint64_t bytes,
                           mcf_error *err);
    mcf_status (*copy)(mcf_stream *stream, mcf_buffer *to, uint64_t to_offset, mcf_buffer *from, uint64_t from_offset,
                       uint64_t bytes, mcf_error *err);
    mcf_status (*zero)(mcf_stream *stream, mcf_buffer *buffer, uint64_t offset, uint64_t bytes, mcf_error *err);
    // Host memory into which a download does not hold up the caller; 64-byte aligned.
    mcf_status (*host_create)(mcf_device *device, uint64_t bytes, void **memory, mcf_error *err);
    void (*host_destroy)(mcf_device *device, void *memory);

    // -- streams and events
    mcf_status (*stream_create)(mcf_device *device, mcf_stream **stream, mcf_error *err);
    void (*stream_destroy)(mcf_stream *stream);
    mcf_status (*stream_synchronize)(mcf_stream *stream, mcf_error *err);
    mcf_status (*event_create)(mcf_device *device, mcf_event **event, mcf_error *err);
    void (*event_destroy)(mcf_event *event);
    mcf_status (*event_record)(mcf_stream *stream, mcf_event *event, mcf_error *err);
    mcf_status (*event_wait)(mcf_stream *stream, mcf_event *event, mcf_error *err); // stream waits, host does not
    // Whether what was enqueued before the event was last recorded is done. Does not wait.
    mcf_status (*event_query)(mcf_event *event, bool *done, mcf_error *err);

    // -- operations, all but the collectives
    // Whether launch can do this operation with these element types. Shapes do not matter.
    bool (*supports)(const mcf_device *device, const mcf_launch *launch);
    mcf_status (*launch)(mcf_stream *stream, const mcf_launch *launch, mcf_error *err);

    // -- a group of devices of this process. Every member calls the same collectives in the same order, each from
    // its own thread with its own rank and stream. A member that does not arrive within the timeout, or group_abort,
    // makes the collective fail on all members with the name of who is missing; the group is then of no more use. So
    // does a device of which work has not ended after the timeout, where the backend can tell.
    // Sums are formed in an order that depends on nothing but the devices, in fp32 at least. `from` and `to` may be the same place. Counts are elements;
    // f32, f64, bf16 and f16 can be reduced, sums in 16 bits are rounded once.
    mcf_status (*group_create)(mcf_device *const *devices, int count, double timeout_seconds, mcf_group **group,
                               mcf_error *err);
    void (*group_destroy)(mcf_group *group);
    void (*group_abort)(mcf_group *group, const char *reason);
    mcf_status (*all_reduce)(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                             mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_reduce reduce,
                             mcf_error *err);
    // `count` elements of each member, `count * members` in `to`.
    mcf_status (*all_gather)(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                             mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_error *err);
    // `count * members` elements of each member, `count` in `to`.
    mcf_status (*reduce_scatter)(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                                 mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype,
                                 mcf_reduce reduce, mcf_error *err);
    mcf_status (*broadcast)(mcf_group *group, int rank, int root, mcf_stream *stream, mcf_buffer *to,
                            uint64_t to_offset, mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype,
                            mcf_error *err);
    mcf_status (*barrier)(mcf_group *group, int rank, mcf_stream *stream, mcf_error *err);
    // NULL, or: how a group of these devices would work together, in a line.
    mcf_status (*group_describe)(const int *devices, int count, char *text, size_t size, mcf_error *err);

    // -- tuning; NULL: nothing to tune. Measures alternatives for about `seconds` each, uses the best on this device
    // from now on and keeps them for later processes. report takes a line at a time.
    mcf_status (*tune)(mcf_device *device, double seconds, void (*report)(void *context, const char *line),
                       void *context, mcf_error *err);

    // -- repeated work; all four or NULL: calls cost little here. A capture is a row of launches, copies and zeros on
    // one stream that comes again and again with the same operands, whose contents may change. capture_begin either
    // enqueues the whole row as it was before, *launch is false then, or leaves it to the caller: *launch is true, the
    // caller makes the same calls as every time, and nothing else on this stream, and then capture_end. After a failure
    // in between capture_destroy takes the place of capture_end. A capture goes before its stream and its operands.
    mcf_status (*capture_create)(mcf_stream *stream, mcf_capture **capture, mcf_error *err);
    void (*capture_destroy)(mcf_capture *capture);
    mcf_status (*capture_begin)(mcf_capture *capture, bool *launch, mcf_error *err);
    mcf_status (*capture_end)(mcf_capture *capture, mcf_error *err);
} mcf_backend;

// What a module exports under the name "mcf_backend_entry".
typedef const mcf_backend *(*mcf_backend_entry_fn)(void);

// --- the registry (backends/registry.c), the only global state

// Finds a backend by name, loading its module from, in order: $MCF_MODULE_PATH, the folder of the running program or
// library, the module folder of the installed tree it stands in, the install folder. "auto" takes the first usable of
// cuda, opencl (GPUs only), cpu, cpu-reference.
// The backend lives as long as the process. Fails with the reason when it cannot be used.
mcf_status mcf_backend_find(const char *name, const mcf_backend **backend, mcf_error *err);

// The known names in order of preference, NULL-terminated.
const char *const *mcf_backend_names(void);

// The plain reference, always there.
const mcf_backend *mcf_backend_reference(void);

#endif
