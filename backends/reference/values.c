// What lies in buffers, as doubles.
#include "backends/host/elements.h"
#include "backends/reference/reference.h"
#include "ops/rules.h"

#include <stdlib.h>

mcf_status ref_check_range(const mcf_buffer *buffer, uint64_t offset, uint64_t bytes, const char *what, mcf_error *err)
{
    return mcf_check_range(buffer->bytes, offset, bytes, what, err);
}

static char *start(const mcf_operand *operand)
{
    return (char *)operand->buffer->data + operand->offset;
}

double *ref_read(const mcf_operand *operand)
{
    int64_t count = mcf_shape_count(&operand->shape);
    int rank = operand->shape.rank;
    const int64_t *dim = operand->shape.dim;
    double *values = malloc((size_t)(count ? count : 1) * sizeof *values);
    if (!values)
        return NULL;
    int64_t index[MCF_MAX_RANK] = {0}, place = 0;
    for (int64_t i = 0; i < count; i++) {
        values[i] = mcf_load_element(start(operand), operand->dtype, place);
        // The next index in row-major order.
        for (int axis = rank - 1; axis >= 0; axis--) {
            place += operand->stride[axis];
            if (++index[axis] < dim[axis])
                break;
            place -= index[axis] * operand->stride[axis];
            index[axis] = 0;
        }
    }
    return values;
}

void ref_write(const mcf_operand *operand, const double *values, bool accumulate)
{
    int64_t count = mcf_shape_count(&operand->shape);
    for (int64_t i = 0; i < count; i++) {
        double old = accumulate ? mcf_load_element(start(operand), operand->dtype, i) : 0;
        mcf_store_element(start(operand), operand->dtype, i, accumulate ? old + values[i] : values[i]);
    }
}
