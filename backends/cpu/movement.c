// Operations that move elements and compute nothing.
#include <string.h>

#include "backends/cpu/cpu.h"

mcf_status mcf_cpu_op_fill(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *out = &l->out[FILL_OUT_out];
    int64_t count = mcf_shape_count(&out->shape);
    size_t size = mcf_dtype_size(out->dtype);
    unsigned char element[8] = {0};
    double value = l->attr.fill.value;
    switch (out->dtype) {
    case MCF_F32:
        memcpy(element, &(float){(float)value}, 4);
        break;
    case MCF_F64:
        memcpy(element, &value, 8);
        break;
    case MCF_BF16:
        memcpy(element, &(uint16_t){mcf_f32_to_bf16((float)value)}, 2);
        break;
    case MCF_F16:
        memcpy(element, &(uint16_t){mcf_f32_to_f16((float)value)}, 2);
        break;
    case MCF_I64:
        memcpy(element, &(int64_t){(int64_t)value}, 8);
        break;
    case MCF_I32:
        memcpy(element, &(int32_t){(int32_t)value}, 4);
        break;
    default:
        element[0] = (uint8_t)value;
        break;
    }
    unsigned char *to = mcf_cpu_address(out);
    if (value == 0) {
        memset(to, 0, (size_t)count * size);
        return MCF_OK;
    }
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, count))
    for (int64_t i = 0; i < count; i++)
        memcpy(to + (size_t)i * size, element, size);
    return MCF_OK;
}

mcf_status mcf_cpu_op_copy(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    mcf_cpu_copy_strided(device, &l->in[COPY_IN_x].shape, mcf_cpu_address(&l->out[COPY_OUT_out]),
                         l->out[COPY_OUT_out].dtype, l->out[COPY_OUT_out].stride, mcf_cpu_address(&l->in[COPY_IN_x]),
                         l->in[COPY_IN_x].dtype, l->in[COPY_IN_x].stride, l->accumulate & 1);
    return MCF_OK;
}

static void copy_into(mcf_device *device, const mcf_operand *in, const mcf_operand *out, int axis, int64_t begin)
{
    mcf_cpu_copy_strided(device, &in->shape, mcf_cpu_at(out, begin * out->stride[axis]), out->dtype, out->stride,
                         mcf_cpu_address(in), in->dtype, in->stride, false);
}

mcf_status mcf_cpu_op_pad(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *out = &l->out[PAD_OUT_out];
    int axis = l->attr.pad.axis;
    // Only the margins are cleared.
    int64_t outer = 1, inner = out->stride[axis], size = (int64_t)mcf_dtype_size(out->dtype);
    for (int i = 0; i < axis; i++)
        outer *= out->shape.dim[i];
    int64_t whole = out->shape.dim[axis] * inner, before = l->attr.pad.before * inner,
            after = l->attr.pad.after * inner;
    for (int64_t i = 0; i < outer; i++) {
        unsigned char *line = mcf_cpu_at(out, i * whole);
        memset(line, 0, (size_t)(before * size));
        memset(line + (whole - after) * size, 0, (size_t)(after * size));
    }
    copy_into(device, &l->in[PAD_IN_x], out, axis, l->attr.pad.before);
    return MCF_OK;
}

mcf_status mcf_cpu_op_concat(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    int axis = l->attr.concat.axis;
    copy_into(device, &l->in[CONCAT_IN_a], &l->out[CONCAT_OUT_out], axis, 0);
    copy_into(device, &l->in[CONCAT_IN_b], &l->out[CONCAT_OUT_out], axis, l->in[CONCAT_IN_a].shape.dim[axis]);
    return MCF_OK;
}

static mcf_status bad_row(const char *op, int64_t id, int64_t rows, mcf_error *err)
{
    return mcf_fail(err, MCF_ERR_SHAPE, "%s: row %lld of %lld does not exist; ids must lie in [0, rows)", op,
                    (long long)id, (long long)rows);
}

static mcf_status check_rows(const char *op, const mcf_operand *ids, int64_t rows, mcf_error *err)
{
    const int64_t *id = (const int64_t *)mcf_cpu_address(ids);
    int64_t count = mcf_shape_count(&ids->shape);
    for (int64_t i = 0; i < count; i++)
        if (id[i] < 0 || id[i] >= rows)
            return bad_row(op, id[i], rows, err);
    return MCF_OK;
}

mcf_status mcf_cpu_op_gather_rows(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[GATHER_ROWS_IN_x], *ids = &l->in[GATHER_ROWS_IN_ids],
                      *out = &l->out[GATHER_ROWS_OUT_out];
    int64_t n = ids->shape.dim[1], d = x->shape.dim[2], rows = ids->shape.dim[0] * n;
    MCF_TRY(check_rows("gather_rows", ids, x->shape.dim[1], err));
    const int64_t *id = (const int64_t *)mcf_cpu_address(ids);
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, rows *d))
    for (int64_t r = 0; r < rows; r++)
        mcf_cpu_copy_line(device->kernels, mcf_cpu_at(out, r * d), out->dtype, 1,
                          mcf_cpu_at(x, r / n * x->stride[0] + id[r] * x->stride[1]), x->dtype, x->stride[2], d);
    return MCF_OK;
}

// Rows of one image are added in order, so that a row that is named twice has one result; images share nothing.
mcf_status mcf_cpu_op_scatter_rows(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[SCATTER_ROWS_IN_x], *ids = &l->in[SCATTER_ROWS_IN_ids],
                      *out = &l->out[SCATTER_ROWS_OUT_out];
    const mcf_cpu_kernels *k = device->kernels;
    int64_t batch = x->shape.dim[0], n = x->shape.dim[1], d = x->shape.dim[2], rows = l->attr.scatter_rows.rows;
    MCF_TRY(check_rows("scatter_rows", ids, rows, err));
    const int64_t *id = (const int64_t *)mcf_cpu_address(ids);
    void *memory = NULL;
    // bf16 sums would be rounded at each addition: they are formed in floats.
    bool direct = out->dtype == MCF_F32;
    if (!direct)
        MCF_TRY(mcf_cpu_scratch(device, (size_t)(batch * rows * d) * sizeof(float), &memory, err));
    float *sums = direct ? (float *)mcf_cpu_address(out) : memory;
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, batch *rows *d))
    for (int64_t b = 0; b < batch; b++) {
        float room[MCF_CPU_LINE], *target = sums + b * rows * d;
        memset(target, 0, (size_t)(rows * d) * sizeof(float));
        for (int64_t i = 0; i < n; i++)
            for (int64_t c = 0; c < d; c += MCF_CPU_LINE) {
                int64_t count = mcf_cpu_min(d - c, MCF_CPU_LINE);
                float *row = target + id[b * n + i] * d + c;
                k->add(row, row, mcf_cpu_read(k, room, mcf_cpu_at(x, (b * n + i) * d + c), x->dtype, 1, count), 1, 1,
                       count);
            }
        if (!direct)
            mcf_cpu_write(k, mcf_cpu_at(out, b * rows * d), out->dtype, target, rows * d);
    }
    return MCF_OK;
}
