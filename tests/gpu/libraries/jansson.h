// Stand-in for jansson in the build of ci/gpu-check: the calls of data/safetensors*.c and train/bench*.c under the
// library's names. Reads the JSON of the fixtures' headers: objects, arrays, strings without escapes and whole numbers;
// everything else is an error, never a guess. The hardened reader is the library's; this one meets the repository's own
// files only.
#ifndef MCF_STAND_IN_JANSSON_H
#define MCF_STAND_IN_JANSSON_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef long long json_int_t;
typedef enum { JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_INTEGER, JSON_REAL } json_type;
typedef struct json_t json_t;
struct json_t {
    json_type type;
    int owners;
    json_int_t integer;
    double real;
    char *string;
    size_t count, capacity;
    char **key; // of objects, in the order of the file
    json_t **item;
};

enum { JSON_ERROR_TEXT_LENGTH = 160, JSON_REJECT_DUPLICATES = 1, JSON_COMPACT = 2 };
#define JSON_INDENT(n) 0
#define JSON_REAL_PRECISION(n) 0
typedef struct {
    int position;
    char text[JSON_ERROR_TEXT_LENGTH];
} json_error_t;
enum json_error_code { json_error_unknown, json_error_out_of_memory };
static inline enum json_error_code json_error_code(const json_error_t *error)
{
    return strcmp(error->text, "no memory") ? json_error_unknown : json_error_out_of_memory;
}

static inline json_t *mcf_json_new(json_type type)
{
    json_t *j = calloc(1, sizeof *j);
    if (j)
        *j = (json_t){.type = type, .owners = 1};
    return j;
}

static inline void json_decref(json_t *j)
{
    if (!j || --j->owners > 0)
        return;
    for (size_t i = 0; i < j->count; i++) {
        if (j->key)
            free(j->key[i]);
        json_decref(j->item[i]);
    }
    free(j->key);
    free(j->item);
    free(j->string);
    free(j);
}

static inline json_t *json_incref(json_t *j)
{
    if (j)
        j->owners++;
    return j;
}

// Takes over `item`; key is NULL in arrays.
static inline int mcf_json_add(json_t *j, const char *key, size_t length, json_t *item)
{
    char *copy = key ? strndup(key, length) : NULL;
    if (j && j->count == j->capacity) {
        const size_t capacity = j->capacity ? 2 * j->capacity : 8;
        char **keys = key ? realloc(j->key, capacity * sizeof *keys) : NULL;
        json_t **items = realloc(j->item, capacity * sizeof *items);
        j->key = keys ? keys : j->key;
        j->item = items ? items : j->item;
        if (items && (keys || !key))
            j->capacity = capacity;
    }
    if (!j || !item || (key && !copy) || j->count == j->capacity) {
        free(copy);
        json_decref(item);
        return -1;
    }
    if (key)
        j->key[j->count] = copy;
    j->item[j->count++] = item;
    return 0;
}

#define json_object() mcf_json_new(JSON_OBJECT)
#define json_array() mcf_json_new(JSON_ARRAY)
#define json_is_object(j) ((j) && (j)->type == JSON_OBJECT)
#define json_is_array(j) ((j) && (j)->type == JSON_ARRAY)
#define json_is_string(j) ((j) && (j)->type == JSON_STRING)
#define json_is_integer(j) ((j) && (j)->type == JSON_INTEGER)
#define json_integer_value(j) (json_is_integer(j) ? (j)->integer : 0)
#define json_string_value(j) (json_is_string(j) ? (j)->string : NULL)
#define json_object_size(j) (json_is_object(j) ? (j)->count : 0)
#define json_array_size(j) (json_is_array(j) ? (j)->count : 0)
#define json_array_append_new(j, item) mcf_json_add(j, NULL, 0, item)
#define json_object_foreach(j, name, value)                                                                            \
    for (size_t name##_at = 0;                                                                                         \
         name##_at < json_object_size(j) && ((name) = (j)->key[name##_at], (value) = (j)->item[name##_at], 1);         \
         name##_at++)

static inline json_t *json_string(const char *text)
{
    json_t *j = mcf_json_new(JSON_STRING);
    if (j && !(j->string = strdup(text))) {
        free(j);
        j = NULL;
    }
    return j;
}

static inline json_t *json_integer(json_int_t value)
{
    json_t *j = mcf_json_new(JSON_INTEGER);
    if (j)
        j->integer = value;
    return j;
}

static inline json_t *json_real(double value)
{
    json_t *j = mcf_json_new(JSON_REAL);
    if (j)
        j->real = value;
    return j;
}

static inline json_t *json_array_get(const json_t *j, size_t at)
{
    return json_is_array(j) && at < j->count ? j->item[at] : NULL;
}

static inline json_t *mcf_json_find(const json_t *j, const char *key, size_t length)
{
    for (size_t i = 0; i < json_object_size(j); i++)
        if (!strncmp(j->key[i], key, length) && !j->key[i][length])
            return j->item[i];
    return NULL;
}

static inline json_t *json_object_get(const json_t *j, const char *key)
{
    return mcf_json_find(j, key, strlen(key));
}

// Callers add a name once.
static inline int json_object_set_new(json_t *j, const char *key, json_t *item)
{
    return mcf_json_add(j, key, strlen(key), item);
}

static inline int json_object_set(json_t *j, const char *key, json_t *item)
{
    return json_object_set_new(j, key, json_incref(item));
}

static inline int json_object_update(json_t *j, json_t *other)
{
    int failed = 0;
    for (size_t i = 0; i < other->count; i++)
        failed = json_object_set(j, other->key[i], other->item[i]) || failed;
    return failed;
}

// --- json_pack: objects, lists, s (text), i (int), I (json_int_t), f (double) and o (takes the value over)
static inline json_t *mcf_json_pack(const char **at, va_list *values)
{
    while (strchr(" ,:", **at))
        ++*at;
    const char kind = *(*at)++;
    if (kind == 's')
        return json_string(va_arg(*values, const char *));
    if (kind == 'i')
        return json_integer(va_arg(*values, int));
    if (kind == 'f')
        return json_real(va_arg(*values, double));
    if (kind == 'I')
        return json_integer(va_arg(*values, json_int_t));
    if (kind == 'o')
        return va_arg(*values, json_t *);
    json_t *j = kind == '{' ? json_object() : json_array();
    for (;;) {
        while (strchr(" ,:", **at))
            ++*at;
        if (**at == '}' || **at == ']')
            break;
        const char *key = NULL;
        if (kind == '{') {
            ++*at; // the s of the key
            key = va_arg(*values, const char *);
        }
        if (mcf_json_add(j, key, key ? strlen(key) : 0, mcf_json_pack(at, values))) {
            json_decref(j);
            return NULL;
        }
    }
    ++*at;
    return j;
}

static inline json_t *json_pack(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    json_t *j = mcf_json_pack(&format, &values);
    va_end(values);
    return j;
}

// --- reading
typedef struct {
    const char *begin, *at, *end;
    const char *problem;
} mcf_json_reader;

static inline void mcf_json_blank(mcf_json_reader *r)
{
    while (r->at < r->end && *r->at && strchr(" \t\r\n", *r->at))
        r->at++;
}

static inline int mcf_json_is(mcf_json_reader *r, char c)
{
    mcf_json_blank(r);
    if (r->at == r->end || *r->at != c)
        return 0;
    r->at++;
    return 1;
}

static inline const char *mcf_json_text(mcf_json_reader *r, size_t *length)
{
    if (!mcf_json_is(r, '"')) {
        r->problem = "a string was expected";
        return NULL;
    }
    const char *text = r->at;
    while (r->at < r->end && *r->at != '"' && *r->at != '\\' && (unsigned char)*r->at >= 0x20)
        r->at++;
    *length = (size_t)(r->at - text);
    if (r->at == r->end || *r->at != '"') {
        r->problem = "a string with an escape, or without an end";
        return NULL;
    }
    r->at++;
    return text;
}

static inline json_t *mcf_json_read(mcf_json_reader *r, int depth);

static inline json_t *mcf_json_read_items(mcf_json_reader *r, int depth, json_type type)
{
    const char close = type == JSON_OBJECT ? '}' : ']';
    json_t *j = mcf_json_new(type);
    if (mcf_json_is(r, close))
        return j;
    do {
        size_t length = 0;
        const char *key = type == JSON_OBJECT ? mcf_json_text(r, &length) : NULL;
        if (key && mcf_json_find(j, key, length))
            r->problem = "a key is there twice";
        else if (key && !mcf_json_is(r, ':'))
            r->problem = "a colon was expected";
        json_t *item = r->problem ? NULL : mcf_json_read(r, depth + 1);
        if (!item || mcf_json_add(j, key, length, item)) {
            json_decref(j);
            return NULL;
        }
    } while (mcf_json_is(r, ','));
    if (mcf_json_is(r, close))
        return j;
    r->problem = "a comma or an end was expected";
    json_decref(j);
    return NULL;
}

static inline json_t *mcf_json_read(mcf_json_reader *r, int depth)
{
    size_t length;
    if (depth > 8) {
        r->problem = "nested too deeply";
        return NULL;
    }
    if (mcf_json_is(r, '{'))
        return mcf_json_read_items(r, depth, JSON_OBJECT);
    if (mcf_json_is(r, '['))
        return mcf_json_read_items(r, depth, JSON_ARRAY);
    if (r->at < r->end && *r->at == '"') {
        const char *text = mcf_json_text(r, &length);
        json_t *j = text ? mcf_json_new(JSON_STRING) : NULL;
        if (j)
            j->string = strndup(text, length);
        return j;
    }
    json_int_t value = 0;
    const char *digits = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9' && r->at - digits < 18)
        value = value * 10 + (*r->at++ - '0');
    if (r->at == digits) {
        r->problem = "neither object, list, string nor whole number";
        return NULL;
    }
    return json_integer(value);
}

static inline json_t *json_loadb(const char *text, size_t size, int flags, json_error_t *error)
{
    (void)flags; // doubles are always refused
    mcf_json_reader r = {text, text, text + size, NULL};
    json_t *j = mcf_json_read(&r, 0);
    mcf_json_blank(&r);
    if (j && r.at != r.end) {
        r.problem = "more behind the value";
        json_decref(j);
        j = NULL;
    }
    if (!j) {
        error->position = (int)(r.at - r.begin);
        snprintf(error->text, sizeof error->text, "%s", r.problem ? r.problem : "no memory");
    }
    return j;
}

// --- writing
static inline void mcf_json_write(const json_t *j, FILE *out)
{
    if (j->type == JSON_INTEGER) {
        fprintf(out, "%lld", j->integer);
        return;
    }
    if (j->type == JSON_REAL) {
        fprintf(out, "%.6g", j->real);
        return;
    }
    if (j->type == JSON_STRING) {
        fprintf(out, "\"%s\"", j->string);
        return;
    }
    fputc(j->type == JSON_OBJECT ? '{' : '[', out);
    for (size_t i = 0; i < j->count; i++) {
        if (i)
            fputc(',', out);
        if (j->key)
            fprintf(out, "\"%s\":", j->key[i]);
        mcf_json_write(j->item[i], out);
    }
    fputc(j->type == JSON_OBJECT ? '}' : ']', out);
}

static inline char *json_dumps(const json_t *j, int flags)
{
    (void)flags; // always compact
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    mcf_json_write(j, out);
    if (fclose(out)) {
        free(text);
        text = NULL;
    }
    return text;
}

#endif
