#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Room for `more` bytes and a NUL; NULL: no memory.
static char *room(mcf_text *text, size_t more)
{
    if (text->failed)
        return NULL;
    if (more >= text->capacity - text->size) {
        const size_t capacity = 2 * (text->size + more + 1);
        char *grown = realloc(text->text, capacity);
        if (!grown) {
            text->failed = true;
            return NULL;
        }
        text->text = grown;
        text->capacity = capacity;
    }
    return text->text + text->size;
}

void mcf_text_append(mcf_text *text, const char *bytes, size_t size)
{
    char *at = room(text, size);
    if (!at)
        return;
    memcpy(at, bytes, size);
    at[size] = '\0';
    text->size += size;
}

void mcf_text_put(mcf_text *text, const char *words)
{
    mcf_text_append(text, words, strlen(words));
}

void mcf_text_vadd(mcf_text *text, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    const int length = vsnprintf(NULL, 0, format, args);
    char *at = length < 0 ? NULL : room(text, (size_t)length);
    if (at) {
        vsnprintf(at, (size_t)length + 1, format, again);
        text->size += (size_t)length;
    } else {
        text->failed = true;
    }
    va_end(again);
}

void mcf_text_add(mcf_text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    mcf_text_vadd(text, format, args);
    va_end(args);
}

void mcf_text_free(mcf_text *text)
{
    free(text->text);
    *text = (mcf_text){0};
}
