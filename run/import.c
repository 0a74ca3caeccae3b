#include "run/import.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/faces/faces.h"
#include "model/published.h"
#include "run/config/check.h"
#include "run/config/config.h"
#include "run/import_facts.h"
#include "run/output.h"
#include "run/weights.h"

// The layout whose crops a published network was trained on: told by what it finds.
static const char *layout_of(const mcf_imported *imported)
{
    const bool align = imported->dense.task == MCF_DENSE_ALIGN;
    switch (imported->dense.head.outputs) {
    case 11:
        return align ? NULL : "lapa";
    case 19:
        return align ? "aflw-19" : "celebamask-hq";
    case 68:
        return align ? "300w" : NULL;
    case 98:
        return align ? "wflw" : NULL;
    default:
        return NULL;
    }
}

static void describe_finetuned(const mcf_imported *imported, mcf_config *config)
{
    const mcf_dense_options *d = &imported->dense;
    const char *layout = layout_of(imported);
    config->task = d->task == MCF_DENSE_ALIGN ? MCF_TASK_ALIGN : MCF_TASK_PARSE;
    config->dense.task = d->task;
    memcpy(config->dense.features, d->features, sizeof d->features);
    config->dense.feature_count = d->feature_count;
    const double dropout = config->dense.head.dropout;
    config->dense.head = d->head;
    config->dense.head.dropout = dropout;
    if (layout)
        config->data.layout = 1 + (int)(mcf_face_layout_find(layout) - mcf_face_layouts);
}

// A config that says what the network is.
static mcf_status describe(const mcf_imported *imported, const double mean[3], const double std[3], char **text,
                           mcf_error *err)
{
    mcf_config config;
    MCF_TRY(mcf_config_defaults(&config, err));
    config.model.encoder = imported->encoder;
    config.model.image_size = imported->image_size;
    config.model.patch_size = imported->patch_size;
    if (imported->finetuned)
        describe_finetuned(imported, &config);
    memcpy(config.model.mean, mean, sizeof config.model.mean);
    memcpy(config.model.std, std, sizeof config.model.std);
    mcf_status status = mcf_config_dump(&config, text, err);
    mcf_config_free(&config);
    return status;
}

// What `embed` will ask of the file is asked now: options that exclude each other are found at the first command.
static mcf_status check_usable(const char *text, const char *in, mcf_error *err)
{
    mcf_config config;
    mcf_status status = mcf_config_parse(&config, text, strlen(text), "as imported", NULL, 0, err);
    if (status == MCF_OK) {
        if (config.task == MCF_TASK_PRETRAIN)
            status = mcf_config_check_task(&config, err);
        mcf_config_free(&config);
    }
    return status == MCF_OK ? MCF_OK : mcf_add_context(err, status, "%s: cannot be used", in);
}

static mcf_status write(const mcf_imported *imported, const char *kind, const double mean[3], const double std[3],
                        const char *config, const char *out, mcf_error *err)
{
    const mcf_vit_options *v = &imported->encoder;
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
        "config",     config,    NULL};
    return mcf_safetensors_save(out, imported->tensors, imported->count, metadata, NULL, NULL, err);
}

static void say_heads(const mcf_imported *imported, char *line, size_t size)
{
    static const char *const from[] = {[MCF_HEADS_GIVEN] = "as given",
                                       [MCF_HEADS_OWN] = "from the file's own config",
                                       [MCF_HEADS_PUBLISHED] = "as the published networks of this shape have",
                                       [MCF_HEADS_OF_CLIP] = "width / 64, as in CLIP's code"};
    snprintf(line, size, "heads: %d, %s", imported->encoder.heads, from[imported->heads_from]);
}

// Mean and deviation with where they are from.
static void choose_normalisation(const mcf_import_file_options *o, const mcf_import_facts *facts,
                                 const mcf_imported *imported, double mean[3], double std[3], char *line, size_t size)
{
    const double *from_mean = imported->mean, *from_std = imported->std;
    const char *why = "of the kind's authors";
    char words[200];
    if (o->read.kind == MCF_IMPORT_TIMM)
        why =
            "ImageNet's, a guess: the file does not say, and most of timm's plain ViTs want 0.5; give --model NAME or "
            "--mean and --std";
    if (facts->has_mean) {
        from_mean = facts->mean;
        from_std = facts->std;
        snprintf(words, sizeof words, "%s", facts->mean_from);
        why = words;
    }
    memcpy(mean, o->mean ? o->mean : from_mean, 3 * sizeof *mean);
    memcpy(std, o->std ? o->std : from_std, 3 * sizeof *std);
    snprintf(line, size, "mean and deviation: %g %g %g and %g %g %g, %s", mean[0], mean[1], mean[2], std[0], std[1],
             std[2], o->mean && o->std ? "as given" : why);
}

static void say_finetuned(const mcf_imported *imported, char *line, size_t size)
{
    const bool align = imported->dense.task == MCF_DENSE_ALIGN;
    const char *layout = layout_of(imported);
    snprintf(line, size, "backbone, pyramid and head: %d %s, crops of layout %s; for mcf predict and mcf eval",
             imported->dense.head.outputs, align ? "points" : "classes",
             layout  ? layout
             : align ? "points"
                     : "masks");
}

static void say_resize(const mcf_import_facts *facts, char *line, size_t size)
{
    int used = snprintf(line, size, "resize: bilinear, the whole picture");
    if (facts->filter[0])
        snprintf(line + used, size - (size_t)used,
                 "; its makers' own: --set data.filter=%s --set data.crop_pct=%g --set data.fast_decode=false",
                 facts->filter, facts->crop_pct);
}

static mcf_status import(const char *in, const mcf_import_file_options *options, const char *out,
                         mcf_import_result *result, mcf_error *err)
{
    mcf_import_facts facts;
    mcf_imported imported;
    mcf_import_options read = options->read;
    mcf_import_result said = {0};
    double mean[3], std[3];
    char *config = NULL;
    MCF_TRY(mcf_import_find_facts(in, options->read.kind, options->model, &facts, err));
    read.own = facts.has_encoder ? &facts.encoder : NULL;
    if (!read.own && facts.heads && !read.heads)
        read.heads = facts.heads;
    MCF_TRY(mcf_import(in, &read, &imported, err));
    if (facts.heads && !options->read.heads && imported.heads_from == MCF_HEADS_GIVEN)
        imported.heads_from = MCF_HEADS_PUBLISHED;
    choose_normalisation(options, &facts, &imported, mean, std, said.said[1], sizeof said.said[1]);
    mcf_status status = describe(&imported, mean, std, &config, err);
    if (status == MCF_OK)
        status = check_usable(config, in, err);
    if (status == MCF_OK)
        status = write(&imported, mcf_import_names[options->read.kind], mean, std, config, out, err);
    if (status == MCF_OK && result) {
        say_heads(&imported, said.said[0], sizeof said.said[0]);
        if (imported.finetuned)
            say_finetuned(&imported, said.said[2], sizeof said.said[2]);
        else
            say_resize(&facts, said.said[2], sizeof said.said[2]);
        if (imported.others[0])
            snprintf(said.said[3], sizeof said.said[3], "read from %s; the file also holds %s: --select takes another",
                     imported.chosen, imported.others);
        *result = said;
        result->tensors = (int)imported.count;
        result->image_size = imported.image_size;
        result->encoder = imported.encoder;
    }
    free(config);
    mcf_imported_free(&imported);
    return status;
}

mcf_status mcf_import_file(const char *in, const mcf_import_file_options *options, const char *out,
                           mcf_import_result *result, mcf_error *err)
{
    char path[4096];
    MCF_TRY(mcf_weights_find(in, path, sizeof path, err));
    const char *file = path;
    char *folder = mcf_path_parent(file), *beside = folder ? mcf_path_join(folder, "config.json") : NULL;
    const char *const inputs[] = {file, beside};
    const mcf_status place = mcf_check_output(out, inputs, 2, err);
    free(folder);
    free(beside);
    MCF_TRY(place);
    return import(file, options, out, result, err);
}
