// Passes over memory by vectors.cu, where they fit (fits.c).
#include "backends/cuda/cuda.h"

enum { VECTOR = 16, THREADS = 256 }; // as in vectors.cu

static mcf_status run(dev_call *call, const mcf_operand *out, int64_t count, mcf_error *err)
{
    const int64_t vectors = count * (int64_t)mcf_dtype_size(out->dtype) / VECTOR;
    dev_int64(call, vectors);
    return dev_run(call, (const size_t[]){THREADS, 1, 1}, (vectors + THREADS - 1) / THREADS, 1, 1, err);
}

mcf_status cuda_gelu(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *out = &l->out[ELEMENTWISE_OUT];
    dev_kernel_key key = {"vectors.cu", l->n_in == 2 ? "gelu_grad_vectors" : "gelu_vectors",
                          out->dtype,   DEV_NONE,
                          DEV_NONE,     DEV_NONE,
                          "",           0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    for (int i = 0; i < l->n_in; i++)
        dev_operand(&call, &l->in[i]);
    dev_operand(&call, out);
    return run(&call, out, mcf_shape_count(&out->shape), err);
}

static mcf_status sum_columns(mcf_stream *stream, const mcf_operand *x, int64_t rows, int64_t columns, int64_t chunks,
                              double scale, const mcf_operand *out, bool add, mcf_error *err)
{
    const int64_t room = 32 * VECTOR / (int64_t)mcf_dtype_size(x->dtype), length = (rows + chunks - 1) / chunks;
    dev_kernel_key key = {"vectors.cu", "column_sums", x->dtype, DEV_NONE, DEV_NONE, DEV_NONE, "", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, x);
    dev_operand(&call, out);
    dev_int64(&call, rows);
    dev_int64(&call, columns);
    dev_int64(&call, length);
    dev_float(&call, scale);
    dev_int(&call, add);
    return dev_run(&call, (const size_t[]){THREADS, 1, 1}, (columns + room - 1) / room, chunks, 1, err);
}

// Chunks of rows until eight blocks run on each multiprocessor, then the sums of those.
mcf_status cuda_column_sums(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *x = &l->in[REDUCE_SUM_IN_x], *out = &l->out[REDUCE_SUM_OUT_out];
    const double scale = l->attr.reduce_sum.scale;
    const bool add = l->accumulate & 1;
    int64_t rows, columns;
    cuda_as_columns(l, &rows, &columns);
    const int64_t room = 32 * VECTOR / (int64_t)mcf_dtype_size(x->dtype), across = (columns + room - 1) / room;
    int64_t chunks = 8 * (int64_t)stream->device->properties.multiProcessorCount / across, most = rows / 64;
    chunks = chunks > most ? most : chunks;
    if (chunks <= 1)
        return sum_columns(stream, x, rows, columns, 1, scale, out, add, err);
    mcf_operand part;
    MCF_TRY(dev_scratch(stream, 3, (uint64_t)(chunks * columns), &part, err));
    MCF_TRY(sum_columns(stream, x, rows, columns, chunks, 1, &part, false, err));
    return sum_columns(stream, &part, chunks, columns, 1, scale, out, add, err);
}
