// Matrix products: which way, and the calls of the own kernels.
#include "backends/opencl/opencl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Packed operands take no more than this: longer products go in pieces of rows, larger batches in pieces of the batch.
enum { PACKED_FLOATS = 16 << 20, DEPTH_BLOCK = 64 };

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t at_least_1(int64_t x)
{
    return x > 1 ? x : 1;
}

int ocl_shape_class(int64_t batch, int64_t m, int64_t n, int64_t k)
{
    if (m < 32 || n < 32 || k < 16)
        return 0;
    if (batch > 1)
        return 2;
    return n < 128 || m < 128 ? 1 : 3;
}

static mcf_status multiply_tile(mcf_stream *stream, const ocl_product *p, mcf_error *err)
{
    const mcf_operand *a = p->a.operand, *b = p->b.operand, *c = p->c.operand;
    ocl_kernel_key key = {"product.cl", "product_tile", a->dtype, b->dtype, OCL_NONE, c->dtype, "-DMCF_PRODUCT_TILE", 0};
    ocl_call call;
    MCF_TRY(ocl_begin(&call, stream, &key, err));
    ocl_operand(&call, a);
    ocl_operand(&call, b);
    ocl_operand(&call, p->bias);
    ocl_operand(&call, c);
    ocl_bytes(&call, &p->a.steps, sizeof p->a.steps);
    ocl_bytes(&call, &p->b.steps, sizeof p->b.steps);
    ocl_bytes(&call, &p->c.steps, sizeof p->c.steps);
    ocl_int64(&call, p->m);
    ocl_int64(&call, p->n);
    ocl_int64(&call, p->k);
    ocl_int64(&call, at_least_1(p->batch1));
    ocl_float(&call, p->alpha);
    ocl_int(&call, p->bias != NULL);
    ocl_int(&call, p->activation);
    ocl_int(&call, p->add);
    return ocl_run(&call, (const size_t[]){16, 16, 1}, ceil_div(p->n, 64), ceil_div(p->m, 64), p->batch0 * p->batch1,
                   err);
}

// --- panels

static mcf_status pack(mcf_stream *stream, const mcf_operand *x, ocl_steps steps, int64_t rows, int64_t depth,
                       int64_t batch0, int64_t batch1, int panel, const mcf_operand *out, mcf_error *err)
{
    char defines[64];
    snprintf(defines, sizeof defines, "-DMCF_PRODUCT_PACK -DPANEL=%d", panel);
    ocl_kernel_key key = {"product.cl", "pack", x->dtype, OCL_NONE, OCL_NONE, OCL_NONE, defines, 0};
    ocl_call call;
    MCF_TRY(ocl_begin(&call, stream, &key, err));
    ocl_operand(&call, x);
    ocl_operand(&call, out);
    ocl_bytes(&call, &steps, sizeof steps);
    ocl_int64(&call, rows);
    ocl_int64(&call, depth);
    ocl_int64(&call, at_least_1(batch1));
    ocl_int64(&call, ceil_div(rows, panel));
    return ocl_run(&call, (const size_t[]){1, 1, 1}, ceil_div(depth, DEPTH_BLOCK), ceil_div(rows, panel),
                   batch0 * batch1, err);
}

// What fits into scratch at once.
static mcf_status multiply_panels_once(mcf_stream *stream, const ocl_product *p, bool pack_b, mcf_error *err)
{
    const ocl_tuning *t = &stream->device->tuning;
    const int64_t batch = p->batch0 * p->batch1, panels_m = ceil_div(p->m, t->panel_m),
                  panels_n = ceil_div(p->n, t->panel_n), units = (int64_t)stream->device->physical->units;
    const ocl_steps bt = {p->b.steps.column, p->b.steps.row, p->b.steps.batch0, p->b.steps.batch1};
    mcf_operand a, b;
    char defines[96];
    MCF_TRY(ocl_scratch(stream, 1, (uint64_t)(batch * panels_m * t->panel_m * p->k), &a, err));
    MCF_TRY(ocl_scratch(stream, 2, (uint64_t)(batch * panels_n * t->panel_n * p->k), &b, err));
    MCF_TRY(pack(stream, p->a.operand, p->a.steps, p->m, p->k, p->batch0, p->batch1, t->panel_m, &a, err));
    if (pack_b)
        MCF_TRY(pack(stream, p->b.operand, bt, p->n, p->k, p->batch0, p->batch1, t->panel_n, &b, err));
    snprintf(defines, sizeof defines, "-DMCF_PRODUCT_PANELS -DPANEL_M=%d -DPANEL_N=%d -DVECTOR=%d", t->panel_m,
             t->panel_n, t->panel_n % 32 == 0 ? 16 : t->panel_n % 16 == 0 ? 8 : 4);
    ocl_kernel_key key = {"product.cl", "product_panels", OCL_NONE, OCL_NONE, OCL_NONE, p->c.operand->dtype, defines, 0};
    // Enough pieces for every unit several times over.
    int64_t few = t->panel_few;
    while (few > 1 && ceil_div(panels_m, few) * panels_n * batch < 8 * units)
        few /= 2;
    ocl_call call;
    MCF_TRY(ocl_begin(&call, stream, &key, err));
    ocl_operand(&call, &a);
    ocl_operand(&call, &b);
    ocl_operand(&call, p->bias);
    ocl_operand(&call, p->c.operand);
    ocl_bytes(&call, &p->c.steps, sizeof p->c.steps);
    ocl_int64(&call, p->m);
    ocl_int64(&call, p->n);
    ocl_int64(&call, p->k);
    ocl_int64(&call, at_least_1(p->batch1));
    ocl_int64(&call, panels_m);
    ocl_int64(&call, panels_n);
    ocl_int64(&call, few);
    ocl_float(&call, p->alpha);
    ocl_int(&call, p->bias != NULL);
    ocl_int(&call, p->activation);
    ocl_int(&call, p->add);
    return ocl_run(&call, (const size_t[]){1, 1, 1}, ceil_div(panels_m, few), panels_n, batch, err);
}

static void move(mcf_operand *operand, int64_t elements)
{
    operand->offset += (size_t)elements * mcf_dtype_size(operand->dtype);
}

// A piece of the product: rows of one matrix, or images of the first batch dimension.
static mcf_status piece(mcf_stream *stream, const ocl_product *p, int64_t from0, int64_t count0, int64_t from_row,
                        int64_t rows, bool pack_b, mcf_error *err)
{
    mcf_operand a = *p->a.operand, b = *p->b.operand, c = *p->c.operand;
    ocl_product part = *p;
    move(&a, from0 * p->a.steps.batch0 + from_row * p->a.steps.row);
    move(&b, from0 * p->b.steps.batch0);
    move(&c, from0 * p->c.steps.batch0 + from_row * p->c.steps.row);
    part.a.operand = &a;
    part.b.operand = &b;
    part.c.operand = &c;
    part.batch0 = count0;
    part.m = rows;
    return multiply_panels_once(stream, &part, pack_b, err);
}

static mcf_status multiply_panels(mcf_stream *stream, const ocl_product *p, mcf_error *err)
{
    const ocl_tuning *t = &stream->device->tuning;
    int64_t one = (p->m + t->panel_m + p->n + t->panel_n) * at_least_1(p->k) * p->batch1;
    int64_t images = PACKED_FLOATS / one;
    if (images >= p->batch0)
        return multiply_panels_once(stream, p, true, err);
    if (images >= 1) {
        for (int64_t i = 0; i < p->batch0; i += images)
            MCF_TRY(piece(stream, p, i, p->batch0 - i < images ? p->batch0 - i : images, 0, p->m, true, err));
        return MCF_OK;
    }
    int64_t rows = PACKED_FLOATS / (at_least_1(p->k) * p->batch1) / t->panel_m * t->panel_m;
    rows = rows < t->panel_m ? t->panel_m : rows;
    for (int64_t i = 0; i < p->batch0; i++)
        for (int64_t r = 0; r < p->m; r += rows)
            MCF_TRY(piece(stream, p, i, 1, r, p->m - r < rows ? p->m - r : rows, r == 0, err));
    return MCF_OK;
}

// --- which way

mcf_status ocl_multiply_by(mcf_stream *stream, const ocl_product *p, ocl_product_way way, mcf_error *err)
{
    if (p->m < 1 || p->n < 1 || p->batch0 < 1 || p->batch1 < 1)
        return MCF_OK;
    if (way == OCL_PRODUCT_CLBLAST && p->k > 0 && ocl_clblast_takes(p))
        return ocl_clblast_multiply(stream, p, err);
    if (way == OCL_PRODUCT_CLBLAST)
        way = stream->device->physical->processor ? OCL_PRODUCT_PANELS : OCL_PRODUCT_TILE;
    // Without a sum there is nothing to pack; the tiles handle it.
    if (way == OCL_PRODUCT_PANELS && p->k > 0)
        return multiply_panels(stream, p, err);
    return multiply_tile(stream, p, err);
}

mcf_status ocl_multiply(mcf_stream *stream, const ocl_product *p, mcf_error *err)
{
    int shape = ocl_shape_class(p->batch0 * p->batch1, p->m, p->n, p->k);
    return ocl_multiply_by(stream, p, stream->device->tuning.way[shape], err);
}

// Joins the batch dimensions of a launch into two; the rest is for the caller to loop over.
static int join_batch(const mcf_launch *l, int64_t dim[4], int64_t step[3][4])
{
    const mcf_operand *operands[] = {&l->in[0], &l->in[1], &l->out[0]};
    int rank = l->in[0].shape.rank - 2, kept = 0;
    for (int i = 0; i < rank; i++) {
        int64_t n = l->in[0].shape.dim[i];
        bool joins = kept > 0;
        if (n == 1)
            continue;
        for (int o = 0; o < 3; o++)
            joins = joins && step[o][kept - 1] == n * operands[o]->stride[i];
        int to = joins ? kept - 1 : kept++;
        dim[to] = joins ? dim[to] * n : n;
        for (int o = 0; o < 3; o++)
            step[o][to] = operands[o]->stride[i];
    }
    return kept;
}

mcf_status ocl_op_matmul(mcf_stream *stream, const mcf_launch *l, mcf_error *err)
{
    const int rank = l->in[0].shape.rank, ta = l->attr.matmul.trans_a != 0, tb = l->attr.matmul.trans_b != 0;
    const int64_t *sa = l->in[0].stride + rank - 2, *sb = l->in[1].stride + rank - 2;
    int64_t dim[4], step[3][4] = {{0}};
    if (!mcf_shape_count(&l->out[0].shape))
        return MCF_OK;
    int kept = join_batch(l, dim, step);
    int inner = kept > 0 ? kept - 1 : -1, next = kept > 1 ? kept - 2 : -1;
    mcf_operand a = l->in[0], b = l->in[1], c = l->out[0];
    ocl_product p = {
        .a = {&a, {sa[ta], sa[!ta], next < 0 ? 0 : step[0][next], inner < 0 ? 0 : step[0][inner]}},
        .b = {&b, {sb[tb], sb[!tb], next < 0 ? 0 : step[1][next], inner < 0 ? 0 : step[1][inner]}},
        .c = {&c, {l->out[0].stride[rank - 2], 1, next < 0 ? 0 : step[2][next], inner < 0 ? 0 : step[2][inner]}},
        .batch0 = next < 0 ? 1 : dim[next],
        .batch1 = inner < 0 ? 1 : dim[inner],
        .m = l->out[0].shape.dim[rank - 2],
        .n = l->out[0].shape.dim[rank - 1],
        .k = l->in[0].shape.dim[rank - 1 - ta],
        .alpha = 1,
        .bias = ocl_present(l, 2) ? &l->in[2] : NULL,
        .activation = l->attr.matmul.activation,
        .add = l->accumulate & 1,
    };
    int64_t loops = 1;
    for (int i = 0; i < kept - 2; i++)
        loops *= dim[i];
    for (int64_t loop = 0; loop < loops; loop++) {
        a.offset = l->in[0].offset;
        b.offset = l->in[1].offset;
        c.offset = l->out[0].offset;
        int64_t rest = loop;
        for (int i = kept - 3; i >= 0; i--) {
            move(&a, rest % dim[i] * step[0][i]);
            move(&b, rest % dim[i] * step[1][i]);
            move(&c, rest % dim[i] * step[2][i]);
            rest /= dim[i];
        }
        MCF_TRY(ocl_multiply(stream, &p, err));
    }
    return MCF_OK;
}
