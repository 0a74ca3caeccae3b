#include "core/onnx/builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/graph_internal.h"

// --- errors and memory

const char *mcf_onnx_fail(mcf_onnx_builder *b, mcf_status status, const char *format, ...)
{
    va_list args;
    if (b->error.status != MCF_OK)
        return NULL;
    va_start(args, format);
    mcf_vfail(&b->error, status, format, args);
    va_end(args);
    return NULL;
}

void *mcf_onnx_memory(mcf_onnx_builder *b, size_t count, size_t size)
{
    void *block = calloc(count ? count : 1, size);
    if (!block || !mcf_grow(&b->blocks, b->block_count, &b->block_capacity, sizeof *b->blocks)) {
        free(block);
        mcf_onnx_fail(b, MCF_ERR_NOMEM, "no memory for an ONNX graph");
        return NULL;
    }
    return b->blocks[b->block_count++] = block;
}

void mcf_onnx_builder_free(mcf_onnx_builder *b)
{
    for (int i = 0; i < b->block_count; i++)
        free(b->blocks[i]);
    free(b->blocks);
    free(b->nodes);
    free(b->initialisers);
    *b = (mcf_onnx_builder){0};
}

char *mcf_onnx_text(mcf_onnx_builder *b, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *copy = mcf_onnx_memory(b, strlen(text) + 1, 1);
    if (copy)
        strcpy(copy, text);
    return copy;
}

// --- tensors with values

static const char *add_tensor(mcf_onnx_builder *b, const char *name, int32_t type, const mcf_shape *shape,
                              const void *values, size_t bytes)
{
    Onnx__TensorProto *tensor = mcf_onnx_memory(b, 1, sizeof *tensor);
    char *copy = mcf_onnx_text(b, "%s", name);
    int64_t *dims = mcf_onnx_memory(b, MCF_MAX_RANK, sizeof *dims);
    if (!tensor || !copy || !dims)
        return NULL;
    if (!mcf_grow(&b->initialisers, b->initialiser_count, &b->initialiser_capacity, sizeof *b->initialisers))
        return mcf_onnx_fail(b, MCF_ERR_NOMEM, "no memory for an ONNX graph");
    onnx__tensor_proto__init(tensor);
    memcpy(dims, shape->dim, (size_t)shape->rank * sizeof *dims);
    tensor->n_dims = (size_t)shape->rank;
    tensor->dims = dims;
    tensor->has_data_type = 1;
    tensor->data_type = type;
    tensor->name = copy;
    tensor->has_raw_data = 1; // little-endian, as safetensors
    tensor->raw_data.len = bytes;
    tensor->raw_data.data = (uint8_t *)values;
    b->initialisers[b->initialiser_count++] = tensor;
    return copy;
}

const char *mcf_onnx_weight(mcf_onnx_builder *b, const char *name, const mcf_shape *shape, const float *values)
{
    return add_tensor(b, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, shape, values,
                      (size_t)mcf_shape_count(shape) * sizeof *values);
}

// What begins with `what` and has these values already; weights do not begin with a slash.
static const char *find_constant(const mcf_onnx_builder *b, const char *what, const mcf_shape *shape,
                                 const void *values, size_t bytes)
{
    for (int i = 0; i < b->initialiser_count; i++) {
        const Onnx__TensorProto *t = b->initialisers[i];
        if (t->raw_data.len == bytes && t->n_dims == (size_t)shape->rank && strncmp(t->name, what, strlen(what)) == 0 &&
            memcmp(t->dims, shape->dim, t->n_dims * sizeof *t->dims) == 0 &&
            memcmp(t->raw_data.data, values, bytes) == 0)
            return t->name;
    }
    return NULL;
}

static const char *constant(mcf_onnx_builder *b, const char *what, int32_t type, mcf_shape shape, const void *values,
                            size_t bytes)
{
    char full[128], numbered[160];
    snprintf(full, sizeof full, "/%s_", what);
    const char *there = find_constant(b, full, &shape, values, bytes);
    if (there)
        return there;
    void *copy = mcf_onnx_memory(b, bytes, 1);
    if (!copy)
        return NULL;
    memcpy(copy, values, bytes);
    snprintf(numbered, sizeof numbered, "%s%d", full, b->initialiser_count);
    return add_tensor(b, numbered, type, &shape, copy, bytes);
}

const char *mcf_onnx_ints(mcf_onnx_builder *b, const int64_t *values, int count)
{
    return constant(b, "ints", ONNX__TENSOR_PROTO__DATA_TYPE__INT64, MCF_SHAPE(count), values,
                    (size_t)count * sizeof *values);
}

const char *mcf_onnx_scalar(mcf_onnx_builder *b, double value)
{
    const float single = (float)value;
    return constant(b, "number", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, (mcf_shape){0}, &single, sizeof single);
}

const char *mcf_onnx_table(mcf_onnx_builder *b, const char *what, mcf_shape shape, const float *values)
{
    return constant(b, what, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, shape, values,
                    (size_t)mcf_shape_count(&shape) * sizeof *values);
}

// --- nodes

static Onnx__AttributeProto *make_attribute(mcf_onnx_builder *b, const mcf_onnx_attribute *from)
{
    Onnx__AttributeProto *a = mcf_onnx_memory(b, 1, sizeof *a);
    char *name = mcf_onnx_text(b, "%s", from->name);
    int64_t *ints = from->ints ? mcf_onnx_memory(b, (size_t)from->count, sizeof *ints) : NULL;
    if (!a || !name || (from->ints && !ints))
        return NULL;
    onnx__attribute_proto__init(a);
    a->name = name;
    a->has_type = 1;
    if (from->ints) {
        memcpy(ints, from->ints, (size_t)from->count * sizeof *ints);
        a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
        a->n_ints = (size_t)from->count;
        a->ints = ints;
    } else if (from->is_float) {
        a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
        a->has_f = 1;
        a->f = from->f;
    } else {
        a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
        a->has_i = 1;
        a->i = from->i;
    }
    return a;
}

static bool add_attributes(mcf_onnx_builder *b, Onnx__NodeProto *node, const mcf_onnx_attribute *attributes)
{
    size_t count = 0;
    while (attributes && attributes[count].name)
        count++;
    node->attribute = mcf_onnx_memory(b, count, sizeof *node->attribute);
    for (; node->attribute && node->n_attribute < count; node->n_attribute++) {
        Onnx__AttributeProto *a = make_attribute(b, &attributes[node->n_attribute]);
        if (!a)
            return false;
        node->attribute[node->n_attribute] = a;
    }
    return node->attribute != NULL;
}

// output NULL: the node's own.
static const char *add_node(mcf_onnx_builder *b, const char *type, const char *const *inputs, int count,
                            const mcf_onnx_attribute *attributes, const char *output)
{
    for (int i = 0; i < count; i++)
        if (!inputs[i])
            return NULL;
    Onnx__NodeProto *node = mcf_onnx_memory(b, 1, sizeof *node);
    if (!node)
        return NULL;
    onnx__node_proto__init(node);
    node->op_type = mcf_onnx_text(b, "%s", type);
    node->name = mcf_onnx_text(b, "/%s_%d", type, b->node_count);
    node->input = mcf_onnx_memory(b, (size_t)count, sizeof *node->input);
    node->output = mcf_onnx_memory(b, 1, sizeof *node->output);
    if (!node->op_type || !node->name || !node->input || !node->output || !add_attributes(b, node, attributes))
        return NULL;
    if (!mcf_grow(&b->nodes, b->node_count, &b->node_capacity, sizeof *b->nodes))
        return mcf_onnx_fail(b, MCF_ERR_NOMEM, "no memory for an ONNX graph");
    for (int i = 0; i < count; i++)
        node->input[i] = (char *)inputs[i];
    node->n_input = (size_t)count;
    node->n_output = 1;
    node->output[0] = output ? (char *)output : mcf_onnx_text(b, "%s_out", node->name);
    b->nodes[b->node_count++] = node;
    return node->output[0];
}

const char *mcf_onnx_node(mcf_onnx_builder *b, const char *type, const char *const *inputs, int count,
                          const mcf_onnx_attribute *attributes)
{
    return add_node(b, type, inputs, count, attributes, NULL);
}

const char *mcf_onnx_transpose(mcf_onnx_builder *b, const char *x, const int *axes, int rank)
{
    int64_t order[MCF_MAX_RANK];
    for (int i = 0; i < rank; i++)
        order[i] = axes[i];
    return mcf_onnx_node(b, "Transpose", &x, 1,
                         (const mcf_onnx_attribute[]){{.name = "perm", .ints = order, .count = rank}, {0}});
}

void mcf_onnx_output(mcf_onnx_builder *b, const char *x, const char *name)
{
    char *copy = mcf_onnx_text(b, "%s", name);
    if (copy)
        add_node(b, "Identity", &x, 1, NULL, copy);
}
