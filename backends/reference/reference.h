// cpu-reference: the numerical oracle. One plain function per operation, on doubles, in the formula's order.
//
// launch.c reads every input into contiguous doubles (whatever its type and strides), calls ref_NAME, and
// rounds the outputs to their types once. So the functions hold formulas and nothing else.
#ifndef MCF_BACKENDS_REFERENCE_REFERENCE_H
#define MCF_BACKENDS_REFERENCE_REFERENCE_H

#include "backends/backend.h"
#include "backends/host/stream.h"
#include "backends/host/group.h"
#include "backends/host/memory.h"

struct mcf_device {
    int index;
};

struct mcf_buffer {
    void *data;
    uint64_t bytes;
};

struct mcf_group {
    mcf_host_group *host;
};

// A call in progress. Absent inputs are NULL; outputs are always there, zeroed, and stored only where wanted.
typedef struct {
    const mcf_launch *launch;
    double *in[MCF_MAX_INPUTS];
    double *out[MCF_MAX_OUTPUTS];
} ref_call;

#define MCF_OP(name, ...) mcf_status ref_##name(ref_call *call, mcf_error *err);
#include "ops/ops.def"

// Shape of an input or output, for short.
static inline const int64_t *ref_in_dim(const ref_call *call, int i)
{
    return call->launch->in[i].shape.dim;
}
static inline const int64_t *ref_out_dim(const ref_call *call, int i)
{
    return call->launch->out[i].shape.dim;
}
static inline int64_t ref_in_count(const ref_call *call, int i)
{
    return mcf_shape_count(&call->launch->in[i].shape);
}

double ref_gelu_value(double x);
// Writes softmax(x) to y where y is wanted (it may be x); returns the log of the sum of exponentials.
double ref_softmax_row(const double *x, int64_t n, double *y);
// labels[place]; fails where it is no class.
mcf_status ref_check_label(double label, int64_t classes, int64_t place, mcf_error *err);

// Channel c at (y, x) of an image [height, width, channels] resized bilinearly to to_height x to_width; and the way
// back: `value` is added to the pixels it comes from.
double ref_bilinear(const double *image, int64_t height, int64_t width, int64_t channels, int64_t y, int64_t x,
                    int64_t c, int64_t to_height, int64_t to_width);
void ref_bilinear_add(double *image, int64_t height, int64_t width, int64_t channels, int64_t y, int64_t x, int64_t c,
                      int64_t to_height, int64_t to_width, double value);

// Where buffer[offset, offset + bytes) does not lie in the buffer, fails with the numbers.
mcf_status ref_check_range(const mcf_buffer *buffer, uint64_t offset, uint64_t bytes, const char *what, mcf_error *err);

// A fresh array of doubles from an operand; NULL when out of memory.
double *ref_read(const mcf_operand *operand);
void ref_write(const mcf_operand *operand, const double *values, bool accumulate);

bool ref_supports(const mcf_device *device, const mcf_launch *launch);
mcf_status ref_launch(mcf_stream *stream, const mcf_launch *launch, mcf_error *err);

mcf_status ref_group_create(mcf_device *const *devices, int count, double timeout_seconds, mcf_group **group,
                            mcf_error *err);
void ref_group_destroy(mcf_group *group);
void ref_group_abort(mcf_group *group, const char *reason);
mcf_status ref_group_all_reduce(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                                mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype,
                                mcf_reduce reduce, mcf_error *err);
mcf_status ref_group_all_gather(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                                mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype,
                                mcf_error *err);
mcf_status ref_group_reduce_scatter(mcf_group *group, int rank, mcf_stream *stream, mcf_buffer *to, uint64_t to_offset,
                                    mcf_buffer *from, uint64_t from_offset, uint64_t count, mcf_dtype dtype,
                                    mcf_reduce reduce, mcf_error *err);
mcf_status ref_group_broadcast(mcf_group *group, int rank, int root, mcf_stream *stream, mcf_buffer *to,
                               uint64_t to_offset, mcf_buffer *from, uint64_t from_offset, uint64_t count,
                               mcf_dtype dtype, mcf_error *err);
mcf_status ref_group_barrier(mcf_group *group, int rank, mcf_stream *stream, mcf_error *err);

#endif
