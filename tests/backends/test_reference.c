// cpu-reference against values worked out by hand, in f64. An example for every operation: hence the length.
#include "backends/backend.h"

#include "backends/host/elements.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

// --- one call

static mcf_device *device;
static mcf_stream *stream;

static int open_device(void **state)
{
    const mcf_backend *b = mcf_backend_reference();
    mcf_device_options options = {.opened = 1};
    return b->device_open(3, &options, &device, NULL) != MCF_OK || b->stream_create(device, &stream, NULL) != MCF_OK;
}

static int close_device(void **state)
{
    mcf_backend_reference()->stream_destroy(stream);
    mcf_backend_reference()->device_close(device);
    return 0;
}

static mcf_launch begin(mcf_op op)
{
    return (mcf_launch){.op = op};
}

static mcf_operand make(mcf_dtype dtype, mcf_shape shape, const double *values)
{
    const mcf_backend *b = mcf_backend_reference();
    mcf_operand x = {.dtype = dtype, .shape = shape};
    mcf_contiguous_strides(&shape, x.stride);
    int64_t count = mcf_shape_count(&shape);
    assert_int_equal(b->buffer_create(device, (uint64_t)count * mcf_dtype_size(dtype), &x.buffer, NULL), MCF_OK);
    for (int64_t i = 0; values && i < count; i++)
        mcf_store_element(b->buffer_host(x.buffer), dtype, i, values[i]);
    return x;
}

static void give(mcf_launch *l, mcf_dtype dtype, mcf_shape shape, const double *values)
{
    l->in[l->n_in++] = make(dtype, shape, values);
}
#define V(...) ((const double[]){__VA_ARGS__})
#define GIVE(l, shape, ...) give(l, MCF_F64, shape, V(__VA_ARGS__))
#define GIVE_IDS(l, shape, ...) give(l, MCF_I64, shape, V(__VA_ARGS__))

// Runs with fresh outputs, the first of type `dtype`.
static void run_as(mcf_launch *l, mcf_dtype dtype)
{
    mcf_error err = {.message = ""};
    l->n_out = mcf_op_describe(l->op)->outputs;
    for (int i = 0; i < l->n_out; i++)
        l->out[i].dtype = dtype;
    if (mcf_infer_shapes(l, 1, &err) != MCF_OK)
        fail_msg("%s", err.message);
    for (int i = 0; i < l->n_out; i++)
        l->out[i] = make(l->out[i].dtype, l->out[i].shape, NULL);
    if (mcf_backend_reference()->launch(stream, l, &err) != MCF_OK)
        fail_msg("%s", err.message);
}

static void run(mcf_launch *l)
{
    run_as(l, MCF_F64);
}

static void expect_operand(const mcf_operand *x, const double *want, int64_t count)
{
    assert_int_equal(mcf_shape_count(&x->shape), count);
    const char *data = (char *)mcf_backend_reference()->buffer_host(x->buffer) + x->offset;
    for (int64_t i = 0; i < count; i++) {
        double got = mcf_load_element(data, x->dtype, i);
        if (!(fabs(got - want[i]) <= 1e-12 * fmax(1, fabs(want[i]))))
            fail_msg("element %d is %.17g, should be %.17g", (int)i, got, want[i]);
    }
}
#define EXPECT(x, ...) expect_operand(&(x), V(__VA_ARGS__), (int64_t)(sizeof(V(__VA_ARGS__)) / sizeof(double)))

static void finish(mcf_launch *l)
{
    for (int i = 0; i < l->n_in; i++)
        mcf_backend_reference()->buffer_destroy(l->in[i].buffer);
    for (int i = 0; i < l->n_out; i++) {
        bool in_place = false;
        for (int j = 0; j < l->n_in; j++)
            in_place |= l->in[j].buffer == l->out[i].buffer;
        if (!in_place)
            mcf_backend_reference()->buffer_destroy(l->out[i].buffer);
    }
}

// --- movement

static void movement(void **state)
{
    mcf_launch l = begin(MCF_OP_fill);
    l.attr.fill.value = 2.5;
    l.out[0].shape = MCF_SHAPE(3);
    run(&l);
    EXPECT(l.out[0], 2.5, 2.5, 2.5);
    finish(&l);

    l = begin(MCF_OP_copy);
    GIVE(&l, MCF_SHAPE(2, 3), 1, 2, 3, 4, 5, 6);
    // Seen as its transpose.
    l.in[0].shape = MCF_SHAPE(3, 2);
    l.in[0].stride[0] = 1;
    l.in[0].stride[1] = 3;
    run(&l);
    EXPECT(l.out[0], 1, 4, 2, 5, 3, 6);
    finish(&l);

    l = begin(MCF_OP_pad);
    GIVE(&l, MCF_SHAPE(2, 2), 1, 2, 3, 4);
    l.attr.pad.axis = 1;
    l.attr.pad.before = 1;
    l.attr.pad.after = 2;
    run(&l);
    EXPECT(l.out[0], 0, 1, 2, 0, 0, 0, 3, 4, 0, 0);
    finish(&l);

    l = begin(MCF_OP_concat);
    GIVE(&l, MCF_SHAPE(2, 1), 1, 2);
    GIVE(&l, MCF_SHAPE(2, 2), 3, 4, 5, 6);
    l.attr.concat.axis = 1;
    run(&l);
    EXPECT(l.out[0], 1, 3, 4, 2, 5, 6);
    finish(&l);

    l = begin(MCF_OP_gather_rows);
    GIVE(&l, MCF_SHAPE(1, 3, 2), 1, 2, 3, 4, 5, 6);
    GIVE_IDS(&l, MCF_SHAPE(1, 2), 2, 0);
    run(&l);
    EXPECT(l.out[0], 5, 6, 1, 2);
    finish(&l);

    l = begin(MCF_OP_scatter_rows);
    GIVE(&l, MCF_SHAPE(1, 3, 2), 1, 2, 3, 4, 5, 6);
    GIVE_IDS(&l, MCF_SHAPE(1, 3), 2, 0, 2);
    l.attr.scatter_rows.rows = 4;
    run(&l);
    EXPECT(l.out[0], 3, 4, 0, 0, 6, 8, 0, 0);
    finish(&l);
}

static void ids_outside_are_refused(void **state)
{
    mcf_error err;
    mcf_launch l = begin(MCF_OP_gather_rows);
    GIVE(&l, MCF_SHAPE(1, 3, 1), 1, 2, 3);
    GIVE_IDS(&l, MCF_SHAPE(1, 2), 0, 3);
    l.n_out = 1;
    l.out[0] = make(MCF_F64, MCF_SHAPE(1, 2, 1), NULL);
    assert_int_equal(mcf_backend_reference()->launch(stream, &l, &err), MCF_ERR_SHAPE);
    assert_string_equal(err.message, "gather_rows: ids[0, 1] is 3, there are 3 rows");
    finish(&l);
}

// --- elementwise

static void elementwise(void **state)
{
    mcf_launch l = begin(MCF_OP_add);
    GIVE(&l, MCF_SHAPE(2), 1, 2);
    GIVE(&l, MCF_SHAPE(2), 10, 20);
    l.attr.add.alpha = 2;
    l.attr.add.beta = -1;
    run(&l);
    EXPECT(l.out[0], -8, -16);
    finish(&l);

    l = begin(MCF_OP_mul);
    GIVE(&l, MCF_SHAPE(2), 3, -2);
    GIVE(&l, MCF_SHAPE(2), 5, 7);
    run(&l);
    EXPECT(l.out[0], 15, -14);
    finish(&l);

    l = begin(MCF_OP_scale);
    GIVE(&l, MCF_SHAPE(2), 3, -2);
    l.attr.scale.alpha = 0.5;
    l.attr.scale.beta = 1;
    run(&l);
    EXPECT(l.out[0], 2.5, 0);
    finish(&l);

    l = begin(MCF_OP_relu);
    GIVE(&l, MCF_SHAPE(3), -1, 0, 2);
    run(&l);
    EXPECT(l.out[0], 0, 0, 2);
    finish(&l);

    l = begin(MCF_OP_relu_grad);
    GIVE(&l, MCF_SHAPE(3), -1, 0, 2);
    GIVE(&l, MCF_SHAPE(3), 5, 6, 7);
    run(&l);
    EXPECT(l.out[0], 0, 0, 7);
    finish(&l);

    // Phi(1) = 0.841344746068543, phi(1) = 0.241970724519143 (tables of the normal distribution).
    l = begin(MCF_OP_gelu);
    GIVE(&l, MCF_SHAPE(3), 0, 1, -1);
    run(&l);
    EXPECT(l.out[0], 0, 0.8413447460685429, -0.15865525393145707);
    finish(&l);

    l = begin(MCF_OP_gelu_grad);
    GIVE(&l, MCF_SHAPE(2), 0, 1);
    GIVE(&l, MCF_SHAPE(2), 4, 2);
    run(&l);
    EXPECT(l.out[0], 2, 2 * (0.8413447460685429 + 0.24197072451914337));
    finish(&l);

    l = begin(MCF_OP_sigmoid);
    GIVE(&l, MCF_SHAPE(3), 0, log(3), -log(4));
    run(&l);
    EXPECT(l.out[0], 0.5, 0.75, 0.2);
    finish(&l);

    l = begin(MCF_OP_sigmoid_grad);
    GIVE(&l, MCF_SHAPE(2), 0.5, 0.2);
    GIVE(&l, MCF_SHAPE(2), 8, -1);
    run(&l);
    EXPECT(l.out[0], 2, -0.16);
    finish(&l);
}

static void nan_passes_through_relu(void **state)
{
    mcf_launch l = begin(MCF_OP_relu);
    GIVE(&l, MCF_SHAPE(1), NAN);
    run(&l);
    assert_true(isnan(*(double *)mcf_backend_reference()->buffer_host(l.out[0].buffer)));
    finish(&l);
}

// --- sums and products

static void products(void **state)
{
    mcf_launch l = begin(MCF_OP_reduce_sum);
    GIVE(&l, MCF_SHAPE(2, 3), 1, 2, 3, 4, 5, 6);
    l.attr.reduce_sum.axes = 1;
    l.attr.reduce_sum.scale = 0.5;
    run(&l);
    EXPECT(l.out[0], 2.5, 3.5, 4.5);
    finish(&l);

    // The same product in its four ways of writing: [[1,2],[3,4],[5,6]] x [[1,0,2],[0,1,3]] + [10,20,30].
    for (int trans = 0; trans < 4; trans++) {
        l = begin(MCF_OP_matmul);
        if (trans & 1)
            GIVE(&l, MCF_SHAPE(2, 3), 1, 3, 5, 2, 4, 6);
        else
            GIVE(&l, MCF_SHAPE(3, 2), 1, 2, 3, 4, 5, 6);
        if (trans & 2)
            GIVE(&l, MCF_SHAPE(3, 2), 1, 0, 0, 1, 2, 3);
        else
            GIVE(&l, MCF_SHAPE(2, 3), 1, 0, 2, 0, 1, 3);
        GIVE(&l, MCF_SHAPE(3), 10, 20, -30);
        l.attr.matmul.trans_a = trans & 1;
        l.attr.matmul.trans_b = trans >> 1;
        l.attr.matmul.activation = MCF_ACT_RELU;
        run(&l);
        EXPECT(l.out[0], 11, 22, 0, 13, 24, 0, 15, 26, 0);
        // Once more, added.
        l.accumulate = 1;
        assert_int_equal(mcf_backend_reference()->launch(stream, &l, NULL), MCF_OK);
        EXPECT(l.out[0], 22, 44, 0, 26, 48, 0, 30, 52, 0);
        finish(&l);
    }

    l = begin(MCF_OP_sum_squares);
    GIVE(&l, MCF_SHAPE(3), 1, -2, 3);
    run(&l);
    EXPECT(l.out[0], 14);
    finish(&l);
}

// --- normalisation

static void layer_norm(void **state)
{
    // Row 1, 3: mean 2, variance 1; with eps 3, rstd 1/2.
    mcf_launch l = begin(MCF_OP_layer_norm);
    GIVE(&l, MCF_SHAPE(1, 2), 1, 3);
    GIVE(&l, MCF_SHAPE(2), 2, 4);
    GIVE(&l, MCF_SHAPE(2), 10, 20);
    l.attr.norm.eps = 3;
    run(&l);
    EXPECT(l.out[0], 9, 22);
    EXPECT(l.out[1], 2);
    EXPECT(l.out[2], 0.5);
    finish(&l);

    l = begin(MCF_OP_add_layer_norm);
    GIVE(&l, MCF_SHAPE(1, 2), 0, 5);
    GIVE(&l, MCF_SHAPE(1, 2), 1, -2);
    GIVE(&l, MCF_SHAPE(2), 2, 4);
    GIVE(&l, MCF_SHAPE(2), 10, 20);
    l.attr.norm.eps = 3;
    run(&l);
    EXPECT(l.out[0], 1, 3);
    EXPECT(l.out[1], 9, 22);
    EXPECT(l.out[2], 2);
    EXPECT(l.out[3], 0.5);
    finish(&l);

    // xhat -0.5, 0.5; g = dy gamma = 2, 12: mean 7, mean of g xhat 2.5.
    // dx = 0.5 (2 - 7 + 0.5*2.5), 0.5 (12 - 7 - 0.5*2.5), plus dsum.
    l = begin(MCF_OP_layer_norm_grad);
    GIVE(&l, MCF_SHAPE(1, 2), 1, 3);
    GIVE(&l, MCF_SHAPE(2), 2, 4);
    GIVE(&l, MCF_SHAPE(1), 2);
    GIVE(&l, MCF_SHAPE(1), 0.5);
    GIVE(&l, MCF_SHAPE(1, 2), 1, 3);
    GIVE(&l, MCF_SHAPE(1, 2), 100, 200);
    run(&l);
    EXPECT(l.out[0], 98.125, 201.875);
    EXPECT(l.out[1], -0.5, 1.5);
    EXPECT(l.out[2], 1, 3);
    finish(&l);
}

static void batch_norm(void **state)
{
    mcf_launch l = begin(MCF_OP_batch_variance);
    GIVE(&l, MCF_SHAPE(1, 2, 2), 1, 10, 3, 30);
    GIVE(&l, MCF_SHAPE(1, 1, 2), 2, 20);
    run(&l);
    EXPECT(l.out[0], 1, 100);
    finish(&l);

    l = begin(MCF_OP_batch_norm);
    GIVE(&l, MCF_SHAPE(1, 2, 1), 1, 3);
    GIVE(&l, MCF_SHAPE(1, 1, 1), 2);
    GIVE(&l, MCF_SHAPE(1, 1, 1), 1);
    GIVE(&l, MCF_SHAPE(1), 6);
    GIVE(&l, MCF_SHAPE(1), 1);
    l.attr.norm.eps = 3;
    run(&l);
    EXPECT(l.out[0], -2, 4);
    finish(&l);

    l = begin(MCF_OP_batch_norm_sums);
    GIVE(&l, MCF_SHAPE(1, 2, 1), 1, 3);
    GIVE(&l, MCF_SHAPE(1, 1, 1), 2);
    GIVE(&l, MCF_SHAPE(1, 1, 1), 1);
    GIVE(&l, MCF_SHAPE(1, 2, 1), 4, 8);
    l.attr.norm.eps = 3;
    run(&l);
    EXPECT(l.out[0], 6);
    EXPECT(l.out[1], 1);
    finish(&l);

    // gamma rstd (dy - mean_dy - xhat mean_dy_xhat) = 6*0.5*(4 - 6 + 0.5), 6*0.5*(8 - 6 - 0.5)
    l = begin(MCF_OP_batch_norm_grad);
    GIVE(&l, MCF_SHAPE(1, 2, 1), 1, 3);
    GIVE(&l, MCF_SHAPE(1, 1, 1), 2);
    GIVE(&l, MCF_SHAPE(1, 1, 1), 1);
    GIVE(&l, MCF_SHAPE(1, 2, 1), 4, 8);
    GIVE(&l, MCF_SHAPE(1, 1, 1), 6);
    GIVE(&l, MCF_SHAPE(1, 1, 1), 1);
    GIVE(&l, MCF_SHAPE(1), 6);
    l.attr.norm.eps = 3;
    run(&l);
    EXPECT(l.out[0], -4.5, 4.5);
    finish(&l);
}

static void l2_normalize(void **state)
{
    // Columns 3, 4 (norm 5) and 0, 0 (divided by eps).
    mcf_launch l = begin(MCF_OP_l2_normalize);
    GIVE(&l, MCF_SHAPE(2, 2), 3, 0, 4, 0);
    l.attr.l2_normalize.axis = 0;
    l.attr.l2_normalize.eps = 0.5;
    run(&l);
    EXPECT(l.out[0], 0.6, 0, 0.8, 0);
    finish(&l);

    // <y,dy> = 0.6*5 + 0.8*10 = 11: (5 - 0.6*11)/5, (10 - 0.8*11)/5; the zero column: dy/eps.
    l = begin(MCF_OP_l2_normalize_grad);
    GIVE(&l, MCF_SHAPE(2, 2), 3, 0, 4, 0);
    GIVE(&l, MCF_SHAPE(2, 2), 5, 1, 10, 2);
    l.attr.l2_normalize.axis = 0;
    l.attr.l2_normalize.eps = 0.5;
    run(&l);
    EXPECT(l.out[0], -0.32, 2, 0.24, 4);
    finish(&l);
}

// --- softmax and attention

static void softmax_and_attention(void **state)
{
    const double log3 = 1.0986122886681098;
    mcf_launch l = begin(MCF_OP_softmax);
    GIVE(&l, MCF_SHAPE(1, 2), 1000, 1000 + log3);
    run(&l);
    EXPECT(l.out[0], 0.25, 0.75);
    finish(&l);

    l = begin(MCF_OP_softmax_grad);
    GIVE(&l, MCF_SHAPE(1, 2), 0.25, 0.75);
    GIVE(&l, MCF_SHAPE(1, 2), 4, 8);
    run(&l);
    EXPECT(l.out[0], -0.75, 0.75);
    finish(&l);

    // Two tokens, one head of one: q = 1, 0; k = 0, log 3; v = 4, 8. Token 0 sees 1:3, token 1 sees 1:1.
    l = begin(MCF_OP_attention);
    GIVE(&l, MCF_SHAPE(1, 2, 3, 1, 1), 1, 0, 4, 0, log3, 8);
    l.attr.attention.scale = 1;
    run(&l);
    EXPECT(l.out[0], 7, 6);
    EXPECT(l.out[1], 2 * 0.6931471805599453, 0.6931471805599453);
    finish(&l);

    // dout = 1, 2: dv = .25 + 1, .75 + 1. ds = p (dout v - dout out): .25(4-7), .75(8-7); .5(8-12), .5(16-12)
    // dq = ds_.1 log 3; dk_j = sum over i of ds_ij q_i.
    l = begin(MCF_OP_attention_grad);
    GIVE(&l, MCF_SHAPE(1, 2, 3, 1, 1), 1, 0, 4, 0, log3, 8);
    GIVE(&l, MCF_SHAPE(1, 2, 1, 1), 7, 6);
    GIVE(&l, MCF_SHAPE(1, 1, 2), 2 * 0.6931471805599453, 0.6931471805599453);
    GIVE(&l, MCF_SHAPE(1, 2, 1, 1), 1, 2);
    l.attr.attention.scale = 1;
    run(&l);
    EXPECT(l.out[0], 0.75 * log3, -0.75, 1.25, 2 * log3, 0.75, 1.75);
    finish(&l);
}

// --- losses

static void losses(void **state)
{
    // a/|a| = 0.6, 0.8; b/|b| = 1, 0: ((0.4)^2 + 0.8^2) / 2 = 0.4
    mcf_launch l = begin(MCF_OP_token_mse);
    GIVE(&l, MCF_SHAPE(1, 2, 1), 3, 4);
    GIVE(&l, MCF_SHAPE(1, 2, 1), 7, 0);
    l.attr.norm.eps = 1e-12;
    run(&l);
    EXPECT(l.out[0], 0.4);
    EXPECT(l.out[1], 5);
    EXPECT(l.out[2], 7);
    finish(&l);

    // e = dloss (u - w) = 10 * (-0.4, 0.8); <u,e> = 4: (-4 - 0.6*4)/5, (8 - 0.8*4)/5
    l = begin(MCF_OP_token_mse_grad);
    GIVE(&l, MCF_SHAPE(1, 2, 1), 3, 4);
    GIVE(&l, MCF_SHAPE(1, 2, 1), 7, 0);
    GIVE(&l, MCF_SHAPE(1, 1), 5);
    GIVE(&l, MCF_SHAPE(1, 1), 7);
    GIVE(&l, MCF_SHAPE(1), 10);
    l.attr.norm.eps = 1e-12;
    run(&l);
    EXPECT(l.out[0], -1.28, 0.96);
    finish(&l);

    const double log3 = 1.0986122886681098, log2 = 0.6931471805599453;
    l = begin(MCF_OP_cross_entropy);
    GIVE(&l, MCF_SHAPE(2, 2), 0, log3, 5, 5);
    GIVE_IDS(&l, MCF_SHAPE(2), 0, 1);
    run(&l);
    EXPECT(l.out[0], 1.5 * log2);
    EXPECT(l.out[1], 2 * log2, 5 + log2);
    finish(&l);

    l = begin(MCF_OP_cross_entropy_grad);
    GIVE(&l, MCF_SHAPE(2, 2), 0, log3, 5, 5);
    GIVE_IDS(&l, MCF_SHAPE(2), 0, 1);
    GIVE(&l, MCF_SHAPE(2), 2 * log2, 5 + log2);
    GIVE(&l, MCF_SHAPE(1), 4);
    run(&l);
    EXPECT(l.out[0], -1.5, 1.5, 1, -1);
    finish(&l);
}

// --- images

static void images(void **state)
{
    mcf_launch l = begin(MCF_OP_normalize_image);
    give(&l, MCF_U8, MCF_SHAPE(1, 1, 2, 3), V(0, 51, 102, 153, 204, 255));
    give(&l, MCF_U8, MCF_SHAPE(1), V(1));
    for (int c = 0; c < 3; c++) {
        l.attr.normalize_image.mean[c] = 0.5f;
        l.attr.normalize_image.std[c] = 0.25f;
    }
    run(&l);
    EXPECT(l.out[0], 0.4, 1.2, 2, -2, -1.2, -0.4);
    finish(&l);

    l = begin(MCF_OP_resize_nearest);
    GIVE(&l, MCF_SHAPE(1, 2, 2, 1), 1, 2, 3, 4);
    l.attr.resize.height = 1;
    l.attr.resize.width = 5;
    run(&l);
    EXPECT(l.out[0], 1, 1, 1, 2, 2);
    finish(&l);

    l = begin(MCF_OP_resize_nearest_grad);
    GIVE(&l, MCF_SHAPE(1, 1, 5, 1), 1, 2, 3, 4, 5);
    l.attr.resize.height = 2;
    l.attr.resize.width = 2;
    run(&l);
    EXPECT(l.out[0], 6, 9, 0, 0);
    finish(&l);
}

// --- state

static void launch_in_place(mcf_launch *l)
{
    mcf_error err = {.message = ""};
    l->n_out = 1;
    l->out[0] = l->in[0];
    if (mcf_backend_reference()->launch(stream, l, &err) != MCF_OK)
        fail_msg("%s", err.message);
}

static void ema(void **state)
{
    mcf_launch l = begin(MCF_OP_ema);
    GIVE(&l, MCF_SHAPE(2), 1, 2);
    GIVE(&l, MCF_SHAPE(2), 10, 20);
    l.attr.ema.momentum = 0.75;
    l.attr.ema.scale = 2;
    launch_in_place(&l);
    EXPECT(l.in[0], 5.75, 11.5);
    // From device memory, which goes before the attribute.
    GIVE(&l, MCF_SHAPE(1), 0.5);
    launch_in_place(&l);
    EXPECT(l.in[0], 12.875, 25.75);
    finish(&l);
}

// One step on elements 1 to 2 of three; 0.5 is what reaches m and v after scaling.
static void adamw(void **state)
{
    // Scale, largest norm, sum of squares: as it is, shortened from a norm of 2 to 1, and two that are not finite.
    static const double cases[][3] = {{0.125, 0, 64}, {0.25, 1, 64}, {0.125, 0, INFINITY}, {0.125, 1, NAN}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bool skip = !isfinite(cases[i][2]);
        mcf_launch l = begin(MCF_OP_adamw);
        GIVE(&l, MCF_SHAPE(3), 1, 2, -3);
        GIVE(&l, MCF_SHAPE(3), 4, 4, -4);
        GIVE(&l, MCF_SHAPE(3), 0, 0, 0);
        GIVE(&l, MCF_SHAPE(3), 0, 0, 0);
        GIVE_IDS(&l, MCF_SHAPE(1, 2), 1, 3);
        GIVE(&l, MCF_SHAPE(1, 2), 0.5, 0.1);
        // Rate 0.2 times 0.5; at t = 1 the corrected moments are the gradient and its square: a step of 0.1.
        GIVE(&l, MCF_SHAPE(MCF_ADAMW_SCALARS), 0.2, 0.9, 0.99, 0, 1 - 0.9, 1 - 0.99, cases[i][0], cases[i][1],
             cases[i][2]);
        launch_in_place(&l);
        if (skip) {
            EXPECT(l.in[0], 1, 2, -3);
            EXPECT(l.in[2], 0, 0, 0);
            EXPECT(l.in[3], 0, 0, 0);
        } else {
            EXPECT(l.in[0], 1, 2 * 0.99 - 0.1, -3 * 0.99 + 0.1);
            EXPECT(l.in[2], 0, 0.05, -0.05);
            EXPECT(l.in[3], 0, 0.0025, 0.0025);
        }
        finish(&l);
    }
}

// --- types and checks

static void results_are_rounded_once(void **state)
{
    // 1 + 2^-8 lies between 1 and 1 + 2^-7 in bf16: to even, 1. A trifle more: up.
    mcf_launch l = begin(MCF_OP_add);
    give(&l, MCF_F32, MCF_SHAPE(2), V(1, 1));
    give(&l, MCF_F32, MCF_SHAPE(2), V(0x1p-8, 0x1p-8 + 0x1p-31));
    l.attr.add.alpha = l.attr.add.beta = 1;
    run_as(&l, MCF_BF16);
    EXPECT(l.out[0], 1, 1 + 0x1p-7);
    finish(&l);
}

static void launches_outside_a_buffer_are_refused(void **state)
{
    mcf_error err;
    mcf_launch l = begin(MCF_OP_relu);
    GIVE(&l, MCF_SHAPE(4), 1, 2, 3, 4);
    l.n_out = 1;
    l.out[0] = make(MCF_F64, MCF_SHAPE(4), NULL);
    l.in[0].offset = 8;
    assert_int_equal(mcf_backend_reference()->launch(stream, &l, &err), MCF_ERR_INTERNAL);
    assert_non_null(strstr(err.message, "relu: input x: bytes 8 to 40 of a buffer of 32"));
    l.in[0].offset = 4;
    assert_int_equal(mcf_backend_reference()->launch(stream, &l, &err), MCF_ERR_INTERNAL);
    assert_non_null(strstr(err.message, "no multiple of 8"));
    l.in[0].offset = 0;
    mcf_buffer *buffer = l.in[0].buffer;
    l.in[0].buffer = NULL;
    assert_int_equal(mcf_backend_reference()->launch(stream, &l, &err), MCF_ERR_INTERNAL);
    assert_non_null(strstr(err.message, "input x is missing"));
    l.in[0].buffer = buffer;
    finish(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(movement),
        cmocka_unit_test(ids_outside_are_refused),
        cmocka_unit_test(elementwise),
        cmocka_unit_test(nan_passes_through_relu),
        cmocka_unit_test(products),
        cmocka_unit_test(layer_norm),
        cmocka_unit_test(batch_norm),
        cmocka_unit_test(l2_normalize),
        cmocka_unit_test(softmax_and_attention),
        cmocka_unit_test(losses),
        cmocka_unit_test(images),
        cmocka_unit_test(ema),
        cmocka_unit_test(adamw),
        cmocka_unit_test(results_are_rounded_once),
        cmocka_unit_test(launches_outside_a_buffer_are_refused),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
