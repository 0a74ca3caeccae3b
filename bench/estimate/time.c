// From a launch to the kernels that the CUDA backend runs for it, and their time.
#include "bench/estimate/time.h"

#include <math.h>

#include "backends/cuda/fits.h"
#include "ops/rules.h"

const char *mcf_way_name(mcf_way way)
{
    static const char *const names[] = {
        "cuBLAS", "tiles in fp32", "attention.cu", "16 bytes a lane", "an element a lane", "copy", "columns + cuBLAS"};
    return names[way];
}

enum { FULL = 1 << 20 }; // bytes in flight that are always enough

static bool wanted(const mcf_launch *l, int i)
{
    return i < l->n_out && l->out[i].buffer;
}

static double bytes_of(const mcf_operand *operand)
{
    return (double)mcf_shape_count(&operand->shape) * (double)mcf_dtype_size(operand->dtype);
}

// --- passes over memory

// Instructions of a lane for an element, branches counted as if all were taken: vectors.cu and norm.cu in
// sm_70's machine code (cuobjdump; gelu 467 for 8 elements, its gradient 728, add_layer_norm 822 for 24,
// layer_norm_grad 1390 for 24). The shared kernels' are mostly addresses: 40 to 42 for scale_flat and relu.
enum { GELU = 58, GELU_GRAD = 91, NORM = 34, NORM_GRAD = 58, ELEMENT = 41 };

static double largest(const mcf_launch *l)
{
    double most = 0;
    for (int i = 0; i < l->n_in; i++)
        if (l->in[i].buffer)
            most = fmax(most, (double)mcf_shape_count(&l->in[i].shape));
    return fmax(most, (double)mcf_shape_count(&l->out[0].shape));
}

// Loads in flight on a multiprocessor: one of each large operand for each thread that it runs, or of those that there
// are.
static double in_flight(const mcf_card *card, const mcf_launch *l)
{
    const double most = largest(l);
    double threads = (double)mcf_shape_count(&l->out[0].shape), bytes = 0;
    switch (l->op) {
    case MCF_OP_token_mse: // a thread a channel of an image
    case MCF_OP_token_mse_grad:
        threads = (double)(l->in[TOKEN_MSE_IN_a].shape.dim[0] * l->in[TOKEN_MSE_IN_a].shape.dim[2]);
        break;
    case MCF_OP_pixel_cross_entropy: // a thread a pixel
        threads = (double)mcf_shape_count(&l->in[PIXEL_CROSS_ENTROPY_IN_labels].shape);
        break;
    case MCF_OP_heatmap_points: // a thread a row of a map
    case MCF_OP_heatmap_bce:
        threads = most / (double)l->in[0].shape.dim[2];
        break;
    case MCF_OP_reduce_sum: // chunks until 512 items run on each
    case MCF_OP_sum_squares:
    case MCF_OP_batch_variance:
    case MCF_OP_batch_norm_sums:
    case MCF_OP_cross_entropy:
        threads = fmin(most, 512.0 * card->units);
        break;
    default:
        break;
    }
    for (int i = 0; i < l->n_in; i++)
        if (l->in[i].buffer && 2 * (double)mcf_shape_count(&l->in[i].shape) > most)
            bytes += (double)mcf_dtype_size(l->in[i].dtype);
    if (bytes == 0)
        bytes = (double)mcf_dtype_size(l->out[0].dtype);
    return fmin(mcf_card_threads(card), ceil(threads / card->units)) * bytes;
}

// `times`: how often the operands pass by.
static mcf_estimate shared(const mcf_card *card, const mcf_launch *l, double times, int kernels)
{
    const mcf_cost cost = mcf_op_cost(l);
    const double own = mcf_map_instructions(l);
    mcf_estimate e = mcf_estimate_pass(card, MCF_WAY_SHARED, own > 0 ? own : ELEMENT * times * largest(l),
                                       cost.bytes * times, in_flight(card, l), kernels);
    e.flops = cost.flops;
    return e;
}

// Whole vectors fill the memory's width.
static mcf_estimate vectors(const mcf_card *card, const mcf_launch *l, double instructions, double more, int kernels)
{
    const mcf_cost cost = mcf_op_cost(l);
    mcf_estimate e =
        mcf_estimate_pass(card, MCF_WAY_VECTORS, instructions * largest(l), cost.bytes + more, FULL, kernels);
    e.flops = cost.flops;
    return e;
}

static mcf_estimate norm(const mcf_card *card, const mcf_what_if *what, const mcf_launch *l, bool fits)
{
    if (!fits)
        return shared(card, l, l->op == MCF_OP_layer_norm_grad ? 2 : 3, 1);
    const int64_t rows = l->in[LAYER_NORM_IN_x].shape.dim[0], width = l->in[LAYER_NORM_IN_x].shape.dim[1];
    double more = 0;
    int kernels = 1;
    mcf_estimate e;
    const bool grad = l->op == MCF_OP_layer_norm_grad;
    const int sums = grad ? wanted(l, LAYER_NORM_GRAD_OUT_dgamma) + wanted(l, LAYER_NORM_GRAD_OUT_dbeta) : 0;
    const double part = fmin((double)(rows + 7) / 8, 2.0 * card->units) * (double)width * 4;
    if (sums) {
        more = 4 * part; // dgamma and dbeta, written and read
        kernels += 2 * sums;
    }
    // x, r and the sum: fp32 now.
    if (what->norm16)
        for (int i = 0; i < l->n_in; i++)
            if (l->in[i].dtype == MCF_F32 && mcf_shape_count(&l->in[i].shape) == rows * width)
                more -= (double)(rows * width) * 2;
    if (what->norm16 && wanted(l, 0) && l->out->dtype == MCF_F32)
        more -= (double)(rows * width) * 2;
    e = vectors(card, l, grad ? NORM_GRAD : NORM, more, kernels);
    e.scratch[0] = sums ? 2 * part : 0;
    return e;
}

static mcf_estimate reduce_sum(const mcf_card *card, const mcf_launch *l)
{
    int64_t rows, columns;
    const bool own = cuda_column_sums_fit(l);
    mcf_estimate e;
    if (!own) {
        e = shared(card, l, 1, 2);
        e.scratch[3] = 256 * bytes_of(&l->out[REDUCE_SUM_OUT_out]);
        return e;
    }
    cuda_as_columns(l, &rows, &columns);
    const double across = ceil((double)columns / (32 * 16 / (double)mcf_dtype_size(l->in[REDUCE_SUM_IN_x].dtype)));
    const double chunks = fmin(floor(8 * card->units / across), (double)(rows / 64));
    const double part = chunks > 1 ? chunks * (double)columns * 4 : 0;
    e = vectors(card, l, 4, 2 * part, chunks > 1 ? 2 : 1);
    e.scratch[3] = part;
    return e;
}

// --- products

static mcf_product_shape shape_of(const mcf_launch *l)
{
    const int rank = l->in[MATMUL_IN_a].shape.rank, ta = l->attr.matmul.trans_a != 0, tb = l->attr.matmul.trans_b != 0;
    mcf_product_shape s = {.m = l->out[MATMUL_OUT_out].shape.dim[rank - 2],
                           .n = l->out[MATMUL_OUT_out].shape.dim[rank - 1],
                           .k = l->in[MATMUL_IN_a].shape.dim[rank - 1 - ta],
                           .batch = 1,
                           .form = ta   ? 2
                                   : tb ? 0
                                        : 1,
                           .type = l->in[MATMUL_IN_a].dtype,
                           .out = (double)mcf_dtype_size(l->out[MATMUL_OUT_out].dtype),
                           .adds = l->accumulate & 1};
    for (int i = 0; i + 2 < rank; i++)
        s.batch *= l->in[MATMUL_IN_a].shape.dim[i];
    return s;
}

static mcf_estimate matmul(const mcf_card *card, const mcf_what_if *what, const mcf_launch *l)
{
    mcf_product_shape s = shape_of(l);
    const bool same = l->in[MATMUL_IN_a].dtype == l->in[MATMUL_IN_b].dtype,
               bias = l->n_in > 2 && l->in[MATMUL_IN_bias].buffer;
    mcf_estimate e;
    if (!same || !cuda_product_type_fits(card->sm / 10, s.type)) {
        const mcf_cost cost = mcf_op_cost(l);
        e = (mcf_estimate){.way = MCF_WAY_TILES, .kernels = 1, .flops = cost.flops, .bytes = cost.bytes};
        e.compute = mcf_tiles_seconds(card, (double)s.m, (double)s.n, (double)s.k, (double)s.batch);
        e.memory = e.bytes / mcf_card_stream(card, FULL);
        e.seconds = fmax(e.compute, e.memory);
        return e;
    }
    e = mcf_estimate_product(card, what->product_factor, &s);
    e.kernels += bias; // in the type of the product
    if (bias && what->bias_refused) {
        const double c = bytes_of(&l->out[0]);
        const mcf_estimate epilogue =
            mcf_estimate_pass(card, MCF_WAY_SHARED, ELEMENT * (double)mcf_shape_count(&l->out[0].shape), 2 * c,
                              mcf_card_threads(card) * (double)mcf_dtype_size(l->out[0].dtype), 1);
        mcf_estimate_add(&e, &epilogue);
    }
    if (l->attr.matmul.activation == MCF_ACT_GELU && !what->gelu_in_product) {
        const double c = bytes_of(&l->out[MATMUL_OUT_out]);
        const mcf_estimate gelu = mcf_estimate_pass(
            card, MCF_WAY_VECTORS, GELU * (double)mcf_shape_count(&l->out[MATMUL_OUT_out].shape), 2 * c, FULL, 1);
        mcf_estimate_add(&e, &gelu);
    }
    return e;
}

// --- all of them

// Attention by the shared kernels: products in fp32 at the rate of those with tiles.
static mcf_estimate plain_attention(const mcf_card *card, const mcf_launch *l)
{
    const int64_t *d = l->in[ATTENTION_IN_qkv].shape.dim;
    const double product = mcf_tiles_seconds(card, (double)d[1], (double)d[4], (double)d[1], (double)(d[0] * d[3]));
    mcf_estimate e = shared(card, l, 1, l->op == MCF_OP_attention ? 1 : 3);
    e.compute = product * (l->op == MCF_OP_attention ? 2 : 7);
    e.seconds = fmax(e.compute, e.memory);
    return e;
}

static mcf_estimate estimate(const mcf_card *card, const mcf_what_if *what, const mcf_launch *l)
{
    switch (l->op) {
    case MCF_OP_matmul:
        return matmul(card, what, l);
    case MCF_OP_conv2d:
    case MCF_OP_conv2d_grad_x:
    case MCF_OP_conv2d_grad_weight:
        return mcf_estimate_convolution(card, what, l);
    case MCF_OP_attention:
        if (cuda_attention_fits(card->sm / 10, l))
            return mcf_estimate_attention(card, what, l->in[ATTENTION_IN_qkv].shape.dim, false);
        break;
    case MCF_OP_attention_grad:
        if (cuda_attention_fits(card->sm / 10, l))
            return mcf_estimate_attention(card, what, l->in[ATTENTION_GRAD_IN_qkv].shape.dim, true);
        break;
    case MCF_OP_layer_norm:
    case MCF_OP_add_layer_norm:
        return norm(card, what, l, cuda_layer_norm_fits(l));
    case MCF_OP_layer_norm_grad:
        return norm(card, what, l, cuda_layer_norm_grad_fits(l));
    case MCF_OP_gelu:
        if (what->gelu_in_product) {
            // The product writes gelu(x) beside x: half of this pass is left.
            const mcf_cost cost = mcf_op_cost(l);
            mcf_estimate e = mcf_estimate_pass(card, MCF_WAY_VECTORS, 0, cost.bytes / 2, FULL, 0);
            return e;
        }
        return cuda_gelu_fits(l) ? vectors(card, l, GELU, 0, 1) : shared(card, l, 1, 1);
    case MCF_OP_gelu_grad:
        return cuda_gelu_fits(l) ? vectors(card, l, GELU_GRAD, 0, 1) : shared(card, l, 1, 1);
    case MCF_OP_reduce_sum:
        return reduce_sum(card, l);
    case MCF_OP_token_mse: // norms first, then the differences: both operands pass by twice
        return shared(card, l, 2, 3);
    case MCF_OP_token_mse_grad: {
        mcf_estimate e = shared(card, l, 1, 1);
        const double again = bytes_of(&l->in[TOKEN_MSE_GRAD_IN_a]) + bytes_of(&l->in[TOKEN_MSE_GRAD_IN_b]);
        const mcf_estimate more = mcf_estimate_pass(card, MCF_WAY_SHARED, 0, again, in_flight(card, l), 0);
        mcf_estimate_add(&e, &more);
        return e;
    }
    case MCF_OP_cross_entropy:
    case MCF_OP_sum_squares:
    case MCF_OP_batch_variance:
    case MCF_OP_heatmap_points:
        return shared(card, l, 1, 2);
    case MCF_OP_heatmap_bce: // and a sum in two kernels
    case MCF_OP_pixel_cross_entropy:
        return shared(card, l, 1, 3);
    case MCF_OP_batch_norm_sums:
        return shared(card, l, 1, 4);
    default:
        return shared(card, l, 1, 1);
    }
    return plain_attention(card, l);
}

mcf_estimate mcf_estimate_launch(const mcf_card *card, const mcf_what_if *what, const mcf_launch *launch)
{
    mcf_estimate e = estimate(card, what, launch);
    e.seconds += e.kernels * card->gap;
    return e;
}

mcf_estimate mcf_estimate_copy(const mcf_card *card, double bytes)
{
    mcf_estimate e = mcf_estimate_pass(card, MCF_WAY_COPY, 0, 2 * bytes, FULL, 1);
    e.seconds += card->gap;
    return e;
}
