#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/file.h"
#include "base/output.h"
#include "infer/crop_internal.h"
#include "run/output.h"

struct crop_inputs {
    const mcf_crop_options *options; // borrowed
    char **shards;                   // paths of tars, in order
    size_t shard_count, shard_room;
    uint64_t *shard_names; // hashes of their base names, sorted
    mcf_source *source;    // pictures of folders and lists; NULL: none
    char **roots;          // folders given, for names relative to them
    size_t root_count;
    uint64_t *keys; // hashes of the source's keys, sorted
    int64_t shard_size;
};

static bool ends_in_tar(const char *name)
{
    const size_t length = strlen(name);
    return length > 4 && strcasecmp(name + length - 4, ".tar") == 0;
}

static mcf_status add_shard(crop_inputs *in, const char *path, mcf_error *err)
{
    if (in->shard_count == in->shard_room) {
        in->shard_room = in->shard_room ? 2 * in->shard_room : 64;
        char **grown = realloc(in->shards, in->shard_room * sizeof *grown);
        if (!grown)
            return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for %zu shards", in->shard_room);
        in->shards = grown;
    }
    in->shards[in->shard_count] = strdup(path);
    if (!in->shards[in->shard_count])
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for a path");
    in->shard_count++;
    return MCF_OK;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

// The shards below a folder. A folder without any is one of pictures.
static mcf_status add_folder(crop_inputs *in, const char *path, mcf_error *err)
{
    char *roots[] = {(char *)path, NULL};
    FTS *tree = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name);
    if (!tree)
        return mcf_fail(err, MCF_ERR_IO, "%s: %s", path, strerror(errno));
    mcf_status status = MCF_OK;
    FTSENT *entry;
    while (status == MCF_OK && (entry = fts_read(tree)))
        if (entry->fts_level > 0 && entry->fts_name[0] == '.')
            fts_set(tree, entry, FTS_SKIP);
        else if (entry->fts_info == FTS_F && ends_in_tar(entry->fts_name))
            status = add_shard(in, entry->fts_path, err);
    fts_close(tree);
    return status;
}

// One line of a list of shards. *is_one: a line before named a shard.
static mcf_status add_line(crop_inputs *in, const char *path, const char *parent, const char *line, bool *is_one,
                           bool *over, mcf_error *err)
{
    if (!ends_in_tar(line)) {
        *over = true;
        return !*is_one ? MCF_OK
                        : mcf_fail(err, MCF_ERR_FORMAT,
                                   "%s: '%.200s' is no tar; a list names shards or pictures, not both", path, line);
    }
    *is_one = true;
    char *full = mcf_path_join(parent, line);
    mcf_status status = full ? add_shard(in, full, err) : mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", path);
    free(full);
    return status;
}

// Whether the first line of a file names a shard: then it is a list, and all of its lines do.
static mcf_status add_list_of_shards(crop_inputs *in, const char *path, bool *is_one, mcf_error *err)
{
    *is_one = false;
    int fd;
    MCF_TRY(mcf_file_open(path, &fd, NULL, err)); // waits for no pipe
    FILE *file = fdopen(fd, "r");
    if (!file)
        close(fd);
    char *parent = mcf_path_parent(path), *line = NULL;
    size_t room = 0;
    ssize_t length;
    bool first = true, over = false;
    mcf_status status = file && parent ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", path);
    while (status == MCF_OK && !over && (length = getline(&line, &room, file)) >= 0) {
        char *at = line;
        if (first && length >= 3 && !memcmp(line, "\xef\xbb\xbf", 3)) { // a byte-order mark
            at += 3;
            length -= 3;
        }
        first = false;
        while (length > 0 && (at[length - 1] == '\n' || at[length - 1] == '\r'))
            at[--length] = 0;
        if (length > 0)
            status = add_line(in, path, parent, at, is_one, &over, err);
    }
    free(line);
    free(parent);
    if (file)
        fclose(file);
    return status;
}

// Shards go to in->shards; what is none is remembered in pictures[*count].
static mcf_status sort_out(crop_inputs *in, const char *path, const char **pictures, size_t *count, mcf_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return mcf_fail(err, MCF_ERR_IO, "%s: %s", path, strerror(errno));
    const size_t before = in->shard_count;
    bool shards = false;
    if (S_ISDIR(info.st_mode)) {
        MCF_TRY(add_folder(in, path, err));
        shards = in->shard_count > before;
    } else if (ends_in_tar(path)) {
        MCF_TRY(add_shard(in, path, err));
        shards = true;
    } else {
        MCF_TRY(add_list_of_shards(in, path, &shards, err));
    }
    if (!shards)
        pictures[(*count)++] = path;
    return MCF_OK;
}

// --- keys

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// Length of a name without its extension: of files what follows the last dot, in shards, as WebDataset cuts them, what
// follows the first.
static size_t stem_length(const char *name, bool shard)
{
    const char *base = base_name(name), *dot = shard ? strchr(base, '.') : strrchr(base, '.');
    return dot && dot != base ? (size_t)(dot - name) : strlen(name);
}

// The first `length` bytes of a name with everything outside [A-Za-z0-9_-] made '_'; what does not fit is cut.
static void sanitise(const char *name, size_t length, char *key, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < length && n + 1 < room; i++) {
        const char c = name[i];
        const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
        key[n++] = plain ? c : '_';
    }
    key[n] = 0;
}

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// Whether a sorted array holds the value twice.
static bool twice(const uint64_t *sorted, int64_t count, uint64_t value)
{
    int64_t low = 0, high = count;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (sorted[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low + 1 < count && sorted[low] == value && sorted[low + 1] == value;
}

// A sample's name without the folder that was given, or without its shard.
static void relative_name(const crop_inputs *in, const mcf_source *source, bool shard, int64_t sample, char *name,
                          size_t size)
{
    char full[CROP_NAME];
    mcf_source_name(source, sample, full, sizeof full);
    const char *at = full;
    if (shard) {
        const char *colon = strstr(full, ".tar:");
        at = colon ? colon + 5 : full;
    }
    for (size_t i = 0; i < in->root_count && !shard; i++) {
        const size_t length = strlen(in->roots[i]);
        if (strncmp(full, in->roots[i], length) == 0 && full[length] == '/') {
            at = full + length + 1;
            break;
        }
    }
    snprintf(name, size, "%s", at);
}

static uint64_t key_hash(const char *name, bool shard)
{
    char key[CROP_KEY];
    sanitise(name, stem_length(name, shard), key, sizeof key);
    return XXH64(key, strlen(key), 0);
}

static mcf_status hash_keys(const crop_inputs *in, const mcf_source *source, bool shard, uint64_t **keys,
                            mcf_error *err)
{
    const int64_t count = mcf_source_count(source);
    *keys = malloc(((size_t)count + 1) * sizeof **keys);
    if (!*keys)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for the keys of %lld pictures", (long long)count);
    for (int64_t i = 0; i < count; i++) {
        char name[CROP_NAME];
        relative_name(in, source, shard, i, name, sizeof name);
        (*keys)[i] = key_hash(name, shard);
    }
    qsort(*keys, (size_t)count, sizeof **keys, by_value);
    return MCF_OK;
}

void crop_name_picture(const crop_unit *unit, int64_t sample, crop_names *names)
{
    char name[CROP_NAME], stem[CROP_KEY];
    const crop_inputs *in = unit->inputs;
    relative_name(in, unit->source, unit->owned, sample, name, sizeof name);
    const size_t length = stem_length(name, unit->owned);
    const char *shard = unit->owned ? in->shards[unit->number] : "";
    if (unit->owned)
        snprintf(names->source, sizeof names->source, "%.1000s:%.3000s",
                 twice(in->shard_names, (int64_t)in->shard_count, key_hash(base_name(shard), false)) ? shard
                                                                                                     : base_name(shard),
                 name);
    else if (in->root_count > 1 && twice(in->keys, mcf_source_count(unit->source), key_hash(name, false)))
        mcf_source_name(unit->source, sample, names->source, sizeof names->source);
    else
        snprintf(names->source, sizeof names->source, "%s", name);
    snprintf(names->source_key, sizeof names->source_key, "%.*s", (int)length, name);
    // room for the shard's name, a sum of 8 digits, a face's number and an extension in a tar's 100 bytes
    sanitise(name, length, stem, sizeof stem);
    const uint64_t *keys = unit->owned ? unit->keys : in->keys;
    const int64_t count = unit->owned ? unit->key_count : mcf_source_count(unit->source);
    const bool cut = length > 40 || strlen(unit->prefix) > 24;
    char sum[16] = "";
    if (cut || twice(keys, count, key_hash(name, unit->owned))) {
        // the place makes two samples of one name differ too
        const XXH64_hash_t hash = XXH64(name, strlen(name), (XXH64_hash_t)sample);
        snprintf(sum, sizeof sum, "_%08x", (unsigned)(hash & 0xffffffffu));
    }
    snprintf(names->key, sizeof names->key, "%.34s%s%.40s%s", unit->prefix, unit->prefix[0] ? "-" : "", stem, sum);
}

// --- opening

static mcf_status open_pictures(crop_inputs *in, const char *const *paths, size_t count, mcf_error *err)
{
    if (count == 0)
        return MCF_OK;
    MCF_TRY(mcf_source_open(&in->source, paths, (int)count, MCF_SOURCE_AUTO, err));
    in->roots = calloc(count, sizeof *in->roots);
    if (!in->roots)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for paths");
    for (size_t i = 0; i < count; i++) {
        char *root = mcf_path_is_directory(paths[i]) ? strdup(paths[i]) : mcf_path_parent(paths[i]);
        if (!root)
            return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for paths");
        for (size_t length = strlen(root); length > 1 && root[length - 1] == '/';)
            root[--length] = 0;
        in->roots[in->root_count++] = root;
    }
    return hash_keys(in, in->source, false, &in->keys, err);
}

static mcf_status name_shards(crop_inputs *in, mcf_error *err)
{
    in->shard_names = malloc((in->shard_count + 1) * sizeof *in->shard_names);
    if (!in->shard_names)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for the names of %zu shards", in->shard_count);
    for (size_t i = 0; i < in->shard_count; i++)
        in->shard_names[i] = key_hash(base_name(in->shards[i]), false);
    qsort(in->shard_names, in->shard_count, sizeof *in->shard_names, by_value);
    return MCF_OK;
}

mcf_status crop_inputs_open(crop_inputs **out, const mcf_crop_options *options, mcf_error *err)
{
    const char *const *paths = options->paths;
    const size_t count = options->path_count;
    *out = NULL;
    crop_inputs *in = calloc(1, sizeof *in);
    const char **pictures = malloc((count + 1) * sizeof *pictures);
    size_t picture_count = 0;
    mcf_status status = in && pictures ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "out of memory for %zu paths", count);
    for (size_t i = 0; i < count && status == MCF_OK; i++)
        status = sort_out(in, paths[i], pictures, &picture_count, err);
    if (status == MCF_OK) {
        in->options = options;
        in->shard_size = options->shard_size;
        status = name_shards(in, err);
    }
    if (status == MCF_OK)
        status = open_pictures(in, pictures, picture_count, err);
    if (status == MCF_OK && in->source)
        mcf_source_tell(in->source, options->notice, options->context);
    free(pictures);
    if (status == MCF_OK)
        *out = in;
    else
        crop_inputs_close(in);
    return status;
}

// Files of a job lie in no folder of its input: units of shards are named as others' shards are.
static mcf_status check_folder(const crop_inputs *in, const mcf_crop_options *o, mcf_error *err)
{
    MCF_TRY(mcf_check_output_folder(o->out, o->paths, o->path_count, err));
    for (size_t i = 0; i < in->shard_count; i++) {
        char *parent = mcf_path_parent(in->shards[i]);
        const bool same = parent && mcf_same_file(parent, o->out);
        free(parent);
        if (same)
            return mcf_fail(err, MCF_ERR_USAGE,
                            "%s: the input shard %s lies in it and might be replaced; name another folder", o->out,
                            in->shards[i]);
    }
    return in->source ? mcf_source_check_folder(in->source, o->out, err) : MCF_OK;
}

mcf_status crop_inputs_check_out(const crop_inputs *in, const mcf_crop_options *o, mcf_error *err)
{
    if (!o->detect_only)
        return check_folder(in, o, err);
    MCF_TRY(mcf_check_output(o->out, o->paths, o->path_count, err));
    MCF_TRY(mcf_output_differs(o->out, &o->detector.path, 1, err));
    MCF_TRY(mcf_output_differs(o->out, (const char *const *)in->shards, in->shard_count, err));
    return in->source ? mcf_source_check_output(in->source, o->out, err) : MCF_OK;
}

void crop_inputs_close(crop_inputs *in)
{
    if (!in)
        return;
    for (size_t i = 0; i < in->shard_count; i++)
        free(in->shards[i]);
    for (size_t i = 0; i < in->root_count; i++)
        free(in->roots[i]);
    free(in->shards);
    free(in->shard_names);
    free(in->roots);
    free(in->keys);
    mcf_source_close(in->source);
    free(in);
}

static int64_t picture_units(const crop_inputs *in)
{
    const int64_t count = in->source ? mcf_source_count(in->source) : 0;
    return (count + in->shard_size - 1) / in->shard_size;
}

int64_t crop_inputs_units(const crop_inputs *in)
{
    return (int64_t)in->shard_count + picture_units(in);
}

int64_t crop_inputs_pictures(const crop_inputs *in)
{
    return in->shard_count ? -1 : mcf_source_count(in->source);
}

uint64_t crop_inputs_fingerprint(const crop_inputs *in)
{
    XXH64_state_t state;
    XXH64_reset(&state, 0);
    for (size_t i = 0; i < in->shard_count; i++)
        XXH64_update(&state, base_name(in->shards[i]), strlen(base_name(in->shards[i])) + 1);
    for (int64_t i = 0; in->source && i < mcf_source_count(in->source); i++) {
        char name[CROP_NAME];
        relative_name(in, in->source, false, i, name, sizeof name);
        XXH64_update(&state, name, strlen(name) + 1);
    }
    return XXH64_digest(&state);
}

mcf_status crop_unit_open(const crop_inputs *in, int64_t number, crop_unit *unit, mcf_error *err)
{
    *unit = (crop_unit){.inputs = in, .number = number};
    if (number >= (int64_t)in->shard_count) {
        const int64_t count = mcf_source_count(in->source);
        unit->source = in->source;
        unit->begin = (number - (int64_t)in->shard_count) * in->shard_size;
        unit->end = unit->begin + in->shard_size < count ? unit->begin + in->shard_size : count;
        return MCF_OK;
    }
    const char *path = in->shards[number], *name = base_name(path);
    unit->owned = true;
    sanitise(name, stem_length(name, false), unit->prefix, 25);
    if (twice(in->shard_names, (int64_t)in->shard_count, key_hash(name, false)) || stem_length(name, false) > 24)
        snprintf(unit->prefix + strlen(unit->prefix), 10, "_%08x",
                 (unsigned)(XXH64(name, strlen(name), (XXH64_hash_t)number) & 0xffffffffu));
    mcf_error why = {0};
    const mcf_status status = mcf_source_open(&unit->source, &path, 1, MCF_SOURCE_TAR, &why);
    if (status == MCF_ERR_USAGE) { // a tar without pictures: an empty unit
        if (in->options->notice)
            in->options->notice(in->options->context, why.message);
        unit->source = NULL;
        return MCF_OK;
    }
    if (status != MCF_OK)
        return mcf_fail(err, status, "%s", why.message);
    mcf_source_tell(unit->source, in->options->notice, in->options->context);
    unit->end = unit->key_count = mcf_source_count(unit->source);
    return hash_keys(in, unit->source, true, &unit->keys, err);
}

void crop_unit_close(crop_unit *unit)
{
    if (unit->owned)
        mcf_source_close(unit->source);
    free(unit->keys);
    *unit = (crop_unit){0};
}
