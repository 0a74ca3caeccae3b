// The cases of each operation. Sizes are chosen against vector code: 1, one less and one more than a vector,
// primes; and from the networks: 50 and 197 tokens, heads of 12, 32 and 64.
#include "backends/check/cases.h"

#include "ops/rules.h"

#include <math.h>
#include <string.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

const int64_t mcf_case_lengths[MCF_CASE_LENGTHS] = {1,  2,  3,  7,  8,   15,  16,   17, 31,
                                                    33, 63, 64, 65, 100, 129, 1000, 0,  4099};

// --- a case in the making

mcf_check_case mcf_case_start(mcf_op op)
{
    mcf_check_case c = {.required = true};
    c.launch.op = op;
    c.launch.n_in = mcf_op_describe(op)->inputs;
    c.launch.n_out = mcf_op_describe(op)->outputs;
    return c;
}

void mcf_case_shape(mcf_check_case *c, int i, mcf_shape shape)
{
    c->launch.in[i].shape = shape;
    mcf_contiguous_strides(&shape, c->launch.in[i].stride);
}

// Lays input i out in another way; each is something a view makes of a contiguous tensor.
enum layout { PLAIN, GAPS, SWAPPED, REPEATED, REPEATED_FIRST, LAYOUTS };

static void set_layout(mcf_check_case *c, int i, enum layout layout)
{
    mcf_operand *in = &c->launch.in[i];
    int rank = in->shape.rank;
    if (layout == PLAIN || rank < 1)
        return;
    if (layout == SWAPPED && rank > 1) {
        // The last two axes lie in memory the other way round: a permuted view.
        mcf_shape stored = in->shape;
        stored.dim[rank - 1] = in->shape.dim[rank - 2];
        stored.dim[rank - 2] = in->shape.dim[rank - 1];
        mcf_contiguous_strides(&stored, in->stride);
        int64_t step = in->stride[rank - 1];
        in->stride[rank - 1] = in->stride[rank - 2];
        in->stride[rank - 2] = step;
    } else if (layout == REPEATED) {
        in->stride[rank - 1] = 0; // the last axis is expanded
    } else if (layout == REPEATED_FIRST) {
        in->stride[0] = 0; // the first axis is expanded: a bias or a token for every image
    } else {
        // A slice of something wider: 3 elements between rows.
        mcf_shape stored = in->shape;
        stored.dim[rank - 1] += 3;
        mcf_contiguous_strides(&stored, in->stride);
    }
}

int64_t mcf_case_limit(const mcf_check_case *c)
{
    const mcf_launch *l = &c->launch;
    const mcf_shape *first = &l->in[0].shape;
    for (int i = 0; i < l->n_in; i++) {
        if (c->values[i] == MCF_VALUES_ROWS)
            return l->op == MCF_OP_scatter_rows ? l->attr.scatter_rows.rows : first->dim[1];
        if (c->values[i] == MCF_VALUES_LABELS)
            return first->dim[first->rank - 1];
        if (c->values[i] == MCF_VALUES_RANGES)
            return first->dim[0];
    }
    return 0;
}

mcf_status mcf_case_emit(mcf_case_maker *m, const mcf_check_case *c, bool mixed, mcf_error *err)
{
    const char *in = mcf_op_input_types(c->launch.op), *out = mcf_op_output_types(c->launch.op);
    mcf_dtype low = m->type;
    // Types of even inputs, odd inputs, outputs; counted among those that have a choice.
    const mcf_dtype mixtures[][3] = {
        {low, low, low}, {MCF_F32, MCF_F32, low}, {low, low, MCF_F32}, {MCF_F32, low, MCF_F32}, {MCF_F32, low, low}};
    int count = mixed && low != MCF_F32 ? COUNT(mixtures) : 1;
    int floats_in = 0, floats_out = 0;
    for (const char *letter = in; *letter; letter++)
        floats_in += *letter == 'f' || *letter == 'a';
    for (const char *letter = out; *letter; letter++)
        floats_out += *letter == 'f' || *letter == 'a';
    for (int mix = 0; mix < count; mix++) {
        mcf_check_case typed = *c;
        typed.limit = mcf_case_limit(c);
        // A mixture that is the same as another one for this operation is left out.
        if ((mix && !floats_out) || (mix >= 3 && floats_in < 2) || ((mix == 1 || mix == 2) && !floats_in))
            continue;
        int number = 0;
        for (int i = 0; i < typed.launch.n_in; i++) {
            bool choice = in[i] == 'f' || in[i] == 'a';
            typed.launch.in[i].dtype = in[i] == 'i'   ? MCF_I64
                                       : in[i] == 'u' ? MCF_U8
                                       : choice       ? mixtures[mix][number++ % 2]
                                                      : MCF_F32;
        }
        for (int i = 0; i < typed.launch.n_out; i++)
            typed.launch.out[i].dtype = mixtures[mix][2];
        typed.required = c->required && mix == 0;
        MCF_TRY(mcf_infer_shapes(&typed.launch, 1, err));
        MCF_TRY(m->emit(m, &typed, err));
    }
    return MCF_OK;
}

// --- movement

static mcf_status cases_fill(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    for (int i = 0; i < mcf_case_some(m, MCF_CASE_LENGTHS, 4); i++) {
        mcf_check_case c = mcf_case_start(op);
        c.launch.attr.fill.value = i % 2 ? 0 : -1.5;
        c.launch.out[FILL_OUT_out].shape = i % 3 ? MCF_SHAPE(mcf_case_lengths[i]) : MCF_SHAPE(mcf_case_lengths[i], 3);
        MCF_TRY(mcf_case_emit(m, &c, false, err));
    }
    return MCF_OK;
}

static const mcf_shape shapes[] = {
    {1, {5}},
    {2, {3, 17}},
    {3, {2, 3, 33}},
    {2, {64, 65}},
    {0, {0}},
    {1, {1}},
    {2, {1, 129}},
    {4, {2, 5, 3, 8}},
    {3, {2, 1, 7}},
    {2, {0, 4}},
    {5, {2, 3, 2, 5, 4}},
    {1, {1003}},
    {6, {2, 1, 3, 2, 2, 9}},
    {2, {40, 96}},
    {3, {3, 0, 2}},
};

static mcf_status cases_copy(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    for (int i = 0; i < mcf_case_some(m, COUNT(shapes), 4); i++)
        for (enum layout layout = PLAIN; layout < LAYOUTS; layout++)
            for (int add = 0; add < 2; add++) {
                mcf_check_case c = mcf_case_start(op);
                mcf_case_shape(&c, COPY_IN_x, shapes[i]);
                set_layout(&c, COPY_IN_x, layout);
                c.launch.accumulate = (uint32_t)add;
                MCF_TRY(mcf_case_emit(m, &c, i < 4, err));
            }
    // The patches of images [2, 3, 20, 15] as [2, 4, 3, 5, 5, 3]: the permutation at the door of a ViT.
    mcf_check_case c = mcf_case_start(op);
    c.launch.in[COPY_IN_x].shape = MCF_SHAPE(2, 4, 3, 5, 5, 3);
    memcpy(c.launch.in[COPY_IN_x].stride, (const int64_t[]){900, 75, 5, 15, 1, 300}, sizeof(int64_t[6]));
    return mcf_case_emit(m, &c, true, err);
}

static mcf_status cases_pad(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    static const struct {
        mcf_shape shape;
        int axis;
        int64_t before, after;
    } pads[] = {{{3, {2, 3, 5}}, 1, 1, 2},    {{2, {4, 7}}, 1, 0, 9},      {{1, {6}}, 0, 3, 0},
                {{3, {3, 5, 64}}, 0, 1, 1},   {{3, {2, 49, 33}}, 1, 1, 0}, {{2, {3, 0}}, 1, 2, 2},
                {{4, {2, 3, 1, 4}}, 2, 5, 0}, {{3, {2, 17, 8}}, 2, 8, 8}};
    for (int i = 0; i < mcf_case_some(m, COUNT(pads), 3); i++)
        for (enum layout layout = PLAIN; layout < LAYOUTS; layout++) {
            mcf_check_case c = mcf_case_start(op);
            mcf_case_shape(&c, PAD_IN_x, pads[i].shape);
            set_layout(&c, PAD_IN_x, layout);
            c.launch.attr.pad.axis = pads[i].axis;
            c.launch.attr.pad.before = pads[i].before;
            c.launch.attr.pad.after = pads[i].after;
            MCF_TRY(mcf_case_emit(m, &c, false, err));
        }
    return MCF_OK;
}

static mcf_status cases_concat(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    static const struct {
        mcf_shape a, b;
        int axis;
    } joins[] = {
        {{3, {2, 1, 5}}, {3, {2, 49, 5}}, 1},     {{2, {3, 7}}, {2, {3, 2}}, 1}, {{1, {4}}, {1, {9}}, 0},
        {{3, {2, 49, 64}}, {3, {2, 147, 64}}, 1}, {{2, {5, 0}}, {2, {5, 3}}, 1}, {{3, {3, 4, 1}}, {3, {3, 4, 17}}, 2},
        {{4, {2, 3, 4, 5}}, {4, {1, 3, 4, 5}}, 0}};
    for (int i = 0; i < mcf_case_some(m, COUNT(joins), 3); i++)
        for (enum layout layout = PLAIN; layout < LAYOUTS; layout++) {
            mcf_check_case c = mcf_case_start(op);
            mcf_case_shape(&c, CONCAT_IN_a, joins[i].a);
            mcf_case_shape(&c, CONCAT_IN_b, joins[i].b);
            set_layout(&c, CONCAT_IN_a, layout);
            set_layout(&c, CONCAT_IN_b, (layout + i) % LAYOUTS);
            c.launch.attr.concat.axis = joins[i].axis;
            MCF_TRY(mcf_case_emit(m, &c, false, err));
        }
    return MCF_OK;
}

static const int64_t rows[][4] = {
    // B, L, n, D
    {2, 9, 4, 5}, {1, 1, 1, 1}, {2, 16, 16, 17},  {3, 196, 49, 64},
    {2, 7, 0, 8}, {0, 4, 2, 3}, {2, 50, 197, 33}, {5, 36, 14, 192},
};

static mcf_status cases_gather_rows(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    for (int i = 0; i < mcf_case_some(m, COUNT(rows), 4); i++)
        for (enum layout layout = PLAIN; layout < LAYOUTS; layout++) {
            mcf_check_case c = mcf_case_start(op);
            mcf_case_shape(&c, GATHER_ROWS_IN_x, MCF_SHAPE(rows[i][0], rows[i][1], rows[i][3]));
            set_layout(&c, GATHER_ROWS_IN_x, layout);
            mcf_case_shape(&c, GATHER_ROWS_IN_ids, MCF_SHAPE(rows[i][0], rows[i][2]));
            c.values[GATHER_ROWS_IN_ids] = MCF_VALUES_ROWS;
            MCF_TRY(mcf_case_emit(m, &c, false, err));
        }
    return MCF_OK;
}

// Where n is above L, rows come twice and are summed.
static mcf_status cases_scatter_rows(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    for (int i = 0; i < mcf_case_some(m, COUNT(rows), 4); i++) {
        mcf_check_case c = mcf_case_start(op);
        mcf_case_shape(&c, SCATTER_ROWS_IN_x, MCF_SHAPE(rows[i][0], rows[i][2], rows[i][3]));
        mcf_case_shape(&c, SCATTER_ROWS_IN_ids, MCF_SHAPE(rows[i][0], rows[i][2]));
        c.values[SCATTER_ROWS_IN_ids] = MCF_VALUES_ROWS;
        c.launch.attr.scatter_rows.rows = rows[i][1];
        MCF_TRY(mcf_case_emit(m, &c, true, err));
    }
    return MCF_OK;
}

// --- elementwise

// Two operands (or one) in all layouts: of both, where the table allows.
static mcf_status cases_pointwise(mcf_case_maker *m, mcf_check_case c, mcf_error *err)
{
    const mcf_op_info *info = mcf_op_describe(c.launch.op);
    for (int i = 0; i < mcf_case_some(m, COUNT(shapes), 4); i++)
        for (int a = 0; a < (info->strided & 1 ? LAYOUTS : 1); a++)
            for (int b = 0; b < (info->strided & 2 ? LAYOUTS : 1); b++) {
                mcf_check_case laid_out = c;
                mcf_case_shape(&laid_out, ELEMENTWISE_IN_a, shapes[i]);
                set_layout(&laid_out, ELEMENTWISE_IN_a, (enum layout)a);
                if (info->inputs > 1) {
                    mcf_case_shape(&laid_out, ELEMENTWISE_IN_b, shapes[i]);
                    set_layout(&laid_out, ELEMENTWISE_IN_b, (enum layout)b);
                }
                MCF_TRY(mcf_case_emit(m, &laid_out, a == 0, err));
            }
    for (int i = 0; i < mcf_case_some(m, MCF_CASE_LENGTHS, 3); i++) {
        for (int j = 0; j < info->inputs; j++)
            mcf_case_shape(&c, j, MCF_SHAPE(mcf_case_lengths[i]));
        MCF_TRY(mcf_case_emit(m, &c, true, err));
    }
    return MCF_OK;
}

static mcf_status cases_plain(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    return cases_pointwise(m, mcf_case_start(op), err);
}

static mcf_status cases_add(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    mcf_check_case c = mcf_case_start(op);
    c.floor = 0.1;
    c.launch.attr.add.alpha = c.launch.attr.add.beta = 1;
    MCF_TRY(cases_pointwise(m, c, err));
    c.launch.attr.add.alpha = 0.75;
    c.launch.attr.add.beta = -2.5;
    return cases_pointwise(m, c, err);
}

static mcf_status cases_scale(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    mcf_check_case c = mcf_case_start(op);
    c.floor = 0.1;
    c.launch.attr.scale.alpha = -0.3;
    MCF_TRY(cases_pointwise(m, c, err));
    c.launch.attr.scale.beta = 1.7;
    return cases_pointwise(m, c, err);
}

static mcf_status cases_gelu(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    mcf_check_case c = mcf_case_start(op);
    c.floor = 0.1;
    MCF_TRY(cases_pointwise(m, c, err));
    c.values[ELEMENTWISE_IN_a] = MCF_VALUES_LARGE; // the flat ends
    mcf_case_shape(&c, ELEMENTWISE_IN_a, MCF_SHAPE(777));
    if (c.launch.n_in > 1)
        mcf_case_shape(&c, ELEMENTWISE_IN_b, MCF_SHAPE(777));
    return mcf_case_emit(m, &c, false, err);
}

// --- sums and products

// Root mean square of a sum over `axes` of normal values, those of an expanded axis counted as often as they come.
static double size_of_sum(const mcf_operand *x, uint32_t axes)
{
    double size = 1;
    for (int i = 0; i < x->shape.rank; i++)
        if (axes >> i & 1)
            size *= x->stride[i] ? sqrt((double)x->shape.dim[i]) : (double)x->shape.dim[i];
    return size;
}

static mcf_status cases_reduce_sum(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    static const struct {
        mcf_shape shape;
        uint32_t axes;
    } sums[] = {{{2, {5, 17}}, 1},
                {{2, {5, 17}}, 2},
                {{3, {2, 3, 4}}, 5},
                {{1, {1}}, 1},
                {{2, {64, 65}}, 3},
                {{2, {1000, 33}}, 1},
                {{3, {4, 50, 63}}, 3},
                {{3, {4, 50, 63}}, 2},
                {{2, {3, 7}}, 0},
                {{2, {0, 7}}, 1},
                {{2, {7, 0}}, 1},
                {{4, {2, 3, 5, 7}}, 10},
                {{6, {2, 2, 3, 2, 3, 2}}, 0x15},
                {{1, {4099}}, 1},
                {{2, {500, 264}}, 1},
                {{3, {4, 50, 72}}, 3},
                {{0, {0}}, 0}};
    for (int i = 0; i < mcf_case_some(m, COUNT(sums), 4); i++)
        for (enum layout layout = PLAIN; layout < LAYOUTS; layout++)
            for (int add = 0; add < 2; add++) {
                mcf_check_case c = mcf_case_start(op);
                mcf_case_shape(&c, REDUCE_SUM_IN_x, sums[i].shape);
                set_layout(&c, REDUCE_SUM_IN_x, layout);
                c.values[REDUCE_SUM_IN_x] = i % 2 ? MCF_VALUES_POSITIVE : MCF_VALUES_NORMAL;
                c.launch.attr.reduce_sum.axes = sums[i].axes;
                c.launch.attr.reduce_sum.scale = i % 2 ? 1 : 0.125;
                c.launch.accumulate = (uint32_t)add;
                // A sum may happen to be near zero.
                c.floor =
                    0.3 * size_of_sum(&c.launch.in[REDUCE_SUM_IN_x], sums[i].axes) * c.launch.attr.reduce_sum.scale;
                MCF_TRY(mcf_case_emit(m, &c, layout == PLAIN, err));
            }
    return MCF_OK;
}

static mcf_status cases_matmul(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    static const int64_t sizes[][4] = {
        // batch (-1: none), M, K, N
        {-1, 3, 7, 5},      {-1, 1, 1, 1},   {2, 4, 5, 3},       {-1, 17, 33, 65},    {-1, 64, 64, 64},
        {-1, 1, 100, 7},    {-1, 100, 1, 9}, {-1, 5, 8, 1},      {3, 50, 12, 50},     {-1, 50, 192, 65},
        {-1, 0, 4, 3},      {-1, 3, 4, 0},   {-1, 3, 0, 5},      {-1, 63, 129, 31},   {4, 1, 64, 50},
        {-1, 197, 64, 129}, {0, 2, 3, 4},    {-1, 130, 768, 48}, {-1, 33, 2100, 230}, {-1, 33, 4200, 33},
    };
    for (int i = 0; i < mcf_case_some(m, COUNT(sizes), 5); i++)
        for (int variant = 0; variant < 48; variant++) {
            // Every transposition, activation, bias and accumulation on small sizes; large ones alternate.
            int trans = variant % 4, activation = variant / 4 % 3, bias = variant / 12 % 2, add = variant / 24;
            if (i >= 4 && (activation + trans + i + variant / 12) % 3)
                continue;
            const int64_t *s = sizes[i];
            bool ta = trans & 1, tb = trans & 2;
            mcf_check_case c = mcf_case_start(op);
            if (s[0] < 0) {
                mcf_case_shape(&c, MATMUL_IN_a, ta ? MCF_SHAPE(s[2], s[1]) : MCF_SHAPE(s[1], s[2]));
                mcf_case_shape(&c, MATMUL_IN_b, tb ? MCF_SHAPE(s[3], s[2]) : MCF_SHAPE(s[2], s[3]));
            } else {
                mcf_case_shape(&c, MATMUL_IN_a, ta ? MCF_SHAPE(s[0], s[2], s[1]) : MCF_SHAPE(s[0], s[1], s[2]));
                mcf_case_shape(&c, MATMUL_IN_b, tb ? MCF_SHAPE(s[0], s[3], s[2]) : MCF_SHAPE(s[0], s[2], s[3]));
            }
            if (bias)
                mcf_case_shape(&c, MATMUL_IN_bias, MCF_SHAPE(s[3]));
            c.launch.attr.matmul.trans_a = ta;
            c.launch.attr.matmul.trans_b = tb;
            c.launch.attr.matmul.activation = activation;
            c.launch.accumulate = (uint32_t)add;
            c.floor = 0.3 * sqrt((double)s[2]);
            MCF_TRY(mcf_case_emit(m, &c, variant < 12 && i < 5, err));
            if (activation || add || bias)
                continue;
            for (enum layout layout = GAPS; layout < LAYOUTS; layout++) {
                mcf_check_case strided = c;
                set_layout(&strided, MATMUL_IN_a, layout);
                set_layout(&strided, MATMUL_IN_b, (layout + i) % LAYOUTS);
                MCF_TRY(mcf_case_emit(m, &strided, false, err));
            }
        }
    // q k^T inside qkv [B=2, N=9, 3, H=3, d=5]: [B, H, N, d] views with rows 45 apart.
    mcf_check_case c = mcf_case_start(op);
    for (int i = 0; i < 2; i++) {
        c.launch.in[i].shape = MCF_SHAPE(2, 3, 9, 5);
        memcpy(c.launch.in[i].stride, (const int64_t[]){405, 5, 45, 1}, sizeof(int64_t[4]));
    }
    c.launch.attr.matmul.trans_b = 1;
    c.floor = 0.3;
    return mcf_case_emit(m, &c, true, err);
}

static mcf_status cases_sum_squares(mcf_case_maker *m, mcf_op op, mcf_error *err)
{
    for (int i = 0; i < mcf_case_some(m, MCF_CASE_LENGTHS, 4); i++) {
        mcf_check_case c = mcf_case_start(op);
        mcf_case_shape(&c, SUM_SQUARES_IN_x,
                       i % 2 ? MCF_SHAPE(mcf_case_lengths[i]) : MCF_SHAPE(3, mcf_case_lengths[i]));
        MCF_TRY(mcf_case_emit(m, &c, false, err));
    }
    return MCF_OK;
}

const mcf_case_row mcf_plain_cases[] = {
    {MCF_OP_fill, cases_fill},
    {MCF_OP_copy, cases_copy},
    {MCF_OP_pad, cases_pad},
    {MCF_OP_concat, cases_concat},
    {MCF_OP_gather_rows, cases_gather_rows},
    {MCF_OP_scatter_rows, cases_scatter_rows},
    {MCF_OP_add, cases_add},
    {MCF_OP_scale, cases_scale},
    {MCF_OP_gelu, cases_gelu},
    {MCF_OP_gelu_grad, cases_gelu},
    {MCF_OP_sigmoid, cases_gelu},
    {MCF_OP_mul, cases_plain},
    {MCF_OP_relu, cases_plain},
    {MCF_OP_relu_grad, cases_plain},
    {MCF_OP_sigmoid_grad, cases_plain},
    {MCF_OP_reduce_sum, cases_reduce_sum},
    {MCF_OP_matmul, cases_matmul},
    {MCF_OP_sum_squares, cases_sum_squares},
    {MCF_OP_COUNT, NULL},
};
