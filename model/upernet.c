#include "model/upernet.h"

#include <stdio.h>

mcf_status mcf_upernet_add(mcf_store *store, const char *prefix, int64_t in, const mcf_head_options *options,
                           mcf_role role, mcf_upernet *head, mcf_error *err)
{
    const int64_t width = options->channels;
    char name[128];
    head->scales = options->pool_scale_count;
#define AT(...) (snprintf(name, sizeof name, __VA_ARGS__), name)
    for (int i = 0; i < head->scales; i++) {
        head->pool_scale[i] = options->pool_scales[i];
        // .1 is the layer's place behind the pool in the authors' nn.Sequential.
        MCF_TRY(
            mcf_conv_layer_add(store, AT("%s.psp_modules.%d.1", prefix, i), width, in, 1, role, &head->pool[i], err));
    }
    MCF_TRY(mcf_conv_layer_add(store, AT("%s.bottleneck", prefix), width, in + head->scales * width, 3, role,
                               &head->bottleneck, err));
    for (int i = 0; i < MCF_LEVELS - 1; i++) {
        MCF_TRY(mcf_conv_layer_add(store, AT("%s.lateral_convs.%d", prefix, i), width, in, 1, role, &head->lateral[i],
                                   err));
        MCF_TRY(mcf_conv_layer_add(store, AT("%s.fpn_convs.%d", prefix, i), width, width, 3, role, &head->fpn[i], err));
    }
    MCF_TRY(mcf_conv_layer_add(store, AT("%s.fpn_bottleneck", prefix), width, MCF_LEVELS * width, 3, role,
                               &head->fpn_bottleneck, err));
    MCF_TRY(mcf_entry_add(store, prefix, ".conv_seg.weight", MCF_SHAPE(options->outputs, width, 1, 1), role, true,
                          &head->conv_seg.weight, err));
    return mcf_entry_add(store, prefix, ".conv_seg.bias", MCF_SHAPE(options->outputs), role, false,
                         &head->conv_seg.bias, err);
#undef AT
}

static mcf_value resized_as(mcf_graph *graph, mcf_value x, mcf_value like)
{
    return mcf_resize_bilinear(graph, x, mcf_value_dim(graph, like, 1), mcf_value_dim(graph, like, 2));
}

// Pyramid pooling (Zhao et al. 2017) of the smallest level.
static mcf_value pooled(mcf_graph *graph, const mcf_conv_mode *mode, const mcf_upernet *head, mcf_value x)
{
    mcf_value joined = mcf_cast(graph, x, mcf_graph_compute(graph));
    for (int i = 0; i < head->scales; i++) {
        mcf_value bins = mcf_adaptive_avg_pool(graph, x, head->pool_scale[i], head->pool_scale[i]);
        bins = mcf_conv_layer_forward(graph, mode, &head->pool[i], bins);
        joined = mcf_concat(graph, joined, resized_as(graph, bins, x), 3);
    }
    return mcf_conv_layer_forward(graph, mode, &head->bottleneck, joined);
}

mcf_value mcf_upernet_forward(mcf_graph *graph, const mcf_conv_mode *mode, const mcf_upernet *head,
                              const mcf_value levels[MCF_LEVELS], mcf_value keep)
{
    mcf_value x[MCF_LEVELS];
    for (int i = 0; i < MCF_LEVELS - 1; i++)
        x[i] = mcf_conv_layer_forward(graph, mode, &head->lateral[i], levels[i]);
    x[MCF_LEVELS - 1] = pooled(graph, mode, head, levels[MCF_LEVELS - 1]);
    for (int i = MCF_LEVELS - 1; i > 0; i--)
        x[i - 1] = mcf_add(graph, x[i - 1], resized_as(graph, x[i], x[i - 1]));
    for (int i = 0; i < MCF_LEVELS; i++) {
        if (i < MCF_LEVELS - 1)
            x[i] = mcf_conv_layer_forward(graph, mode, &head->fpn[i], x[i]);
        x[i] = i ? resized_as(graph, x[i], x[0]) : x[i];
    }
    // In pairs: joined one by one, the maps would be copied once more.
    mcf_value y = mcf_concat(graph, mcf_concat(graph, x[0], x[1], 3), mcf_concat(graph, x[2], x[3], 3), 3);
    y = mcf_conv_layer_forward(graph, mode, &head->fpn_bottleneck, y);
    if (keep != MCF_NO_VALUE)
        y = mcf_channel_dropout(graph, y, keep);
    return mcf_linear_layer(graph, mode->store, head->conv_seg, y, MCF_F32);
}
