// Private to backends/opencl: devices, memory, streams, compiled kernels, and calling them.
#ifndef MCF_BACKENDS_OPENCL_OPENCL_H
#define MCF_BACKENDS_OPENCL_OPENCL_H

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>

#include "backends/backend.h"
#include "backends/host/group.h"
#include "backends/host/memory.h"
#include "backends/kernels/host.h"

// --- errors

const char *ocl_error_name(cl_int code);
mcf_status ocl_fail(mcf_error *err, cl_int code, const char *what);
#define OCL_TRY(call, what, err)                                                                                       \
    do {                                                                                                               \
        cl_int ocl_code = (call);                                                                                      \
        if (ocl_code != CL_SUCCESS)                                                                                    \
            return ocl_fail(err, ocl_code, what);                                                                      \
    } while (0)

// --- devices of all platforms, in the order of the loader (devices.c)

typedef struct {
    cl_platform_id platform;
    cl_device_id id;
    char name[128], vendor[128], driver[128], version[128], platform_name[128], platform_version[256];
    cl_device_type type;
    bool processor; // a CPU and nothing else: items are threads, kernels use vectors
    uint64_t memory, allocation_max, local_memory;
    cl_uint units, alignment_bits, vector;
    size_t group_max;
    bool half, builds;
    const char *subgroups; // compiler options that bring sub-groups; NULL where the device has none
    uint64_t allocated;    // by this process, over all handles; changed atomically
} ocl_physical;

// Finds devices once; fails with the reason where there are none.
mcf_status ocl_find_devices(mcf_error *err);
int ocl_device_count(void);
ocl_physical *ocl_physical_at(int index);
uint64_t ocl_memory_free(const ocl_physical *physical);

// --- what tuning chose for a device (tuning.c)

typedef enum { OCL_PRODUCT_PANELS, OCL_PRODUCT_TILE, OCL_PRODUCT_CLBLAST, OCL_PRODUCT_WAYS } ocl_product_way;
enum { OCL_SHAPE_CLASSES = 4 };
enum { OCL_ATTENTION_KERNELS = 1, OCL_ATTENTION_PRODUCTS = 2 };

typedef struct {
    int group;            // items that share a line
    int strip;            // columns an item sums
    int local;            // work-group of elementwise kernels
    int panel_m, panel_n; // product_panels
    int panel_few;        // panels of a for one item
    int attention;        // by its own kernels or as products
    ocl_product_way way[OCL_SHAPE_CLASSES];
    char clblast[256]; // overrides of Xgemm, "NAME=VALUE ..."
} ocl_tuning;

// Sizes from what the device says, then from the file of its last tuning, then from $MCF_OPENCL_*.
void ocl_tuning_load(const ocl_physical *physical, ocl_tuning *tuning);
// path: the file it was written to.
mcf_status ocl_tuning_save(const ocl_physical *physical, const ocl_tuning *tuning, char *path, size_t size,
                           mcf_error *err);
// Small (a side below 32), tall (n below 128), batched, or the rest.
int ocl_shape_class(int64_t batch, int64_t m, int64_t n, int64_t k);
const char *ocl_way_name(ocl_product_way way);

// --- a device that was opened

typedef struct ocl_program ocl_program;

struct mcf_device {
    int index;
    ocl_physical *physical;
    cl_context context;
    cl_command_queue queue; // for zeros in new buffers
    ocl_tuning tuning;
    ocl_program *programs;
    cl_mem nothing; // stands for absent operands
    bool clblast_set;
    const char *subgroups; // as physical->subgroups, until a compiler turns them down
};

struct mcf_buffer {
    mcf_device *device;
    cl_mem memory;
    uint64_t bytes;
};

enum { OCL_SCRATCH = 4 };

struct mcf_stream {
    mcf_device *device;
    cl_command_queue queue;
    struct {
        mcf_buffer *buffer;
    } scratch[OCL_SCRATCH]; // work memory of the operation that runs; in order, so one is enough
};

struct mcf_event {
    mcf_device *device;
    cl_event event; // NULL: not recorded yet
};

mcf_status ocl_device_info(int index, mcf_device_info *info, mcf_error *err);
mcf_status ocl_device_open(int index, const mcf_device_options *options, mcf_device **device, mcf_error *err);
void ocl_device_close(mcf_device *device);

// --- memory and streams (memory.c, stream.c)

mcf_status ocl_buffer_create(mcf_device *device, uint64_t bytes, mcf_buffer **buffer, mcf_error *err);
void ocl_buffer_destroy(mcf_buffer *buffer);
void *ocl_buffer_host(mcf_buffer *buffer);
mcf_status ocl_upload(mcf_stream *stream, mcf_buffer *to, uint64_t offset, const void *from, uint64_t bytes,
                      mcf_error *err);
mcf_status ocl_download(mcf_stream *stream, void *to, mcf_buffer *from, uint64_t offset, uint64_t bytes,
                        mcf_error *err);

mcf_status ocl_stream_create(mcf_device *device, mcf_stream **stream, mcf_error *err);
void ocl_stream_destroy(mcf_stream *stream);
mcf_status ocl_stream_synchronize(mcf_stream *stream, mcf_error *err);
mcf_status ocl_event_create(mcf_device *device, mcf_event **event, mcf_error *err);
void ocl_event_destroy(mcf_event *event);
mcf_status ocl_event_record(mcf_stream *stream, mcf_event *event, mcf_error *err);
mcf_status ocl_event_wait(mcf_stream *stream, mcf_event *event, mcf_error *err);
mcf_status ocl_event_query(mcf_event *event, bool *done, mcf_error *err);

// --- programs (program.c) and their cache on disk (cache.c)

// The folder of caches, made where it is missing; false where there is none that can be written.
bool ocl_cache_folder(char *path, size_t size);
// malloc'ed bytes of an entry, NULL where it is absent or damaged.
void *ocl_cache_read(const char *name, size_t *bytes);
// Whole or not at all, also beside other processes; false: not at all, which for programs only costs time later.
bool ocl_cache_write(const char *name, const void *data, size_t bytes);

// Compiled when first asked for.
mcf_status ocl_kernel_get(mcf_device *device, const dev_kernel_key *key, cl_kernel *kernel, mcf_error *err);
void ocl_programs_free(mcf_device *device);

// --- products (matmul.c)

// With one way, whatever the tuning says; for tuning and tests.
mcf_status ocl_multiply_by(mcf_stream *stream, const dev_product *product, ocl_product_way way, mcf_error *err);
// clblast.c: false where it cannot take these operands, or is not part of this build.
bool ocl_clblast_takes(const dev_product *product);
mcf_status ocl_clblast_multiply(mcf_stream *stream, const dev_product *product, mcf_error *err);
mcf_status ocl_clblast_override(const ocl_physical *physical, const char *parameters, mcf_error *err);

// The backend's tune (tune.c): measures, keeps the best in device->tuning and in the file of the device.
mcf_status ocl_tune(mcf_device *device, double seconds, void (*report)(void *context, const char *line), void *context,
                    mcf_error *err);

// --- groups (group.c)

mcf_status ocl_group_create(mcf_device *const *devices, int count, double timeout_seconds, mcf_group **group,
                            mcf_error *err);
void ocl_group_destroy(mcf_group *group);
void ocl_group_abort(mcf_group *group, const char *reason);
mcf_status ocl_all_reduce(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                          mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_reduce reduce,
                          mcf_error *err);
mcf_status ocl_all_gather(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                          mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_error *err);
mcf_status ocl_reduce_scatter(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                              mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype,
                              mcf_reduce reduce, mcf_error *err);
mcf_status ocl_broadcast(mcf_group *group, int rank, int root, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                         mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_error *err);
mcf_status ocl_barrier(mcf_group *group, int rank, mcf_stream *stream, mcf_error *err);

#endif
