// Nodes, weights and constants of an ONNX graph, and the memory that they live in.
//
// Tensors are their names. Functions that make one return NULL where memory is missing or an operand is NULL, so that
// whoever composes several asks once, at the end; the first error stays in the builder.
#ifndef MCF_CORE_ONNX_BUILDER_H
#define MCF_CORE_ONNX_BUILDER_H

#include "core/onnx/proto/onnx.pb-c.h"
#include "ops/types.h"

typedef struct {
    Onnx__NodeProto **nodes;
    Onnx__TensorProto **initialisers; // weights and constants
    int node_count, node_capacity, initialiser_count, initialiser_capacity;
    void **blocks; // all memory but that of weights
    int block_count, block_capacity;
    mcf_error error;
} mcf_onnx_builder;

void mcf_onnx_builder_free(mcf_onnx_builder *builder); // zeros are fine
// First one wins. Returns NULL.
const char *mcf_onnx_fail(mcf_onnx_builder *builder, mcf_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Zeros, freed with the builder. NULL: no memory.
void *mcf_onnx_memory(mcf_onnx_builder *builder, size_t count, size_t size);
// A formatted name.
char *mcf_onnx_text(mcf_onnx_builder *builder, const char *format, ...) __attribute__((format(printf, 2, 3)));

// --- tensors with values
// A weight under its own name; `values` stay the caller's.
const char *mcf_onnx_weight(mcf_onnx_builder *builder, const char *name, const mcf_shape *shape, const float *values);
// Constants; equal ones are made once. The name of a table begins with `what`.
const char *mcf_onnx_ints(mcf_onnx_builder *builder, const int64_t *values, int count);
const char *mcf_onnx_scalar(mcf_onnx_builder *builder, double value);
const char *mcf_onnx_table(mcf_onnx_builder *builder, const char *what, mcf_shape shape, const float *values);

// --- nodes
typedef struct {
    const char *name;    // NULL: the end of a list
    const int64_t *ints; // NULL: a single number
    int count;
    int64_t i;
    bool is_float;
    float f;
} mcf_onnx_attribute;

// A node of one output, whose name is returned. attributes: NULL, or a list.
const char *mcf_onnx_node(mcf_onnx_builder *builder, const char *type, const char *const *inputs, int count,
                          const mcf_onnx_attribute *attributes);
// The same without attributes: MCF_ONNX(builder, "Add", a, b).
#define MCF_ONNX(builder, type, ...)                                                                                   \
    mcf_onnx_node(builder, type, (const char *const[]){__VA_ARGS__},                                                   \
                  (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)), NULL)
const char *mcf_onnx_transpose(mcf_onnx_builder *builder, const char *x, const int *axes, int rank);
// The node whose output is the network's output `name`.
void mcf_onnx_output(mcf_onnx_builder *builder, const char *x, const char *name);

#endif
