#include "core/onnx/operations.h"

#include <math.h>
#include <stdio.h>

typedef const mcf_graph_node *node_p;

static mcf_shape shape_of(const mcf_onnx_values *v, mcf_value value)
{
    return v->graph->values[value].shape;
}

static const mcf_onnx_attribute last_axis[] = {{.name = "axes", .ints = (const int64_t[]){-1}, .count = 1}, {0}};

static const char *node1(mcf_onnx_builder *b, const char *type, const char *x, const mcf_onnx_attribute *attributes)
{
    return mcf_onnx_node(b, type, &x, 1, attributes);
}

// --- elementwise

typedef const char *unary(mcf_onnx_builder *b, node_p node, const char *x);

static const char *relu(mcf_onnx_builder *b, node_p node, const char *x)
{
    return MCF_ONNX(b, "Relu", x);
}

static const char *sigmoid(mcf_onnx_builder *b, node_p node, const char *x)
{
    return MCF_ONNX(b, "Sigmoid", x);
}

// In the order in which other programs know it again and run it as one operation.
static const char *gelu(mcf_onnx_builder *b, node_p node, const char *x)
{
    const char *e = MCF_ONNX(b, "Erf", MCF_ONNX(b, "Div", x, mcf_onnx_scalar(b, sqrt(2))));
    const char *y = MCF_ONNX(b, "Mul", x, MCF_ONNX(b, "Add", e, mcf_onnx_scalar(b, 1)));
    return MCF_ONNX(b, "Mul", y, mcf_onnx_scalar(b, 0.5));
}

static const char *scaled(mcf_onnx_builder *b, const char *x, double alpha, double beta)
{
    if (alpha != 1)
        x = MCF_ONNX(b, "Mul", x, mcf_onnx_scalar(b, alpha));
    return beta != 0 ? MCF_ONNX(b, "Add", x, mcf_onnx_scalar(b, beta)) : x;
}

static const char *scale(mcf_onnx_builder *b, node_p node, const char *x)
{
    return scaled(b, x, node->attr.scale.alpha, node->attr.scale.beta);
}

static const char *copy(mcf_onnx_builder *b, node_p node, const char *x)
{
    return x;
}

// In whichever order the operand is there.
static void elementwise(mcf_onnx_values *v, node_p node, unary *function)
{
    const mcf_value x = node->in[ELEMENTWISE_IN_a], y = node->out[ELEMENTWISE_OUT];
    if (mcf_onnx_is_image(v, x))
        mcf_onnx_set_image(v, y, function(&v->builder, node, mcf_onnx_image(v, x)), shape_of(v, x));
    else
        mcf_onnx_set_plain(v, y, function(&v->builder, node, mcf_onnx_plain(v, x)));
}

static void do_relu(mcf_onnx_values *v, node_p node)
{
    elementwise(v, node, relu);
}

static void do_sigmoid(mcf_onnx_values *v, node_p node)
{
    elementwise(v, node, sigmoid);
}

static void do_gelu(mcf_onnx_values *v, node_p node)
{
    elementwise(v, node, gelu);
}

static void do_scale(mcf_onnx_values *v, node_p node)
{
    elementwise(v, node, scale);
}

static void do_copy(mcf_onnx_values *v, node_p node)
{
    elementwise(v, node, copy);
}

static void do_add(mcf_onnx_values *v, node_p node)
{
    mcf_onnx_builder *b = &v->builder;
    const mcf_value x = node->in[ADD_IN_a], y = node->in[ADD_IN_b], out = node->out[ADD_OUT_out];
    const double alpha = node->attr.add.alpha, beta = node->attr.add.beta;
    if (mcf_onnx_is_image(v, x) && v->graph->values[y].view != MCF_VIEW_EXPAND)
        mcf_onnx_set_image(
            v, out,
            MCF_ONNX(b, "Add", scaled(b, mcf_onnx_image(v, x), alpha, 0), scaled(b, mcf_onnx_image(v, y), beta, 0)),
            shape_of(v, x));
    else
        mcf_onnx_set_plain(
            v, out,
            MCF_ONNX(b, "Add", scaled(b, mcf_onnx_plain(v, x), alpha, 0), scaled(b, mcf_onnx_operand(v, y), beta, 0)));
}

static void do_mul(mcf_onnx_values *v, node_p node)
{
    mcf_onnx_set_plain(
        v, node->out[MUL_OUT_out],
        MCF_ONNX(&v->builder, "Mul", mcf_onnx_plain(v, node->in[MUL_IN_a]), mcf_onnx_operand(v, node->in[MUL_IN_b])));
}

// --- joining

static const char *joined(mcf_onnx_builder *b, const char *x, const char *y, int64_t axis)
{
    return mcf_onnx_node(b, "Concat", (const char *const[]){x, y}, 2,
                         (const mcf_onnx_attribute[]){{.name = "axis", .i = axis}, {0}});
}

// What is the same for every image of a batch stands in front of what is not. A repetition would have to know the size of
// the batch; a sum of both, each with zeros where the other stands, has not.
static const char *join_repeated(mcf_onnx_values *v, mcf_value repeated, mcf_value x, int axis)
{
    mcf_onnx_builder *b = &v->builder;
    const mcf_value once = v->graph->values[repeated].parent;
    const mcf_shape front = shape_of(v, once), back = shape_of(v, x);
    if (front.rank != back.rank || axis == 0 || front.dim[0] != 1)
        return mcf_onnx_fail(b, MCF_ERR_UNSUPPORTED, "this repetition along the batch has no form in ONNX here");
    int64_t pads[2 * MCF_MAX_RANK] = {0}, rest[MCF_MAX_RANK];
    pads[axis] = front.dim[axis];
    for (int i = 0; i < front.rank; i++)
        rest[i] = i == axis ? back.dim[i] : front.dim[i];
    const char *zeros = MCF_ONNX(b, "ConstantOfShape", mcf_onnx_ints(b, rest, front.rank));
    return MCF_ONNX(b, "Add", MCF_ONNX(b, "Pad", mcf_onnx_plain(v, x), mcf_onnx_ints(b, pads, 2 * back.rank)),
                    joined(b, mcf_onnx_plain(v, once), zeros, axis));
}

static void do_concat(mcf_onnx_values *v, node_p node)
{
    const mcf_value x = node->in[CONCAT_IN_a], y = node->in[CONCAT_IN_b], out = node->out[CONCAT_OUT_out];
    const int axis = node->attr.concat.axis;
    if (v->graph->values[x].view == MCF_VIEW_EXPAND && mcf_onnx_is_open(v, x, 0)) {
        mcf_onnx_set_plain(v, out, join_repeated(v, x, y, axis));
        return;
    }
    const bool image = axis == 3 && (mcf_onnx_is_image(v, x) || mcf_onnx_is_image(v, y));
    const char *name = image ? joined(&v->builder, mcf_onnx_image(v, x), mcf_onnx_image(v, y), 1)
                             : joined(&v->builder, mcf_onnx_plain(v, x), mcf_onnx_plain(v, y), axis);
    if (image)
        mcf_onnx_set_image(v, out, name, shape_of(v, out));
    else
        mcf_onnx_set_plain(v, out, name);
}

// --- sums and products

static void do_reduce_sum(mcf_onnx_values *v, node_p node)
{
    const mcf_value x = node->in[REDUCE_SUM_IN_x];
    const mcf_shape shape = shape_of(v, x);
    int64_t axes[MCF_MAX_RANK], count = 1;
    int n = 0;
    for (int i = 0; i < shape.rank; i++)
        if (node->attr.reduce_sum.axes >> i & 1u) {
            axes[n++] = i;
            count *= shape.dim[i];
        }
    const char *mean = node1(&v->builder, "ReduceMean", mcf_onnx_plain(v, x),
                             (const mcf_onnx_attribute[]){{.name = "axes", .ints = axes, .count = n}, {0}});
    const double factor = node->attr.reduce_sum.scale * (double)count; // 1 up to rounding: the mean
    mcf_onnx_set_plain(v, node->out[REDUCE_SUM_OUT_out],
                       fabs(factor - 1) < 1e-9 ? mean : scaled(&v->builder, mean, factor, 0));
}

static void do_matmul(mcf_onnx_values *v, node_p node)
{
    const mcf_value bias = node->in[MATMUL_IN_bias];
    if (shape_of(v, node->in[MATMUL_IN_a]).rank != 2 || shape_of(v, node->in[MATMUL_IN_b]).rank != 2 ||
        node->attr.matmul.activation != MCF_ACT_NONE) {
        mcf_onnx_fail(&v->builder, MCF_ERR_UNSUPPORTED, "a product of more than two axes has no form in ONNX here");
        return;
    }
    // A bias that is computed is added by itself: OpenCV 4's Gemm takes stored ones only.
    const bool stored = bias >= 0 && v->graph->values[bias].view == MCF_VIEW_NONE && v->graph->values[bias].node < 0;
    const char *const in[] = {mcf_onnx_plain(v, node->in[MATMUL_IN_a]), mcf_onnx_plain(v, node->in[MATMUL_IN_b]),
                              stored ? mcf_onnx_plain(v, bias) : NULL};
    const mcf_onnx_attribute attributes[] = {
        {.name = "transA", .i = node->attr.matmul.trans_a}, {.name = "transB", .i = node->attr.matmul.trans_b}, {0}};
    const char *y = mcf_onnx_node(&v->builder, "Gemm", in, stored ? 3 : 2, attributes);
    if (bias >= 0 && !stored)
        y = MCF_ONNX(&v->builder, "Add", y, mcf_onnx_row(v, bias));
    mcf_onnx_set_plain(v, node->out[MATMUL_OUT_out], y);
}

// --- normalisation

static const char *layer_norm(mcf_onnx_values *v, const char *x, mcf_value gamma, mcf_value beta, double eps)
{
    mcf_onnx_builder *b = &v->builder;
    const char *centred = MCF_ONNX(b, "Sub", x, node1(b, "ReduceMean", x, last_axis));
    const char *squares = MCF_ONNX(b, "Pow", centred, mcf_onnx_scalar(b, 2));
    const char *variance = MCF_ONNX(b, "Add", node1(b, "ReduceMean", squares, last_axis), mcf_onnx_scalar(b, eps));
    const char *y = MCF_ONNX(b, "Div", centred, MCF_ONNX(b, "Sqrt", variance));
    return MCF_ONNX(b, "Add", MCF_ONNX(b, "Mul", y, mcf_onnx_plain(v, gamma)), mcf_onnx_plain(v, beta));
}

static void do_layer_norm(mcf_onnx_values *v, node_p node)
{
    mcf_onnx_set_plain(v, node->out[LAYER_NORM_OUT_y],
                       layer_norm(v, mcf_onnx_plain(v, node->in[LAYER_NORM_IN_x]), node->in[LAYER_NORM_IN_gamma],
                                  node->in[LAYER_NORM_IN_beta], node->attr.norm.eps));
}

static void do_add_layer_norm(mcf_onnx_values *v, node_p node)
{
    const char *sum = MCF_ONNX(&v->builder, "Add", mcf_onnx_plain(v, node->in[ADD_LAYER_NORM_IN_x]),
                               mcf_onnx_plain(v, node->in[ADD_LAYER_NORM_IN_r]));
    mcf_onnx_set_plain(v, node->out[ADD_LAYER_NORM_OUT_s], sum);
    mcf_onnx_set_plain(
        v, node->out[ADD_LAYER_NORM_OUT_y],
        layer_norm(v, sum, node->in[ADD_LAYER_NORM_IN_gamma], node->in[ADD_LAYER_NORM_IN_beta], node->attr.norm.eps));
}

// Of a map, whose pixels stand as rows here: by running statistics.
static void do_batch_norm(mcf_onnx_values *v, node_p node)
{
    const mcf_value map = mcf_onnx_map_behind(v, node->in[BATCH_NORM_IN_x]);
    const mcf_value affine[] = {node->in[BATCH_NORM_IN_gamma], node->in[BATCH_NORM_IN_beta]};
    if (map == MCF_NO_VALUE || affine[0] < 0 || affine[1] < 0) {
        mcf_onnx_fail(&v->builder, MCF_ERR_UNSUPPORTED, "a BatchNorm that is not of maps has no form in ONNX here");
        return;
    }
    const mcf_value mean = v->graph->values[node->in[BATCH_NORM_IN_mean]].base;
    const mcf_value var = v->graph->values[node->in[BATCH_NORM_IN_var]].base;
    const char *const in[] = {mcf_onnx_image(v, map), mcf_onnx_plain(v, affine[0]), mcf_onnx_plain(v, affine[1]),
                              mcf_onnx_plain(v, mean), mcf_onnx_plain(v, var)};
    const mcf_onnx_attribute eps[] = {{.name = "epsilon", .is_float = true, .f = (float)node->attr.norm.eps}, {0}};
    mcf_onnx_set_image(v, node->out[BATCH_NORM_OUT_y], mcf_onnx_node(&v->builder, "BatchNormalization", in, 5, eps),
                       shape_of(v, map));
}

// --- attention

// q, k or v of [B,N,3,H,d], axes in the order that `axes` says of [B,N,H,d].
static const char *one_of_three(mcf_onnx_builder *b, const char *qkv, const mcf_shape *shape, int which,
                                const int *axes)
{
    const int64_t begin = which, end = which + 1, axis = 2;
    const int64_t four[] = {-1, shape->dim[1], shape->dim[3], shape->dim[4]};
    const char *part =
        MCF_ONNX(b, "Slice", qkv, mcf_onnx_ints(b, &begin, 1), mcf_onnx_ints(b, &end, 1), mcf_onnx_ints(b, &axis, 1));
    return mcf_onnx_transpose(b, MCF_ONNX(b, "Reshape", part, mcf_onnx_ints(b, four, 4)), axes, 4);
}

static void do_attention(mcf_onnx_values *v, node_p node)
{
    static const int by_head[] = {0, 2, 1, 3}, turned[] = {0, 2, 3, 1};
    mcf_onnx_builder *b = &v->builder;
    const mcf_shape shape = shape_of(v, node->in[ATTENTION_IN_qkv]);
    const char *qkv = mcf_onnx_plain(v, node->in[ATTENTION_IN_qkv]);
    const char *q = scaled(b, one_of_three(b, qkv, &shape, 0, by_head), node->attr.attention.scale, 0);
    const char *scores = MCF_ONNX(b, "MatMul", q, one_of_three(b, qkv, &shape, 1, turned));
    const char *weights = node1(b, "Softmax", scores, (const mcf_onnx_attribute[]){{.name = "axis", .i = -1}, {0}});
    const char *mixed = MCF_ONNX(b, "MatMul", weights, one_of_three(b, qkv, &shape, 2, by_head));
    mcf_onnx_set_plain(v, node->out[ATTENTION_OUT_out], mcf_onnx_transpose(b, mixed, by_head, 4));
}

// --- images and maps

// Bytes become RGB from 0 to 1; the flip, which inference does not ask for, goes.
static void do_normalize_image(mcf_onnx_values *v, node_p node)
{
    mcf_onnx_builder *b = &v->builder;
    const mcf_graph_value *image = &v->graph->values[node->in[NORMALIZE_IMAGE_IN_image]];
    const mcf_value out = node->out[NORMALIZE_IMAGE_OUT_out];
    if (image->place != MCF_PLACE_INPUT) {
        mcf_onnx_fail(b, MCF_ERR_INTERNAL, "an image that is normalised is no input");
        return;
    }
    const float *mean = node->attr.normalize_image.mean, *std = node->attr.normalize_image.std;
    const char *x = MCF_ONNX(b, "Sub", image->name, mcf_onnx_table(b, "mean", MCF_SHAPE(1, 3, 1, 1), mean));
    x = MCF_ONNX(b, "Div", x, mcf_onnx_table(b, "std", MCF_SHAPE(1, 3, 1, 1), std));
    mcf_onnx_set_image(v, out, x, shape_of(v, out));
}

static void do_conv2d(mcf_onnx_values *v, node_p node)
{
    const mcf_value bias = node->in[CONV2D_IN_bias], out = node->out[CONV2D_OUT_y];
    const mcf_shape weight = shape_of(v, node->in[CONV2D_IN_weight]);
    const int64_t pad = node->attr.conv2d.pad, stride = node->attr.conv2d.stride;
    const char *const in[] = {mcf_onnx_image(v, node->in[CONV2D_IN_x]), mcf_onnx_plain(v, node->in[CONV2D_IN_weight]),
                              bias >= 0 ? mcf_onnx_plain(v, bias) : NULL};
    const mcf_onnx_attribute attributes[] = {
        {.name = "kernel_shape", .ints = &weight.dim[2], .count = 2},
        {.name = "pads", .ints = (const int64_t[]){pad, pad, pad, pad}, .count = 4},
        {.name = "strides", .ints = (const int64_t[]){stride, stride}, .count = 2},
        {.name = "group", .i = node->attr.conv2d.groups},
        {0}};
    mcf_onnx_set_image(v, out, mcf_onnx_node(&v->builder, "Conv", in, bias >= 0 ? 3 : 2, attributes), shape_of(v, out));
}

static void do_max_pool(mcf_onnx_values *v, node_p node)
{
    const mcf_value out = node->out[MAX_POOL_OUT_y];
    const int64_t kernel = node->attr.pool.kernel, stride = node->attr.pool.stride;
    const mcf_onnx_attribute attributes[] = {
        {.name = "kernel_shape", .ints = (const int64_t[]){kernel, kernel}, .count = 2},
        {.name = "strides", .ints = (const int64_t[]){stride, stride}, .count = 2},
        {.name = "ceil_mode", .i = node->attr.pool.ceil},
        {0}};
    mcf_onnx_set_image(v, out, node1(&v->builder, "MaxPool", mcf_onnx_image(v, node->in[MAX_POOL_IN_x]), attributes),
                       shape_of(v, out));
}

// What each of `to` places has of each of `from`: row of a matrix [to,from].
typedef void fill_row(float *row, int64_t place, int64_t from, int64_t to);

static void bin_row(float *row, int64_t place, int64_t from, int64_t to)
{
    const int64_t begin = place * from / to, end = ((place + 1) * from + to - 1) / to;
    for (int64_t i = begin; i < end; i++)
        row[i] = (float)(1.0 / (double)(end - begin));
}

static void bilinear_row(float *row, int64_t place, int64_t from, int64_t to)
{
    const double x = fmax(((double)place + 0.5) * (double)from / (double)to - 0.5, 0);
    const int64_t left = (int64_t)x, right = left + 1 < from ? left + 1 : left;
    row[left] += (float)(1 - (x - (double)left));
    row[right] += (float)(x - (double)left);
}

// The matrix [to,from] in front of a map, or its transpose behind, as a constant. OpenCV 4 takes a constant in front for
// one product only.
static const char *matrix(mcf_onnx_builder *b, const char *what, fill_row *fill, int64_t from, int64_t to, bool behind)
{
    char name[64];
    float *rows = mcf_onnx_memory(b, (size_t)(to * from), 2 * sizeof *rows);
    if (!rows)
        return NULL;
    float *turned = rows + to * from;
    for (int64_t i = 0; i < to; i++)
        fill(rows + i * from, i, from, to);
    for (int64_t i = 0; i < to; i++)
        for (int64_t j = 0; j < from; j++)
            turned[j * to + i] = rows[i * from + j];
    snprintf(name, sizeof name, behind ? "%s_columns" : "%s_rows_%d", what, b->node_count);
    return behind ? mcf_onnx_table(b, name, MCF_SHAPE(from, to), turned)
                  : mcf_onnx_table(b, name, MCF_SHAPE(to, from), rows);
}

// Each axis for itself: rows times x times columns.
static void by_axes(mcf_onnx_values *v, mcf_value x, mcf_value out, const char *what, fill_row *fill)
{
    mcf_onnx_builder *b = &v->builder;
    const mcf_shape from = shape_of(v, x), to = shape_of(v, out);
    const char *y = mcf_onnx_image(v, x);
    if (from.dim[2] != to.dim[2])
        y = MCF_ONNX(b, "MatMul", y, matrix(b, what, fill, from.dim[2], to.dim[2], true));
    if (from.dim[1] != to.dim[1])
        y = MCF_ONNX(b, "MatMul", matrix(b, what, fill, from.dim[1], to.dim[1], false), y);
    mcf_onnx_set_image(v, out, y, to);
}

static void do_adaptive_avg_pool(mcf_onnx_values *v, node_p node)
{
    by_axes(v, node->in[ADAPTIVE_AVG_POOL_IN_x], node->out[ADAPTIVE_AVG_POOL_OUT_y], "bins", bin_row);
}

static void do_resize_bilinear(mcf_onnx_values *v, node_p node)
{
    by_axes(v, node->in[RESIZE_BILINEAR_IN_x], node->out[RESIZE_BILINEAR_OUT_y], "bilinear", bilinear_row);
}

// ((cx + 1/2)/w, (cy + 1/2)/h), with the centroid's sums as a product: [B,N,hw] times [hw,2] of (x/w, y/h).
static void do_heatmap_points(mcf_onnx_values *v, node_p node)
{
    mcf_onnx_builder *b = &v->builder;
    const mcf_value x = node->in[HEATMAP_POINTS_IN_logits];
    const mcf_shape map = shape_of(v, x);
    const int64_t h = map.dim[1], w = map.dim[2];
    float *places = mcf_onnx_memory(b, (size_t)(h * w), 2 * sizeof *places);
    float *ones = mcf_onnx_memory(b, (size_t)(h * w), sizeof *ones);
    if (!places || !ones)
        return;
    for (int64_t i = 0; i < h * w; i++) {
        places[2 * i] = (float)((double)(i % w) / (double)w);
        places[2 * i + 1] = (float)((double)(i / w) / (double)h);
        ones[i] = 1;
    }
    const float half[] = {(float)(0.5 / (double)w), (float)(0.5 / (double)h)};
    // Exponentials, since quick forms of Sigmoid lose the centroid of a map that is near 0 everywhere.
    const char *s = MCF_ONNX(b, "Exp", MCF_ONNX(b, "Neg", mcf_onnx_image(v, x)));
    s = MCF_ONNX(b, "Reciprocal", MCF_ONNX(b, "Add", s, mcf_onnx_scalar(b, 1)));
    s = MCF_ONNX(b, "Reshape", s, mcf_onnx_ints(b, (const int64_t[]){-1, map.dim[3], h * w}, 3));
    const char *mass = MCF_ONNX(b, "MatMul", s, mcf_onnx_table(b, "ones", MCF_SHAPE(h * w, 1), ones));
    const char *sums = MCF_ONNX(b, "MatMul", s, mcf_onnx_table(b, "places", MCF_SHAPE(h * w, 2), places));
    const char *centre = MCF_ONNX(b, "Div", sums, MCF_ONNX(b, "Max", mass, mcf_onnx_scalar(b, 1e-6)));
    mcf_onnx_set_plain(v, node->out[HEATMAP_POINTS_OUT_points],
                       MCF_ONNX(b, "Add", centre, mcf_onnx_table(b, "half_cell", MCF_SHAPE(1, 1, 2), half)));
}

// --- all of them

static void (*const operations[MCF_OP_COUNT])(mcf_onnx_values *, node_p) = {
    [MCF_OP_copy] = do_copy,
    [MCF_OP_concat] = do_concat,
    [MCF_OP_add] = do_add,
    [MCF_OP_mul] = do_mul,
    [MCF_OP_scale] = do_scale,
    [MCF_OP_relu] = do_relu,
    [MCF_OP_gelu] = do_gelu,
    [MCF_OP_sigmoid] = do_sigmoid,
    [MCF_OP_reduce_sum] = do_reduce_sum,
    [MCF_OP_matmul] = do_matmul,
    [MCF_OP_layer_norm] = do_layer_norm,
    [MCF_OP_add_layer_norm] = do_add_layer_norm,
    [MCF_OP_batch_norm] = do_batch_norm,
    [MCF_OP_attention] = do_attention,
    [MCF_OP_normalize_image] = do_normalize_image,
    [MCF_OP_conv2d] = do_conv2d,
    [MCF_OP_max_pool] = do_max_pool,
    [MCF_OP_adaptive_avg_pool] = do_adaptive_avg_pool,
    [MCF_OP_resize_bilinear] = do_resize_bilinear,
    [MCF_OP_heatmap_points] = do_heatmap_points,
};

void mcf_onnx_operation(mcf_onnx_values *v, const mcf_graph_node *node)
{
    if (operations[node->op])
        operations[node->op](v, node);
    else
        mcf_onnx_fail(&v->builder, MCF_ERR_UNSUPPORTED, "the operation %s has no form in ONNX here",
                      mcf_op_describe(node->op)->name);
}
