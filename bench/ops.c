// Each operation at the shapes it has in a config's training step, straight through the backend's interface.
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "model/pretrain.h"
#include "bench/bench.h"
#include "bench/listed.h"
#include "train/engine.h"

enum { WEIGHT = 1, INDEX = 2, POSITIVE = 4, SPAN = 8, ADAMW = 16 }; // how an input is made

typedef struct {
    mcf_shape shape;
    mcf_dtype dtype;
    int kind;
    int64_t limit; // INDEX: below this, no value twice in a row of the last axis; SPAN: the values are 0, limit
} input;

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

// Random contents of an operand, made on the host.
static mcf_status fill(bench *b, const mcf_operand *operand, const input *in, mcf_error *err)
{
    const int64_t count = mcf_shape_count(&operand->shape);
    const size_t size = mcf_dtype_size(operand->dtype);
    char *bytes = malloc((size_t)count * size + 1);
    if (!bytes)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %lld elements", (long long)count);
    mcf_rng rng = mcf_rng_make(0, MCF_RNG_TEST, 0, 0);
    const int64_t last = in->shape.rank > 0 ? in->shape.dim[in->shape.rank - 1] : 1;
    if (in->kind & INDEX && in->limit >= last) {
        int64_t *row = malloc((size_t)in->limit * sizeof *row);
        for (int64_t i = 0; row && i + last <= count; i += last) {
            mcf_rng_permutation(&rng, row, in->limit);
            memcpy(bytes + (size_t)i * size, row, (size_t)last * size);
        }
        free(row);
    } else if (in->kind & ADAMW) {
        const float scalars[MCF_ADAMW_SCALARS] = {1e-4f, 0.9f, 0.95f, 1e-8f, 0.1f, 0.05f, 1, 0, 1};
        memcpy(bytes, scalars, sizeof scalars);
    } else if (in->kind & SPAN) {
        memcpy(bytes, (int64_t[]){0, in->limit}, 2 * sizeof(int64_t));
    } else {
        // Products with a weight are of order 1, as in a network: far out GELU meets denormals, which are slow.
        const double scale = in->kind & WEIGHT ? sqrt(3.0 / (double)last) : 1;
        for (int64_t i = 0; i < count; i++) {
            float x = (float)(in->kind & POSITIVE ? 0.5 + mcf_rng_float(&rng) : scale * (2 * mcf_rng_float(&rng) - 1));
            if (operand->dtype == MCF_F32)
                ((float *)bytes)[i] = x;
            else if (operand->dtype == MCF_BF16)
                ((uint16_t *)bytes)[i] = mcf_f32_to_bf16(x);
            else if (operand->dtype == MCF_F16)
                ((uint16_t *)bytes)[i] = mcf_f32_to_f16(x);
            else if (operand->dtype == MCF_I64)
                ((int64_t *)bytes)[i] = (int64_t)mcf_rng_below(&rng, (uint64_t)in->limit);
            else
                ((uint8_t *)bytes)[i] = (uint8_t)mcf_rng_below(&rng, in->limit ? (uint64_t)in->limit : 256);
        }
    }
    mcf_status status = b->backend->upload(b->stream, operand->buffer, 0, bytes, (uint64_t)count * size, err);
    if (status == MCF_OK)
        status = b->backend->stream_synchronize(b->stream, err);
    free(bytes);
    return status;
}

static mcf_status make(bench *b, mcf_operand *operand, mcf_error *err)
{
    mcf_contiguous_strides(&operand->shape, operand->stride);
    uint64_t bytes = (uint64_t)mcf_shape_count(&operand->shape) * mcf_dtype_size(operand->dtype);
    return b->backend->buffer_create(b->device, bytes ? bytes : 64, &operand->buffer, err);
}

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

static mcf_status prepare(bench *b, mcf_launch *launch, const input *in, mcf_error *err)
{
    for (int i = 0; i < launch->n_in; i++) {
        mcf_operand *o = &launch->in[i];
        o->dtype = in[i].dtype;
        o->shape = in[i].shape;
        o->version = in[i].kind & WEIGHT ? 1 : 0;
        MCF_TRY(make(b, o, err));
        MCF_TRY(fill(b, o, &in[i], err));
    }
    MCF_TRY(mcf_infer_shapes(launch, 1, err));
    if (launch->op == MCF_OP_ema || launch->op == MCF_OP_adamw) {
        launch->out[0] = launch->in[0]; // in place
        return MCF_OK;
    }
    for (int i = 0; i < launch->n_out; i++)
        MCF_TRY(make(b, &launch->out[i], err));
    return MCF_OK;
}

static mcf_status report(bench *b, const char *label, const mcf_launch *launch, mcf_dtype compute, mcf_error *err)
{
    if (!b->backend->supports(b->device, launch)) {
        if (b->table)
            mcf_text_add(b->table, "%-34s %5s  not supported\n", label, mcf_dtype_name(compute));
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
        mcf_text_add(b->table, "%-34s %5s %10.3f ms %9.1f GFLOP/s %8.1f GB/s\n", label, mcf_dtype_name(compute),
                     best * 1e3, gflops, gbytes);
    if (b->rows)
        json_array_append_new(b->rows,
                              json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:I}", "name", label, "op",
                                        mcf_op_describe(launch->op)->name, "dtype", mcf_dtype_name(compute), "seconds",
                                        best, "gflops", gflops, "gbytes_per_s", gbytes, "calls", (json_int_t)calls));
    return MCF_OK;
}

// Outputs take the element type `out`, except those that the table fixes.
static mcf_status row(bench *b, const char *label, mcf_op op, const mcf_attr *attr, int n_in, const input *in,
                      mcf_dtype compute, mcf_dtype out, uint32_t accumulate, mcf_error *err)
{
    if (b->only && strcmp(b->only, mcf_op_describe(op)->name))
        return MCF_OK;
    mcf_launch launch = {.op = op, .n_in = n_in, .n_out = mcf_op_describe(op)->outputs, .accumulate = accumulate};
    if (attr)
        launch.attr = *attr;
    for (int i = 0; i < launch.n_out; i++)
        launch.out[i].dtype = out;
    mcf_status status = prepare(b, &launch, in, err);
    if (status == MCF_OK)
        status = report(b, label, &launch, compute, err);
    for (int i = 0; i < launch.n_in; i++)
        if (launch.in[i].buffer)
            b->backend->buffer_destroy(launch.in[i].buffer);
    for (int i = 0; i < launch.n_out; i++)
        if (launch.out[i].buffer && launch.out[i].buffer != launch.in[0].buffer)
            b->backend->buffer_destroy(launch.out[i].buffer);
    return status == MCF_OK ? MCF_OK : mcf_add_context(err, status, "%s", label);
}

// --- the shapes of a transformer block over `rows` = images * tokens

static mcf_status products(bench *b, const char *where, int64_t rows, int64_t k, int64_t n, mcf_activation act,
                           mcf_dtype t, bool gradients, mcf_error *err)
{
    char label[96];
    snprintf(label, sizeof label, "matmul %s %lldx%lldx%lld", where, (long long)rows, (long long)n, (long long)k);
    mcf_attr attr = {.matmul = {.trans_b = 1, .activation = act}};
    const input forward[] = {
        {MCF_SHAPE(rows, k), t, 0, 0}, {MCF_SHAPE(n, k), t, WEIGHT, 0}, {MCF_SHAPE(n), MCF_F32, 0, 0}};
    MCF_TRY(row(b, label, MCF_OP_matmul, &attr, 3, forward, t, t, 0, err));
    if (!gradients)
        return MCF_OK;
    snprintf(label, sizeof label, "matmul %s dx", where);
    mcf_attr dx = {.matmul = {0}};
    const input back[] = {{MCF_SHAPE(rows, n), t, 0, 0}, {MCF_SHAPE(n, k), t, WEIGHT, 0}};
    MCF_TRY(row(b, label, MCF_OP_matmul, &dx, 2, back, t, t, 0, err));
    snprintf(label, sizeof label, "matmul %s dw", where);
    mcf_attr dw = {.matmul = {.trans_a = 1}};
    const input weight[] = {{MCF_SHAPE(rows, n), t, 0, 0}, {MCF_SHAPE(rows, k), t, 0, 0}};
    return row(b, label, MCF_OP_matmul, &dw, 2, weight, t, MCF_F32, 1, err);
}

static mcf_status block(bench *b, const char *where, int64_t batch, int64_t tokens, const mcf_vit_options *v,
                        mcf_dtype t, mcf_error *err)
{
    const int64_t rows = batch * tokens, d = v->dim, hidden = (int64_t)(d * v->mlp_ratio);
    char label[96];
    snprintf(label, sizeof label, "%s qkv", where);
    MCF_TRY(products(b, label, rows, d, 3 * d, MCF_ACT_NONE, t, true, err));
    snprintf(label, sizeof label, "%s proj", where);
    MCF_TRY(products(b, label, rows, d, d, MCF_ACT_NONE, t, true, err));
    snprintf(label, sizeof label, "%s fc1+gelu", where);
    MCF_TRY(products(b, label, rows, d, hidden, MCF_ACT_GELU, t, true, err));
    snprintf(label, sizeof label, "%s fc2", where);
    MCF_TRY(products(b, label, rows, hidden, d, MCF_ACT_NONE, t, true, err));

    const int64_t heads = v->heads, width = d / heads;
    mcf_attr scale = {.attention = {1 / sqrt((double)width)}};
    const input qkv = {MCF_SHAPE(batch, tokens, 3, heads, width), t, 0, 0};
    const input out = {MCF_SHAPE(batch, tokens, heads, width), t, 0, 0};
    const input lse = {MCF_SHAPE(batch, heads, tokens), MCF_F32, POSITIVE, 0};
    snprintf(label, sizeof label, "attention %s N=%lld", where, (long long)tokens);
    MCF_TRY(row(b, label, MCF_OP_attention, &scale, 1, &qkv, t, t, 0, err));
    snprintf(label, sizeof label, "attention_grad %s", where);
    MCF_TRY(row(b, label, MCF_OP_attention_grad, &scale, 4, (const input[]){qkv, out, lse, out}, t, t, 0, err));

    const input x = {MCF_SHAPE(rows, d), MCF_F32, 0, 0}, y = {MCF_SHAPE(rows, d), t, 0, 0};
    const input vector = {MCF_SHAPE(d), MCF_F32, 0, 0}, column = {MCF_SHAPE(rows), MCF_F32, POSITIVE, 0};
    const input wide = {MCF_SHAPE(rows, hidden), t, 0, 0};
    mcf_attr norm = {.norm = {MCF_VIT_NORM_EPS}};
    snprintf(label, sizeof label, "layer_norm %s", where);
    MCF_TRY(row(b, label, MCF_OP_layer_norm, &norm, 3, (const input[]){x, vector, vector}, t, t, 0, err));
    snprintf(label, sizeof label, "layer_norm_grad %s", where);
    MCF_TRY(row(b, label, MCF_OP_layer_norm_grad, &norm, 6, (const input[]){x, vector, column, column, y, x}, t,
                MCF_F32, 6, err));
    snprintf(label, sizeof label, "gelu_grad %s", where);
    return row(b, label, MCF_OP_gelu_grad, NULL, 2, (const input[]){wide, wide}, t, t, 0, err);
}

static mcf_status rest(bench *b, const mcf_config *c, const mcf_pretrain_model *m, int64_t batch, mcf_dtype t,
                       mcf_error *err)
{
    const int64_t d = c->model.encoder.dim, side = c->model.image_size, patches = m->patches, visible = m->visible;
    const int64_t trained = m->store.role_count[MCF_ROLE_TRAINED];
    const input image = {MCF_SHAPE(batch, side, side, 3), MCF_U8, 0, 0}, flip = {MCF_SHAPE(batch), MCF_U8, 0, 2};
    mcf_attr pixels = {.normalize_image = {{0.5f, 0.5f, 0.5f}, {0.25f, 0.25f, 0.25f}}};
    MCF_TRY(row(b, "normalize_image", MCF_OP_normalize_image, &pixels, 2, (const input[]){image, flip}, MCF_F32,
                MCF_F32, 0, err));
    const input tokens = {MCF_SHAPE(batch, patches, d), MCF_F32, 0, 0};
    const input kept = {MCF_SHAPE(batch, visible, d), MCF_F32, 0, 0};
    const input ids = {MCF_SHAPE(batch, visible), MCF_I64, INDEX, patches};
    MCF_TRY(row(b, "gather_rows", MCF_OP_gather_rows, NULL, 2, (const input[]){tokens, ids}, MCF_F32, MCF_F32, 0, err));
    mcf_attr scatter = {.scatter_rows = {patches}};
    MCF_TRY(
        row(b, "scatter_rows", MCF_OP_scatter_rows, &scatter, 2, (const input[]){kept, ids}, MCF_F32, MCF_F32, 0, err));
    if (m->feature) {
        const int64_t wide = c->model.teacher.dim, all = 1 + patches;
        const input a = {MCF_SHAPE(batch, all, wide), MCF_F32, 0, 0};
        const input norms = {MCF_SHAPE(batch, wide), MCF_F32, POSITIVE, 0}, one = {MCF_SHAPE(1), MCF_F32, 0, 0};
        mcf_attr mse = {.norm = {1e-12}};
        MCF_TRY(row(b, "token_mse", MCF_OP_token_mse, &mse, 2, (const input[]){a, a}, MCF_F32, MCF_F32, 0, err));
        MCF_TRY(row(b, "token_mse_grad", MCF_OP_token_mse_grad, &mse, 5, (const input[]){a, a, norms, norms, one},
                    MCF_F32, MCF_F32, 0, err));
    }
    const input flat = {MCF_SHAPE(trained), MCF_F32, POSITIVE, 0};
    MCF_TRY(row(b, "sum_squares", MCF_OP_sum_squares, NULL, 1, &flat, MCF_F32, MCF_F32, 0, err));
    const input span = {MCF_SHAPE(1, 2), MCF_I64, SPAN, trained}, rates = {MCF_SHAPE(1, 2), MCF_F32, POSITIVE, 0};
    const input scalars = {MCF_SHAPE(MCF_ADAMW_SCALARS), MCF_F32, ADAMW, 0};
    mcf_attr ema = {.ema = {0.99, 1}};
    MCF_TRY(row(b, "adamw", MCF_OP_adamw, NULL, 7, (const input[]){flat, flat, flat, flat, span, rates, scalars},
                MCF_F32, MCF_F32, 0, err));
    return row(b, "ema", MCF_OP_ema, &ema, 2, (const input[]){flat, flat}, MCF_F32, MCF_F32, 0, err);
}

// --- a 3 x 3 convolution with as many channels out as in, and its gradients

static mcf_status convolutions(bench *b, const char *where, int64_t batch, int64_t side, int64_t channels, mcf_dtype t,
                               double rates[3], mcf_error *err)
{
    static const char *const names[3] = {"forward", "dx", "dw"};
    static const mcf_op ops[3] = {MCF_OP_conv2d, MCF_OP_conv2d_grad_x, MCF_OP_conv2d_grad_weight};
    const input image = {MCF_SHAPE(batch, side, side, channels), t, 0, 0};
    const input weight = {MCF_SHAPE(channels, channels, 3, 3), t, WEIGHT, 0};
    for (int i = 0; i < 3; i++) {
        const input in[] = {image, ops[i] == MCF_OP_conv2d_grad_weight ? image : weight};
        const int64_t size = ops[i] == MCF_OP_conv2d_grad_x ? side : ops[i] == MCF_OP_conv2d_grad_weight ? 3 : 0;
        const bool is_weight = ops[i] == MCF_OP_conv2d_grad_weight;
        const mcf_attr attr = {.conv2d = {.stride = 1, .pad = 1, .groups = 1, .height = size, .width = size}};
        char label[96];
        snprintf(label, sizeof label, "conv2d %s %s", where, names[i]);
        b->best_gflops = 0;
        MCF_TRY(row(b, label, ops[i], &attr, 2, in, t, is_weight ? MCF_F32 : t,
                    is_weight ? 1u << CONV2D_GRAD_WEIGHT_OUT_dweight : 0, err));
        rates[i] = b->best_gflops;
    }
    return MCF_OK;
}

// --- an operation that the step does not have

static mcf_status listed(bench *b, mcf_op op, mcf_dtype type, mcf_error *err)
{
    char label[96];
    mcf_launch launch = {.op = op};
    snprintf(label, sizeof label, "%s (as in mcf check)", b->only);
    mcf_status status = mcf_bench_listed(b->backend, b->device, b->stream, op, type, &launch, err);
    if (status == MCF_OK)
        status = report(b, label, &launch, type, err);
    for (int i = 0; i < launch.n_in; i++)
        if (launch.in[i].buffer)
            b->backend->buffer_destroy(launch.in[i].buffer);
    for (int i = 0; i < launch.n_out; i++)
        if (launch.out[i].buffer && launch.out[i].buffer != launch.in[0].buffer)
            b->backend->buffer_destroy(launch.out[i].buffer);
    return status;
}

// --- entry points

typedef struct {
    bench b;
    mcf_job *job;
    const mcf_config *config;
    const mcf_pretrain_model *model;
    const mcf_bench_options *options;
    double fp32, bf16;
    double convolution[2][3]; // fp32 and bf16: forward, dx, dw
} ops_task;

static mcf_status ops(int rank, void *context, mcf_error *err)
{
    ops_task *t = context;
    if (rank != 0)
        return MCF_OK;
    const mcf_config *c = t->config;
    const int64_t batch = t->options->batch ? t->options->batch : c->batch.per_device;
    const mcf_dtype dtype = mcf_precision_dtype(c->precision);
    MCF_TRY(t->b.backend->stream_create(t->b.device, &t->b.stream, err));
    mcf_status status = block(&t->b, "encoder", batch, 1 + t->model->visible, &c->model.encoder, dtype, err);
    if (status == MCF_OK && t->model->feature)
        status = block(&t->b, "M_1", batch, 1 + t->model->patches, &c->model.teacher, dtype, err);
    if (status == MCF_OK && t->model->decodes)
        status = block(&t->b, "decoder", batch, 1 + t->model->patches, &c->model.decoder, dtype, err);
    if (status == MCF_OK)
        status = rest(&t->b, c, t->model, batch, dtype, err);
    const mcf_op only = t->b.only ? mcf_op_find(t->b.only) : MCF_OP_COUNT;
    if (status == MCF_OK && !json_array_size(t->b.rows) && only != MCF_OP_COUNT && !mcf_op_is_collective(only))
        status = listed(&t->b, only, mcf_op_describe(only)->changed ? MCF_F32 : dtype, err);
    t->b.backend->stream_destroy(t->b.stream);
    return status;
}

mcf_status mcf_bench_ops(const mcf_config *config, const mcf_bench_options *options, mcf_bench_report *out,
                         mcf_error *err)
{
    *out = (mcf_bench_report){0};
    MCF_TRY(mcf_config_check_task(config, err));
    mcf_text table = {0};
    ops_task task = {.config = config, .options = options};
    mcf_pretrain_model *model = NULL;
    json_t *root = NULL;
    mcf_status status = mcf_pretrain_create(&config->model, &config->objective, &model, err);
    if (status == MCF_OK)
        status = mcf_job_create(&task.job, &options->job, err);
    if (status != MCF_OK)
        goto done;
    task.model = model;
    task.b = (bench){.backend = mcf_job_backend(task.job),
                     .device = mcf_job_device(task.job, 0),
                     .seconds = options->seconds > 0 ? options->seconds : 0.5,
                     .stop = options->stop,
                     .only = options->op,
                     .rows = json_array(),
                     .table = &table};
    status = mcf_job_run(task.job, ops, &task, err);
    if (status == MCF_OK && !table.size)
        status = mcf_fail(err, MCF_ERR_USAGE,
                          "bench: no operation '%s' to measure alone; the names are those that `mcf check` prints",
                          options->op ? options->op : "");
    root = json_pack("{s:s, s:I, s:o}", "backend", task.b.backend->name, "batch",
                     (json_int_t)(options->batch ? options->batch : config->batch.per_device), "ops", task.b.rows);
    if (status == MCF_OK)
        status = mcf_bench_finish(out, root, &table, err);
done:
    json_decref(root);
    mcf_text_free(&table);
    mcf_job_destroy(task.job);
    mcf_pretrain_destroy(model);
    return status;
}

static mcf_status yardstick(int rank, void *context, mcf_error *err)
{
    ops_task *t = context;
    if (rank != 0)
        return MCF_OK;
    // The products of a ViT-B/16 block over 8 images of 197 tokens: M_1's, the largest share of a step.
    static const int64_t shapes[][2] = {{768, 2304}, {768, 768}, {768, 3072}, {3072, 768}};
    mcf_device_info info;
    MCF_TRY(t->b.backend->device_info(mcf_job_device_index(t->job, 0), &info, err));
    MCF_TRY(t->b.backend->stream_create(t->b.device, &t->b.stream, err));
    mcf_status status = MCF_OK;
    const mcf_dtype types[] = {MCF_F32, MCF_BF16};
    for (int i = 0; i < 2 && status == MCF_OK; i++) {
        t->b.best_gflops = 0;
        if (info.dtypes >> types[i] & 1)
            for (int s = 0; s < 4 && status == MCF_OK; s++)
                status = products(&t->b, "yardstick", 8 * 197, shapes[s][0], shapes[s][1], MCF_ACT_NONE, types[i],
                                  false, err);
        *(i ? &t->bf16 : &t->fp32) = t->b.best_gflops;
        if (info.dtypes >> types[i] & 1 && status == MCF_OK)
            status = convolutions(&t->b, "yardstick", 1, 28, 384, types[i], t->convolution[i], err);
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
