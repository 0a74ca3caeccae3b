// Every operation of the cpu backend against cpu-reference, over odd shapes, strides, types and sizes of 0 and 1; the
// tolerances are those of ops.def. The same program runs for every instruction set the processor has. An
// example or a sweep for every operation: hence the length.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/backend.h"
#include "backends/host/elements.h"

typedef struct {
    const mcf_backend *backend;
    mcf_device *device;
    mcf_stream *stream;
} place;

static place cpu, oracle;
static uint64_t seed = 1;
static int compared;

static double uniform(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 40) / (double)(1 << 24);
}

static place open_place(const char *name)
{
    place p;
    mcf_error err;
    mcf_device_options options = {.threads = 3, .opened = 1}; // more than there may be cores: shares are uneven
    if (mcf_backend_find(name, &p.backend, &err) != MCF_OK)
        fail_msg("%s", err.message);
    assert_int_equal(p.backend->device_open(0, &options, &p.device, &err), MCF_OK);
    assert_int_equal(p.backend->stream_create(p.device, &p.stream, &err), MCF_OK);
    return p;
}

static int open_both(void **state)
{
    cpu = open_place("cpu");
    oracle = open_place("cpu-reference");
    return 0;
}

static int close_both(void **state)
{
    cpu.backend->stream_destroy(cpu.stream);
    cpu.backend->device_close(cpu.device);
    oracle.backend->stream_destroy(oracle.stream);
    oracle.backend->device_close(oracle.device);
    return compared > 0 ? 0 : -1;
}

// --- a case: a launch whose operands have host memory

typedef enum { ANY, POSITIVE, IDS, FLAGS, GIVEN } values;

typedef struct {
    mcf_launch launch;
    void *data[MCF_MAX_INPUTS]; // elements of the whole buffer, rows of padding included
    int64_t elements[MCF_MAX_INPUTS];
    void *result[2][MCF_MAX_OUTPUTS];
} test_case;

static test_case make(mcf_op op, int outputs)
{
    test_case c;
    memset(&c, 0, sizeof c);
    c.launch.op = op;
    c.launch.n_out = outputs;
    return c;
}

static void input_strided(test_case *c, mcf_dtype dtype, values kind, double limit, mcf_shape shape,
                          const int64_t *stride)
{
    int i = c->launch.n_in++;
    mcf_operand *in = &c->launch.in[i];
    in->dtype = dtype;
    in->shape = shape;
    memcpy(in->stride, stride, sizeof in->stride);
    int64_t last = 0;
    for (int axis = 0; axis < shape.rank; axis++)
        last += shape.dim[axis] > 0 ? (shape.dim[axis] - 1) * stride[axis] : 0;
    int64_t n = c->elements[i] = last + 1;
    c->data[i] = calloc((size_t)n, 8);
    for (int64_t j = 0; j < n; j++) {
        double x = kind == IDS ? floor(uniform() * limit) : kind == FLAGS ? floor(uniform() * 256) : 0;
        if (kind == FLAGS && limit == 2)
            x = uniform() < 0.5;
        if (kind == ANY)
            x = (uniform() + uniform() + uniform() - 1.5) * 2 * limit;
        if (kind == POSITIVE)
            x = (0.1 + uniform()) * limit;
        mcf_store_element(c->data[i], dtype, j, x);
    }
}

static void input(test_case *c, mcf_dtype dtype, values kind, double limit, mcf_shape shape)
{
    int64_t stride[MCF_MAX_RANK] = {0};
    mcf_contiguous_strides(&shape, stride);
    input_strided(c, dtype, kind, limit, shape, stride);
}

// Replaces input i by what the oracle wrote to an output of another case.
static void input_result(test_case *c, const test_case *from, int output)
{
    int i = c->launch.n_in++;
    const mcf_operand *out = &from->launch.out[output];
    c->launch.in[i] = *out;
    c->launch.in[i].buffer = NULL;
    int64_t n = c->elements[i] = mcf_shape_count(&out->shape);
    c->data[i] = calloc((size_t)n + 1, 8);
    memcpy(c->data[i], from->result[1][output], (size_t)n * mcf_dtype_size(out->dtype));
}

static void input_again(test_case *c, const test_case *from, int input)
{
    int i = c->launch.n_in++;
    c->launch.in[i] = from->launch.in[input];
    c->launch.in[i].buffer = NULL;
    c->elements[i] = from->elements[input];
    c->data[i] = calloc((size_t)from->elements[input] + 1, 8);
    memcpy(c->data[i], from->data[input], (size_t)from->elements[input] * mcf_dtype_size(c->launch.in[i].dtype));
}

static void release(test_case *c)
{
    for (int i = 0; i < MCF_MAX_INPUTS; i++)
        free(c->data[i]);
    for (int j = 0; j < 2; j++)
        for (int i = 0; i < MCF_MAX_OUTPUTS; i++)
            free(c->result[j][i]);
}

static mcf_buffer *buffer_of(place p, const void *data, size_t bytes)
{
    mcf_buffer *buffer;
    mcf_error err;
    assert_int_equal(p.backend->buffer_create(p.device, bytes + 64, &buffer, &err), MCF_OK);
    if (data && bytes)
        assert_int_equal(p.backend->upload(p.stream, buffer, 64, data, bytes, &err), MCF_OK);
    return buffer;
}

// Runs on one backend; outputs start as `start` gives them where they accumulate, else as garbage.
static void run(place p, const test_case *c, int which, void *const *start, void **result)
{
    mcf_launch l = c->launch;
    mcf_error err;
    const mcf_op_info *info = mcf_op_describe(l.op);
    bool in_place = l.op == MCF_OP_ema || l.op == MCF_OP_adamw;
    for (int i = 0; i < l.n_in; i++)
        if (c->data[i]) {
            l.in[i].buffer = buffer_of(p, c->data[i], (size_t)c->elements[i] * mcf_dtype_size(l.in[i].dtype));
            l.in[i].offset = 64;
        }
    for (int i = 0; i < l.n_out; i++) {
        size_t bytes = (size_t)mcf_shape_count(&l.out[i].shape) * mcf_dtype_size(l.out[i].dtype);
        l.out[i].buffer = in_place ? l.in[i].buffer : buffer_of(p, start[i], bytes);
        l.out[i].offset = 64;
    }
    if (!p.backend->supports(p.device, &l))
        fail_msg("%s: %s is not supported", p.backend->name, info->name);
    if (p.backend->launch(p.stream, &l, &err) != MCF_OK)
        fail_msg("%s", err.message);
    assert_int_equal(p.backend->stream_synchronize(p.stream, &err), MCF_OK);
    for (int i = 0; i < l.n_out; i++) {
        size_t bytes = (size_t)mcf_shape_count(&l.out[i].shape) * mcf_dtype_size(l.out[i].dtype);
        result[i] = malloc(bytes + 1);
        assert_int_equal(p.backend->download(p.stream, result[i], l.out[i].buffer, 64, bytes, &err), MCF_OK);
    }
    // adamw changes two more operands.
    for (int i = 2; l.op == MCF_OP_adamw && i < 4; i++) {
        size_t bytes = (size_t)c->elements[i] * sizeof(float);
        result[i - 1] = malloc(bytes + 1);
        assert_int_equal(p.backend->download(p.stream, result[i - 1], l.in[i].buffer, 64, bytes, &err), MCF_OK);
    }
    for (int i = 0; i < l.n_in; i++)
        if (l.in[i].buffer)
            p.backend->buffer_destroy(l.in[i].buffer);
    for (int i = 0; i < l.n_out && !in_place; i++)
        p.backend->buffer_destroy(l.out[i].buffer);
}

static void compare(const test_case *c, int i, mcf_dtype dtype, int64_t n)
{
    const mcf_op_info *info = mcf_op_describe(c->launch.op);
    double error = 0, size = 0;
    bool low = dtype != MCF_F32;
    for (int j = 0; j < c->launch.n_in; j++)
        low |= c->data[j] && (c->launch.in[j].dtype == MCF_BF16 || c->launch.in[j].dtype == MCF_F16);
    for (int64_t j = 0; j < n; j++) {
        double a = mcf_load_element(c->result[0][i], dtype, j), b = mcf_load_element(c->result[1][i], dtype, j);
        if (isnan(a) || isnan(b)) {
            if (isnan(a) != isnan(b))
                fail_msg("%s output %d [%lld]: %g, reference %g", info->name, i, (long long)j, a, b);
            continue;
        }
        error += (a - b) * (a - b);
        // Terms are of order 1: a product that cancels is judged against a tenth of that.
        size += c->launch.op == MCF_OP_matmul ? fmax(b * b, 0.01) : b * b;
    }
    double relative = size > 0 ? sqrt(error / size) : sqrt(error),
           allowed = low ? info->tolerance16 : info->tolerance32;
    char shape[160];
    if (!(relative <= allowed))
        fail_msg("%s output %d %s of %s: error %.3g, allowed %.3g", info->name, i, mcf_dtype_name(dtype),
                 mcf_shape_print(&c->launch.in[0].shape, shape, sizeof shape), relative, allowed);
    compared++;
}

// Runs a case on both, compares, and leaves the results in it.
static void check(test_case *c)
{
    mcf_error err;
    void *start[MCF_MAX_OUTPUTS] = {0};
    if (mcf_infer_shapes(&c->launch, 1, &err) != MCF_OK)
        fail_msg("%s", err.message);
    for (int i = 0; i < c->launch.n_out; i++) {
        int64_t n = mcf_shape_count(&c->launch.out[i].shape);
        start[i] = malloc((size_t)n * 8 + 8);
        for (int64_t j = 0; j < n; j++)
            mcf_store_element(start[i], c->launch.out[i].dtype, j,
                              c->launch.accumulate >> i & 1 ? uniform() - 0.5 : 77);
    }
    run(cpu, c, 0, start, c->result[0]);
    run(oracle, c, 1, start, c->result[1]);
    for (int i = 0; i < c->launch.n_out; i++) {
        compare(c, i, c->launch.out[i].dtype, mcf_shape_count(&c->launch.out[i].shape));
        free(start[i]);
    }
    for (int i = 1; c->launch.op == MCF_OP_adamw && i < 3; i++)
        compare(c, i, MCF_F32, c->elements[i + 1]);
}

static void check_and_release(test_case *c)
{
    check(c);
    release(c);
}

static const mcf_dtype types[] = {MCF_F32, MCF_BF16, MCF_F16};
#define EACH_TYPE(t) for (int t = 0; t < 3; t++)
#define LENGTH(array) (int)(sizeof(array) / sizeof *(array))

// --- the operations

static void test_movement(void **state)
{
    EACH_TYPE (t)
        EACH_TYPE (u) {
            // A transposed view, a slice, an expanded view; short and long lines.
            int64_t sizes[][3] = {{2, 3, 5}, {1, 700, 33}, {3, 1, 1}, {0, 4, 4}, {4, 65, 2}};
            for (int s = 0; s < LENGTH(sizes); s++) {
                int64_t *d = sizes[s];
                int64_t strides[][6] = {{d[1] * d[2], d[2], 1},
                                        {1, d[0] * d[2], d[0]},
                                        {d[1] * 2 * d[2], 2 * d[2], 2},
                                        {0, d[2], 1},
                                        {d[1], 1, 0}};
                for (int v = 0; v < LENGTH(strides); v++)
                    for (int accumulate = 0; accumulate < 2; accumulate++) {
                        test_case c = make(MCF_OP_copy, 1);
                        input_strided(&c, types[t], ANY, 1, MCF_SHAPE(d[0], d[1], d[2]), strides[v]);
                        c.launch.out[0].dtype = types[u];
                        c.launch.accumulate = (uint32_t)accumulate;
                        if (accumulate && types[u] != MCF_F32) {
                            release(&c);
                            continue;
                        }
                        check_and_release(&c);
                    }
            }
            if (t != u)
                continue;
            for (int axis = 0; axis < 3; axis++) {
                test_case c = make(MCF_OP_pad, 1);
                input(&c, types[t], ANY, 1, MCF_SHAPE(3, 4, 5));
                c.launch.attr.pad.axis = axis;
                c.launch.attr.pad.before = 2;
                c.launch.attr.pad.after = axis;
                c.launch.out[0].dtype = types[t];
                check_and_release(&c);
                c = make(MCF_OP_concat, 1);
                mcf_shape a = MCF_SHAPE(3, 4, 5), b = a;
                b.dim[axis] = 2;
                input(&c, types[t], ANY, 1, a);
                input(&c, types[t], ANY, 1, b);
                c.launch.attr.concat.axis = axis;
                c.launch.out[0].dtype = types[t];
                check_and_release(&c);
            }
            test_case c = make(MCF_OP_gather_rows, 1);
            input(&c, types[t], ANY, 1, MCF_SHAPE(3, 7, 700));
            input(&c, MCF_I64, IDS, 7, MCF_SHAPE(3, 4));
            c.launch.out[0].dtype = types[t];
            check_and_release(&c);
            c = make(MCF_OP_scatter_rows, 1);
            input(&c, types[t], ANY, 1, MCF_SHAPE(3, 9, 700));
            input(&c, MCF_I64, IDS, 5, MCF_SHAPE(3, 9)); // some rows twice
            c.launch.attr.scatter_rows.rows = 5;
            c.launch.out[0].dtype = types[t];
            check_and_release(&c);
        }
    mcf_dtype all[] = {MCF_F32, MCF_F64, MCF_F16, MCF_BF16, MCF_I64, MCF_I32, MCF_U8};
    for (int t = 0; t < LENGTH(all); t++)
        for (int value = 0; value < 4; value += 3) {
            test_case c = make(MCF_OP_fill, 1);
            c.launch.out[0].dtype = all[t];
            c.launch.out[0].shape = MCF_SHAPE(5, 3);
            c.launch.attr.fill.value = value;
            check_and_release(&c);
            c = make(MCF_OP_copy, 1);
            input_strided(&c, all[t], IDS, 9, MCF_SHAPE(5, 3), (int64_t[MCF_MAX_RANK]){1, 5});
            c.launch.out[0].dtype = all[t];
            check_and_release(&c);
        }
}

static void test_elementwise(void **state)
{
    mcf_op ops[] = {MCF_OP_add,  MCF_OP_mul,       MCF_OP_scale,   MCF_OP_relu,        MCF_OP_relu_grad,
                    MCF_OP_gelu, MCF_OP_gelu_grad, MCF_OP_sigmoid, MCF_OP_sigmoid_grad};
    int64_t sizes[][2] = {{1, 1}, {0, 3}, {7, 19}, {3, 513}, {130, 700}};
    EACH_TYPE (t)
        EACH_TYPE (u)
            for (int o = 0; o < LENGTH(ops); o++)
                for (int s = 0; s < LENGTH(sizes); s++) {
                    const mcf_op_info *info = mcf_op_describe(ops[o]);
                    test_case c = make(ops[o], 1);
                    mcf_shape shape = MCF_SHAPE(sizes[s][0], sizes[s][1]);
                    if (ops[o] == MCF_OP_add)
                        c.launch.attr.add.alpha = 1.5, c.launch.attr.add.beta = s % 2 ? -0.25 : 1;
                    if (ops[o] == MCF_OP_scale)
                        c.launch.attr.scale.alpha = -3, c.launch.attr.scale.beta = s % 2 ? 0 : 0.5;
                    for (int i = 0; i < info->inputs; i++) {
                        // The second operand is a row or a column that is repeated, or transposed, where views are allowed.
                        int64_t views[][MCF_MAX_RANK] = {{sizes[s][1], 1}, {0, 1}, {1, 0}, {1, sizes[s][0]}};
                        bool view = info->strided >> i & 1;
                        input_strided(&c, i ? types[u] : types[t], ANY, 3, shape, views[view ? (s + i) % 4 : 0]);
                    }
                    c.launch.out[0].dtype = types[u];
                    check_and_release(&c);
                }
}

static void test_reduce(void **state)
{
    EACH_TYPE (t)
        for (uint32_t axes = 0; axes < 16; axes++)
            for (int v = 0; v < 4; v++) {
                int64_t *d = (int64_t[][4]){{2, 3, 5, 7}, {1, 40, 3, 300}, {3, 2, 0, 4}, {2, 200, 1, 9}}[v];
                test_case c = make(MCF_OP_reduce_sum, 1);
                if (v == 3) {
                    int64_t stride[MCF_MAX_RANK] = {1, 2, 0, 400};
                    input_strided(&c, types[t], ANY, 1, MCF_SHAPE(d[0], d[1], d[2], d[3]), stride);
                } else {
                    input(&c, types[t], ANY, 1, MCF_SHAPE(d[0], d[1], d[2], d[3]));
                }
                c.launch.attr.reduce_sum.axes = axes;
                c.launch.attr.reduce_sum.scale = axes % 2 ? 1 : 0.125;
                c.launch.accumulate = axes >> 1 & 1;
                check_and_release(&c);
            }
    EACH_TYPE (t) {
        test_case c = make(MCF_OP_sum_squares, 1);
        input(&c, types[t], ANY, 1, MCF_SHAPE(9001));
        check_and_release(&c);
    }
}

static void matmul_case(const int64_t *size, int ta, int tb, int variant, mcf_dtype a, mcf_dtype b, mcf_dtype out)
{
    int64_t m = size[0], k = size[1], n = size[2], batch = size[3];
    test_case c = make(MCF_OP_matmul, 1);
    c.launch.attr.matmul.trans_a = ta;
    c.launch.attr.matmul.trans_b = tb;
    mcf_shape as = batch ? MCF_SHAPE(batch, ta ? k : m, ta ? m : k) : MCF_SHAPE(ta ? k : m, ta ? m : k);
    mcf_shape bs = batch ? MCF_SHAPE(batch, tb ? n : k, tb ? k : n) : MCF_SHAPE(tb ? n : k, tb ? k : n);
    int rank = as.rank;
    int64_t a_stride[MCF_MAX_RANK] = {0}, b_stride[MCF_MAX_RANK] = {0};
    mcf_contiguous_strides(&as, a_stride);
    mcf_contiguous_strides(&bs, b_stride);
    if (variant == 1) // rows apart, as in a slice
        a_stride[rank - 2] += 3, a_stride[0] *= rank == 3 ? 2 : 1;
    if (variant == 2 && batch) // one b for the whole batch
        b_stride[0] = 0;
    if (variant == 3) // no stride of 1
        for (int i = 0; i < rank; i++)
            b_stride[i] *= 2;
    if (variant == 4 && batch) // both repeated
        a_stride[0] = b_stride[0] = 0;
    if (variant == 5) // a repeated row
        a_stride[rank - 2] = 0;
    input_strided(&c, a, ANY, 1, as, a_stride);
    input_strided(&c, b, ANY, 1, bs, b_stride);
    if (variant % 2)
        input(&c, MCF_F32, ANY, 1, MCF_SHAPE(n));
    c.launch.attr.matmul.activation = variant == 1 ? MCF_ACT_GELU : variant == 3 ? MCF_ACT_RELU : MCF_ACT_NONE;
    c.launch.accumulate = variant == 2 || variant == 3;
    c.launch.out[0].dtype = out;
    check_and_release(&c);
}

static void test_matmul(void **state)
{
    int64_t sizes[][4] = {{1, 1, 1, 0},  {5, 7, 3, 0},      {64, 48, 80, 0}, {0, 3, 4, 0}, {3, 0, 4, 0},
                          {1, 33, 5, 0}, {5, 1, 9, 0},      {50, 65, 1, 0},  {7, 5, 6, 3}, {16, 8, 9, 2},
                          {4, 12, 1, 4}, {66, 1700, 40, 0}, {66, 290, 90, 0}};
    for (int s = 0; s < LENGTH(sizes); s++)
        for (int transpose = 0; transpose < 4; transpose++)
            for (int v = 0; v < 6; v++)
                for (int t = 0; t < 8; t++)
                    matmul_case(sizes[s], transpose & 1, transpose >> 1, v, t & 1 ? MCF_BF16 : MCF_F32,
                                t & 2 ? MCF_BF16 : MCF_F32, t & 4 ? MCF_BF16 : MCF_F32);
    matmul_case((int64_t[]){9, 17, 8, 0}, 0, 1, 0, MCF_F16, MCF_F16, MCF_F16);
}

// A linear layer over `rows` rows, as one product and cut into two: the same bits.
static void few_rows_case(int64_t rows, int64_t n, int64_t k, int64_t first, int activation)
{
    test_case whole = make(MCF_OP_matmul, 1);
    input(&whole, MCF_F32, ANY, 1, MCF_SHAPE(rows, k));
    input(&whole, MCF_F32, ANY, 1, MCF_SHAPE(n, k));
    input(&whole, MCF_F32, ANY, 1, MCF_SHAPE(n));
    whole.launch.attr.matmul.trans_b = 1;
    whole.launch.attr.matmul.activation = (uint8_t)activation;
    whole.launch.out[0].dtype = MCF_F32;
    check(&whole);
    for (int part = 0; part < 2; part++) {
        const int64_t from = part ? first : 0, count = part ? rows - first : first;
        test_case c = make(MCF_OP_matmul, 1);
        input(&c, MCF_F32, ANY, 1, MCF_SHAPE(count, k));
        memcpy(c.data[0], (const float *)whole.data[0] + from * k, (size_t)(count * k) * sizeof(float));
        input_again(&c, &whole, 1);
        input_again(&c, &whole, 2);
        c.launch.attr.matmul = whole.launch.attr.matmul;
        c.launch.out[0].dtype = MCF_F32;
        check(&c);
        assert_memory_equal(c.result[0][0], (const float *)whole.result[0][0] + from * n,
                            (size_t)(count * n) * sizeof(float));
        release(&c);
    }
    release(&whole);
}

static void test_few_rows(void **state)
{
    // the dense layers of the detector, then odd ones
    static const int64_t sizes[][4] = {{32, 128, 576, 31}, {32, 6, 128, 5}, {8, 256, 1152, 1}, {8, 16, 256, 7},
                                       {7, 1, 1, 3},       {31, 3, 17, 2},  {13, 45, 100, 12}, {2, 9, 0, 1}};
    for (int s = 0; s < LENGTH(sizes); s++)
        for (int activation = MCF_ACT_NONE; activation <= MCF_ACT_GELU; activation++)
            few_rows_case(sizes[s][0], sizes[s][1], sizes[s][2], sizes[s][3], activation);
}

static void test_matmul_rank4(void **state)
{
    for (int t = 0; t < 2; t++) {
        test_case c = make(MCF_OP_matmul, 1);
        // q k^T inside a [B,N,3,H,d]: batches that do not fold.
        int64_t stride[MCF_MAX_RANK] = {5 * 3 * 2 * 8, 8, 3 * 2 * 8, 1};
        input_strided(&c, types[t], ANY, 1, MCF_SHAPE(3, 2, 5, 8), stride);
        input_strided(&c, types[t], ANY, 1, MCF_SHAPE(3, 2, 5, 8), stride);
        c.launch.attr.matmul.trans_b = 1;
        c.launch.out[0].dtype = types[t];
        check_and_release(&c);
    }
}

static void test_layer_norm(void **state)
{
    int64_t sizes[][2] = {{1, 1}, {0, 5}, {5, 3}, {33, 192}, {70, 771}};
    EACH_TYPE (t)
        EACH_TYPE (u)
            for (int s = 0; s < LENGTH(sizes); s++) {
                int64_t r = sizes[s][0], n = sizes[s][1];
                test_case c = make(MCF_OP_layer_norm, 3);
                input(&c, types[t], ANY, 2, MCF_SHAPE(r, n));
                input(&c, MCF_F32, ANY, 1, MCF_SHAPE(n));
                input(&c, MCF_F32, ANY, 1, MCF_SHAPE(n));
                c.launch.attr.norm.eps = 1e-6;
                c.launch.out[0].dtype = types[u];
                check(&c);
                for (int variant = 0; variant < 3 && n > 1; variant++) {
                    test_case g = make(MCF_OP_layer_norm_grad, 3);
                    input_again(&g, &c, 0);
                    input_again(&g, &c, 1);
                    input_result(&g, &c, 1);
                    input_result(&g, &c, 2);
                    input(&g, types[u], ANY, 1, MCF_SHAPE(r, n));
                    if (variant)
                        input(&g, types[t], ANY, 1, MCF_SHAPE(r, n));
                    g.launch.out[0].dtype = types[u];
                    g.launch.accumulate = variant == 2 ? 6 : 0;
                    check_and_release(&g);
                }
                release(&c);
                c = make(MCF_OP_add_layer_norm, 4);
                input(&c, types[t], ANY, 2, MCF_SHAPE(r, n));
                input(&c, types[u], ANY, 2, MCF_SHAPE(r, n));
                input(&c, MCF_F32, ANY, 1, MCF_SHAPE(n));
                input(&c, MCF_F32, ANY, 1, MCF_SHAPE(n));
                c.launch.attr.norm.eps = 1e-6;
                c.launch.out[0].dtype = types[t];
                c.launch.out[1].dtype = types[u];
                check_and_release(&c);
            }
}

static void test_batch_norm(void **state)
{
    int64_t sizes[][3] = {{1, 4, 3}, {3, 1, 5}, {2, 33, 700}};
    EACH_TYPE (t)
        for (int s = 0; s < LENGTH(sizes); s++)
            for (int affine = 0; affine < 2; affine++) {
                int64_t g = sizes[s][0], r = sizes[s][1], n = sizes[s][2];
                test_case c = make(MCF_OP_batch_variance, 1);
                input(&c, types[t], ANY, 1, MCF_SHAPE(g, r, n));
                input(&c, MCF_F32, ANY, 0.1, MCF_SHAPE(g, 1, n));
                check_and_release(&c);
                c = make(MCF_OP_batch_norm, 1);
                input(&c, types[t], ANY, 1, MCF_SHAPE(g, r, n));
                input(&c, MCF_F32, ANY, 0.1, MCF_SHAPE(g, 1, n));
                input(&c, MCF_F32, POSITIVE, 1, MCF_SHAPE(g, 1, n));
                for (int i = 0; i < 2 && affine; i++)
                    input(&c, MCF_F32, ANY, 1, MCF_SHAPE(n));
                c.launch.attr.norm.eps = 1e-5;
                c.launch.out[0].dtype = types[t];
                check_and_release(&c);
                c = make(MCF_OP_batch_norm_sums, 2);
                input(&c, types[t], ANY, 1, MCF_SHAPE(g, r, n));
                input(&c, MCF_F32, ANY, 0.1, MCF_SHAPE(g, 1, n));
                input(&c, MCF_F32, POSITIVE, 1, MCF_SHAPE(g, 1, n));
                input(&c, types[t], ANY, 1, MCF_SHAPE(g, r, n));
                c.launch.attr.norm.eps = 1e-5;
                check_and_release(&c);
                c = make(MCF_OP_batch_norm_grad, 1);
                input(&c, types[t], ANY, 1, MCF_SHAPE(g, r, n));
                input(&c, MCF_F32, ANY, 0.1, MCF_SHAPE(g, 1, n));
                input(&c, MCF_F32, POSITIVE, 1, MCF_SHAPE(g, 1, n));
                input(&c, types[t], ANY, 1, MCF_SHAPE(g, r, n));
                input(&c, MCF_F32, ANY, 0.3, MCF_SHAPE(g, 1, n));
                input(&c, MCF_F32, ANY, 0.3, MCF_SHAPE(g, 1, n));
                if (affine)
                    input(&c, MCF_F32, ANY, 1, MCF_SHAPE(n));
                c.launch.attr.norm.eps = 1e-5;
                c.launch.out[0].dtype = types[t];
                check_and_release(&c);
            }
}

static void test_l2_normalize(void **state)
{
    int64_t sizes[][3] = {{2, 3, 5}, {3, 70, 600}, {1, 1, 1}, {2, 0, 3}};
    EACH_TYPE (t)
        for (int s = 0; s < LENGTH(sizes); s++)
            for (int axis = 0; axis < 3; axis++)
                for (int g = 0; g < 2; g++) {
                    test_case c = make(g ? MCF_OP_l2_normalize_grad : MCF_OP_l2_normalize, 1);
                    mcf_shape shape = MCF_SHAPE(sizes[s][0], sizes[s][1], sizes[s][2]);
                    for (int i = 0; i <= g; i++)
                        input(&c, types[t], ANY, 1, shape);
                    c.launch.attr.l2_normalize.axis = axis;
                    // Vectors of one element lie both sides of this bound.
                    c.launch.attr.l2_normalize.eps = s == 2 ? 10 : 1e-12;
                    c.launch.out[0].dtype = types[t];
                    if (g && s != 2 && shape.dim[axis] == 1) {
                        release(&c);
                        continue;
                    }
                    check_and_release(&c);
                }
}

static void test_softmax(void **state)
{
    int64_t sizes[][2] = {{1, 1}, {0, 4}, {5, 7}, {40, 1000}};
    EACH_TYPE (t)
        for (int s = 0; s < LENGTH(sizes); s++) {
            int64_t r = sizes[s][0], n = sizes[s][1];
            test_case c = make(MCF_OP_softmax, 1);
            input(&c, types[t], ANY, 20, MCF_SHAPE(r, n));
            c.launch.out[0].dtype = types[t];
            check(&c);
            test_case g = make(MCF_OP_softmax_grad, 1);
            input(&g, types[t], ANY, 1, MCF_SHAPE(r, n));
            input(&g, types[t], ANY, 1, MCF_SHAPE(r, n));
            g.launch.out[0].dtype = types[t];
            if (n > 1)
                check(&g);
            release(&g);
            release(&c);
            if (r == 0)
                continue;
            c = make(MCF_OP_cross_entropy, 2);
            input(&c, types[t], ANY, 5, MCF_SHAPE(r, n));
            input(&c, MCF_I64, IDS, (double)n, MCF_SHAPE(r));
            check(&c);
            g = make(MCF_OP_cross_entropy_grad, 1);
            input_again(&g, &c, 0);
            input_again(&g, &c, 1);
            input_result(&g, &c, 1);
            input(&g, MCF_F32, ANY, 1, MCF_SHAPE(1));
            g.launch.out[0].dtype = types[t];
            if (n > 1)
                check(&g);
            release(&g);
            release(&c);
        }
}

static void test_attention(void **state)
{
    // B, N, H, d
    int64_t sizes[][4] = {{1, 1, 1, 1},   {2, 5, 3, 4},    {0, 3, 2, 8},    {1, 17, 2, 20},
                          {2, 50, 3, 64}, {1, 197, 2, 32}, {1, 300, 1, 33}, {1, 131, 1, 70}};
    EACH_TYPE (t)
        for (int s = 0; s < LENGTH(sizes); s++)
            for (int sharp = 0; sharp < 2; sharp++) {
                int64_t *d = sizes[s];
                test_case c = make(MCF_OP_attention, 2);
                input(&c, types[t], ANY, sharp ? 4 : 1, MCF_SHAPE(d[0], d[1], 3, d[2], d[3]));
                c.launch.attr.attention.scale = 1 / sqrt((double)d[3]);
                c.launch.out[0].dtype = types[t];
                check(&c);
                test_case g = make(MCF_OP_attention_grad, 1);
                input_again(&g, &c, 0);
                input_result(&g, &c, 0);
                input_result(&g, &c, 1);
                input(&g, types[t], ANY, 1, MCF_SHAPE(d[0], d[1], d[2], d[3]));
                g.launch.attr.attention.scale = c.launch.attr.attention.scale;
                g.launch.out[0].dtype = types[t];
                check(&g);
                release(&g);
                release(&c);
            }
    test_case c = make(MCF_OP_attention, 2);
    input(&c, MCF_F32, ANY, 20, MCF_SHAPE(1, 20, 3, 1, 8));
    c.launch.attr.attention.scale = -2;
    check_and_release(&c);
}

static void test_token_mse(void **state)
{
    int64_t sizes[][3] = {{1, 1, 1}, {2, 5, 3}, {2, 197, 300}};
    EACH_TYPE (t)
        for (int s = 0; s < LENGTH(sizes); s++)
            for (int held = 0; held < 2; held++) {
                mcf_shape shape = MCF_SHAPE(sizes[s][0], sizes[s][1], sizes[s][2]);
                test_case c = make(MCF_OP_token_mse, 3);
                input(&c, types[t], ANY, 1, shape);
                input(&c, types[t], ANY, 1, shape);
                c.launch.attr.norm.eps = held ? 100 : 1e-12;
                check(&c);
                test_case g = make(MCF_OP_token_mse_grad, 1);
                input_again(&g, &c, 0);
                input_again(&g, &c, 1);
                input_result(&g, &c, 1);
                input_result(&g, &c, 2);
                input(&g, MCF_F32, ANY, 3, MCF_SHAPE(1));
                g.launch.attr.norm.eps = c.launch.attr.norm.eps;
                g.launch.out[0].dtype = types[t];
                if (s || held)
                    check(&g);
                release(&g);
                release(&c);
            }
}

static void test_images(void **state)
{
    EACH_TYPE (t) {
        test_case c = make(MCF_OP_normalize_image, 1);
        input(&c, MCF_U8, FLAGS, 256, MCF_SHAPE(4, 5, 700, 3));
        input(&c, MCF_U8, FLAGS, 2, MCF_SHAPE(4));
        for (int i = 0; i < 3; i++)
            c.launch.attr.normalize_image.mean[i] = 0.4f + 0.1f * (float)i, c.launch.attr.normalize_image.std[i] = 0.2f;
        c.launch.out[0].dtype = types[t];
        check_and_release(&c);
        for (int grad = 0; grad < 2; grad++)
            for (int s = 0; s < 3; s++) {
                c = make(grad ? MCF_OP_resize_nearest_grad : MCF_OP_resize_nearest, 1);
                input(&c, types[t], ANY, 1, MCF_SHAPE(2, 10, 7, 3));
                c.launch.attr.resize.height = (int64_t[]){10, 23, 4}[s];
                c.launch.attr.resize.width = (int64_t[]){7, 16, 3}[s];
                c.launch.out[0].dtype = types[t];
                check_and_release(&c);
            }
    }
}

static void test_state(void **state)
{
    EACH_TYPE (t)
        for (int given = 0; given < 2; given++) {
            test_case c = make(MCF_OP_ema, 1);
            input(&c, MCF_F32, ANY, 1, MCF_SHAPE(20001));
            input(&c, types[t], ANY, 1, MCF_SHAPE(20001));
            if (given)
                input(&c, MCF_F32, POSITIVE, 0.5, MCF_SHAPE(1));
            c.launch.attr.ema.momentum = 0.99;
            c.launch.attr.ema.scale = given ? 1 : 1.5;
            check_and_release(&c);
        }
    // Unclipped, clipped to a quarter, and left out.
    static const float norms[][2] = {{0, 64}, {1, 64}, {1, INFINITY}, {0, NAN}};
    for (size_t kind = 0; kind < sizeof norms / sizeof *norms; kind++) {
        test_case c = make(MCF_OP_adamw, 1);
        int64_t n = 50001;
        for (int i = 0; i < 4; i++)
            input(&c, MCF_F32, i == 3 ? POSITIVE : ANY, 1, MCF_SHAPE(n));
        input(&c, MCF_I64, IDS, 1, MCF_SHAPE(3, 2));
        memcpy(c.data[4], (int64_t[]){0, 17, 32, 40000, 40016, n}, 6 * sizeof(int64_t));
        input(&c, MCF_F32, POSITIVE, 1, MCF_SHAPE(3, 2));
        input(&c, MCF_F32, ANY, 1, MCF_SHAPE(MCF_ADAMW_SCALARS));
        const float scalars[MCF_ADAMW_SCALARS] = {1e-3f,     0.9f, 0.95f,          1e-8f,         1 - 0.9f,
                                                  1 - 0.95f, 0.5f, norms[kind][0], norms[kind][1]};
        memcpy(c.data[6], scalars, sizeof scalars);
        check_and_release(&c);
    }
}

// Not a number must come out as one, or a broken step would go on unseen.
static void test_not_a_number(void **state)
{
    mcf_op ops[] = {MCF_OP_gelu,    MCF_OP_gelu_grad,  MCF_OP_relu, MCF_OP_sum_squares,
                    MCF_OP_softmax, MCF_OP_reduce_sum, MCF_OP_copy};
    EACH_TYPE (t)
        for (int o = 0; o < LENGTH(ops); o++)
            for (int infinite = 0; infinite < 2; infinite++) {
                if (infinite && (ops[o] == MCF_OP_softmax || ops[o] == MCF_OP_gelu_grad))
                    continue;
                test_case c = make(ops[o], 1);
                for (int i = 0; i < mcf_op_describe(ops[o])->inputs; i++)
                    input(&c, types[t], ANY, 1, MCF_SHAPE(3, 40));
                mcf_store_element(c.data[0], types[t], 33, infinite ? -INFINITY : NAN);
                mcf_store_element(c.data[0], types[t], 58, infinite ? -INFINITY : NAN);
                if (ops[o] == MCF_OP_reduce_sum)
                    c.launch.attr.reduce_sum.axes = 2, c.launch.attr.reduce_sum.scale = 1;
                c.launch.out[0].dtype = ops[o] == MCF_OP_sum_squares ? MCF_F32 : types[t];
                mcf_error err;
                assert_int_equal(mcf_infer_shapes(&c.launch, 1, &err), MCF_OK);
                void *start[MCF_MAX_OUTPUTS] = {0};
                run(cpu, &c, 0, start, c.result[0]);
                run(oracle, &c, 1, start, c.result[1]);
                int64_t n = mcf_shape_count(&c.launch.out[0].shape);
                for (int64_t j = 0; j < n; j++) {
                    double a = mcf_load_element(c.result[0][0], c.launch.out[0].dtype, j);
                    double b = mcf_load_element(c.result[1][0], c.launch.out[0].dtype, j);
                    if (isfinite(a) != isfinite(b) || isnan(a) != isnan(b))
                        fail_msg("%s %s [%lld]: %g, reference %g", mcf_op_describe(ops[o])->name,
                                 mcf_dtype_name(types[t]), (long long)j, a, b);
                }
                release(&c);
            }
}

// GELU in bf16 has formulas of its own: each number there is, and the reference's 1 + erf has no digits in the tail.
static void test_gelu_bf16(void **state)
{
    for (int grad = 0; grad < 2; grad++) {
        test_case c = make(grad ? MCF_OP_gelu_grad : MCF_OP_gelu, 1);
        for (int i = 0; i <= grad; i++)
            input(&c, MCF_BF16, ANY, 1, MCF_SHAPE(1 << 16));
        for (int i = 0; i < 1 << 16; i++) {
            uint16_t bits = (uint16_t)((i & 0x7f80) == 0x7f80 ? 0 : i); // finite
            memcpy((uint16_t *)c.data[0] + i, &bits, sizeof bits);
            if (grad)
                mcf_store_element(c.data[1], MCF_BF16, i, 1);
        }
        c.launch.out[0].dtype = MCF_BF16;
        mcf_error err;
        assert_int_equal(mcf_infer_shapes(&c.launch, 1, &err), MCF_OK);
        void *start[MCF_MAX_OUTPUTS] = {malloc(1 << 17)};
        memset(start[0], 0, 1 << 17);
        run(cpu, &c, 0, start, c.result[0]);
        for (int i = 0; i < 1 << 16; i++) {
            double x = mcf_load_element(c.data[0], MCF_BF16, i), got = mcf_load_element(c.result[0][0], MCF_BF16, i);
            double phi = 0.5 * erfc(-x * M_SQRT1_2), slope = phi + x * exp(-0.5 * x * x) / sqrt(2 * M_PI);
            double want = grad ? slope : x * phi, unit = 1.0 / 256; // the rounding to bf16
            double allowed = grad ? unit * fabs(want) + unit / 16 : (unit + unit / 16) * fabs(want) + 1e-35;
            if (!(fabs(got - want) <= allowed))
                fail_msg("%s of %g: %g, not %g", grad ? "gelu_grad" : "gelu", x, got, want);
        }
        free(start[0]);
        release(&c);
    }
}

// A product of something that is not finite is not finite there and finite elsewhere.
static void test_not_a_number_product(void **state)
{
    EACH_TYPE (t)
        for (int what = 0; what < 2; what++)
            for (int side = 0; side < 2; side++) {
                test_case c = make(MCF_OP_matmul, 1);
                input(&c, types[t], ANY, 1, MCF_SHAPE(45, 70));
                input(&c, types[t], ANY, 1, MCF_SHAPE(70, 50));
                mcf_store_element(c.data[side], types[t], 1234, what ? -INFINITY : NAN);
                c.launch.out[0].dtype = types[t];
                mcf_error err;
                assert_int_equal(mcf_infer_shapes(&c.launch, 1, &err), MCF_OK);
                void *start[MCF_MAX_OUTPUTS] = {0};
                run(cpu, &c, 0, start, c.result[0]);
                run(oracle, &c, 1, start, c.result[1]);
                for (int64_t j = 0; j < 45 * 50; j++)
                    assert_int_equal(isfinite(mcf_load_element(c.result[0][0], types[t], j)),
                                     isfinite(mcf_load_element(c.result[1][0], types[t], j)));
                release(&c);
            }
}

// Bad indices are errors, not reads outside.
static void test_bad_indices(void **state)
{
    for (int bad = -1; bad < 6; bad += 6) {
        test_case c = make(MCF_OP_gather_rows, 1);
        input(&c, MCF_F32, ANY, 1, MCF_SHAPE(2, 5, 4));
        input(&c, MCF_I64, IDS, 5, MCF_SHAPE(2, 3));
        ((int64_t *)c.data[1])[4] = bad;
        mcf_error err;
        assert_int_equal(mcf_infer_shapes(&c.launch, 1, &err), MCF_OK);
        mcf_launch l = c.launch;
        for (int i = 0; i < 2; i++)
            l.in[i].buffer = buffer_of(cpu, c.data[i], (size_t)c.elements[i] * mcf_dtype_size(l.in[i].dtype)),
            l.in[i].offset = 64;
        l.out[0].buffer = buffer_of(cpu, NULL, 4096);
        assert_int_equal(cpu.backend->launch(cpu.stream, &l, &err), MCF_ERR_SHAPE);
        for (int i = 0; i < 2; i++)
            cpu.backend->buffer_destroy(l.in[i].buffer);
        cpu.backend->buffer_destroy(l.out[0].buffer);
        release(&c);
    }
}

int main(int argc, char **argv)
{
    // A child for each lesser instruction set; an unknown one here is skipped.
    if (argc == 1) {
        const char *isas[] = {"avx512_bf16", "avx512", "avx2", "portable"};
        for (int i = 0; i < LENGTH(isas); i++) {
            char command[4200];
            snprintf(command, sizeof command, "MCF_CPU_ISA=%s '%s' child", isas[i], argv[0]);
            fprintf(stderr, "with %s:\n", isas[i]);
            if (system(command) != 0)
                return 1;
        }
    } else {
        const mcf_backend *backend;
        mcf_error err;
        if (mcf_backend_find("cpu", &backend, &err) != MCF_OK && strstr(err.message, "MCF_CPU_ISA"))
            return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_movement),
        cmocka_unit_test(test_elementwise),
        cmocka_unit_test(test_reduce),
        cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_matmul_rank4),
        cmocka_unit_test(test_few_rows),
        cmocka_unit_test(test_layer_norm),
        cmocka_unit_test(test_batch_norm),
        cmocka_unit_test(test_l2_normalize),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_token_mse),
        cmocka_unit_test(test_images),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_gelu_bf16),
        cmocka_unit_test(test_not_a_number),
        cmocka_unit_test(test_not_a_number_product),
        cmocka_unit_test(test_bad_indices),
    };
    return cmocka_run_group_tests(tests, open_both, close_both);
}
