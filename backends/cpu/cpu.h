// What the files of the cpu backend share: its objects, scratch memory, and lines of operands.
//
// An operation walks its operands in lines of at most MCF_CPU_LINE elements along the last axis. A line is brought
// to floats in the nearest cache, worked on by the kernels of the instruction set, and put back in its own type; so
// every operation takes f32, bf16 and f16 operands in any mixture with one loop.
//
// Work is done at once, by the calling thread and its OpenMP team. Lines are dealt to threads in fixed shares, sums
// are formed per share and then in the order of shares: the same bits for the same number of threads.
#ifndef MCF_BACKENDS_CPU_CPU_H
#define MCF_BACKENDS_CPU_CPU_H

#include "backends/backend.h"
#include "backends/host/stream.h"
#include "backends/cpu/kernels.h"

enum { MCF_CPU_LINE = 512 };

struct mcf_cpu_onednn; // onednn.h: products

struct mcf_device {
    int index, threads;
    const mcf_cpu_kernels *kernels;
    struct mcf_cpu_onednn *onednn;
    void *scratch;
    size_t scratch_bytes;
};

struct mcf_buffer {
    mcf_device *device;
    uint64_t bytes;
    unsigned char *data;
};

// 64-byte aligned memory; zeroed lazily by the system, in large pages where it has them. NULL: none left.
void *mcf_cpu_allocate(size_t bytes);
void mcf_cpu_release(void *memory, size_t bytes);

// Under a limit of the address space (ulimit -v): that `bytes` more can be had now. oneDNN and the OpenMP library do not
// check all that they ask for, and what they ask for is not much. MCF_ERR_NOMEM.
mcf_status mcf_cpu_check_room(size_t bytes, mcf_error *err);
enum { MCF_CPU_ROOM = 16 << 20 }; // what a launch may take beside its buffers: a primitive's code, a scratchpad

// Memory for one launch; valid until the next call. Grows to the largest request and stays.
mcf_status mcf_cpu_scratch(mcf_device *device, size_t bytes, void **memory, mcf_error *err);

static inline unsigned char *mcf_cpu_address(const mcf_operand *operand)
{
    return operand->buffer ? operand->buffer->data + operand->offset : NULL;
}

static inline bool mcf_cpu_has_input(const mcf_launch *launch, int i)
{
    return i < launch->n_in && launch->in[i].buffer;
}

static inline bool mcf_cpu_has_output(const mcf_launch *launch, int i)
{
    return i < launch->n_out && launch->out[i].buffer;
}

static inline int64_t mcf_cpu_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t mcf_cpu_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

// [begin, end) of `count` things for share `i` of `shares`, equal to within one.
static inline void mcf_cpu_share(int64_t count, int64_t shares, int64_t i, int64_t *begin, int64_t *end)
{
    int64_t each = count / shares, more = count % shares;
    *begin = i * each + mcf_cpu_min(i, more);
    *end = *begin + each + (i < more);
}

// Threads worth waking for `elements` of light work.
static inline int mcf_cpu_team(const mcf_device *device, int64_t elements)
{
    return elements < 8192 ? 1 : device->threads;
}

// --- lines (lines.c). Addresses are of the first element, strides in elements.

// The n floats at `from`: itself where they are contiguous f32, else converted into `room` (n floats).
const float *mcf_cpu_read(const mcf_cpu_kernels *k, float *room, const void *from, mcf_dtype dtype, int64_t stride,
                          int64_t n);
// Where a line of `dtype` at `to` can be formed: `to` itself if it is f32, else `room`.
float *mcf_cpu_place(float *room, void *to, mcf_dtype dtype);
// Puts a line formed in mcf_cpu_place's answer into contiguous `to`.
void mcf_cpu_write(const mcf_cpu_kernels *k, void *to, mcf_dtype dtype, const float *line, int64_t n);
// Copies a line between any strides; types are equal, or both are floats.
void mcf_cpu_copy_line(const mcf_cpu_kernels *k, void *to, mcf_dtype to_dtype, int64_t to_stride, const void *from,
                       mcf_dtype from_dtype, int64_t from_stride, int64_t n);
// Scratch for `lines` whole rows of `columns` floats for each thread.
mcf_status mcf_cpu_row_room(mcf_device *device, int64_t columns, int lines, float **room, mcf_error *err);
float mcf_cpu_read_one(const void *from, mcf_dtype dtype);

static inline unsigned char *mcf_cpu_at(const mcf_operand *operand, int64_t element)
{
    return mcf_cpu_address(operand) + element * (int64_t)mcf_dtype_size(operand->dtype);
}

// Copies the elements of `shape` between two strided places with the team; types as for mcf_cpu_copy_line.
void mcf_cpu_copy_strided(const mcf_device *device, const mcf_shape *shape, void *to, mcf_dtype to_dtype,
                          const int64_t *to_stride, const void *from, mcf_dtype from_dtype, const int64_t *from_stride,
                          bool accumulate);

// --- operations: one function per row of ops.def, in the file of its subject
typedef mcf_status (*mcf_cpu_operation)(mcf_device *device, const mcf_launch *launch, mcf_error *err);
#define MCF_OP(name, ...) mcf_status mcf_cpu_op_##name(mcf_device *device, const mcf_launch *launch, mcf_error *err);
#include "ops/ops.def"

#endif
