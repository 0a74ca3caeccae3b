#include "data/synth/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mcf_lines_free(text *t)
{
    free(t->bytes);
    *t = (text){0};
}

static char *room(text *t, size_t size)
{
    if (t->size + size > t->capacity) {
        size_t capacity = 2 * t->capacity + size + 4096;
        char *bytes = realloc(t->bytes, capacity);
        if (!bytes) {
            t->failed = true;
            return NULL;
        }
        t->bytes = bytes;
        t->capacity = capacity;
    }
    return t->bytes + t->size;
}

static void put(text *t, const char *words, size_t size)
{
    char *to = room(t, size);
    if (!to)
        return;
    memcpy(to, words, size);
    t->size += size;
}

void mcf_lines_put(text *t, const char *words)
{
    put(t, words, strlen(words));
}

void mcf_lines_format(text *t, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof line)
        t->failed = true;
    else
        put(t, line, (size_t)n);
}

void mcf_lines_integer(text *t, int64_t value)
{
    char digits[24], *at = digits + sizeof digits;
    uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left);
    if (value < 0)
        *--at = '-';
    put(t, at, (size_t)(digits + sizeof digits - at));
}

void mcf_lines_number(text *t, double value, int digits)
{
    double scale = 1;
    for (int i = 0; i < digits; i++)
        scale *= 10;
    int64_t units = (int64_t)(value * scale + (value < 0 ? -0.5 : 0.5)), whole = (int64_t)scale;
    if (units < 0) {
        put(t, "-", 1);
        units = -units;
    }
    mcf_lines_integer(t, units / whole);
    char fraction[16] = ".";
    units %= whole;
    for (int i = digits; i > 0; i--) {
        fraction[i] = (char)('0' + units % 10);
        units /= 10;
    }
    if (digits)
        put(t, fraction, (size_t)digits + 1);
}
