// A run as it lies on disk, complete, going on or in pieces.
#define _GNU_SOURCE
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "run/checkpoint.h"
#include "report/internal.h"

enum { FILE_MOST = 1 << 20 };

void mcf_report_run_close(mcf_report_run *run)
{
    free(run->name);
    free(run->config_text);
    if (run->has_config)
        mcf_config_free(&run->config);
    mcf_run_log_free(&run->log);
    json_decref(run->machine);
    json_decref(run->state);
    free(run->checkpoint);
    free(run->pictures);
    mcf_look_free(&run->look);
    free(run->look_images);
    free(run->search_label);
    free(run->search_thumb);
    mcf_report_faces_free(run);
    *run = (mcf_report_run){0};
}

static char *name_of(const char *path)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    return strndup(path + begin, end - begin);
}

static void read_config(mcf_report_run *run)
{
    char *path = mcf_path_join(run->path, "config.yaml");
    mcf_error err = {0};
    size_t size;
    if (!path || !mcf_path_exists(path)) {
        snprintf(run->config_error, sizeof run->config_error, "%s/config.yaml: not there", run->path);
    } else if (mcf_file_read(path, FILE_MOST, &run->config_text, &size, &err) != MCF_OK ||
               mcf_config_parse(&run->config, run->config_text, size, path, NULL, 0, &err) != MCF_OK) {
        snprintf(run->config_error, sizeof run->config_error, "%s", err.message);
    } else {
        run->has_config = true;
    }
    free(path);
}

static void read_machine(mcf_report_run *run)
{
    char *path = mcf_path_join(run->path, "machine.json"), *text = NULL;
    size_t size;
    if (path && mcf_file_read(path, FILE_MOST, &text, &size, NULL) == MCF_OK)
        run->machine = json_loadb(text, size, 0, NULL);
    if (run->machine && (!json_is_array(run->machine) || json_array_size(run->machine) == 0)) {
        json_decref(run->machine);
        run->machine = NULL;
    }
    free(text);
    free(path);
}

static void read_checkpoint(mcf_report_run *run)
{
    mcf_error err = {0};
    mcf_status status = mcf_checkpoint_latest(run->path, &run->checkpoint, &run->checkpoint_step, &err);
    if (status == MCF_OK && run->checkpoint)
        status = mcf_checkpoint_read_state(run->checkpoint, &run->checkpoint_step, &run->state, &err);
    if (status != MCF_OK)
        snprintf(run->checkpoint_error, sizeof run->checkpoint_error, "%s", err.message);
    else if (!run->checkpoint)
        snprintf(run->checkpoint_error, sizeof run->checkpoint_error, "%s has saved no checkpoint yet", run->path);
}

static int by_step(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void list_pictures(mcf_report_run *run)
{
    char *folder = mcf_path_join(run->path, "pictures");
    DIR *directory = folder ? opendir(folder) : NULL;
    size_t capacity = 0;
    free(folder);
    if (!directory)
        return;
    for (const struct dirent *entry; (entry = readdir(directory));) {
        int64_t step;
        char canonical[40];
        if (sscanf(entry->d_name, "step-%" SCNd64, &step) != 1 || step < 0)
            continue;
        snprintf(canonical, sizeof canonical, "step-%08" PRId64 ".jpg", step);
        if (strcmp(canonical, entry->d_name) != 0)
            continue;
        if (run->picture_count == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            int64_t *more = realloc(run->pictures, capacity * sizeof *more);
            if (!more)
                break;
            run->pictures = more;
        }
        run->pictures[run->picture_count++] = step;
    }
    closedir(directory);
    qsort(run->pictures, run->picture_count, sizeof *run->pictures, by_step);
}

// A run that goes on holds a lock on its directory. Taking the lock to find out could refuse a run that starts at that
// moment, so the system's list is read instead.
static bool is_running(const char *path)
{
    struct stat s;
    char line[256];
    bool found = false;
    if (stat(path, &s) != 0)
        return false;
    FILE *file = fopen("/proc/locks", "re");
    while (file && !found && fgets(line, sizeof line, file)) {
        unsigned major, minor;
        unsigned long long inode;
        const char *at = strstr(line, "FLOCK");
        found = at && sscanf(at, "FLOCK %*s %*s %*d %x:%x:%llu", &major, &minor, &inode) == 3 && inode == s.st_ino &&
                major == major(s.st_dev) && minor == minor(s.st_dev);
    }
    if (file)
        fclose(file);
    return found;
}

mcf_status mcf_report_run_open(mcf_report_run *run, const char *path, mcf_error *err)
{
    *run = (mcf_report_run){.path = path, .checkpoint_step = -1};
    if (!mcf_path_is_directory(path))
        return mcf_fail(
            err, MCF_ERR_USAGE,
            "%s: %s; give the directory of a run, what `mcf pretrain --out` or `mcf finetune --out` was given", path,
            mcf_path_exists(path) ? "not a directory" : "there is no such directory");
    run->name = name_of(path);
    char *log = mcf_path_join(path, "log.jsonl");
    if (!run->name || !log) {
        free(log);
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a run");
    }
    mcf_error why = {0};
    mcf_status status = mcf_run_log_read(&run->log, log, &why);
    free(log);
    if (status != MCF_OK)
        snprintf(run->log_error, sizeof run->log_error, "%s", why.message);
    read_config(run);
    read_checkpoint(run);
    if (!run->config_text && !run->log.present && !run->checkpoint)
        return mcf_fail(err, MCF_ERR_USAGE, "%s: holds no run: neither config.yaml nor log.jsonl nor checkpoints",
                        path);
    read_machine(run);
    list_pictures(run);
    run->running = is_running(path);
    return MCF_OK;
}

const json_t *mcf_report_run_machine(const mcf_report_run *run, const char *key)
{
    const size_t starts = json_array_size(run->machine);
    return starts ? json_object_get(json_array_get(run->machine, starts - 1), key) : NULL;
}

int64_t mcf_report_run_batch(const mcf_report_run *run)
{
    size_t devices = json_array_size(mcf_report_run_machine(run, "devices"));
    const json_t *saved = json_object_get(run->state, "devices");
    if (devices == 0 && json_is_integer(saved) && json_integer_value(saved) > 0 &&
        json_integer_value(saved) <= MCF_MAX_DEVICES)
        devices = (size_t)json_integer_value(saved);
    return run->has_config && devices ? mcf_config_effective_batch(&run->config, (int)devices) : 0;
}

bool mcf_report_run_complete(const mcf_report_run *run)
{
    const json_t *epoch = json_object_get(run->state, "epoch");
    return run->has_config && ((json_is_integer(epoch) && json_integer_value(epoch) >= run->config.schedule.epochs) ||
                               run->log.epoch >= run->config.schedule.epochs - 1e-9);
}
