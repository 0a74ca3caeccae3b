// Near-duplicate faces, --dedup N: a face is left out whose dhash lies within N bits of that of an earlier face of the
// input, where "earlier" is every face that the filters let through, left out as a duplicate or not. So each face's fate
// depends on what stands before it in the input alone, and no process has to know what another decided.
//
// Two passes. The first writes every unit whole, as NNNNN.candidates (a tar) and NNNNN.hashes.json (its statistics, and the
// hashes in the tar's order). The second copies the faces that stay to NNNNN.tar and writes NNNNN.stats.json; it takes a
// unit once the hashes of all earlier ones are there.
#define _GNU_SOURCE
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "data/formats/tar_index.h"
#include "data/formats/tar_write.h"
#include "infer/crop_internal.h"

// --- hashes

typedef struct {
    uint64_t hash; // turned so that the band in question stands highest
    int64_t face;
} hashed_face;

static int by_hash(const void *a, const void *b)
{
    const hashed_face *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->face > y->face) - (x->face < y->face);
}

// Marks the later one of each pair of a group that lies within `bits`.
static void compare_group(const hashed_face *group, int64_t count, int bits, bool *duplicate)
{
    for (int64_t i = 0; i < count; i++)
        for (int64_t k = i + 1; k < count; k++) {
            const int64_t later = group[i].face > group[k].face ? group[i].face : group[k].face;
            if (!duplicate[later] && __builtin_popcountll(group[i].hash ^ group[k].hash) <= bits)
                duplicate[later] = true;
        }
}

// Two hashes within `bits` agree in one of bits + 1 bands at least, so only faces that share a band are compared.
mcf_status crop_mark_duplicates(const uint64_t *hashes, int64_t count, int bits, bool *duplicate, mcf_error *err)
{
    hashed_face *faces = malloc(((size_t)count + 1) * sizeof *faces);
    if (!faces)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for the hashes of %lld faces", (long long)count);
    int64_t distinct = 0;
    for (int64_t i = 0; i < count; i++) {
        faces[i] = (hashed_face){hashes[i], i};
        duplicate[i] = false;
    }
    qsort(faces, (size_t)count, sizeof *faces, by_hash);
    for (int64_t i = 0; i < count; i++) // the first of equal ones stands for them
        if (distinct > 0 && faces[distinct - 1].hash == faces[i].hash)
            duplicate[faces[i].face] = true;
        else
            faces[distinct++] = faces[i];
    for (int band = 0, turned = 0; bits > 0 && band <= bits; band++) {
        const int begin = 64 * band / (bits + 1), width = 64 * (band + 1) / (bits + 1) - begin;
        for (int64_t i = 0; i < distinct && begin > turned; i++)
            faces[i].hash = faces[i].hash << (begin - turned) | faces[i].hash >> (64 - (begin - turned));
        turned = begin;
        qsort(faces, (size_t)distinct, sizeof *faces, by_hash);
        for (int64_t i = 0, end; i < distinct; i = end) {
            for (end = i + 1; end < distinct && (faces[end].hash ^ faces[i].hash) >> (64 - width) == 0;)
                end++;
            compare_group(faces + i, end - i, bits, duplicate);
        }
    }
    free(faces);
    return MCF_OK;
}

mcf_status crop_write_hashes(const char *path, json_t *stats, const uint64_t *hashes, int64_t count, mcf_error *err)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < count; i++) {
        char hex[17];
        snprintf(hex, sizeof hex, "%016llx", (unsigned long long)hashes[i]);
        json_array_append_new(list, json_string(hex));
    }
    if (json_array_size(list) != (size_t)count || json_object_set_new(stats, "dhash", list)) {
        json_decref(stats);
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for a unit's hashes");
    }
    return crop_write_json(path, stats, err);
}

// --- all units' hashes

typedef struct {
    const mcf_crop_options *options;
    mcf_crop_result *result;
    uint64_t *hashes;
    int64_t count, room;
    int64_t *begin; // [units + 1]: each unit's first face
    int64_t ready;  // units 0 .. ready - 1 are through the first pass
    bool *duplicate;
} dedup;

static mcf_status read_stats(const char *path, json_t **stats, mcf_error *err)
{
    *stats = crop_read_json(path, NULL);
    if (!*stats || !json_is_array(json_object_get(*stats, "dhash"))) {
        json_decref(*stats);
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: holds no hashes; remove it, and the same command makes it again",
                        path);
    }
    return MCF_OK;
}

static mcf_status add_hashes(dedup *d, const char *path, mcf_error *err)
{
    json_t *stats, *value;
    size_t i;
    MCF_TRY(read_stats(path, &stats, err));
    const json_t *list = json_object_get(stats, "dhash");
    const int64_t needed = d->count + (int64_t)json_array_size(list);
    mcf_status status = MCF_OK;
    if (needed > d->room) {
        d->room = 2 * needed;
        uint64_t *grown = realloc(d->hashes, (size_t)d->room * sizeof *grown);
        if (grown)
            d->hashes = grown;
        else
            status = mcf_fail(err, MCF_ERR_NOMEM, "out of memory for the hashes of %lld faces", (long long)needed);
    }
    json_array_foreach(list, i, value)
    {
        char *end = NULL;
        const char *hex = json_string_value(value);
        if (status == MCF_OK && (!hex || strlen(hex) != 16))
            status = mcf_fail(err, MCF_ERR_FORMAT, "%s: hash %zu is not 16 hexadecimal digits", path, i);
        if (status == MCF_OK)
            d->hashes[d->count++] = strtoull(hex, &end, 16);
        if (status == MCF_OK && *end)
            status = mcf_fail(err, MCF_ERR_FORMAT, "%s: hash %zu is not 16 hexadecimal digits", path, i);
    }
    json_decref(stats);
    return status;
}

// Other processes of an MPI job are waited for, others are not: nobody knows when they run.
static mcf_status wait_for(const dedup *d, const char *path, bool wait, bool *there, mcf_error *err)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    while (!(*there = mcf_path_exists(path)) && wait) {
        if (d->options->stop && *d->options->stop)
            return mcf_fail(err, MCF_ERR_INTERRUPTED, "stopped");
        nanosleep(&pause, NULL);
    }
    return MCF_OK;
}

static mcf_status read_all(dedup *d, int64_t units, bool wait, mcf_error *err)
{
    d->begin = calloc((size_t)units + 1, sizeof *d->begin);
    if (!d->begin)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for %lld units", (long long)units);
    for (; d->ready < units; d->ready++) {
        char path[4400];
        bool there;
        crop_unit_path(d->options->out, d->ready, ".hashes.json", path, sizeof path);
        MCF_TRY(wait_for(d, path, wait, &there, err));
        if (!there)
            break;
        MCF_TRY(add_hashes(d, path, err));
        d->begin[d->ready + 1] = d->count;
    }
    d->duplicate = malloc((size_t)d->count + 1);
    if (!d->duplicate)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for %lld faces", (long long)d->count);
    return crop_mark_duplicates(d->hashes, d->count, d->options->dedup_bits, d->duplicate, err);
}

// --- the second pass

typedef struct {
    mcf_source *source;
    mcf_file_writer *writer;
    mcf_bytes bytes[3]; // picture, caption, JSON
    json_t *stats;
    mcf_crop_counts counts;
} settling;

// One face of the candidates, copied or left out.
static mcf_status settle_face(settling *s, const mcf_crop_options *o, int64_t sample, bool duplicate, mcf_error *err)
{
    char name[CROP_NAME], member[CROP_NAME + 8];
    bool text, json;
    mcf_source_name(s->source, sample, name, sizeof name);
    const char *colon = strrchr(name, ':'), *key = colon ? colon + 1 : name;
    const int length = (int)strcspn(key, ".");
    MCF_TRY(mcf_source_read(s->source, sample, &s->bytes[0], err));
    MCF_TRY(mcf_source_read_sidecar(s->source, sample, MCF_SIDECAR_TEXT, &s->bytes[1], &text, err));
    MCF_TRY(mcf_source_read_sidecar(s->source, sample, MCF_SIDECAR_JSON, &s->bytes[2], &json, err));
    if (!json)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: no JSON beside it", name);
    if (duplicate) {
        json_t *facts = json_loadb((const char *)s->bytes[2].data, s->bytes[2].size, 0, NULL);
        const char *encoding = json_string_value(json_object_get(facts, "caption_encoding"));
        s->counts.dropped[MCF_DROP_DUPLICATE]++;
        s->counts.kept--;
        s->counts.captions -= text;
        s->counts.latin1 -= encoding && strcmp(encoding, "latin-1") == 0;
        json_decref(facts);
        return MCF_OK;
    }
    snprintf(member, sizeof member, "%.*s.%s", length, key, o->png ? "png" : "jpg");
    MCF_TRY(mcf_tar_add(s->writer, member, s->bytes[0].data, s->bytes[0].size, err));
    snprintf(member, sizeof member, "%.*s.txt", length, key);
    if (text)
        MCF_TRY(mcf_tar_add(s->writer, member, s->bytes[1].data, s->bytes[1].size, err));
    snprintf(member, sizeof member, "%.*s.json", length, key);
    return mcf_tar_add(s->writer, member, s->bytes[2].data, s->bytes[2].size, err);
}

static mcf_status write_settled(dedup *d, settling *s, int64_t number, mcf_error *err)
{
    const int64_t begin = d->begin[number], faces = d->begin[number + 1] - begin;
    char path[4400];
    const char *at = path;
    crop_unit_path(d->options->out, number, ".hashes.json", path, sizeof path);
    MCF_TRY(read_stats(path, &s->stats, err));
    crop_counts_read(json_object_get(s->stats, "counts"), &s->counts);
    crop_unit_path(d->options->out, number, ".candidates", path, sizeof path);
    if (faces > 0)
        MCF_TRY(mcf_source_open(&s->source, &at, 1, MCF_SOURCE_TAR, err));
    if (faces > 0 && mcf_source_count(s->source) != faces)
        return mcf_fail(err, MCF_ERR_FORMAT,
                        "%s: holds %lld faces, its hashes are %lld; remove both, and the same command makes them again",
                        path, (long long)mcf_source_count(s->source), (long long)faces);
    crop_unit_path(d->options->out, number, ".tar", path, sizeof path);
    MCF_TRY(mcf_file_writer_open(&s->writer, path, err));
    for (int64_t i = 0; i < faces; i++)
        MCF_TRY(settle_face(s, d->options, i, d->duplicate[begin + i], err));
    MCF_TRY(mcf_tar_end(s->writer, err));
    mcf_file_writer *writer = s->writer;
    s->writer = NULL;
    MCF_TRY(mcf_file_writer_commit(writer, NULL, NULL, err));
    MCF_TRY(crop_index_shard(d->options, path, s->counts.kept, err));
    json_object_del(s->stats, "dhash");
    json_object_set_new(s->stats, "counts", crop_counts_json(&s->counts));
    json_t *stats = s->stats;
    s->stats = NULL;
    crop_unit_path(d->options->out, number, ".stats.json", path, sizeof path);
    return crop_write_json(path, stats, err);
}

static void remove_candidates(const mcf_crop_options *o, int64_t number)
{
    static const char *const endings[] = {".candidates", ".candidates.idx", ".lock"};
    char path[4400];
    for (int i = 0; i < 3; i++) {
        crop_unit_path(o->out, number, endings[i], path, sizeof path);
        unlink(path);
    }
}

static mcf_status settle(dedup *d, int64_t number, mcf_error *err)
{
    int lock;
    char path[4400];
    MCF_TRY(crop_claim(d->options->out, number, &lock, err));
    crop_unit_path(d->options->out, number, ".stats.json", path, sizeof path);
    if (lock < 0 || mcf_path_exists(path)) {
        *(lock < 0 ? &d->result->others : &d->result->done_before) += 1;
        if (lock >= 0) // of a process that was killed before it could
            remove_candidates(d->options, number);
        crop_release(lock);
        return MCF_OK;
    }
    crop_sweep(d->options->out, number);
    settling s = {0};
    mcf_status status = write_settled(d, &s, number, err);
    if (status == MCF_OK) {
        mcf_crop_counts_add(&d->result->counts, &s.counts);
        remove_candidates(d->options, number);
    }
    mcf_file_writer_abort(s.writer);
    mcf_source_close(s.source);
    json_decref(s.stats);
    for (int i = 0; i < 3; i++)
        mcf_bytes_free(&s.bytes[i]);
    crop_release(lock);
    return status;
}

mcf_status crop_settle_units(const mcf_crop_options *o, const crop_inputs *inputs, bool wait, mcf_crop_result *result,
                             mcf_error *err)
{
    dedup d = {.options = o, .result = result};
    const int64_t units = crop_inputs_units(inputs), step = o->shards > 0 ? o->shards : 1;
    mcf_status status = read_all(&d, units, wait, err);
    result->counts = (mcf_crop_counts){0}; // of the units that are settled now, whoever made their candidates
    result->done_before = result->others = 0;
    for (int64_t n = o->shards > 0 ? o->shard : 0; n < units && status == MCF_OK; n += step) {
        if (o->stop && *o->stop)
            status = mcf_fail(err, MCF_ERR_INTERRUPTED, "stopped");
        else if (n < d.ready)
            status = settle(&d, n, err);
        else
            result->waiting++;
    }
    free(d.hashes);
    free(d.begin);
    free(d.duplicate);
    return status;
}
