#include "model/projector.h"

#include <stdio.h>

// Numbers in names are places in the authors' nn.Sequential: product, BatchNorm, ReLU, product, BatchNorm.
mcf_status mcf_projector_add(mcf_store *store, const char *prefix, int64_t in, int64_t hidden, int64_t out,
                             bool out_norm, mcf_role role, mcf_projector *projector, mcf_error *err)
{
    char name[128];
    projector->mean2 = projector->var2 = -1;
    snprintf(name, sizeof name, "%s.0", prefix);
    MCF_TRY(mcf_linear_add(store, name, hidden, in, false, role, &projector->linear1, err));
    snprintf(name, sizeof name, "%s.1", prefix);
    MCF_TRY(mcf_norm_add(store, name, hidden, role, &projector->norm1, err));
    MCF_TRY(mcf_statistics_add(store, name, hidden, &projector->mean1, &projector->var1, err));
    snprintf(name, sizeof name, "%s.3", prefix);
    MCF_TRY(mcf_linear_add(store, name, out, hidden, false, role, &projector->linear2, err));
    snprintf(name, sizeof name, "%s.4", prefix);
    return out_norm ? mcf_statistics_add(store, name, out, &projector->mean2, &projector->var2, err) : MCF_OK;
}

void mcf_projector_init(const mcf_init *init, const mcf_projector *p)
{
    mcf_init_linear(init, p->linear1);
    mcf_init_norm(init, p->norm1);
    mcf_init_fill(init, p->var1, 1);
    mcf_init_linear(init, p->linear2);
    if (p->var2 >= 0)
        mcf_init_fill(init, p->var2, 1);
}

static mcf_value batch_norm(mcf_graph *graph, const mcf_store *store, const mcf_model_options *options,
                            mcf_affine affine, int mean, int var, mcf_value x)
{
    return mcf_batch_norm_layer(graph, store, affine, mean, var, options->batchnorm_groups, options->sync_batchnorm, x);
}

mcf_value mcf_projector_forward(mcf_graph *graph, const mcf_store *store, const mcf_model_options *options,
                                const mcf_projector *projector, mcf_value x)
{
    x = mcf_linear_layer(graph, store, projector->linear1, x, MCF_F32);
    x = batch_norm(graph, store, options, projector->norm1, projector->mean1, projector->var1, x);
    x = mcf_linear_layer(graph, store, projector->linear2, mcf_relu(graph, x), MCF_F32);
    if (projector->mean2 >= 0)
        x = batch_norm(graph, store, options, (mcf_affine){-1, -1}, projector->mean2, projector->var2, x);
    return x;
}
