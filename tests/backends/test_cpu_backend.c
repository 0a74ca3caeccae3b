// What the cpu backend promises beside right results: exact GELU, fast implementations, the same bits, weights packed
// again when they change, no allocation in a steady step, devices that share the machine and reduce in order.
#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/backend.h"

static const char *program;
static const mcf_backend *cpu;

static void must(mcf_status status, const mcf_error *err)
{
    if (status != MCF_OK)
        fail_msg("%s", err->message);
}

static void open_device(int index, int threads, int opened, mcf_device **device, mcf_stream **stream)
{
    mcf_error err;
    mcf_device_options options = {threads, opened};
    must(mcf_backend_find("cpu", &cpu, &err), &err);
    must(cpu->device_open(index, &options, device, &err), &err);
    must(cpu->stream_create(*device, stream, &err), &err);
}

static mcf_operand tensor(mcf_device *device, mcf_dtype dtype, mcf_shape shape, uint32_t seed)
{
    mcf_error err;
    mcf_operand x = {.dtype = dtype, .shape = shape};
    int64_t n = mcf_shape_count(&shape);
    mcf_contiguous_strides(&shape, x.stride);
    must(cpu->buffer_create(device, (uint64_t)n * mcf_dtype_size(dtype), &x.buffer, &err), &err);
    for (int64_t i = 0; i < n && seed; i++) {
        seed = seed * 1664525u + 1013904223u;
        float value = (float)(seed >> 8) / (float)(1 << 23) - 1;
        if (dtype == MCF_F32)
            ((float *)cpu->buffer_host(x.buffer))[i] = value;
        else
            ((uint16_t *)cpu->buffer_host(x.buffer))[i] = mcf_f32_to_bf16(value);
    }
    return x;
}

static float *floats(const mcf_operand *x)
{
    return cpu->buffer_host(x->buffer);
}

static void launch(mcf_stream *stream, mcf_launch *l)
{
    mcf_error err;
    must(mcf_infer_shapes(l, 1, &err), &err);
    must(cpu->launch(stream, l, &err), &err);
}

// [rows, k] x [n, k]^T, as a layer does it.
static mcf_launch linear(mcf_device *device, mcf_dtype dtype, int64_t rows, int64_t k, int64_t n, uint64_t version)
{
    mcf_launch l;
    memset(&l, 0, sizeof l);
    l.op = MCF_OP_matmul;
    l.n_in = 2;
    l.n_out = 1;
    l.attr.matmul.trans_b = 1;
    l.in[0] = tensor(device, dtype, MCF_SHAPE(rows, k), 1);
    l.in[1] = tensor(device, dtype, MCF_SHAPE(n, k), 2);
    l.in[1].version = version;
    l.out[0] = tensor(device, dtype, MCF_SHAPE(rows, n), 0);
    return l;
}

static void release(mcf_launch *l)
{
    for (int i = 0; i < l->n_in; i++)
        cpu->buffer_destroy(l->in[i].buffer);
    for (int i = 0; i < l->n_out; i++)
        cpu->buffer_destroy(l->out[i].buffer);
}

// --- GELU and its slope: a few units in the last place everywhere, also where 1 + erf would have cancelled.

static void test_gelu(void **state)
{
    enum { N = 100003 };
    mcf_device *device;
    mcf_stream *stream;
    open_device(0, 1, 1, &device, &stream);
    for (int grad = 0; grad < 2; grad++) {
        mcf_launch l;
        memset(&l, 0, sizeof l);
        l.op = grad ? MCF_OP_gelu_grad : MCF_OP_gelu;
        l.n_in = 1 + grad;
        l.n_out = 1;
        l.in[0] = tensor(device, MCF_F32, MCF_SHAPE(N), 0);
        l.in[1] = grad ? tensor(device, MCF_F32, MCF_SHAPE(N), 0) : l.in[1];
        l.out[0] = tensor(device, MCF_F32, MCF_SHAPE(N), 0);
        for (int i = 0; i < N; i++) {
            floats(&l.in[0])[i] = (float)(i - N / 2) * 26.0f / N;
            if (grad)
                floats(&l.in[1])[i] = 1;
        }
        launch(stream, &l);
        double worst = 0;
        // Without fused multiply-add the square in the exponent is rounded: half its value in relative error.
        mcf_device_info info;
        mcf_error err;
        must(cpu->device_info(0, &info, &err), &err);
        bool fused = !strstr(info.detail, "portable");
        for (int i = 0; i < N; i++) {
            double x = floats(&l.in[0])[i], tail = 0.5 * erfc(-x / sqrt(2.0));
            double slope = x * exp(-x * x / 2) / sqrt(2 * M_PI);
            double exact = grad ? tail + slope : x * tail;
            // The slope crosses 0 near -0.75: there the sum of its terms is what can be exact.
            double size = grad ? fabs(tail) + fabs(slope) : fabs(exact);
            if (size < 1e-36)
                continue;
            double error = fabs(floats(&l.out[0])[i] - exact) / size / (fused ? 1 : 1 + x * x / 8);
            worst = error > worst ? error : worst;
        }
        if (worst > 5e-7)
            fail_msg("%s: relative error %g", grad ? "gelu_grad" : "gelu", worst);
        release(&l);
    }
    cpu->stream_destroy(stream);
    cpu->device_close(device);
}

// --- implementation names, as oneDNN's own log has them

static void run_products(void)
{
    mcf_device *device;
    mcf_stream *stream;
    open_device(0, 2, 1, &device, &stream);
    for (int t = 0; t < 2; t++) {
        mcf_dtype dtype = t ? MCF_BF16 : MCF_F32;
        mcf_launch l = linear(device, dtype, 1100, 96, 160, 5);
        l.out[0].dtype = dtype;
        launch(stream, &l);
        release(&l);
        l = linear(device, dtype, 50, 96, 160, 5);
        l.out[0].dtype = dtype;
        launch(stream, &l);
        release(&l);
        // The weight gradient, fp32 from either, added.
        l = linear(device, dtype, 1100, 96, 1100, 0);
        l.attr.matmul.trans_a = 1;
        l.attr.matmul.trans_b = 0;
        cpu->buffer_destroy(l.out[0].buffer);
        l.out[0] = tensor(device, MCF_F32, MCF_SHAPE(96, 96), 0);
        l.accumulate = 1;
        launch(stream, &l);
        release(&l);
    }
    cpu->stream_destroy(stream);
    cpu->device_close(device);
}

// Names that the six products have in oneDNN's log; returns how many it ran.
static int logged_products(const char *isa, bool wide, bool bf16)
{
    char command[4200], line[1024];
    snprintf(command, sizeof command, "%s ONEDNN_VERBOSE=1 DNNL_VERBOSE=1 '%s' products", isa, program);
    FILE *pipe = popen(command, "r");
    int products = 0;
    assert_non_null(pipe);
    while (fgets(line, sizeof line, pipe)) {
        char *name = strstr(line, ",cpu,matmul,");
        if (!name || !strstr(line, "exec"))
            continue;
        products++;
        name += strlen(",cpu,matmul,");
        if (!strncmp(name, "ref", 3) || (wide && strncmp(name, "brg:avx512", 10) && strncmp(name, "brg:avx10", 9)))
            fail_msg("a slow product: %s", line);
        if (bf16 && strstr(line, "src_bf16") && !strstr(name, "bf16"))
            fail_msg("bf16 without its instructions: %s", line);
    }
    assert_int_equal(pclose(pipe), 0);
    return products;
}

static void test_implementations(void **state)
{
    mcf_device_info info;
    mcf_error err;
    must(mcf_backend_find("cpu", &cpu, &err), &err);
    must(cpu->device_info(0, &info, &err), &err);
    bool amx = strstr(info.detail, "amx") != NULL, wide = amx || strstr(info.detail, "avx512");
    // With a matrix unit none of them is left to oneDNN.
    if (amx)
        assert_int_equal(logged_products("", wide, true), 0);
    assert_int_equal(logged_products(amx ? "MCF_CPU_ISA=avx512_bf16" : "", wide, !info.emulated_bf16), 6);
}

// --- weights

static void test_packed_weights_follow(void **state)
{
    mcf_device *device;
    mcf_stream *stream;
    open_device(0, 2, 1, &device, &stream);
    enum { ROWS = 1030, K = 33, N = 70 };
    mcf_launch l = linear(device, MCF_F32, ROWS, K, N, 1), plain = linear(device, MCF_F32, ROWS, K, N, 0);
    for (int round = 0; round < 4; round++) {
        // Rounds 0 to 2 change the contents and the version; 3 frees the weight and may get its place again.
        if (round == 3) {
            cpu->buffer_destroy(l.in[1].buffer);
            l.in[1] = tensor(device, MCF_F32, MCF_SHAPE(N, K), 9);
            l.in[1].version = 3;
        }
        for (int i = 0; i < N * K; i++)
            floats(&plain.in[1])[i] = floats(&l.in[1])[i] = floats(&l.in[1])[i] * 0.5f + (float)(round + i % 3);
        if (round < 3)
            l.in[1].version = (uint64_t)round + 1;
        launch(stream, &l);
        launch(stream, &plain);
        for (int i = 0; i < ROWS * N; i++)
            assert_true(fabsf(floats(&l.out[0])[i] - floats(&plain.out[0])[i]) <= 1e-4f * K);
    }
    release(&l);
    release(&plain);
    cpu->stream_destroy(stream);
    cpu->device_close(device);
}

// A square weight has the same shape forward and backward, but not the same packed form.
static void test_packed_square(void **state)
{
    mcf_device *device;
    mcf_stream *stream;
    open_device(0, 2, 1, &device, &stream);
    enum { ROWS = 1030, N = 96 };
    mcf_launch l = linear(device, MCF_F32, ROWS, N, N, 1), plain = linear(device, MCF_F32, ROWS, N, N, 0);
    for (int transposed = 1; transposed >= 0; transposed--) {
        l.attr.matmul.trans_b = plain.attr.matmul.trans_b = transposed;
        launch(stream, &l);
        launch(stream, &plain);
        for (int i = 0; i < ROWS * N; i++)
            assert_true(fabsf(floats(&l.out[0])[i] - floats(&plain.out[0])[i]) <= 1e-4f);
    }
    release(&l);
    release(&plain);
    cpu->stream_destroy(stream);
    cpu->device_close(device);
}

// --- steady steps

static mcf_launch attention(mcf_device *device)
{
    mcf_launch l;
    memset(&l, 0, sizeof l);
    l.op = MCF_OP_attention;
    l.n_in = 1;
    l.n_out = 2;
    l.attr.attention.scale = 0.2;
    l.in[0] = tensor(device, MCF_F32, MCF_SHAPE(3, 61, 3, 4, 24), 3);
    l.out[0] = tensor(device, MCF_F32, MCF_SHAPE(3, 61, 4, 24), 0);
    l.out[1] = tensor(device, MCF_F32, MCF_SHAPE(3, 4, 61), 0);
    return l;
}

static void test_steady(void **state)
{
    mcf_device *device;
    mcf_stream *stream;
    open_device(0, 2, 1, &device, &stream);
    mcf_launch l[2] = {linear(device, MCF_F32, 1200, 100, 300, 4), attention(device)};
    // oneDNN 2.6 itself keeps some bytes of every product on processors without AVX2.
    mcf_device_info what;
    mcf_error err;
    must(cpu->device_info(0, &what, &err), &err);
    bool portable = strstr(what.detail, "portable") != NULL;
    size_t before = 0, n = 1200 * 300 * sizeof(float), m = 3 * 61 * 4 * 24 * sizeof(float);
    float *first[2] = {malloc(n), malloc(m)};
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 2; i++)
            launch(stream, &l[i]);
        if (round == 0) {
            memcpy(first[0], floats(&l[0].out[0]), n);
            memcpy(first[1], floats(&l[1].out[0]), m);
        }
        // The same bits each time, and after a few rounds the same memory.
        assert_memory_equal(first[0], floats(&l[0].out[0]), n);
        assert_memory_equal(first[1], floats(&l[1].out[0]), m);
        struct mallinfo2 info = mallinfo2();
        if (round > 5 && !portable)
            assert_int_equal(before, info.uordblks + info.hblkhd);
        before = info.uordblks + info.hblkhd;
    }
    free(first[0]);
    free(first[1]);
    release(&l[0]);
    release(&l[1]);
    cpu->stream_destroy(stream);
    cpu->device_close(device);
}

// --- several devices, a thread each

enum { MEMBERS = 3, COUNT = 1000 };

typedef struct {
    int rank;
    mcf_group *group;
    mcf_device *device;
    mcf_stream *stream;
    mcf_operand x, product;
    mcf_status status;
    mcf_error err;
} member;

static void *run_member(void *argument)
{
    member *m = argument;
    mcf_launch l = linear(m->device, MCF_F32, 64, 40, 50, 0);
    launch(m->stream, &l);
    m->product = l.out[0];
    cpu->buffer_destroy(l.in[0].buffer);
    cpu->buffer_destroy(l.in[1].buffer);
    m->status = cpu->all_reduce(m->group, m->rank, m->stream, m->x.buffer, 0, m->x.buffer, 0, COUNT, MCF_F32,
                                MCF_REDUCE_SUM, &m->err);
    return NULL;
}

static void test_group(void **state)
{
    member members[MEMBERS];
    mcf_device *devices[MEMBERS];
    mcf_group *group;
    mcf_error err;
    float expected[COUNT] = {0};
    memset(members, 0, sizeof members);
    for (int i = 0; i < MEMBERS; i++) {
        open_device(i, 0, MEMBERS, &members[i].device, &members[i].stream);
        devices[i] = members[i].device;
        members[i].x = tensor(members[i].device, MCF_F32, MCF_SHAPE(COUNT), (uint32_t)i + 1);
    }
    for (int j = 0; j < COUNT; j++) {
        double sum = 0;
        for (int i = 0; i < MEMBERS; i++)
            sum += floats(&members[i].x)[j];
        expected[j] = (float)sum;
    }
    must(cpu->group_create(devices, MEMBERS, 30, &group, &err), &err);
    pthread_t threads[MEMBERS];
    for (int i = 0; i < MEMBERS; i++) {
        members[i].rank = i;
        members[i].group = group;
        assert_int_equal(pthread_create(&threads[i], NULL, run_member, &members[i]), 0);
    }
    for (int i = 0; i < MEMBERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < MEMBERS; i++) {
        must(members[i].status, &members[i].err);
        assert_memory_equal(expected, floats(&members[i].x), sizeof expected);
        // Devices with the same number of threads compute the same bits.
        assert_memory_equal(floats(&members[0].product), floats(&members[i].product), 64 * 50 * sizeof(float));
    }
    for (int i = 0; i < MEMBERS; i++) {
        cpu->buffer_destroy(members[i].x.buffer);
        cpu->buffer_destroy(members[i].product.buffer);
        cpu->stream_destroy(members[i].stream);
        cpu->device_close(members[i].device);
    }
    cpu->group_destroy(group);
}

// --- usage

static void test_bad_instruction_set(void **state)
{
    mcf_error err;
    mcf_device *device;
    mcf_device_options options = {1, 1};
    must(mcf_backend_find("cpu", &cpu, &err), &err);
    char *old = getenv("MCF_CPU_ISA"), *saved = old ? strdup(old) : NULL;
    setenv("MCF_CPU_ISA", "sse9", 1);
    assert_int_equal(cpu->device_open(0, &options, &device, &err), MCF_ERR_USAGE);
    assert_non_null(strstr(err.message, "sse9"));
    if (saved)
        setenv("MCF_CPU_ISA", saved, 1);
    else
        unsetenv("MCF_CPU_ISA");
    free(saved);
    assert_int_equal(cpu->device_open(-1, &options, &device, &err), MCF_ERR_USAGE);
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc > 1 && !strcmp(argv[1], "products")) {
        run_products();
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gelu),
        cmocka_unit_test(test_implementations),
        cmocka_unit_test(test_packed_weights_follow),
        cmocka_unit_test(test_packed_square),
        cmocka_unit_test(test_steady),
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_bad_instruction_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
