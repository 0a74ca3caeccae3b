// Private to backends/opencl: devices, memory, streams, compiled kernels, and calling them.
#ifndef MCF_BACKENDS_OPENCL_OPENCL_H
#define MCF_BACKENDS_OPENCL_OPENCL_H

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>

#include "backends/backend.h"
#include "backends/host_group.h"

// --- errors

const char *ocl_error_name(cl_int code);
mcf_status ocl_fail(mcf_error *err, cl_int code, const char *what);
#define OCL_TRY(call, what, err)                     \
    do {                                             \
        cl_int ocl_code = (call);                    \
        if (ocl_code != CL_SUCCESS)                  \
            return ocl_fail(err, ocl_code, what);    \
    } while (0)

// --- devices of all platforms, in the order of the loader (devices.c)

typedef struct {
    cl_platform_id platform;
    cl_device_id id;
    char name[128], vendor[128], driver[128], version[128], platform_name[128], platform_version[256];
    cl_device_type type;
    bool processor;          // a CPU and nothing else: items are threads, kernels use vectors
    uint64_t memory, allocation_max, local_memory;
    cl_uint units, alignment_bits, vector;
    size_t group_max;
    bool half, subgroups, builds;
    uint64_t allocated;      // by this process, over all handles; changed atomically
} ocl_physical;

// Finds devices once; fails with the reason where there are none.
mcf_status ocl_find_devices(mcf_error *err);
int ocl_device_count(void);
ocl_physical *ocl_physical_at(int index);
uint64_t ocl_memory_free(const ocl_physical *physical);

// --- what tuning chose for a device (tuning.c)

typedef enum { OCL_PRODUCT_PANELS, OCL_PRODUCT_TILE, OCL_PRODUCT_CLBLAST, OCL_PRODUCT_WAYS } ocl_product_way;
enum { OCL_SHAPE_CLASSES = 4 };

typedef struct {
    int group;               // items that share a line
    int strip;               // columns an item sums
    int local;               // work-group of elementwise kernels
    int panel_m, panel_n;    // product_panels
    int panel_few;           // panels of a for one item
    ocl_product_way way[OCL_SHAPE_CLASSES];
    char clblast[256];       // overrides of Xgemm, "NAME=VALUE ..."
} ocl_tuning;

// Sizes from what the device says, then from the file of its last tuning, then from $MCF_OPENCL_*.
void ocl_tuning_load(const ocl_physical *physical, ocl_tuning *tuning);
mcf_status ocl_tuning_save(const ocl_physical *physical, const ocl_tuning *tuning, mcf_error *err);
// Small (a side below 32), tall (n below 128), batched, or the rest.
int ocl_shape_class(int64_t batch, int64_t m, int64_t n, int64_t k);
const char *ocl_way_name(ocl_product_way way);

// --- a device that was opened

typedef struct ocl_program ocl_program;

struct mcf_device {
    int index;
    ocl_physical *physical;
    cl_context context;
    cl_command_queue queue;  // for zeros in new buffers
    ocl_tuning tuning;
    ocl_program *programs;
    cl_mem nothing;          // stands for absent operands
    bool clblast_set;
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
    } scratch[OCL_SCRATCH];  // work memory of the operation that runs; in order, so one is enough
};

struct mcf_event {
    mcf_device *device;
    cl_event event;          // NULL: not recorded yet
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
mcf_status ocl_copy(mcf_stream *stream, mcf_buffer *to, uint64_t to_offset, mcf_buffer *from, uint64_t from_offset,
                    uint64_t bytes, mcf_error *err);
mcf_status ocl_zero(mcf_stream *stream, mcf_buffer *buffer, uint64_t offset, uint64_t bytes, mcf_error *err);
mcf_status ocl_check_range(const mcf_buffer *buffer, uint64_t offset, uint64_t bytes, const char *what,
                           mcf_error *err);
// Scratch number `slot` of a stream with room for so many floats; its contents are anything.
mcf_status ocl_scratch(mcf_stream *stream, int slot, uint64_t floats, mcf_operand *operand, mcf_error *err);

mcf_status ocl_stream_create(mcf_device *device, mcf_stream **stream, mcf_error *err);
void ocl_stream_destroy(mcf_stream *stream);
mcf_status ocl_stream_synchronize(mcf_stream *stream, mcf_error *err);
mcf_status ocl_event_create(mcf_device *device, mcf_event **event, mcf_error *err);
void ocl_event_destroy(mcf_event *event);
mcf_status ocl_event_record(mcf_stream *stream, mcf_event *event, mcf_error *err);
mcf_status ocl_event_wait(mcf_stream *stream, mcf_event *event, mcf_error *err);

// --- programs (program.c) and their cache on disk (cache.c)

// The folder of caches, made where it is missing; false where there is none that can be written.
bool ocl_cache_folder(char *path, size_t size);
// malloc'ed bytes of an entry, NULL where it is absent or damaged.
void *ocl_cache_read(const char *name, size_t *bytes);
// Whole or not at all, also beside other processes; a failure only costs time later.
void ocl_cache_write(const char *name, const void *data, size_t bytes);

// A kernel of a file of backends/kernels, compiled for these element types (OCL_NONE: not used) and definitions.
enum { OCL_NONE = -1 };
typedef struct {
    const char *file, *kernel;
    int t0, t1, t2, to;
    const char *defines;     // more of them, "" for none
    int group;               // 0: the device's
} ocl_kernel_key;
mcf_status ocl_kernel_get(mcf_device *device, const ocl_kernel_key *key, cl_kernel *kernel, mcf_error *err);
void ocl_programs_free(mcf_device *device);

// --- calling kernels (call.c): begin, arguments in order, run

typedef struct {
    mcf_stream *stream;
    cl_kernel kernel;
    const char *name;
    cl_uint next;
    cl_int status;
    mcf_status failed;
} ocl_call;

mcf_status ocl_begin(ocl_call *call, mcf_stream *stream, const ocl_kernel_key *key, mcf_error *err);
void ocl_operand(ocl_call *call, const mcf_operand *operand);  // absent: stands for nothing
void ocl_int64(ocl_call *call, int64_t value);
void ocl_int(ocl_call *call, int value);
void ocl_float(ocl_call *call, double value);
void ocl_bytes(ocl_call *call, const void *value, size_t bytes);
// Groups of `local` items in each dimension; nothing is run where a number of groups is 0.
mcf_status ocl_run(ocl_call *call, const size_t local[3], int64_t groups0, int64_t groups1, int64_t groups2,
                   mcf_error *err);
// Items along dimension 0 in work-groups that suit the device, rows along dimension 1 and 2.
mcf_status ocl_run_items(ocl_call *call, int64_t items, int64_t rows, int64_t planes, mcf_error *err);
// One group of the device's size for each line.
mcf_status ocl_run_lines(ocl_call *call, int64_t lines, mcf_error *err);
// Items along dimension 0 that take a strip of columns each.
mcf_status ocl_run_strips(ocl_call *call, int64_t columns, int64_t rows, int64_t planes, mcf_error *err);
int64_t ocl_strips(const mcf_device *device, int64_t columns);
// Into how many chunks a sum over `terms` is cut, where `lines` sums run at once.
int64_t ocl_chunks(const mcf_device *device, int64_t lines, int64_t terms);

// Steps of up to two inputs and an output over common dimensions; the struct `layout` of kernels/device.h.
typedef struct {
    int64_t rank;
    int64_t dim[6], a[6], b[6], out[6];
} ocl_layout;
// Drops dimensions of one and joins neighbours that lie one behind the other in all three. Rank is at least 1.
void ocl_layout_join(ocl_layout *layout);
int64_t ocl_layout_rows(const ocl_layout *layout);

// --- products (product.c)

typedef struct {
    int64_t row, column, batch0, batch1;
} ocl_steps;

// A matrix for each batch (b0, b1); steps in elements from operand->offset.
typedef struct {
    const mcf_operand *operand;
    ocl_steps steps;
} ocl_matrix;

typedef struct {
    ocl_matrix a, b, c;
    int64_t batch0, batch1, m, n, k;
    double alpha;
    const mcf_operand *bias;  // NULL: none
    int activation;
    bool add;
} ocl_product;
mcf_status ocl_multiply(mcf_stream *stream, const ocl_product *product, mcf_error *err);
// With one way, whatever the tuning says; for tuning and tests.
mcf_status ocl_multiply_by(mcf_stream *stream, const ocl_product *product, ocl_product_way way, mcf_error *err);
// clblast.c: false where it cannot take these operands, or is not part of this build.
bool ocl_clblast_takes(const ocl_product *product);
mcf_status ocl_clblast_multiply(mcf_stream *stream, const ocl_product *product, mcf_error *err);
mcf_status ocl_clblast_override(const ocl_physical *physical, const char *parameters, mcf_error *err);

// Finds the best of the above for a device and keeps it. Called once per device handle through the module's
// second entry, see tuning.c.
mcf_status ocl_tune(mcf_stream *stream, double seconds, void (*report)(void *context, const char *line),
                    void *context, mcf_error *err);

// --- operations (launch.c, op_*.c)

typedef mcf_status (*ocl_operation)(mcf_stream *stream, const mcf_launch *launch, mcf_error *err);
#define MCF_OP(name, ...) mcf_status ocl_op_##name(mcf_stream *stream, const mcf_launch *launch, mcf_error *err);
#include "ops/ops.def"
#undef MCF_OP
bool ocl_supports(const mcf_device *device, const mcf_launch *launch);
mcf_status ocl_launch(mcf_stream *stream, const mcf_launch *launch, mcf_error *err);
bool ocl_present(const mcf_launch *launch, int input);
bool ocl_wanted(const mcf_launch *launch, int output);

// scale * sum over R of x [O,R,C], contiguous.
mcf_status ocl_sum(mcf_stream *stream, const mcf_operand *x, int64_t outer, int64_t rows, int64_t columns,
                   double scale, const mcf_operand *out, bool add, mcf_error *err);

// --- groups (group.c)

mcf_status ocl_group_create(mcf_device *const *devices, int count, double timeout_seconds, mcf_group **group,
                            mcf_error *err);
void ocl_group_destroy(mcf_group *group);
void ocl_group_abort(mcf_group *group, const char *reason);
mcf_status ocl_all_reduce(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                          mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype,
                          mcf_reduce reduce, mcf_error *err);
mcf_status ocl_all_gather(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                          mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_error *err);
mcf_status ocl_reduce_scatter(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                              mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype,
                              mcf_reduce reduce, mcf_error *err);
mcf_status ocl_broadcast(mcf_group *group, int rank, int root, mcf_stream *stream, mcf_buffer *to,
                         uint64_t to_offset, mcf_buffer *from, uint64_t from_offset, uint64_t count,
                         mcf_dtype dtype, mcf_error *err);
mcf_status ocl_barrier(mcf_group *group, int rank, mcf_stream *stream, mcf_error *err);

#endif
