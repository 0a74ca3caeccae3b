// Heads and predictor of the contrastive branch.
#include <stdio.h>

#include "model/parts.h"

mcf_status mcf_statistics_add(mcf_store *store, const char *name, int64_t dim, int *mean, int *var, mcf_error *err)
{
    char full[256];
    snprintf(full, sizeof full, "%s.running_mean", name);
    *mean = mcf_store_add(store, full, MCF_SHAPE(dim), MCF_ROLE_STATS, false);
    snprintf(full, sizeof full, "%s.running_var", name);
    *var = mcf_store_add(store, full, MCF_SHAPE(dim), MCF_ROLE_STATS, false);
    if (*mean < 0 || *var < 0)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the statistics of %s", name);
    return MCF_OK;
}

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

mcf_value mcf_batch_norm_layer(mcf_graph *graph, const mcf_pretrain_model *model, mcf_affine affine, int mean, int var,
                               mcf_value x)
{
    const mcf_store *store = &model->store;
    mcf_batch_norm_options options = {
        .gamma = affine.weight < 0 ? MCF_NO_VALUE : mcf_param(graph, store, affine.weight),
        .beta = affine.bias < 0 ? MCF_NO_VALUE : mcf_param(graph, store, affine.bias),
        .running_mean = mcf_param(graph, store, mean),
        .running_var = mcf_param(graph, store, var),
        .eps = 1e-5,
        .momentum = 0.1,
        .groups = model->model.batchnorm_groups > 0 ? model->model.batchnorm_groups : 1,
        .sync = model->model.sync_batchnorm,
    };
    return mcf_batch_norm(graph, x, &options);
}

mcf_value mcf_projector_forward(mcf_graph *graph, const mcf_pretrain_model *model, const mcf_projector *projector,
                                mcf_value x)
{
    x = mcf_vit_linear(graph, &model->store, projector->linear1, x, MCF_F32);
    x = mcf_batch_norm_layer(graph, model, projector->norm1, projector->mean1, projector->var1, x);
    x = mcf_vit_linear(graph, &model->store, projector->linear2, mcf_relu(graph, x), MCF_F32);
    if (projector->mean2 >= 0)
        x = mcf_batch_norm_layer(graph, model, (mcf_affine){-1, -1}, projector->mean2, projector->var2, x);
    return x;
}
