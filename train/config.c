// Reading: files and includes become one tree, overrides are merged in, each leaf finds its row of the table.
// The relations between keys are in config_check.c, the way back to text in config_dump.c.
#define _GNU_SOURCE
#include "train/config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/file.h"
#include "train/config_check.h"
#include "train/config_table.h"
#include "train/config_yaml.h"
#include "train/schedule.h"

enum { MAX_INCLUDES = 16 };

static mcf_status no_memory(const char *label, mcf_error *err)
{
    return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", label);
}

static void clear_paths(mcf_path_list *list)
{
    for (int i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    list->items = NULL;
    list->count = 0;
}

void mcf_config_free(mcf_config *config)
{
    clear_paths(&config->data.train);
    clear_paths(&config->data.validation);
}

// --- one value ---

static mcf_status check_range(const mcf_config_key *key, const mcf_yaml_node *node, double value,
                              mcf_error *err)
{
    bool low = key->low_open ? value > key->low : value >= key->low;
    bool high = key->high_open ? value < key->high : value <= key->high;
    if (low && high)
        return MCF_OK;
    char range[80];
    return mcf_yaml_fail(node, err, "%s is %.40s, must be %s", key->path, node->text,
                         mcf_config_range(key, range, sizeof(range)));
}

static mcf_status need_scalar(const mcf_config_key *key, const mcf_yaml_node *node, const char *what,
                              mcf_error *err)
{
    if (node->kind != MCF_YAML_SCALAR)
        return mcf_yaml_fail(node, err, "%s must be %s, not a %s", key->path, what,
                             node->kind == MCF_YAML_MAP ? "map" : "list");
    if (node->plain && node->text[0] == '\0')
        return mcf_yaml_fail(node, err, "%s has no value; it must be %s", key->path, what);
    return MCF_OK;
}

static mcf_status bind_int(const mcf_config_key *key, const mcf_yaml_node *node, int *out, mcf_error *err)
{
    long long value;
    MCF_TRY(need_scalar(key, node, "a whole number", err));
    if (!mcf_parse_integer(node->text, &value))
        return mcf_yaml_fail(node, err, "%s must be a whole number, not '%.40s'", key->path, node->text);
    MCF_TRY(check_range(key, node, (double)value, err));
    *out = (int)value;
    return MCF_OK;
}

static mcf_status bind_number(const mcf_config_key *key, const mcf_yaml_node *node, double *out,
                              mcf_error *err)
{
    double value;
    MCF_TRY(need_scalar(key, node, "a number", err));
    if (!mcf_parse_number(node->text, &value))
        return mcf_yaml_fail(node, err, "%s must be a number, not '%.40s'", key->path, node->text);
    MCF_TRY(check_range(key, node, value, err));
    *out = value;
    return MCF_OK;
}

static mcf_status bind_choice(const mcf_config_key *key, const mcf_yaml_node *node, void *out, mcf_error *err)
{
    MCF_TRY(need_scalar(key, node, "one word", err));
    const char *word = key->names;
    size_t length = strlen(node->text);
    for (int value = 0; *word; value++) {
        size_t n = strcspn(word, " ");
        if (n == length && memcmp(word, node->text, n) == 0) {
            memcpy(out, &value, sizeof(value)); // every enum of ours has the size of int
            return MCF_OK;
        }
        word += n + strspn(word + n, " ");
    }
    return mcf_yaml_fail(node, err, "%s is '%.40s', must be one of: %s", key->path, node->text, key->names);
}

static mcf_status bind_bool(const mcf_config_key *key, const mcf_yaml_node *node, bool *out, mcf_error *err)
{
    MCF_TRY(need_scalar(key, node, "true or false", err));
    *out = strcmp(node->text, "true") == 0;
    if (!*out && strcmp(node->text, "false") != 0)
        return mcf_yaml_fail(node, err, "%s must be true or false, not '%.40s'", key->path, node->text);
    return MCF_OK;
}

static mcf_status bind_string(const mcf_config_key *key, const mcf_yaml_node *node, char *out, mcf_error *err)
{
    MCF_TRY(need_scalar(key, node, "a text (\"\" for none)", err));
    if (strlen(node->text) >= MCF_MAX_PATH)
        return mcf_yaml_fail(node, err, "%s is longer than %d bytes", key->path, MCF_MAX_PATH - 1);
    memset(out, 0, MCF_MAX_PATH);
    strcpy(out, node->text);
    return MCF_OK;
}

static mcf_status bind_list(const mcf_config_key *key, const mcf_yaml_node *node, mcf_config *config,
                            mcf_error *err)
{
    char *out = (char *)config + key->offset;
    bool ints = key->kind == MCF_KEY_INTS;
    if (node->kind != MCF_YAML_LIST)
        return mcf_yaml_fail(node, err, "%s must be a list of numbers such as %s", key->path, key->standard);
    if (node->count == 0 || node->count > (size_t)key->most || (!ints && node->count != (size_t)key->most))
        return mcf_yaml_fail(node, err, "%s has %zu items, must have %s%d", key->path, node->count,
                             ints ? "1 to " : "", key->most);
    for (size_t i = 0; i < node->count; i++) {
        if (ints)
            MCF_TRY(bind_int(key, node->items[i].value, (int *)out + i, err));
        else
            MCF_TRY(bind_number(key, node->items[i].value, (double *)out + i, err));
    }
    if (ints) {
        // Unused places are zero, so that equal configs are equal bytes.
        memset((int *)out + node->count, 0, ((size_t)key->most - node->count) * sizeof(int));
        *(int *)((char *)config + key->count_offset) = (int)node->count;
    }
    return MCF_OK;
}

static mcf_status add_path(const mcf_config_key *key, const mcf_yaml_node *node, mcf_path_list *list,
                           mcf_error *err)
{
    MCF_TRY(need_scalar(key, node, "a list of paths", err));
    if (node->text[0] == '\0')
        return mcf_yaml_fail(node, err, "%s holds an empty path", key->path);
    if (strlen(node->text) >= PATH_MAX)
        return mcf_yaml_fail(node, err, "%s holds a path that is too long", key->path);
    if (!(list->items[list->count] = strdup(node->text)))
        return no_memory(node->file, err);
    list->count++;
    return MCF_OK;
}

static mcf_status bind_paths(const mcf_config_key *key, const mcf_yaml_node *node, mcf_path_list *list,
                             mcf_error *err)
{
    clear_paths(list);
    size_t count = node->kind == MCF_YAML_LIST ? node->count : 1;
    if (node->kind == MCF_YAML_LIST && count == 0)
        return MCF_OK;
    list->items = calloc(count, sizeof(*list->items));
    if (!list->items)
        return no_memory(node->file, err);
    if (node->kind != MCF_YAML_LIST)
        return add_path(key, node, list, err);
    for (size_t i = 0; i < count; i++)
        MCF_TRY(add_path(key, node->items[i].value, list, err));
    return MCF_OK;
}

// "1 epoch", "200 steps"
static mcf_status bind_period(const mcf_config_key *key, const mcf_yaml_node *node, mcf_period *out,
                              mcf_error *err)
{
    char number[24], unit[16], more;
    long long count = 0;
    MCF_TRY(need_scalar(key, node, "a period such as '1 epoch' or '200 steps'", err));
    bool parts = sscanf(node->text, "%23[0-9] %15s %c", number, unit, &more) == 2;
    bool epochs = parts && (strcmp(unit, "epoch") == 0 || strcmp(unit, "epochs") == 0);
    bool steps = parts && (strcmp(unit, "step") == 0 || strcmp(unit, "steps") == 0);
    if ((!epochs && !steps) || !mcf_parse_integer(number, &count) || count < 1)
        return mcf_yaml_fail(node, err, "%s is '%.40s', must be a period such as '1 epoch' or '200 steps'",
                             key->path, node->text);
    out->count = count;
    out->epochs = epochs;
    return MCF_OK;
}

static mcf_status bind_seed(const mcf_config_key *key, const mcf_yaml_node *node, uint64_t *out,
                            mcf_error *err)
{
    long long value;
    MCF_TRY(need_scalar(key, node, "a whole number", err));
    if (!mcf_parse_integer(node->text, &value) || value < 0)
        return mcf_yaml_fail(node, err, "%s must be a whole number from 0 to 2^63 - 1, not '%.40s'",
                             key->path, node->text);
    *out = (uint64_t)value;
    return MCF_OK;
}

static mcf_status bind(const mcf_config_key *key, const mcf_yaml_node *node, mcf_config *config,
                       mcf_error *err)
{
    void *out = (char *)config + key->offset;
    switch (key->kind) {
    case MCF_KEY_INT:
        return bind_int(key, node, out, err);
    case MCF_KEY_SEED:
        return bind_seed(key, node, out, err);
    case MCF_KEY_NUMBER:
    case MCF_KEY_OPTIONAL:
        return bind_number(key, node, out, err);
    case MCF_KEY_BOOL:
        return bind_bool(key, node, out, err);
    case MCF_KEY_STRING:
        return bind_string(key, node, out, err);
    case MCF_KEY_CHOICE:
        return bind_choice(key, node, out, err);
    case MCF_KEY_INTS:
    case MCF_KEY_NUMBERS:
        return bind_list(key, node, config, err);
    case MCF_KEY_PATHS:
        return bind_paths(key, node, out, err);
    case MCF_KEY_PERIOD:
        return bind_period(key, node, out, err);
    }
    return mcf_fail(err, MCF_ERR_INTERNAL, "config key %s has no kind", key->path);
}

// --- names ---

static const mcf_config_key *find_key(const char *path)
{
    for (size_t i = 0; i < mcf_config_key_count; i++)
        if (strcmp(mcf_config_keys[i].path, path) == 0)
            return &mcf_config_keys[i];
    return NULL;
}

static bool is_section(const char *path)
{
    size_t length = strlen(path);
    for (size_t i = 0; i < mcf_config_key_count; i++)
        if (strncmp(mcf_config_keys[i].path, path, length) == 0 && mcf_config_keys[i].path[length] == '.')
            return true;
    return false;
}

// Levenshtein; names longer than the table's longest by far are as far as anything.
static int edit_distance(const char *a, const char *b)
{
    enum { MOST = 64 };
    int row[MOST + 1];
    size_t n = strlen(a), m = strlen(b);
    if (n > MOST || m > MOST)
        return MOST;
    for (size_t j = 0; j <= m; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int above = row[j];
            int best = diagonal + (a[i - 1] != b[j - 1]);
            if (above + 1 < best)
                best = above + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = above;
            row[j] = best;
        }
    }
    return row[m];
}

static const char *last_part(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

// Compares the last parts, so that a key at the wrong place finds its own; another section costs 1.
static void nearest_name(const char *path, char *best, size_t size)
{
    int least = INT_MAX;
    const char *last = last_part(path);
    size_t section = (size_t)(last - path);
    for (size_t i = 0; i < mcf_config_key_count; i++) {
        const char *whole = mcf_config_keys[i].path;
        for (size_t end = strcspn(whole, ".");; end += 1 + strcspn(whole + end + 1, ".")) {
            char name[128];
            snprintf(name, sizeof(name), "%.*s", (int)end, whole);
            const char *part = last_part(name);
            bool same = (size_t)(part - name) == section && strncmp(name, path, section) == 0;
            int distance = edit_distance(last, part) + !same;
            if (distance < least) {
                least = distance;
                snprintf(best, size, "%s", name);
            }
            if (!whole[end])
                break;
        }
    }
}

static mcf_status bind_map(const mcf_yaml_node *map, const char *prefix, mcf_config *config, mcf_error *err)
{
    int use = mcf_config_use(config);
    for (size_t i = 0; i < map->count; i++) {
        const mcf_yaml_node *node = map->items[i].value;
        char path[256];
        snprintf(path, sizeof(path), "%s%s%.100s", prefix, *prefix ? "." : "", map->items[i].key);
        const mcf_config_key *key = find_key(path);
        if (key && !(key->uses & use))
            return mcf_yaml_fail(node, err, "%s is a key of %s, this is %s; remove it", path,
                                 mcf_config_job_name(key->uses), mcf_config_job_name(use));
        if (key) {
            MCF_TRY(bind(key, node, config, err));
        } else if (is_section(path)) {
            if (node->kind != MCF_YAML_MAP)
                return mcf_yaml_fail(node, err, "%s must be a map of keys", path);
            MCF_TRY(bind_map(node, path, config, err));
        } else {
            char nearest[128] = "";
            nearest_name(path, nearest, sizeof(nearest));
            return mcf_yaml_fail(node, err, "unknown key '%s'; the nearest known name is '%s'", path,
                                 nearest);
        }
    }
    return MCF_OK;
}

// --- files and overrides ---

static mcf_status parse_root(mcf_yaml_node **root, const char *text, size_t size, const char *label,
                             mcf_error *err)
{
    MCF_TRY(mcf_yaml_parse(root, text, size, label, true, err));
    if (!*root && !(*root = mcf_yaml_new(MCF_YAML_MAP, NULL, label, 0)))
        return no_memory(label, err);
    mcf_status status = MCF_OK;
    if ((*root)->kind != MCF_YAML_MAP)
        status = mcf_yaml_fail(*root, err, "a config is a map of keys");
    else if (mcf_yaml_get(mcf_yaml_get(*root, "optimizer"), "lr") &&
             mcf_yaml_get(mcf_yaml_get(*root, "optimizer"), "base_lr"))
        status = mcf_yaml_fail(mcf_yaml_get(*root, "optimizer"), err,
                               "optimizer.lr and optimizer.base_lr exclude each other; give one");
    if (status != MCF_OK) {
        mcf_yaml_free(*root);
        *root = NULL;
    }
    return status;
}

// lr and base_lr are two ways to say one thing: the later file's way counts.
static bool merge(mcf_yaml_node *base, mcf_yaml_node *over)
{
    mcf_yaml_node *optimizer = mcf_yaml_get(over, "optimizer");
    if (mcf_yaml_get(optimizer, "lr"))
        mcf_yaml_remove(mcf_yaml_get(base, "optimizer"), "base_lr");
    if (mcf_yaml_get(optimizer, "base_lr"))
        mcf_yaml_remove(mcf_yaml_get(base, "optimizer"), "lr");
    return mcf_yaml_merge(base, over);
}

typedef struct include_chain {
    const struct include_chain *below;
    const char *real;
    int depth;
} include_chain;

static mcf_status read_file(mcf_yaml_node **root, const char *path, const include_chain *below,
                            mcf_error *err);

static mcf_status read_include(mcf_yaml_node **root, const char *path, const include_chain *chain,
                               mcf_error *err)
{
    const mcf_yaml_node *include = mcf_yaml_get(*root, "include");
    if (!include)
        return MCF_OK;
    if (include->kind != MCF_YAML_SCALAR || include->text[0] == '\0')
        return mcf_yaml_fail(include, err, "include must be the path of one file");
    char *parent = mcf_path_parent(path);
    char *other = parent ? mcf_path_join(parent, include->text) : NULL;
    free(parent);
    if (!other)
        return no_memory(path, err);
    mcf_yaml_node *base = NULL;
    mcf_status status = read_file(&base, other, chain, err);
    if (status != MCF_OK && !chain->below)
        mcf_add_context(err, status, "included from %s:%d", path, include->line);
    free(other);
    MCF_TRY(status);
    mcf_yaml_remove(*root, "include");
    mcf_yaml_node *over = *root;
    *root = base;
    return merge(base, over) ? MCF_OK : no_memory(path, err);
}

static mcf_status read_file(mcf_yaml_node **root, const char *path, const include_chain *below,
                            mcf_error *err)
{
    *root = NULL;
    include_chain chain = {.below = below, .depth = below ? below->depth + 1 : 1};
    char *real = realpath(path, NULL), *text;
    if (!real)
        return mcf_fail(err, MCF_ERR_USAGE, "%s: cannot read the config: %s", path, strerror(errno));
    mcf_status status = MCF_OK;
    for (const include_chain *c = below; c && status == MCF_OK; c = c->below)
        if (strcmp(c->real, real) == 0)
            status = mcf_fail(err, MCF_ERR_USAGE, "%s: includes itself in a circle", path);
    if (status == MCF_OK && chain.depth > MAX_INCLUDES)
        status = mcf_fail(err, MCF_ERR_USAGE, "%s: more than %d files deep in includes", path, MAX_INCLUDES);
    size_t size;
    if (status == MCF_OK) {
        status = mcf_file_read(real, MCF_YAML_MAX_SIZE, &text, &size, err);
        if (status == MCF_ERR_IO || status == MCF_ERR_FORMAT)
            status = err ? (err->status = MCF_ERR_USAGE) : MCF_ERR_USAGE;
    }
    if (status == MCF_OK) {
        status = parse_root(root, text, size, path, err);
        free(text);
    }
    chain.real = real;
    if (status == MCF_OK)
        status = read_include(root, path, &chain, err);
    free(real);
    if (status != MCF_OK) {
        mcf_yaml_free(*root);
        *root = NULL;
    }
    return status;
}

// "a.b=value" as the tree {a: {b: value}}
static mcf_status parse_set(mcf_yaml_node **root, const char *set, mcf_error *err)
{
    char label[160], name[128];
    size_t length = strcspn(set, "=");
    *root = NULL;
    if (set[length] != '=' || length == 0 || length >= sizeof(name))
        return mcf_fail(err, MCF_ERR_USAGE, "--set %.100s: must be key.path=value", set);
    snprintf(name, sizeof(name), "%.*s", (int)length, set);
    snprintf(label, sizeof(label), "--set %s", name);
    if (strcmp(name, "include") == 0)
        return mcf_fail(err, MCF_ERR_USAGE, "%s: a file is included by a file only", label);
    mcf_yaml_node *value;
    const char *text = set + length + 1;
    MCF_TRY(mcf_yaml_parse(&value, text, strlen(text), label, false, err));
    if (!value && !(value = mcf_yaml_new(MCF_YAML_SCALAR, "", label, 0)))
        return no_memory(label, err);
    for (char *part; value && *name;) {
        char *dot = strrchr(name, '.');
        part = dot ? dot + 1 : name;
        mcf_yaml_node *map = mcf_yaml_new(MCF_YAML_MAP, NULL, label, 0);
        if (!map)
            mcf_yaml_free(value);
        else if (!mcf_yaml_add(map, part, value)) {
            mcf_yaml_free(map);
            map = NULL;
        }
        value = map;
        *(dot ? dot : name) = '\0';
    }
    *root = value;
    return value ? MCF_OK : no_memory(label, err);
}

mcf_status mcf_config_defaults(mcf_config *config, mcf_error *err)
{
    memset(config, 0, sizeof(*config));
    for (size_t i = 0; i < mcf_config_key_count; i++) {
        const mcf_config_key *key = &mcf_config_keys[i];
        if (key->kind == MCF_KEY_OPTIONAL) {
            *(double *)((char *)config + key->offset) = -1;
            continue;
        }
        mcf_yaml_node *node = NULL;
        mcf_status status =
            mcf_yaml_parse(&node, key->standard, strlen(key->standard), "default", false, err);
        if (status == MCF_OK)
            status = bind(key, node, config, err);
        mcf_yaml_free(node);
        if (status != MCF_OK) {
            mcf_config_free(config);
            return status;
        }
    }
    return MCF_OK;
}

// Takes over `root`.
static mcf_status resolve(mcf_config *config, mcf_yaml_node *root, const char *label, const char *const *sets,
                          size_t set_count, mcf_error *err)
{
    mcf_status status = MCF_OK;
    for (size_t i = 0; i < set_count && status == MCF_OK; i++) {
        mcf_yaml_node *over;
        status = parse_set(&over, sets[i], err);
        if (status == MCF_OK && !merge(root, over))
            status = no_memory(label, err);
    }
    if (status == MCF_OK)
        status = mcf_config_defaults(config, err);
    if (status != MCF_OK) {
        mcf_yaml_free(root);
        return status;
    }
    // First what decides which keys belong here.
    static const char *const first[] = {"task", "method"};
    for (size_t i = 0; i < 2 && status == MCF_OK; i++) {
        const mcf_yaml_node *node = mcf_yaml_get(root, first[i]);
        if (node)
            status = bind(find_key(first[i]), node, config, err);
    }
    if (status == MCF_OK)
        status = bind_map(root, "", config, err);
    mcf_yaml_free(root);
    if (status == MCF_OK)
        status = mcf_config_check_relations(config, label, err);
    if (status != MCF_OK) {
        mcf_config_free(config);
        memset(config, 0, sizeof(*config));
    }
    return status;
}

mcf_status mcf_config_load(mcf_config *config, const char *path, const char *const *sets, size_t set_count,
                           mcf_error *err)
{
    mcf_yaml_node *root;
    memset(config, 0, sizeof(*config));
    MCF_TRY(read_file(&root, path, NULL, err));
    return resolve(config, root, path, sets, set_count, err);
}

mcf_status mcf_config_parse(mcf_config *config, const char *text, size_t size, const char *label,
                            const char *const *sets, size_t set_count, mcf_error *err)
{
    mcf_yaml_node *root;
    memset(config, 0, sizeof(*config));
    MCF_TRY(parse_root(&root, text, size, label, err));
    const mcf_yaml_node *include = mcf_yaml_get(root, "include");
    if (include) {
        mcf_status status = mcf_yaml_fail(include, err, "include is only possible in a file");
        mcf_yaml_free(root);
        return status;
    }
    return resolve(config, root, label, sets, set_count, err);
}

int64_t mcf_config_effective_batch(const mcf_config *config, int devices)
{
    return (int64_t)config->batch.per_device * config->batch.accumulate * devices;
}

double mcf_config_peak_rate(const mcf_config *config, int devices)
{
    if (config->optimizer.lr >= 0)
        return config->optimizer.lr;
    return mcf_schedule_scaled_rate(config->optimizer.base_lr, mcf_config_effective_batch(config, devices));
}
