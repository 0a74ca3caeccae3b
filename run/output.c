#include "run/output.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/file.h"
#include "base/output.h"

static bool holds(const char *folder, const char *name)
{
    char *path = mcf_path_join(folder, name);
    const bool there = path && mcf_path_exists(path);
    free(path);
    return there;
}

static bool is_run(const char *folder)
{
    return holds(folder, "config.yaml") && (holds(folder, "log.jsonl") || holds(folder, "checkpoints"));
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (!strcmp(name, *names))
            return true;
    return false;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// Whether `name` in `folder`, or the folder `name` itself with all below, is a run's or a checkpoint's own.
static bool is_kept(const char *folder, const char *name)
{
    static const char *const of_run[] = {"config.yaml", "log.jsonl", "machine.json", "best.safetensors", "checkpoints",
                                         "pictures",    NULL};
    static const char *const of_checkpoint[] = {"config.yaml", "state.json", "model.safetensors",
                                                "optimizer.safetensors", NULL};
    if ((is_one_of(name, of_run) || !strncmp(name, "events.out.tfevents.", 20)) && is_run(folder))
        return true;
    return is_one_of(name, of_checkpoint) && holds(folder, "state.json");
}

static bool has_ending(const char *path, const char *ending)
{
    const size_t length = strlen(path), tail = strlen(ending);
    return length >= tail && !strcasecmp(path + length - tail, ending);
}

// The place of a file behind its directory's links; malloc'd.
static char *real_place(const char *path)
{
    char *parent = mcf_path_parent(path), *real = parent ? realpath(parent, NULL) : NULL;
    char *place = real ? mcf_path_join(real, base_name(path)) : NULL;
    free(parent);
    free(real);
    return place;
}

static mcf_status check_kept(const char *out, const char *path, mcf_error *err)
{
    char *place = real_place(path);
    mcf_status status = place ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", out);
    for (char *slash; status == MCF_OK && (slash = strrchr(place, '/')) && slash != place;) {
        *slash = '\0';
        if (is_kept(place, slash + 1))
            status = mcf_fail(err, MCF_ERR_USAGE,
                              "%s: belongs to the run in %s, which would lose it; name another output", out, place);
    }
    free(place);
    return status;
}

// What no command's single result replaces: it is likely one of the inputs, found in a folder, a list or an include.
static const char *precious(const char *path)
{
    unsigned char first[512] = {0};
    int fd;
    if (has_ending(path, ".yaml") || has_ending(path, ".yml"))
        return "a YAML file";
    if (mcf_file_open(path, &fd, NULL, NULL) != MCF_OK)
        return NULL;
    const ssize_t got = pread(fd, first, sizeof first, 0);
    close(fd);
    if (got >= 4 && (!memcmp(first, "\xff\xd8\xff", 3) || !memcmp(first, "\x89PNG", 4)))
        return "a picture";
    return got == (ssize_t)sizeof first && !memcmp(first + 257, "ustar", 5) ? "a tar" : NULL;
}

mcf_status mcf_check_output(const char *out, const char *const *inputs, size_t count, mcf_error *err)
{
    mcf_output_place place;
    MCF_TRY(mcf_output_find(out, &place, err));
    mcf_status status = mcf_output_differs(out, inputs, count, err);
    const char *stands = status == MCF_OK && place.kind == MCF_OUTPUT_REPLACE ? precious(place.path) : NULL;
    if (stands)
        status =
            mcf_fail(err, MCF_ERR_USAGE, "%s: %s stands there, which would be lost; name another output", out, stands);
    if (status == MCF_OK && place.path)
        status = check_kept(out, place.path, err);
    mcf_output_place_free(&place);
    return status;
}

mcf_status mcf_check_output_folder(const char *out, const char *const *inputs, size_t count, mcf_error *err)
{
    // Of a folder that is still to be made, the first one above it that is there.
    char *at = strdup(out), *real = NULL;
    while (at && !(real = realpath(at, NULL)) && strcmp(at, ".") && strcmp(at, "/")) {
        char *parent = mcf_path_parent(at);
        free(at);
        at = parent;
    }
    free(at);
    mcf_status status = MCF_OK;
    for (size_t i = 0; real && i < count && status == MCF_OK; i++) {
        char *folder = inputs[i] && mcf_path_is_directory(inputs[i]) ? realpath(inputs[i], NULL) : NULL;
        const size_t length = folder ? strlen(folder) : 0;
        if (folder && !strncmp(real, folder, length) && (real[length] == '/' || real[length] == '\0'))
            status =
                mcf_fail(err, MCF_ERR_USAGE,
                         "%s: lies in %s, whose pictures are read: what is written there would be taken for some of "
                         "them; name a folder elsewhere",
                         out, inputs[i]);
        free(folder);
    }
    free(real);
    return status;
}
