// Finds the samples of a shard: files grouped by key, one picture of each.
#define _GNU_SOURCE // qsort_r
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/file.h"
#include "base/printable.h"
#include "data/formats/tar_index.h"
#include "data/source_internal.h"

// A file of the tar by key and extension. WebDataset's rule: the extension begins at the first dot of the base name.
typedef struct {
    const char *name;
    const char *extension;
    uint32_t key_length;
    uint64_t at; // in the index
} member;

// What is told of a shard once.
typedef struct {
    int64_t several, lone, none, again;
    char several_of[200], several_taken[64], several_left[64], lone_of[200], none_of[200], again_of[200];
    bool plain; // some key has a picture whose extension is a picture's alone
} told;

static bool split(const char *name, member *m)
{
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name, *dot = strchr(base, '.');
    if (!dot || dot == base || !dot[1]) // hidden names have no key
        return false;
    m->name = name;
    m->extension = dot + 1;
    m->key_length = (uint32_t)(dot - name);
    return true;
}

// By key, in it by extension, of equal names in the order of the tar.
static int by_key(const void *x, const void *y)
{
    const member *a = x, *b = y;
    const uint32_t shorter = a->key_length < b->key_length ? a->key_length : b->key_length;
    int order = memcmp(a->name, b->name, shorter);
    if (!order)
        order = (a->key_length > b->key_length) - (a->key_length < b->key_length);
    if (!order)
        order = strcmp(a->extension, b->extension);
    return order ? order : (a->at > b->at) - (a->at < b->at);
}

static bool one_key(const member *a, const member *b)
{
    return a->key_length == b->key_length && !memcmp(a->name, b->name, a->key_length);
}

// How well an extension fits a picture: 0 is best, -1 none. Without keys: jpg, jpeg, png and their kin before the same
// behind other words (seg.png), which may be masks.
static int fit(const mcf_source *source, const char *extension)
{
    static const char *const plain[] = {"jpg", "jpeg", "png", "jpe", "jfif", "mpo", "webp"};
    enum { PLAIN = sizeof plain / sizeof *plain };
    if (source->key_count > 0) {
        for (int i = 0; i < source->key_count; i++)
            if (!strcasecmp(extension, source->keys[i][0] == '.' ? source->keys[i] + 1 : source->keys[i]))
                return i;
        return -1;
    }
    for (int i = 0; i < PLAIN; i++)
        if (!strcasecmp(extension, plain[i]))
            return i;
    return mcf_has_picture_extension(extension) ? PLAIN : -1;
}

static bool is_plain(const char *extension)
{
    return !strchr(extension, '.');
}

// The files of one key, in the order of the tar.
typedef struct {
    const member *picture;
    source_piece sidecars[2];
} sample;

static void note_name(char *to, size_t size, const member *m)
{
    char key[512];
    snprintf(key, sizeof key, "%.*s", (int)(m->key_length < 500 ? m->key_length : 500), m->name);
    mcf_printable(to, size, key);
}

static source_piece piece_of(const mcf_tar_index *index, const member *m)
{
    const mcf_tar_entry *e = &index->entries[m->at];
    return (source_piece){
        .offset = e->offset, .header = e->header, .size = e->size > UINT32_MAX ? UINT32_MAX : (uint32_t)e->size};
}

static bool is_picture(const member *m)
{
    return mcf_has_picture_extension(m->name);
}

// The first in the tar of the pictures in [first, end) that is not `taken`.
static const member *other_picture(const member *first, const member *end, const member *taken)
{
    const member *other = NULL;
    for (const member *m = first; m < end; m++)
        if (m != taken && is_picture(m) && strcmp(m->extension, taken->extension) && (!other || m->at < other->at))
            other = m;
    return other;
}

// Of files with one whole name the last counts, as when the tar is unpacked.
static void take_key(const mcf_source *source, const mcf_tar_index *index, const member *first, const member *end,
                     sample *out, told *t)
{
    int best = -1;
    bool any = false;
    *out = (sample){0};
    for (const member *m = first; m < end; m++) {
        if (m + 1 < end && !strcmp(m->extension, m[1].extension)) {
            if (t->again++ == 0)
                mcf_printable(t->again_of, sizeof t->again_of, m->name);
            continue;
        }
        const int f = fit(source, m->extension);
        if (!strcasecmp(m->extension, "txt"))
            out->sidecars[MCF_SIDECAR_TEXT] = piece_of(index, m);
        else if (!strcasecmp(m->extension, "json"))
            out->sidecars[MCF_SIDECAR_JSON] = piece_of(index, m);
        any = any || is_picture(m);
        if (f >= 0 && (best < 0 || f < best || (f == best && m->at < out->picture->at))) {
            best = f;
            out->picture = m;
        }
    }
    if (!out->picture && any && t->none++ == 0)
        note_name(t->none_of, sizeof t->none_of, first);
    if (!out->picture || source->key_count > 0)
        return;
    t->plain = t->plain || is_plain(out->picture->extension);
    if (!is_plain(out->picture->extension) && t->lone++ == 0)
        mcf_printable(t->lone_of, sizeof t->lone_of, out->picture->name);
    const member *other = other_picture(first, end, out->picture);
    if (other && t->several++ == 0) {
        note_name(t->several_of, sizeof t->several_of, first);
        mcf_printable(t->several_taken, sizeof t->several_taken, out->picture->extension);
        mcf_printable(t->several_left, sizeof t->several_left, other->extension);
    }
}

static int by_place(const void *x, const void *y)
{
    const sample *a = x, *b = y;
    return (a->picture->at > b->picture->at) - (a->picture->at < b->picture->at);
}

// Grows the sidecar table to the room of the samples; samples that have none stay zero.
static mcf_status set_sidecars(mcf_source *source, int64_t at, const source_piece pieces[2], mcf_error *err)
{
    if (!source->sidecars) {
        source->sidecars = calloc((size_t)source->room, sizeof *source->sidecars);
        if (!source->sidecars)
            return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for captions of %lld samples", (long long)source->room);
    }
    memcpy(source->sidecars[at], pieces, sizeof source->sidecars[at]);
    return MCF_OK;
}

static mcf_status tell(mcf_source *source, const char *path, const told *t, mcf_error *err)
{
    mcf_status status = MCF_OK;
    if (t->several)
        status = mcf_source_add_note(source,
                                     "%s: %lld keys have several pictures; of %s .%s is taken, .%s is not: "
                                     "data.image_keys names others",
                                     path, (long long)t->several, t->several_of, t->several_taken, t->several_left);
    if (status == MCF_OK && t->lone && t->plain)
        status =
            mcf_source_add_note(source,
                                "%s: %lld keys have no plain picture and give another (%s); data.image_keys: [jpg, "
                                "png] leaves them out",
                                path, (long long)t->lone, t->lone_of);
    if (status == MCF_OK && t->none)
        status = mcf_source_add_note(source, "%s: %lld keys have none of data.image_keys and are left out (%s)", path,
                                     (long long)t->none, t->none_of);
    if (status == MCF_OK && t->again)
        status = mcf_source_add_note(source, "%s: %lld names come again, and the last of each counts (%s)", path,
                                     (long long)t->again, t->again_of);
    return status == MCF_OK ? MCF_OK : mcf_fail(err, status, "out of memory for a note");
}

static mcf_status add_samples(mcf_source *source, const char *path, const mcf_tar_index *index, uint32_t container,
                              member *members, sample *samples, mcf_error *err)
{
    size_t count = 0, found = 0;
    told t = {0};
    for (uint64_t i = 0; i < index->count; i++)
        if (split(index->names + index->entries[i].name, &members[count])) {
            members[count].at = i;
            count++;
        }
    qsort(members, count, sizeof *members, by_key);
    for (size_t start = 0, end; start < count; start = end) {
        for (end = start + 1; end < count && one_key(&members[start], &members[end]);)
            end++;
        take_key(source, index, members + start, members + end, &samples[found], &t);
        found += samples[found].picture != NULL;
    }
    qsort(samples, found, sizeof *samples, by_place);
    for (size_t i = 0; i < found; i++) {
        const source_piece piece = piece_of(index, samples[i].picture);
        MCF_TRY(mcf_source_add_sample(source, container, samples[i].picture->name, &piece, err));
        if (samples[i].sidecars[0].size || samples[i].sidecars[1].size)
            MCF_TRY(set_sidecars(source, source->count - 1, samples[i].sidecars, err));
    }
    return tell(source, path, &t, err);
}

static mcf_status add_members(mcf_source *source, const char *path, const mcf_tar_index *index, uint32_t container,
                              mcf_error *err)
{
    member *members = malloc((index->count + 1) * sizeof *members);
    sample *samples = malloc((index->count + 1) * sizeof *samples);
    mcf_status status = members && samples ? add_samples(source, path, index, container, members, samples, err)
                                           : mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", path);
    free(members);
    free(samples);
    return status;
}

mcf_status mcf_source_add_tar(mcf_source *source, const char *path, const char *root, mcf_error *err)
{
    char note[4096];
    mcf_tar_index index;
    uint32_t container;
    MCF_TRY(mcf_source_add_container(source, path, root, true, &container, err));
    MCF_TRY(mcf_tar_index_open(path, &index, note, sizeof note, err));
    mcf_status status = add_members(source, path, &index, container, err);
    mcf_tar_index_free(&index);
    if (status == MCF_OK && note[0] && mcf_source_add_note(source, "%s", note) != MCF_OK)
        status = mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory for a note", path);
    if (status == MCF_OK && source->open_files < source->open_limit) {
        MCF_TRY(mcf_file_open(path, &source->containers[container].fd, NULL, err));
        source->open_files++;
    }
    return status;
}
