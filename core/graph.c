// Values, nodes, leaves and views.
#include "core/graph_internal.h"

#include <stdlib.h>
#include <string.h>

bool mcf_grow(void *array, int count, int *capacity, size_t size)
{
    if (count < *capacity)
        return true;
    int larger = *capacity ? 2 * *capacity : 64;
    void *memory = realloc(*(void **)array, (size_t)larger * size);
    if (!memory)
        return false;
    *(void **)array = memory;
    *capacity = larger;
    return true;
}

mcf_graph *mcf_graph_create(int world, mcf_dtype compute)
{
    mcf_graph *graph = calloc(1, sizeof *graph);
    if (graph) {
        graph->world = world;
        graph->compute = compute;
    }
    return graph;
}

void mcf_graph_destroy(mcf_graph *graph)
{
    if (!graph)
        return;
    for (int i = 0; i < graph->value_count; i++)
        free(graph->values[i].name);
    for (int i = 0; i < graph->output_count; i++)
        free(graph->outputs[i].name);
    free(graph->values);
    free(graph->nodes);
    free(graph->outputs);
    free(graph->gradients);
    free(graph);
}

bool mcf_graph_ok(const mcf_graph *graph)
{
    return graph->error.status == MCF_OK;
}

mcf_status mcf_graph_status(const mcf_graph *graph, mcf_error *err)
{
    if (err && !mcf_graph_ok(graph))
        *err = graph->error;
    return graph->error.status;
}

mcf_status mcf_graph_finish(mcf_graph *graph, mcf_graph **out, const char *what, mcf_error *err)
{
    mcf_status status = mcf_graph_status(graph, err);
    if (status != MCF_OK) {
        mcf_graph_destroy(graph);
        return mcf_add_context(err, status, "building %s", what);
    }
    *out = graph;
    return MCF_OK;
}

mcf_value mcf_graph_fail(mcf_graph *graph, mcf_status status, const char *format, ...)
{
    if (mcf_graph_ok(graph)) {
        va_list args;
        va_start(args, format);
        mcf_vfail(&graph->error, status, format, args);
        va_end(args);
    }
    return MCF_NO_VALUE;
}

int mcf_graph_world(const mcf_graph *graph)
{
    return graph->world;
}
mcf_dtype mcf_graph_compute(const mcf_graph *graph)
{
    return graph->compute;
}

// A failed graph answers with a scalar, so that model code can go on to its one check.
mcf_shape mcf_value_shape(const mcf_graph *graph, mcf_value value)
{
    return value >= 0 ? graph->values[value].shape : (mcf_shape){0};
}

int64_t mcf_value_dim(const mcf_graph *graph, mcf_value value, int axis)
{
    if (value < 0)
        return 1;
    const mcf_shape *shape = &graph->values[value].shape;
    if (axis < 0)
        axis += shape->rank;
    return axis >= 0 && axis < shape->rank ? shape->dim[axis] : 1;
}

mcf_dtype mcf_value_dtype(const mcf_graph *graph, mcf_value value)
{
    return value >= 0 ? graph->values[value].dtype : MCF_F32;
}

mcf_value mcf_new_value(mcf_graph *graph, const mcf_graph_value *value)
{
    if (!mcf_grow(&graph->values, graph->value_count, &graph->value_capacity, sizeof *graph->values))
        return mcf_graph_fail(graph, MCF_ERR_NOMEM, "graph: out of memory");
    mcf_value id = graph->value_count++;
    graph->values[id] = *value;
    if (value->view == MCF_VIEW_NONE)
        graph->values[id].base = id;
    return id;
}

static mcf_value new_leaf(mcf_graph *graph, mcf_dtype dtype, mcf_shape shape, mcf_place place)
{
    mcf_graph_value leaf = {
        .dtype = dtype, .shape = shape, .node = -1, .place = place, .entry = -1, .parent = MCF_NO_VALUE};
    mcf_contiguous_strides(&shape, leaf.stride);
    return mcf_new_value(graph, &leaf);
}

mcf_value mcf_input(mcf_graph *graph, const char *name, mcf_dtype dtype, mcf_shape shape)
{
    if (!mcf_graph_ok(graph))
        return MCF_NO_VALUE;
    for (int i = 0; i < graph->value_count; i++)
        if (graph->values[i].name && !strcmp(graph->values[i].name, name))
            return mcf_graph_fail(graph, MCF_ERR_INTERNAL, "graph: two inputs are named %s", name);
    mcf_value leaf = new_leaf(graph, dtype, shape, MCF_PLACE_INPUT);
    if (leaf >= 0 && !(graph->values[leaf].name = strdup(name)))
        return mcf_graph_fail(graph, MCF_ERR_NOMEM, "graph: out of memory");
    return leaf;
}

static mcf_value store_leaf(mcf_graph *graph, const mcf_store *store, int entry, mcf_place place, mcf_dtype dtype)
{
    if (!mcf_graph_ok(graph))
        return MCF_NO_VALUE;
    if (entry < 0 || entry >= store->count)
        return mcf_graph_fail(graph, MCF_ERR_INTERNAL, "graph: no parameter has number %d", entry);
    if (graph->store && graph->store != store)
        return mcf_graph_fail(graph, MCF_ERR_INTERNAL, "graph: parameters come from two stores");
    graph->store = store;
    // One leaf a parameter and type: what uses it twice shares it.
    for (int i = 0; i < graph->value_count; i++) {
        const mcf_graph_value *value = &graph->values[i];
        if (value->base == i && value->place == place && value->entry == entry && value->node == -1)
            return i;
    }
    const mcf_entry *e = &store->entries[entry];
    mcf_value leaf = new_leaf(graph, dtype, e->shape, place);
    if (leaf >= 0) {
        mcf_graph_value *value = &graph->values[leaf];
        value->entry = entry;
        value->role = e->role;
        value->role_offset = e->offset;
        value->requires_grad = e->role == MCF_ROLE_TRAINED && !e->frozen;
    }
    return leaf;
}

mcf_value mcf_param(mcf_graph *graph, const mcf_store *store, int entry)
{
    return store_leaf(graph, store, entry, MCF_PLACE_MASTER, MCF_F32);
}

mcf_value mcf_weight(mcf_graph *graph, const mcf_store *store, int entry)
{
    if (graph->compute == MCF_F32)
        return mcf_param(graph, store, entry);
    if (entry >= 0 && entry < store->count && !store->entries[entry].low_precision)
        return mcf_cast(graph, mcf_param(graph, store, entry), graph->compute);
    return store_leaf(graph, store, entry, MCF_PLACE_LOW, graph->compute);
}

mcf_value mcf_role_slice(mcf_graph *graph, const mcf_store *store, mcf_role role, int64_t begin, int64_t count)
{
    if (!mcf_graph_ok(graph))
        return MCF_NO_VALUE;
    if (begin < 0 || count < 0 || begin + count > store->role_count[role])
        return mcf_graph_fail(graph, MCF_ERR_INTERNAL, "graph: slice of a role is out of range");
    mcf_value leaf = new_leaf(graph, MCF_F32, MCF_SHAPE(count), MCF_PLACE_MASTER);
    if (leaf >= 0) {
        graph->values[leaf].role = role;
        graph->values[leaf].role_offset = begin;
    }
    return leaf;
}

void mcf_require_grad(mcf_graph *graph, mcf_value leaf)
{
    if (leaf >= 0)
        graph->values[leaf].requires_grad = true;
}

void mcf_recompute_begin(mcf_graph *graph)
{
    if (graph->recompute)
        mcf_graph_fail(graph, MCF_ERR_INTERNAL, "graph: recomputed blocks do not nest");
    graph->recompute = ++graph->recompute_count;
}

void mcf_recompute_end(mcf_graph *graph)
{
    graph->recompute = 0;
}

void mcf_output(mcf_graph *graph, mcf_value value, const char *name)
{
    if (!mcf_graph_ok(graph) || value < 0)
        return;
    if (!mcf_value_is_contiguous(graph, value))
        value = mcf_contiguous(graph, value);
    if (value < 0)
        return;
    char *copy = strdup(name);
    if (!copy || !mcf_grow(&graph->outputs, graph->output_count, &graph->output_capacity, sizeof *graph->outputs)) {
        free(copy);
        mcf_graph_fail(graph, MCF_ERR_NOMEM, "graph: out of memory");
        return;
    }
    graph->outputs[graph->output_count++] = (mcf_graph_output){copy, value};
    graph->values[graph->values[value].base].is_output = true;
}

// --- nodes

// Any address will do: shape rules only ask whether an operand is there.
static char present;

mcf_dtype mcf_statistics_dtype(const mcf_graph *graph, mcf_value x)
{
    return mcf_value_dtype(graph, x) == MCF_F64 ? MCF_F64 : MCF_F32;
}

// Types and shapes of a node's outputs by the operation's rule.
static mcf_status infer_outputs(mcf_graph *graph, const mcf_graph_node *node, mcf_dtype out_dtype,
                                mcf_operand out[MCF_MAX_OUTPUTS])
{
    mcf_launch launch = {.op = node->op, .attr = node->attr, .n_in = node->n_in, .n_out = node->n_out};
    for (int i = 0; i < node->n_in; i++) {
        if (node->in[i] < 0)
            continue;
        const mcf_graph_value *value = &graph->values[node->in[i]];
        launch.in[i].buffer = (mcf_buffer *)&present;
        launch.in[i].dtype = value->dtype;
        launch.in[i].shape = value->shape;
        memcpy(launch.in[i].stride, value->stride, sizeof value->stride);
    }
    for (int i = 0; i < node->n_out; i++) {
        launch.out[i].buffer = (mcf_buffer *)&present;
        launch.out[i].dtype = out_dtype;
    }
    MCF_TRY(mcf_infer_shapes(&launch, graph->world, &graph->error));
    memcpy(out, launch.out, sizeof launch.out);
    return MCF_OK;
}

int mcf_emit(mcf_graph *graph, mcf_op op, const mcf_attr *attr, const mcf_value *in, int n_in, mcf_dtype out_dtype)
{
    if (!mcf_graph_ok(graph))
        return -1;
    const mcf_op_info *info = mcf_op_describe(op);
    mcf_graph_node node = {.op = op, .n_in = n_in, .n_out = info->outputs, .recompute = graph->recompute};
    if (attr)
        node.attr = *attr;
    bool differentiable = false;
    for (int i = 0; i < n_in; i++) {
        node.in[i] = in[i];
        if (in[i] < 0) {
            if (i < info->inputs - info->optional) {
                mcf_graph_fail(graph, MCF_ERR_INTERNAL, "%s: input %d is missing", info->name, i);
                return -1;
            }
            continue;
        }
        if (!(info->strided >> i & 1u))
            node.in[i] = mcf_contiguous(graph, in[i]);
        if (node.in[i] < 0)
            return -1;
        differentiable = differentiable || graph->values[in[i]].requires_grad;
    }

    mcf_operand out[MCF_MAX_OUTPUTS];
    if (infer_outputs(graph, &node, out_dtype, out) != MCF_OK)
        return -1;
    for (int i = 0; i < info->outputs; i++) {
        mcf_graph_value value = {
            .dtype = out[i].dtype,
            .shape = out[i].shape,
            .node = graph->node_count,
            .place = MCF_PLACE_ARENA,
            .entry = -1,
            .parent = MCF_NO_VALUE,
            .requires_grad = differentiable,
        };
        mcf_contiguous_strides(&value.shape, value.stride);
        node.out[i] = mcf_new_value(graph, &value);
        if (node.out[i] < 0)
            return -1;
    }
    if (!mcf_grow(&graph->nodes, graph->node_count, &graph->node_capacity, sizeof *graph->nodes)) {
        mcf_graph_fail(graph, MCF_ERR_NOMEM, "graph: out of memory");
        return -1;
    }
    graph->nodes[graph->node_count] = node;
    return graph->node_count++;
}

mcf_value mcf_emit1(mcf_graph *graph, mcf_op op, const mcf_attr *attr, const mcf_value *in, int n_in,
                    mcf_dtype out_dtype)
{
    int node = mcf_emit(graph, op, attr, in, n_in, out_dtype);
    return node >= 0 ? graph->nodes[node].out[0] : MCF_NO_VALUE;
}

mcf_value mcf_copy(mcf_graph *graph, mcf_value x, mcf_dtype dtype)
{
    return mcf_emit1(graph, MCF_OP_copy, NULL, &x, 1, dtype);
}

mcf_value mcf_cast(mcf_graph *graph, mcf_value x, mcf_dtype dtype)
{
    return x < 0 || graph->values[x].dtype == dtype ? x : mcf_copy(graph, x, dtype);
}

// --- views

bool mcf_value_is_contiguous(const mcf_graph *graph, mcf_value value)
{
    const mcf_graph_value *v = &graph->values[value];
    mcf_operand operand = {.shape = v->shape};
    memcpy(operand.stride, v->stride, sizeof operand.stride);
    return mcf_operand_is_contiguous(&operand);
}

mcf_value mcf_contiguous(mcf_graph *graph, mcf_value value)
{
    if (value < 0 || mcf_value_is_contiguous(graph, value))
        return value;
    return mcf_copy(graph, value, graph->values[value].dtype);
}

static mcf_graph_value view_of(const mcf_graph *graph, mcf_value x, mcf_view view)
{
    mcf_graph_value value = graph->values[x];
    value.view = view;
    value.parent = x;
    value.name = NULL;
    value.is_output = false;
    return value;
}

mcf_value mcf_reshape(mcf_graph *graph, mcf_value x, mcf_shape shape)
{
    if (!mcf_graph_ok(graph) || x < 0)
        return MCF_NO_VALUE;
    int64_t count = mcf_shape_count(&graph->values[x].shape), known = 1;
    int open = -1;
    for (int i = 0; i < shape.rank; i++) {
        if (shape.dim[i] == -1)
            open = i;
        else
            known *= shape.dim[i];
    }
    if (open >= 0)
        shape.dim[open] = known ? count / known : 0;
    if (mcf_shape_count(&shape) != count) {
        char from[128], to[128];
        return mcf_graph_fail(graph, MCF_ERR_SHAPE, "reshape: %s does not fill %s",
                              mcf_shape_print(&graph->values[x].shape, from, sizeof from),
                              mcf_shape_print(&shape, to, sizeof to));
    }
    if (mcf_shape_equal(&shape, &graph->values[x].shape))
        return x;
    x = mcf_contiguous(graph, x);
    if (x < 0)
        return MCF_NO_VALUE;
    mcf_graph_value value = view_of(graph, x, MCF_VIEW_RESHAPE);
    value.shape = shape;
    mcf_contiguous_strides(&shape, value.stride);
    return mcf_new_value(graph, &value);
}

mcf_value mcf_permute(mcf_graph *graph, mcf_value x, const int *axes)
{
    if (!mcf_graph_ok(graph) || x < 0)
        return MCF_NO_VALUE;
    mcf_graph_value value = view_of(graph, x, MCF_VIEW_PERMUTE);
    const mcf_graph_value *parent = &graph->values[x];
    unsigned seen = 0;
    for (int i = 0; i < parent->shape.rank; i++) {
        if (axes[i] < 0 || axes[i] >= parent->shape.rank || seen >> axes[i] & 1u)
            return mcf_graph_fail(graph, MCF_ERR_SHAPE, "permute: the axes are no permutation");
        seen |= 1u << axes[i];
        value.shape.dim[i] = parent->shape.dim[axes[i]];
        value.stride[i] = parent->stride[axes[i]];
        value.axes[i] = axes[i];
    }
    return mcf_new_value(graph, &value);
}

mcf_value mcf_slice(mcf_graph *graph, mcf_value x, int axis, int64_t begin, int64_t count)
{
    if (!mcf_graph_ok(graph) || x < 0)
        return MCF_NO_VALUE;
    const mcf_shape *shape = &graph->values[x].shape;
    if (axis < 0 || axis >= shape->rank || begin < 0 || count < 0 || begin + count > shape->dim[axis]) {
        char text[128];
        return mcf_graph_fail(graph, MCF_ERR_SHAPE, "slice: [%lld, %lld) of axis %d is outside %s", (long long)begin,
                              (long long)(begin + count), axis, mcf_shape_print(shape, text, sizeof text));
    }
    if (begin == 0 && count == shape->dim[axis])
        return x;
    mcf_graph_value value = view_of(graph, x, MCF_VIEW_SLICE);
    value.shape.dim[axis] = count;
    value.offset += begin * value.stride[axis];
    value.axes[0] = axis;
    value.begin = begin;
    return mcf_new_value(graph, &value);
}

mcf_value mcf_expand(mcf_graph *graph, mcf_value x, mcf_shape shape)
{
    if (!mcf_graph_ok(graph) || x < 0)
        return MCF_NO_VALUE;
    const mcf_graph_value *parent = &graph->values[x];
    if (mcf_shape_equal(&shape, &parent->shape))
        return x;
    mcf_graph_value value = view_of(graph, x, MCF_VIEW_EXPAND);
    int added = shape.rank - parent->shape.rank;
    bool fits = added >= 0;
    for (int i = 0; fits && i < shape.rank; i++) {
        int64_t size = i < added ? 1 : parent->shape.dim[i - added];
        fits = size == shape.dim[i] || size == 1;
        value.stride[i] = i >= added && size == shape.dim[i] ? parent->stride[i - added] : 0;
    }
    if (!fits) {
        char from[128], to[128];
        return mcf_graph_fail(graph, MCF_ERR_SHAPE, "expand: %s does not repeat to %s",
                              mcf_shape_print(&parent->shape, from, sizeof from),
                              mcf_shape_print(&shape, to, sizeof to));
    }
    value.shape = shape;
    return mcf_new_value(graph, &value);
}

mcf_value mcf_detach(mcf_graph *graph, mcf_value x)
{
    if (!mcf_graph_ok(graph) || x < 0 || !graph->values[x].requires_grad)
        return x;
    mcf_graph_value value = view_of(graph, x, MCF_VIEW_DETACH);
    value.requires_grad = false;
    return mcf_new_value(graph, &value);
}
