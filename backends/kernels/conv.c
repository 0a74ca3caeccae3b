// conv2d and its gradients, as products of the backend: rows of what each pixel sees, written a piece at a time into
// scratch, with the weight, whose axes are brought into the same order first. Pieces bound the memory: all rows of a
// 3 x 3 convolution are nine times the image. Sums go over the kernel's whole depth in one product, in fp32, where nine
// products at shifted places would round a 16-bit result after each.
#include "backends/kernels/host.h"

#include <limits.h>

#include "backends/kernels/conv_pieces.h"

// The struct `convolution` of conv.cl.
typedef struct {
    int64_t height, width, channels, out_height, out_width, rows, columns, stride, pad, groups, outputs, first;
} convolution;

// Scratch of products is 1 and 2.
enum { SCRATCH_COLUMNS = 0, SCRATCH_WEIGHT = 3 };

static convolution shape_of(const mcf_launch *l, const mcf_operand *x, const mcf_operand *weight, const mcf_operand *y)
{
    return (convolution){.height = x->shape.dim[1],
                         .width = x->shape.dim[2],
                         .channels = x->shape.dim[3],
                         .out_height = y->shape.dim[1],
                         .out_width = y->shape.dim[2],
                         .rows = weight->shape.dim[2],
                         .columns = weight->shape.dim[3],
                         .stride = l->attr.conv2d.stride,
                         .pad = l->attr.conv2d.pad,
                         .groups = l->attr.conv2d.groups,
                         .outputs = y->shape.dim[3]};
}

static int64_t piece_of(const mcf_stream *stream, int64_t total, int64_t depth, mcf_dtype dtype)
{
    return dev_conv_piece(dev_sizes_of(stream).group, total, depth, (int64_t)mcf_dtype_size(dtype));
}

static mcf_status scratch_of(mcf_stream *stream, int slot, int64_t elements, mcf_dtype dtype, mcf_operand *operand,
                             mcf_error *err)
{
    const uint64_t bytes = (uint64_t)elements * mcf_dtype_size(dtype);
    MCF_TRY(dev_scratch(stream, slot, (bytes + sizeof(float) - 1) / sizeof(float), operand, err));
    operand->dtype = dtype;
    operand->shape = MCF_SHAPE(elements);
    return MCF_OK;
}

// Pixels are made of whole words, and 32 bits count all of them.
static bool in_words(const mcf_operand *from, const convolution *k)
{
    const int64_t images = from->shape.dim[0], word = (int64_t)sizeof(int64_t), most = INT_MAX / (images ? images : 1);
    return k->channels * (int64_t)mcf_dtype_size(from->dtype) % word == 0 && from->offset % sizeof(int64_t) == 0 &&
           k->height * k->width <= most && k->out_height * k->out_width <= most;
}

static mcf_status columns_in_words(mcf_stream *stream, bool back, const mcf_operand *from, const mcf_operand *to,
                                   const convolution *k, int64_t count, mcf_error *err)
{
    dev_kernel_key key = {"conv.cl",
                          back ? "columns_back_words" : "columns_words",
                          DEV_NONE,
                          DEV_NONE,
                          DEV_NONE,
                          DEV_NONE,
                          "-DMCF_COLUMNS_WORDS",
                          0};
    mcf_operand words = *from, out = *to;
    convolution of = *k;
    dev_call call;
    of.channels = k->channels * (int64_t)mcf_dtype_size(from->dtype) / (int64_t)sizeof(int64_t);
    words.dtype = out.dtype = MCF_I64;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, &words);
    dev_operand(&call, &out);
    dev_bytes(&call, &of, sizeof of);
    return dev_run_lines(&call, count, err);
}

// Fills `to` with rows [k->first, k->first + count).
static mcf_status columns(mcf_stream *stream, bool back, const mcf_operand *from, const mcf_operand *to,
                          const convolution *k, int64_t count, mcf_error *err)
{
    dev_kernel_key key = {
        "conv.cl", back ? "columns_back" : "columns", from->dtype, DEV_NONE, DEV_NONE, to->dtype, "-DMCF_COLUMNS", 0};
    dev_call call;
    if (in_words(from, k))
        return columns_in_words(stream, back, from, to, k, count, err);
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, from);
    dev_operand(&call, to);
    dev_bytes(&call, k, sizeof *k);
    return dev_run_lines(&call, count * k->rows * k->columns, err);
}

// The weight [O,C,kh,kw] as [O,kh,kw,C], or with `taps_first` as [kh,kw,O,C], in scratch.
static mcf_status order_weight(mcf_stream *stream, const mcf_operand *weight, bool taps_first, mcf_operand *ordered,
                               mcf_error *err)
{
    const int64_t *dim = weight->shape.dim, taps = dim[2] * dim[3];
    dev_kernel_key key = {"conv.cl", "order_weight", weight->dtype,   DEV_NONE,
                          DEV_NONE,  weight->dtype,  "-DMCF_COLUMNS", 0};
    dev_call call;
    MCF_TRY(scratch_of(stream, SCRATCH_WEIGHT, dim[0] * dim[1] * taps, weight->dtype, ordered, err));
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, weight);
    dev_operand(&call, ordered);
    dev_int64(&call, dim[0] * dim[1]);
    dev_int64(&call, dim[1]);
    dev_int64(&call, taps);
    dev_int64(&call, taps_first ? dim[1] : taps * dim[1]);
    dev_int64(&call, taps_first ? dim[0] * dim[1] : dim[1]);
    return dev_run_items(&call, dim[0] * dim[1], 1, 1, err);
}

// The gradient [O,kh,kw,C] in scratch to its place.
static mcf_status order_gradient(mcf_stream *stream, const mcf_operand *sums, const mcf_operand *dweight, bool add,
                                 mcf_error *err)
{
    const int64_t *dim = dweight->shape.dim;
    dev_kernel_key key = {"conv.cl", "order_gradient", sums->dtype,     DEV_NONE,
                          DEV_NONE,  dweight->dtype,   "-DMCF_COLUMNS", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, sums);
    dev_operand(&call, dweight);
    dev_int64(&call, dim[0] * dim[1]);
    dev_int64(&call, dim[1]);
    dev_int64(&call, dim[2] * dim[3]);
    dev_int(&call, add);
    return dev_run_items(&call, dim[0] * dim[1], 1, 1, err);
}

static void move_rows(mcf_operand *operand, int64_t elements)
{
    operand->offset += (size_t)elements * mcf_dtype_size(operand->dtype);
}

// out [pixels, n] = columns of `from` times weight [depth, n] (steps in `b`), a piece after the other.
static mcf_status multiply_columns(mcf_stream *stream, bool back, const mcf_operand *from, convolution k, dev_matrix b,
                                   int64_t n, const mcf_operand *bias, const mcf_operand *out, mcf_error *err)
{
    const int64_t pixels = mcf_shape_count(&out->shape) / n, depth = k.rows * k.columns * k.channels;
    const int64_t piece = piece_of(stream, pixels, depth, from->dtype);
    mcf_operand rows;
    MCF_TRY(scratch_of(stream, SCRATCH_COLUMNS, piece * depth, from->dtype, &rows, err));
    for (k.first = 0; k.first < pixels; k.first += piece) {
        const int64_t count = pixels - k.first < piece ? pixels - k.first : piece;
        mcf_operand c = *out;
        move_rows(&c, k.first * n);
        const dev_product product = {.a = {&rows, {depth, 1, 0, 0}},
                                     .b = b,
                                     .c = {&c, {n, 1, 0, 0}},
                                     .batch0 = 1,
                                     .batch1 = 1,
                                     .m = count,
                                     .n = n,
                                     .k = depth,
                                     .alpha = 1,
                                     .bias = bias};
        MCF_TRY(columns(stream, back, from, &rows, &k, count, err));
        MCF_TRY(dev_multiply(stream, &product, err));
    }
    return MCF_OK;
}

static mcf_status begin_grouped(dev_call *call, mcf_stream *stream, const char *kernel, mcf_dtype t0, mcf_dtype t1,
                                mcf_dtype to, mcf_error *err)
{
    dev_kernel_key key = {"conv.cl", kernel, t0, t1, DEV_NONE, to, "-DMCF_GROUPED", 0};
    return dev_begin(call, stream, &key, err);
}

mcf_status dev_op_conv2d(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[CONV2D_IN_x], *weight = &l->in[CONV2D_IN_weight], *y = &l->out[CONV2D_OUT_y];
    const mcf_operand *bias = dev_present(l, CONV2D_IN_bias) ? &l->in[CONV2D_IN_bias] : NULL;
    const convolution k = shape_of(l, x, weight, y);
    if (!mcf_shape_count(&y->shape))
        return MCF_OK;
    if (k.groups > 1) {
        dev_call call;
        MCF_TRY(begin_grouped(&call, stream, "grouped", x->dtype, weight->dtype, y->dtype, err));
        dev_operand(&call, x);
        dev_operand(&call, weight);
        dev_operand(&call, bias);
        dev_operand(&call, y);
        dev_bytes(&call, &k, sizeof k);
        dev_int(&call, bias != NULL);
        return dev_run_items(&call, k.out_width * k.outputs, k.out_height, y->shape.dim[0], err);
    }
    const int64_t depth = k.rows * k.columns * k.channels;
    mcf_operand ordered;
    MCF_TRY(order_weight(stream, weight, false, &ordered, err));
    return multiply_columns(stream, false, x, k, (dev_matrix){&ordered, {1, depth, 0, 0}}, k.outputs, bias, y, err);
}

mcf_status dev_op_conv2d_grad_x(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *dy = &l->in[CONV2D_GRAD_X_IN_dy], *weight = &l->in[CONV2D_GRAD_X_IN_weight];
    const mcf_operand *dx = &l->out[CONV2D_GRAD_X_OUT_dx];
    convolution k = shape_of(l, dx, weight, dy);
    if (!mcf_shape_count(&dx->shape))
        return MCF_OK;
    if (k.groups > 1) {
        dev_call call;
        MCF_TRY(begin_grouped(&call, stream, "grouped_grad_x", dy->dtype, weight->dtype, dx->dtype, err));
        dev_operand(&call, dy);
        dev_operand(&call, weight);
        dev_operand(&call, dx);
        dev_bytes(&call, &k, sizeof k);
        return dev_run_items(&call, k.width * k.channels, k.height, dx->shape.dim[0], err);
    }
    const int64_t channels = k.channels;
    mcf_operand ordered;
    MCF_TRY(order_weight(stream, weight, true, &ordered, err));
    k.channels = k.outputs; // of what the rows are made of
    return multiply_columns(stream, true, dy, k, (dev_matrix){&ordered, {channels, 1, 0, 0}}, channels, NULL, dx, err);
}

static mcf_status grouped_grad_weight(mcf_stream *stream, const mcf_operand *x, const mcf_operand *dy,
                                      const convolution *k, const mcf_operand *dweight, bool add, mcf_error *err)
{
    const int64_t elements = mcf_shape_count(&dweight->shape), rows = dy->shape.dim[0] * k->out_height;
    mcf_operand part;
    dev_call call;
    MCF_TRY(dev_scratch(stream, SCRATCH_COLUMNS, (uint64_t)(rows * elements), &part, err));
    dev_kernel_key key = {"conv.cl", "grouped_grad_weight",  x->dtype, dy->dtype, DEV_NONE,
                          DEV_NONE,  "-DMCF_GROUPED_WEIGHT", 0};
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, x);
    dev_operand(&call, dy);
    dev_operand(&call, &part);
    dev_bytes(&call, k, sizeof *k);
    dev_int64(&call, elements);
    MCF_TRY(dev_run_items(&call, elements, rows, 1, err));
    return dev_sum(stream, &part, 1, rows, elements, 1, dweight, add, err);
}

mcf_status dev_op_conv2d_grad_weight(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[CONV2D_GRAD_WEIGHT_IN_x], *dy = &l->in[CONV2D_GRAD_WEIGHT_IN_dy];
    const mcf_operand *dweight = &l->out[CONV2D_GRAD_WEIGHT_OUT_dweight];
    const bool add = l->accumulate >> CONV2D_GRAD_WEIGHT_OUT_dweight & 1u;
    convolution k = shape_of(l, x, dweight, dy);
    const int64_t depth = k.rows * k.columns * k.channels, pixels = mcf_shape_count(&dy->shape) / k.outputs;
    if (!pixels)
        return add ? MCF_OK
                   : dev_zero(stream, dweight->buffer, dweight->offset,
                              (uint64_t)mcf_shape_count(&dweight->shape) * mcf_dtype_size(dweight->dtype), err);
    if (k.groups > 1)
        return grouped_grad_weight(stream, x, dy, &k, dweight, add, err);
    const int64_t piece = piece_of(stream, pixels, depth, x->dtype);
    mcf_operand rows, sums; // sums [O,kh,kw,C]
    MCF_TRY(scratch_of(stream, SCRATCH_COLUMNS, piece * depth, x->dtype, &rows, err));
    MCF_TRY(scratch_of(stream, SCRATCH_WEIGHT, k.outputs * depth, MCF_F32, &sums, err));
    for (k.first = 0; k.first < pixels; k.first += piece) {
        const int64_t count = pixels - k.first < piece ? pixels - k.first : piece;
        mcf_operand a = *dy;
        move_rows(&a, k.first * k.outputs);
        const dev_product product = {.a = {&a, {1, k.outputs, 0, 0}},
                                     .b = {&rows, {depth, 1, 0, 0}},
                                     .c = {&sums, {depth, 1, 0, 0}},
                                     .batch0 = 1,
                                     .batch1 = 1,
                                     .m = k.outputs,
                                     .n = depth,
                                     .k = count,
                                     .alpha = 1,
                                     .add = k.first > 0};
        MCF_TRY(columns(stream, false, x, &rows, &k, count, err));
        MCF_TRY(dev_multiply(stream, &product, err));
    }
    return order_gradient(stream, &sums, dweight, add, err);
}
