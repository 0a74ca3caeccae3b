// What a job leaves in its folder beside the shards: options, claims, statistics.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "data/formats/tar_index.h"
#include "infer/crop_internal.h"

void crop_unit_path(const char *out, int64_t number, const char *ending, char *path, size_t size)
{
    snprintf(path, size, "%s/%05lld%s", out, (long long)number, ending);
}

json_t *crop_read_json(const char *path, mcf_error *err)
{
    char *text;
    size_t size;
    json_error_t why;
    if (mcf_file_read(path, (size_t)1 << 30, &text, &size, err) != MCF_OK)
        return NULL;
    json_t *json = json_loadb(text, size, 0, &why);
    free(text);
    if (!json)
        mcf_fail(err, MCF_ERR_FORMAT, "%s: no JSON (%s)", path, why.text);
    return json;
}

// --- done

static bool had_failures(const char *path)
{
    json_t *stats = crop_read_json(path, NULL);
    const bool some = json_array_size(json_object_get(stats, "failures")) > 0;
    json_decref(stats);
    return some;
}

bool crop_unit_is_done(const mcf_crop_options *options, int64_t number)
{
    char path[4400];
    // with dedup this asks about the first pass, which hashes end
    crop_unit_path(options->out, number, options->dedup ? ".hashes.json" : ".stats.json", path, sizeof path);
    return mcf_path_exists(path) && !(options->retry && had_failures(path));
}

// --- claims: a lock that the system drops with the process

mcf_status crop_claim(const char *out, int64_t number, int *lock, mcf_error *err)
{
    char path[4400];
    crop_unit_path(out, number, ".lock", path, sizeof path);
    *lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (*lock < 0)
        return mcf_fail(err, MCF_ERR_IO, "%s: cannot be made: %s", path, strerror(errno));
    if (flock(*lock, LOCK_EX | LOCK_NB) == 0)
        return MCF_OK;
    const int why = errno;
    close(*lock);
    *lock = -1;
    if (why == EWOULDBLOCK)
        return MCF_OK;
    return mcf_fail(err, MCF_ERR_IO, "%s: cannot be locked: %s", path, strerror(why));
}

void crop_release(int lock)
{
    if (lock >= 0)
        close(lock);
}

void crop_sweep(const char *out, int64_t number)
{
    char begin[32];
    const int length = snprintf(begin, sizeof begin, "%05lld.", (long long)number);
    DIR *folder = opendir(out);
    const struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        if (strncmp(entry->d_name, begin, (size_t)length) == 0 && strstr(entry->d_name, ".tmp-"))
            unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
}

// --- options

static json_t *options_json(const mcf_crop_options *o, const crop_inputs *inputs, const char *sha256)
{
    char fingerprint[17];
    snprintf(fingerprint, sizeof fingerprint, "%016llx", (unsigned long long)crop_inputs_fingerprint(inputs));
    const mcf_crop_filters *f = &o->filters;
    json_t *json = json_pack("{s:s, s:f, s:[f,f,f], s:s, s:s, s:s, s:I, s:b, s:I, s:s}", "detector", sha256, "min_face",
                             o->detector.min_face, "thresholds", o->detector.threshold[0], o->detector.threshold[1],
                             o->detector.threshold[2], "template", mcf_template_names[o->face_template], "border",
                             mcf_border_names[o->border], "format", o->png ? "png" : "jpg", "shard_size",
                             (json_int_t)o->shard_size, "rotations", o->rotations, "units",
                             (json_int_t)crop_inputs_units(inputs), "inputs", fingerprint);
    json_t *filters =
        json_pack("{s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:i}", "max_outside", f->max_outside, "min_score", f->min_score,
                  "min_side", f->min_side, "max_enlarge", f->max_enlarge, "min_inside", f->min_inside, "min_sharp",
                  f->min_sharp, "max_residual", f->max_residual, "max_faces", f->max_faces);
    if (json)
        json_object_set_new(json, "filters", filters);
    if (json && o->dedup)
        json_object_set_new(json, "dedup", json_integer(o->dedup_bits));
    return json;
}

// The first option in which two jobs differ.
static const char *difference(json_t *a, json_t *b)
{
    const char *key;
    json_t *value;
    json_object_foreach(a, key, value)
    {
        const json_t *other = json_object_get(b, key);
        if (json_is_object(value)) {
            const char *inner = difference(value, json_object_get(b, key));
            if (inner)
                return inner;
        } else if (!json_equal(value, other))
            return key;
    }
    return NULL;
}

// A job begins in a folder where no file stands in the place of one of its own: the shards of many a download tool are
// called 00000.tar too. Whether another process has begun in the meantime is asked last.
static mcf_status check_new(const char *out, const char *crop_json, int64_t units, mcf_error *err)
{
    char found[300] = "";
    DIR *folder = opendir(out);
    for (const struct dirent *entry; folder && !found[0] && (entry = readdir(folder));) {
        long long number;
        int used = 0;
        const char *name = entry->d_name;
        const bool is_unit = sscanf(name, "%lld%n", &number, &used) == 1 && used >= 5 && number < units &&
                             (!strcmp(name + used, ".tar") || !strcmp(name + used, ".stats.json"));
        if (is_unit || !strcmp(name, "index.html"))
            snprintf(found, sizeof found, "%s", name);
    }
    if (folder)
        closedir(folder);
    return !found[0] || mcf_path_exists(crop_json)
               ? MCF_OK
               : mcf_fail(err, MCF_ERR_USAGE,
                          "%s: holds %s and no crop.json, so it is not this command's; name another folder", out,
                          found);
}

mcf_status crop_prepare_out(const mcf_crop_options *options, const crop_inputs *inputs, const char *sha256,
                            mcf_error *err)
{
    char path[4400];
    MCF_TRY(mcf_directory_make(options->out, err));
    snprintf(path, sizeof path, "%s/crop.json", options->out);
    if (!mcf_path_exists(path))
        MCF_TRY(check_new(options->out, path, crop_inputs_units(inputs), err));
    json_t *mine = options_json(options, inputs, sha256);
    char *text = mine ? json_dumps(mine, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(mine);
    if (!text)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for the job's options");
    mcf_status status = MCF_OK;
    if (!mcf_path_exists(path)) // several processes write the same bytes
        status = mcf_file_write(path, text, strlen(text), err);
    mcf_error why = {0};
    json_t *stored = status == MCF_OK ? crop_read_json(path, &why) : NULL;
    json_t *again = json_loads(text, 0, NULL); // with the same rounding
    if (status == MCF_OK && !stored)
        status = mcf_fail(err, MCF_ERR_FORMAT, "%.1000s; remove it if the folder holds no job", why.message);
    const char *key = status == MCF_OK ? difference(again, stored) : NULL;
    if (status == MCF_OK && !key) // an option that only the stored job has
        key = difference(stored, again);
    if (key)
        status =
            mcf_fail(err, MCF_ERR_USAGE,
                     "%s: holds a job with another '%s'; go on with its options and inputs, or choose another --out",
                     options->out, key);
    json_decref(stored);
    json_decref(again);
    free(text);
    return status;
}

// --- statistics

json_t *crop_counts_json(const mcf_crop_counts *c)
{
    json_t *refused = json_object(), *dropped = json_object();
    for (int i = 1; i < MCF_CROP_REFUSALS; i++)
        json_object_set_new(refused, mcf_crop_refusal_name(i), json_integer(c->refused[i]));
    for (int i = 0; i < MCF_DROPS; i++)
        json_object_set_new(dropped, mcf_drop_names[i], json_integer(c->dropped[i]));
    return json_pack("{s:I, s:o, s:I, s:I, s:I, s:o, s:I, s:I, s:I}", "pictures", (json_int_t)c->pictures, "refused",
                     refused, "without_face", (json_int_t)c->without_face, "turned", (json_int_t)c->turned, "found",
                     (json_int_t)c->found, "dropped", dropped, "kept", (json_int_t)c->kept, "captions",
                     (json_int_t)c->captions, "latin1_captions", (json_int_t)c->latin1);
}

void crop_counts_read(json_t *json, mcf_crop_counts *c)
{
    json_t *refused = json_object_get(json, "refused"), *dropped = json_object_get(json, "dropped");
    *c = (mcf_crop_counts){.pictures = json_integer_value(json_object_get(json, "pictures")),
                           .without_face = json_integer_value(json_object_get(json, "without_face")),
                           .turned = json_integer_value(json_object_get(json, "turned")),
                           .found = json_integer_value(json_object_get(json, "found")),
                           .kept = json_integer_value(json_object_get(json, "kept")),
                           .captions = json_integer_value(json_object_get(json, "captions")),
                           .latin1 = json_integer_value(json_object_get(json, "latin1_captions"))};
    for (int i = 1; i < MCF_CROP_REFUSALS; i++)
        c->refused[i] = json_integer_value(json_object_get(refused, mcf_crop_refusal_name(i)));
    for (int i = 0; i < MCF_DROPS; i++)
        c->dropped[i] = json_integer_value(json_object_get(dropped, mcf_drop_names[i]));
}

json_t *crop_stats_json(int64_t unit, const mcf_crop_counts *counts, const crop_failure *failures, int failure_count)
{
    json_t *json = json_object(), *list = json_array();
    json_object_set_new(json, "unit", json_integer(unit));
    json_object_set_new(json, "counts", crop_counts_json(counts));
    for (int i = 0; i < failure_count; i++) {
        json_t *source = crop_name_json(failures[i].source), *message = json_string(failures[i].message);
        json_array_append_new(list, json_pack("{s:o, s:s, s:o}", "source", source ? source : json_string("?"), "reason",
                                              failures[i].reason, "message", message ? message : json_string("?")));
    }
    if (json && json_object_set_new(json, "failures", list)) {
        json_decref(json);
        return NULL;
    }
    return json;
}

mcf_status crop_write_json(const char *path, json_t *json, mcf_error *err)
{
    char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    json_decref(json);
    if (!text)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for a unit's statistics");
    mcf_status status = mcf_file_write(path, text, strlen(text), err);
    free(text);
    return status;
}

mcf_status crop_index_shard(const mcf_crop_options *options, const char *path, int64_t faces, mcf_error *err)
{
    mcf_tar_index index;
    char note[1200];
    if (faces == 0)
        return MCF_OK;
    MCF_TRY(mcf_tar_index_open(path, &index, note, sizeof note, err));
    mcf_tar_index_free(&index);
    if (note[0] && options->notice)
        options->notice(options->context, note);
    return MCF_OK;
}
