// Each operation at the shapes it has in a config's training step, straight through the backend's interface. The step is
// recorded by the code that runs it; operations that it does not have are measured at the check's largest cases.
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/bench.h"
#include "bench/estimate/record_step.h"
#include "bench/listed.h"
#include "ops/rules.h"

typedef struct {
    const mcf_backend *backend;
    mcf_device *device;
    mcf_stream *stream;
    double seconds;
    const volatile sig_atomic_t *stop;
    const char *only; // NULL, or the one operation that is wanted
    json_t *rows;     // NULL: only the best rate is wanted
    mcf_text *table;
    double best_gflops;
} bench;

// Best time of one call, over b->seconds and at least three rounds. Calls shorter than a millisecond go in a row, since a
// device's answer takes tens of microseconds.
static mcf_status measure(bench *b, const mcf_launch *launch, double *best, int64_t *calls, mcf_error *err)
{
    enum { WARM, ALONE, MEASURED }; // the first call packs weights, compiles
    int together = 1;
    *best = INFINITY;
    *calls = 0;
    double begin = 0;
    for (int round = 0; round < MEASURED + 3 || mcf_now() - begin < b->seconds; round++) {
        double t = mcf_now();
        for (int i = 0; i < together; i++)
            MCF_TRY(b->backend->launch(b->stream, launch, err));
        MCF_TRY(b->backend->stream_synchronize(b->stream, err));
        t = (mcf_now() - t) / together;
        if (round == ALONE) {
            together = t < 1e-3 ? (int)fmin(64, ceil(1e-3 / fmax(t, 1e-6))) : 1;
            begin = mcf_now();
        }
        if (round >= MEASURED) {
            *best = t < *best ? t : *best;
            *calls += together;
        }
        if (b->stop && *b->stop)
            return mcf_fail(err, MCF_ERR_INTERRUPTED, "stopped");
    }
    return MCF_OK;
}

// The type that a launch computes in: the low precision where an operand has one.
static mcf_dtype compute_type(const mcf_launch *launch)
{
    for (int i = 0; i < launch->n_in + launch->n_out; i++) {
        const mcf_operand *o = i < launch->n_in ? &launch->in[i] : &launch->out[i - launch->n_in];
        if (o->buffer && (o->dtype == MCF_BF16 || o->dtype == MCF_F16))
            return o->dtype;
    }
    return MCF_F32;
}

static mcf_status report(bench *b, const char *label, const mcf_launch *launch, int times, mcf_error *err)
{
    const mcf_dtype compute = compute_type(launch);
    if (!b->backend->supports(b->device, launch)) {
        if (b->table)
            mcf_text_add(b->table, "%-44s %5s  not supported\n", label, mcf_dtype_name(compute));
        return MCF_OK;
    }
    double best;
    int64_t calls;
    MCF_TRY(measure(b, launch, &best, &calls, err));
    const mcf_cost cost = mcf_op_cost(launch);
    const double gflops = cost.flops / best * 1e-9, gbytes = cost.bytes / best * 1e-9;
    if (gflops > b->best_gflops)
        b->best_gflops = gflops;
    if (b->table)
        mcf_text_add(b->table,
                     times ? "%-44s %5s %10.3f ms %9.1f GFLOP/s %8.1f GB/s  x %d\n"
                           : "%-44s %5s %10.3f ms %9.1f GFLOP/s %8.1f GB/s  not in the step\n",
                     label, mcf_dtype_name(compute), best * 1e3, gflops, gbytes, times);
    if (b->rows)
        json_array_append_new(b->rows, json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:I, s:i}", "name", label, "op",
                                                 mcf_op_describe(launch->op)->name, "dtype", mcf_dtype_name(compute),
                                                 "seconds", best, "gflops", gflops, "gbytes_per_s", gbytes, "calls",
                                                 (json_int_t)calls, "times_in_step", times));
    return MCF_OK;
}

// Measures a launch with buffers and values of its own. `times`: how often a step has it. `recorded`: as mcf_bench_give.
static mcf_status row(bench *b, const char *label, const mcf_launch *launch, int times, bool recorded, mcf_error *err)
{
    mcf_launch own = *launch;
    mcf_status status = mcf_bench_give(b->backend, b->device, b->stream, &own, recorded, err);
    if (status == MCF_OK)
        status = report(b, label, &own, times, err);
    mcf_bench_release(b->backend, &own);
    return status == MCF_OK ? MCF_OK : mcf_add_context(err, status, "%s", label);
}

// --- what a step asks for

typedef struct {
    mcf_launch launch;
    int times;      // in a step
    char label[80]; // operations that differ in what it does not show are numbered
} distinct;

static bool is_same_operand(const mcf_operand *a, const mcf_operand *b)
{
    return !a->buffer == !b->buffer &&
           (!a->buffer || (a->dtype == b->dtype && !a->version == !b->version && a->shape.rank == b->shape.rank &&
                           !memcmp(a->shape.dim, b->shape.dim, (size_t)a->shape.rank * sizeof *a->shape.dim) &&
                           !memcmp(a->stride, b->stride, (size_t)a->shape.rank * sizeof *a->stride)));
}

static bool is_same_launch(const mcf_launch *a, const mcf_launch *b)
{
    if (a->op != b->op || a->accumulate != b->accumulate || memcmp(&a->attr, &b->attr, sizeof a->attr))
        return false;
    for (int i = 0; i < a->n_in; i++)
        if (!is_same_operand(&a->in[i], &b->in[i]))
            return false;
    for (int i = 0; i < a->n_out; i++)
        if (!is_same_operand(&a->out[i], &b->out[i]))
            return false;
    return true;
}

static void add_shape(char *label, size_t size, const char *before, const mcf_shape *shape)
{
    for (int i = 0; i < shape->rank; i++) {
        const size_t at = strlen(label);
        snprintf(label + at, size - at, "%s%lld", i ? "x" : before, (long long)shape->dim[i]);
    }
}

// "matmul 392x2304x768 nt gelu": rows, columns, depth, which operands are transposed, what is fused. Others: the shapes
// of the first input, and of the second where it is another matrix.
static void write_label(const mcf_launch *l, char *label, size_t size)
{
    snprintf(label, size, "%s", mcf_op_describe(l->op)->name);
    const mcf_shape *a = l->n_in ? &l->in[0].shape : &l->out[0].shape, *b = l->n_in > 1 ? &l->in[1].shape : a;
    if (l->op == MCF_OP_matmul) {
        static const char *const fused[] = {"", " relu", " gelu"};
        mcf_shape product = l->out[MATMUL_OUT_out].shape;
        product.dim[product.rank++] = a->dim[a->rank - (l->attr.matmul.trans_a ? 2 : 1)];
        add_shape(label, size, " ", &product);
        const size_t at = strlen(label);
        snprintf(label + at, size - at, " %c%c%s", l->attr.matmul.trans_a ? 't' : 'n',
                 l->attr.matmul.trans_b ? 't' : 'n', fused[l->attr.matmul.activation]);
        return;
    }
    add_shape(label, size, " ", a);
    if (l->n_in > 1 && l->in[1].buffer && b->rank > 1 &&
        (a->rank != b->rank || memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim)))
        add_shape(label, size, ", ", b);
}

// The launches of a step that differ, in the order in which they first come. The caller frees *list.
static mcf_status list_launches(const mcf_recording *recording, distinct **list, int *count, mcf_error *err)
{
    *count = 0;
    *list = calloc((size_t)recording->count + 1, sizeof **list);
    if (!*list)
        return mcf_fail(err, MCF_ERR_NOMEM, "bench: no memory for the step's operations");
    for (int c = 0; c < recording->count; c++) {
        const mcf_launch *launch = &recording->calls[c].launch;
        if (recording->calls[c].kind != MCF_RECORDED_LAUNCH || mcf_op_is_collective(launch->op))
            continue;
        int i = 0;
        while (i < *count && !is_same_launch(&(*list)[i].launch, launch))
            i++;
        distinct *d = &(*list)[i];
        if (i < *count) {
            d->times++;
            continue;
        }
        *d = (distinct){.launch = *launch, .times = 1};
        write_label(launch, d->label, sizeof d->label - 8);
        const size_t own = strlen(d->label);
        int alike = 0;
        for (int before = 0; before < *count; before++) {
            const char *other = (*list)[before].label;
            alike += !strncmp(other, d->label, own) && (!other[own] || other[own + 1] == '#');
        }
        if (alike)
            snprintf(d->label + own, sizeof d->label - own, " #%d", alike + 1);
        ++*count;
    }
    return MCF_OK;
}

// --- entry points

typedef struct {
    bench b;
    mcf_job *job;
    const mcf_config *config;
    const mcf_bench_options *options;
    double fp32, bf16;
    double convolution[2][3]; // fp32 and bf16: forward, dx, dw
} ops_task;

static bool is_wanted(const bench *b, mcf_op op)
{
    return !b->only || !strcmp(b->only, mcf_op_describe(op)->name);
}

// Operations of the table that no launch of the step has.
static mcf_status rest(bench *b, const distinct *list, int count, mcf_dtype type, mcf_error *err)
{
    for (int op = 0; op < MCF_OP_COUNT; op++) {
        bool seen = mcf_op_is_collective((mcf_op)op) || !is_wanted(b, (mcf_op)op);
        for (int i = 0; i < count && !seen; i++)
            seen = list[i].launch.op == (mcf_op)op;
        if (seen)
            continue;
        mcf_launch launch;
        distinct d;
        MCF_TRY(mcf_bench_listed((mcf_op)op, type, &launch, err));
        write_label(&launch, d.label, sizeof d.label);
        MCF_TRY(row(b, d.label, &launch, 0, false, err));
    }
    return MCF_OK;
}

static mcf_status ops(int rank, void *context, mcf_error *err)
{
    ops_task *t = context;
    if (rank != 0)
        return MCF_OK;
    mcf_recorded_step step;
    distinct *list = NULL;
    int count;
    MCF_TRY(
        mcf_record_step(t->config, t->options->batch ? t->options->batch : t->config->batch.per_device, 1, &step, err));
    mcf_status status = list_launches(&step.recording, &list, &count, err);
    if (status == MCF_OK)
        status = t->b.backend->stream_create(t->b.device, &t->b.stream, err);
    for (int i = 0; status == MCF_OK && i < count; i++)
        if (is_wanted(&t->b, list[i].launch.op))
            status = row(&t->b, list[i].label, &list[i].launch, list[i].times, true, err);
    if (status == MCF_OK)
        status = rest(&t->b, list, count, mcf_precision_dtype(t->config->precision), err);
    if (t->b.stream)
        t->b.backend->stream_destroy(t->b.stream);
    free(list);
    mcf_record_free(&step);
    return status;
}

mcf_status mcf_bench_ops(const mcf_config *config, const mcf_bench_options *options, mcf_bench_report *out,
                         mcf_error *err)
{
    *out = (mcf_bench_report){0};
    MCF_TRY(mcf_config_check_task(config, err));
    mcf_text table = {0};
    ops_task task = {.config = config, .options = options};
    MCF_TRY(mcf_job_create(&task.job, &options->job, err));
    task.b = (bench){.backend = mcf_job_backend(task.job),
                     .device = mcf_job_device(task.job, 0),
                     .seconds = options->seconds > 0 ? options->seconds : 0.5,
                     .stop = options->stop,
                     .only = options->op,
                     .rows = json_array(),
                     .table = &table};
    mcf_status status = mcf_job_run(task.job, ops, &task, err);
    if (status == MCF_OK && !table.size)
        status = mcf_fail(err, MCF_ERR_USAGE,
                          "bench: no operation '%s' to measure alone; the names are those that `mcf check` prints",
                          options->op ? options->op : "");
    json_t *root =
        json_pack("{s:s, s:I, s:o}", "backend", task.b.backend->name, "batch",
                  (json_int_t)(options->batch ? options->batch : config->batch.per_device), "ops", task.b.rows);
    if (status == MCF_OK)
        status = mcf_bench_finish(out, root, &table, err);
    json_decref(root);
    mcf_text_free(&table);
    mcf_job_destroy(task.job);
    return status;
}

// --- the yardstick: rates that a backend's own products and convolutions reach alone

static mcf_status best_of(bench *b, const char *label, mcf_launch *launch, mcf_error *err)
{
    MCF_TRY(mcf_infer_shapes(launch, 1, err));
    return row(b, label, launch, 0, false, err);
}

static mcf_operand operand(mcf_dtype type, mcf_shape shape, uint64_t version)
{
    mcf_operand o = {.dtype = type, .shape = shape, .version = version};
    mcf_contiguous_strides(&o.shape, o.stride);
    return o;
}

// The products of a ViT-B/16 block over 8 images of 197 tokens: M_1's, the largest share of a step.
static mcf_status products(bench *b, mcf_dtype t, double *rate, mcf_error *err)
{
    static const int64_t shapes[][2] = {{768, 2304}, {768, 768}, {768, 3072}, {3072, 768}};
    b->best_gflops = 0;
    for (int s = 0; s < 4; s++) {
        mcf_launch l = {.op = MCF_OP_matmul, .attr = {.matmul = {.trans_b = 1}}, .n_in = 3, .n_out = 1};
        l.in[MATMUL_IN_a] = operand(t, MCF_SHAPE(8 * 197, shapes[s][0]), 0);
        l.in[MATMUL_IN_b] = operand(t, MCF_SHAPE(shapes[s][1], shapes[s][0]), 1);
        l.in[MATMUL_IN_bias] = operand(MCF_F32, MCF_SHAPE(shapes[s][1]), 0);
        l.out[MATMUL_OUT_out].dtype = t;
        MCF_TRY(best_of(b, "yardstick: product", &l, err));
    }
    *rate = b->best_gflops;
    return MCF_OK;
}

// A 3 x 3 convolution with as many channels out as in, and its gradients.
static mcf_status convolutions(bench *b, mcf_dtype t, double rates[3], mcf_error *err)
{
    enum { SIDE = 28, CHANNELS = 384 };
    static const mcf_op ops[3] = {MCF_OP_conv2d, MCF_OP_conv2d_grad_x, MCF_OP_conv2d_grad_weight};
    const mcf_operand image = operand(t, MCF_SHAPE(1, SIDE, SIDE, CHANNELS), 0);
    for (int i = 0; i < 3; i++) {
        const bool is_weight = ops[i] == MCF_OP_conv2d_grad_weight;
        const int64_t size = ops[i] == MCF_OP_conv2d_grad_x ? SIDE : is_weight ? 3 : 0;
        mcf_launch l = {.op = ops[i], .n_in = 2, .n_out = 1, .accumulate = is_weight};
        l.attr.conv2d.stride = l.attr.conv2d.pad = l.attr.conv2d.groups = 1;
        l.attr.conv2d.height = l.attr.conv2d.width = size;
        l.in[CONV2D_IN_x] = image;
        l.in[CONV2D_IN_weight] = is_weight ? image : operand(t, MCF_SHAPE(CHANNELS, CHANNELS, 3, 3), 1);
        l.out[CONV2D_OUT_y].dtype = is_weight ? MCF_F32 : t;
        b->best_gflops = 0;
        MCF_TRY(best_of(b, "yardstick: convolution", &l, err));
        rates[i] = b->best_gflops;
    }
    return MCF_OK;
}

static mcf_status yardstick(int rank, void *context, mcf_error *err)
{
    ops_task *t = context;
    if (rank != 0)
        return MCF_OK;
    mcf_device_info info;
    MCF_TRY(t->b.backend->device_info(mcf_job_device_index(t->job, 0), &info, err));
    MCF_TRY(t->b.backend->stream_create(t->b.device, &t->b.stream, err));
    mcf_status status = MCF_OK;
    const mcf_dtype types[] = {MCF_F32, MCF_BF16};
    for (int i = 0; i < 2 && status == MCF_OK; i++) {
        if (!(info.dtypes >> types[i] & 1))
            continue;
        status = products(&t->b, types[i], i ? &t->bf16 : &t->fp32, err);
        if (status == MCF_OK)
            status = convolutions(&t->b, types[i], t->convolution[i], err);
    }
    t->b.backend->stream_destroy(t->b.stream);
    return status;
}

mcf_status mcf_bench_yardstick(const mcf_bench_options *options, mcf_bench_report *out, mcf_error *err)
{
    *out = (mcf_bench_report){0};
    ops_task task = {.options = options};
    MCF_TRY(mcf_job_create(&task.job, &options->job, err));
    task.b = (bench){.backend = mcf_job_backend(task.job),
                     .device = mcf_job_device(task.job, 0),
                     .seconds = options->seconds > 0 ? options->seconds : 0.5,
                     .stop = options->stop};
    mcf_status status = mcf_job_run(task.job, yardstick, &task, err);
    if (status == MCF_OK) {
        mcf_text table = {0};
        mcf_text_add(&table, "matrix products of a ViT-B block, 1576 rows: fp32 %.0f, bf16 %.0f GFLOP/s\n", task.fp32,
                     task.bf16);
        const double(*c)[3] = task.convolution;
        for (int i = 0; i < 2; i++)
            mcf_text_add(&table,
                         "3 x 3 convolutions of 384 channels, a map of 28 x 28, %s: forward %.0f, dx %.0f, dw "
                         "%.0f GFLOP/s\n",
                         i ? "bf16" : "fp32", c[i][0], c[i][1], c[i][2]);
        json_t *root = json_pack("{s:s, s:f, s:f, s:[f,f,f], s:[f,f,f]}", "backend", task.b.backend->name,
                                 "fp32_gflops", task.fp32, "bf16_gflops", task.bf16, "fp32_convolution_gflops", c[0][0],
                                 c[0][1], c[0][2], "bf16_convolution_gflops", c[1][0], c[1][1], c[1][2]);
        status = mcf_bench_finish(out, root, &table, err);
        json_decref(root);
        mcf_text_free(&table);
    }
    mcf_job_destroy(task.job);
    return status;
}
