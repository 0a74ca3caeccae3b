#include "core/onnx/onnx.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/protobuf.h"
#include "core/onnx/operations.h"

enum { OPSET = 13, IR = 7 };
#define LIMIT ((uint64_t)INT32_MAX) // bytes of a message, as protocol buffers' readers count them

struct mcf_onnx {
    mcf_onnx_values values;
    Onnx__ModelProto head;                  // all but metadata and graph
    Onnx__StringStringEntryProto *metadata; // metadata_count of them
    size_t metadata_count;
    Onnx__GraphProto graph; // all but nodes, weights and constants
    uint64_t graph_bytes, bytes;
};

// --- what is computed

// Nodes that the outputs depend on; NULL: no memory.
static bool *needed(const mcf_graph *g)
{
    bool *values = calloc((size_t)g->value_count + 1, sizeof *values);
    bool *nodes = calloc((size_t)g->node_count + 1, sizeof *nodes);
    for (int i = 0; values && i < g->output_count; i++)
        values[g->values[g->outputs[i].value].base] = true;
    for (int i = g->node_count - 1; values && nodes && i >= 0; i--) {
        const mcf_graph_node *node = &g->nodes[i];
        for (int k = 0; k < node->n_out; k++)
            nodes[i] = nodes[i] || (node->out[k] >= 0 && values[node->out[k]]);
        for (int k = 0; nodes[i] && k < node->n_in; k++)
            if (node->in[k] >= 0)
                values[g->values[node->in[k]].base] = true;
    }
    if (!values) {
        free(nodes);
        nodes = NULL;
    }
    free(values);
    return nodes;
}

// The two graphs differ in sizes alone.
static mcf_status compare(const mcf_graph *a, const mcf_graph *b, mcf_error *err)
{
    bool same = a->value_count == b->value_count && a->node_count == b->node_count && a->compute == MCF_F32;
    for (int i = 0; same && i < a->node_count; i++)
        same = a->nodes[i].op == b->nodes[i].op;
    for (int i = 0; same && i < a->value_count; i++)
        same = a->values[i].shape.rank == b->values[i].shape.rank && a->values[i].view == b->values[i].view;
    return same ? MCF_OK
                : mcf_fail(err, MCF_ERR_INTERNAL, "the graphs of two batch sizes are not alike, or not in fp32");
}

static void translate(mcf_onnx_values *v, const bool *nodes)
{
    for (int i = 0; i < v->graph->node_count && v->builder.error.status == MCF_OK; i++)
        if (nodes[i])
            mcf_onnx_operation(v, &v->graph->nodes[i]);
}

// --- inputs and outputs

// f32 of this shape; dims of -1 are the batch's.
static Onnx__ValueInfoProto *describe(mcf_onnx_builder *b, const char *name, const int64_t *dims, int rank)
{
    Onnx__ValueInfoProto *info = mcf_onnx_memory(b, 1, sizeof *info);
    Onnx__TypeProto *type = mcf_onnx_memory(b, 1, sizeof *type);
    Onnx__TypeProto__Tensor *tensor = mcf_onnx_memory(b, 1, sizeof *tensor);
    Onnx__TensorShapeProto *shape = mcf_onnx_memory(b, 1, sizeof *shape);
    Onnx__TensorShapeProto__Dimension *dim = mcf_onnx_memory(b, (size_t)rank, sizeof *dim);
    Onnx__TensorShapeProto__Dimension **list = mcf_onnx_memory(b, (size_t)rank, sizeof *list);
    char *copy = mcf_onnx_text(b, "%s", name);
    if (!info || !type || !tensor || !shape || !dim || !list || !copy)
        return NULL;
    onnx__value_info_proto__init(info);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    onnx__tensor_shape_proto__init(shape);
    for (int i = 0; i < rank; i++) {
        onnx__tensor_shape_proto__dimension__init(list[i] = &dim[i]);
        if (dims[i] < 0) {
            dim[i].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            dim[i].dim_param = (char *)"batch";
        } else {
            dim[i].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            dim[i].dim_value = dims[i];
        }
    }
    shape->n_dim = (size_t)rank;
    shape->dim = list;
    tensor->has_elem_type = 1;
    tensor->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor->shape = shape;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    info->name = copy;
    info->type = type;
    return info;
}

static void add_inputs(mcf_onnx *onnx)
{
    mcf_onnx_builder *b = &onnx->values.builder;
    const mcf_graph *g = onnx->values.graph;
    onnx->graph.input = mcf_onnx_memory(b, (size_t)g->value_count, sizeof *onnx->graph.input);
    for (int i = 0; onnx->graph.input && i < g->value_count; i++) {
        const mcf_graph_value *value = &g->values[i];
        if (!value->name || value->shape.rank != 4)
            continue;
        Onnx__ValueInfoProto *info =
            describe(b, value->name, (const int64_t[]){-1, 3, value->shape.dim[1], value->shape.dim[2]}, 4);
        if (info)
            onnx->graph.input[onnx->graph.n_input++] = info;
    }
}

static void add_outputs(mcf_onnx *onnx, const char *prefix)
{
    mcf_onnx_values *v = &onnx->values;
    mcf_onnx_builder *b = &v->builder;
    onnx->graph.output = mcf_onnx_memory(b, (size_t)v->graph->output_count, sizeof *onnx->graph.output);
    for (int i = 0; onnx->graph.output && i < v->graph->output_count; i++) {
        const mcf_value value = v->graph->outputs[i].value;
        const mcf_shape *shape = &v->graph->values[value].shape;
        const char *name = v->graph->outputs[i].name;
        int64_t dims[MCF_MAX_RANK];
        if (strncmp(name, prefix, strlen(prefix)) == 0)
            name += strlen(prefix);
        for (int k = 0; k < shape->rank; k++)
            dims[k] = mcf_onnx_is_open(v, value, k) ? -1 : shape->dim[k];
        mcf_onnx_output(b, mcf_onnx_plain(v, value), name);
        Onnx__ValueInfoProto *info = describe(b, name, dims, shape->rank);
        if (info)
            onnx->graph.output[onnx->graph.n_output++] = info;
    }
}

// --- the file's head

static void add_metadata(mcf_onnx *onnx, const char *const *pairs)
{
    mcf_onnx_builder *b = &onnx->values.builder;
    size_t count = 0;
    while (pairs && pairs[2 * count])
        count++;
    onnx->metadata = mcf_onnx_memory(b, count, sizeof *onnx->metadata);
    for (size_t i = 0; onnx->metadata && i < count; i++) {
        onnx__string_string_entry_proto__init(&onnx->metadata[i]);
        onnx->metadata[i].key = (char *)pairs[2 * i];
        onnx->metadata[i].value = (char *)pairs[2 * i + 1];
        onnx->metadata_count++;
    }
}

static void fill_head(mcf_onnx *onnx, const mcf_onnx_options *o)
{
    mcf_onnx_builder *b = &onnx->values.builder;
    Onnx__OperatorSetIdProto *opset = mcf_onnx_memory(b, 1, sizeof *opset);
    Onnx__OperatorSetIdProto **list = mcf_onnx_memory(b, 1, sizeof *list);
    if (!opset || !list)
        return;
    onnx__operator_set_id_proto__init(list[0] = opset);
    opset->domain = (char *)"";
    opset->has_version = 1;
    opset->version = OPSET;
    onnx->head.n_opset_import = 1;
    onnx->head.opset_import = list;
    onnx->head.has_ir_version = 1;
    onnx->head.ir_version = IR;
    onnx->head.producer_name = (char *)"mcf";
    onnx->head.producer_version = mcf_onnx_text(b, "%s", o->version);
    onnx->graph.name = mcf_onnx_text(b, "%s", o->name);
    add_metadata(onnx, o->metadata);
}

// --- sizes

static uint64_t size_of_length(uint64_t length)
{
    uint64_t bytes = 1;
    for (; length >= 0x80; length >>= 7)
        bytes++;
    return bytes;
}

// A tensor's bytes without its values are a few hundred, whatever the values: the library would count them in 32 bits.
static uint64_t size_of_tensor(const Onnx__TensorProto *tensor)
{
    Onnx__TensorProto empty = *tensor;
    empty.raw_data.len = 0;
    return onnx__tensor_proto__get_packed_size(&empty) - 1 + size_of_length(tensor->raw_data.len) +
           tensor->raw_data.len;
}

// Of ModelProto and of GraphProto; their keys are one byte.
enum { FIELD_GRAPH = 7, FIELD_METADATA = 14, FIELD_NODE = 1, FIELD_INITIALISER = 5 };

// Of a message inside another.
static uint64_t size_inside(uint64_t bytes)
{
    return 1 + size_of_length(bytes) + bytes;
}

static mcf_status measure(mcf_onnx *onnx, mcf_error *err)
{
    const mcf_onnx_builder *b = &onnx->values.builder;
    onnx->graph_bytes = onnx__graph_proto__get_packed_size(&onnx->graph);
    for (int i = 0; i < b->node_count; i++)
        onnx->graph_bytes += size_inside(onnx__node_proto__get_packed_size(b->nodes[i]));
    for (int i = 0; i < b->initialiser_count; i++)
        onnx->graph_bytes += size_inside(size_of_tensor(b->initialisers[i]));
    onnx->bytes = onnx__model_proto__get_packed_size(&onnx->head) + size_inside(onnx->graph_bytes);
    for (size_t i = 0; i < onnx->metadata_count; i++)
        onnx->bytes += size_inside(onnx__string_string_entry_proto__get_packed_size(&onnx->metadata[i]));
    if (onnx->bytes > LIMIT)
        return mcf_fail(err, MCF_ERR_UNSUPPORTED,
                        "the file would have %.2f GiB, and protocol buffers, of which ONNX files are made, end at 2; "
                        "export safetensors",
                        (double)onnx->bytes / (1 << 30));
    return MCF_OK;
}

// --- making and writing

static mcf_status create(mcf_onnx *onnx, const mcf_onnx_options *o, mcf_error *err)
{
    mcf_onnx_values *v = &onnx->values;
    onnx__model_proto__init(&onnx->head);
    onnx__graph_proto__init(&onnx->graph);
    *v = (mcf_onnx_values){.graph = o->graph, .other = o->other, .roles = o->roles, .weight_prefix = o->weight_prefix};
    MCF_TRY(compare(o->graph, o->other, err));
    v->tensors = calloc((size_t)o->graph->value_count, sizeof *v->tensors);
    bool *nodes = needed(o->graph);
    if (!v->tensors || !nodes) {
        free(nodes);
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for an ONNX graph");
    }
    translate(v, nodes);
    free(nodes);
    if (v->builder.error.status == MCF_OK) {
        add_inputs(onnx);
        add_outputs(onnx, o->output_prefix);
        fill_head(onnx, o);
    }
    if (v->builder.error.status != MCF_OK) {
        *err = v->builder.error;
        return err->status;
    }
    return measure(onnx, err);
}

mcf_status mcf_onnx_create(const mcf_onnx_options *options, mcf_onnx **out, mcf_error *err)
{
    mcf_error local = {0};
    *out = NULL;
    mcf_onnx *onnx = calloc(1, sizeof *onnx);
    if (!onnx)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for an ONNX graph");
    mcf_status status = create(onnx, options, &local);
    if (status != MCF_OK) {
        mcf_onnx_destroy(onnx);
        if (err)
            *err = local;
        return status;
    }
    *out = onnx;
    return MCF_OK;
}

void mcf_onnx_destroy(mcf_onnx *onnx)
{
    if (!onnx)
        return;
    mcf_onnx_builder_free(&onnx->values.builder);
    free(onnx->values.tensors);
    free(onnx);
}

uint64_t mcf_onnx_bytes(const mcf_onnx *onnx)
{
    return onnx->bytes;
}

// Bytes that the library packs go straight into the file. It packs a message inside another into memory first, and reads
// beyond that memory where there is none left; up to 256 bytes it needs none. So whatever may be longer is not left to it.
typedef struct {
    ProtobufCBuffer base;
    mcf_file_writer *writer;
    uint64_t written;
    mcf_error *err;
    mcf_status status;
} file_buffer;

static void append(ProtobufCBuffer *base, size_t size, const uint8_t *bytes)
{
    file_buffer *f = (file_buffer *)base;
    if (f->status == MCF_OK)
        f->status = mcf_file_writer_write(f->writer, bytes, size, f->err);
    f->written += size;
}

static void begin_message(file_buffer *f, int field, uint64_t bytes)
{
    mcf_text head = {0};
    mcf_protobuf_key(&head, field, MCF_WIRE_DELIMITED);
    mcf_protobuf_varint(&head, bytes);
    if (head.failed && f->status == MCF_OK)
        f->status = mcf_fail(f->err, MCF_ERR_NOMEM, "no memory for an ONNX graph");
    if (f->status == MCF_OK)
        append(&f->base, head.size, (const uint8_t *)head.text);
    mcf_text_free(&head);
}

static void put_inside(file_buffer *f, int field, const ProtobufCMessage *message)
{
    begin_message(f, field, protobuf_c_message_get_packed_size(message));
    if (f->status == MCF_OK)
        protobuf_c_message_pack_to_buffer(message, &f->base);
}

mcf_status mcf_onnx_write(const mcf_onnx *onnx, const char *path, mcf_error *err)
{
    file_buffer f = {.base = {append}, .err = err};
    const mcf_onnx_builder *b = &onnx->values.builder;
    MCF_TRY(mcf_file_writer_open(&f.writer, path, err));
    onnx__model_proto__pack_to_buffer(&onnx->head, &f.base);
    for (size_t i = 0; i < onnx->metadata_count; i++)
        put_inside(&f, FIELD_METADATA, &onnx->metadata[i].base);
    begin_message(&f, FIELD_GRAPH, onnx->graph_bytes);
    onnx__graph_proto__pack_to_buffer(&onnx->graph, &f.base);
    for (int i = 0; i < b->node_count; i++)
        put_inside(&f, FIELD_NODE, &b->nodes[i]->base);
    for (int i = 0; i < b->initialiser_count; i++)
        put_inside(&f, FIELD_INITIALISER, &b->initialisers[i]->base);
    if (f.status == MCF_OK && f.written != onnx->bytes)
        f.status = mcf_fail(err, MCF_ERR_INTERNAL, "%s: %llu bytes were packed, and %llu meant", path,
                            (unsigned long long)f.written, (unsigned long long)onnx->bytes);
    if (f.status != MCF_OK) {
        mcf_file_writer_abort(f.writer);
        return f.status;
    }
    return mcf_file_writer_commit(f.writer, NULL, NULL, err);
}
