// The page of a finished job: what became of the pictures, and faces spread evenly over all shards.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "infer/crop_internal.h"

enum { SHOWN = 120 };

// Adds every number of `more` to the same place of `sum`.
static void add_counts(json_t *sum, json_t *more)
{
    const char *key;
    json_t *value;
    json_object_foreach(more, key, value)
    {
        json_t *old = json_object_get(sum, key);
        if (json_is_object(value)) {
            if (!old)
                json_object_set_new(sum, key, old = json_object());
            add_counts(old, value);
        } else if (json_is_integer(value))
            json_object_set_new(sum, key, json_integer(json_integer_value(old) + json_integer_value(value)));
    }
}

static mcf_status write_text(mcf_file_writer *writer, const char *text, mcf_error *err)
{
    return mcf_file_writer_write(writer, text, strlen(text), err);
}

static mcf_status write_base64(mcf_file_writer *writer, const uint8_t *bytes, size_t size, mcf_error *err)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        const uint32_t three = (uint32_t)bytes[i] << 16 | (i + 1 < size ? (uint32_t)bytes[i + 1] << 8 : 0) |
                               (i + 2 < size ? bytes[i + 2] : 0);
        const char four[4] = {digits[three >> 18], digits[three >> 12 & 63],
                              i + 1 < size ? digits[three >> 6 & 63] : '=', i + 2 < size ? digits[three & 63] : '='};
        MCF_TRY(mcf_file_writer_write(writer, four, 4, err));
    }
    return MCF_OK;
}

static mcf_status write_counts(mcf_file_writer *writer, json_t *counts, const char *heading, mcf_error *err)
{
    const char *key;
    json_t *value;
    char line[400];
    snprintf(line, sizeof line, "<h2>%s</h2><table>", heading);
    MCF_TRY(write_text(writer, line, err));
    json_object_foreach(counts, key, value)
    {
        if (!json_is_integer(value))
            continue;
        snprintf(line, sizeof line, "<tr><td>%.100s<td class=n>%lld", key, (long long)json_integer_value(value));
        MCF_TRY(write_text(writer, line, err));
    }
    return write_text(writer, "</table>", err);
}

// Some faces of one shard, evenly.
static mcf_status write_faces(mcf_file_writer *writer, const char *path, int64_t wanted, bool png, mcf_error *err)
{
    mcf_source *source;
    mcf_bytes bytes = {0};
    if (mcf_source_open(&source, &path, 1, MCF_SOURCE_TAR, NULL) != MCF_OK)
        return MCF_OK; // empty, or moved away
    const int64_t count = mcf_source_count(source);
    mcf_status status = MCF_OK;
    for (int64_t k = 0; k < wanted && k < count && status == MCF_OK; k++) {
        const int64_t sample = wanted < count ? k * count / wanted : k;
        char name[CROP_NAME];
        mcf_source_name(source, sample, name, sizeof name);
        const char *colon = strrchr(name, ':');
        if (mcf_source_read(source, sample, &bytes, NULL) != MCF_OK)
            continue;
        char begin[400]; // keys hold nothing that HTML would read
        snprintf(begin, sizeof begin, "<img title=\"%.120s\" src=\"data:image/%s;base64,", colon ? colon + 1 : name,
                 png ? "png" : "jpeg");
        status = write_text(writer, begin, err);
        if (status == MCF_OK)
            status = write_base64(writer, bytes.data, bytes.size, err);
        if (status == MCF_OK)
            status = write_text(writer, "\">\n", err);
    }
    mcf_bytes_free(&bytes);
    mcf_source_close(source);
    return status;
}

static mcf_status write_page(const mcf_crop_options *o, int64_t units, json_t *counts, mcf_file_writer *writer,
                             mcf_error *err)
{
    MCF_TRY(write_text(writer,
                       "<!doctype html><meta charset=utf-8><title>Cropped faces</title><style>body{font:14px "
                       "sans-serif;margin:2em;max-width:1200px}table{border-collapse:collapse}td{padding:.1em 1em .1em "
                       "0}.n{text-align:right}img{width:128px;height:128px;margin:1px}h2{font-size:16px}</style>"
                       "<h1>Cropped faces</h1>\n",
                       err));
    MCF_TRY(write_counts(writer, counts, "Pictures and faces", err));
    MCF_TRY(write_counts(writer, json_object_get(counts, "refused"), "Pictures refused", err));
    MCF_TRY(write_counts(writer, json_object_get(counts, "dropped"), "Faces left out", err));
    MCF_TRY(write_text(writer, "<h2>Faces, evenly over all shards</h2>\n", err));
    const int64_t shards = units < SHOWN ? units : SHOWN;
    for (int64_t k = 0; k < shards; k++) {
        char path[4400];
        crop_unit_path(o->out, k * units / shards, ".tar", path, sizeof path);
        MCF_TRY(write_faces(writer, path, SHOWN / shards, o->png, err));
    }
    return MCF_OK;
}

mcf_status crop_write_sheet(const mcf_crop_options *o, const crop_inputs *inputs, mcf_error *err)
{
    const int64_t units = crop_inputs_units(inputs);
    char path[4400];
    json_t *counts = json_object();
    for (int64_t n = 0; n < units; n++) {
        crop_unit_path(o->out, n, ".stats.json", path, sizeof path);
        json_t *stats = crop_read_json(path, NULL);
        if (!stats) { // not all are done: who does the last one writes the page
            json_decref(counts);
            return MCF_OK;
        }
        add_counts(counts, json_object_get(stats, "counts"));
        json_decref(stats);
    }
    mcf_file_writer *writer;
    snprintf(path, sizeof path, "%s/index.html", o->out);
    mcf_status status = mcf_file_writer_open(&writer, path, err);
    if (status == MCF_OK) {
        status = write_page(o, units, counts, writer, err);
        if (status == MCF_OK)
            status = mcf_file_writer_commit(writer, NULL, NULL, err);
        else
            mcf_file_writer_abort(writer);
    }
    json_decref(counts);
    return status;
}
