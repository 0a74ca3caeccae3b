#define _GNU_SOURCE
#include "run/log.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

struct mcf_log {
    int fd;
    char *path;
    off_t size;
};

// The length of what stays: whole lines up to the first one of a later step.
static mcf_status past_length(const char *path, int64_t step, off_t *length, mcf_error *err)
{
    *length = 0;
    int fd;
    if (!mcf_path_exists(path))
        return MCF_OK;
    MCF_TRY(mcf_file_open(path, &fd, NULL, err));
    FILE *file = fdopen(fd, "r");
    if (!file) {
        close(fd);
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", path);
    }
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    while ((size = getline(&line, &room, file)) > 0 && line[size - 1] == '\n') {
        json_t *object = json_loadb(line, (size_t)size, 0, NULL);
        const json_t *at = json_object_get(object, "step");
        bool later = json_is_integer(at) && json_integer_value(at) > step;
        json_decref(object);
        if (later)
            break;
        *length += size;
    }
    mcf_status status = MCF_OK;
    if (ferror(file))
        status = mcf_fail(err, MCF_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    free(line);
    fclose(file);
    return status;
}

mcf_status mcf_log_open(mcf_log **out, const char *path, int64_t resume_step, mcf_error *err)
{
    off_t length = 0;
    *out = NULL;
    if (resume_step >= 0)
        MCF_TRY(past_length(path, resume_step, &length, err));
    mcf_log *log = calloc(1, sizeof(*log));
    if (!log || !(log->path = strdup(path))) {
        free(log);
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", path);
    }
    log->size = length;
    log->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (log->fd < 0 || ftruncate(log->fd, length) != 0) {
        mcf_status status = mcf_fail(err, MCF_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
        mcf_log_close(log);
        return status;
    }
    *out = log;
    return MCF_OK;
}

mcf_status mcf_log_write(mcf_log *log, const json_t *object, mcf_error *err)
{
    // Nine digits carry a float exactly.
    char *text = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
    if (!text)
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: cannot write a log line: out of memory", log->path);
    size_t length = strlen(text);
    text[length++] = '\n';
    mcf_status status = mcf_file_write_all(log->fd, text, length, log->path, err);
    free(text);
    if (status == MCF_OK)
        log->size += (off_t)length;
    else if (ftruncate(log->fd, log->size) != 0)
        mcf_add_context(err, status, "a torn line stays");
    return status;
}

mcf_status mcf_log_sync(mcf_log *log, mcf_error *err)
{
    if (fsync(log->fd) != 0 && errno != EINVAL)
        return mcf_fail(err, MCF_ERR_IO, "%s: cannot sync: %s", log->path, strerror(errno));
    return MCF_OK;
}

void mcf_log_close(mcf_log *log)
{
    if (!log)
        return;
    if (log->fd >= 0)
        close(log->fd);
    free(log->path);
    free(log);
}

json_t *mcf_log_number(double value)
{
    if (isnan(value))
        return json_string("nan");
    if (isinf(value))
        return json_string(value > 0 ? "inf" : "-inf");
    return json_real(value);
}
