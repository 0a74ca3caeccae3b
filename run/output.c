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

static bool is_picture(const unsigned char *first, ssize_t size)
{
    static const struct {
        const char *bytes;
        size_t size;
    } starts[] = {{"\xff\xd8\xff", 3}, {"\x89PNG", 4}, {"GIF8", 4}, {"II*\0", 4}, {"MM\0*", 4}, {"BM", 2}};
    const bool text = size <= 0 || !memchr(first, 0, (size_t)size);
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (size >= 4 && !text && !memcmp(first, starts[i].bytes, starts[i].size))
            return true;
    return size >= 12 &&
           ((!memcmp(first, "RIFF", 4) && !memcmp(first + 8, "WEBP", 4)) || !memcmp(first + 4, "ftyp", 4));
}

// By the sum that every header holds of itself, so that tars without magic (v7) are known too.
static bool is_tar(const unsigned char *first, ssize_t size)
{
    unsigned sum = 0;
    if (size < 512)
        return false;
    for (int i = 0; i < 512; i++)
        sum += i >= 148 && i < 156 ? ' ' : first[i];
    return sum > 8 * ' ' && strtoul((const char *)first + 148, NULL, 8) == sum;
}

// What no command's single result replaces: it is likely one of the inputs, found in a folder, a list or an include.
static const char *precious(const char *path, bool picture)
{
    unsigned char first[513] = {0};
    int fd;
    if (has_ending(path, ".yaml") || has_ending(path, ".yml"))
        return "a YAML file";
    if (mcf_file_open(path, &fd, NULL, NULL) != MCF_OK)
        return NULL;
    const ssize_t got = pread(fd, first, sizeof first - 1, 0);
    close(fd);
    if (!picture && is_picture(first, got))
        return "a picture";
    return is_tar(first, got) ? "a tar" : NULL;
}

// A folder's picture or shard, which the next reader would find.
static mcf_status check_mixed(const char *out, const char *path, const char *const *inputs, size_t count,
                              mcf_error *err)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".tar"};
    bool is_input = false;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        is_input = is_input || has_ending(path, endings[i]);
    char *folder = is_input ? mcf_path_parent(path) : NULL;
    const mcf_status status = folder ? mcf_check_output_folder(folder, inputs, count, NULL) : MCF_OK;
    free(folder);
    return status == MCF_OK
               ? MCF_OK
               : mcf_fail(err, MCF_ERR_USAGE,
                          "%s: would be taken for one of the inputs, among which it lies, by its name; name "
                          "another output",
                          out);
}

static mcf_status check_output(const char *out, const char *const *inputs, size_t count, bool picture, mcf_error *err)
{
    mcf_output_place place;
    MCF_TRY(mcf_output_find(out, &place, err));
    mcf_status status = mcf_output_differs(out, inputs, count, err);
    const char *stands = status == MCF_OK && place.kind == MCF_OUTPUT_REPLACE ? precious(place.path, picture) : NULL;
    if (stands)
        status =
            mcf_fail(err, MCF_ERR_USAGE, "%s: %s stands there, which would be lost; name another output", out, stands);
    if (status == MCF_OK && place.path)
        status = check_kept(out, place.path, err);
    if (status == MCF_OK && place.path)
        status = check_mixed(out, place.path, inputs, count, err);
    mcf_output_place_free(&place);
    return status;
}

mcf_status mcf_check_output(const char *out, const char *const *inputs, size_t count, mcf_error *err)
{
    return check_output(out, inputs, count, false, err);
}

mcf_status mcf_check_output_picture(const char *out, const char *const *inputs, size_t count, mcf_error *err)
{
    return check_output(out, inputs, count, true, err);
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
