// Cross-entropy over logits that are resized on the way: a row of resized logits lives in the nearest caches and is made
// again for the gradient. A line is a pixel's classes.
#include <math.h>
#include <omp.h>
#include <string.h>

#include "backends/cpu/bilinear.h"
#include "backends/cpu/cpu.h"

enum { BAND = 8 }; // rows of the gradient that one thread makes at a time; fixed, since bands cut no sum

typedef struct {
    const mcf_cpu_kernels *k;
    const mcf_operand *logits;
    const int64_t *labels;
    int64_t batch, h, w, classes, height, width;
} pixels;

static pixels pixels_of(const mcf_device *device, const mcf_operand *logits, const mcf_operand *labels)
{
    const int64_t *small = logits->shape.dim, *large = labels->shape.dim;
    return (pixels){device->kernels, logits,   (const int64_t *)mcf_cpu_address(labels),
                    small[0],        small[1], small[2],
                    small[3],        large[1], large[2]};
}

static mcf_status check_labels(const pixels *p, mcf_error *err)
{
    const int64_t count = p->batch * p->height * p->width;
    for (int64_t i = 0; i < count; i++)
        if (p->labels[i] < 0 || p->labels[i] >= p->classes)
            return mcf_fail(err, MCF_ERR_SHAPE, "label %lld of pixel (%lld, %lld) of image %lld is not in [0, %lld)",
                            (long long)p->labels[i], (long long)(i % p->width), (long long)(i / p->width % p->height),
                            (long long)(i / p->width / p->height), (long long)p->classes);
    return MCF_OK;
}

// Row y of image b between its two rows of logits: [w, classes] at `row`, which has room for three such.
static void blend_rows(const pixels *p, int64_t b, const mcf_cpu_between *v, float *row)
{
    const int64_t line = p->w * p->classes;
    const float *rows[2];
    for (int i = 0; i < 2; i++)
        rows[i] = mcf_cpu_read(p->k, row + (i + 1) * line, mcf_cpu_at(p->logits, (b * p->h + v->at[i]) * line),
                               p->logits->dtype, 1, line);
    p->k->add(row, rows[0], rows[1], v->weight[0], v->weight[1], line);
}

static void blend_columns(const pixels *p, const mcf_cpu_between *h, const float *row, float *logits)
{
    p->k->add(logits, row + h->at[0] * p->classes, row + h->at[1] * p->classes, h->weight[0], h->weight[1], p->classes);
}

mcf_status mcf_cpu_op_pixel_cross_entropy(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const pixels p = pixels_of(device, &l->in[PIXEL_CROSS_ENTROPY_IN_logits], &l->in[PIXEL_CROSS_ENTROPY_IN_labels]);
    float *lse = mcf_cpu_has_output(l, PIXEL_CROSS_ENTROPY_OUT_lse)
                     ? (float *)mcf_cpu_address(&l->out[PIXEL_CROSS_ENTROPY_OUT_lse])
                     : NULL;
    const int64_t rows = p.batch * p.height, each = 3 * p.w * p.classes + 2 * p.classes;
    void *memory;
    MCF_TRY(check_labels(&p, err));
    MCF_TRY(mcf_cpu_scratch(device, (size_t)rows * sizeof(double) + (size_t)(device->threads * each) * sizeof(float),
                            &memory, err));
    double *sums = memory, sum = 0;
    const int team = mcf_cpu_team(device, rows * p.width * p.classes);
#pragma omp parallel num_threads(team)
    {
        float *row = (float *)(sums + rows) + omp_get_thread_num() * each, *x = row + 3 * p.w * p.classes;
#pragma omp for schedule(static)
        for (int64_t job = 0; job < rows; job++) {
            const mcf_cpu_between v = mcf_cpu_bilinear(job % p.height, p.h, p.height);
            blend_rows(&p, job / p.height, &v, row);
            sums[job] = 0;
            for (int64_t column = 0; column < p.width; column++) {
                const mcf_cpu_between h = mcf_cpu_bilinear(column, p.w, p.width);
                blend_columns(&p, &h, row, x);
                const float most = p.k->largest(x, p.classes);
                const float log_sum = most + logf(p.k->exp_sum(x + p.classes, x, 1, most, p.classes));
                sums[job] += (double)log_sum - x[p.labels[job * p.width + column]];
                if (lse)
                    lse[job * p.width + column] = log_sum;
            }
        }
    }
    for (int64_t i = 0; i < rows; i++)
        sum += sums[i];
    *(float *)mcf_cpu_address(&l->out[PIXEL_CROSS_ENTROPY_OUT_loss]) = (float)(sum / (double)(rows * p.width));
    return MCF_OK;
}

// Rows [begin, end) of the gradient of image b, at `sums` [rows, w, classes]; `room` has room for 4 rows and a pixel.
static void grad_band(const pixels *p, int64_t b, int64_t begin, int64_t end, const float *lse, float factor,
                      float *sums, float *room)
{
    const int64_t line = p->w * p->classes;
    float *row = room, *gathered = room + 3 * line, *x = gathered + line;
    memset(sums, 0, (size_t)((end - begin) * line) * sizeof *sums);
    for (int64_t y = 0; y < p->height; y++) {
        const mcf_cpu_between v = mcf_cpu_bilinear(y, p->h, p->height);
        if (v.at[1] < begin || v.at[0] >= end)
            continue;
        blend_rows(p, b, &v, row);
        memset(gathered, 0, (size_t)line * sizeof *gathered);
        for (int64_t column = 0; column < p->width; column++) {
            const mcf_cpu_between h = mcf_cpu_bilinear(column, p->w, p->width);
            const int64_t pixel = (b * p->height + y) * p->width + column;
            blend_columns(p, &h, row, x);
            p->k->exp_sum(x, x, 1, lse[pixel], p->classes);
            x[p->labels[pixel]] -= 1;
            for (int i = 0; i < 2; i++)
                p->k->axpy(gathered + h.at[i] * p->classes, x, factor * h.weight[i], p->classes);
        }
        for (int i = 0; i < 2; i++)
            if (v.at[i] >= begin && v.at[i] < end)
                p->k->axpy(sums + (v.at[i] - begin) * line, gathered, v.weight[i], line);
    }
}

mcf_status mcf_cpu_op_pixel_cross_entropy_grad(mcf_device *device, const mcf_launch *l, mcf_error *err)
{
    const pixels p =
        pixels_of(device, &l->in[PIXEL_CROSS_ENTROPY_GRAD_IN_logits], &l->in[PIXEL_CROSS_ENTROPY_GRAD_IN_labels]);
    const mcf_operand *dx = &l->out[PIXEL_CROSS_ENTROPY_GRAD_OUT_dlogits];
    const float *lse = (const float *)mcf_cpu_address(&l->in[PIXEL_CROSS_ENTROPY_GRAD_IN_lse]);
    const float factor = *(const float *)mcf_cpu_address(&l->in[PIXEL_CROSS_ENTROPY_GRAD_IN_dloss]) /
                         (float)(p.batch * p.height * p.width);
    const int64_t line = p.w * p.classes, bands = (p.h + BAND - 1) / BAND, each = (BAND + 4) * line + p.classes;
    void *memory;
    MCF_TRY(check_labels(&p, err));
    MCF_TRY(mcf_cpu_scratch(device, (size_t)(device->threads * each) * sizeof(float), &memory, err));
    const int team = mcf_cpu_team(device, p.batch * p.height * p.width * p.classes);
#pragma omp parallel num_threads(team)
    {
        float *sums = (float *)memory + omp_get_thread_num() * each;
#pragma omp for schedule(dynamic)
        for (int64_t job = 0; job < p.batch * bands; job++) {
            const int64_t b = job / bands, begin = job % bands * BAND, end = mcf_cpu_min(p.h, begin + BAND);
            grad_band(&p, b, begin, end, lse, factor, sums, sums + BAND * line);
            mcf_cpu_write(p.k, mcf_cpu_at(dx, (b * p.h + begin) * line), dx->dtype, sums, (end - begin) * line);
        }
    }
    return MCF_OK;
}
