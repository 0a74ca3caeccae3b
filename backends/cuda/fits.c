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

static bool same_type(const mcf_launch *l)
{
    const mcf_dtype type = l->in[0].dtype;
    return l->out[0].dtype == type && (l->n_in < 4 || (l->in[1].dtype == type && l->in[3].dtype == type));
}

static bool rows_begin_at_vectors(const mcf_launch *l)
{
    const mcf_operand *read[] = {&l->in[0], &l->in[1], &l->in[3], &l->out[0]};
    for (int i = 0; i < 4; i++)
        if (((i != 1 && i != 2) || l->n_in == 4) && read[i]->offset % 16)
            return false;
    return true;
}

bool cuda_attention_fits(int major, const mcf_launch *l)
{
    const int64_t *dim = l->in[0].shape.dim;
    const mcf_dtype type = l->in[0].dtype;
    const bool cores = (type == MCF_F16 && major >= 7) || (type == MCF_BF16 && major >= 8);
    return cores && same_type(l) && (dim[4] == 32 || dim[4] == 64) && dim[1] <= INT_MAX / CUDA_ATTENTION_ROWS &&
           3 * dim[3] * dim[4] <= INT_MAX / CUDA_ATTENTION_ROWS && dim[0] <= INT_MAX / (dim[3] > 0 ? dim[3] : 1) &&
           rows_begin_at_vectors(l);
}

// --- layer norm

static bool begins_at_vector(const mcf_operand *operand)
{
    return !operand->buffer || operand->offset % (4 * mcf_dtype_size(operand->dtype)) == 0;
}

static bool norm_fits(const mcf_launch *l)
{
    const mcf_operand *x = &l->in[0];
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
    const mcf_dtype r = adds ? l->in[1].dtype : MCF_F32, y = wanted(l, adds) ? l->out[adds].dtype : MCF_F32;
    return norm_fits(l) && (!adds || (l->out[0].dtype == MCF_F32 && (r == y || y == MCF_F32)));
}

bool cuda_layer_norm_grad_fits(const mcf_launch *l)
{
    return norm_fits(l) && l->out[0].dtype == MCF_F32 && (!mcf_input_is_present(l, 5) || l->in[5].dtype == MCF_F32);
}

// --- vectors

static bool in_vectors(const mcf_operand *operand, int64_t count)
{
    const int64_t size = (int64_t)mcf_dtype_size(operand->dtype);
    return operand->offset % VECTOR == 0 && count * size % VECTOR == 0;
}

bool cuda_gelu_fits(const mcf_launch *l)
{
    const int64_t count = mcf_shape_count(&l->out[0].shape);
    bool fits = count > 0 && in_vectors(&l->out[0], count);
    for (int i = 0; i < l->n_in; i++)
        fits = fits && l->in[i].dtype == l->out[0].dtype && in_vectors(&l->in[i], count);
    return fits;
}

bool cuda_as_columns(const mcf_launch *l, int64_t *rows, int64_t *columns)
{
    const mcf_operand *x = &l->in[0];
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
    return cuda_as_columns(l, &rows, &columns) && l->out[0].dtype == MCF_F32 && mcf_dtype_is_float(l->in[0].dtype) &&
           l->in[0].dtype != MCF_F64 && in_vectors(&l->in[0], columns) && rows >= 64;
}
