// What is written about a face.
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "infer/crop_internal.h"

// Digits that bring every float32 back.
enum { DIGITS = 9 };

json_t *crop_name_json(const char *name)
{
    char *stored = mcf_name_as_utf8(name); // JSON has no place for other bytes
    json_t *value = stored ? json_string(stored) : NULL;
    free(stored);
    return value;
}

static json_t *numbers(const float *values, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_real(values[i]));
    return list;
}

static json_t *points_of(const mcf_face *face)
{
    json_t *list = json_array();
    for (int k = 0; k < 5; k++)
        json_array_append_new(list, numbers(face->points[k], 2));
    return list;
}

static json_t *transform_of(const mcf_similarity *f)
{
    json_t *rows = json_array(), *first = json_array(), *second = json_array();
    json_array_append_new(first, json_real(f->a));
    json_array_append_new(first, json_real(-f->b));
    json_array_append_new(first, json_real(f->tx));
    json_array_append_new(second, json_real(f->b));
    json_array_append_new(second, json_real(f->a));
    json_array_append_new(second, json_real(f->ty));
    json_array_append_new(rows, first);
    json_array_append_new(rows, second);
    return rows;
}

char *crop_face_json(const crop_facts *f)
{
    json_t *o = json_object();
    char hash[17];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)f->dhash);
    json_object_set_new(o, "source", crop_name_json(f->names->source));
    json_object_set_new(o, "source_key", crop_name_json(f->names->source_key));
    json_object_set_new(o, "width", json_integer(f->width));
    json_object_set_new(o, "height", json_integer(f->height));
    json_object_set_new(o, "orientation", json_integer(f->orientation));
    if (f->turned != 1)
        json_object_set_new(o, "turned", json_integer(f->turned));
    json_object_set_new(o, "box", numbers(f->face->box, 4));
    json_object_set_new(o, "score", json_real(f->face->score));
    json_object_set_new(o, "points", points_of(f->face));
    json_object_set_new(o, "transform", transform_of(f->fit));
    json_object_set_new(o, "template", json_string(f->template_name));
    json_object_set_new(o, "side", json_real(mcf_similarity_side(f->fit)));
    json_object_set_new(o, "inside", json_real(f->inside));
    json_object_set_new(o, "sharpness", json_real(f->sharpness));
    if (f->residual >= 0)
        json_object_set_new(o, "residual", json_real(f->residual));
    json_object_set_new(o, "dhash", json_string(hash));
    json_object_set_new(o, "sha256", json_string(f->source_sha256));
    json_object_set_new(o, "detector", json_string(f->detector_sha256));
    json_object_set_new(o, "detector_kind", json_string(f->detector));
    if (f->caption_encoding)
        json_object_set_new(o, "caption_encoding", json_string(f->caption_encoding));
    if (f->source_meta) {
        json_t *meta = json_loadb(f->source_meta, f->source_meta_size, JSON_DECODE_ANY, NULL);
        if (meta)
            json_object_set_new(o, "source_meta", meta);
    }
    char *line = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS));
    json_decref(o);
    return line;
}

char *crop_detections_json(const char *path, const mcf_faces *faces, const char *refused)
{
    json_t *o = json_object(), *entry = json_object();
    if (refused)
        json_object_set_new(entry, "refused", json_string(refused));
    else {
        json_t *boxes = json_array(), *points = json_array();
        for (int i = 0; i < faces->count; i++) {
            json_t *box = numbers(faces->faces[i].box, 4);
            json_array_append_new(box, json_real(faces->faces[i].score));
            json_array_append_new(boxes, box);
            json_array_append_new(points, points_of(&faces->faces[i]));
        }
        json_object_set_new(entry, "boxes", boxes);
        json_object_set_new(entry, "points", points);
    }
    json_t *key = crop_name_json(path);
    json_object_set_new(o, json_string_value(key), entry);
    json_decref(key);
    char *line = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS));
    json_decref(o);
    if (line) { // the braces around are the file's
        const size_t length = strlen(line);
        memmove(line, line + 1, length - 2);
        line[length - 2] = 0;
    }
    return line;
}
