// reduce_sum, sum_squares, and the sums that other operations need.
#include "backends/kernels/host.h"

#include <string.h>

// Lines of `width` elements: a sum for each chunk of a line.
static mcf_status lines(mcf_stream *stream, const char *kernel, const mcf_operand *x, int64_t count, int64_t width,
                        int64_t chunks, double scale, const mcf_operand *out, bool add, mcf_error *err)
{
    int64_t length = (width + chunks - 1) / chunks;
    dev_kernel_key key = {"reduce.cl", kernel, x->dtype, DEV_NONE, DEV_NONE, out->dtype, "", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, x);
    dev_operand(&call, out);
    dev_int64(&call, width);
    dev_int64(&call, length > 0 ? length : 1);
    dev_int64(&call, chunks);
    dev_float(&call, scale);
    dev_int(&call, add);
    return dev_run_lines(&call, count * chunks, err);
}

// Each group of the device takes a chunk, where lines are few.
static mcf_status sum_lines(mcf_stream *stream, const char *kernel, const mcf_operand *x, int64_t count, int64_t width,
                            double scale, const mcf_operand *out, bool add, mcf_error *err)
{
    int64_t chunks = dev_chunks(stream, count * dev_sizes_of(stream).group, width);
    if (chunks > 1)
        chunks = (width + (width + chunks - 1) / chunks - 1) / ((width + chunks - 1) / chunks);
    if (chunks <= 1)
        return lines(stream, kernel, x, count, width, 1, scale, out, add, err);
    mcf_operand part;
    MCF_TRY(dev_scratch(stream, 3, (uint64_t)(count * chunks), &part, err));
    MCF_TRY(lines(stream, kernel, x, count, width, chunks, 1, &part, false, err));
    return lines(stream, "reduce_lines", &part, count, chunks, 1, scale, out, add, err);
}

static mcf_status columns(mcf_stream *stream, const mcf_operand *x, int64_t outer, int64_t rows, int64_t width,
                          int64_t chunks, double scale, const mcf_operand *out, bool add, mcf_error *err)
{
    dev_kernel_key key = {"reduce.cl", "reduce_columns", x->dtype, DEV_NONE, DEV_NONE, out->dtype, "", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, x);
    dev_operand(&call, out);
    dev_int64(&call, rows);
    dev_int64(&call, width);
    dev_int64(&call, (rows + chunks - 1) / chunks);
    dev_float(&call, scale);
    dev_int(&call, add);
    return dev_run_strips(&call, width, chunks, outer, err);
}

mcf_status dev_sum(mcf_stream *stream, const mcf_operand *x, int64_t outer, int64_t rows, int64_t width, double scale,
                   const mcf_operand *out, bool add, mcf_error *err)
{
    if (width == 1)
        return sum_lines(stream, "reduce_lines", x, outer, rows, scale, out, add, err);
    int64_t chunks = dev_chunks(stream, outer * dev_strips(stream, width), rows);
    if (chunks <= 1)
        return columns(stream, x, outer, rows, width, 1, scale, out, add, err);
    mcf_operand part;
    MCF_TRY(dev_scratch(stream, 3, (uint64_t)(outer * chunks * width), &part, err));
    MCF_TRY(columns(stream, x, outer, rows, width, chunks, 1, &part, false, err));
    return columns(stream, &part, outer, chunks, width, 1, scale, out, add, err);
}

// The shape as [outer, rows, width] with the sum over rows, where it is that.
static bool as_rows(const mcf_launch *l, int64_t *outer, int64_t *rows, int64_t *width)
{
    const mcf_operand *x = &l->in[REDUCE_SUM_IN_x];
    uint32_t axes = l->attr.reduce_sum.axes;
    int stage = 0; // before, within and behind the axes that are summed
    *outer = *rows = *width = 1;
    if (!mcf_operand_is_contiguous(x))
        return false;
    for (int i = 0; i < x->shape.rank; i++) {
        bool summed = axes >> i & 1;
        int64_t n = x->shape.dim[i];
        if (n == 1)
            continue;
        if (summed && stage == 2)
            return false;
        if (summed)
            stage = 1;
        else if (stage == 1)
            stage = 2;
        *(stage == 0 ? outer : stage == 1 ? rows : width) *= n;
    }
    return true;
}

mcf_status dev_op_reduce_sum(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[REDUCE_SUM_IN_x], *out = &l->out[REDUCE_SUM_OUT_out];
    const double scale = l->attr.reduce_sum.scale;
    const bool add = l->accumulate & 1;
    const int64_t count = mcf_shape_count(&out->shape);
    int64_t outer, rows, width;
    if (!count)
        return MCF_OK;
    if (as_rows(l, &outer, &rows, &width))
        return dev_sum(stream, x, outer, rows, width, scale, out, add, err);
    dev_layout kept = {0}, summed = {0};
    int64_t terms = 1;
    for (int i = 0; i < x->shape.rank; i++) {
        dev_layout *to = l->attr.reduce_sum.axes >> i & 1 ? &summed : &kept;
        to->dim[to->rank] = x->shape.dim[i];
        to->a[to->rank++] = x->stride[i];
        if (to == &summed)
            terms *= x->shape.dim[i];
    }
    dev_kernel_key key = {"reduce.cl", "reduce_any", x->dtype, DEV_NONE, DEV_NONE, out->dtype, "", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, x);
    dev_operand(&call, out);
    dev_bytes(&call, &kept, sizeof kept);
    dev_bytes(&call, &summed, sizeof summed);
    dev_int64(&call, count);
    dev_int64(&call, terms);
    dev_float(&call, scale);
    dev_int(&call, add);
    return dev_run_items(&call, count, 1, 1, err);
}

mcf_status dev_op_sum_squares(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    return sum_lines(stream, "reduce_squares", &l->in[SUM_SQUARES_IN_x], 1,
                     mcf_shape_count(&l->in[SUM_SQUARES_IN_x].shape), 1, &l->out[SUM_SQUARES_OUT_out], false, err);
}
