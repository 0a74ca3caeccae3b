// The way back: the resolved config as YAML, and the table of keys as a document.
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/config/check.h"
#include "run/config/config.h"
#include "run/config/table.h"
#include "run/config/yaml.h"

static void print_number(FILE *out, double value)
{
    char buffer[32];
    mcf_print_number(buffer, value);
    fputs(buffer, out);
}

// One code point of UTF-8 text (valid: it came out of the YAML parser).
static unsigned decode(const unsigned char **at)
{
    const unsigned char *s = *at;
    int more = s[0] >= 0xf0 ? 3 : s[0] >= 0xe0 ? 2 : s[0] >= 0xc0 ? 1 : 0;
    unsigned code = more == 3 ? s[0] & 7 : more == 2 ? s[0] & 15 : more == 1 ? s[0] & 31 : s[0];
    for (int i = 1; i <= more && (s[i] & 0xc0) == 0x80; i++, (*at)++)
        code = code << 6 | (s[i] & 63);
    (*at)++;
    return code;
}

// Double-quoted; what YAML would fold, drop or refuse is escaped.
static void print_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        const unsigned char *start = at;
        unsigned code = decode(&at);
        bool odd = code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 || code == 0xfeff ||
                   (code >= 0xfff0 && code < 0x10000);
        if (code == '"' || code == '\\')
            fprintf(out, "\\%c", (int)code);
        else if (odd)
            fprintf(out, "\\u%04x", code);
        else
            fwrite(start, 1, (size_t)(at - start), out);
    }
    fputc('"', out);
}

static void print_value(FILE *out, const mcf_config *config, const mcf_config_key *key)
{
    const void *value = (const char *)config + key->offset;
    switch (key->kind) {
    case MCF_KEY_INT:
        fprintf(out, "%d", *(const int *)value);
        break;
    case MCF_KEY_SEED:
        fprintf(out, "%llu", (unsigned long long)*(const uint64_t *)value);
        break;
    case MCF_KEY_NUMBER:
    case MCF_KEY_OPTIONAL:
        print_number(out, *(const double *)value);
        break;
    case MCF_KEY_BOOL:
        fputs(*(const bool *)value ? "true" : "false", out);
        break;
    case MCF_KEY_STRING:
        print_text(out, value);
        break;
    case MCF_KEY_CHOICE: {
        int index;
        const char *word = key->names;
        memcpy(&index, value, sizeof(index));
        for (; index > 0; index--)
            word = strchr(word, ' ') + 1;
        fprintf(out, "%.*s", (int)strcspn(word, " "), word);
        break;
    }
    case MCF_KEY_INTS: {
        int count = *(const int *)((const char *)config + key->count_offset);
        fputc('[', out);
        for (int i = 0; i < count; i++)
            fprintf(out, "%s%d", i ? ", " : "", ((const int *)value)[i]);
        fputc(']', out);
        break;
    }
    case MCF_KEY_NUMBERS:
        for (int i = 0; i < key->most; i++) {
            fputs(i ? ", " : "[", out);
            print_number(out, ((const double *)value)[i]);
        }
        fputc(']', out);
        break;
    case MCF_KEY_PATHS: {
        const mcf_path_list *list = value;
        fputc('[', out);
        for (int i = 0; i < list->count; i++) {
            fputs(i ? ", " : "", out);
            print_text(out, list->items[i]);
        }
        fputc(']', out);
        break;
    }
    case MCF_KEY_PERIOD: {
        const mcf_period *period = value;
        fprintf(out, "%lld %s%s", (long long)period->count, period->epochs ? "epoch" : "step",
                period->count == 1 ? "" : "s");
        break;
    }
    }
}

static bool is_given(const mcf_config *config, const mcf_config_key *key)
{
    if (!(key->uses & mcf_config_use(config)))
        return false;
    if (key->kind == MCF_KEY_OPTIONAL)
        return *(const double *)((const char *)config + key->offset) >= 0;
    // lr stands in place of base_lr.
    return strcmp(key->path, "optimizer.base_lr") != 0 || config->optimizer.lr < 0;
}

mcf_status mcf_config_dump(const mcf_config *config, char **text, mcf_error *err)
{
    size_t size;
    *text = NULL;
    FILE *out = open_memstream(text, &size);
    if (!out)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for the config");
    const char *before = "";
    for (size_t i = 0; i < mcf_config_key_count; i++) {
        const mcf_config_key *key = &mcf_config_keys[i];
        if (!is_given(config, key))
            continue;
        // Opens the sections that this key is in and the one before was not.
        const char *part = key->path;
        int depth = 0;
        bool shared = true;
        for (const char *dot; (dot = strchr(part, '.')); part = dot + 1, depth++) {
            size_t length = (size_t)(dot + 1 - key->path);
            shared = shared && strncmp(before, key->path, length) == 0;
            if (!shared)
                fprintf(out, "%*s%.*s:\n", 2 * depth, "", (int)(dot - part), part);
        }
        fprintf(out, "%*s%s: ", 2 * depth, "", part);
        print_value(out, config, key);
        fputc('\n', out);
        before = key->path;
    }
    bool failed = ferror(out);
    if (fclose(out) != 0 || failed) {
        free(*text);
        *text = NULL;
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for the config");
    }
    return MCF_OK;
}

static void print_values_column(FILE *out, const mcf_config_key *key)
{
    char range[80];
    const char *numbers = mcf_config_range(key, range, sizeof(range));
    switch (key->kind) {
    case MCF_KEY_INT:
        fprintf(out, "whole number, %s", numbers);
        break;
    case MCF_KEY_SEED:
        fputs("whole number from 0 to 2^63 - 1", out);
        break;
    case MCF_KEY_NUMBER:
    case MCF_KEY_OPTIONAL:
        fprintf(out, "number, %s", numbers);
        break;
    case MCF_KEY_BOOL:
        fputs("true, false", out);
        break;
    case MCF_KEY_STRING:
        fputs("path", out);
        break;
    case MCF_KEY_CHOICE:
        for (const char *at = key->names; *at; at++)
            fprintf(out, *at == ' ' ? ", " : "%c", *at);
        break;
    case MCF_KEY_INTS:
        fprintf(out, "%s %d whole numbers, %s", strcmp(key->standard, "[]") ? "1 to" : "up to", key->most, numbers);
        break;
    case MCF_KEY_NUMBERS:
        fprintf(out, "%d numbers, %s", key->most, numbers);
        break;
    case MCF_KEY_PATHS:
        fputs("list of paths", out);
        break;
    case MCF_KEY_PERIOD:
        fputs("period", out);
        break;
    }
}

mcf_status mcf_config_document(char **markdown, mcf_error *err)
{
    size_t size;
    *markdown = NULL;
    FILE *out = open_memstream(markdown, &size);
    if (!out)
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for the document");
    fputs("# The keys of a config\n\n"
          "Made from `run/config/table.c` by `MCF_WRITE_DOCS=1 test_config`; do not edit.\n\n"
          "A config is YAML. `include: FILE` (relative to the file that says it) is read first, then the "
          "file,\n"
          "then every `--set key.path=value` in order; maps are joined, all else replaces. An unknown key, a "
          "key of\n"
          "another task, a wrong type and a value out of range are refused with file and line. Other paths "
          "are\n"
          "relative to where the program is started. `optimizer.lr` and `optimizer.base_lr` replace each "
          "other.\n\n"
          "| key | values | default | used by | meaning |\n| --- | --- | --- | --- | --- |\n",
          out);
    for (size_t i = 0; i < mcf_config_key_count; i++) {
        const mcf_config_key *key = &mcf_config_keys[i];
        fprintf(out, "| `%s` | ", key->path);
        print_values_column(out, key);
        fprintf(out, " | %s%s%s | %s | %s |\n", key->standard ? "`" : "", key->standard ? key->standard : "not given",
                key->standard ? "`" : "", mcf_config_job_name(key->uses), key->doc);
    }
    bool failed = ferror(out);
    if (fclose(out) != 0 || failed) {
        free(*markdown);
        *markdown = NULL;
        return mcf_fail(err, MCF_ERR_NOMEM, "out of memory for the document");
    }
    return MCF_OK;
}
