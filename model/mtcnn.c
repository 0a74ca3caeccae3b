#include "model/mtcnn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/load.h"

// A layer of the store: its tensors are those of `parts`, one below another.
typedef struct {
    const char *name;
    int out, in, kernel; // kernel 0: dense
    const char *slope;
    const char *parts[3];
    int rows[3];
} layer_row;

static const layer_row p_rows[] = {
    {"pnet.conv1", 10, 3, 3, "pnet.prelu1", {"pnet.conv1"}, {10}},
    {"pnet.conv2", 16, 10, 3, "pnet.prelu2", {"pnet.conv2"}, {16}},
    {"pnet.conv3", 32, 16, 3, "pnet.prelu3", {"pnet.conv3"}, {32}},
    {"pnet.conv4", 6, 32, 1, NULL, {"pnet.conv4_1", "pnet.conv4_2"}, {2, 4}},
};
static const layer_row r_rows[] = {
    {"rnet.conv1", 28, 3, 3, "rnet.prelu1", {"rnet.conv1"}, {28}},
    {"rnet.conv2", 48, 28, 3, "rnet.prelu2", {"rnet.conv2"}, {48}},
    {"rnet.conv3", 64, 48, 2, "rnet.prelu3", {"rnet.conv3"}, {64}},
    {"rnet.dense4", 128, 576, 0, "rnet.prelu4", {"rnet.dense4"}, {128}},
    {"rnet.dense5", 6, 128, 0, NULL, {"rnet.dense5_1", "rnet.dense5_2"}, {2, 4}},
};
static const layer_row o_rows[] = {
    {"onet.conv1", 32, 3, 3, "onet.prelu1", {"onet.conv1"}, {32}},
    {"onet.conv2", 64, 32, 3, "onet.prelu2", {"onet.conv2"}, {64}},
    {"onet.conv3", 64, 64, 3, "onet.prelu3", {"onet.conv3"}, {64}},
    {"onet.conv4", 128, 64, 2, "onet.prelu4", {"onet.conv4"}, {128}},
    {"onet.dense5", 256, 1152, 0, "onet.prelu5", {"onet.dense5"}, {256}},
    {"onet.dense6", 16, 256, 0, NULL, {"onet.dense6_1", "onet.dense6_2", "onet.dense6_3"}, {2, 4, 10}},
};
enum { P_LAYERS = sizeof p_rows / sizeof *p_rows, R_LAYERS = sizeof r_rows / sizeof *r_rows };
enum { O_LAYERS = sizeof o_rows / sizeof *o_rows };

static mcf_shape weight_shape(const layer_row *row, int64_t out)
{
    return row->kernel ? MCF_SHAPE(out, row->in, row->kernel, row->kernel) : MCF_SHAPE(out, row->in);
}

static mcf_status add_layers(const layer_row *rows, int count, mcf_mtcnn_layer *layers, mcf_store *store,
                             mcf_error *err)
{
    char name[64];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%s.weight", rows[i].name);
        layers[i].weight = mcf_store_add(store, name, weight_shape(&rows[i], rows[i].out), MCF_ROLE_FROZEN, false);
        snprintf(name, sizeof name, "%s.bias", rows[i].name);
        layers[i].bias = mcf_store_add(store, name, MCF_SHAPE(rows[i].out), MCF_ROLE_FROZEN, false);
        layers[i].slope = -1;
        if (rows[i].slope) {
            snprintf(name, sizeof name, "%s.weight", rows[i].slope);
            layers[i].slope = mcf_store_add(store, name, MCF_SHAPE(rows[i].out), MCF_ROLE_FROZEN, false);
        }
        if (layers[i].weight < 0 || layers[i].bias < 0 || (rows[i].slope && layers[i].slope < 0))
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the detector's parameters");
    }
    return MCF_OK;
}

mcf_status mcf_mtcnn_add(mcf_mtcnn *net, unsigned nets, mcf_store *store, mcf_error *err)
{
    *net = (mcf_mtcnn){.nets = nets};
    if (nets & MCF_MTCNN_P)
        MCF_TRY(add_layers(p_rows, P_LAYERS, net->p, store, err));
    if (nets & MCF_MTCNN_R)
        MCF_TRY(add_layers(r_rows, R_LAYERS, net->r, store, err));
    if (nets & MCF_MTCNN_O)
        MCF_TRY(add_layers(o_rows, O_LAYERS, net->o, store, err));
    return MCF_OK;
}

// --- loading

typedef struct {
    const mcf_safetensors *file;
    mcf_runtime *runtime;
    mcf_load_report report;
} loading;

// The tensors part.suffix one below another into one entry.
static mcf_status load_entry(loading *l, const layer_row *row, const char *suffix, int entry, mcf_error *err)
{
    const bool weight = !strcmp(suffix, "weight");
    const mcf_entry *to = &mcf_runtime_store(l->runtime)->entries[entry];
    float *values = malloc((size_t)to->count * sizeof *values);
    if (!values)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the detector's parameters");
    mcf_status status = MCF_OK;
    bool complete = true;
    for (int part = 0, at = 0; part < 3 && row->parts[part] && status == MCF_OK; at += row->rows[part++]) {
        char name[80];
        snprintf(name, sizeof name, "%s.%s", row->parts[part], suffix);
        const mcf_safetensors_entry *from = mcf_safetensors_find(l->file, name);
        const mcf_shape wanted = weight ? weight_shape(row, row->rows[part]) : MCF_SHAPE(row->rows[part]);
        if (!from)
            mcf_load_missing(&l->report, name);
        else if (!mcf_shape_equal(&from->shape, &wanted))
            mcf_load_misshapen(&l->report, name, &from->shape, &wanted);
        else
            status = mcf_safetensors_read_f32(l->file, from, values + at * (to->count / row->out), err);
        complete = complete && from && mcf_shape_equal(&from->shape, &wanted);
    }
    if (status == MCF_OK && complete)
        status = mcf_runtime_write(l->runtime, MCF_ARRAY_MASTER, entry, values, err);
    free(values);
    return status;
}

static mcf_status load_slope(loading *l, const char *layer, int entry, mcf_error *err)
{
    const mcf_shape *wanted = &mcf_runtime_store(l->runtime)->entries[entry].shape;
    float values[256]; // the widest layer
    char name[80];
    snprintf(name, sizeof name, "%s.weight", layer);
    const mcf_safetensors_entry *from = mcf_safetensors_find(l->file, name);
    if (from && mcf_shape_equal(&from->shape, wanted)) {
        MCF_TRY(mcf_safetensors_read_f32(l->file, from, values, err));
        return mcf_runtime_write(l->runtime, MCF_ARRAY_MASTER, entry, values, err);
    }
    if (from)
        mcf_load_misshapen(&l->report, name, &from->shape, wanted);
    else
        mcf_load_missing(&l->report, name);
    return MCF_OK;
}

static mcf_status load_layers(loading *l, const layer_row *rows, int count, const mcf_mtcnn_layer *layers,
                              mcf_error *err)
{
    for (int i = 0; i < count; i++) {
        MCF_TRY(load_entry(l, &rows[i], "weight", layers[i].weight, err));
        MCF_TRY(load_entry(l, &rows[i], "bias", layers[i].bias, err));
        if (!rows[i].slope)
            continue;
        MCF_TRY(load_slope(l, rows[i].slope, layers[i].slope, err));
    }
    return MCF_OK;
}

mcf_status mcf_mtcnn_load(const mcf_mtcnn *net, const mcf_safetensors *file, mcf_runtime *runtime, mcf_error *err)
{
    loading l = {.file = file, .runtime = runtime};
    if (net->nets & MCF_MTCNN_P)
        MCF_TRY(load_layers(&l, p_rows, P_LAYERS, net->p, err));
    if (net->nets & MCF_MTCNN_R)
        MCF_TRY(load_layers(&l, r_rows, R_LAYERS, net->r, err));
    if (net->nets & MCF_MTCNN_O)
        MCF_TRY(load_layers(&l, o_rows, O_LAYERS, net->o, err));
    return mcf_load_conclude(&l.report, mcf_safetensors_path(file), err);
}

// --- graphs

static mcf_value prelu(mcf_graph *g, const mcf_store *store, const mcf_mtcnn_layer *layer, mcf_value x)
{
    return layer->slope < 0 ? x : mcf_prelu(g, x, mcf_param(g, store, layer->slope));
}

static mcf_value conv(mcf_graph *g, const mcf_store *store, const mcf_mtcnn_layer *layer, mcf_value x)
{
    const mcf_conv_options options = {.out = MCF_F32};
    x = mcf_conv2d(g, x, mcf_weight(g, store, layer->weight), mcf_param(g, store, layer->bias), &options);
    return prelu(g, store, layer, x);
}

static mcf_value dense(mcf_graph *g, const mcf_store *store, const mcf_mtcnn_layer *layer, mcf_value x)
{
    x = mcf_linear(g, x, mcf_weight(g, store, layer->weight), mcf_param(g, store, layer->bias), MCF_F32);
    return prelu(g, store, layer, x);
}

// [B,H,W,C] -> [B, W*H*C], the order in which the dense layers were trained.
static mcf_value flatten(mcf_graph *g, mcf_value x)
{
    const int64_t batch = mcf_value_dim(g, x, 0);
    return mcf_reshape(g, mcf_permute(g, x, (const int[]){0, 2, 1, 3}), MCF_SHAPE(batch, -1));
}

static mcf_status finish(mcf_graph *g, mcf_value out, mcf_graph **graph, mcf_error *err)
{
    mcf_output(g, out, "out");
    mcf_status status = mcf_graph_status(g, err);
    if (status != MCF_OK) {
        mcf_graph_destroy(g);
        return mcf_add_context(err, status, "the detector's graph");
    }
    *graph = g;
    return MCF_OK;
}

static mcf_status begin(mcf_graph **graph, mcf_error *err)
{
    *graph = mcf_graph_create(1, MCF_F32);
    return *graph ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for a graph");
}

int64_t mcf_mtcnn_cells(int64_t side)
{
    return (side - 1) / 2 - 4;
}

mcf_status mcf_mtcnn_p_graph(const mcf_mtcnn *net, const mcf_store *store, int64_t height, int64_t width,
                             mcf_graph **graph, mcf_error *err)
{
    mcf_graph *g;
    MCF_TRY(begin(&g, err));
    mcf_value x = mcf_input(g, "image", MCF_F32, MCF_SHAPE(1, height, width, 3));
    mcf_value edge = mcf_input(g, "edge", MCF_F32, MCF_SHAPE(1, height - 2, width - 2, 1));
    x = conv(g, store, &net->p[0], x);
    x = mcf_add(g, x, mcf_expand(g, edge, mcf_value_shape(g, x)));
    x = mcf_max_pool(g, x, 2, 2, true);
    for (int i = 1; i < P_LAYERS; i++)
        x = conv(g, store, &net->p[i], x);
    return finish(g, mcf_reshape(g, x, MCF_SHAPE(-1, 6)), graph, err);
}

mcf_status mcf_mtcnn_r_graph(const mcf_mtcnn *net, const mcf_store *store, int64_t batch, mcf_graph **graph,
                             mcf_error *err)
{
    mcf_graph *g;
    MCF_TRY(begin(&g, err));
    mcf_value x = mcf_input(g, "image", MCF_F32, MCF_SHAPE(batch, MCF_MTCNN_R_SIDE, MCF_MTCNN_R_SIDE, 3));
    x = mcf_max_pool(g, conv(g, store, &net->r[0], x), 3, 2, true);
    x = mcf_max_pool(g, conv(g, store, &net->r[1], x), 3, 2, true);
    x = flatten(g, conv(g, store, &net->r[2], x));
    x = dense(g, store, &net->r[3], x);
    return finish(g, dense(g, store, &net->r[4], x), graph, err);
}

mcf_status mcf_mtcnn_o_graph(const mcf_mtcnn *net, const mcf_store *store, int64_t batch, mcf_graph **graph,
                             mcf_error *err)
{
    mcf_graph *g;
    MCF_TRY(begin(&g, err));
    mcf_value x = mcf_input(g, "image", MCF_F32, MCF_SHAPE(batch, MCF_MTCNN_O_SIDE, MCF_MTCNN_O_SIDE, 3));
    x = mcf_max_pool(g, conv(g, store, &net->o[0], x), 3, 2, true);
    x = mcf_max_pool(g, conv(g, store, &net->o[1], x), 3, 2, true);
    x = mcf_max_pool(g, conv(g, store, &net->o[2], x), 2, 2, true);
    x = flatten(g, conv(g, store, &net->o[3], x));
    x = dense(g, store, &net->o[4], x);
    return finish(g, dense(g, store, &net->o[5], x), graph, err);
}
