#include "data/faces/labels.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

static mcf_status grow(mcf_labels *l, int64_t *room, mcf_error *err)
{
    if (l->count < *room)
        return MCF_OK;
    const int64_t more = *room ? 2 * *room : 256;
    char **images = realloc(l->images, (size_t)more * sizeof *images);
    if (images)
        l->images = images;
    int32_t *identity = realloc(l->identity, (size_t)more * sizeof *identity);
    if (identity)
        l->identity = identity;
    float *xy = realloc(l->xy, (size_t)more * (size_t)l->points * 2 * sizeof *xy);
    if (xy)
        l->xy = xy;
    if (!images || !identity || !xy)
        return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels of %lld pictures", (long long)more);
    *room = more;
    return MCF_OK;
}

// What is wrong with a line, or NULL: "the key that says it".
static const char *take(mcf_labels *l, const json_t *line, const char *set)
{
    const json_t *identity = json_object_get(line, "identity"), *size = json_object_get(line, "size");
    const json_t *points = json_object_get(json_object_get(line, "points"), set);
    if (!json_is_string(json_object_get(line, "image")) || !json_string_value(json_object_get(line, "image"))[0])
        return "\"image\" is no path";
    if (!json_is_integer(identity) || json_integer_value(identity) < 0 || json_integer_value(identity) > INT32_MAX)
        return "\"identity\" is no whole number from 0";
    const double side = json_number_value(size);
    if (!(side >= 1 && side <= 65535))
        return "\"size\" is no side of a picture";
    if (json_array_size(points) != (size_t)l->points)
        return "\"points\" has not this many points under their number";
    float *xy = l->xy + l->count * l->points * 2;
    for (int p = 0; p < l->points; p++)
        for (int axis = 0; axis < 2; axis++) {
            const json_t *value = json_array_get(json_array_get(points, (size_t)p), (size_t)axis);
            const double v = json_number_value(value) / side;
            // A point may lie outside the picture, but not far.
            if (!json_is_number(value) || !(fabs(v) <= 16))
                return "\"points\" holds what is no [x, y, visible] near the picture";
            xy[2 * p + axis] = (float)v;
        }
    l->identity[l->count] = (int32_t)json_integer_value(identity);
    return NULL;
}

mcf_status mcf_labels_parse(mcf_labels *l, const char *bytes, size_t size, const char *folder, const char *path,
                            int points, mcf_error *err)
{
    *l = (mcf_labels){.points = points};
    int64_t room = 0, number = 0;
    char set[16];
    snprintf(set, sizeof set, "%d", points);
    for (const char *at = bytes, *end = bytes + size; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const size_t length = (size_t)((stop ? stop : end) - at);
        json_error_t fault;
        number++;
        if (length > MCF_LABELS_MAX_LINE)
            return mcf_fail(err, MCF_ERR_FORMAT, "%s: line %lld has more than %d bytes", path, (long long)number,
                            MCF_LABELS_MAX_LINE);
        MCF_TRY(grow(l, &room, err));
        json_t *line = json_loadb(at, length, JSON_REJECT_DUPLICATES, &fault);
        if (!line)
            return mcf_fail(err, MCF_ERR_FORMAT, "%s: line %lld: %s", path, (long long)number, fault.text);
        const char *wrong = take(l, line, set);
        char *image = wrong ? NULL : mcf_path_join(folder, json_string_value(json_object_get(line, "image")));
        json_decref(line);
        if (wrong)
            return mcf_fail(err, MCF_ERR_FORMAT, "%s: line %lld: %s (%s); `mcf synth` writes such files", path,
                            (long long)number, wrong, set);
        if (!image)
            return mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
        l->images[l->count++] = image;
        at = stop ? stop + 1 : end;
    }
    return l->count ? MCF_OK : mcf_fail(err, MCF_ERR_FORMAT, "%s: is empty", path);
}

mcf_status mcf_labels_read(mcf_labels *l, const char *folder, int points, mcf_error *err)
{
    *l = (mcf_labels){0};
    char *path = mcf_path_join(folder, "labels.jsonl"), *bytes = NULL;
    size_t size;
    mcf_status status = path ? mcf_file_read(path, MCF_LABELS_MAX_FILE, &bytes, &size, err)
                             : mcf_fail(err, MCF_ERR_NOMEM, "no memory for the labels");
    if (status == MCF_OK)
        status = mcf_labels_parse(l, bytes, size, folder, path, points, err);
    free(bytes);
    free(path);
    return status;
}

void mcf_labels_free(mcf_labels *l)
{
    for (int64_t i = 0; i < l->count; i++)
        free(l->images[i]);
    free(l->images);
    free(l->identity);
    free(l->xy);
    *l = (mcf_labels){0};
}
