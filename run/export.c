#include "run/export.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/load.h"
#include "model/pretrain.h"
#include "run/weights.h"
#include "run/output.h"

static mcf_status write(const mcf_weights *w, const mcf_pretrain_model *model, const mcf_params *params,
                        const char *out, int *written, mcf_error *err)
{
    const mcf_model_options *m = &w->config.model;
    char *config;
    MCF_TRY(mcf_config_dump(&w->config, &config, err));
    char step[32], size[32], patch[32], heads[32], architecture[64], mean[96], std[96];
    snprintf(step, sizeof step, "%lld", (long long)w->step);
    snprintf(size, sizeof size, "%d", m->image_size);
    snprintf(patch, sizeof patch, "%d", m->patch_size);
    snprintf(heads, sizeof heads, "%d", m->encoder.heads);
    // timm's name where it has one of this shape.
    const bool base = m->encoder.dim == 768 && m->encoder.depth == 12 && m->encoder.heads == 12 && m->patch_size == 16;
    snprintf(architecture, sizeof architecture, base ? "vit_base_patch16" : "vit");
    float of_mean[3], of_std[3];
    mcf_normalisation(m, of_mean, of_std);
    snprintf(mean, sizeof mean, "[%g, %g, %g]", of_mean[0], of_mean[1], of_mean[2]);
    snprintf(std, sizeof std, "[%g, %g, %g]", of_std[0], of_std[1], of_std[2]);
    const char *const metadata[] = {"format", "pt",    "architecture", architecture, "image_size", size,  "patch_size",
                                    patch,    "heads", heads,          "mean",       mean,         "std", std,
                                    "step",   step,    "config",       config,       NULL};
    mcf_named_tensor *tensors = calloc((size_t)model->store.count, sizeof *tensors);
    size_t count = 0;
    mcf_status status = tensors ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the tensors");
    for (int i = 0; i < model->store.count && status == MCF_OK; i++) {
        const char *name = mcf_backbone_name(model, i);
        if (name)
            tensors[count++] = (mcf_named_tensor){name, MCF_F32, model->store.entries[i].shape,
                                                  mcf_params_at(params, &model->store, i)};
    }
    if (status == MCF_OK)
        status = mcf_safetensors_save(out, tensors, count, metadata, NULL, NULL, err);
    if (written)
        *written = (int)count;
    free(tensors);
    free(config);
    return status;
}

mcf_status mcf_export(const char *checkpoint, const char *out, bool allow_nonfinite, int *tensors, mcf_error *err)
{
    mcf_weights weights;
    MCF_TRY(mcf_check_output(out, &checkpoint, 1, err));
    MCF_TRY(mcf_weights_open(&weights, checkpoint, err));
    if (weights.config.task != MCF_TASK_PRETRAIN) {
        mcf_weights_close(&weights);
        return mcf_fail(err, MCF_ERR_USAGE,
                        "%s: a network of alignment or parsing has no last norm, which timm's names want; say --format "
                        "onnx, or use best.safetensors of its run",
                        checkpoint);
    }
    mcf_objective_options none = weights.config.objective;
    none.method = MCF_METHOD_MCF;
    none.feature_weight = none.pixel_weight = none.contrastive_weight = 0;
    mcf_pretrain_model *model = NULL;
    mcf_params params = {0};
    mcf_status status = mcf_pretrain_create(&weights.config.model, &none, &model, err);
    if (status == MCF_OK)
        status = mcf_params_create(&model->store, &params, err);
    params.allow_nonfinite = allow_nonfinite;
    if (status == MCF_OK)
        status = mcf_vit_load(&model->store, &model->online, weights.file, "online_encoder.", &params, err);
    if (status == MCF_OK)
        status = write(&weights, model, &params, out, tensors, err);
    mcf_params_free(&params);
    mcf_pretrain_destroy(model);
    mcf_weights_close(&weights);
    return status;
}
