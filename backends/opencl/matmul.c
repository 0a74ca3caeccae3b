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

static mcf_status multiply_tile(mcf_stream *stream, const dev_product *p, mcf_error *err)
{
    const mcf_operand *a = p->a.operand, *b = p->b.operand, *c = p->c.operand;
    const size_t most = stream->device->physical->group_max, side = most >= 256  ? 16
                                                                    : most >= 64 ? 8
                                                                    : most >= 16 ? 4
                                                                                 : 1;
    char defines[64];
    snprintf(defines, sizeof defines, "-DMCF_PRODUCT_TILE -DSIDE=%d", (int)side);
    dev_kernel_key key = {"matmul.cl", "product_tile", a->dtype, b->dtype, DEV_NONE, c->dtype, defines, 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, a);
    dev_operand(&call, b);
    dev_operand(&call, p->bias);
    dev_operand(&call, c);
    dev_bytes(&call, &p->a.steps, sizeof p->a.steps);
    dev_bytes(&call, &p->b.steps, sizeof p->b.steps);
    dev_bytes(&call, &p->c.steps, sizeof p->c.steps);
    dev_int64(&call, p->m);
    dev_int64(&call, p->n);
    dev_int64(&call, p->k);
    dev_int64(&call, at_least_1(p->batch1));
    dev_float(&call, p->alpha);
    dev_int(&call, p->bias != NULL);
    dev_int(&call, p->activation);
    dev_int(&call, p->add);
    return dev_run(&call, (const size_t[]){side, side, 1}, ceil_div(p->n, 4 * (int64_t)side),
                   ceil_div(p->m, 4 * (int64_t)side), p->batch0 * p->batch1, err);
}

// --- panels

static mcf_status pack(mcf_stream *stream, const mcf_operand *x, dev_steps steps, int64_t rows, int64_t depth,
                       int64_t batch0, int64_t batch1, int panel, const mcf_operand *out, mcf_error *err)
{
    char defines[64];
    snprintf(defines, sizeof defines, "-DMCF_PRODUCT_PACK -DPANEL=%d", panel);
    dev_kernel_key key = {"matmul.cl", "pack", x->dtype, DEV_NONE, DEV_NONE, DEV_NONE, defines, 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, x);
    dev_operand(&call, out);
    dev_bytes(&call, &steps, sizeof steps);
    dev_int64(&call, rows);
    dev_int64(&call, depth);
    dev_int64(&call, at_least_1(batch1));
    dev_int64(&call, ceil_div(rows, panel));
    return dev_run(&call, (const size_t[]){1, 1, 1}, ceil_div(depth, DEPTH_BLOCK), ceil_div(rows, panel),
                   batch0 * batch1, err);
}

// What fits into scratch at once.
static mcf_status multiply_panels_once(mcf_stream *stream, const dev_product *p, bool pack_b, mcf_error *err)
{
    const ocl_tuning *t = &stream->device->tuning;
    const int64_t batch = p->batch0 * p->batch1, panels_m = ceil_div(p->m, t->panel_m),
                  panels_n = ceil_div(p->n, t->panel_n), units = (int64_t)stream->device->physical->units;
    const dev_steps bt = {p->b.steps.column, p->b.steps.row, p->b.steps.batch0, p->b.steps.batch1};
    mcf_operand a, b;
    char defines[96];
    MCF_TRY(dev_scratch(stream, 1, (uint64_t)(batch * panels_m * t->panel_m * p->k), &a, err));
    MCF_TRY(dev_scratch(stream, 2, (uint64_t)(batch * panels_n * t->panel_n * p->k), &b, err));
    MCF_TRY(pack(stream, p->a.operand, p->a.steps, p->m, p->k, p->batch0, p->batch1, t->panel_m, &a, err));
    if (pack_b)
        MCF_TRY(pack(stream, p->b.operand, bt, p->n, p->k, p->batch0, p->batch1, t->panel_n, &b, err));
    snprintf(defines, sizeof defines, "-DMCF_PRODUCT_PANELS -DPANEL_M=%d -DPANEL_N=%d -DVECTOR=%d", t->panel_m,
             t->panel_n,
             t->panel_n % 32 == 0   ? 16
             : t->panel_n % 16 == 0 ? 8
                                    : 4);
    dev_kernel_key key = {"matmul.cl", "product_panels", DEV_NONE, DEV_NONE, DEV_NONE, p->c.operand->dtype, defines, 0};
    // Enough pieces for every unit several times over.
    int64_t few = t->panel_few;
    while (few > 1 && ceil_div(panels_m, few) * panels_n * batch < 8 * units)
        few /= 2;
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, &a);
    dev_operand(&call, &b);
    dev_operand(&call, p->bias);
    dev_operand(&call, p->c.operand);
    dev_bytes(&call, &p->c.steps, sizeof p->c.steps);
    dev_int64(&call, p->m);
    dev_int64(&call, p->n);
    dev_int64(&call, p->k);
    dev_int64(&call, at_least_1(p->batch1));
    dev_int64(&call, panels_m);
    dev_int64(&call, panels_n);
    dev_int64(&call, few);
    dev_float(&call, p->alpha);
    dev_int(&call, p->bias != NULL);
    dev_int(&call, p->activation);
    dev_int(&call, p->add);
    return dev_run(&call, (const size_t[]){1, 1, 1}, ceil_div(panels_m, few), panels_n, batch, err);
}

static void move(mcf_operand *operand, int64_t elements)
{
    operand->offset += (size_t)elements * mcf_dtype_size(operand->dtype);
}

// A piece of the product: rows of one matrix, or images of the first batch dimension.
static mcf_status piece(mcf_stream *stream, const dev_product *p, int64_t from0, int64_t count0, int64_t from_row,
                        int64_t rows, bool pack_b, mcf_error *err)
{
    mcf_operand a = *p->a.operand, b = *p->b.operand, c = *p->c.operand;
    dev_product part = *p;
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

static mcf_status multiply_panels(mcf_stream *stream, const dev_product *p, mcf_error *err)
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

mcf_status ocl_multiply_by(mcf_stream *stream, const dev_product *p, ocl_product_way way, mcf_error *err)
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

mcf_status dev_multiply(mcf_stream *stream, const dev_product *p, mcf_error *err)
{
    int shape = ocl_shape_class(p->batch0 * p->batch1, p->m, p->n, p->k);
    return ocl_multiply_by(stream, p, stream->device->tuning.way[shape], err);
}
