#define _GNU_SOURCE
#include "train/config_yaml.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

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

typedef struct {
    yaml_parser_t parser;
    const char *label;
    bool lines;
    int depth, nodes;
    mcf_error *err;
} reader;

static mcf_status fail_at(reader *r, yaml_mark_t mark, const char *words)
{
    if (!r->lines)
        return mcf_fail(r->err, MCF_ERR_USAGE, "%s: %s", r->label, words);
    return mcf_fail(r->err, MCF_ERR_USAGE, "%s:%zu: %s", r->label, mark.line + 1, words);
}

static mcf_status no_memory(reader *r)
{
    return mcf_fail(r->err, MCF_ERR_NOMEM, "%s: out of memory", r->label);
}

static mcf_status next_event(reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event))
        return MCF_OK;
    if (r->parser.error == YAML_MEMORY_ERROR)
        return no_memory(r);
    char words[256];
    snprintf(words, sizeof(words), "%s%s%s", r->parser.context ? r->parser.context : "", r->parser.context ? ", " : "",
             r->parser.problem ? r->parser.problem : "no valid YAML");
    return fail_at(r, r->parser.error == YAML_READER_ERROR ? r->parser.mark : r->parser.problem_mark, words);
}

static int line_of(const reader *r, const yaml_event_t *event)
{
    return r->lines ? (int)event->start_mark.line + 1 : 0;
}

static mcf_status read_node(reader *r, const yaml_event_t *event, mcf_yaml_node **out);

static mcf_status scalar_text(reader *r, const yaml_event_t *event, const char **text)
{
    if (event->data.scalar.anchor)
        return fail_at(r, event->start_mark, "anchors are not supported");
    if (event->data.scalar.tag)
        return fail_at(r, event->start_mark, "tags are not supported");
    *text = (const char *)event->data.scalar.value;
    if (strlen(*text) != event->data.scalar.length)
        return fail_at(r, event->start_mark, "a text with a zero byte");
    return MCF_OK;
}

// The children of a list or map, up to its end.
static mcf_status read_items(reader *r, mcf_yaml_node *node)
{
    bool map = node->kind == MCF_YAML_MAP;
    for (;;) {
        yaml_event_t event;
        MCF_TRY(next_event(r, &event));
        if (event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return MCF_OK;
        }
        char *key = NULL;
        int line = line_of(r, &event);
        mcf_status status = MCF_OK;
        if (map) {
            const char *text = NULL;
            if (event.type != YAML_SCALAR_EVENT)
                status = fail_at(r, event.start_mark, "a key must be a name");
            else
                status = scalar_text(r, &event, &text);
            if (status == MCF_OK && mcf_yaml_get(node, text)) {
                char words[160];
                snprintf(words, sizeof(words), "the key '%.100s' is given twice", text);
                status = fail_at(r, event.start_mark, words);
            }
            if (status == MCF_OK && node->count >= MCF_YAML_MAX_KEYS)
                status = fail_at(r, event.start_mark, "too many keys for a config");
            if (status == MCF_OK && !(key = strdup(text)))
                status = no_memory(r);
            yaml_event_delete(&event);
            if (status == MCF_OK)
                status = next_event(r, &event);
            if (status != MCF_OK) {
                free(key);
                return status;
            }
        }
        mcf_yaml_node *value = NULL;
        status = read_node(r, &event, &value);
        yaml_event_delete(&event);
        if (status == MCF_OK) {
            value->line = line;
            if (!mcf_yaml_add(node, key, value))
                status = no_memory(r);
        }
        free(key);
        MCF_TRY(status);
    }
}

static mcf_status read_node(reader *r, const yaml_event_t *event, mcf_yaml_node **out)
{
    *out = NULL;
    if (++r->nodes > MCF_YAML_MAX_NODES)
        return fail_at(r, event->start_mark, "too many values for a config");
    mcf_yaml_node *node = NULL;
    switch (event->type) {
    case YAML_SCALAR_EVENT: {
        const char *text = NULL;
        MCF_TRY(scalar_text(r, event, &text));
        node = mcf_yaml_new(MCF_YAML_SCALAR, text, r->label, line_of(r, event));
        if (!node)
            return no_memory(r);
        node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        *out = node;
        return MCF_OK;
    }
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT: {
        bool map = event->type == YAML_MAPPING_START_EVENT;
        if (map ? !!event->data.mapping_start.anchor : !!event->data.sequence_start.anchor)
            return fail_at(r, event->start_mark, "anchors are not supported");
        if (map ? !!event->data.mapping_start.tag : !!event->data.sequence_start.tag)
            return fail_at(r, event->start_mark, "tags are not supported");
        if (r->depth >= MCF_YAML_MAX_DEPTH)
            return fail_at(r, event->start_mark, "nested too deeply");
        node = mcf_yaml_new(map ? MCF_YAML_MAP : MCF_YAML_LIST, NULL, r->label, line_of(r, event));
        if (!node)
            return no_memory(r);
        r->depth++;
        mcf_status status = read_items(r, node);
        r->depth--;
        if (status != MCF_OK) {
            mcf_yaml_free(node);
            return status;
        }
        *out = node;
        return MCF_OK;
    }
    case YAML_ALIAS_EVENT:
        return fail_at(r, event->start_mark, "aliases are not supported");
    default:
        return fail_at(r, event->start_mark, "no valid YAML here");
    }
}

static mcf_status read_document(reader *r, mcf_yaml_node **root)
{
    for (;;) {
        yaml_event_t event;
        mcf_status status = MCF_OK;
        MCF_TRY(next_event(r, &event));
        bool end = event.type == YAML_STREAM_END_EVENT;
        bool value = event.type == YAML_SCALAR_EVENT || event.type == YAML_ALIAS_EVENT ||
                     event.type == YAML_SEQUENCE_START_EVENT || event.type == YAML_MAPPING_START_EVENT;
        if (value && *root)
            status = fail_at(r, event.start_mark, "a second document in the file");
        else if (value)
            status = read_node(r, &event, root);
        yaml_event_delete(&event);
        MCF_TRY(status);
        if (end)
            return MCF_OK;
    }
}

mcf_status mcf_yaml_parse(mcf_yaml_node **root, const char *text, size_t size, const char *label, bool lines,
                          mcf_error *err)
{
    *root = NULL;
    reader r = {.label = label, .lines = lines, .err = err};
    if (size > MCF_YAML_MAX_SIZE)
        return mcf_fail(err, MCF_ERR_USAGE, "%s: longer than 1 MiB: no config", label);
    if (!yaml_parser_initialize(&r.parser))
        return no_memory(&r);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
    mcf_status status = read_document(&r, root);
    yaml_parser_delete(&r.parser);
    if (status != MCF_OK) {
        mcf_yaml_free(*root);
        *root = NULL;
    }
    return status;
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
