#include "core/onnx/values.h"

#include <string.h>

static const int to_image[] = {0, 3, 1, 2}, to_map[] = {0, 2, 3, 1};

static const mcf_graph_value *at(const mcf_onnx_values *v, mcf_value value)
{
    return &v->graph->values[value];
}

void mcf_onnx_set_plain(mcf_onnx_values *v, mcf_value value, const char *name)
{
    v->tensors[value].plain = name;
}

void mcf_onnx_set_image(mcf_onnx_values *v, mcf_value value, const char *name, mcf_shape map)
{
    v->tensors[value].image = name;
    v->tensors[value].map = map;
}

bool mcf_onnx_is_open(const mcf_onnx_values *v, mcf_value value, int axis)
{
    return at(v, value)->shape.dim[axis] != v->other->values[value].shape.dim[axis];
}

// A reshape changes nothing in memory: neither do its parents'.
static bool keeps_order(const mcf_graph_value *value)
{
    return value->view == MCF_VIEW_RESHAPE || value->view == MCF_VIEW_DETACH;
}

mcf_value mcf_onnx_map_behind(const mcf_onnx_values *v, mcf_value value)
{
    for (;; value = at(v, value)->parent) {
        if (at(v, value)->shape.rank == 4)
            return value;
        if (!keeps_order(at(v, value)))
            return MCF_NO_VALUE;
    }
}

// A tensor [B,C,H,W] of the value or of what it is a reshape of, whose map has the value's own shape.
static const char *known_image(const mcf_onnx_values *v, mcf_value value)
{
    const mcf_shape *shape = &at(v, value)->shape;
    for (;; value = at(v, value)->parent) {
        const mcf_onnx_tensor *tensor = &v->tensors[value];
        if (tensor->image && mcf_shape_equal(&tensor->map, shape))
            return tensor->image;
        if (!keeps_order(at(v, value)))
            return NULL;
    }
}

bool mcf_onnx_is_image(mcf_onnx_values *v, mcf_value value)
{
    return at(v, value)->shape.rank == 4 && !v->tensors[value].plain && known_image(v, value);
}

// --- views

static const char *reshaped(mcf_onnx_values *v, const char *x, mcf_value value)
{
    const mcf_shape *shape = &at(v, value)->shape;
    int64_t dims[MCF_MAX_RANK];
    int open = 0;
    for (int i = 0; i < shape->rank; i++) {
        const bool is_open = mcf_onnx_is_open(v, value, i);
        dims[i] = is_open ? -1 : shape->dim[i];
        open += is_open;
    }
    if (open > 1)
        return mcf_onnx_fail(&v->builder, MCF_ERR_INTERNAL, "a reshape has the batch in two axes");
    return MCF_ONNX(&v->builder, "Reshape", x, mcf_onnx_ints(&v->builder, dims, shape->rank));
}

// Of a chain of reshapes only the last one counts.
static const char *end_of_reshapes(mcf_onnx_values *v, mcf_value value)
{
    mcf_value from = value;
    const char *image = known_image(v, value);
    if (image)
        return mcf_onnx_transpose(&v->builder, image, to_map, 4);
    while (keeps_order(at(v, from)) && !v->tensors[from].plain && !v->tensors[from].image)
        from = at(v, from)->parent;
    const char *x = mcf_onnx_plain(v, from);
    return mcf_shape_equal(&at(v, from)->shape, &at(v, value)->shape) ? x : reshaped(v, x, value);
}

static const char *permuted(mcf_onnx_values *v, mcf_value value)
{
    const mcf_graph_value *of = at(v, value);
    if (of->shape.rank == 4 && memcmp(of->axes, to_image, sizeof to_image) == 0)
        return mcf_onnx_image(v, of->parent);
    return mcf_onnx_transpose(&v->builder, mcf_onnx_plain(v, of->parent), of->axes, of->shape.rank);
}

static const char *sliced(mcf_onnx_values *v, mcf_value value)
{
    const mcf_graph_value *of = at(v, value);
    mcf_onnx_builder *b = &v->builder;
    const int64_t axis = of->axes[0], begin = of->begin, end = begin + of->shape.dim[axis];
    if (mcf_onnx_is_open(v, value, (int)axis) || v->other->values[value].begin != begin)
        return mcf_onnx_fail(b, MCF_ERR_UNSUPPORTED, "a part of a batch has no form in ONNX here");
    return MCF_ONNX(b, "Slice", mcf_onnx_plain(v, of->parent), mcf_onnx_ints(b, &begin, 1), mcf_onnx_ints(b, &end, 1),
                    mcf_onnx_ints(b, &axis, 1));
}

static const char *expanded(mcf_onnx_values *v, mcf_value value)
{
    const mcf_graph_value *of = at(v, value);
    for (int i = 0; i < of->shape.rank; i++)
        if (mcf_onnx_is_open(v, value, i))
            return mcf_onnx_fail(&v->builder, MCF_ERR_UNSUPPORTED,
                                 "a repetition along the batch has no form in ONNX "
                                 "here");
    return MCF_ONNX(&v->builder, "Expand", mcf_onnx_plain(v, of->parent),
                    mcf_onnx_ints(&v->builder, of->shape.dim, of->shape.rank));
}

// --- leaves

static const char *weight(mcf_onnx_values *v, mcf_value value)
{
    const mcf_graph_value *of = at(v, value);
    if (of->node >= 0 || of->place != MCF_PLACE_MASTER || of->entry < 0)
        return mcf_onnx_fail(&v->builder, MCF_ERR_INTERNAL, "value %d is read before it is made, or is no weight",
                             (int)value);
    const char *name = v->graph->store->entries[of->entry].name;
    const size_t prefix = strlen(v->weight_prefix);
    if (strncmp(name, v->weight_prefix, prefix) == 0)
        name += prefix;
    return mcf_onnx_weight(&v->builder, name, &of->shape, v->roles[of->role] + of->role_offset);
}

// --- both orders

const char *mcf_onnx_plain(mcf_onnx_values *v, mcf_value value)
{
    mcf_onnx_tensor *tensor = &v->tensors[value];
    if (tensor->plain)
        return tensor->plain;
    const mcf_graph_value *of = at(v, value);
    const char *name;
    if (tensor->image) {
        name = mcf_onnx_transpose(&v->builder, tensor->image, to_map, 4);
        if (!mcf_shape_equal(&tensor->map, &of->shape))
            name = reshaped(v, name, value);
    } else {
        switch (of->view) {
        case MCF_VIEW_RESHAPE:
        case MCF_VIEW_DETACH:
            name = end_of_reshapes(v, value);
            break;
        case MCF_VIEW_PERMUTE:
            name = permuted(v, value);
            break;
        case MCF_VIEW_SLICE:
            name = sliced(v, value);
            break;
        case MCF_VIEW_EXPAND:
            name = expanded(v, value);
            break;
        default:
            name = weight(v, value);
        }
    }
    return tensor->plain = name;
}

const char *mcf_onnx_image(mcf_onnx_values *v, mcf_value value)
{
    const mcf_shape shape = at(v, value)->shape;
    if (shape.rank != 4)
        return mcf_onnx_fail(&v->builder, MCF_ERR_INTERNAL, "value %d is no map of 4 axes", (int)value);
    const char *name = known_image(v, value);
    if (!name)
        name = mcf_onnx_transpose(&v->builder, mcf_onnx_plain(v, value), to_image, 4);
    mcf_onnx_set_image(v, value, name, shape);
    return name;
}

const char *mcf_onnx_operand(mcf_onnx_values *v, mcf_value value)
{
    while (at(v, value)->view == MCF_VIEW_EXPAND)
        value = at(v, value)->parent;
    return mcf_onnx_plain(v, value);
}

const char *mcf_onnx_row(mcf_onnx_values *v, mcf_value value)
{
    const int64_t dims[] = {1, at(v, value)->shape.dim[0]};
    while (keeps_order(at(v, value)))
        value = at(v, value)->parent;
    return MCF_ONNX(&v->builder, "Reshape", mcf_onnx_plain(v, value), mcf_onnx_ints(&v->builder, dims, 2));
}
