#define _GNU_SOURCE
#include "run/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static const char *const file_names[] = {"model.safetensors", "optimizer.safetensors", "config.yaml"};
enum { FILE_COUNT = 3, MAX_STATE = 1 << 24, WEIGHTS_VERSION = 1 };
static const char aside_prefix[] = ".tmp-", own_sum[] = "xxh64";

static mcf_status no_memory(const char *path, mcf_error *err)
{
    return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", path);
}

static mcf_status join(const char *a, const char *b, char **path, mcf_error *err)
{
    *path = mcf_path_join(a, b);
    return *path ? MCF_OK : no_memory(a, err);
}

// "step-00001234" and nothing else; -1 for other names.
static int64_t step_of_name(const char *name)
{
    int64_t step = 0;
    if (strncmp(name, "step-", 5) != 0 || strlen(name) < 13 || strlen(name) > 5 + 18)
        return -1;
    for (const char *at = name + 5; *at; at++) {
        if (*at < '0' || *at > '9')
            return -1;
        step = 10 * step + (*at - '0');
    }
    return step;
}

static int compare_steps(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

// The steps in RUN/checkpoints, rising. A directory that is not there holds none.
static mcf_status list_steps(const char *directory, int64_t **steps, size_t *count, mcf_error *err)
{
    *steps = NULL;
    *count = 0;
    DIR *dir = opendir(directory);
    if (!dir && errno == ENOENT)
        return MCF_OK;
    if (!dir)
        return mcf_fail(err, MCF_ERR_IO, "%s: cannot list: %s", directory, strerror(errno));
    mcf_status status = MCF_OK;
    struct dirent *entry;
    while (status == MCF_OK && (entry = readdir(dir))) {
        int64_t step = step_of_name(entry->d_name);
        if (step < 0)
            continue;
        int64_t *grown = realloc(*steps, (*count + 1) * sizeof(**steps));
        if (grown) {
            grown[(*count)++] = step;
            *steps = grown;
        } else {
            status = no_memory(directory, err);
        }
    }
    closedir(dir);
    if (*count > 0)
        qsort(*steps, *count, sizeof(**steps), compare_steps);
    if (status != MCF_OK) {
        free(*steps);
        *steps = NULL;
    }
    return status;
}

static void step_name(char *buffer, size_t size, int64_t step)
{
    snprintf(buffer, size, "step-%08" PRId64, step);
}

// Renamed first: a deletion that is cut short leaves no half checkpoint under a good name.
static mcf_status remove_step(const char *directory, int64_t step, mcf_error *err)
{
    char name[40], aside_name[64];
    char *path = NULL, *aside = NULL;
    step_name(name, sizeof(name), step);
    snprintf(aside_name, sizeof(aside_name), "%sold-%s", aside_prefix, name);
    mcf_status status = join(directory, name, &path, err);
    if (status == MCF_OK)
        status = join(directory, aside_name, &aside, err);
    if (status == MCF_OK)
        status = mcf_tree_remove(aside, err);
    if (status == MCF_OK && rename(path, aside) != 0)
        status = mcf_fail(err, MCF_ERR_IO, "%s: cannot remove the old checkpoint: %s", path, strerror(errno));
    if (status == MCF_OK)
        status = mcf_tree_remove(aside, err);
    free(path);
    free(aside);
    return status;
}

typedef struct {
    uint64_t hash[FILE_COUNT], size[FILE_COUNT];
} file_sums;

// xxHash64 of the state file's own contents: of its members but "xxh64" itself, sorted, without white space. A digit
// that changes anywhere in the file changes it.
static mcf_status sum_of_state(const json_t *root, const char *path, char sum[17], mcf_error *err)
{
    json_t *rest = json_copy((json_t *)root);
    if (!rest)
        return no_memory(path, err);
    json_object_del(rest, own_sum);
    char *text = json_dumps(rest, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    json_decref(rest);
    if (!text)
        return no_memory(path, err);
    snprintf(sum, 17, "%016" PRIx64, mcf_bytes_hash(text, strlen(text)));
    free(text);
    return MCF_OK;
}

static json_t *list_sums(const file_sums *sums)
{
    json_t *files = json_object();
    for (int i = 0; files && i < FILE_COUNT; i++) {
        char hash[17];
        snprintf(hash, sizeof(hash), "%016" PRIx64, sums->hash[i]);
        if (json_object_set_new(files, file_names[i],
                                json_pack("{s:s, s:I}", "xxh64", hash, "size", (json_int_t)sums->size[i])) != 0) {
            json_decref(files);
            files = NULL;
        }
    }
    return files;
}

static mcf_status write_state(const char *path, const mcf_checkpoint *checkpoint, const file_sums *sums, mcf_error *err)
{
    char sum[17];
    json_t *root = json_pack("{s:i, s:I, s:O, s:o}", "format_version", MCF_CHECKPOINT_VERSION, "step",
                             (json_int_t)checkpoint->step, "state", checkpoint->state, "files", list_sums(sums));
    if (!root)
        return no_memory(path, err);
    mcf_status status = sum_of_state(root, path, sum, err);
    if (status == MCF_OK && json_object_set_new(root, own_sum, json_string(sum)) != 0)
        status = no_memory(path, err);
    char *text = status == MCF_OK ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(root);
    MCF_TRY(status);
    if (!text)
        return no_memory(path, err);
    status = mcf_file_write(path, text, strlen(text), err);
    free(text);
    return status;
}

// Every file is synced by its writer, the directory at the end.
static mcf_status write_files(const char *directory, const mcf_checkpoint *checkpoint, mcf_error *err)
{
    char step[24], version[16];
    snprintf(step, sizeof(step), "%" PRId64, checkpoint->step);
    snprintf(version, sizeof(version), "%d", WEIGHTS_VERSION);
    const char *metadata[] = {"format", "mcf",    "format_version",        version, "step",
                              step,     "config", checkpoint->config_text, NULL};
    file_sums sums;
    char *path;
    MCF_TRY(join(directory, file_names[0], &path, err));
    mcf_status status = mcf_safetensors_save(path, checkpoint->model, checkpoint->model_count, metadata, &sums.hash[0],
                                             &sums.size[0], err);
    free(path);
    MCF_TRY(status);
    MCF_TRY(join(directory, file_names[1], &path, err));
    status = mcf_safetensors_save(path, checkpoint->optimizer, checkpoint->optimizer_count, metadata, &sums.hash[1],
                                  &sums.size[1], err);
    free(path);
    MCF_TRY(status);
    MCF_TRY(join(directory, file_names[2], &path, err));
    mcf_file_writer *writer;
    status = mcf_file_writer_open(&writer, path, err);
    if (status == MCF_OK) {
        status = mcf_file_writer_write(writer, checkpoint->config_text, strlen(checkpoint->config_text), err);
        if (status == MCF_OK)
            status = mcf_file_writer_commit(writer, &sums.hash[2], &sums.size[2], err);
        else
            mcf_file_writer_abort(writer);
    }
    free(path);
    MCF_TRY(status);
    MCF_TRY(join(directory, "state.json", &path, err));
    status = write_state(path, checkpoint, &sums, err);
    free(path);
    MCF_TRY(status);
    return mcf_directory_sync(directory, err);
}

// As a resume would read it, before an older checkpoint goes for it.
static mcf_status read_back(const char *directory, const mcf_checkpoint *checkpoint, mcf_error *err)
{
    json_t *state;
    int64_t step;
    MCF_TRY(mcf_checkpoint_read_state(directory, &step, &state, err));
    const bool same = json_equal(state, checkpoint->state) && step == checkpoint->step;
    json_decref(state);
    return same ? MCF_OK
                : mcf_fail(err, MCF_ERR_INTERNAL, "%s: the state is not read back as it was written", directory);
}

// Puts the new directory in place. One of the same step (a run that was set back) is exchanged in one go.
static mcf_status put_in_place(const char *aside, const char *path, mcf_error *err)
{
    if (rename(aside, path) == 0)
        return MCF_OK;
    if ((errno == ENOTEMPTY || errno == EEXIST) && renameat2(AT_FDCWD, aside, AT_FDCWD, path, RENAME_EXCHANGE) == 0)
        return mcf_tree_remove(aside, err);
    return mcf_fail(err, MCF_ERR_IO, "%s: cannot put the checkpoint in place: %s", path, strerror(errno));
}

static mcf_status remove_oldest(const char *directory, int keep, mcf_error *err)
{
    int64_t *steps;
    size_t count;
    MCF_TRY(list_steps(directory, &steps, &count, err));
    mcf_status status = MCF_OK;
    for (size_t i = 0; i + (size_t)(keep < 1 ? 1 : keep) < count && status == MCF_OK; i++)
        status = remove_step(directory, steps[i], err);
    free(steps);
    return status;
}

mcf_status mcf_checkpoint_save(const char *run, const mcf_checkpoint *checkpoint, int keep, char **out, mcf_error *err)
{
    char name[40], aside_name[80];
    char *directory = NULL, *path = NULL, *aside = NULL;
    if (out)
        *out = NULL;
    step_name(name, sizeof(name), checkpoint->step);
    snprintf(aside_name, sizeof(aside_name), "%s%s-%d", aside_prefix, name, (int)getpid());
    mcf_status status = join(run, "checkpoints", &directory, err);
    if (status == MCF_OK)
        status = join(directory, name, &path, err);
    if (status == MCF_OK)
        status = join(directory, aside_name, &aside, err);
    if (status == MCF_OK)
        status = mcf_directory_make(directory, err);
    if (status == MCF_OK)
        status = mcf_tree_remove(aside, err);
    if (status == MCF_OK)
        status = mcf_directory_make(aside, err);
    if (status == MCF_OK)
        status = write_files(aside, checkpoint, err);
    if (status == MCF_OK)
        status = read_back(aside, checkpoint, err);
    if (status == MCF_OK)
        status = put_in_place(aside, path, err);
    if (status != MCF_OK) {
        if (aside)
            mcf_tree_remove(aside, NULL);
        mcf_add_context(err, status, "the checkpoint of step %" PRId64 " is not saved", checkpoint->step);
    } else {
        status = mcf_directory_sync(directory, err);
        if (status == MCF_OK)
            status = remove_oldest(directory, keep, err);
    }
    free(directory);
    free(aside);
    if (status == MCF_OK && out)
        *out = path;
    else
        free(path);
    return status;
}

mcf_status mcf_checkpoint_latest(const char *run, char **path, int64_t *step, mcf_error *err)
{
    char *directory, name[40];
    int64_t *steps;
    size_t count;
    *path = NULL;
    MCF_TRY(join(run, "checkpoints", &directory, err));
    mcf_status status = list_steps(directory, &steps, &count, err);
    // A directory without state.json was never ours to begin with, or somebody took parts of it away.
    while (status == MCF_OK && count > 0 && !*path) {
        char *place = NULL, *state = NULL;
        *step = steps[--count];
        step_name(name, sizeof(name), *step);
        status = join(directory, name, &place, err);
        if (status == MCF_OK)
            status = join(place, "state.json", &state, err);
        if (status == MCF_OK && mcf_path_exists(state)) {
            *path = place;
            place = NULL;
        }
        free(place);
        free(state);
    }
    free(steps);
    free(directory);
    return status;
}

mcf_status mcf_checkpoint_clean(const char *run, mcf_error *err)
{
    char *directory;
    MCF_TRY(join(run, "checkpoints", &directory, err));
    DIR *dir = opendir(directory);
    mcf_status status = MCF_OK;
    if (!dir && errno != ENOENT)
        status = mcf_fail(err, MCF_ERR_IO, "%s: cannot list: %s", directory, strerror(errno));
    struct dirent *entry;
    while (status == MCF_OK && dir && (entry = readdir(dir))) {
        if (strncmp(entry->d_name, aside_prefix, strlen(aside_prefix)) != 0)
            continue;
        char *path;
        status = join(directory, entry->d_name, &path, err);
        if (status == MCF_OK) {
            status = mcf_tree_remove(path, err);
            free(path);
        }
    }
    if (dir)
        closedir(dir);
    free(directory);
    return status;
}

// --- reading ---

static mcf_status damaged(const char *path, mcf_error *err, const char *what)
{
    return mcf_fail(err, MCF_ERR_FORMAT,
                    "%s: damaged checkpoint: %s; remove this directory to go on from an "
                    "earlier one",
                    path, what);
}

static mcf_status check_file(const char *directory, const char *name, const json_t *sums, mcf_error *err)
{
    const json_t *entry = json_object_get(sums, name);
    const char *hash_text = json_string_value(json_object_get(entry, "xxh64"));
    const json_t *size_value = json_object_get(entry, "size");
    char what[160], got[17];
    if (!hash_text || !json_is_integer(size_value)) {
        snprintf(what, sizeof(what), "state.json says nothing about %s", name);
        return damaged(directory, err, what);
    }
    char *path;
    uint64_t hash, size;
    MCF_TRY(join(directory, name, &path, err));
    mcf_status status = mcf_file_hash(path, &hash, &size, err);
    free(path);
    MCF_TRY(status);
    snprintf(got, sizeof(got), "%016" PRIx64, hash);
    if ((json_int_t)size != json_integer_value(size_value)) {
        snprintf(what, sizeof(what), "%s has %" PRIu64 " bytes, not %" JSON_INTEGER_FORMAT, name, size,
                 json_integer_value(size_value));
        return damaged(directory, err, what);
    }
    if (strcmp(hash_text, got) != 0) {
        snprintf(what, sizeof(what), "%s is not what was written (its checksum differs)", name);
        return damaged(directory, err, what);
    }
    return MCF_OK;
}

// Version 1 had no sum of its own; one that has a sum is no version 1.
static mcf_status check_own_sum(const char *directory, const json_t *root, json_int_t version, mcf_error *err)
{
    const json_t *written = json_object_get(root, own_sum);
    char sum[17];
    if (version == 1 && !written)
        return MCF_OK;
    if (!json_is_string(written) || version == 1)
        return damaged(directory, err, "state.json has no checksum of its own");
    MCF_TRY(sum_of_state(root, directory, sum, err));
    if (strcmp(json_string_value(written), sum) != 0)
        return damaged(directory, err, "state.json is not what was written (its checksum differs)");
    return MCF_OK;
}

static mcf_status check_state(const char *directory, const json_t *root, int64_t *step, mcf_error *err)
{
    const json_t *version = json_object_get(root, "format_version");
    const json_t *number = json_object_get(root, "step");
    if (!json_is_integer(version) || !json_is_integer(number) || json_integer_value(number) < 0 ||
        !json_is_object(json_object_get(root, "state")))
        return damaged(directory, err, "state.json lacks format_version, step or state");
    if (json_integer_value(version) < 1 || json_integer_value(version) > MCF_CHECKPOINT_VERSION)
        return mcf_fail(err, MCF_ERR_FORMAT,
                        "%s: checkpoint of format version %" JSON_INTEGER_FORMAT ", this program reads 1 to %d",
                        directory, json_integer_value(version), MCF_CHECKPOINT_VERSION);
    MCF_TRY(check_own_sum(directory, root, json_integer_value(version), err));
    *step = json_integer_value(number);
    const char *name = strrchr(directory, '/');
    const int64_t named = step_of_name(name ? name + 1 : directory);
    if (named >= 0 && named != *step) {
        char what[120];
        snprintf(what, sizeof(what), "state.json is of step %" PRId64 ", the directory's name of step %" PRId64, *step,
                 named);
        return damaged(directory, err, what);
    }
    for (int i = 0; i < FILE_COUNT; i++)
        MCF_TRY(check_file(directory, file_names[i], json_object_get(root, "files"), err));
    return MCF_OK;
}

mcf_status mcf_checkpoint_read_state(const char *directory, int64_t *step, json_t **state, mcf_error *err)
{
    char *path, *text;
    size_t size;
    json_error_t json_error = {.text = ""};
    *state = NULL;
    MCF_TRY(join(directory, "state.json", &path, err));
    mcf_status status = mcf_file_read(path, MAX_STATE, &text, &size, err);
    free(path);
    MCF_TRY(status);
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &json_error);
    free(text);
    // Without memory jansson gives up with this code, or with no words at all: the file is not to blame.
    if (!root && (json_error_code(&json_error) == json_error_out_of_memory || !json_error.text[0]))
        return no_memory(directory, err);
    if (!root) {
        char what[80];
        snprintf(what, sizeof(what), "state.json is no valid JSON (line %d)", json_error.line);
        return damaged(directory, err, what);
    }
    status = check_state(directory, root, step, err);
    if (status == MCF_OK)
        *state = json_incref(json_object_get(root, "state"));
    json_decref(root);
    return status;
}

// Names one after the other as far as they fit, then how many more.
typedef struct {
    char text[400];
    size_t used;
    int count, left_out;
} name_list;

static void add_name(name_list *list, const char *name)
{
    size_t length = strlen(name) + 2;
    list->count++;
    if (length > 90 || list->used + length >= sizeof(list->text)) {
        list->left_out++;
        return;
    }
    list->used += (size_t)sprintf(list->text + list->used, "%s%s", list->used ? ", " : "", name);
}

static void add_list(char *message, size_t size, const char *title, const name_list *list)
{
    size_t used = strlen(message);
    if (list->count == 0)
        return;
    snprintf(message + used, size - used, "%s%s: %s", used ? "; " : "", title, list->text);
    used = strlen(message);
    if (list->left_out)
        snprintf(message + used, size - used, "%s%d more", list->used ? " and " : "", list->left_out);
}

static mcf_status compare_names(const mcf_safetensors *file, const mcf_named_tensor *tensors, size_t count,
                                mcf_error *err)
{
    name_list missing = {.used = 0}, extra = {.used = 0}, different = {.used = 0};
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const mcf_safetensors_entry *entry = mcf_safetensors_find(file, tensors[i].name);
        if (!entry) {
            add_name(&missing, tensors[i].name);
            continue;
        }
        found++;
        if (!entry->native || entry->dtype != tensors[i].dtype || !mcf_shape_equal(&entry->shape, &tensors[i].shape)) {
            char got[100], want[100], words[300];
            snprintf(words, sizeof(words), "%.60s %s where the config needs %s", tensors[i].name,
                     mcf_shape_print(&entry->shape, got, sizeof(got)),
                     mcf_shape_print(&tensors[i].shape, want, sizeof(want)));
            add_name(&different, words);
        }
    }
    if (found < mcf_safetensors_count(file)) {
        for (size_t i = 0; i < mcf_safetensors_count(file); i++) {
            const char *name = mcf_safetensors_at(file, i)->name;
            size_t j = 0;
            while (j < count && strcmp(tensors[j].name, name) != 0)
                j++;
            if (j == count)
                add_name(&extra, name);
        }
    }
    char message[900] = "";
    add_list(message, sizeof(message), "missing", &missing);
    add_list(message, sizeof(message), "not expected", &extra);
    add_list(message, sizeof(message), "different", &different);
    if (!message[0])
        return MCF_OK;
    return mcf_fail(err, MCF_ERR_FORMAT, "%s: does not fit the config: %s", mcf_safetensors_path(file), message);
}

static mcf_status read_tensors(const char *directory, const char *name, const mcf_named_tensor *tensors, size_t count,
                               mcf_error *err)
{
    char *path;
    mcf_safetensors *file;
    MCF_TRY(join(directory, name, &path, err));
    mcf_status status = mcf_safetensors_open(&file, path, err);
    free(path);
    MCF_TRY(status);
    status = compare_names(file, tensors, count, err);
    for (size_t i = 0; i < count && status == MCF_OK; i++)
        status = mcf_safetensors_read(file, mcf_safetensors_find(file, tensors[i].name), tensors[i].data, err);
    mcf_safetensors_close(file);
    return status;
}

mcf_status mcf_checkpoint_read_model(const char *path, const mcf_named_tensor *tensors, size_t count, mcf_error *err)
{
    return read_tensors(path, file_names[0], tensors, count, err);
}

mcf_status mcf_checkpoint_read_optimizer(const char *path, const mcf_named_tensor *tensors, size_t count,
                                         mcf_error *err)
{
    return read_tensors(path, file_names[1], tensors, count, err);
}
