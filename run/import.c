#include "run/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/config/config.h"
#include "run/output.h"

static mcf_status write(const mcf_imported *imported, const char *kind, const double mean[3], const double std[3],
                        const char *out, mcf_error *err)
{
    const mcf_vit_options *v = &imported->encoder;
    mcf_config config;
    char *text = NULL;
    MCF_TRY(mcf_config_defaults(&config, err));
    config.model.encoder = *v;
    config.model.image_size = imported->image_size;
    config.model.patch_size = imported->patch_size;
    memcpy(config.model.mean, mean, sizeof config.model.mean);
    memcpy(config.model.std, std, sizeof config.model.std);
    mcf_status status = mcf_config_dump(&config, &text, err);
    mcf_config_free(&config);
    MCF_TRY(status);
    char size[32], patch[32], heads[32], eps[32], mean_text[96], std_text[96];
    snprintf(size, sizeof size, "%d", imported->image_size);
    snprintf(patch, sizeof patch, "%d", imported->patch_size);
    snprintf(heads, sizeof heads, "%d", v->heads);
    snprintf(eps, sizeof eps, "%g", v->norm_eps);
    snprintf(mean_text, sizeof mean_text, "[%.9g, %.9g, %.9g]", mean[0], mean[1], mean[2]);
    snprintf(std_text, sizeof std_text, "[%.9g, %.9g, %.9g]", std[0], std[1], std[2]);
    const char *const metadata[] = {
        "format",     "pt",      "kind",       kind,
        "image_size", size,      "patch_size", patch,
        "heads",      heads,     "activation", v->activation == MCF_MLP_QUICK_GELU ? "quick-gelu" : "gelu",
        "norm_eps",   eps,       "pre_norm",   v->pre_norm ? "true" : "false",
        "mean",       mean_text, "std",        std_text,
        "config",     text,      NULL};
    status = mcf_safetensors_save(out, imported->tensors, imported->count, metadata, NULL, NULL, err);
    free(text);
    return status;
}

mcf_status mcf_import_file(const char *in, const mcf_import_file_options *options, const char *out,
                           mcf_import_result *result, mcf_error *err)
{
    mcf_imported imported;
    MCF_TRY(mcf_check_output(out, &in, 1, err));
    MCF_TRY(mcf_import(in, &options->read, &imported, err));
    mcf_status status =
        write(&imported, mcf_import_names[options->read.kind], options->mean ? options->mean : imported.mean,
              options->std ? options->std : imported.std, out, err);
    if (status == MCF_OK && result)
        *result = (mcf_import_result){(int)imported.count, imported.image_size, imported.encoder};
    mcf_imported_free(&imported);
    return status;
}
