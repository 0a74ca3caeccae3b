// fill, copy, pad, concat, gather_rows, scatter_rows.
#include "backends/kernels/host.h"

#include <string.h>

mcf_status dev_op_fill(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *out = &l->out[FILL_OUT_out];
    const int64_t count = mcf_shape_count(&out->shape);
    const double value = l->attr.fill.value;
    dev_kernel_key key = {"movement.cl", "fill", DEV_NONE, DEV_NONE, DEV_NONE, out->dtype, "", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, out);
    dev_int64(&call, count);
    switch (out->dtype) {
    case MCF_F64:
        dev_bytes(&call, &value, sizeof value);
        break;
    case MCF_I64:
        dev_int64(&call, (int64_t)value);
        break;
    case MCF_I32:
        dev_int(&call, (int)value);
        break;
    case MCF_U8:
        dev_bytes(&call, &(uint8_t){(uint8_t)value}, 1);
        break;
    default:
        dev_float(&call, value);
    }
    return dev_run_items(&call, count, 1, 1, err);
}

// x with its steps to out at `to` elements with steps `out_step`.
static mcf_status copy_into(mcf_stream *stream, const mcf_operand *x, const mcf_operand *out, int64_t to,
                            const int64_t *out_step, bool add, mcf_error *err)
{
    const int64_t count = mcf_shape_count(&x->shape);
    if (!count)
        return MCF_OK;
    dev_layout s = {.rank = x->shape.rank};
    memcpy(s.dim, x->shape.dim, sizeof(int64_t) * (size_t)s.rank);
    memcpy(s.a, x->stride, sizeof(int64_t) * (size_t)s.rank);
    memcpy(s.b, x->stride, sizeof(int64_t) * (size_t)s.rank);
    memcpy(s.out, out_step, sizeof(int64_t) * (size_t)s.rank);
    dev_layout_join(&s);
    bool flat = s.rank == 1 && (s.dim[0] == 1 || (s.a[0] == 1 && s.out[0] == 1));
    mcf_operand place = *out;
    place.offset += (size_t)to * mcf_dtype_size(out->dtype);
    if (flat && !add && x->dtype == out->dtype)
        return dev_copy(stream, place.buffer, place.offset, x->buffer, x->offset,
                        (uint64_t)count * mcf_dtype_size(x->dtype), err);
    // Threads walk along rows; where rows are long there are too few of them.
    const dev_sizes sizes = dev_sizes_of(stream);
    const bool many = s.dim[s.rank - 1] < 128 || dev_layout_rows(&s) >= 64 * (int64_t)sizes.units;
    const bool rows = !flat && sizes.group == 1 && many;
    dev_kernel_key key = {"movement.cl",
                          flat   ? "copy_flat"
                          : rows ? "copy_rows"
                                 : "copy_strided",
                          x->dtype,
                          DEV_NONE,
                          DEV_NONE,
                          out->dtype,
                          "",
                          0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, x);
    dev_operand(&call, &place);
    if (flat) {
        dev_int64(&call, count);
        dev_int(&call, add);
        return dev_run_items(&call, count, 1, 1, err);
    }
    dev_bytes(&call, &s, sizeof s);
    dev_int(&call, add);
    if (rows) {
        dev_int64(&call, dev_layout_rows(&s));
        return dev_run_items(&call, dev_layout_rows(&s), 1, 1, err);
    }
    return dev_run_items(&call, s.dim[s.rank - 1], dev_layout_rows(&s), 1, err);
}

mcf_status dev_op_copy(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    return copy_into(stream, &l->in[COPY_IN_x], &l->out[COPY_OUT_out], 0, l->out[COPY_OUT_out].stride,
                     l->accumulate & 1, err);
}

mcf_status dev_op_pad(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *out = &l->out[PAD_OUT_out];
    MCF_TRY(dev_zero(stream, out->buffer, out->offset,
                     (uint64_t)mcf_shape_count(&out->shape) * mcf_dtype_size(out->dtype), err));
    return copy_into(stream, &l->in[PAD_IN_x], out, l->attr.pad.before * out->stride[l->attr.pad.axis], out->stride,
                     false, err);
}

mcf_status dev_op_concat(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *out = &l->out[CONCAT_OUT_out];
    const int axis = l->attr.concat.axis;
    MCF_TRY(copy_into(stream, &l->in[CONCAT_IN_a], out, 0, out->stride, false, err));
    return copy_into(stream, &l->in[CONCAT_IN_b], out, l->in[CONCAT_IN_a].shape.dim[axis] * out->stride[axis],
                     out->stride, false, err);
}

mcf_status dev_op_gather_rows(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[GATHER_ROWS_IN_x], *ids = &l->in[GATHER_ROWS_IN_ids],
                      *out = &l->out[GATHER_ROWS_OUT_out];
    dev_kernel_key key = {"movement.cl", "gather_rows", x->dtype, DEV_NONE, DEV_NONE, out->dtype, "", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, x);
    dev_operand(&call, ids);
    dev_operand(&call, out);
    dev_int64(&call, ids->shape.dim[1]);
    dev_int64(&call, x->shape.dim[1]);
    dev_int64(&call, x->shape.dim[2]);
    for (int i = 0; i < 3; i++)
        dev_int64(&call, x->stride[i]);
    return dev_run_items(&call, x->shape.dim[2], mcf_shape_count(&ids->shape), 1, err);
}

mcf_status dev_op_scatter_rows(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[SCATTER_ROWS_IN_x], *out = &l->out[SCATTER_ROWS_OUT_out];
    dev_kernel_key key = {"movement.cl", "scatter_rows", x->dtype, DEV_NONE, DEV_NONE, out->dtype, "", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, x);
    dev_operand(&call, &l->in[SCATTER_ROWS_IN_ids]);
    dev_operand(&call, out);
    dev_int64(&call, x->shape.dim[1]);
    dev_int64(&call, out->shape.dim[1]);
    dev_int64(&call, out->shape.dim[2]);
    return dev_run_lines(&call, mcf_shape_count(&out->shape) ? out->shape.dim[0] * out->shape.dim[1] : 0, err);
}
