// Reading: files and includes become one tree, overrides are merged in. Then bind.c takes each leaf to its key, check.c
// looks at the relations between keys; dump.c is the way back to text.
#define _GNU_SOURCE
#include "run/config/config.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "run/config/bind.h"
#include "run/config/check.h"
#include "run/config/table.h"
#include "run/config/yaml.h"

enum { MAX_INCLUDES = 16 };

static mcf_status no_memory(const char *label, mcf_error *err)
{
    return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory", label);
}

void mcf_config_free(mcf_config *config)
{
    mcf_config_clear_paths(&config->files);
    mcf_config_clear_paths(&config->data.train);
    mcf_config_clear_paths(&config->data.validation);
    mcf_config_clear_paths(&config->data.image_keys);
}

static mcf_status parse_root(mcf_yaml_node **root, const char *text, size_t size, const char *label, mcf_error *err)
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
    mcf_path_list *files;
} include_chain;

static mcf_status read_file(mcf_yaml_node **root, const char *path, const include_chain *below, mcf_path_list *files,
                            mcf_error *err);

static mcf_status remember_file(mcf_path_list *files, const char *real, mcf_error *err)
{
    char **grown = realloc(files->items, (size_t)(files->count + 1) * sizeof *grown);
    if (!grown)
        return no_memory(real, err);
    files->items = grown;
    if (!(grown[files->count] = strdup(real)))
        return no_memory(real, err);
    files->count++;
    return MCF_OK;
}

static mcf_status read_include(mcf_yaml_node **root, const char *path, const include_chain *chain, mcf_error *err)
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
    mcf_status status = read_file(&base, other, chain, chain->files, err);
    if (status != MCF_OK && !chain->below)
        mcf_add_context(err, status, "included from %s:%d", path, include->line);
    free(other);
    MCF_TRY(status);
    mcf_yaml_remove(*root, "include");
    mcf_yaml_node *over = *root;
    *root = base;
    return merge(base, over) ? MCF_OK : no_memory(path, err);
}

static mcf_status read_file(mcf_yaml_node **root, const char *path, const include_chain *below, mcf_path_list *files,
                            mcf_error *err)
{
    *root = NULL;
    include_chain chain = {.below = below, .depth = below ? below->depth + 1 : 1, .files = files};
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
        status = remember_file(files, real, err);
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
// Whether the parser understood less than was written: a comment (# behind a space), an anchor, a tag, the marks of a
// document. A plain value has to come back as it is; in quotes and lists a comment is looked for.
static bool is_lost(const mcf_yaml_node *value, const char *text)
{
    const size_t spaces = strspn(text, " \t");
    const char *begin = text + spaces;
    size_t length = strlen(begin);
    while (length > 0 && strchr(" \t\n", begin[length - 1]))
        length--;
    char quote = '\0';
    for (size_t i = 0; i < length; i++) {
        if (quote == '"' && begin[i] == '\\')
            i++;
        else if (quote)
            quote = begin[i] == quote ? '\0' : quote;
        else if ((begin[i] == '"' || begin[i] == '\'') && (i == 0 || strchr(" \t,[{:", begin[i - 1])))
            quote = begin[i];
        else if (begin[i] == '#' && (i == 0 || strchr(" \t\n", begin[i - 1])))
            return true;
    }
    if (!value || value->kind != MCF_YAML_SCALAR || length == 0 || strchr("\"'|>", *begin))
        return false;
    return strlen(value->text) != length || strncmp(value->text, begin, length) != 0;
}

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
    if (is_lost(value, text)) {
        mcf_yaml_free(value);
        return mcf_fail(err, MCF_ERR_USAGE,
                        "%s: YAML would take a part of '%.200s' for a comment or a mark and lose it; put the value in "
                        "quotes, as in --set '%s=\"...\"'",
                        label, text, name);
    }
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
        mcf_status status = mcf_yaml_parse(&node, key->standard, strlen(key->standard), "default", false, err);
        if (status == MCF_OK)
            status = mcf_config_bind(key, node, config, err);
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
            status = mcf_config_bind(mcf_config_find_key(first[i]), node, config, err);
    }
    config->dense.task = config->task == MCF_TASK_PARSE ? MCF_DENSE_PARSE : MCF_DENSE_ALIGN;
    if (status == MCF_OK)
        status = mcf_config_bind_tree(root, config, err);
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
    mcf_path_list files = {0};
    memset(config, 0, sizeof(*config));
    mcf_status status = read_file(&root, path, NULL, &files, err);
    if (status == MCF_OK)
        status = resolve(config, root, path, sets, set_count, err);
    if (status == MCF_OK)
        config->files = files;
    else
        mcf_config_clear_paths(&files);
    return status;
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
    const mcf_optimizer_options *o = &config->optimizer;
    if (o->lr >= 0)
        return o->lr;
    const double highest = fmax(o->rate_backbone, fmax(o->rate_fpn, o->rate_head));
    if (highest > 0)
        return highest;
    return o->base_lr * (double)mcf_config_effective_batch(config, devices) / 256;
}

void mcf_config_rate_factors(const mcf_config *config, int devices, double factor[MCF_RATE_GROUPS])
{
    const mcf_optimizer_options *o = &config->optimizer;
    const double rates[MCF_RATE_GROUPS] = {
        [MCF_RATE_COMMON] = -1,
        [MCF_RATE_BACKBONE] = o->rate_backbone,
        [MCF_RATE_FPN] = o->rate_fpn,
        [MCF_RATE_HEAD] = o->rate_head,
    };
    const double peak = mcf_config_peak_rate(config, devices);
    for (int i = 0; i < MCF_RATE_GROUPS; i++)
        factor[i] = rates[i] >= 0 && peak > 0 ? rates[i] / peak : 1;
}

mcf_dtype mcf_precision_dtype(mcf_precision precision)
{
    switch (precision) {
    case MCF_PRECISION_FP16:
        return MCF_F16;
    case MCF_PRECISION_BF16:
        return MCF_BF16;
    default:
        return MCF_F32;
    }
}

mcf_status mcf_config_check_task(const mcf_config *config, mcf_error *err)
{
    if (config->task != MCF_TASK_PRETRAIN)
        return mcf_fail(err, MCF_ERR_USAGE, "task: %s, where a network of task pretrain is wanted",
                        config->task == MCF_TASK_ALIGN ? "align" : "parse");
    return MCF_OK;
}
