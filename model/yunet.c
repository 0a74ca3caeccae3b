#include "model/yunet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/load.h"

// --- parameters

typedef struct {
    const char *name;
    int in, out;
} unit_row;

enum { BACKBONE = 11, CHANNELS = 64 };
static const unit_row backbone_rows[BACKBONE] = {
    {"backbone__model0_dp", 16, 16},  {"backbone__model1_dp1", 16, 16}, {"backbone__model1_dp2", 16, 32},
    {"backbone__model2_dp1", 32, 32}, {"backbone__model2_dp2", 32, 64}, {"backbone__model3_dp1", 64, 64},
    {"backbone__model3_dp2", 64, 64}, {"backbone__model4_dp1", 64, 64}, {"backbone__model4_dp2", 64, 64},
    {"backbone__model5_dp1", 64, 64}, {"backbone__model5_dp2", 64, 64},
};
// The four parts of a head, in the order of its outputs.
static const struct {
    const char *name;
    int out;
} head_parts[] = {{"cls", 1}, {"obj", 1}, {"bbox", 4}, {"kps", 10}};
enum { HEAD_PARTS = sizeof head_parts / sizeof *head_parts };

static mcf_status add_layer(mcf_yunet_layer *layer, mcf_store *store, const char *name, mcf_shape weight,
                            mcf_error *err)
{
    char full[96];
    snprintf(full, sizeof full, "%s_weight", name);
    layer->weight = mcf_store_add(store, full, weight, MCF_ROLE_FROZEN, false);
    snprintf(full, sizeof full, "%s_bias", name);
    layer->bias = mcf_store_add(store, full, MCF_SHAPE(weight.dim[0]), MCF_ROLE_FROZEN, false);
    return layer->weight >= 0 && layer->bias >= 0 ? MCF_OK
                                                  : mcf_fail(err, MCF_ERR_NOMEM, "no memory for YuNet's parameters");
}

static mcf_status add_unit(mcf_yunet_unit *unit, mcf_store *store, const char *name, int in, int out, mcf_error *err)
{
    char full[80];
    snprintf(full, sizeof full, "%s_pw", name);
    MCF_TRY(add_layer(&unit->pointwise, store, full, MCF_SHAPE(out, in, 1, 1), err));
    snprintf(full, sizeof full, "%s_dw", name);
    return add_layer(&unit->depthwise, store, full, MCF_SHAPE(out, 1, 3, 3), err);
}

mcf_status mcf_yunet_add(mcf_yunet *net, mcf_store *store, mcf_error *err)
{
    MCF_TRY(add_layer(&net->stem, store, "backbone__model0_pw", MCF_SHAPE(16, 3, 3, 3), err));
    for (int i = 0; i < BACKBONE; i++)
        MCF_TRY(
            add_unit(&net->backbone[i], store, backbone_rows[i].name, backbone_rows[i].in, backbone_rows[i].out, err));
    for (int i = 0; i < MCF_YUNET_LEVELS; i++) {
        char name[48];
        snprintf(name, sizeof name, "neck__lateral_convs__%d", i);
        MCF_TRY(add_unit(&net->neck[i], store, name, CHANNELS, CHANNELS, err));
        snprintf(name, sizeof name, "bbox_head__%d", i);
        MCF_TRY(add_unit(&net->head[i], store, name, CHANNELS, MCF_YUNET_OUT, err));
    }
    return MCF_OK;
}

typedef struct {
    const mcf_safetensors *file;
    mcf_runtime *runtime;
    mcf_load_report report;
} loading;

// The array NAME_KIND of `count` numbers; zeros, and noted, where it is not there or has another size.
static mcf_status read_array(loading *l, const char *name, const char *kind, int count, float *values, mcf_error *err)
{
    char full[112];
    snprintf(full, sizeof full, "%s_%s", name, kind);
    memset(values, 0, (size_t)count * sizeof *values);
    const mcf_safetensors_entry *entry = mcf_safetensors_find(l->file, full);
    const mcf_shape wanted = MCF_SHAPE(count);
    if (!entry)
        mcf_load_missing(&l->report, full);
    else if (entry->count != (uint64_t)count)
        mcf_load_misshapen(&l->report, full, &entry->shape, &wanted);
    else
        return mcf_safetensors_read_f32(l->file, entry, values, err);
    return MCF_OK;
}

static mcf_status write(loading *l, int entry, const float *values, mcf_error *err)
{
    return mcf_runtime_write(l->runtime, MCF_ARRAY_MASTER, entry, values, err);
}

// The outputs [at, at + out) of a unit of `all` outputs, from arrays of the name, into the unit's host arrays.
typedef struct {
    float pointwise[CHANNELS * CHANNELS], pointwise_bias[CHANNELS], depthwise[CHANNELS * 9], depthwise_bias[CHANNELS];
} unit_values;

static mcf_status read_unit(loading *l, const char *name, int in, int out, int at, unit_values *v, mcf_error *err)
{
    char full[96];
    float taps[CHANNELS * 9];
    snprintf(full, sizeof full, "%s_pw", name);
    MCF_TRY(read_array(l, full, "weight", in * out, v->pointwise + at * in, err));
    MCF_TRY(read_array(l, full, "bias", out, v->pointwise_bias + at, err));
    snprintf(full, sizeof full, "%s_dw", name);
    MCF_TRY(read_array(l, full, "weight", 9 * out, taps, err));
    MCF_TRY(read_array(l, full, "bias", out, v->depthwise_bias + at, err));
    for (int tap = 0; tap < 9; tap++)
        for (int c = 0; c < out; c++)
            v->depthwise[(at + c) * 9 + tap] = taps[tap * out + c];
    return MCF_OK;
}

static mcf_status write_unit(loading *l, const mcf_yunet_unit *unit, const unit_values *v, mcf_error *err)
{
    MCF_TRY(write(l, unit->pointwise.weight, v->pointwise, err));
    MCF_TRY(write(l, unit->pointwise.bias, v->pointwise_bias, err));
    MCF_TRY(write(l, unit->depthwise.weight, v->depthwise, err));
    return write(l, unit->depthwise.bias, v->depthwise_bias, err);
}

static mcf_status load_stem(loading *l, const mcf_yunet_layer *stem, mcf_error *err)
{
    float stored[16 * 32], weight[16 * 27], bias[16];
    MCF_TRY(read_array(l, "backbone__model0_pw", "weight", 16 * 32, stored, err));
    MCF_TRY(read_array(l, "backbone__model0_pw", "bias", 16, bias, err));
    for (int o = 0; o < 16; o++)
        for (int tap = 0; tap < 9; tap++)
            for (int c = 0; c < 3; c++)
                weight[o * 27 + c * 9 + tap] = stored[o * 32 + tap * 3 + c];
    MCF_TRY(write(l, stem->weight, weight, err));
    return write(l, stem->bias, bias, err);
}

static mcf_status load_units(loading *l, const mcf_yunet *net, unit_values *v, mcf_error *err)
{
    char name[80];
    for (int i = 0; i < BACKBONE; i++) {
        MCF_TRY(read_unit(l, backbone_rows[i].name, backbone_rows[i].in, backbone_rows[i].out, 0, v, err));
        MCF_TRY(write_unit(l, &net->backbone[i], v, err));
    }
    for (int i = 0; i < MCF_YUNET_LEVELS; i++) {
        snprintf(name, sizeof name, "neck__lateral_convs__%d", i);
        MCF_TRY(read_unit(l, name, CHANNELS, CHANNELS, 0, v, err));
        MCF_TRY(write_unit(l, &net->neck[i], v, err));
        for (int part = 0, at = 0; part < HEAD_PARTS; at += head_parts[part++].out) {
            snprintf(name, sizeof name, "bbox_head__multi_level_%s__%d", head_parts[part].name, i);
            MCF_TRY(read_unit(l, name, CHANNELS, head_parts[part].out, at, v, err));
        }
        MCF_TRY(write_unit(l, &net->head[i], v, err));
    }
    return MCF_OK;
}

mcf_status mcf_yunet_load(const mcf_yunet *net, const mcf_safetensors *file, mcf_runtime *runtime, mcf_error *err)
{
    loading l = {.file = file, .runtime = runtime};
    unit_values *values = calloc(1, sizeof *values);
    if (!values)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for YuNet's parameters");
    mcf_status status = load_stem(&l, &net->stem, err);
    if (status == MCF_OK)
        status = load_units(&l, net, values, err);
    free(values);
    MCF_TRY(status);
    return mcf_load_conclude(&l.report, mcf_safetensors_path(file), err);
}

// --- the graph

static mcf_value conv(mcf_graph *g, const mcf_store *store, const mcf_yunet_layer *layer, mcf_value x,
                      mcf_conv_options options)
{
    options.out = MCF_F32;
    return mcf_conv2d(g, x, mcf_weight(g, store, layer->weight), mcf_param(g, store, layer->bias), &options);
}

static mcf_value unit(mcf_graph *g, const mcf_store *store, const mcf_yunet_unit *u, mcf_value x, bool relu)
{
    x = conv(g, store, &u->pointwise, x, (mcf_conv_options){0});
    x = conv(g, store, &u->depthwise, x, (mcf_conv_options){.pad = 1, .groups = mcf_value_dim(g, x, 3)});
    return relu ? mcf_relu(g, x) : x;
}

// fine + the coarse map with every cell doubled in both directions: rows and columns become pairs, over which the coarse
// one is repeated.
static mcf_value add_doubled(mcf_graph *g, mcf_value fine, mcf_value coarse)
{
    const int64_t h = mcf_value_dim(g, coarse, 1), w = mcf_value_dim(g, coarse, 2), c = mcf_value_dim(g, coarse, 3);
    mcf_value pairs = mcf_reshape(g, fine, MCF_SHAPE(h, 2, w, 2, c));
    coarse = mcf_expand(g, mcf_reshape(g, coarse, MCF_SHAPE(h, 1, w, 1, c)), MCF_SHAPE(h, 2, w, 2, c));
    return mcf_reshape(g, mcf_add(g, pairs, coarse), MCF_SHAPE(1, 2 * h, 2 * w, c));
}

mcf_status mcf_yunet_graph(const mcf_yunet *net, const mcf_store *store, int64_t height, int64_t width,
                           mcf_graph **graph, mcf_error *err)
{
    static const bool pool_before[BACKBONE] = {[1] = true, [5] = true, [7] = true, [9] = true};
    mcf_graph *g = mcf_graph_create(1, MCF_F32);
    if (!g)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a graph");
    mcf_value map[MCF_YUNET_LEVELS];
    mcf_value x = mcf_input(g, "image", MCF_F32, MCF_SHAPE(1, height, width, 3));
    x = mcf_relu(g, conv(g, store, &net->stem, x, (mcf_conv_options){.stride = 2, .pad = 1}));
    for (int i = 0; i < BACKBONE; i++) {
        if (pool_before[i])
            x = mcf_max_pool(g, x, 2, 2, false);
        x = unit(g, store, &net->backbone[i], x, true);
        if (i >= 6 && i % 2 == 0)
            map[i / 2 - 3] = x;
    }
    for (int level = MCF_YUNET_LEVELS - 1; level >= 0; level--) {
        if (level < MCF_YUNET_LEVELS - 1)
            map[level] = add_doubled(g, map[level], map[level + 1]);
        map[level] = unit(g, store, &net->neck[level], map[level], true);
        char name[8];
        snprintf(name, sizeof name, "out%d", level);
        mcf_value out = unit(g, store, &net->head[level], map[level], false);
        mcf_output(g, mcf_reshape(g, out, MCF_SHAPE(-1, MCF_YUNET_OUT)), name);
    }
    mcf_status status = mcf_graph_status(g, err);
    if (status != MCF_OK) {
        mcf_graph_destroy(g);
        return mcf_add_context(err, status, "YuNet's graph");
    }
    *graph = g;
    return MCF_OK;
}
