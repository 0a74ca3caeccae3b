// Graphs: a computation as nodes in single-assignment order.
//
// A model is written as a function that appends nodes (model/). Gradients are more nodes of the same kind
// (mcf_backward), so a backend knows only operations. A graph is made for fixed shapes, mode and precision;
// core/program.c plans and runs it.
//
// Values are small integers. A builder that fails (shapes that do not fit) remembers the first error in the graph
// and returns MCF_NO_VALUE; every builder given MCF_NO_VALUE where a value is required returns it too, so that model
// code checks once, with mcf_graph_status.
#ifndef MCF_CORE_GRAPH_H
#define MCF_CORE_GRAPH_H

#include "core/store.h"
#include "ops/node.h"

typedef struct mcf_graph mcf_graph;
typedef int32_t mcf_value;
#define MCF_NO_VALUE ((mcf_value)-1)

// --- graph
// world: members of the group the graph will run in (shapes of collectives depend on it).
// compute: element type of products and what flows between them (MCF_F32, MCF_BF16, MCF_F16, MCF_F64).
mcf_graph *mcf_graph_create(int world, mcf_dtype compute); // NULL: out of memory
void mcf_graph_destroy(mcf_graph *graph);
mcf_status mcf_graph_status(const mcf_graph *graph, mcf_error *err);
// Ends building: *out = graph where nothing failed; else the graph is destroyed and the error says "building WHAT".
mcf_status mcf_graph_finish(mcf_graph *graph, mcf_graph **out, const char *what, mcf_error *err);
int mcf_graph_world(const mcf_graph *graph);
mcf_dtype mcf_graph_compute(const mcf_graph *graph);
// Remembers an error found by a builder above this floor (first one wins); returns MCF_NO_VALUE.
mcf_value mcf_graph_fail(mcf_graph *graph, mcf_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

mcf_shape mcf_value_shape(const mcf_graph *graph, mcf_value value);
int64_t mcf_value_dim(const mcf_graph *graph, mcf_value value, int axis); // negative axes count from the end
mcf_dtype mcf_value_dtype(const mcf_graph *graph, mcf_value value);

// --- leaves
// A tensor that the caller fills before every run. The name is copied.
mcf_value mcf_input(mcf_graph *graph, const char *name, mcf_dtype dtype, mcf_shape shape);
// A tensor of the parameter store. mcf_param: fp32 master (norms, biases, tables; f64 graphs: not available);
// mcf_weight: in the graph's compute type; where that is bf16 or f16 the low-precision copy, and of an entry
// without one, a copy made where it is used.
// Gradients of trained entries go to the store's gradient array.
mcf_value mcf_param(mcf_graph *graph, const mcf_store *store, int entry);
mcf_value mcf_weight(mcf_graph *graph, const mcf_store *store, int entry);
// A flat slice of a role's master array: [begin, begin + count) elements. For ema over many tensors at once.
mcf_value mcf_role_slice(mcf_graph *graph, const mcf_store *store, mcf_role role, int64_t begin, int64_t count);
// Value that all elements have.
mcf_value mcf_fill(mcf_graph *graph, mcf_dtype dtype, mcf_shape shape, double value);

// --- views: no work, no memory
mcf_value mcf_reshape(mcf_graph *graph, mcf_value x, mcf_shape shape); // of contiguous values; one size may be -1
mcf_value mcf_permute(mcf_graph *graph, mcf_value x, const int *axes); // out.dim[i] = in.dim[axes[i]]
mcf_value mcf_slice(mcf_graph *graph, mcf_value x, int axis, int64_t begin, int64_t count);
mcf_value mcf_expand(mcf_graph *graph, mcf_value x, mcf_shape shape); // sizes of 1 repeated; leading axes may be added

// --- operations (ops.def has the formulas). Operands that must be contiguous are copied where they are not.
mcf_value mcf_copy(mcf_graph *graph, mcf_value x, mcf_dtype dtype);
mcf_value mcf_cast(mcf_graph *graph, mcf_value x, mcf_dtype dtype); // x itself where it has the type already
mcf_value mcf_add(mcf_graph *graph, mcf_value a, mcf_value b);      // add and mul broadcast b to a's shape
mcf_value mcf_axpby(mcf_graph *graph, double alpha, mcf_value a, double beta, mcf_value b);
mcf_value mcf_mul(mcf_graph *graph, mcf_value a, mcf_value b);
mcf_value mcf_scale(mcf_graph *graph, mcf_value x, double alpha, double beta);
mcf_value mcf_relu(mcf_graph *graph, mcf_value x);
mcf_value mcf_gelu(mcf_graph *graph, mcf_value x);
mcf_value mcf_sigmoid(mcf_graph *graph, mcf_value x);
mcf_value mcf_reduce_sum(mcf_graph *graph, mcf_value x, uint32_t axes, double scale, mcf_dtype out);
mcf_value mcf_mean(mcf_graph *graph, mcf_value x, uint32_t axes); // f32 (f64 of f64), axes kept as 1
mcf_value mcf_concat(mcf_graph *graph, mcf_value a, mcf_value b, int axis);
mcf_value mcf_gather_rows(mcf_graph *graph, mcf_value x, mcf_value ids);
mcf_value mcf_matmul(mcf_graph *graph, mcf_value a, mcf_value b, bool trans_a, bool trans_b, mcf_dtype out);
// x [..., K] times weight [N, K] transposed, plus bias [N] (or MCF_NO_VALUE) -> [..., N] of type `out`.
mcf_value mcf_linear(mcf_graph *graph, mcf_value x, mcf_value weight, mcf_value bias, mcf_dtype out);
// y = layer_norm(x) over the last axis in type `out`.
mcf_value mcf_layer_norm(mcf_graph *graph, mcf_value x, mcf_value gamma, mcf_value beta, double eps, mcf_dtype out);
// *sum = x + r (type of x), returns layer_norm(*sum) in type `out`: a residual connection and the norm that follows.
mcf_value mcf_add_layer_norm(mcf_graph *graph, mcf_value x, mcf_value r, mcf_value gamma, mcf_value beta, double eps,
                             mcf_dtype out, mcf_value *sum);
mcf_value mcf_l2_normalize(mcf_graph *graph, mcf_value x, int axis, double eps);
mcf_value mcf_softmax(mcf_graph *graph, mcf_value x);
mcf_value mcf_attention(mcf_graph *graph, mcf_value qkv, double scale); // [B,N,3,H,d] -> [B,N,H,d]
mcf_value mcf_token_mse(mcf_graph *graph, mcf_value a, mcf_value b, double eps);
mcf_value mcf_cross_entropy(mcf_graph *graph, mcf_value logits, mcf_value labels);
// Training-mode BatchNorm of x [R, C] over `groups` equal groups of rows, in x's type. gamma and beta may be
// MCF_NO_VALUE. sync: statistics over the whole job. running_mean and running_var (f32 [C], may be MCF_NO_VALUE) move
// by `momentum` towards the first group's statistics, the variance unbiased (PyTorch's convention).
typedef struct {
    mcf_value gamma, beta, running_mean, running_var;
    double eps, momentum;
    int groups;
    bool sync;
} mcf_batch_norm_options;
mcf_value mcf_batch_norm(mcf_graph *graph, mcf_value x, const mcf_batch_norm_options *options);
// Evaluation mode: running statistics. No gradient flows through it.
mcf_value mcf_batch_norm_frozen(mcf_graph *graph, mcf_value x, const mcf_batch_norm_options *options);
mcf_value mcf_normalize_image(mcf_graph *graph, mcf_value image, mcf_value flip, const float mean[3],
                              const float std[3]);
mcf_value mcf_resize_nearest(mcf_graph *graph, mcf_value x, int64_t height, int64_t width);

// --- images with channels innermost, [B,H,W,C] (build_images.c). Views that are not contiguous are copied.
typedef struct {
    int64_t stride, pad, groups; // stride and groups 0: 1. groups == C: every channel by itself (depthwise)
    mcf_dtype out;
} mcf_conv_options;
// weight [O,C/groups,kh,kw] in the compute type, bias f32 [O] or MCF_NO_VALUE -> [B,H',W',O]; zeros beyond the border.
// A 1 x 1 kernel is a product.
mcf_value mcf_conv2d(mcf_graph *graph, mcf_value x, mcf_value weight, mcf_value bias, const mcf_conv_options *options);
// Kernel 2 x 2, stride 2: x [B,H,W,I], weight [I,O,2,2], bias f32 [O] or MCF_NO_VALUE -> [B,2H,2W,O].
mcf_value mcf_conv_transpose2x2(mcf_graph *graph, mcf_value x, mcf_value weight, mcf_value bias, mcf_dtype out);
// ceil: a last window may hang over the edge (PyTorch's ceil_mode without a border).
mcf_value mcf_max_pool(mcf_graph *graph, mcf_value x, int64_t kernel, int64_t stride, bool ceil);
mcf_value mcf_adaptive_avg_pool(mcf_graph *graph, mcf_value x, int64_t height, int64_t width);
mcf_value mcf_resize_bilinear(mcf_graph *graph, mcf_value x, int64_t height, int64_t width); // corners not aligned
// Whole maps are scaled: keep f32 [B,C] holds 0 or 1/(1 - p), drawn by whoever writes the input.
mcf_value mcf_channel_dropout(mcf_graph *graph, mcf_value x, mcf_value keep);
mcf_value mcf_prelu(mcf_graph *graph, mcf_value x, mcf_value slope); // slope f32 [C] of x [..., C]

// --- heatmaps and pixels; ops.def has the formulas
mcf_value mcf_heatmap_points(mcf_graph *graph, mcf_value logits); // [B,h,w,N] -> f32 [B,N,2], x then y, in [0,1]
mcf_value mcf_point_distance(mcf_graph *graph, mcf_value points, mcf_value target); // mean; the target has no gradient
// Mean binary cross-entropy of logits [B,h,w,N], resized to size x size, against discs of `radius` pixels around
// points f32 [B,N,2], which have no gradient.
mcf_value mcf_heatmap_bce(mcf_graph *graph, mcf_value logits, mcf_value points, int64_t size, double radius);
// Of logits [B,h,w,C], resized to labels i64 [B,H,W] on the way; mean over pixels.
mcf_value mcf_pixel_cross_entropy(mcf_graph *graph, mcf_value logits, mcf_value labels);

// --- collectives
mcf_value mcf_all_reduce(mcf_graph *graph, mcf_value x, mcf_reduce reduce);
mcf_value mcf_all_gather(mcf_graph *graph, mcf_value x);
mcf_value mcf_reduce_scatter(mcf_graph *graph, mcf_value x);

// --- state. These run where they stand in the order of nodes.
// target = momentum*target + (1 - momentum)*scale*source; momentum_value (f32 [1], or MCF_NO_VALUE) replaces momentum.
void mcf_ema(mcf_graph *graph, mcf_value target, mcf_value source, double momentum, double scale,
             mcf_value momentum_value);
// Refreshes the low-precision copies of a role's entries after its masters changed; nothing to do in fp32 graphs.
void mcf_refresh_low_precision(mcf_graph *graph, const mcf_store *store, mcf_role role);

// --- recomputation: values between begin and end that the backward pass needs are computed again there, from the
// values that enter the block, instead of being kept. Blocks do not nest.
void mcf_recompute_begin(mcf_graph *graph);
void mcf_recompute_end(mcf_graph *graph);

// --- what comes out
// Keeps the value until the next run and gives it a name for mcf_program_read. The same value may have several names.
void mcf_output(mcf_graph *graph, mcf_value value, const char *name);
// No gradient flows into x (a target, a frozen branch).
mcf_value mcf_detach(mcf_graph *graph, mcf_value x);

// --- gradients
// Inputs take part where this has been called; parameters take part where their store entry is trained.
void mcf_require_grad(mcf_graph *graph, mcf_value leaf);
// Appends the gradient of `loss` (one element) times `seed` (f32 [1], f64 in f64 graphs; MCF_NO_VALUE: 1). Called once.
void mcf_backward(mcf_graph *graph, mcf_value loss, mcf_value seed);
// After mcf_backward: the gradient of a leaf, MCF_NO_VALUE where none flows.
mcf_value mcf_gradient(const mcf_graph *graph, mcf_value leaf);

// --- simplification: removes nodes without effect, fuses gelu and relu into the product before them where nothing
// else reads its result. Called by mcf_program_create.
void mcf_graph_simplify(mcf_graph *graph);

#endif
