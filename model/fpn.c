// The pyramid between a ViT and UperNet: names `fpn.0.*` and `fpn.1.*` as in FaRL's nn.Sequential.
#include <stdio.h>

#include "model/upernet.h"

mcf_status mcf_pyramid_add(mcf_store *store, const char *prefix, int64_t dim, mcf_role role, mcf_pyramid *pyramid,
                           mcf_error *err)
{
    char name[128];
#define AT(part) (snprintf(name, sizeof name, "%s.%s", prefix, part), name)
    MCF_TRY(mcf_conv_transpose_add(store, AT("0.0"), dim, dim, role, &pyramid->up1, err));
    MCF_TRY(mcf_norm_2d_add(store, AT("0.1"), dim, role, &pyramid->norm, err));
    MCF_TRY(mcf_conv_transpose_add(store, AT("0.3"), dim, dim, role, &pyramid->up2, err));
    return mcf_conv_transpose_add(store, AT("1.0"), dim, dim, role, &pyramid->up, err);
#undef AT
}

void mcf_pyramid_forward(mcf_graph *graph, const mcf_conv_mode *mode, const mcf_pyramid *pyramid,
                         const mcf_value maps[MCF_LEVELS], mcf_value levels[MCF_LEVELS])
{
    mcf_value x = mcf_conv_transpose_forward(graph, mode->store, pyramid->up1, maps[0]);
    x = mcf_gelu(graph, mcf_norm_2d_forward(graph, mode, &pyramid->norm, x));
    levels[0] = mcf_conv_transpose_forward(graph, mode->store, pyramid->up2, x);
    levels[1] = mcf_conv_transpose_forward(graph, mode->store, pyramid->up, maps[1]);
    levels[2] = maps[2];
    levels[3] = mcf_max_pool(graph, maps[3], 2, 2, false);
}
