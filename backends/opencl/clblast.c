// Products by CLBlast, where the build has it: fp32, one of two steps 1, batches with even strides. Bias, activation
// and other element types of the result come from a kernel of ours behind it.
#include "backends/opencl/opencl.h"

#include <stdlib.h>
#include <string.h>

#if MCF_HAS_CLBLAST
#include <clblast_c.h>

// Row-major with leading dimension, or its transpose; false where neither step is 1 or the other one is too small.
static bool leading(const dev_steps *s, int64_t rows, int64_t columns, CLBlastTranspose *transposed, size_t *ld)
{
    if (s->column == 1 && s->row >= columns && s->row > 0) {
        *transposed = CLBlastTransposeNo;
        *ld = (size_t)s->row;
        return true;
    }
    if (s->row == 1 && s->column >= rows && s->column > 0) {
        *transposed = CLBlastTransposeYes;
        *ld = (size_t)s->column;
        return true;
    }
    return false;
}

// Batches that one stride walks through.
static bool even(const dev_steps *s, int64_t batch0, int64_t batch1, int64_t *stride)
{
    *stride = batch1 > 1 ? s->batch1 : s->batch0;
    return batch0 == 1 || batch1 == 1 || s->batch0 == s->batch1 * batch1;
}

static bool direct(const dev_product *p)
{
    return p->c.operand->dtype == MCF_F32 && !p->bias && !p->activation && p->c.steps.column == 1 &&
           p->c.steps.row >= p->n;
}

bool ocl_clblast_takes(const dev_product *p)
{
    CLBlastTranspose t;
    size_t ld;
    if (p->a.operand->dtype != MCF_F32 || p->b.operand->dtype != MCF_F32 || p->k < 1)
        return false;
    if (!leading(&p->a.steps, p->m, p->k, &t, &ld) || !leading(&p->b.steps, p->k, p->n, &t, &ld))
        return false;
    // The epilogue's steps are one matrix's: with it, batches go one by one, which pays for one matrix only.
    return direct(p) || p->batch0 * p->batch1 == 1;
}

static mcf_status run(mcf_stream *stream, const dev_product *p, const mcf_operand *c, size_t ld, bool add,
                      mcf_error *err)
{
    const mcf_operand *a = p->a.operand, *b = p->b.operand;
    CLBlastTranspose ta = CLBlastTransposeNo, tb = CLBlastTransposeNo;
    size_t lda = 0, ldb = 0, batch = (size_t)(p->batch0 * p->batch1);
    int64_t sa, sb, sc;
    leading(&p->a.steps, p->m, p->k, &ta, &lda);
    leading(&p->b.steps, p->k, p->n, &tb, &ldb);
    const bool one_call = even(&p->a.steps, p->batch0, p->batch1, &sa) & even(&p->b.steps, p->batch0, p->batch1, &sb) &
                          even(&p->c.steps, p->batch0, p->batch1, &sc);
    const size_t at_a = a->offset / 4, at_b = b->offset / 4, at_c = c->offset / 4;
    const float alpha = (float)p->alpha, beta = add ? 1.0f : 0.0f;
    CLBlastStatusCode code = CLBlastSuccess;
    if (batch == 1) {
        code = CLBlastSgemm(CLBlastLayoutRowMajor, ta, tb, (size_t)p->m, (size_t)p->n, (size_t)p->k, alpha,
                            a->buffer->memory, at_a, lda, b->buffer->memory, at_b, ldb, beta, c->buffer->memory, at_c,
                            ld, &stream->queue, NULL);
    } else if (one_call) {
        code = CLBlastSgemmStridedBatched(CLBlastLayoutRowMajor, ta, tb, (size_t)p->m, (size_t)p->n, (size_t)p->k,
                                          alpha, a->buffer->memory, at_a, lda, (size_t)sa, b->buffer->memory, at_b, ldb,
                                          (size_t)sb, beta, c->buffer->memory, at_c, ld, (size_t)sc, batch,
                                          &stream->queue, NULL);
    } else {
        float *factors = malloc(2 * batch * sizeof *factors);
        size_t *places = malloc(3 * batch * sizeof *places);
        for (size_t i = 0; factors && places && i < batch; i++) {
            const int64_t b0 = (int64_t)i / p->batch1, b1 = (int64_t)i % p->batch1;
            factors[i] = alpha;
            factors[batch + i] = beta;
            places[i] = at_a + (size_t)(b0 * p->a.steps.batch0 + b1 * p->a.steps.batch1);
            places[batch + i] = at_b + (size_t)(b0 * p->b.steps.batch0 + b1 * p->b.steps.batch1);
            places[2 * batch + i] = at_c + (size_t)(b0 * p->c.steps.batch0 + b1 * p->c.steps.batch1);
        }
        bool room = factors && places;
        if (room)
            code = CLBlastSgemmBatched(CLBlastLayoutRowMajor, ta, tb, (size_t)p->m, (size_t)p->n, (size_t)p->k, factors,
                                       a->buffer->memory, places, lda, b->buffer->memory, places + batch, ldb,
                                       factors + batch, c->buffer->memory, places + 2 * batch, ld, batch,
                                       &stream->queue, NULL);
        free(factors);
        free(places);
        if (!room)
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the places of %zu products", batch);
    }
    if (code != CLBlastSuccess)
        return mcf_fail(err, MCF_ERR_DEVICE,
                        "CLBlast: code %d for %lld x %lld x %lld (MCF_OPENCL_PRODUCT=tile does without it)", (int)code,
                        (long long)p->m, (long long)p->n, (long long)p->k);
    return MCF_OK;
}

mcf_status ocl_clblast_multiply(mcf_stream *stream, const dev_product *p, mcf_error *err)
{
    if (!stream->device->clblast_set) {
        stream->device->clblast_set = true;
        if (stream->device->tuning.clblast[0])
            MCF_TRY(ocl_clblast_override(stream->device->physical, stream->device->tuning.clblast, err));
    }
    if (direct(p))
        return run(stream, p, p->c.operand, (size_t)p->c.steps.row, p->add, err);
    mcf_operand product;
    MCF_TRY(dev_scratch(stream, 1, (uint64_t)(p->m * p->n), &product, err));
    MCF_TRY(run(stream, p, &product, (size_t)p->n, false, err));
    dev_kernel_key key = {
        "matmul.cl", "epilogue", MCF_F32, DEV_NONE, DEV_NONE, p->c.operand->dtype, "-DMCF_PRODUCT_EPILOGUE", 0};
    dev_call call;
    MCF_TRY(dev_begin(&call, stream, &key, err));
    dev_operand(&call, &product);
    dev_operand(&call, p->bias);
    dev_operand(&call, p->c.operand);
    dev_int64(&call, p->n);
    dev_int64(&call, p->n);
    dev_bytes(&call, &p->c.steps, sizeof p->c.steps);
    dev_int(&call, p->bias != NULL);
    dev_int(&call, p->activation);
    dev_int(&call, p->add);
    return dev_run_items(&call, p->n, p->m, 1, err);
}

// "NAME=VALUE NAME=VALUE ...", all parameters of Xgemm.
mcf_status ocl_clblast_override(const ocl_physical *physical, const char *parameters, mcf_error *err)
{
    enum { MOST = 24 };
    char text[256], *rest = NULL;
    const char *names[MOST];
    size_t values[MOST], count = 0;
    strncpy(text, parameters, sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (char *word = strtok_r(text, " ", &rest); word && count < MOST; word = strtok_r(NULL, " ", &rest)) {
        char *equals = strchr(word, '=');
        if (!equals)
            continue;
        *equals = '\0';
        names[count] = word;
        values[count++] = (size_t)strtoull(equals + 1, NULL, 10);
    }
    if (CLBlastOverrideParameters(physical->id, "Xgemm", CLBlastPrecisionSingle, count, names, values) !=
        CLBlastSuccess)
        return mcf_fail(err, MCF_ERR_DEVICE, "CLBlast does not take the parameters '%s'; tune anew", parameters);
    return MCF_OK;
}

#else

bool ocl_clblast_takes(const dev_product *p)
{
    (void)p;
    return false;
}

mcf_status ocl_clblast_multiply(mcf_stream *stream, const dev_product *p, mcf_error *err)
{
    (void)stream;
    (void)p;
    return mcf_fail(err, MCF_ERR_UNSUPPORTED, "this build has no CLBlast");
}

mcf_status ocl_clblast_override(const ocl_physical *physical, const char *parameters, mcf_error *err)
{
    (void)physical;
    (void)parameters;
    return mcf_fail(err, MCF_ERR_UNSUPPORTED, "this build has no CLBlast");
}
#endif
