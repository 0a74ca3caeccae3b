#include "backends/cuda/fits.h"

#include <limits.h>

#include "ops/rules.h"

enum { VECTOR = 16, NORM_WIDTH_MAX = 1024 }; // as in vectors.cu and norm.cu

static bool wanted(const mcf_launch *l, int i)
{
    return i < l->n_out && l->out[i].buffer;
}

bool cuda_product_type_fits(int major, mcf_dtype type)
{
    return type != MCF_BF16 || major >= 8;
}

// --- attention

// Of one type, and rows begin at vectors.
static bool fits_beside(const mcf_operand *qkv, const mcf_operand *other)
{
    return other->dtype == qkv->dtype && other->offset % VECTOR == 0;
}

static bool operands_fit(const mcf_launch *l)
{
    if (l->op == MCF_OP_attention)
        return fits_beside(&l->in[ATTENTION_IN_qkv], &l->in[ATTENTION_IN_qkv]) &&
               fits_beside(&l->in[ATTENTION_IN_qkv], &l->out[ATTENTION_OUT_out]);
    const mcf_operand *qkv = &l->in[ATTENTION_GRAD_IN_qkv];
    return fits_beside(qkv, qkv) && fits_beside(qkv, &l->in[ATTENTION_GRAD_IN_out]) &&
           fits_beside(qkv, &l->in[ATTENTION_GRAD_IN_dout]) && fits_beside(qkv, &l->out[ATTENTION_GRAD_OUT_dqkv]);
}

bool cuda_attention_fits(int major, const mcf_launch *l)
{
    const int64_t *dim = l->in[ATTENTION_IN_qkv].shape.dim;
    const mcf_dtype type = l->in[ATTENTION_IN_qkv].dtype;
    const bool cores = (type == MCF_F16 && major >= 7) || (type == MCF_BF16 && major >= 8);
    return cores && operands_fit(l) && (dim[4] == 32 || dim[4] == 64) && dim[1] <= INT_MAX / CUDA_ATTENTION_ROWS &&
           3 * dim[3] * dim[4] <= INT_MAX / CUDA_ATTENTION_ROWS && dim[0] <= INT_MAX / (dim[3] > 0 ? dim[3] : 1);
}

bool cuda_attention_fits_volta(int capability, mcf_dtype type)
{
    return capability >= 70 && capability < 75 && type == MCF_F16;
}

// With 32 rows a warp reads each tile half as often; with few tokens half the warps would have none.
int cuda_attention_volta_rows(int64_t tokens)
{
    return tokens > CUDA_ATTENTION_ROWS ? 2 * CUDA_ATTENTION_ROWS : CUDA_ATTENTION_ROWS;
}

uint64_t cuda_attention_volta_scores(const int64_t dim[5])
{
    return (uint64_t)(dim[0] * dim[3] * dim[1] * ((dim[1] + 15) / 16 * 16)) * 2;
}

// --- layer norm

static bool begins_at_vector(const mcf_operand *operand)
{
    return !operand->buffer || operand->offset % (4 * mcf_dtype_size(operand->dtype)) == 0;
}

static bool norm_fits(const mcf_launch *l)
{
    const mcf_operand *x = &l->in[LAYER_NORM_IN_x]; // of add_layer_norm and layer_norm_grad as well
    const int64_t width = x->shape.dim[1];
    bool even = true;
    for (int i = 0; i < l->n_in; i++)
        even = even && begins_at_vector(&l->in[i]);
    for (int i = 0; i < l->n_out; i++)
        even = even && begins_at_vector(&l->out[i]);
    return even && x->dtype == MCF_F32 && width > 0 && width <= NORM_WIDTH_MAX && width % 4 == 0;
}

// The kernels exist for r in 16 bits with y in the same type or fp32, and for fp32 throughout.
bool cuda_layer_norm_fits(const mcf_launch *l)
{
    const bool adds = l->op == MCF_OP_add_layer_norm;
    if (!adds)
        return norm_fits(l);
    const mcf_dtype r = l->in[ADD_LAYER_NORM_IN_r].dtype;
    const mcf_dtype y = wanted(l, ADD_LAYER_NORM_OUT_y) ? l->out[ADD_LAYER_NORM_OUT_y].dtype : MCF_F32;
    return norm_fits(l) && l->out[ADD_LAYER_NORM_OUT_s].dtype == MCF_F32 && (r == y || y == MCF_F32);
}

bool cuda_layer_norm_grad_fits(const mcf_launch *l)
{
    return norm_fits(l) && l->out[LAYER_NORM_GRAD_OUT_dx].dtype == MCF_F32 &&
           (!mcf_input_is_present(l, LAYER_NORM_GRAD_IN_dsum) || l->in[LAYER_NORM_GRAD_IN_dsum].dtype == MCF_F32);
}

// --- vectors

static bool in_vectors(const mcf_operand *operand, int64_t count)
{
    const int64_t size = (int64_t)mcf_dtype_size(operand->dtype);
    return operand->offset % VECTOR == 0 && count * size % VECTOR == 0;
}

bool cuda_gelu_fits(const mcf_launch *l)
{
    const int64_t count = mcf_shape_count(&l->out[ELEMENTWISE_OUT].shape);
    bool fits = count > 0 && in_vectors(&l->out[ELEMENTWISE_OUT], count);
    for (int i = 0; i < l->n_in; i++)
        fits = fits && l->in[i].dtype == l->out[ELEMENTWISE_OUT].dtype && in_vectors(&l->in[i], count);
    return fits;
}

bool cuda_as_columns(const mcf_launch *l, int64_t *rows, int64_t *columns)
{
    const mcf_operand *x = &l->in[REDUCE_SUM_IN_x];
    bool behind = false;
    *rows = *columns = 1;
    for (int i = 0; i < x->shape.rank; i++) {
        const bool summed = l->attr.reduce_sum.axes >> i & 1;
        if (summed && behind)
            return false;
        behind = behind || !summed;
        *(summed ? rows : columns) *= x->shape.dim[i];
    }
    return mcf_operand_is_contiguous(x) && *rows > 1 && *columns > 1;
}

bool cuda_column_sums_fit(const mcf_launch *l)
{
    int64_t rows, columns;
    return cuda_as_columns(l, &rows, &columns) && l->out[REDUCE_SUM_OUT_out].dtype == MCF_F32 &&
           mcf_dtype_is_float(l->in[REDUCE_SUM_IN_x].dtype) && l->in[REDUCE_SUM_IN_x].dtype != MCF_F64 &&
           in_vectors(&l->in[REDUCE_SUM_IN_x], columns) && rows >= 64;
}
