// One call of an operation: what a graph node, a backend and the check pass around.
#ifndef MCF_OPS_NODE_H
#define MCF_OPS_NODE_H

#include "ops/each.h"
#include "ops/types.h"

typedef enum {
#define MCF_OP(name, ...) MCF_OP_##name,
#include "ops/ops.def"
    MCF_OP_COUNT
} mcf_op;

enum { MCF_MAX_INPUTS = 7, MCF_MAX_OUTPUTS = 4 };

// Places of operands: launch->in[LAYER_NORM_IN_gamma], launch->out[LAYER_NORM_OUT_rstd].
#define MCF_PLACE_IN(NAME, operand, type, mark) NAME##_IN_##operand,
#define MCF_PLACE_OUT(NAME, operand, type, mark) NAME##_OUT_##operand,
#define MCF_OP(name, NAME, inputs, outputs, ...)                                                                       \
    enum { MCF_EACH(MCF_PLACE_IN, NAME, inputs) NAME##_INPUTS };                                                       \
    enum { MCF_EACH(MCF_PLACE_OUT, NAME, outputs) NAME##_OUTPUTS };
#include "ops/ops.def"
#undef MCF_PLACE_IN
#undef MCF_PLACE_OUT

// Places in code that is written once for all elementwise operations, and for all collectives, whatever the table calls
// their operands.
enum { ELEMENTWISE_IN_a, ELEMENTWISE_IN_b };
enum { ELEMENTWISE_OUT };
enum { COLLECTIVE_IN };
enum { COLLECTIVE_OUT };

typedef enum { MCF_ACT_NONE, MCF_ACT_RELU, MCF_ACT_GELU } mcf_activation;
typedef enum { MCF_REDUCE_SUM, MCF_REDUCE_MEAN } mcf_reduce;

// adamw's `scalars` input. The host writes all but the last once per optimiser step; the last comes from the device, so
// that clipping and leaving a step out need no word from the host.
enum mcf_adamw_scalar {
    MCF_ADAMW_LR, // of this step
    MCF_ADAMW_BETA1,
    MCF_ADAMW_BETA2,
    MCF_ADAMW_EPS,
    MCF_ADAMW_CORRECTION1, // 1 - beta1^t
    MCF_ADAMW_CORRECTION2, // 1 - beta2^t
    MCF_ADAMW_GRAD_SCALE,  // gradients are multiplied by it: 1/(micro-batches * loss scale)
    MCF_ADAMW_CLIP,        // largest norm of the scaled gradient, which is shortened to it; 0: any
    MCF_ADAMW_NORM2,       // sum of squares of all gradients before scaling; not finite: everything stays as it is
    MCF_ADAMW_SCALARS
};

// Attributes, by operation. Every member is plain data: a node is compared and copied by bytes.
typedef union {
    struct {
        double value;
    } fill;
    struct {
        int axis;
        int64_t before, after;
    } pad;
    struct {
        int axis;
    } concat;
    struct {
        int64_t rows;
    } scatter_rows; // L of the output
    struct {
        double alpha, beta;
    } add;
    struct {
        double alpha, beta;
    } scale;
    struct {
        uint32_t axes;
        double scale;
    } reduce_sum; // bit i: axis i is summed
    struct {
        int trans_a, trans_b, activation;
    } matmul;
    struct {
        double eps;
    } norm; // of all norms but l2_normalize, and of the norms inside the feature loss
    struct {
        int axis;
        double eps;
    } l2_normalize; // and l2_normalize_grad
    struct {
        double scale;
    } attention; // and attention_grad
    struct {
        float mean[3], std[3];
    } normalize_image;
    struct {
        int64_t height, width;
    } resize; // of the output, both directions; adaptive_avg_pool too
    struct {
        int64_t stride, pad, groups;
        int64_t height, width; // of dx (conv2d_grad_x), of the kernel (conv2d_grad_weight); else unused, 0
    } conv2d;
    struct {
        int64_t kernel, stride, ceil; // ceil: 0 or 1
    } pool;                           // max_pool and max_pool_grad
    struct {
        double radius;
    } heatmap;
    struct {
        double momentum, scale;
    } ema;
    struct {
        int reduce;
    } all_reduce;
    struct {
        int root;
    } broadcast;
} mcf_attr;

typedef struct mcf_buffer mcf_buffer; // memory of a device; each backend has its own

// A tensor in device memory.
typedef struct {
    mcf_buffer *buffer; // NULL: an optional input that is absent, an output that is not wanted
    size_t offset;      // bytes
    mcf_dtype dtype;
    mcf_shape shape;
    int64_t stride[MCF_MAX_RANK]; // elements; row-major unless the table allows others
    uint64_t version;             // of a stored weight: changes with its contents, so that packed copies can be
                                  // kept; 0: contents change at any time
} mcf_operand;

typedef struct {
    mcf_op op;
    mcf_attr attr;
    int n_in, n_out;
    mcf_operand in[MCF_MAX_INPUTS];
    mcf_operand out[MCF_MAX_OUTPUTS];
    uint32_t accumulate; // bit i: add to output i instead of overwriting it
} mcf_launch;

// The row of an operation. Masks: bit i stands for input or output i.
typedef struct {
    const char *name;
    int inputs, optional, outputs; // `optional` of the last inputs may be absent
    uint32_t strided;              // inputs that may have any strides
    uint32_t changed;              // inputs changed in place; output 0 is input 0 where that is one of them
    uint32_t accumulates;          // outputs that may be asked to add to what is there
    bool collective;
    double flops_per_element, tolerance32, tolerance16;
    const char *in[MCF_MAX_INPUTS], *out[MCF_MAX_OUTPUTS]; // the operands' names
} mcf_op_info;

const mcf_op_info *mcf_op_describe(mcf_op op);
// MCF_OP_COUNT where no operation has this name.
mcf_op mcf_op_find(const char *name);
bool mcf_op_is_collective(mcf_op op);

// Row-major strides of a shape, in elements.
void mcf_contiguous_strides(const mcf_shape *shape, int64_t stride[MCF_MAX_RANK]);
bool mcf_operand_is_contiguous(const mcf_operand *operand);

// Fills shapes and dtypes of launch->out from its inputs and attributes; checks the inputs. Element types of
// outputs: those the table fixes (f32 statistics and losses, in-place state) are set; for the others the caller's
// choice in out[i].dtype stays. fill's output shape is the caller's. `world` is the size of the group.
mcf_status mcf_infer_shapes(mcf_launch *launch, int world, mcf_error *err);

// Work of one call: floating-point operations, and bytes read and written once.
typedef struct {
    double flops, bytes;
} mcf_cost;
mcf_cost mcf_op_cost(const mcf_launch *launch);

#endif
