// How fast: operations of a ViT-B/16 step one by one, whole steps, and what of the uploads hides behind work. Nothing is
// judged here but that it runs.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/gpu/gpu.h"
#include "bench/bench.h"
#include "core/job.h"

static const char *const precisions[] = {"fp32", "fp16", "bf16"};
static const mcf_dtype dtypes[] = {MCF_F32, MCF_F16, MCF_BF16};
enum { PRECISIONS = 3 };

static mcf_status load(const gpu_options *o, const char *precision, mcf_config *config, mcf_error *err)
{
    char path[4096], kind[64];
    const char *sets[] = {kind};
    snprintf(path, sizeof path, "%s/%s", o->source,
             o->tiny ? "tests/gpu/training.yaml" : "configs/pretrain/mcf_full.yaml");
    snprintf(kind, sizeof kind, "precision=%s", precision);
    return mcf_config_load(config, path, sets, 1, err);
}

// --- operations: rows of mcf_bench_ops, a column for each precision

// "label  type  1.5 ms  2.5 GFLOP/s  3.5 GB/s" without its type; *figures: where they begin. False for other lines.
static bool split_row(char *line, char **figures, double *ms, double *gflops, double *gbytes)
{
    char *at = strstr(line, " ms ");
    while (at && at > line && at[-1] != ' ')
        at--;
    if (!at || sscanf(at, "%lf ms %lf GFLOP/s %lf GB/s", ms, gflops, gbytes) != 3)
        return false;
    *figures = at;
    while (at > line && at[-1] == ' ')
        at--;
    while (at > line && at[-1] != ' ') // the type
        at--;
    while (at > line && at[-1] == ' ')
        at--;
    *at = '\0';
    return true;
}

// Products and attention are the largest part of a step, the update is what memory bounds: a line of the page each.
static bool on_the_page(const char *label)
{
    return !strncmp(label, "matmul ", 7) || !strncmp(label, "attention", 9) || !strncmp(label, "adamw ", 6);
}

enum { ROWS = 96, CELL = 80 };
typedef struct {
    char label[64], cell[PRECISIONS][CELL];
} row;

static void add_rows(row *rows, int *count, int column, char *table)
{
    for (char *line = table, *end; *line; line = end) {
        end = strchr(line, '\n');
        end = end ? end : line + strlen(line);
        const bool last = !*end;
        *end = '\0';
        puts(line);
        char *figures;
        double ms, gflops, gbytes;
        int at = 0;
        if (split_row(line, &figures, &ms, &gflops, &gbytes) && on_the_page(line)) {
            while (at < *count && strcmp(rows[at].label, line))
                at++;
            if (at < ROWS) {
                snprintf(rows[at].label, sizeof rows[at].label, "%.63s", line);
                // What bounds it: arithmetic or memory.
                const bool arithmetic = !strncmp(line, "matmul", 6) || !strncmp(line, "attention", 9);
                snprintf(rows[at].cell[column], CELL, arithmetic ? "%.3f ms, %.2f TFLOP/s" : "%.3f ms, %.1f GB/s", ms,
                         arithmetic ? gflops * 1e-3 : gbytes);
                *count = at == *count ? at + 1 : *count;
            }
        }
        end += !last;
    }
}

static mcf_status operations(const gpu_options *o, mcf_error *err)
{
    static row rows[ROWS];
    int count = 0;
    mcf_bench_options options = {.batch = o->tiny ? 2 : 64, .seconds = o->tiny ? 1e-3 : 0.03};
    options.job = (mcf_job_options){.backend = o->backend->name, .device_count = 1};
    for (int i = 0; i < 2; i++) {
        mcf_config config;
        mcf_bench_report report;
        MCF_TRY(load(o, precisions[i], &config, err));
        mcf_status status = mcf_bench_ops(&config, &options, &report, err);
        mcf_config_free(&config);
        MCF_TRY(status);
        add_rows(rows, &count, i, report.table);
        mcf_bench_report_free(&report);
    }
    printf("| operation, %d images | fp32 | fp16 |\n| --- | --- | --- |\n", options.batch);
    for (int i = 0; i < count; i++)
        printf("| %s | %s | %s |\n", rows[i].label, rows[i].cell[0], rows[i].cell[1]);
    return count ? MCF_OK : mcf_fail(err, MCF_ERR_INTERNAL, "no operation was measured");
}

// --- steps

// Text between the first `before` and the next `after`.
static const char *between(const char *text, const char *before, const char *after, char *buffer, size_t size)
{
    const char *begin = strstr(text, before), *end = begin ? strstr(begin + strlen(before), after) : NULL;
    snprintf(buffer, size, "%.*s", end ? (int)(end - begin - (ptrdiff_t)strlen(before)) : 1,
             end ? begin + strlen(before) : "?");
    return buffer;
}

static mcf_status step(const gpu_options *o, int precision, char *line, size_t size, mcf_error *err)
{
    mcf_bench_options options = {.steps = o->tiny ? 1 : 10, .warmup = o->tiny ? 1 : 3};
    options.job = (mcf_job_options){.backend = o->backend->name, .device_count = 1};
    mcf_config config;
    mcf_bench_report report = {0};
    MCF_TRY(load(o, precisions[precision], &config, err));
    mcf_status status = MCF_ERR_NOMEM;
    for (options.batch = o->tiny ? 4 : 128; status == MCF_ERR_NOMEM && options.batch >= 4; options.batch /= 2)
        status = mcf_bench_step(&config, &options, &report, err);
    const int batch = 2 * options.batch;
    mcf_config_free(&config);
    MCF_TRY(status);
    char rate[64], flops[64], arena[64], memory[64];
    puts(report.table);
    between(report.table, "\n", " images/s", rate, sizeof rate);
    between(report.table, "GFLOP an image, ", " GFLOP/s", flops, sizeof flops);
    between(report.table, "arena ", " MiB", arena, sizeof arena);
    between(report.table, "memory of the device ", " MiB", memory, sizeof memory);
    snprintf(line, size, "%s at %d images: %.1f images/s, %.2f TFLOP/s, arena %s MiB, in all %s MiB",
             precisions[precision], batch, atof(rate), atof(flops) * 1e-3, arena, memory);
    mcf_bench_report_free(&report);
    return MCF_OK;
}

// --- uploads behind products

typedef struct {
    const mcf_backend *b;
    mcf_device *device;
    mcf_stream *stream;
    mcf_launch product;
    mcf_buffer *to;
    char *host;
    uint64_t bytes;
    int rounds, launches; // of products in a round
} overlap;

static mcf_status prepare(overlap *v, int64_t n, mcf_error *err)
{
    v->product = (mcf_launch){.op = MCF_OP_matmul, .n_in = 2, .n_out = 1};
    mcf_operand *all[] = {&v->product.in[0], &v->product.in[1], &v->product.out[0]};
    for (int i = 0; i < 3; i++) {
        *all[i] = (mcf_operand){.dtype = MCF_F32, .shape = MCF_SHAPE(n, n)};
        mcf_contiguous_strides(&all[i]->shape, all[i]->stride);
        MCF_TRY(v->b->buffer_create(v->device, (uint64_t)(n * n) * sizeof(float), &all[i]->buffer, err));
    }
    MCF_TRY(v->b->buffer_create(v->device, v->bytes, &v->to, err));
    v->host = calloc(v->bytes, 1);
    return v->host ? v->b->stream_create(v->device, &v->stream, err) : mcf_fail(err, MCF_ERR_NOMEM, "no memory");
}

static mcf_status time_rounds(overlap *v, bool products, bool uploads, double *seconds, mcf_error *err)
{
    *seconds = INFINITY;
    for (int attempt = 0; attempt < 3; attempt++) {
        const double begin = mcf_now();
        for (int r = 0; r < v->rounds; r++) {
            for (int i = 0; products && i < v->launches; i++)
                MCF_TRY(v->b->launch(v->stream, &v->product, err));
            if (uploads)
                MCF_TRY(v->b->upload(v->stream, v->to, 0, v->host, v->bytes, err));
        }
        MCF_TRY(v->b->stream_synchronize(v->stream, err));
        *seconds = fmin(*seconds, mcf_now() - begin);
    }
    return MCF_OK;
}

static mcf_status measure_overlap(const gpu_options *o, overlap *v, char *line, size_t size, mcf_error *err)
{
    double upload, product, both;
    MCF_TRY(v->b->device_open(0, &(mcf_device_options){.opened = 1}, &v->device, err));
    MCF_TRY(prepare(v, o->tiny ? 64 : 4096, err));
    // As many products as take about the time of an upload.
    MCF_TRY(time_rounds(v, false, true, &upload, err));
    MCF_TRY(time_rounds(v, true, false, &product, err));
    v->launches = o->tiny ? 1 : (int)fmin(1000, fmax(1, round(upload / product)));
    MCF_TRY(time_rounds(v, true, false, &product, err));
    MCF_TRY(time_rounds(v, true, true, &both, err));
    snprintf(
        line, size,
        "%d uploads of %.0f MB: alone %.2f ms (%.1f GB/s), products alone %.2f ms, together %.2f ms: %.0f %% hidden",
        v->rounds, (double)v->bytes * 1e-6, upload * 1e3, v->rounds * (double)v->bytes * 1e-9 / upload, product * 1e3,
        both * 1e3, 100 * fmax(0, (upload + product - both) / fmin(upload, product)));
    return MCF_OK;
}

static mcf_status uploads(const gpu_options *o, char *line, size_t size, mcf_error *err)
{
    // An upload is 104 images of 224 x 224, or so.
    overlap v = {.b = o->backend, .bytes = o->tiny ? 100000 : 16 << 20, .rounds = 8, .launches = 1};
    mcf_status status = measure_overlap(o, &v, line, size, err);
    if (v.stream)
        v.b->stream_destroy(v.stream);
    mcf_buffer *const buffers[] = {v.product.in[0].buffer, v.product.in[1].buffer, v.product.out[0].buffer, v.to};
    for (int i = 0; i < 4; i++)
        if (buffers[i])
            v.b->buffer_destroy(buffers[i]);
    if (v.device)
        v.b->device_close(v.device);
    free(v.host);
    return status;
}

mcf_status gpu_speed(const gpu_options *o, gpu_verdict *verdict, mcf_error *err)
{
    char line[PRECISIONS][240] = {""}, hidden[240] = "";
    MCF_TRY(operations(o, err));
    for (int i = 0; i < PRECISIONS; i++)
        if (gpu_computes(o, dtypes[i]))
            MCF_TRY(step(o, i, line[i], sizeof line[i], err));
    MCF_TRY(uploads(o, hidden, sizeof hidden, err));
    *verdict = GPU_PASSED;
    printf("= %s step: %s; %s%s%s; %s\n", o->tiny ? "small" : "ViT-B/16 MCF", line[0], line[1], line[2][0] ? "; " : "",
           line[2], hidden);
    return MCF_OK;
}
