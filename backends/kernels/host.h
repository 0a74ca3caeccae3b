// The host's side of the kernels in this folder: operations as calls of kernels and products, the same for every
// backend that runs them. op_*.c, call.c and launch.c are compiled into each such module; the module gives the
// functions under "what a backend gives".
#ifndef MCF_BACKENDS_KERNELS_HOST_H
#define MCF_BACKENDS_KERNELS_HOST_H

#include "backends/backend.h"

// --- calling kernels: begin, arguments in order, run

// A kernel of a file of this folder for these element types (DEV_NONE: not used) and definitions.
enum { DEV_NONE = -1 };
typedef struct {
    const char *file, *kernel;
    int t0, t1, t2, to;
    const char *defines; // more of them, "" for none
    int group;           // 0: the device's
} dev_kernel_key;

enum { DEV_ARGUMENTS = 40, DEV_ARGUMENT_BYTES = 768 };
typedef struct {
    mcf_stream *stream;
    void *kernel; // as the backend knows it
    const char *name;
    int next, code; // arguments so far, first failure
    size_t used;
    _Alignas(16) unsigned char bytes[DEV_ARGUMENT_BYTES];
    void *arguments[DEV_ARGUMENTS];
} dev_call;

void dev_int64(dev_call *call, int64_t value);
void dev_int(dev_call *call, int value);
void dev_float(dev_call *call, double value);
// Items along dimension 0 in groups that suit the device, rows along dimension 1 and 2.
mcf_status dev_run_items(dev_call *call, int64_t items, int64_t rows, int64_t planes, mcf_error *err);
// One group of the device's size for each line.
mcf_status dev_run_lines(dev_call *call, int64_t lines, mcf_error *err);
// Items along dimension 0 that take a strip of columns each.
mcf_status dev_run_strips(dev_call *call, int64_t columns, int64_t rows, int64_t planes, mcf_error *err);
int64_t dev_strips(const mcf_stream *stream, int64_t columns);
// Into how many chunks a sum over `terms` is cut, where `lines` sums run at once.
int64_t dev_chunks(const mcf_stream *stream, int64_t lines, int64_t terms);

// Steps of up to two inputs and an output over common dimensions; the struct `layout` of device.h.
typedef struct {
    int64_t rank;
    int64_t dim[6], a[6], b[6], out[6];
} dev_layout;
// Drops dimensions of one and joins neighbours that lie one behind the other in all three. Rank is at least 1.
void dev_layout_join(dev_layout *layout);
int64_t dev_layout_rows(const dev_layout *layout);

// --- products

typedef struct {
    int64_t row, column, batch0, batch1;
} dev_steps;

// A matrix for each batch (b0, b1); steps in elements from operand->offset.
typedef struct {
    const mcf_operand *operand;
    dev_steps steps;
} dev_matrix;

// c = act(alpha a b + bias) (+ c)
typedef struct {
    dev_matrix a, b, c;
    int64_t batch0, batch1, m, n, k;
    double alpha;
    const mcf_operand *bias; // NULL: none
    int activation;
    bool add;
} dev_product;

// --- what a backend gives

typedef struct {
    int group;               // items that share a line
    int strip;               // columns an item sums
    int local;               // items of a group of elementwise kernels
    int units;               // cores or multiprocessors
    int group_max;           // most items of a group
    bool attention_products; // attention as products and a softmax, not by its own kernels
} dev_sizes;
dev_sizes dev_sizes_of(const mcf_stream *stream);
extern const char *const dev_backend_name;

mcf_status dev_begin(dev_call *call, mcf_stream *stream, const dev_kernel_key *key, mcf_error *err);
void dev_operand(dev_call *call, const mcf_operand *operand); // absent: stands for nothing
void dev_bytes(dev_call *call, const void *value, size_t bytes);
// Groups of `local` items in each dimension; nothing is run where a number of groups is 0.
mcf_status dev_run(dev_call *call, const size_t local[3], int64_t groups0, int64_t groups1, int64_t groups2,
                   mcf_error *err);
mcf_status dev_multiply(mcf_stream *stream, const dev_product *product, mcf_error *err);
// Scratch number `slot` (0 to 3) of a stream with room for so many floats; its contents are anything. Products may
// use 1 and 2.
mcf_status dev_scratch(mcf_stream *stream, int slot, uint64_t floats, mcf_operand *operand, mcf_error *err);
mcf_status dev_copy(mcf_stream *stream, mcf_buffer *to, uint64_t to_offset, mcf_buffer *from, uint64_t from_offset,
                    uint64_t bytes, mcf_error *err);
mcf_status dev_zero(mcf_stream *stream, mcf_buffer *buffer, uint64_t offset, uint64_t bytes, mcf_error *err);
uint64_t dev_buffer_bytes(const mcf_buffer *buffer);

typedef mcf_status (*dev_operation)(mcf_stream *stream, const mcf_launch *launch, mcf_error *err);
// The backend's own way to do a launch, its operands checked before; NULL: the shared one.
dev_operation dev_own(const mcf_stream *stream, const mcf_launch *launch);

// --- operations (launch.c, op_*.c)

#define MCF_OP(name, ...) mcf_status dev_op_##name(mcf_stream *stream, const mcf_launch *launch, mcf_error *err);
#include "ops/ops.def"
bool dev_supports(const mcf_device *device, const mcf_launch *launch);
mcf_status dev_launch(mcf_stream *stream, const mcf_launch *launch, mcf_error *err);
mcf_status dev_check_range(const mcf_buffer *buffer, uint64_t offset, uint64_t bytes, const char *what, mcf_error *err);
bool dev_present(const mcf_launch *launch, int input);
bool dev_wanted(const mcf_launch *launch, int output);

// scale * sum over R of x [O,R,C], contiguous.
mcf_status dev_sum(mcf_stream *stream, const mcf_operand *x, int64_t outer, int64_t rows, int64_t columns, double scale,
                   const mcf_operand *out, bool add, mcf_error *err);

#endif
