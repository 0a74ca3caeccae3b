// The yardstick of bench/scripts/step.sh: oneDNN's own product in the layouts it likes best, everything packed beforehand.
// Shapes are those of a ViT-B/16 block over 8 images of 197 tokens, M_1's, the largest share of a step; the best rate
// of the four counts. Beside it a convolution, 3 x 3 over one map of 28 x 28 with 384 channels: short enough to find the
// processor free on a shared machine. Threads: OMP_NUM_THREADS. Prints JSON. Calls oneDNN only, so it knows nothing of
// this program.
#define _GNU_SOURCE
#include <oneapi/dnnl/dnnl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void check(dnnl_status_t status, const char *what)
{
    if (status == dnnl_success)
        return;
    fprintf(stderr, "onednn_yardstick: %s failed with status %d\n", what, (int)status);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// The forward convolution of a 3 x 3 kernel with a border of 1: images x channels x side x side.
static dnnl_primitive_desc_t describe_convolution(dnnl_engine_t engine, dnnl_data_type_t type, int64_t images,
                                                  int64_t channels, int64_t side)
{
    dnnl_dims_t image = {images, channels, side, side}, weight = {channels, channels, 3, 3}, ones = {1, 1};
    dnnl_primitive_desc_t description;
    dnnl_memory_desc_t forms[3];
#if DNNL_VERSION_MAJOR >= 3
    dnnl_dims_t dilates = {0, 0};
    for (int i = 0; i < 3; i++)
        check(dnnl_memory_desc_create_with_tag(&forms[i], 4, i == 1 ? weight : image, type, dnnl_format_tag_any),
              "a layout");
    check(dnnl_convolution_forward_primitive_desc_create(&description, engine, dnnl_forward_inference,
                                                         dnnl_convolution_direct, forms[0], forms[1], NULL, forms[2],
                                                         ones, dilates, ones, ones, NULL),
          "a convolution");
    for (int i = 0; i < 3; i++)
        dnnl_memory_desc_destroy(forms[i]);
#else
    dnnl_convolution_desc_t convolution;
    for (int i = 0; i < 3; i++)
        check(dnnl_memory_desc_init_by_tag(&forms[i], 4, i == 1 ? weight : image, type, dnnl_format_tag_any),
              "a layout");
    check(dnnl_convolution_forward_desc_init(&convolution, dnnl_forward_inference, dnnl_convolution_direct, &forms[0],
                                             &forms[1], NULL, &forms[2], ones, ones, ones),
          "a convolution");
    check(dnnl_primitive_desc_create(&description, &convolution, NULL, engine, NULL), "a convolution");
#endif
    return description;
}

static dnnl_primitive_desc_t describe(dnnl_engine_t engine, dnnl_data_type_t type, int64_t m, int64_t k, int64_t n)
{
    dnnl_dims_t dims[3] = {{m, k}, {k, n}, {m, n}};
    dnnl_primitive_desc_t description;
    dnnl_memory_desc_t forms[3];
#if DNNL_VERSION_MAJOR >= 3
    for (int i = 0; i < 3; i++)
        check(dnnl_memory_desc_create_with_tag(&forms[i], 2, dims[i], type, dnnl_format_tag_any), "a layout");
    check(dnnl_matmul_primitive_desc_create(&description, engine, forms[0], forms[1], NULL, forms[2], NULL),
          "a product");
    for (int i = 0; i < 3; i++)
        dnnl_memory_desc_destroy(forms[i]);
#else
    dnnl_matmul_desc_t product;
    for (int i = 0; i < 3; i++)
        check(dnnl_memory_desc_init_by_tag(&forms[i], 2, dims[i], type, dnnl_format_tag_any), "a layout");
    check(dnnl_matmul_desc_init(&product, &forms[0], &forms[1], NULL, &forms[2]), "a product");
    check(dnnl_primitive_desc_create(&description, &product, NULL, engine, NULL), "a product");
#endif
    return description;
}

// An operand in the product's layout, full of ones.
static dnnl_memory_t operand(dnnl_engine_t engine, dnnl_primitive_desc_t description, dnnl_query_t which, int bf16,
                             void **data)
{
    size_t bytes = dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(description, which, 0));
    dnnl_memory_t memory;
    *data = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (!*data) {
        fprintf(stderr, "onednn_yardstick: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    for (size_t i = 0; i < bytes / 2; i++) // of a float 1 these are the upper and the lower half
        ((uint16_t *)*data)[i] = bf16 || i % 2 ? 0x3f80 : 0;
    check(dnnl_memory_create(&memory, dnnl_primitive_desc_query_md(description, which, 0), engine, *data),
          "an operand");
    return memory;
}

// Takes the description over.
static double rate(dnnl_engine_t engine, dnnl_stream_t stream, dnnl_primitive_desc_t description, int bf16,
                   double gflop, double seconds)
{
    static const int names[3] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST};
    static const dnnl_query_t layouts[3] = {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md};
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t arguments[3];
    void *data[3];
    check(dnnl_primitive_create(&primitive, description), "making a product");
    for (int i = 0; i < 3; i++)
        arguments[i] = (dnnl_exec_arg_t){names[i], operand(engine, description, layouts[i], bf16, &data[i])};
    double best = 1e9, start = now();
    do {
        double t = now();
        check(dnnl_primitive_execute(primitive, stream, 3, arguments), "a product");
        check(dnnl_stream_wait(stream), "a product");
        t = now() - t;
        best = t < best ? t : best;
    } while (now() - start < seconds);
    for (int i = 0; i < 3; i++) {
        dnnl_memory_destroy(arguments[i].memory);
        free(data[i]);
    }
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(description);
    return gflop / best;
}

int main(void)
{
    static const int64_t shapes[][2] = {{768, 2304}, {768, 768}, {768, 3072}, {3072, 768}};
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    enum { IMAGES = 1, CHANNELS = 384, SIDE = 28, ROWS = 8 * 197 };
    double best[2] = {0}, convolution[2];
    check(dnnl_engine_create(&engine, dnnl_cpu, 0), "an engine");
    check(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags), "a stream");
    for (int bf16 = 0; bf16 < 2; bf16++) {
        const dnnl_data_type_t type = bf16 ? dnnl_bf16 : dnnl_f32;
        for (int i = 0; i < 4; i++) {
            const int64_t k = shapes[i][0], n = shapes[i][1];
            double gflops =
                rate(engine, stream, describe(engine, type, ROWS, k, n), bf16, 2e-9 * (double)(ROWS * k * n), 0.5);
            best[bf16] = gflops > best[bf16] ? gflops : best[bf16];
        }
        convolution[bf16] = rate(engine, stream, describe_convolution(engine, type, IMAGES, CHANNELS, SIDE), bf16,
                                 18e-9 * IMAGES * SIDE * SIDE * CHANNELS * CHANNELS, 0.5);
    }
    const dnnl_version_t *v = dnnl_version();
    printf(
        "{\"onednn\": \"%d.%d.%d\", \"fp32_gflops\": %.1f, \"bf16_gflops\": %.1f, \"fp32_convolution_gflops\": %.1f, "
        "\"bf16_convolution_gflops\": %.1f}\n",
        v->major, v->minor, v->patch, best[0], best[1], convolution[0], convolution[1]);
    dnnl_stream_destroy(stream);
    dnnl_engine_destroy(engine);
    return 0;
}
