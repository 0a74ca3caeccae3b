// conv2d and its gradients as backends/kernels/conv.c does them: what each pixel sees is written as rows of "columns", a
// piece at a time, and cuBLAS multiplies them with the weight, whose axes another kernel has put in order.
//
// Columns are written and read again by the product, which counts them among its operands. Of the image each row of pixels
// is read once for each row of the kernel: neighbours in a row are made at the same time and find it in the cache.
// Instructions are sm_70's (cuobjdump of instances/conv_words.cu and conv_columns.cu, without the slow branch of 64-bit
// division): 127 to find a pixel, 110 for a place of the kernel, 8 for a word; by elements 250 a place and 12 an element.
#include <math.h>

#include "backends/cuda/fits.h"
#include "backends/kernels/conv_pieces.h"
#include "bench/estimate/time.h"

enum { GROUP = 128, WORD = 8 }; // of backends/cuda/instances.sh; bytes
enum { FIND_PIXEL = 127, FIND_PLACE = 110, MOVE_WORD = 8, FIND_ELEMENT_PLACE = 250, MOVE_ELEMENT = 12 };
enum { ORDER_BEGIN = 96, ORDER_TAP = 34, GRADIENT_BEGIN = 105, GRADIENT_TAP = 46, GROUPED_TERM = 20 };

typedef struct {
    const mcf_card *card;
    const mcf_what_if *what;
    int64_t pixels, channels, taps, rows; // columns: how many rows; of each place of the kernel; its rows
    int64_t m, n;                         // of the weight's gradient: outputs; else what a product gives a pixel
    mcf_dtype type, other;                // of the columns; of the product's second operand
    double out;                           // bytes of a result
    int form;                             // of mcf_product_shape
} convolution;

static mcf_estimate columns(const convolution *c, int64_t count)
{
    const double size = (double)mcf_dtype_size(c->type), place = (double)c->channels * size;
    const bool words = (c->channels * (int64_t)mcf_dtype_size(c->type)) % WORD == 0;
    const double unit = words ? WORD : size, each = ceil(place / unit / GROUP), taps = (double)c->taps;
    const double group =
        words ? FIND_PIXEL + taps * (FIND_PLACE + each * MOVE_WORD) : taps * (FIND_ELEMENT_PLACE + each * MOVE_ELEMENT);
    const double reads = c->what->pixels_from_memory ? taps : (double)c->rows;
    return mcf_estimate_pass(c->card, MCF_WAY_COLUMNS, group * GROUP * (double)count,
                             (double)count * place * (taps + reads), unit * mcf_card_threads(c->card), 1);
}

static mcf_estimate product(const convolution *c, int64_t count, bool adds)
{
    const int64_t depth = c->taps * c->channels;
    const mcf_product_shape s = {.m = c->form == 2 ? c->m : count,
                                 .n = c->form == 2 ? depth : c->n,
                                 .k = c->form == 2 ? count : depth,
                                 .batch = 1,
                                 .form = c->form,
                                 .type = c->type,
                                 .out = c->out,
                                 .adds = adds};
    if (c->type == c->other && cuda_product_type_fits(c->card->sm / 10, c->type))
        return mcf_estimate_product(c->card, c->what->product_factor, &s);
    mcf_estimate e = {.kernels = 1};
    e.bytes = (double)(s.m * s.k + s.k * s.n) * (double)mcf_dtype_size(c->type) + (double)(s.m * s.n) * s.out;
    e.compute = mcf_tiles_seconds(c->card, (double)s.m, (double)s.n, (double)s.k, 1);
    e.memory = e.bytes / mcf_card_stream(c->card, 1 << 20);
    e.seconds = fmax(e.compute, e.memory);
    return e;
}

// The weight's axes into the order of columns, or the gradient's back.
static mcf_estimate order(const convolution *c, double in, double out)
{
    const double items = (double)((c->form == 2 ? c->m : c->n) * c->channels), taps = (double)c->taps;
    const double each = c->form == 2 ? GRADIENT_BEGIN + taps * GRADIENT_TAP : ORDER_BEGIN + taps * ORDER_TAP;
    return mcf_estimate_pass(c->card, MCF_WAY_COLUMNS, each * items, items * taps * (in + out),
                             in * mcf_card_threads(c->card), 1);
}

static mcf_estimate in_pieces(const convolution *c, mcf_estimate e)
{
    const int64_t depth = c->taps * c->channels, size = (int64_t)mcf_dtype_size(c->type);
    const int64_t piece = dev_conv_piece(GROUP, c->pixels, depth, size);
    for (int64_t first = 0; first < c->pixels; first += piece) {
        const int64_t count = c->pixels - first < piece ? c->pixels - first : piece;
        const mcf_estimate rows = columns(c, count), sums = product(c, count, c->form == 2 && first > 0);
        if (!c->what->no_columns)
            mcf_estimate_add(&e, &rows);
        mcf_estimate_add(&e, &sums);
    }
    e.scratch[0] = (double)(piece * depth * size);
    return e;
}

// Sums without products, an output an item.
static mcf_estimate grouped(const mcf_card *card, const mcf_launch *l)
{
    const mcf_cost cost = mcf_op_cost(l);
    mcf_estimate e = mcf_estimate_pass(card, MCF_WAY_SHARED, cost.flops / 2 * GROUPED_TERM, cost.bytes,
                                       (double)mcf_dtype_size(l->in[0].dtype) * mcf_card_threads(card), 1);
    e.flops = cost.flops;
    return e;
}

mcf_estimate mcf_estimate_convolution(const mcf_card *card, const mcf_what_if *what, const mcf_launch *l)
{
    const bool weight_grad = l->op == MCF_OP_conv2d_grad_weight;
    const mcf_operand *weight = weight_grad ? &l->out[CONV2D_GRAD_WEIGHT_OUT_dweight] : &l->in[CONV2D_IN_weight];
    const mcf_operand *from = &l->in[0], *out = &l->out[0];
    const int64_t *w = weight->shape.dim;
    if (l->attr.conv2d.groups > 1)
        return grouped(card, l);
    convolution c = {.card = card, .what = what, .taps = w[2] * w[3], .rows = w[2], .type = from->dtype};
    c.other = weight_grad ? l->in[CONV2D_GRAD_WEIGHT_IN_dy].dtype : weight->dtype;
    c.form = weight_grad ? 2 : l->op == MCF_OP_conv2d_grad_x ? 1 : 0;
    c.channels = c.form == 1 ? w[0] : w[1];
    c.m = w[0];
    c.n = c.form == 1 ? w[1] : w[0];
    c.out = weight_grad ? sizeof(float) : (double)mcf_dtype_size(out->dtype);
    const int64_t *p = (weight_grad ? &l->in[CONV2D_GRAD_WEIGHT_IN_dy] : out)->shape.dim;
    c.pixels = p[0] * p[1] * p[2];
    const double stored = (double)mcf_dtype_size(weight->dtype);
    const mcf_estimate ordered =
        weight_grad ? order(&c, sizeof(float), stored * (1 + (l->accumulate & 1))) : order(&c, stored, stored);
    mcf_estimate e = in_pieces(&c, ordered);
    e.way = MCF_WAY_COLUMNS;
    e.kernels += l->op == MCF_OP_conv2d && l->n_in > CONV2D_IN_bias && l->in[CONV2D_IN_bias].buffer;
    e.flops = mcf_op_cost(l).flops;
    e.scratch[3] = (double)mcf_shape_count(&weight->shape) * (weight_grad ? sizeof(float) : stored);
    return e;
}
