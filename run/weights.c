#include "run/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "run/checkpoint.h"

enum { MAX_CONFIG = 1 << 20 };

typedef struct {
    const char *const *items;
    size_t count;
} set_list;

static mcf_status config_from_file(mcf_weights *w, const char *directory, set_list sets, mcf_error *err)
{
    char *path = mcf_path_join(directory, "config.yaml"), *text = NULL;
    size_t size;
    mcf_status status = path ? mcf_file_read(path, MAX_CONFIG, &text, &size, err)
                             : mcf_fail(err, MCF_ERR_NOMEM, "no memory for a path");
    if (status == MCF_OK)
        status = mcf_config_parse(&w->config, text, size, path, (const char **)sets.items, sets.count, err);
    free(path);
    free(text);
    return status;
}

static mcf_status open_checkpoint(mcf_weights *w, const char *directory, set_list sets, mcf_error *err)
{
    json_t *state;
    MCF_TRY(mcf_checkpoint_read_state(directory, &w->step, &state, err));
    json_decref(state);
    snprintf(w->path, sizeof w->path, "%s/model.safetensors", directory);
    MCF_TRY(config_from_file(w, directory, sets, err));
    mcf_status status = mcf_safetensors_open(&w->file, w->path, err);
    if (status != MCF_OK)
        mcf_config_free(&w->config);
    return status;
}

// The checkpoint directory that a directory is or holds; *found is malloc'd.
static mcf_status find_checkpoint(const char *path, char **found, mcf_error *err)
{
    char *inside = mcf_path_join(path, "state.json");
    const bool is_checkpoint = inside && mcf_path_exists(inside);
    int64_t step;
    free(inside);
    if (is_checkpoint) {
        *found = strdup(path);
        return *found ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for a path");
    }
    MCF_TRY(mcf_checkpoint_latest(path, found, &step, err));
    if (!*found)
        return mcf_fail(err, MCF_ERR_IO,
                        "%s: no checkpoint in it; give a run that has saved one, or a safetensors file", path);
    return MCF_OK;
}

static mcf_status open_directory(mcf_weights *w, const char *path, set_list sets, mcf_error *err)
{
    char *checkpoint = NULL;
    MCF_TRY(find_checkpoint(path, &checkpoint, err));
    mcf_status status = open_checkpoint(w, checkpoint, sets, err);
    free(checkpoint);
    return status;
}

// The weights of a checkpoint, named themselves: what its state.json says of them holds here too.
static mcf_status check_beside(const char *path, mcf_error *err)
{
    const char *name = strrchr(path, '/');
    char *parent = mcf_path_parent(path), *state_path = parent ? mcf_path_join(parent, "state.json") : NULL;
    mcf_status status = state_path ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for a path");
    if (status == MCF_OK && !strcmp(name ? name + 1 : path, "model.safetensors") && mcf_path_exists(state_path)) {
        json_t *state = NULL;
        int64_t step;
        status = mcf_checkpoint_read_state(parent, &step, &state, err);
        json_decref(state);
    }
    free(parent);
    free(state_path);
    return status;
}

mcf_status mcf_weights_find(const char *path, char *file, size_t size, mcf_error *err)
{
    char *checkpoint = NULL;
    int length;
    if (mcf_path_exists(path) && mcf_path_is_directory(path)) {
        json_t *state = NULL;
        int64_t step;
        MCF_TRY(find_checkpoint(path, &checkpoint, err));
        mcf_status status = mcf_checkpoint_read_state(checkpoint, &step, &state, err); // against its sums
        json_decref(state);
        length = snprintf(file, size, "%s/model.safetensors", checkpoint);
        free(checkpoint);
        MCF_TRY(status);
    } else {
        MCF_TRY(check_beside(path, err));
        length = snprintf(file, size, "%s", path);
    }
    return length >= 0 && (size_t)length < size ? MCF_OK
                                                : mcf_fail(err, MCF_ERR_USAGE, "%s: the path is too long", path);
}

static mcf_status open_file(mcf_weights *w, const char *path, set_list sets, mcf_error *err)
{
    snprintf(w->path, sizeof w->path, "%s", path);
    MCF_TRY(check_beside(path, err));
    MCF_TRY(mcf_safetensors_open(&w->file, path, err));
    const char *text = mcf_safetensors_metadata(w->file, "config");
    const char *step = mcf_safetensors_metadata(w->file, "step");
    w->step = step ? strtoll(step, NULL, 10) : -1;
    mcf_status status;
    if (text) {
        status = mcf_config_parse(&w->config, text, strlen(text), path, (const char **)sets.items, sets.count, err);
    } else {
        // Weights taken out of a checkpoint by hand keep their config beside them.
        char *parent = mcf_path_parent(path), *beside = parent ? mcf_path_join(parent, "config.yaml") : NULL;
        if (beside && mcf_path_exists(beside))
            status = config_from_file(w, parent, sets, err);
        else
            status = mcf_fail(err, MCF_ERR_FORMAT,
                              "%s: no config in its metadata, so the network is unknown; give a run, a checkpoint "
                              "directory or a file of `mcf export`",
                              path);
        free(parent);
        free(beside);
    }
    if (status != MCF_OK)
        mcf_safetensors_close(w->file);
    return status;
}

mcf_status mcf_weights_open(mcf_weights *weights, const char *path, mcf_error *err)
{
    return mcf_weights_open_set(weights, path, NULL, 0, err);
}

mcf_status mcf_weights_open_set(mcf_weights *weights, const char *path, const char *const *items, size_t count,
                                mcf_error *err)
{
    const set_list sets = {items, count};
    *weights = (mcf_weights){0};
    if (!mcf_path_exists(path))
        return mcf_fail(err, MCF_ERR_IO, "%s: there is no such file or directory", path);
    mcf_status status =
        mcf_path_is_directory(path) ? open_directory(weights, path, sets, err) : open_file(weights, path, sets, err);
    if (status != MCF_OK)
        *weights = (mcf_weights){0};
    return status;
}

void mcf_weights_close(mcf_weights *weights)
{
    if (!weights->file)
        return;
    mcf_safetensors_close(weights->file);
    mcf_config_free(&weights->config);
    *weights = (mcf_weights){0};
}
