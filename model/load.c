#include "model/load.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/position.h"

// --- what does not fit
enum { SHOWN = 4 };

typedef mcf_load_report report;

static void note(char *list, size_t size, int *count, const char *text)
{
    size_t used = strlen(list);
    if (*count < SHOWN)
        snprintf(list + used, size - used, "%s%s", used ? ", " : "", text);
    ++*count;
}

void mcf_load_missing(report *r, const char *name)
{
    note(r->missing_names, sizeof r->missing_names, &r->missing, name);
}

void mcf_load_extra(report *r, const char *name)
{
    note(r->extra_names, sizeof r->extra_names, &r->extra, name);
}

void mcf_load_misshapen(report *r, const char *name, const mcf_shape *found, const mcf_shape *wanted)
{
    char text[400], want[96], is[96];
    snprintf(text, sizeof text, "%.200s is %s instead of %s", name, mcf_shape_print(found, is, sizeof is),
             mcf_shape_print(wanted, want, sizeof want));
    note(r->shapes, sizeof r->shapes, &r->misshapen, text);
}

static void note_shape(report *r, const mcf_entry *entry, const mcf_shape *found)
{
    mcf_load_misshapen(r, entry->name, found, &entry->shape);
}

static void append(char *text, size_t size, const char *what, int count, const char *names)
{
    size_t used = strlen(text);
    if (count > SHOWN)
        snprintf(text + used, size - used, "%s%d %s: %s and %d more", used ? "; " : "", count, what, names,
                 count - SHOWN);
    else if (count)
        snprintf(text + used, size - used, "%s%d %s: %s", used ? "; " : "", count, what, names);
}

mcf_status mcf_load_conclude(const report *r, const char *path, mcf_error *err)
{
    char text[900] = "";
    if (!r->missing && !r->extra && !r->misshapen)
        return MCF_OK;
    append(text, sizeof text, "missing", r->missing, r->missing_names);
    append(text, sizeof text, "not of this network", r->extra, r->extra_names);
    append(text, sizeof text, "of another shape", r->misshapen, r->shapes);
    return mcf_fail(err, MCF_ERR_SHAPE, "%s: tensors do not fit the configured network: %s", path, text);
}

mcf_status mcf_check_finite(const char *path, const char *name, const float *values, int64_t count, mcf_error *err)
{
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return mcf_fail(err, MCF_ERR_NUMERIC,
                            "%s: tensor %s holds %s (element %lld): weights that are not finite are refused; "
                            "--allow-nonfinite, or model.allow_nonfinite in a config, takes them as they are",
                            path, name, isnan(values[i]) ? "NaN" : "infinity", (long long)i);
    return MCF_OK;
}

mcf_status mcf_load_tensor(const mcf_safetensors *file, const mcf_safetensors_entry *entry, const mcf_params *params,
                           float *to, mcf_error *err)
{
    MCF_TRY(mcf_safetensors_read_f32(file, entry, to, err));
    return params->allow_nonfinite
               ? MCF_OK
               : mcf_check_finite(mcf_safetensors_path(file), entry->name, to, (int64_t)entry->count, err);
}

// --- all parameters
static bool starts(const char *name, const char *prefix)
{
    return !strncmp(name, prefix, strlen(prefix));
}

// Tensors of parts that exist with other objectives.
static bool is_unused_part(const mcf_pretrain_model *model, const char *name)
{
    if (!model->contrastive &&
        (starts(name, "target_encoder.") || starts(name, "predictor.") || starts(name, "online_encoder.fc.")))
        return true;
    if (!model->decodes && (starts(name, "decoder_") || !strcmp(name, "mask_token")))
        return true;
    return !model->feature && starts(name, "perceptual_loss.");
}

// The store's names of an encoder begin with its cls_token's, up to that word.
static const char *own_prefix(const mcf_store *store, const mcf_vit *vit, size_t *length)
{
    const char *cls = store->entries[vit->cls_token].name;
    *length = strlen(cls) - strlen("cls_token");
    return cls;
}

// Whether the entry is of the encoder itself, not of its head.
static bool is_of_encoder(const mcf_store *store, const mcf_vit *vit, const char *name)
{
    size_t own;
    const char *cls = own_prefix(store, vit, &own);
    return !strncmp(name, cls, own) && !starts(name + own, "fc.") && !starts(name + own, "head.");
}

bool mcf_vit_in_file(const mcf_store *store, const mcf_vit *vit, const mcf_safetensors *file)
{
    return mcf_safetensors_find(file, store->entries[vit->cls_token].name) != NULL;
}

mcf_status mcf_params_load(const mcf_pretrain_model *model, const mcf_safetensors *file,
                           const mcf_vit *const elsewhere[2], const mcf_params *params, mcf_error *err)
{
    const mcf_store *store = &model->store;
    report r = {0};
    for (int i = 0; i < store->count; i++) {
        const mcf_entry *entry = &store->entries[i];
        const mcf_safetensors_entry *found = mcf_safetensors_find(file, entry->name);
        bool skip = false;
        for (int k = 0; elsewhere && k < 2; k++)
            skip = skip || (elsewhere[k] && is_of_encoder(store, elsewhere[k], entry->name));
        if (skip)
            continue;
        if (!found)
            mcf_load_missing(&r, entry->name);
        else if (!mcf_shape_equal(&found->shape, &entry->shape))
            note_shape(&r, entry, &found->shape);
        else
            MCF_TRY(mcf_load_tensor(file, found, params, mcf_params_at(params, store, i), err));
    }
    for (size_t i = 0; i < mcf_safetensors_count(file); i++) {
        const char *name = mcf_safetensors_at(file, i)->name;
        if (mcf_store_find(store, name) < 0 && !is_unused_part(model, name))
            mcf_load_extra(&r, name);
    }
    return mcf_load_conclude(&r, mcf_safetensors_path(file), err);
}

// --- one encoder
const char *mcf_vit_prefix(const mcf_safetensors *file, const char *prefer)
{
    const char *prefixes[] = {prefer, "online_encoder.", "base_encoder.", "perceptual_loss.model.", "backbone.", ""};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        char name[256];
        if (!prefixes[i])
            continue;
        snprintf(name, sizeof name, "%scls_token", prefixes[i]);
        if (mcf_safetensors_find(file, name))
            return prefixes[i];
    }
    return NULL;
}

// Side of the square grid of a position table [1, 1+side*side, D]; 0: it is none.
static int64_t grid_side(const mcf_shape *shape)
{
    if (shape->rank != 3 || shape->dim[0] != 1 || shape->dim[1] < 2 || shape->dim[1] > (int64_t)1 << 40)
        return 0;
    int64_t side = (int64_t)llround(sqrt((double)(shape->dim[1] - 1)));
    return side * side == shape->dim[1] - 1 ? side : 0;
}

mcf_status mcf_load_position(const mcf_safetensors *file, const mcf_safetensors_entry *found, const mcf_entry *entry,
                             float *to, mcf_load_report *r, mcf_error *err)
{
    int64_t from_side = grid_side(&found->shape), to_side = grid_side(&entry->shape);
    if (!from_side || found->shape.dim[2] != entry->shape.dim[2]) {
        note_shape(r, entry, &found->shape);
        return MCF_OK;
    }
    float *from = malloc((size_t)found->count * sizeof *from);
    if (!from)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for %s of %s", found->name, mcf_safetensors_path(file));
    mcf_status status = mcf_safetensors_read_f32(file, found, from, err);
    if (status == MCF_OK)
        mcf_position_resize(from, from_side, from_side, to, to_side, to_side, entry->shape.dim[2]);
    free(from);
    return status;
}

static bool is_head(const char *name, const char *prefix)
{
    return prefix[0] && starts(name, prefix) &&
           starts(name + strlen(prefix), strcmp(prefix, "base_encoder.") ? "fc." : "head.");
}

// What shapes do not tell is in the metadata of `mcf import`'s files: an encoder that would compute something else is
// refused.
static mcf_status check_metadata(const mcf_safetensors *file, const mcf_vit *vit, mcf_error *err)
{
    const mcf_blocks *stack = &vit->stack;
    const char *heads = mcf_safetensors_metadata(file, "heads"), *eps = mcf_safetensors_metadata(file, "norm_eps"),
               *activation = mcf_safetensors_metadata(file, "activation");
    const char *own = stack->activation == MCF_MLP_QUICK_GELU ? "quick-gelu" : "gelu";
    if (heads && strtol(heads, NULL, 10) != stack->heads)
        return mcf_fail(err, MCF_ERR_USAGE, "%s: an encoder of %.20s heads; the config's `heads` is %d",
                        mcf_safetensors_path(file), heads, stack->heads);
    if (eps && fabs(strtod(eps, NULL) - stack->norm_eps) > 1e-3 * stack->norm_eps)
        return mcf_fail(err, MCF_ERR_USAGE,
                        "%s: an encoder whose LayerNorms have eps %.20s; the config's `norm_eps` is %g",
                        mcf_safetensors_path(file), eps, stack->norm_eps);
    if (activation && strcmp(activation, own))
        return mcf_fail(err, MCF_ERR_USAGE, "%s: an encoder with activation %.20s; the config's `activation` is %s",
                        mcf_safetensors_path(file), activation, own);
    return MCF_OK;
}

static mcf_status load_position_checked(const mcf_safetensors *file, const mcf_safetensors_entry *found,
                                        const mcf_entry *entry, const mcf_params *params, float *to, mcf_load_report *r,
                                        mcf_error *err)
{
    const int before = r->misshapen;
    MCF_TRY(mcf_load_position(file, found, entry, to, r, err));
    return params->allow_nonfinite || r->misshapen > before
               ? MCF_OK
               : mcf_check_finite(mcf_safetensors_path(file), found->name, to, entry->count, err);
}

mcf_status mcf_vit_load(const mcf_store *store, const mcf_vit *vit, const mcf_safetensors *file, const char *prefer,
                        const mcf_params *params, mcf_error *err)
{
    const char *prefix = mcf_vit_prefix(file, prefer);
    if (!prefix)
        return mcf_fail(err, MCF_ERR_FORMAT,
                        "%s: holds no encoder (no cls_token under a known name); bring the file "
                        "into form with `mcf import`",
                        mcf_safetensors_path(file));
    MCF_TRY(check_metadata(file, vit, err));
    size_t own;
    const char *cls = own_prefix(store, vit, &own);
    char name[512];
    report r = {0};
    for (int i = 0; i < store->count; i++) {
        const mcf_entry *entry = &store->entries[i];
        if (!is_of_encoder(store, vit, entry->name))
            continue;
        snprintf(name, sizeof name, "%s%s", prefix, entry->name + own);
        const mcf_safetensors_entry *found = mcf_safetensors_find(file, name);
        float *to = mcf_params_at(params, store, i);
        if (!found)
            mcf_load_missing(&r, name);
        else if (mcf_shape_equal(&found->shape, &entry->shape))
            MCF_TRY(mcf_load_tensor(file, found, params, to, err));
        else if (i == vit->pos_embed)
            MCF_TRY(load_position_checked(file, found, entry, params, to, &r, err));
        else
            note_shape(&r, entry, &found->shape);
    }
    for (size_t i = 0; i < mcf_safetensors_count(file); i++) {
        const char *there = mcf_safetensors_at(file, i)->name;
        if (!starts(there, prefix) || is_head(there, prefix))
            continue;
        if (vit->norm.weight < 0 && starts(there + strlen(prefix), "norm."))
            continue; // a backbone of alignment or parsing has no norm behind its last block
        snprintf(name, sizeof name, "%.*s%s", (int)own, cls, there + strlen(prefix));
        if (mcf_store_find(store, name) < 0)
            mcf_load_extra(&r, there);
    }
    return mcf_load_conclude(&r, mcf_safetensors_path(file), err);
}

double mcf_vit_mlp_ratio(int64_t hidden, int64_t dim)
{
    const double ratio = (double)hidden / (double)dim;
    return (int64_t)((double)dim * ratio) < hidden ? nextafter(ratio, INFINITY) : ratio;
}
