// Private to backends/cuda: devices, memory, streams, kernels and products by cuBLAS. The same files compile against
// the emulator of tests/cuda_emulator.
#ifndef MCF_BACKENDS_CUDA_CUDA_H
#define MCF_BACKENDS_CUDA_CUDA_H

#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include "backends/cuda/fits.h"
#include "backends/cuda/kernel_table.h"
#include "backends/host/group.h"
#include "backends/kernels/host.h"

// --- errors

mcf_status cuda_fail(mcf_error *err, cudaError_t code, const char *what);
#define CUDA_TRY(call, what, err)                                                                                      \
    do {                                                                                                               \
        cudaError_t cuda_code = (call);                                                                                \
        if (cuda_code != cudaSuccess)                                                                                  \
            return cuda_fail(err, cuda_code, what);                                                                    \
    } while (0)

// --- devices (devices.c)

// A group's watch over its devices (watch.c): after how long their work counts as hanging, who is told, and who names
// the devices that are late.
typedef struct {
    double seconds;
    mcf_host_group *host; // broken or not, and the one to break
    mcf_device *const *devices;
    int count;
    const mcf_group *group; // what `late` is asked with
    // Numbers of the devices on which the others wait; "" where none does.
    void (*late)(const mcf_group *group, char *text, size_t size);
} cuda_watch;

struct mcf_device {
    int index;
    struct cudaDeviceProp properties;
    int generation; // major of what the kernels were compiled for as this device runs them: PTX may be of older cards
    const cuda_watch *watch; // NULL: not watched, for nobody would be told
    _Atomic bool lost;       // see cuda_lost
};
// Whether its work may never end: it hangs, or may wait for one that does. Nothing waits for it any more, and nothing of
// it is freed, for that would wait.
bool cuda_lost(const mcf_device *device);

struct mcf_buffer {
    mcf_device *device;
    void *memory;
    uint64_t bytes;
};

enum { CUDA_SCRATCH = 4, CUDA_PIECES = 32 };

// What is on its way from the host (upload.c).
typedef struct {
    uint64_t at, bytes;        // in the ring
    cudaEvent_t arrived, left; // copied into the ring on the device; copied out of it
} cuda_piece;
typedef struct {
    cudaStream_t stream;
    void *pinned, *device;
    uint64_t bytes, head;
    cuda_piece pieces[CUDA_PIECES];
    int first, count;
} cuda_uploads;

// For cuBLAS: 32 MiB from sm_90 on and more than its least of 4 MiB before (cuBLAS, cublasSetWorkspace). Asked for once,
// so that the choice of algorithms does not change.
size_t cuda_workspace_bytes(const mcf_device *device);

typedef struct cuda_lt_plan cuda_lt_plan;

struct mcf_stream {
    mcf_device *device;
    cudaStream_t stream;
    cublasHandle_t cublas;
    cublasLtHandle_t lt;
    mcf_buffer *workspace; // of products
    cuda_lt_plan *plans;   // of products by cublasLt (matmul_lt.c)
    int plan_count, plan_next;
    mcf_buffer *scratch[CUDA_SCRATCH]; // of the operation that runs; in order, so one is enough
    uint64_t scratch_generation;       // grows when a scratch moves
    bool capturing;                    // between capture_begin and capture_end (capture.c)
    cuda_uploads uploads;
};

struct mcf_event {
    mcf_device *device;
    cudaEvent_t event;
};

mcf_status cuda_probe(mcf_error *err);
int cuda_device_count(void);
mcf_status cuda_device_info(int index, mcf_device_info *info, mcf_error *err);
mcf_status cuda_device_open(int index, const mcf_device_options *options, mcf_device **device, mcf_error *err);
void cuda_device_close(mcf_device *device);
// Makes it the calling thread's.
mcf_status cuda_use(const mcf_device *device, mcf_error *err);

// --- memory and streams (memory.c, upload.c, stream.c, watch.c)

mcf_status cuda_buffer_create(mcf_device *device, uint64_t bytes, mcf_buffer **buffer, mcf_error *err);
void cuda_buffer_destroy(mcf_buffer *buffer);
void *cuda_buffer_host(mcf_buffer *buffer);
mcf_status cuda_host_create(mcf_device *device, uint64_t bytes, void **memory, mcf_error *err);
void cuda_host_destroy(mcf_device *device, void *memory);
mcf_status cuda_upload(mcf_stream *stream, mcf_buffer *to, uint64_t offset, const void *from, uint64_t bytes,
                       mcf_error *err);
void cuda_uploads_free(mcf_stream *stream);
mcf_status cuda_download(mcf_stream *stream, void *to, mcf_buffer *from, uint64_t offset, uint64_t bytes,
                         mcf_error *err);

mcf_status cuda_stream_create(mcf_device *device, mcf_stream **stream, mcf_error *err);
void cuda_stream_destroy(mcf_stream *stream);
mcf_status cuda_stream_synchronize(mcf_stream *stream, mcf_error *err);
// Waits for an event, or for all of the stream where that is NULL. MCF_ERR_DEVICE with the number of the device where
// the watch of a group runs out, or when the group has broken.
mcf_status cuda_wait(mcf_device *device, cudaStream_t stream, cudaEvent_t event, const char *what, mcf_error *err);
mcf_status cuda_event_create(mcf_device *device, mcf_event **event, mcf_error *err);
void cuda_event_destroy(mcf_event *event);
mcf_status cuda_event_record(mcf_stream *stream, mcf_event *event, mcf_error *err);
mcf_status cuda_event_wait(mcf_stream *stream, mcf_event *event, mcf_error *err);
mcf_status cuda_event_query(mcf_event *event, bool *done, mcf_error *err);

// --- operations and kernels (call.c)

bool cuda_supports(const mcf_device *device, const mcf_launch *launch);
// Looks at the kernels as the current device will run them, and lets those of attention have as much of the first cache
// for shared memory as there is.
mcf_status cuda_prepare_kernels(mcf_device *device, mcf_error *err);
cudaDataType cuda_type(mcf_dtype dtype);
// Of an element of the operand, counted from its offset.
void *cuda_address(const mcf_operand *operand, int64_t elements);

// --- products (matmul.c, matmul_lt.c)

// Row-major c [m,n] = alpha a b + bias, then ReLU; turned: the operand lies with its columns one behind the other. No
// gaps, for plans are found by their bytes.
typedef struct {
    int m, n, k, turn_a, turn_b, ld_a, ld_b, ld_c, type, type_c, bias, relu;
} cuda_lt_product;
// done: false where cublasLt has no way to do it; then nothing has happened.
mcf_status cuda_lt_multiply(mcf_stream *stream, const cuda_lt_product *product, const mcf_operand *a,
                            const mcf_operand *b, const mcf_operand *c, const mcf_operand *bias, double alpha,
                            bool *done, mcf_error *err);
void cuda_lt_forget(mcf_stream *stream);

// --- captures (capture.c)

mcf_status cuda_capture_create(mcf_stream *stream, mcf_capture **capture, mcf_error *err);
void cuda_capture_destroy(mcf_capture *capture);
mcf_status cuda_capture_begin(mcf_capture *capture, bool *launch, mcf_error *err);
mcf_status cuda_capture_end(mcf_capture *capture, mcf_error *err);

// --- operations with kernels of their own (own.c chooses)

mcf_status cuda_attention(mcf_stream *stream, const mcf_launch *launch, mcf_error *err);
mcf_status cuda_attention_grad(mcf_stream *stream, const mcf_launch *launch, mcf_error *err);
mcf_status cuda_layer_norm(mcf_stream *stream, const mcf_launch *launch, mcf_error *err); // and add_layer_norm
mcf_status cuda_layer_norm_grad(mcf_stream *stream, const mcf_launch *launch, mcf_error *err);
mcf_status cuda_gelu(mcf_stream *stream, const mcf_launch *launch, mcf_error *err); // and gelu_grad
mcf_status cuda_column_sums(mcf_stream *stream, const mcf_launch *launch, mcf_error *err);

// --- groups (group.c)

mcf_status cuda_group_create(mcf_device *const *devices, int count, double timeout_seconds, mcf_group **group,
                             mcf_error *err);
void cuda_group_destroy(mcf_group *group);
void cuda_group_abort(mcf_group *group, const char *reason);
mcf_status cuda_group_describe(const int *devices, int count, char *text, size_t size, mcf_error *err);
cuda_link cuda_link_between(int device, int other);
mcf_status cuda_all_reduce(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                           mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_reduce reduce,
                           mcf_error *err);
mcf_status cuda_all_gather(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                           mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_error *err);
mcf_status cuda_reduce_scatter(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                               mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype,
                               mcf_reduce reduce, mcf_error *err);
mcf_status cuda_broadcast(mcf_group *group, int rank, int root, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                          mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype, mcf_error *err);
mcf_status cuda_barrier(mcf_group *group, int rank, mcf_stream *stream, mcf_error *err);

#endif
