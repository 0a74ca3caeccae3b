// The tree that a config is read into, and numbers as it has them.
#define _GNU_SOURCE
#include "run/config/yaml.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

mcf_yaml_node *mcf_yaml_new(mcf_yaml_kind kind, const char *text, const char *file, int line)
{
    mcf_yaml_node *node = calloc(1, sizeof(*node));
    if (!node)
        return NULL;
    node->kind = kind;
    node->line = line;
    node->file = strdup(file);
    node->text = text ? strdup(text) : NULL;
    if (!node->file || (text && !node->text)) {
        mcf_yaml_free(node);
        return NULL;
    }
    return node;
}

void mcf_yaml_free(mcf_yaml_node *node)
{
    if (!node)
        return;
    for (size_t i = 0; i < node->count; i++) {
        free(node->items[i].key);
        mcf_yaml_free(node->items[i].value);
    }
    free(node->items);
    free(node->text);
    free(node->comment);
    free(node->file);
    free(node);
}

bool mcf_yaml_add(mcf_yaml_node *parent, const char *key, mcf_yaml_node *value)
{
    char *copy = key ? strdup(key) : NULL;
    mcf_yaml_item *items = realloc(parent->items, (parent->count + 1) * sizeof(*items));
    if (items)
        parent->items = items;
    if (!items || !value || (key && !copy)) {
        free(copy);
        mcf_yaml_free(value);
        return false;
    }
    items[parent->count].key = copy;
    items[parent->count].value = value;
    parent->count++;
    return true;
}

mcf_yaml_node *mcf_yaml_get(const mcf_yaml_node *map, const char *key)
{
    if (!map || map->kind != MCF_YAML_MAP)
        return NULL;
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->items[i].key, key) == 0)
            return map->items[i].value;
    return NULL;
}

void mcf_yaml_remove(mcf_yaml_node *map, const char *key)
{
    for (size_t i = 0; map && i < map->count; i++) {
        if (strcmp(map->items[i].key, key) != 0)
            continue;
        free(map->items[i].key);
        mcf_yaml_free(map->items[i].value);
        memmove(&map->items[i], &map->items[i + 1], (map->count - i - 1) * sizeof(map->items[0]));
        map->count--;
        return;
    }
}

bool mcf_yaml_merge(mcf_yaml_node *base, mcf_yaml_node *over)
{
    bool done = true;
    for (size_t i = 0; i < over->count; i++) {
        mcf_yaml_node *value = over->items[i].value;
        mcf_yaml_node *old = mcf_yaml_get(base, over->items[i].key);
        over->items[i].value = NULL;
        if (old && old->kind == MCF_YAML_MAP && value->kind == MCF_YAML_MAP) {
            done = mcf_yaml_merge(old, value) && done;
            continue;
        }
        mcf_yaml_remove(base, over->items[i].key);
        done = mcf_yaml_add(base, over->items[i].key, value) && done;
    }
    mcf_yaml_free(over);
    return done;
}

mcf_status mcf_yaml_fail(const mcf_yaml_node *node, mcf_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    mcf_vfail(err, MCF_ERR_USAGE, format, args);
    va_end(args);
    if (node->line > 0)
        return mcf_add_context(err, MCF_ERR_USAGE, "%s:%d", node->file, node->line);
    return mcf_add_context(err, MCF_ERR_USAGE, "%s", node->file);
}

// The "C" locale for this thread only; setlocale is the program's own.
static locale_t enter_c_locale(locale_t *made)
{
    *made = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    return *made ? uselocale(*made) : (locale_t)0;
}

static void leave_c_locale(locale_t made, locale_t old)
{
    if (!made)
        return;
    uselocale(old);
    freelocale(made);
}

bool mcf_parse_number(const char *text, double *value)
{
    if (text[0] == '\0' || strspn(text, "0123456789+-.eE") != strlen(text))
        return false;
    locale_t made, old = enter_c_locale(&made);
    char *end;
    *value = strtod(text, &end);
    leave_c_locale(made, old);
    return *end == '\0' && isfinite(*value);
}

bool mcf_parse_integer(const char *text, long long *value)
{
    size_t sign = text[0] == '-' || text[0] == '+';
    if (text[sign] == '\0' || strspn(text + sign, "0123456789") != strlen(text + sign))
        return false;
    errno = 0;
    *value = strtoll(text, NULL, 10);
    return errno == 0;
}

void mcf_print_number(char *buffer, double value)
{
    locale_t made, old = enter_c_locale(&made);
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(buffer, 32, "%.*g", digits, value);
        if (strtod(buffer, NULL) == value)
            break;
    }
    leave_c_locale(made, old);
}
