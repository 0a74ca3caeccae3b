#include "run/read_log.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

enum { LINE_MOST = 1 << 16 };

void mcf_run_log_free(mcf_run_log *log)
{
    for (int i = 0; i < log->count; i++) {
        free(log->curves[i].x);
        free(log->curves[i].y);
    }
    for (int i = 0; i < log->broken_count; i++)
        free(log->broken_images[i]);
    *log = (mcf_run_log){0};
}

const mcf_curve *mcf_run_log_curve(const mcf_run_log *log, const char *name)
{
    for (int i = 0; i < log->count; i++)
        if (strcmp(log->curves[i].name, name) == 0)
            return &log->curves[i];
    return NULL;
}

static mcf_curve *curve_of(mcf_run_log *log, const char *name)
{
    mcf_curve *curve = (mcf_curve *)mcf_run_log_curve(log, name);
    if (curve || log->count == MCF_CURVES_MOST || strlen(name) >= sizeof curve->name)
        return curve;
    curve = &log->curves[log->count++];
    *curve = (mcf_curve){.stride = 1};
    strcpy(curve->name, name);
    return curve;
}

static mcf_status add_point(mcf_curve *c, double x, double y, mcf_error *err)
{
    // A log taken up again by hand may go back: what was behind that step no longer counts.
    while (c->count && c->x[c->count - 1] >= x)
        c->count--;
    if (c->skip) {
        c->skip--;
        return MCF_OK;
    }
    if (c->count == MCF_CURVE_POINTS) {
        for (size_t i = 0; i < c->count / 2; i++) {
            c->x[i] = c->x[2 * i];
            c->y[i] = c->y[2 * i];
        }
        c->count /= 2;
        c->stride *= 2;
    }
    if (c->count == c->capacity) {
        size_t capacity = c->capacity ? 2 * c->capacity : 256;
        double *xs = realloc(c->x, capacity * sizeof *xs);
        if (xs)
            c->x = xs;
        double *ys = xs ? realloc(c->y, capacity * sizeof *ys) : NULL;
        if (!ys)
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the curves of a log");
        c->y = ys;
        c->capacity = capacity;
    }
    c->x[c->count] = x;
    c->y[c->count++] = y;
    c->skip = c->stride - 1;
    return MCF_OK;
}

static bool value_of(const json_t *value, double *number)
{
    if (json_is_number(value)) {
        *number = json_number_value(value);
        return true;
    }
    const char *text = json_string_value(value);
    *number = NAN;
    return text && (strcmp(text, "nan") == 0 || strcmp(text, "inf") == 0 || strcmp(text, "-inf") == 0);
}

static mcf_status take_line(mcf_run_log *log, const json_t *object, mcf_error *err)
{
    const json_t *step = json_object_get(object, "step");
    if (!json_is_integer(step) || json_integer_value(step) < 0) {
        log->bad_lines++;
        return MCF_OK;
    }
    const double x = (double)json_integer_value(step);
    const char *broken = json_string_value(json_object_get(object, "broken_image")), *key;
    json_t *value;
    if (broken) {
        if (log->broken_count < MCF_BROKEN_KEPT && (log->broken_images[log->broken_count] = strdup(broken)))
            log->broken_count++;
        return MCF_OK;
    }
    log->steps = json_integer_value(step);
    log->skipped += json_is_true(json_object_get(object, "skipped"));
    json_object_foreach((json_t *)object, key, value)
    {
        double y;
        if (strcmp(key, "step") == 0 || !value_of(value, &y))
            continue;
        log->not_finite += !isfinite(y);
        if (strcmp(key, "broken") == 0)
            log->broken = isfinite(y) && y >= 0 ? (int64_t)y : log->broken;
        if (strcmp(key, "unsupported") == 0)
            log->unsupported = isfinite(y) && y >= 0 ? (int64_t)y : log->unsupported;
        if (strcmp(key, "epoch") == 0 && isfinite(y))
            log->epoch = y;
        mcf_curve *curve = curve_of(log, key);
        if (curve)
            MCF_TRY(add_point(curve, x, y, err));
    }
    return MCF_OK;
}

static mcf_status read_lines(mcf_run_log *log, FILE *file, char *line, mcf_error *err)
{
    size_t size = 0;
    bool too_long = false;
    for (int c; (c = getc_unlocked(file)) != EOF;) {
        if (c != '\n') {
            if (size < LINE_MOST)
                line[size++] = (char)c;
            else
                too_long = true;
            continue;
        }
        log->lines++;
        json_t *object = too_long ? NULL : json_loadb(line, size, 0, NULL);
        mcf_status status = MCF_OK;
        if (json_is_object(object))
            status = take_line(log, object, err);
        else
            log->bad_lines++;
        json_decref(object);
        MCF_TRY(status);
        size = 0;
        too_long = false;
    }
    log->torn = size > 0;
    return MCF_OK;
}

mcf_status mcf_run_log_read(mcf_run_log *log, const char *path, mcf_error *err)
{
    *log = (mcf_run_log){0};
    int fd;
    if (!mcf_path_exists(path))
        return MCF_OK;
    MCF_TRY(mcf_file_open(path, &fd, NULL, err));
    FILE *file = fdopen(fd, "r");
    if (!file) {
        close(fd);
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", path);
    }
    char *line = malloc(LINE_MOST);
    mcf_status status = line ? read_lines(log, file, line, err) : mcf_fail(err, MCF_ERR_NOMEM, "no memory for a line");
    if (status == MCF_OK && ferror(file))
        status = mcf_fail(err, MCF_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    log->present = true;
    free(line);
    fclose(file);
    if (status != MCF_OK)
        mcf_run_log_free(log);
    return status;
}
