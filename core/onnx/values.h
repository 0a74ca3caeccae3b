// Values of a graph as ONNX tensors: as they are, or, of images and maps [B,H,W,C], in ONNX's order [B,C,H,W]. Which of
// both is there depends on who made it; the other is made when it is asked for.
#ifndef MCF_CORE_ONNX_VALUES_H
#define MCF_CORE_ONNX_VALUES_H

#include "core/graph_internal.h"
#include "core/onnx/builder.h"

typedef struct {
    const char *plain; // NULL: not there (yet)
    const char *image; // the same as [B,C,H,W]
    mcf_shape map;     // of image: [B,H,W,C]
} mcf_onnx_tensor;

typedef struct {
    mcf_onnx_builder builder;
    const mcf_graph *graph, *other; // batches of two sizes
    const float *const *roles;
    const char *weight_prefix;
    mcf_onnx_tensor *tensors; // by value
} mcf_onnx_values;

// The tensor, NULL where it cannot be made (then the builder has the error).
const char *mcf_onnx_plain(mcf_onnx_values *values, mcf_value value);
const char *mcf_onnx_image(mcf_onnx_values *values, mcf_value value);
// As an operand that is broadcast: an expanded view as it was before.
const char *mcf_onnx_operand(mcf_onnx_values *values, mcf_value value);
// A vector [n] that no store entry is, as [1,n].
const char *mcf_onnx_row(mcf_onnx_values *values, mcf_value value);
// Whether the value is there as [B,C,H,W] and not otherwise.
bool mcf_onnx_is_image(mcf_onnx_values *values, mcf_value value);
// The value that a chain of reshapes began with or passed through and that is a map [B,H,W,C]; MCF_NO_VALUE: none.
mcf_value mcf_onnx_map_behind(const mcf_onnx_values *values, mcf_value value);

void mcf_onnx_set_plain(mcf_onnx_values *values, mcf_value value, const char *name);
void mcf_onnx_set_image(mcf_onnx_values *values, mcf_value value, const char *name, mcf_shape map);

// Whether the size of this axis is the batch's, or a multiple.
bool mcf_onnx_is_open(const mcf_onnx_values *values, mcf_value value, int axis);

#endif
