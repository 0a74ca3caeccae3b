// Tuning: each choice is measured on the shapes of a ViT-B step, one after the other, and the best is kept.
//
// In this order, for later ones build on earlier ones: work-groups of elementwise kernels, items that share a line and
// columns an item sums, panels of the own product, CLBlast's parameters, for each class of shapes which of the three ways
// makes the product, and whether attention goes by products.
#include "backends/opencl/opencl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

typedef struct {
    mcf_stream *stream;
    ocl_tuning *tuning;
    double seconds;
    void (*report)(void *context, const char *line);
    void *context;
    mcf_buffer *a, *b, *c;
} tuner;

enum { FLOATS = 8 << 20 };

static void say(tuner *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(tuner *t, const char *format, ...)
{
    char line[4400];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (t->report)
        t->report(t->context, line);
}

typedef mcf_status (*work)(tuner *t, const void *what, mcf_error *err);

// Best time of one call, at least three of them; infinite where it does not run on this device.
static double measure(tuner *t, work run, const void *what)
{
    double best = INFINITY;
    if (run(t, what, NULL) != MCF_OK || ocl_stream_synchronize(t->stream, NULL) != MCF_OK)
        return best;
    double begin = mcf_now();
    for (int calls = 0; calls < 3 || mcf_now() - begin < t->seconds; calls++) {
        double start = mcf_now();
        if (run(t, what, NULL) != MCF_OK || ocl_stream_synchronize(t->stream, NULL) != MCF_OK)
            return INFINITY;
        double took = mcf_now() - start;
        best = took < best ? took : best;
    }
    return best;
}

// --- operations to measure with

static mcf_operand tensor(mcf_buffer *buffer, mcf_shape shape)
{
    mcf_operand o = {.buffer = buffer, .dtype = MCF_F32, .shape = shape};
    mcf_contiguous_strides(&shape, o.stride);
    return o;
}

static mcf_status run_gelu(tuner *t, const void *what, mcf_error *err)
{
    mcf_launch l = {.op = MCF_OP_gelu, .n_in = 1, .n_out = 1};
    (void)what;
    l.in[GELU_IN_x] = tensor(t->a, MCF_SHAPE(1576, 3072));
    l.out[GELU_OUT_y] = tensor(t->c, MCF_SHAPE(1576, 3072));
    return dev_launch(t->stream, &l, err);
}

static mcf_status run_lines(tuner *t, const void *what, mcf_error *err)
{
    mcf_launch l = {.op = MCF_OP_layer_norm, .n_in = 3, .n_out = 3, .attr = {.norm = {1e-6}}};
    (void)what;
    l.in[LAYER_NORM_IN_x] = tensor(t->a, MCF_SHAPE(1576, 768));
    l.in[LAYER_NORM_IN_gamma] = l.in[LAYER_NORM_IN_beta] = tensor(t->b, MCF_SHAPE(768));
    l.out[LAYER_NORM_OUT_y] = tensor(t->c, MCF_SHAPE(1576, 768));
    return dev_launch(t->stream, &l, err);
}

static mcf_status run_columns(tuner *t, const void *what, mcf_error *err)
{
    mcf_launch l = {.op = MCF_OP_reduce_sum, .n_in = 1, .n_out = 1, .attr = {.reduce_sum = {1, 1}}};
    (void)what;
    l.in[REDUCE_SUM_IN_x] = tensor(t->a, MCF_SHAPE(1576, 3072));
    l.out[REDUCE_SUM_OUT_out] = tensor(t->c, MCF_SHAPE(1, 3072));
    return dev_launch(t->stream, &l, err);
}

// M_1's over 8 images, forward and backward.
static mcf_status run_attention(tuner *t, const void *what, mcf_error *err)
{
    const mcf_shape qkv = MCF_SHAPE(8, 197, 3, 12, 64), out = MCF_SHAPE(8, 197, 12, 64), lse = MCF_SHAPE(8, 12, 197);
    mcf_launch l = {.op = MCF_OP_attention, .n_in = 1, .n_out = 2, .attr = {.attention = {0.125}}};
    (void)what;
    l.in[ATTENTION_IN_qkv] = tensor(t->a, qkv);
    l.out[ATTENTION_OUT_out] = tensor(t->b, out);
    l.out[ATTENTION_OUT_lse] = tensor(t->b, lse);
    l.out[ATTENTION_OUT_lse].offset = (4 << 20) * sizeof(float);
    MCF_TRY(dev_launch(t->stream, &l, err));
    mcf_launch back = {.op = MCF_OP_attention_grad, .n_in = 4, .n_out = 1, .attr = {.attention = {0.125}}};
    back.in[ATTENTION_GRAD_IN_qkv] = l.in[ATTENTION_IN_qkv];
    back.in[ATTENTION_GRAD_IN_out] = back.in[ATTENTION_GRAD_IN_dout] = l.out[ATTENTION_OUT_out];
    back.in[ATTENTION_GRAD_IN_lse] = l.out[ATTENTION_OUT_lse];
    back.out[ATTENTION_GRAD_OUT_dqkv] = tensor(t->c, qkv);
    return dev_launch(t->stream, &back, err);
}

typedef struct {
    const char *name;
    int64_t batch, m, n, k;
    ocl_product_way way;
} shape;

static mcf_status run_product(tuner *t, const void *what, mcf_error *err)
{
    const shape *s = what;
    mcf_operand a = tensor(t->a, MCF_SHAPE(s->batch, s->m, s->k)), b = tensor(t->b, MCF_SHAPE(s->batch, s->n, s->k)),
                c = tensor(t->c, MCF_SHAPE(s->batch, s->m, s->n));
    // As a layer does it: the weight lies transposed.
    dev_product p = {.a = {&a, {s->k, 1, 0, s->m * s->k}},
                     .b = {&b, {1, s->k, 0, s->n * s->k}},
                     .c = {&c, {s->n, 1, 0, s->m * s->n}},
                     .batch0 = 1,
                     .batch1 = s->batch,
                     .m = s->m,
                     .n = s->n,
                     .k = s->k,
                     .alpha = 1};
    if (s->way == OCL_PRODUCT_CLBLAST && !ocl_clblast_takes(&p))
        return MCF_ERR_UNSUPPORTED;
    return ocl_multiply_by(t->stream, &p, s->way, err);
}

static double gflops(const shape *s, double seconds)
{
    return 2e-9 * (double)(s->batch * s->m * s->n) * (double)s->k / seconds;
}

// --- choices

// Tries the values for *choice that the device allows, and leaves the best.
static void choose(tuner *t, const char *name, int *choice, const int *values, size_t count, int most, work run,
                   const void *what)
{
    int best_value = *choice;
    double best = INFINITY;
    for (size_t i = 0; i < count; i++) {
        if (values[i] > most)
            continue;
        *choice = values[i];
        double seconds = measure(t, run, what);
        if (isfinite(seconds))
            say(t, "  %s %d: %.3f ms", name, values[i], seconds * 1e3);
        if (seconds < best) {
            best = seconds;
            best_value = values[i];
        }
    }
    *choice = best_value;
    say(t, "%s: %d", name, best_value);
}

#define VALUES(...) (const int[]){__VA_ARGS__}, sizeof((int[]){__VA_ARGS__}) / sizeof(int)

static void tune_panels(tuner *t)
{
    static const int sizes[][2] = {{4, 16}, {6, 16}, {8, 16}, {4, 32}, {6, 32}, {8, 32}, {12, 32}, {14, 32}, {6, 64}};
    const shape s = {"", 1, 400, 768, 768, OCL_PRODUCT_PANELS};
    int best = -1;
    double least = INFINITY;
    for (int i = 0; i < (int)(sizeof sizes / sizeof *sizes); i++) {
        t->tuning->panel_m = sizes[i][0];
        t->tuning->panel_n = sizes[i][1];
        double seconds = measure(t, run_product, &s);
        if (isfinite(seconds))
            say(t, "  panels %d x %d: %.1f GFLOP/s", sizes[i][0], sizes[i][1], gflops(&s, seconds));
        if (seconds < least) {
            least = seconds;
            best = i;
        }
    }
    if (best < 0)
        return;
    t->tuning->panel_m = sizes[best][0];
    t->tuning->panel_n = sizes[best][1];
    say(t, "panels: %d x %d", sizes[best][0], sizes[best][1]);
    choose(t, "panels of a at once", &t->tuning->panel_few, VALUES(1, 2, 4, 8), 64, run_product, &s);
}

// Sets of Xgemm parameters that differ in what matters: tile of a work-group (MWG, NWG), items (MDIMC, NDIMC), vector
// width (VWM, VWN), local memory for the operands (SA, SB) or none. Those that a device cannot run fail and are skipped.
static void tune_clblast(tuner *t)
{
    static const char *const rest = "GEMMK=0 KREG=1 KWI=2 STRM=0 STRN=0";
    static const char *const sets[] = {
        "MWG=64 NWG=64 KWG=32 MDIMC=8 NDIMC=8 MDIMA=8 NDIMB=8 VWM=4 VWN=4 SA=0 SB=0",
        "MWG=64 NWG=64 KWG=16 MDIMC=16 NDIMC=16 MDIMA=16 NDIMB=16 VWM=2 VWN=2 SA=1 SB=1",
        "MWG=128 NWG=64 KWG=16 MDIMC=16 NDIMC=8 MDIMA=16 NDIMB=8 VWM=4 VWN=4 SA=1 SB=1",
        "MWG=128 NWG=128 KWG=16 MDIMC=16 NDIMC=16 MDIMA=16 NDIMB=16 VWM=4 VWN=4 SA=1 SB=1",
        "MWG=64 NWG=64 KWG=16 MDIMC=4 NDIMC=4 MDIMA=4 NDIMB=4 VWM=8 VWN=8 SA=0 SB=0",
        "MWG=32 NWG=64 KWG=32 MDIMC=2 NDIMC=4 MDIMA=2 NDIMB=4 VWM=8 VWN=8 SA=0 SB=0",
    };
    const shape s = {"", 1, 512, 768, 768, OCL_PRODUCT_CLBLAST};
    const ocl_physical *p = t->stream->device->physical;
    int best = -1;
    t->stream->device->clblast_set = true;
    double least = measure(t, run_product, &s);
    if (!isfinite(least)) {
        say(t, "CLBlast: not in this build");
        return;
    }
    say(t, "  CLBlast as it comes: %.1f GFLOP/s", gflops(&s, least));
    for (int i = 0; i < (int)(sizeof sets / sizeof *sets); i++) {
        char parameters[256];
        snprintf(parameters, sizeof parameters, "%s %s", sets[i], rest);
        if (ocl_clblast_override(p, parameters, NULL) != MCF_OK)
            continue;
        double seconds = measure(t, run_product, &s);
        if (isfinite(seconds))
            say(t, "  CLBlast with %s: %.1f GFLOP/s", sets[i], gflops(&s, seconds));
        if (seconds < least) {
            least = seconds;
            best = i;
        }
    }
    if (best < 0)
        t->tuning->clblast[0] = '\0';
    else
        snprintf(t->tuning->clblast, sizeof t->tuning->clblast, "%s %s", sets[best], rest);
    say(t, "CLBlast: %s", best < 0 ? "as it comes" : sets[best]);
    // Parameters cannot be taken back in a process; set the best once more.
    if (best >= 0)
        ocl_clblast_override(p, t->tuning->clblast, NULL);
}

static void tune_ways(tuner *t)
{
    // By class: small sides, one short side, batches, large.
    static const shape classes[OCL_SHAPE_CLASSES] = {{"small sides", 1, 8, 256, 768, 0},
                                                     {"one short side", 1, 1576, 64, 768, 0},
                                                     {"batches", 24, 197, 197, 64, 0},
                                                     {"large", 1, 1576, 768, 768, 0}};
    for (int c = 0; c < OCL_SHAPE_CLASSES; c++) {
        double least = INFINITY;
        for (int way = 0; way < OCL_PRODUCT_WAYS; way++) {
            shape s = classes[c];
            s.way = (ocl_product_way)way;
            double seconds = measure(t, run_product, &s);
            if (isfinite(seconds))
                say(t, "  products with %s by %s: %.1f GFLOP/s", s.name, ocl_way_name(s.way), gflops(&s, seconds));
            if (seconds < least) {
                least = seconds;
                t->tuning->way[c] = s.way;
            }
        }
        say(t, "products with %s: %s", classes[c].name, ocl_way_name(t->tuning->way[c]));
    }
}

static mcf_status tune(tuner *t, mcf_error *err)
{
    const ocl_physical *p = t->stream->device->physical;
    const int most = p->group_max < 4096 ? (int)p->group_max : 4096;
    char path[4200];
    // Minutes of measuring are for nothing where this fails.
    MCF_TRY(ocl_tuning_save(p, t->tuning, path, sizeof path, err));
    MCF_TRY(ocl_buffer_create(t->stream->device, FLOATS * sizeof(float), &t->a, err));
    MCF_TRY(ocl_buffer_create(t->stream->device, FLOATS * sizeof(float), &t->b, err));
    MCF_TRY(ocl_buffer_create(t->stream->device, FLOATS * sizeof(float), &t->c, err));
    say(t, "device %d: %s, %s", t->stream->device->index, p->name, p->platform_name);
    choose(t, "items of an elementwise group", &t->tuning->local, VALUES(64, 128, 256, 512, 1024), most, run_gelu,
           NULL);
    if (!p->processor)
        choose(t, "items that share a line", &t->tuning->group, VALUES(32, 64, 128, 256, 512), most, run_lines, NULL);
    else
        choose(t, "columns an item sums", &t->tuning->strip, VALUES(16, 32, 64, 128), 256, run_columns, NULL);
    tune_panels(t);
    tune_clblast(t);
    tune_ways(t);
    choose(t, "attention by its own kernels (1) or as products (2)", &t->tuning->attention,
           VALUES(OCL_ATTENTION_KERNELS, OCL_ATTENTION_PRODUCTS), 2, run_attention, NULL);
    MCF_TRY(ocl_tuning_save(p, t->tuning, path, sizeof path, err));
    say(t, "kept in %s, for this device and driver", path);
    return MCF_OK;
}

mcf_status ocl_tune(mcf_device *device, double seconds, void (*report)(void *context, const char *line), void *context,
                    mcf_error *err)
{
    tuner t = {.tuning = &device->tuning, .seconds = seconds, .report = report, .context = context};
    MCF_TRY(ocl_stream_create(device, &t.stream, err));
    mcf_status status = tune(&t, err);
    mcf_buffer *buffers[] = {t.a, t.b, t.c};
    ocl_stream_synchronize(t.stream, NULL);
    for (int i = 0; i < 3; i++)
        ocl_buffer_destroy(buffers[i]);
    ocl_stream_destroy(t.stream);
    return status;
}
