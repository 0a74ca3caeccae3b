#include "tests/gpu/plain_yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *at, *end, *start; // start: of the line
    int line;
    const char *label;
    bool lines;
    mcf_error *err;
} reader;

enum { WORD = 512 };

static mcf_status refuse(const reader *r, const char *words)
{
    return r->lines ? mcf_fail(r->err, MCF_ERR_USAGE, "%s:%d: %s", r->label, r->line, words)
                    : mcf_fail(r->err, MCF_ERR_USAGE, "%s: %s", r->label, words);
}

static char peek(const reader *r)
{
    return r->at < r->end ? *r->at : '\0';
}

static void skip_blanks(reader *r)
{
    while (peek(r) == ' ')
        r->at++;
}

static bool line_is_over(const reader *r)
{
    return r->at == r->end || *r->at == '\n' || (*r->at == '#' && (r->at == r->start || r->at[-1] == ' '));
}

// To the next word, on this line or a later one.
static void skip_lines(reader *r)
{
    for (skip_blanks(r); r->at < r->end && line_is_over(r); skip_blanks(r)) {
        while (r->at < r->end && *r->at != '\n')
            r->at++;
        if (r->at < r->end) {
            r->start = ++r->at;
            r->line++;
        }
    }
}

static int column(const reader *r)
{
    return (int)(r->at - r->start);
}

static mcf_status new_node(const reader *r, mcf_yaml_kind kind, const char *text, int line, mcf_yaml_node **out)
{
    *out = mcf_yaml_new(kind, text, r->label, r->lines ? line : 0);
    return *out ? MCF_OK : mcf_fail(r->err, MCF_ERR_NOMEM, "%s: out of memory", r->label);
}

// A word up to a colon, a comment, the end of the line and, in braces and brackets, a comma or their end.
static mcf_status read_word(reader *r, bool flow, char text[WORD], bool *quoted)
{
    size_t length = 0;
    const char quote = peek(r);
    *quoted = quote == '"' || quote == '\'';
    if (*quoted) {
        for (r->at++; peek(r) != quote; r->at++) {
            if (peek(r) == '\0' || *r->at == '\n' || *r->at == '\\' || length == WORD - 1)
                return refuse(r, "a quoted word with an escape, without an end or too long");
            text[length++] = *r->at;
        }
        r->at++;
        text[length] = '\0';
        return MCF_OK;
    }
    if (strchr("&*!|>%@`?", quote) || (quote == '-' && r->at + 1 < r->end && r->at[1] == ' '))
        return refuse(r, "more of YAML than this reader knows");
    while (!line_is_over(r) && !(flow && strchr(",]}[{", *r->at)) &&
           !(*r->at == ':' && (r->at + 1 == r->end || strchr(" \n", r->at[1])))) {
        if (length == WORD - 1 || (unsigned char)*r->at < 0x20)
            return refuse(r, "a word with a tab, or too long");
        text[length++] = *r->at++;
    }
    while (length > 0 && text[length - 1] == ' ')
        length--;
    text[length] = '\0';
    return MCF_OK;
}

static mcf_status read_value(reader *r, bool flow, int above, mcf_yaml_node **out);

// Reads "key:" and what belongs to it into the map; above: the column of the map's keys, of which values stand right.
static mcf_status read_pair(reader *r, bool flow, int above, mcf_yaml_node *map)
{
    char key[WORD];
    bool quoted;
    const int line = r->line;
    mcf_yaml_node *value = NULL;
    MCF_TRY(read_word(r, flow, key, &quoted));
    if (peek(r) != ':' || !key[0])
        return refuse(r, "a key and a colon were expected");
    if (mcf_yaml_get(map, key))
        return refuse(r, "a key is given twice");
    r->at++;
    MCF_TRY(read_value(r, flow, above, &value));
    value->line = r->lines ? line : 0;
    return mcf_yaml_add(map, key, value) ? MCF_OK : mcf_fail(r->err, MCF_ERR_NOMEM, "%s: out of memory", r->label);
}

// {a: b, c: d} or [a, b], over several lines where they are.
static mcf_status read_flow(reader *r, mcf_yaml_node *node)
{
    const char close = node->kind == MCF_YAML_MAP ? '}' : ']';
    r->at++;
    for (skip_lines(r); peek(r) != close; skip_lines(r)) {
        if (node->kind == MCF_YAML_MAP) {
            MCF_TRY(read_pair(r, true, -1, node));
        } else {
            mcf_yaml_node *value = NULL;
            MCF_TRY(read_value(r, true, -1, &value));
            if (!mcf_yaml_add(node, NULL, value))
                return mcf_fail(r->err, MCF_ERR_NOMEM, "%s: out of memory", r->label);
        }
        skip_lines(r);
        if (peek(r) == ',')
            r->at++;
        else if (peek(r) != close)
            return refuse(r, "a comma or an end was expected");
    }
    r->at++;
    return MCF_OK;
}

// Whether a word of this line has a colon behind it.
static bool is_pair(const reader *r)
{
    reader ahead = *r;
    mcf_error ignored;
    char text[WORD];
    bool quoted;
    ahead.err = &ignored;
    return read_word(&ahead, false, text, &quoted) == MCF_OK && peek(&ahead) == ':';
}

static mcf_status read_block(reader *r, mcf_yaml_node *map)
{
    const int indent = column(r);
    for (; r->at < r->end; skip_lines(r)) {
        if (column(r) < indent)
            return MCF_OK;
        if (column(r) > indent)
            return refuse(r, "this line is further in than the one above it");
        const int line = r->line;
        MCF_TRY(read_pair(r, false, indent, map));
        skip_blanks(r);
        if (r->line == line && !line_is_over(r))
            return refuse(r, "more behind a value");
    }
    return MCF_OK;
}

static mcf_status read_node(reader *r, bool flow, bool fresh_line, mcf_yaml_node **out)
{
    char text[WORD];
    bool quoted;
    const int line = r->line;
    mcf_status status;
    if (peek(r) == '{' || peek(r) == '[') {
        MCF_TRY(new_node(r, peek(r) == '{' ? MCF_YAML_MAP : MCF_YAML_LIST, NULL, line, out));
        status = read_flow(r, *out);
    } else if (fresh_line && !flow && is_pair(r)) {
        MCF_TRY(new_node(r, MCF_YAML_MAP, NULL, line, out));
        status = read_block(r, *out);
    } else {
        MCF_TRY(read_word(r, flow, text, &quoted));
        MCF_TRY(new_node(r, MCF_YAML_SCALAR, text, line, out));
        (*out)->plain = !quoted;
        return MCF_OK;
    }
    if (status != MCF_OK) {
        mcf_yaml_free(*out);
        *out = NULL;
    }
    return status;
}

static mcf_status read_value(reader *r, bool flow, int above, mcf_yaml_node **out)
{
    const int line = r->line;
    skip_blanks(r);
    const bool later = line_is_over(r);
    if (later)
        skip_lines(r);
    if (later && !flow && (r->at == r->end || column(r) <= above)) { // nothing
        MCF_TRY(new_node(r, MCF_YAML_SCALAR, "", line, out));
        (*out)->plain = true;
        return MCF_OK;
    }
    return read_node(r, flow, later, out);
}

mcf_status mcf_plain_yaml_parse(mcf_yaml_node **root, const char *text, size_t size, const char *label, bool lines,
                                mcf_error *err)
{
    reader r = {.at = text, .end = text + size, .start = text, .line = 1, .label = label, .lines = lines, .err = err};
    *root = NULL;
    skip_lines(&r);
    if (r.at == r.end)
        return MCF_OK;
    MCF_TRY(read_node(&r, false, true, root));
    skip_lines(&r);
    if (r.at == r.end)
        return MCF_OK;
    mcf_yaml_free(*root);
    *root = NULL;
    return refuse(&r, "more behind the end");
}
