#include "run/import_facts.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/formats/safetensors.h"
#include "model/published.h"
#include "run/config/config.h"

enum { MAX_JSON = 1 << 20 };

static void take_config(const mcf_config *config, mcf_import_facts *facts)
{
    facts->has_encoder = facts->has_mean = true;
    facts->encoder = config->model.encoder;
    memcpy(facts->mean, config->model.mean, sizeof facts->mean);
    memcpy(facts->std, config->model.std, sizeof facts->std);
    snprintf(facts->mean_from, sizeof facts->mean_from, "from the file's own config");
}

static char *beside(const char *path, const char *name)
{
    char *parent = mcf_path_parent(path), *at = parent ? mcf_path_join(parent, name) : NULL;
    free(parent);
    return at;
}

// Our own files carry their config; a checkpoint's model.safetensors has it beside it.
static mcf_status from_own(const char *path, mcf_import_facts *facts, mcf_error *err)
{
    mcf_safetensors *file;
    mcf_config config;
    mcf_status status = MCF_OK;
    if (mcf_safetensors_open(&file, path, NULL) != MCF_OK)
        return MCF_OK; // a PyTorch file, or one that the import itself refuses
    const char *text = mcf_safetensors_metadata(file, "config");
    char *state = beside(path, "state.json"), *yaml = beside(path, "config.yaml"), *read = NULL;
    size_t size = text ? strlen(text) : 0;
    if (!text && state && yaml && mcf_path_exists(state) && mcf_path_exists(yaml))
        status = mcf_file_read(yaml, MAX_JSON, &read, &size, err);
    if (status == MCF_OK && (text || read)) {
        status = mcf_config_parse(&config, text ? text : read, size, text ? path : yaml, NULL, 0, err);
        if (status == MCF_OK) {
            take_config(&config, facts);
            mcf_config_free(&config);
        }
    }
    free(read);
    free(state);
    free(yaml);
    mcf_safetensors_close(file);
    return status;
}

static void take_published(const mcf_published *p, mcf_import_facts *facts)
{
    facts->heads = p->heads;
    facts->has_mean = true;
    memcpy(facts->mean, p->mean, sizeof facts->mean);
    memcpy(facts->std, p->std, sizeof facts->std);
    snprintf(facts->mean_from, sizeof facts->mean_from, "of timm's %s", p->name);
    strcpy(facts->filter, "bicubic");
    facts->crop_pct = p->crop_pct;
}

static mcf_status fail_name(const char *model, mcf_error *err)
{
    size_t count;
    char names[512] = "";
    const mcf_published *rows = mcf_published_rows(&count);
    const size_t base = strcspn(model, ".");
    for (size_t i = 0; i < count; i++) {
        const size_t used = strlen(names);
        if (!strncmp(rows[i].name, model, base) && used + strlen(rows[i].name) + 8 < sizeof names)
            snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", rows[i].name);
    }
    return mcf_fail(err, MCF_ERR_USAGE, "--model %s is no network of the table in docs/checkpoints.md%s%s", model,
                    *names ? "; there are " : "", names);
}

static bool three(const json_t *list, double to[3])
{
    if (json_array_size(list) != 3)
        return false;
    for (size_t i = 0; i < 3; i++) {
        if (!json_is_number(json_array_get(list, i)))
            return false;
        to[i] = json_number_value(json_array_get(list, i));
    }
    return true;
}

// timm's config.json, as its files come from the hub: the architecture, and what its transform does.
static void from_timm_json(const char *path, mcf_import_facts *facts)
{
    char *at = beside(path, "config.json"), *bytes = NULL;
    size_t size = 0;
    json_t *json = NULL;
    if (at && mcf_path_exists(at) && mcf_file_read(at, MAX_JSON, &bytes, &size, NULL) == MCF_OK)
        json = json_loadb(bytes, size, 0, NULL);
    const json_t *config = json_object_get(json, "pretrained_cfg");
    const char *name = json_string_value(json_object_get(json, "architecture"));
    const char *tag = json_string_value(json_object_get(config, "tag"));
    double mean[3], std[3];
    if (name && three(json_object_get(config, "mean"), mean) && three(json_object_get(config, "std"), std)) {
        char full[200];
        const int length = snprintf(full, sizeof full, "%.120s%s%.60s", name, tag && *tag ? "." : "", tag ? tag : "");
        const mcf_published *p = mcf_published_find(full, (size_t)length);
        const char *filter = json_string_value(json_object_get(config, "interpolation"));
        const double crop = json_number_value(json_object_get(config, "crop_pct"));
        facts->heads = p ? p->heads : 0;
        facts->has_mean = true;
        memcpy(facts->mean, mean, sizeof mean);
        memcpy(facts->std, std, sizeof std);
        snprintf(facts->mean_from, sizeof facts->mean_from, "from config.json beside the file");
        if (filter && (!strcmp(filter, "bicubic") || !strcmp(filter, "bilinear")) && crop > 0 && crop <= 1) {
            strcpy(facts->filter, filter);
            facts->crop_pct = crop;
        }
    }
    json_decref(json);
    free(bytes);
    free(at);
}

// A part of the path that is a published name, bare, with a file's ending, or as hubs name folders.
static const mcf_published *named_in_path(const char *path)
{
    static const char *const endings[] = {".safetensors", ".pth", ".pt", ".bin", ".pth.tar", ""};
    static const char *const starts[] = {"models--timm--", "timm__", "timm_", ""};
    for (const char *end = path + strlen(path); end > path;) {
        const char *start = end;
        while (start > path && start[-1] != '/')
            start--;
        for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
            for (size_t k = 0; k < sizeof endings / sizeof *endings; k++) {
                const size_t head = strlen(starts[i]), tail = strlen(endings[k]), length = (size_t)(end - start);
                if (length <= head + tail || memcmp(start, starts[i], head) || memcmp(end - tail, endings[k], tail))
                    continue;
                const mcf_published *p = mcf_published_find(start + head, length - head - tail);
                if (p)
                    return p;
            }
        end = start > path ? start - 1 : path;
    }
    return NULL;
}

// What the authors of a kind resize with, by their published code.
static void makers_resize(mcf_import_kind kind, mcf_import_facts *facts)
{
    const bool bilinear = kind == MCF_IMPORT_MOCO_V3;
    if (facts->filter[0] || kind == MCF_IMPORT_TIMM || kind == MCF_IMPORT_MCF)
        return;
    strcpy(facts->filter, bilinear ? "bilinear" : "bicubic");
    facts->crop_pct = kind == MCF_IMPORT_FARL ? 1 : 0.875; // Resize(256), CenterCrop(224)
}

mcf_status mcf_import_find_facts(const char *path, mcf_import_kind kind, const char *model, mcf_import_facts *facts,
                                 mcf_error *err)
{
    *facts = (mcf_import_facts){0};
    if (model) {
        const mcf_published *p = mcf_published_find(model, strlen(model));
        if (!p)
            return fail_name(model, err);
        take_published(p, facts);
    }
    MCF_TRY(from_own(path, facts, err));
    if (!facts->has_mean)
        from_timm_json(path, facts);
    const mcf_published *p = facts->has_mean || kind != MCF_IMPORT_TIMM ? NULL : named_in_path(path);
    if (p)
        take_published(p, facts);
    makers_resize(kind, facts);
    return MCF_OK;
}
