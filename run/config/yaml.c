// YAML text to a tree, by libyaml.
#define _GNU_SOURCE
#include "run/config/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

typedef struct {
    yaml_parser_t parser;
    const char *label;
    const char *end; // of the text
    size_t chars;    // libyaml counts characters; `at` is where that many lie behind the start
    const char *at;
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

// The text at a mark. Marks are asked for in rising order.
static const char *text_at(reader *r, yaml_mark_t mark)
{
    while (r->chars < mark.index && r->at < r->end) {
        r->at++;
        while (r->at < r->end && (*r->at & 0xc0) == 0x80)
            r->at++;
        r->chars++;
    }
    return r->at;
}

// A comment in [at, end) up to the first line break, with the blanks in front of it: malloc'd into *comment, which stays
// where there is none or one is there already. Anything else that is not in `between` ends the search.
static mcf_status find_comment(reader *r, const char *at, const char *end, const char *between, char **comment)
{
    const char *begin = at;
    while (at < end && *at != '\0' && strchr(between, *at))
        begin = strchr(" \t", *at++) ? begin : at;
    if (*comment || at >= end || *at != '#')
        return MCF_OK;
    const char *stop = at;
    while (stop < r->end && *stop != '\n' && *stop != '\r')
        stop++;
    *comment = strndup(begin, (size_t)(stop - begin));
    return *comment ? MCF_OK : no_memory(r);
}

static mcf_status read_node(reader *r, const yaml_event_t *event, mcf_yaml_node **out);

static mcf_status scalar_text(reader *r, const yaml_event_t *event, const char **text)
{
    if (event->data.scalar.anchor)
        return fail_at(r, event->start_mark, "anchors are not supported (a value that begins with & needs quotes)");
    if (event->data.scalar.tag)
        return fail_at(r, event->start_mark, "tags are not supported (a value that begins with ! needs quotes)");
    *text = (const char *)event->data.scalar.value;
    if (strlen(*text) != event->data.scalar.length)
        return fail_at(r, event->start_mark, "a text with a zero byte");
    return MCF_OK;
}

// The children of a list or map, up to its end.
static mcf_status read_items(reader *r, mcf_yaml_node *node, bool flow)
{
    bool map = node->kind == MCF_YAML_MAP;
    for (;;) {
        yaml_event_t event;
        const char *before = r->at;
        MCF_TRY(next_event(r, &event));
        if (flow && find_comment(r, before, text_at(r, event.start_mark), "[, \t", &node->comment) != MCF_OK) {
            yaml_event_delete(&event);
            return MCF_ERR_NOMEM;
        }
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
        const char *behind = text_at(r, event->end_mark);
        if (node->plain && *text && find_comment(r, behind, r->end, " \t", &node->comment) != MCF_OK) {
            mcf_yaml_free(node);
            return MCF_ERR_NOMEM;
        }
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
        text_at(r, event->end_mark);
        mcf_status status = read_items(r, node, !map && event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE);
        r->depth--;
        if (status != MCF_OK) {
            mcf_yaml_free(node);
            return status;
        }
        *out = node;
        return MCF_OK;
    }
    case YAML_ALIAS_EVENT:
        return fail_at(r, event->start_mark, "aliases are not supported (a value that begins with * needs quotes)");
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
    if (size >= 3 &&
        !memcmp(text, "\xef\xbb\xbf", 3)) { // a byte-order mark; with the encoding given libyaml has no use for it
        text += 3;
        size -= 3;
    }
    r.at = text;
    r.end = text + size;
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
