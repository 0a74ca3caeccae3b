// From the tree of a config to the struct: each leaf finds its row of the table and is read as the row says.
#define _GNU_SOURCE
#include "run/config/bind.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "run/config/check.h"

static mcf_status no_memory(const char *label, mcf_error *err)
{
    return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", label);
}

void mcf_config_clear_paths(mcf_path_list *list)
{
    for (int i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    list->items = NULL;
    list->count = 0;
}

static mcf_status check_range(const mcf_config_key *key, const mcf_yaml_node *node, double value, mcf_error *err)
{
    bool low = key->low_open ? value > key->low : value >= key->low;
    bool high = key->high_open ? value < key->high : value <= key->high;
    if (low && high)
        return MCF_OK;
    char range[80];
    return mcf_yaml_fail(node, err, "%s is %.40s, must be %s", key->path, node->text,
                         mcf_config_range(key, range, sizeof(range)));
}

static mcf_status need_scalar(const mcf_config_key *key, const mcf_yaml_node *node, const char *what, mcf_error *err)
{
    if (node->kind != MCF_YAML_SCALAR)
        return mcf_yaml_fail(node, err, "%s must be %s, not a %s", key->path, what,
                             node->kind == MCF_YAML_MAP ? "map" : "list");
    if (node->plain && node->text[0] == '\0')
        return mcf_yaml_fail(node, err, "%s has no value; it must be %s", key->path, what);
    return MCF_OK;
}

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcasecmp(text, *words) == 0)
            return true;
    return false;
}

// A number or a flag is one to YAML too: not a text in quotes, and no digits that some of its readers take for octal.
static mcf_status need_plain(const mcf_config_key *key, const mcf_yaml_node *node, const char *what, mcf_error *err)
{
    MCF_TRY(need_scalar(key, node, what, err));
    if (!node->plain && node->text[0])
        return mcf_yaml_fail(node, err, "%s must be %s, not a text in quotes ('%.40s'); take the quotes off", key->path,
                             what, node->text);
    const char *digits = node->text + (node->text[0] == '-' || node->text[0] == '+');
    if (digits[0] == '0' && digits[1] && strspn(digits, "0123456789_") == strlen(digits))
        return mcf_yaml_fail(node, err,
                             "%s is '%.40s', which is octal to some readers of YAML; write it without zeros "
                             "in front",
                             key->path, node->text);
    return MCF_OK;
}

// A text that YAML reads as something else than its letters, or of which it would lose a part, stands in quotes.
static mcf_status need_text(const mcf_config_key *key, const mcf_yaml_node *node, const char *what, mcf_error *err)
{
    static const char *const nothing[] = {"~", "null", NULL}, *const flags[] = {"true", "false", "yes", "no",
                                                                                "on",   "off",   NULL};
    MCF_TRY(need_scalar(key, node, what, err));
    if (node->plain && is_one_of(node->text, nothing))
        return mcf_yaml_fail(node, err,
                             "%s is '%s', which is nothing to YAML; leave the key out, or put a name in quotes",
                             key->path, node->text);
    if (node->plain && is_one_of(node->text, flags))
        return mcf_yaml_fail(node, err, "%s is '%s', which is true or false to YAML, not %s; put a name in quotes",
                             key->path, node->text, what);
    return MCF_OK;
}

// Refuses what was a part of the value more likely than a comment: no blank behind the #, or there is such a file.
static mcf_status need_whole(const mcf_config_key *key, const mcf_yaml_node *node, mcf_error *err)
{
    if (!node->comment)
        return MCF_OK;
    const char *mark = strchr(node->comment, '#');
    char whole[2 * PATH_MAX];
    snprintf(whole, sizeof(whole), "%s%s", node->text ? node->text : "", node->comment);
    if (strchr(" \t#", mark[1]) && !(node->text && mcf_path_exists(whole)))
        return MCF_OK; // strchr finds the end of the text too: a # alone
    return mcf_yaml_fail(
        node, err,
        "%s: YAML takes '%.60s' for a comment and loses it; put the value in quotes, or a blank behind "
        "the # of a comment",
        key->path, mark);
}

static mcf_status bind_int(const mcf_config_key *key, const mcf_yaml_node *node, int *out, mcf_error *err)
{
    long long value;
    MCF_TRY(need_plain(key, node, "a whole number", err));
    if (!mcf_parse_integer(node->text, &value))
        return mcf_yaml_fail(node, err, "%s must be a whole number, not '%.40s'", key->path, node->text);
    MCF_TRY(check_range(key, node, (double)value, err));
    *out = (int)value;
    return MCF_OK;
}

static mcf_status bind_number(const mcf_config_key *key, const mcf_yaml_node *node, double *out, mcf_error *err)
{
    double value;
    MCF_TRY(need_plain(key, node, "a number", err));
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
    MCF_TRY(need_plain(key, node, "true or false", err));
    *out = strcmp(node->text, "true") == 0;
    if (!*out && strcmp(node->text, "false") != 0)
        return mcf_yaml_fail(node, err, "%s must be true or false, not '%.40s'", key->path, node->text);
    return MCF_OK;
}

static mcf_status bind_string(const mcf_config_key *key, const mcf_yaml_node *node, char *out, mcf_error *err)
{
    MCF_TRY(need_text(key, node, "a text (\"\" for none)", err));
    MCF_TRY(need_whole(key, node, err));
    if (strlen(node->text) >= MCF_MAX_PATH)
        return mcf_yaml_fail(node, err, "%s is longer than %d bytes", key->path, MCF_MAX_PATH - 1);
    memset(out, 0, MCF_MAX_PATH);
    strcpy(out, node->text);
    return MCF_OK;
}

static mcf_status bind_list(const mcf_config_key *key, const mcf_yaml_node *node, mcf_config *config, mcf_error *err)
{
    char *out = (char *)config + key->offset;
    bool ints = key->kind == MCF_KEY_INTS;
    if (node->kind != MCF_YAML_LIST)
        return mcf_yaml_fail(node, err, "%s must be a list of numbers such as %s", key->path,
                             strcmp(key->standard, "[]") ? key->standard : "[1, 2]");
    const bool may_be_empty = strcmp(key->standard, "[]") == 0;
    if ((node->count == 0 && !may_be_empty) || node->count > (size_t)key->most ||
        (!ints && node->count != (size_t)key->most))
        return mcf_yaml_fail(node, err, "%s has %zu items, must have %s%d", key->path, node->count,
                             may_be_empty ? "at most "
                             : ints       ? "1 to "
                                          : "",
                             key->most);
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

static mcf_status add_path(const mcf_config_key *key, const mcf_yaml_node *node, mcf_path_list *list, mcf_error *err)
{
    MCF_TRY(need_text(key, node, "a list of paths", err));
    MCF_TRY(need_whole(key, node, err));
    if (node->text[0] == '\0')
        return mcf_yaml_fail(node, err, "%s holds an empty path", key->path);
    if (strlen(node->text) >= PATH_MAX)
        return mcf_yaml_fail(node, err, "%s holds a path that is too long", key->path);
    if (!(list->items[list->count] = strdup(node->text)))
        return no_memory(node->file, err);
    list->count++;
    return MCF_OK;
}

static mcf_status bind_paths(const mcf_config_key *key, const mcf_yaml_node *node, mcf_path_list *list, mcf_error *err)
{
    mcf_config_clear_paths(list);
    MCF_TRY(need_whole(key, node, err));
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
static mcf_status bind_period(const mcf_config_key *key, const mcf_yaml_node *node, mcf_period *out, mcf_error *err)
{
    char number[24], unit[16], more;
    long long count = 0;
    MCF_TRY(need_scalar(key, node, "a period such as '1 epoch' or '200 steps'", err));
    bool parts = sscanf(node->text, "%23[0-9] %15s %c", number, unit, &more) == 2;
    bool epochs = parts && (strcmp(unit, "epoch") == 0 || strcmp(unit, "epochs") == 0);
    bool steps = parts && (strcmp(unit, "step") == 0 || strcmp(unit, "steps") == 0);
    if ((!epochs && !steps) || !mcf_parse_integer(number, &count) || count < 1)
        return mcf_yaml_fail(node, err, "%s is '%.40s', must be a period such as '1 epoch' or '200 steps'", key->path,
                             node->text);
    out->count = count;
    out->epochs = epochs;
    return MCF_OK;
}

static mcf_status bind_seed(const mcf_config_key *key, const mcf_yaml_node *node, uint64_t *out, mcf_error *err)
{
    long long value;
    MCF_TRY(need_plain(key, node, "a whole number", err));
    if (!mcf_parse_integer(node->text, &value) || value < 0)
        return mcf_yaml_fail(node, err, "%s must be a whole number from 0 to 2^63 - 1, not '%.40s'", key->path,
                             node->text);
    *out = (uint64_t)value;
    return MCF_OK;
}

mcf_status mcf_config_bind(const mcf_config_key *key, const mcf_yaml_node *node, mcf_config *config, mcf_error *err)
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

const mcf_config_key *mcf_config_find_key(const char *path)
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
        const mcf_config_key *key = mcf_config_find_key(path);
        if (key && !(key->uses & use))
            return mcf_yaml_fail(node, err, "%s is a key of %s, this is %s; remove it", path,
                                 mcf_config_job_name(key->uses), mcf_config_job_name(use));
        if (key) {
            MCF_TRY(mcf_config_bind(key, node, config, err));
        } else if (is_section(path)) {
            if (node->kind != MCF_YAML_MAP)
                return mcf_yaml_fail(node, err, "%s must be a map of keys", path);
            MCF_TRY(bind_map(node, path, config, err));
        } else {
            char nearest[128] = "";
            nearest_name(path, nearest, sizeof(nearest));
            return mcf_yaml_fail(node, err, "unknown key '%s'; the nearest known name is '%s'", path, nearest);
        }
    }
    return MCF_OK;
}

mcf_status mcf_config_bind_tree(const mcf_yaml_node *root, mcf_config *config, mcf_error *err)
{
    return bind_map(root, "", config, err);
}
