// matmul: brings any operands into a form that the matrix unit's loops (matmul_tiles.c) or oneDNN are fast with.
//
// Types: products run in bf16 where both operands are bf16 and the processor has it, else in fp32 (so bf16 operands
// on older processors are multiplied exactly and added in fp32). Layouts: one stride of each matrix must be 1; other
// operands are copied first. What oneDNN cannot write at once is formed in scratch.
//
// fp32 products of few rows with a matrix whose rows lie along the sum (a linear layer over a small batch) are our own
// (kernels_dots.h): oneDNN's last rows, beyond a multiple of six with AVX2, have other bits than the same rows elsewhere,
// and what a face detector says of a window must not depend on the windows beside it.
#include <string.h>

#include "backends/cpu/cpu.h"
#include "backends/cpu/onednn.h"
#include "backends/cpu/matmul_tiles.h"

// Below this many rows packing a weight costs about what it saves. Part of the rule that fixes the bits of a result,
// so it looks at nothing but shapes.
enum { PACK_ROWS = 1024 };

// Up to this many rows a product is our own. Of shapes alone, too.
enum { FEW_ROWS = 32 };

// A matrix operand, batches first.
typedef struct {
    const void *data;
    mcf_dtype dtype;
    int64_t dim[MCF_MAX_RANK], stride[MCF_MAX_RANK];
} matrix;

static matrix take(const mcf_operand *operand, bool transposed)
{
    matrix m = {.data = mcf_cpu_address(operand), .dtype = operand->dtype};
    int rank = operand->shape.rank;
    memcpy(m.dim, operand->shape.dim, sizeof m.dim);
    memcpy(m.stride, operand->stride, sizeof m.stride);
    if (transposed) {
        m.dim[rank - 2] = operand->shape.dim[rank - 1];
        m.dim[rank - 1] = operand->shape.dim[rank - 2];
        m.stride[rank - 2] = operand->stride[rank - 1];
        m.stride[rank - 1] = operand->stride[rank - 2];
    }
    return m;
}

// Strides of axes with one element mean nothing: makes them fit the others.
static void settle(matrix *m, int rank)
{
    int64_t rows = m->dim[rank - 2], columns = m->dim[rank - 1], *r = &m->stride[rank - 2], *c = &m->stride[rank - 1];
    if (rows == 1 && columns == 1)
        *r = *c = 1;
    else if (rows == 1)
        *r = *c == 1 ? columns : 1;
    else if (columns == 1)
        *c = *r == 1 ? rows : 1;
    for (int i = 0; i < rank - 2; i++)
        if (m->stride[i] == 0 || m->dim[i] == 1) {
            m->dim[i] = 1;
            m->stride[i] = rows * columns;
        }
}

static bool is_fit(const matrix *m, int rank)
{
    int64_t rows = m->dim[rank - 2], columns = m->dim[rank - 1], r = m->stride[rank - 2], c = m->stride[rank - 1];
    return (c == 1 && r >= columns) || (r == 1 && c >= rows);
}

static int64_t count(const matrix *m, int rank)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= m->dim[i];
    return n;
}

// Joins batch axes, and batches with rows where b is the same for all.
static int fold(matrix *a, matrix *b, int rank)
{
    while (rank > 3) {
        bool joint = a->stride[0] == a->stride[1] * a->dim[1] && b->stride[0] == b->stride[1] * b->dim[1];
        if (!joint)
            break;
        a->dim[1] *= a->dim[0];
        b->dim[1] *= b->dim[0];
        rank--;
        memmove(a->dim, a->dim + 1, (size_t)rank * sizeof *a->dim);
        memmove(a->stride, a->stride + 1, (size_t)rank * sizeof *a->stride);
        memmove(b->dim, b->dim + 1, (size_t)rank * sizeof *b->dim);
        memmove(b->stride, b->stride + 1, (size_t)rank * sizeof *b->stride);
    }
    if (rank == 3 && (a->dim[0] == 1 || (b->stride[0] == 0 && a->stride[0] == a->stride[1] * a->dim[1]))) {
        int64_t rows = a->dim[0] * a->dim[1];
        a->dim[0] = rows;
        a->stride[0] = a->stride[1];
        a->dim[1] = a->dim[2];
        a->stride[1] = a->stride[2];
        b->dim[0] = b->dim[1];
        b->stride[0] = b->stride[1];
        b->dim[1] = b->dim[2];
        b->stride[1] = b->stride[2];
        rank = 2;
    }
    return rank;
}

// Copies a matrix to contiguous memory of another type.
static void convert(mcf_device *device, matrix *m, int rank, mcf_dtype dtype, void *to)
{
    mcf_shape shape = {.rank = rank};
    int64_t stride[MCF_MAX_RANK];
    memcpy(shape.dim, m->dim, sizeof shape.dim);
    mcf_contiguous_strides(&shape, stride);
    mcf_cpu_copy_strided(device, &shape, to, dtype, stride, m->data, m->dtype, m->stride, false);
    m->data = to;
    m->dtype = dtype;
    memcpy(m->stride, stride, sizeof stride);
}

// act(bias), or nothing to add: what a product over no elements leaves.
static void empty_product(mcf_device *device, const mcf_launch *l, const float *bias, int64_t rows, int64_t n)
{
    const mcf_operand *out = &l->out[MATMUL_OUT_out];
    const mcf_cpu_kernels *k = device->kernels;
    const mcf_shape one = MCF_SHAPE(1);
    const int64_t zero[MCF_MAX_RANK] = {0};
    if (!bias) {
        if (!(l->accumulate & 1))
            memset(mcf_cpu_address(out), 0, (size_t)(rows * n) * mcf_dtype_size(out->dtype));
        return;
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < n; j++) {
            float x = bias[j];
            if (l->attr.matmul.activation == MCF_ACT_RELU)
                k->relu(&x, &x, 1);
            else if (l->attr.matmul.activation == MCF_ACT_GELU)
                k->gelu(&x, &x, 1);
            mcf_cpu_copy_strided(device, &one, mcf_cpu_at(out, i * n + j), out->dtype, zero, &x, MCF_F32, zero,
                                 l->accumulate & 1);
        }
}

// The activation oneDNN is not asked for: its GELU is exact to 1e-7 of the largest value, not of each.
static void gelu_in_place(mcf_device *device, float *c, int64_t n)
{
    int64_t lines = (n + MCF_CPU_LINE - 1) / MCF_CPU_LINE;
#pragma omp parallel for schedule(static) num_threads(mcf_cpu_team(device, n))
    for (int64_t i = 0; i < lines; i++) {
        float *line = c + i * MCF_CPU_LINE;
        device->kernels->gelu(line, line, mcf_cpu_min(n - i * MCF_CPU_LINE, MCF_CPU_LINE));
    }
}

static int64_t aligned(int64_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static bool suits_dots(const mcf_launch *l, const matrix *a, const matrix *b, int rank)
{
    return rank == 2 && a->dim[0] <= FEW_ROWS && a->dtype == MCF_F32 && b->dtype == MCF_F32 && a->stride[1] == 1 &&
           b->stride[0] == 1 && l->out[MATMUL_OUT_out].dtype == MCF_F32 && !(l->accumulate & 1);
}

// a [rows, k] with k contiguous, b [k, n] with k contiguous, into contiguous fp32.
static void run_dots(mcf_device *device, const mcf_launch *l, const matrix *a, const matrix *b)
{
    const mcf_cpu_kernels *kernels = device->kernels;
    const int64_t rows = a->dim[0], k = a->dim[1], n = b->dim[1], shares = mcf_cpu_team(device, rows * n * k / 8);
    const float *bias =
        mcf_cpu_has_input(l, MATMUL_IN_bias) ? (const float *)mcf_cpu_address(&l->in[MATMUL_IN_bias]) : NULL;
    const int activation = l->attr.matmul.activation;
    float *c = (float *)mcf_cpu_address(&l->out[MATMUL_OUT_out]);
#pragma omp parallel for schedule(static) num_threads((int)shares)
    for (int64_t share = 0; share < shares; share++) {
        int64_t begin, end;
        mcf_cpu_share(n, shares, share, &begin, &end);
        kernels->dots(c + begin, n, a->data, a->stride[0], (const float *)b->data + begin * b->stride[1], b->stride[1],
                      rows, end - begin, k, bias ? bias + begin : NULL);
        for (int64_t i = 0; i < rows && activation; i++) {
            float *line = c + i * n + begin;
            (activation == MCF_ACT_RELU ? kernels->relu : kernels->gelu)(line, line, end - begin);
        }
    }
}

// The product of operands that fit, into out (direct) or fp32 c.
static mcf_status run_onednn(mcf_device *device, const mcf_launch *l, const matrix *a, const matrix *b, int rank,
                             bool direct, void *c, mcf_error *err)
{
    const mcf_operand *out = &l->out[MATMUL_OUT_out];
    int activation = l->attr.matmul.activation;
    const float *bias =
        mcf_cpu_has_input(l, MATMUL_IN_bias) ? (const float *)mcf_cpu_address(&l->in[MATMUL_IN_bias]) : NULL;
    mcf_cpu_product product;
    memset(&product, 0, sizeof product);
    product.rank = rank;
    product.a_dtype = a->dtype;
    product.b_dtype = b->dtype;
    product.c_dtype = direct ? out->dtype : MCF_F32;
    product.bias = bias != NULL;
    bool own_gelu = activation == MCF_ACT_GELU && product.c_dtype == MCF_F32;
    product.activation = own_gelu ? MCF_ACT_NONE : activation;
    product.accumulate = direct && (l->accumulate & 1);
    product.packed = rank == 2 && l->in[MATMUL_IN_b].version != 0 && a->dim[0] >= PACK_ROWS;
    for (int i = 0; i < rank; i++) {
        product.a_dim[i] = a->dim[i];
        product.a_stride[i] = a->stride[i];
        product.b_dim[i] = b->dim[i];
        product.b_stride[i] = b->stride[i];
    }
    MCF_TRY(mcf_cpu_onednn_run(device->onednn, &product, a->data, b->data, bias, c, err));
    if (own_gelu)
        gelu_in_place(device, c, mcf_shape_count(&out->shape));
    return MCF_OK;
}

// Long: it picks one of several ways, and each choice needs the sizes and strides read above it.
mcf_status mcf_cpu_op_matmul(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const mcf_operand *out = &l->out[MATMUL_OUT_out];
    int rank = out->shape.rank;
    bool accumulate = l->accumulate & 1;
    int activation = l->attr.matmul.activation;
    const float *bias =
        mcf_cpu_has_input(l, MATMUL_IN_bias) ? (const float *)mcf_cpu_address(&l->in[MATMUL_IN_bias]) : NULL;
    matrix a = take(&l->in[MATMUL_IN_a], l->attr.matmul.trans_a), b = take(&l->in[MATMUL_IN_b], l->attr.matmul.trans_b);
    int64_t total = mcf_shape_count(&out->shape), n = out->shape.dim[rank - 1];
    if (total == 0)
        return MCF_OK;
    if (a.dim[rank - 1] == 0) {
        empty_product(device, l, bias, total / n, n);
        return MCF_OK;
    }
    rank = fold(&a, &b, rank);
    // Repeated on both sides, a batch would have lost its size.
    bool repeated = false;
    for (int i = 0; i < rank - 2; i++)
        repeated |= a.dim[i] > 1 && a.stride[i] == 0 && b.stride[i] == 0;
    bool low = a.dtype == MCF_BF16 && b.dtype == MCF_BF16 && mcf_cpu_onednn_has_bf16();
    mcf_dtype compute = low ? MCF_BF16 : MCF_F32;
    int64_t a_whole = count(&a, rank);
    if (!repeated)
        settle(&a, rank);
    settle(&b, rank);
    if (suits_dots(l, &a, &b, rank)) {
        run_dots(device, l, &a, &b);
        return MCF_OK;
    }
    bool copy_a = repeated || a.dtype != compute || !is_fit(&a, rank), copy_b = b.dtype != compute || !is_fit(&b, rank);
    // Activated sums cannot be added to, and only products of bf16 are written as bf16.
    bool direct = (out->dtype == MCF_F32 || (out->dtype == MCF_BF16 && low)) && !(accumulate && activation);
    bool on_tiles = rank == 2 && mcf_cpu_tiles_suit(device, a.dim[0], b.dim[1], a.dim[1]);
    mcf_cpu_tile_product tile = {.rows = a.dim[0],
                                 .columns = n,
                                 .k = a.dim[1],
                                 .floats = !low,
                                 .bias = bias,
                                 .c_bf16 = direct && out->dtype == MCF_BF16,
                                 .accumulate = direct && accumulate,
                                 .activation = activation};
    int64_t size = (int64_t)mcf_dtype_size(compute), a_bytes = copy_a ? aligned(a_whole * size) : 0;
    int64_t b_bytes = copy_b ? aligned(count(&b, rank) * size) : 0, c_bytes = direct ? 0 : aligned(total * 4);
    int64_t room_bytes = a_bytes + b_bytes + c_bytes + (on_tiles ? mcf_cpu_tiles_scratch(device, &tile) : 0);
    unsigned char *room = NULL;
    if (room_bytes) {
        void *memory;
        MCF_TRY(mcf_cpu_scratch(device, (size_t)room_bytes, &memory, err));
        room = memory;
    }
    if (copy_a) {
        convert(device, &a, rank, compute, room);
        settle(&a, rank);
    }
    if (copy_b) {
        convert(device, &b, rank, compute, room + a_bytes);
        settle(&b, rank);
    }
    void *c = direct ? mcf_cpu_address(out) : room + a_bytes + b_bytes;
    if (on_tiles) {
        tile.a = a.data;
        tile.b = b.data;
        tile.c = c;
        tile.a_along = a.stride[1] == 1;
        tile.a_step = a.stride[!tile.a_along ? 1 : 0];
        tile.b_along = b.stride[0] == 1;
        tile.b_step = b.stride[tile.b_along ? 1 : 0];
        mcf_cpu_tiles_run(device, &tile, room + a_bytes + b_bytes + c_bytes);
    } else {
        MCF_TRY(run_onednn(device, l, &a, &b, rank, direct, c, err));
    }
    if (!direct)
        mcf_cpu_copy_strided(device, &out->shape, mcf_cpu_address(out), out->dtype, out->stride, c, MCF_F32,
                             out->stride, accumulate);
    return MCF_OK;
}
