// RUN/machine.json: what the run was made on, an object for every start, the first first.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "train/run_state.h"

#ifndef MCF_VERSION
#define MCF_VERSION "unknown"
#endif

enum { STARTS_MOST = 1000, FILE_MOST = 1 << 20 };

// "" where the system does not say.
static void processor(char *name, size_t size)
{
    char line[512];
    FILE *file = fopen("/proc/cpuinfo", "re");
    name[0] = '\0';
    while (file && !name[0] && fgets(line, sizeof line, file)) {
        const char *value = strncmp(line, "model name", 10) == 0 ? strchr(line, ':') : NULL;
        if (value)
            snprintf(name, size, "%.*s", (int)strcspn(value + 2, "\n"), value + 2);
    }
    if (file)
        fclose(file);
}

static json_t *devices_of(const mcf_job *job)
{
    json_t *list = json_array();
    for (int i = 0; i < mcf_job_size(job); i++) {
        mcf_device_info info = {0};
        if (mcf_job_backend(job)->device_info(mcf_job_device_index(job, i), &info, NULL) == MCF_OK)
            json_array_append_new(list,
                                  json_pack("{s:s, s:s, s:i, s:I}", "name", info.name, "detail", info.detail, "units",
                                            info.compute_units, "memory", (json_int_t)info.memory_total));
    }
    return list;
}

static json_t *this_start(const mcf_run *run)
{
    const mcf_job *job = run->engine->job;
    const time_t now = time(NULL);
    struct utsname system = {0};
    struct tm utc;
    char when[32] = "", cpu[256];
    if (gmtime_r(&now, &utc))
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    uname(&system);
    processor(cpu, sizeof cpu);
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:o, s:i, s:i, s:s, s:I, s:s, s:s, s:s, s:I}", "version", MCF_VERSION,
                     "started", when, "step", (json_int_t)run->step, "backend", mcf_job_backend(job)->name, "about",
                     mcf_job_backend(job)->about, "devices", devices_of(job), "machines",
                     mcf_job_world(job) / mcf_job_size(job), "threads", mcf_job_threads(job), "cpu", cpu, "cores",
                     (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "system", system.sysname, "release", system.release,
                     "machine", system.machine, "images", (json_int_t)mcf_source_count(run->source));
}

void mcf_run_note_machine(const mcf_run *run)
{
    mcf_error err = {0};
    char *path = mcf_path_join(run->options->run, "machine.json"), *text = NULL;
    size_t size = 0;
    json_t *starts = NULL;
    if (path && run->step > 0 && mcf_file_read(path, FILE_MOST, &text, &size, NULL) == MCF_OK)
        starts = json_loadb(text, size, 0, NULL);
    free(text);
    if (!json_is_array(starts) || json_array_size(starts) >= STARTS_MOST) {
        json_decref(starts);
        starts = json_array();
    }
    json_array_append_new(starts, this_start(run));
    text = json_dumps(starts, JSON_INDENT(1));
    if (!path || !text || mcf_file_write(path, text, strlen(text), &err) != MCF_OK)
        mcf_run_notice(run, "machine.json is not written, training goes on: %s",
                       err.message[0] ? err.message : "no memory");
    json_decref(starts);
    free(text);
    free(path);
}
